//! A real SMTP server (`aiosmtpd`), started and stopped by the tests.

use std::{path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::{Mutex, OnceCell},
};

/// A running mail server and the emails that it got.
pub struct Mailbox {
    port: u16,
    received: Arc<Mutex<Vec<Value>>>,
    _server: Child,
}

/// The Python of the tests' virtual environment, and one of the tests' scripts.
pub fn python(script: &str) -> Command {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python =
        std::env::var_os("RECOURSE_PYTHON").map_or_else(|| root.join("../.tools/venv/bin/python"), PathBuf::from);
    assert!(python.exists(), "{} is not there; `make test` installs it", python.display());
    let mut command = Command::new(python);
    command.arg(root.join("python").join(script)).kill_on_drop(true);
    command
}

impl Mailbox {
    /// The mail server of the shared world's worker.
    pub async fn shared() -> &'static Self {
        static MAILBOX: OnceCell<Mailbox> = OnceCell::const_new();
        MAILBOX.get_or_init(async || Mailbox::start(0).await).await
    }

    /// Starts a server on this port, or on any free one for 0.
    pub async fn start(port: u16) -> Self {
        // The server ends with its input, so also when this process ends while the shared one still runs.
        let mut server = python("mail_server.py");
        let mut server = server.arg(port.to_string()).stdout(Stdio::piped()).stdin(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        let port = u16::try_from(first["port"].as_u64().unwrap()).unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let inbox = received.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                inbox.lock().await.push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { port, received, _server: server }
    }

    /// The URL that a worker needs.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// All emails that it has got and will get. They stay after it ends.
    pub fn received(&self) -> Arc<Mutex<Vec<Value>>> {
        self.received.clone()
    }

    /// The emails to this address, as soon as there are at least `count`.
    pub async fn to(&self, address: &str, count: usize) -> Vec<Value> {
        for _ in 0..300 {
            let received = self.received.lock().await;
            let mine: Vec<_> = received.iter().filter(|message| message["to"][0] == address).cloned().collect();
            drop(received);
            if mine.len() >= count {
                return mine;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("fewer than {count} messages for {address}: {:?}", self.received.lock().await)
    }
}
