//! Starts the real processes and restarts them: the server with its database file, two workers, the mail server, and the lines
//! between them.
//!
//! A fault locks what it disturbs, so that nobody else starts it meanwhile. The supervisor records and restarts each process
//! that ends by itself.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use recourse_client::{Client, Config};
use recourse_database::Database;
use recourse_ledger::Ledger;
use recourse_local::{LocalError, LocalServer, ServerOptions, WorkerOptions, WorkerProcess};
use recourse_notifications::notices::NoticeBook;
use recourse_payments::SandboxBank;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{books::Books, proxy::Proxy};
use crate::harness::{Mailbox, free_port, program};

/// How many workers there are.
pub const WORKERS: usize = 2;

/// The emails that the mail server got, also before it was killed.
type Inbox = Arc<Mutex<Vec<Value>>>;

/// Everything that runs.
pub struct Parts {
    folder: PathBuf,
    /// Where the ledger is.
    pub books: Books,
    server_port: u16,
    /// The Temporal server.
    pub server: Mutex<Option<LocalServer>>,
    /// The workers.
    pub workers: [Mutex<Option<WorkerProcess>>; WORKERS],
    /// The mail server.
    pub mail: Mutex<Option<Mailbox>>,
    inboxes: Mutex<Vec<Inbox>>,
    /// The line of the parties to the server.
    pub clients_line: Proxy,
    /// The lines of the workers to the server.
    pub worker_lines: [Proxy; WORKERS],
    /// The workers' line to the mail server.
    pub mail_line: Proxy,
    /// The client of the parties, on their line.
    pub client: Client,
    /// The client of the verdict: only faults of the server itself disturb it.
    pub straight: Client,
    /// The ledger, read directly.
    pub ledger: Ledger,
    /// The fake bank, read and disturbed directly.
    pub bank: SandboxBank,
    /// The notices, read directly.
    pub book: NoticeBook,
    /// The faults are over: the stories are to end.
    pub healed: AtomicBool,
    /// No process is to be started any more.
    over: AtomicBool,
    /// When the run began.
    pub began: Instant,
    /// The events, each with its time.
    events: std::sync::Mutex<Vec<String>>,
    ended_by_themselves: std::sync::Mutex<Vec<String>>,
}

impl Parts {
    /// Starts everything in this folder, and restarts it until this is dropped.
    pub async fn start(folder: &Path) -> Arc<Self> {
        std::fs::create_dir(folder.join("logs")).unwrap();
        let books = Books::open(&folder.join("books")).await;
        // It is killed and comes back at the same port, which nobody else may get meanwhile.
        let server_port = free_port();
        let server = LocalServer::start(server_options(folder, server_port)).await.expect("the Temporal server starts");
        let mail = Mailbox::start(0).await;
        let clients_line = Proxy::to(server_port).await;
        let worker_lines = [Proxy::to(server_port).await, Proxy::to(server_port).await];
        let mail_line = Proxy::to(port_of(&mail)).await;
        let database = Database::connect(&books.url()).await.unwrap();
        recourse_ledger::set_up(&database).await.unwrap();
        let connect =
            async |address| Client::connect(Config { address: Some(address), ..Config::default() }).await.unwrap();
        let parts = Arc::new(Self {
            folder: folder.to_owned(),
            books,
            client: connect(clients_line.address()).await,
            straight: connect(server.address()).await,
            server_port,
            server: Mutex::new(Some(server)),
            workers: [Mutex::new(None), Mutex::new(None)],
            inboxes: Mutex::new(vec![mail.received()]),
            mail: Mutex::new(Some(mail)),
            clients_line,
            worker_lines,
            mail_line,
            ledger: Ledger::new(database.clone()),
            bank: SandboxBank::new(database.clone()),
            book: NoticeBook::new(database),
            healed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            began: Instant::now(),
            events: std::sync::Mutex::default(),
            ended_by_themselves: std::sync::Mutex::default(),
        });
        for which in 0..WORKERS {
            *parts.workers[which].lock().await = Some(parts.start_worker(which).await.expect("the worker starts"));
        }
        tokio::spawn(keep_up(Arc::downgrade(&parts)));
        parts
    }

    /// The seconds since the run began.
    pub fn clock(&self) -> String {
        format!("[{:>5.1} s]", self.began.elapsed().as_secs_f64())
    }

    /// Prints an event, and keeps it for a failure's report.
    pub fn tell(&self, what: &str) {
        let line = format!("{} {what}", self.clock());
        println!("{line}");
        self.events.lock().unwrap().push(line);
    }

    /// The events so far.
    pub fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().clone()
    }

    /// The processes that ended although nobody killed them.
    pub fn ended_by_themselves(&self) -> Vec<String> {
        self.ended_by_themselves.lock().unwrap().clone()
    }

    /// Starts the server again, on its port and with its database file.
    pub async fn start_server(&self) -> Option<LocalServer> {
        let started = LocalServer::start(server_options(&self.folder, self.server_port)).await;
        started.map_err(|error| self.tell(&format!("the server does not start: {}", first_line(&error)))).ok()
    }

    /// Starts a worker, as a process.
    pub async fn start_worker(&self, which: usize) -> Option<WorkerProcess> {
        let env = [
            ("TEMPORAL_ADDRESS", self.worker_lines[which].address()),
            ("TEMPORAL_NAMESPACE", "default".to_owned()),
            ("RECOURSE_DATABASE_URL", self.books.url_of(which)),
            ("RECOURSE_SMTP_URL", format!("smtp://{}", self.mail_line.address())),
            ("RECOURSE_MAX_CACHED_WORKFLOWS", "20".to_owned()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let log = Some(self.folder.join(format!("logs/worker-{}.log", which + 1)));
        let options = WorkerOptions { env, log, binary: Some(program("recourse-worker")) };
        // A worker that finds no server or no database at its start prints that and ends; its supervisor starts it again.
        WorkerProcess::start(options)
            .await
            .map_err(|error| self.tell(&format!("a worker does not start: {}", first_line(&error))))
            .ok()
    }

    /// Starts a mail server, and leads the line to it from now on.
    pub async fn start_mail(&self) -> Mailbox {
        let mail = Mailbox::start(0).await;
        self.inboxes.lock().await.push(mail.received());
        self.mail_line.lead_to(port_of(&mail));
        mail
    }

    /// The `Message-ID` of every email that a mail server took.
    pub async fn inbox(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for inbox in self.inboxes.lock().await.iter() {
            let inbox = inbox.lock().await;
            ids.extend(inbox.iter().map(|mail| mail["message_id"].as_str().unwrap_or_default().trim().to_owned()));
        }
        ids
    }

    /// Whether every process runs.
    pub async fn is_up(&self) -> bool {
        let mut up = self.server.lock().await.is_some() && self.mail.lock().await.is_some();
        for worker in &self.workers {
            up &= worker.lock().await.is_some();
        }
        up
    }

    fn ended(&self, what: &str, error: &dyn std::error::Error) {
        let told = format!("{what} ended by itself: {error}");
        self.tell(&told);
        self.ended_by_themselves.lock().unwrap().push(told);
    }
}

/// An error's first line, without the program's last output, which is in its log.
fn first_line(error: &LocalError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

fn port_of(mail: &Mailbox) -> u16 {
    mail.url().rsplit(':').next().unwrap().parse().unwrap()
}

fn server_options(folder: &Path, port: u16) -> ServerOptions {
    ServerOptions {
        port: Some(port),
        database: Some(folder.join("temporal.db")),
        log: Some(folder.join("logs/server.log")),
        ..ServerOptions::default()
    }
}

/// Restarts what no fault is disturbing.
async fn keep_up(parts: std::sync::Weak<Parts>) {
    let now = Duration::ZERO;
    while let Some(parts) = parts.upgrade() {
        if let Ok(mut server) = parts.server.try_lock() {
            if let Some(running) = server.as_mut()
                && let Ok(error) = tokio::time::timeout(now, running.ended()).await
            {
                parts.ended("the server", &error);
                *server = None;
            }
            if server.is_none() {
                *server = parts.start_server().await;
            }
        }
        for (which, worker) in parts.workers.iter().enumerate() {
            let Ok(mut worker) = worker.try_lock() else { continue };
            if let Some(running) = worker.as_mut()
                && let Ok(error) = tokio::time::timeout(now, running.ended()).await
            {
                parts.ended(&format!("worker {}", which + 1), &error);
                *worker = None;
            }
            if worker.is_none() && !parts.is_over() {
                *worker = parts.start_worker(which).await;
            }
        }
        drop(parts);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

impl Parts {
    /// Stops the workers in good order; they do not start again.
    pub async fn stop_workers(&self) {
        for worker in &self.workers {
            let mut worker = worker.lock().await;
            self.over.store(true, Ordering::Relaxed);
            if let Some(running) = worker.take() {
                running.stop().await.unwrap();
            }
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
