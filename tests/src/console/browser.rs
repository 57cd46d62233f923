//! A real browser: people's sessions in it, their clicks and typing, and the checks on every page.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use thirtyfour::{By, ChromiumLikeCapabilities as _, DesiredCapabilities, Key, WebDriver, error::WebDriverResult};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::OnceCell,
};

/// How long a page or an element may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The driver of the browsers. It ends with this process.
struct Driver {
    url: String,
    _process: Child,
}

async fn driver() -> &'static Driver {
    static DRIVER: OnceCell<Driver> = OnceCell::const_new();
    DRIVER
        .get_or_init(async || {
            // It ends with this process: then its input closes.
            let mut process = Command::new("sh")
                .args(["-c", "chromedriver --port=0 & read -r _; kill $!"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .expect("chromedriver is installed by `make test`");
            let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
            let port = loop {
                let line = lines.next_line().await.unwrap().expect("chromedriver says its port");
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    break port.trim_end_matches('.').to_owned();
                }
            };
            Driver { url: format!("http://127.0.0.1:{port}"), _process: process }
        })
        .await
}

/// A person in a browser of their own.
pub struct Person {
    driver: WebDriver,
    url: String,
    name: &'static str,
}

impl Person {
    /// Opens a browser of this size.
    pub async fn new(url: &str, name: &'static str, size: (u32, u32)) -> Self {
        let mut wanted = DesiredCapabilities::chrome();
        for argument in
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        {
            wanted.add_arg(argument).unwrap();
        }
        let driver = WebDriver::new(&driver().await.url, wanted).await.unwrap();
        driver.set_window_rect(0, 0, size.0, size.1).await.unwrap();
        Self { driver, url: url.to_owned(), name }
    }

    /// Opens a browser, and signs in as this persona.
    pub async fn signed_in(url: &str, name: &'static str) -> Self {
        let person = Self::new(url, name, (1100, 900)).await;
        person.open("/").await;
        person.click(name).await;
        person.reads(&["Signed in as"]).await;
        person
    }

    /// Opens a page.
    pub async fn open(&self, path: &str) {
        self.driver.goto(format!("{}{path}", self.url)).await.unwrap();
    }

    /// The page's path.
    pub async fn path(&self) -> String {
        let url = self.driver.current_url().await.unwrap();
        url.path().to_owned()
    }

    /// Acts on the page; tries again while the page is not there yet, or has reloaded itself meanwhile.
    async fn patiently<T>(&self, what: &str, act: impl AsyncFn() -> WebDriverResult<T>) -> T {
        let started = Instant::now();
        loop {
            match act().await {
                Ok(done) => return done,
                Err(error) => {
                    let page = if started.elapsed() > PATIENCE { Some(self.text().await) } else { None };
                    assert!(page.is_none(), "{} cannot {what} ({error}): {page:?}", self.name);
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Clicks the first link or button with this text.
    pub async fn click(&self, text: &str) {
        let path = format!("//*[self::a or self::button][contains(normalize-space(.), \"{text}\")]");
        let click = async || self.driver.find(By::XPath(path.clone())).await?.click().await;
        self.patiently(&format!("click \"{text}\""), click).await;
    }

    /// Types into the field with this name, and replaces its text.
    pub async fn type_into(&self, name: &str, text: &str) {
        let type_it = async || {
            let field = self.driver.find(By::Name(name)).await?;
            field.clear().await?;
            field.send_keys(text).await
        };
        self.patiently(&format!("type into {name}"), type_it).await;
    }

    /// Chooses an option of the field with this name.
    pub async fn choose(&self, name: &str, value: &str) {
        let option = format!("select[name={name}] option[value={value}]");
        let choose = async || self.driver.find(By::Css(option.clone())).await?.click().await;
        self.patiently(&format!("choose {value}"), choose).await;
    }

    /// Puts a file into the field with this name.
    pub async fn attach(&self, name: &str, file: &Path) {
        let attach = async || self.driver.find(By::Name(name)).await?.send_keys(file.to_str().unwrap()).await;
        self.patiently(&format!("attach a file to {name}"), attach).await;
    }

    /// Ticks the box with this label.
    pub async fn tick(&self, label: &str) {
        let path = format!("//label[normalize-space(.) = \"{label}\"]");
        let tick = async || self.driver.find(By::XPath(path.clone())).await?.click().await;
        self.patiently(&format!("tick {label}"), tick).await;
    }

    /// Presses a key, wherever the focus is.
    pub async fn press(&self, key: Key) {
        self.driver.active_element().await.unwrap().send_keys(String::from(char::from(key))).await.unwrap();
    }

    /// Moves the focus by keys until it is on something with this text.
    pub async fn tab_to(&self, text: &str) {
        for _ in 0..60 {
            self.press(Key::Tab).await;
            let focused = self.driver.active_element().await.unwrap();
            let shown = focused.text().await.unwrap_or_default();
            let name = focused.attr("name").await.unwrap_or_default().unwrap_or_default();
            if shown.contains(text) || name == text {
                return;
            }
        }
        panic!("no key leads {} to \"{text}\":\n{}", self.name, self.text().await);
    }

    /// Types where the focus is.
    pub async fn write(&self, text: &str) {
        self.driver.active_element().await.unwrap().send_keys(text).await.unwrap();
    }

    /// The text of the page.
    pub async fn text(&self) -> String {
        // In one step, because the page may change before the next. While it changes there is no text.
        let read = self.driver.execute("return document.body ? document.body.innerText : '';", Vec::new()).await;
        read.map_or_else(|_| String::new(), |read| read.json().as_str().unwrap_or_default().to_owned())
    }

    /// The text of the page's section under the heading with this id.
    pub async fn section(&self, heading: &str) -> String {
        let section = format!("section[aria-labelledby={heading}]");
        let read = async || self.driver.find(By::Css(section.clone())).await?.text().await;
        self.patiently(&format!("read {heading}"), read).await
    }

    /// Waits until the page shows all of these texts, without loading it again.
    pub async fn reads(&self, texts: &[&str]) {
        let started = Instant::now();
        loop {
            let text = self.text().await;
            let Some(missing) = texts.iter().find(|wanted| !text.contains(**wanted)) else { return };
            assert!(started.elapsed() < PATIENCE, "{} does not read \"{missing}\":\n{text}", self.name);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Checks the page: keeps a picture of it, and finds no serious accessibility fault.
    pub async fn look(&self, picture: &str) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/console");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{picture}.png")), self.driver.screenshot_as_png().await.unwrap()).unwrap();
        let axe = std::env::var("RECOURSE_AXE").expect("RECOURSE_AXE: run the tests with `make test`");
        let run = "const done = arguments[0]; axe.run(document).then(found => done(found.violations), fault => done(String(fault)));";
        // The driver runs the script, because the page's own policy does not bind the driver; in one step, which belongs to one
        // page.
        let script = format!("{}\n{run}", std::fs::read_to_string(axe).unwrap());
        let look = async || self.driver.execute_async(script.as_str(), Vec::new()).await;
        let found = self.patiently(&format!("look at {picture}"), look).await;
        let faults: Vec<Value> = found.convert().unwrap();
        let serious: Vec<String> = faults
            .iter()
            .filter(|fault| fault["impact"] == "serious" || fault["impact"] == "critical")
            .map(|fault| format!("{}: {} ({})", fault["id"], fault["help"], fault["nodes"][0]["html"]))
            .collect();
        assert!(serious.is_empty(), "{picture}: {serious:#?}");
    }

    /// Whether the page is wider than the window.
    pub async fn scrolls_sideways(&self) -> bool {
        let script = "return document.documentElement.scrollWidth > document.documentElement.clientWidth;";
        self.driver.execute(script, Vec::new()).await.unwrap().json() == &json!(true)
    }

    /// Closes the browser.
    pub async fn leave(self) {
        self.driver.quit().await.unwrap();
    }
}
