//! A `PostgreSQL` server of its own, which a test may kill without disturbing others.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sqlx::{AnyConnection, Connection as _, any::install_default_drivers};

/// Prints where the server is and how to run its programs, and waits until the owner is gone however it ended.
const GUARDED: &str = r#"trap '' INT TERM; echo "$RECOURSE_TEST_POSTGRES $RECOURSE_TEST_POSTGRES_PROGRAM"; read -r _"#;

/// Makes the run's database. By default its commits are not durable: our own connections have to ask for that.
const MAKE: [&str; 2] = ["CREATE DATABASE chaos", "ALTER DATABASE chaos SET synchronous_commit = off"];

/// The server. It ends when this is dropped, or its process ends.
pub struct PostgresServer {
    address: String,
    program: PathBuf,
    guard: Child,
}

impl PostgresServer {
    /// Starts one, with an empty database.
    pub async fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/with-postgres");
        let mut guard = Command::new(script)
            .args(["sh", "-c", GUARDED])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("with-postgres starts");
        let mut said = BufReader::new(guard.stdout.take().expect("piped output")).lines().map_while(Result::ok);
        let ready = said.find(|line| line.starts_with("postgres://")).expect("PostgreSQL starts");
        let (url, program) = ready.split_once(' ').expect("a URL and a program");
        install_default_drivers();
        let mut connection = AnyConnection::connect(url).await.unwrap();
        for statement in MAKE {
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
        let (_, rest) = url.rsplit_once('@').expect("a user");
        let (address, _) = rest.split_once('/').expect("a database");
        Self { address: address.to_owned(), program: program.into(), guard }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// The run's database at this address.
    pub fn url_at(address: &str) -> String {
        format!("postgres://recourse:secret@{address}/chaos")
    }

    /// The run's database, reached directly.
    pub fn url(&self) -> String {
        Self::url_at(&self.address)
    }

    /// Ends every process of the server at once, whatever they are doing, waits, and starts it again.
    ///
    /// # Errors
    /// The output of the server's program.
    pub async fn restart(&self, wait: impl Future<Output = ()>) -> Result<(), String> {
        self.run(&["pg_ctl", "stop", "-m", "immediate"]).await?;
        wait.await;
        let log = self.log().display().to_string();
        self.run(&["pg_ctl", "start", "-w", "-l", &log]).await.map(drop)
    }

    /// Whether it runs.
    pub async fn is_up(&self) -> bool {
        self.run(&["pg_ctl", "status"]).await.is_ok()
    }

    /// The file of its log.
    pub fn log(&self) -> PathBuf {
        self.program.with_file_name("log")
    }

    /// The content of the database, as SQL.
    ///
    /// # Errors
    /// The output of the server's program.
    pub async fn dump(&self) -> Result<String, String> {
        self.run(&["pg_dump", &self.url()]).await
    }

    async fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = tokio::process::Command::new(&self.program)
            .args(arguments)
            .stderr(Stdio::piped())
            .output()
            .await
            .map_err(|error| error.to_string())?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}
