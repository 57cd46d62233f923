//! The parts that a test runs on.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use recourse_client::{Client, ClientError, Config};
use recourse_database::Database;
use recourse_domain::messages::Status;
use recourse_ledger::Ledger;
use recourse_local::{LocalServer, ServerOptions, WorkerOptions, WorkerProcess};
use recourse_notifications::notices::NoticeBook;
use recourse_payments::SandboxBank;
use recourse_programs::temporal::{KEYS_FILE, PayloadKeys};
use sqlx::Connection as _;
use temporalio_client::tonic::IntoRequest as _;
use temporalio_common::protos::temporal::api::workflowservice::v1::RegisterNamespaceRequest;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Runtime,
    sync::{Mutex, OnceCell, RwLock, RwLockReadGuard},
};

use super::{Mailbox, Mode};

/// How long a step of milliseconds may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long a test may take. The longest takes two minutes on a busy machine.
const ENDLESS: Duration = Duration::from_mins(10);

/// Runs a test on the runtime that all tests share, so that connections outlive each test. A test that hangs fails.
pub fn run(test: impl Future<Output = ()>) {
    run_beyond(Duration::ZERO, test);
}

/// Runs a test that needs this much more time on purpose.
pub fn run_beyond(busy: Duration, test: impl Future<Output = ()>) {
    static RUNTIME: std::sync::OnceLock<Runtime> = std::sync::OnceLock::new();
    let ended = async { tokio::time::timeout(busy + ENDLESS, Box::pin(test)).await };
    let ended = RUNTIME.get_or_init(|| Runtime::new().unwrap()).block_on(ended);
    assert!(ended.is_ok(), "the test hangs: it has not ended {ENDLESS:?} after it should have");
}

/// A name that no other test of this run has.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A namespace of the server with a database and workers.
pub struct World {
    /// The client that the command line uses.
    pub client: Client,
    /// The ledger, read directly.
    pub ledger: Ledger,
    /// The fake bank, read and disturbed directly.
    pub bank: SandboxBank,
    /// The notices, read directly.
    pub notices: NoticeBook,
    /// The database of all of them.
    pub database_url: String,
    worker: Mutex<Option<WorkerProcess>>,
    /// How the worker behaves. A worker that tests stop themselves is not swapped.
    pub mode: Mode,
    /// How often the worker was swapped for another.
    swaps: AtomicU64,
    /// Each step of a case holds it; a swap holds it alone.
    steps: RwLock<()>,
    env: Vec<(String, String)>,
    kept: Kept,
}

/// What ends with its world.
#[derive(Default)]
struct Kept {
    directories: Vec<tempfile::TempDir>,
    server: Option<LocalServer>,
}

/// The place of a world.
struct Place {
    address: String,
    namespace: String,
    /// The file of the keys that encrypt everything.
    keys: Option<PathBuf>,
}

/// A file of payload keys with one new key, and its folder.
fn new_keys() -> (PathBuf, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("payload.keys");
    std::fs::write(&file, PayloadKeys::new_line("first").unwrap()).unwrap();
    (file, directory)
}

async fn server() -> &'static LocalServer {
    static SERVER: OnceCell<LocalServer> = OnceCell::const_new();
    let continue_as_new_after = Mode::from_env().continue_as_new_after();
    let options = ServerOptions { metrics: true, continue_as_new_after, ..ServerOptions::default() };
    let start = async || LocalServer::start(options.clone()).await.expect("the Temporal server starts");
    SERVER.get_or_init(start).await
}

/// The address of the server that tests share.
pub async fn server_address() -> String {
    server().await.address()
}

/// The server's counters, in Prometheus' format.
pub async fn server_metrics() -> String {
    let url = server().await.metrics_url().expect("a server with metrics");
    let address = url.trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Version 1.0 of HTTP: the connection ends with the answer, so no client library is needed.
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

impl World {
    /// The world that most tests share: one worker, one database, a mail server.
    pub async fn shared() -> &'static Self {
        static WORLD: OnceCell<World> = OnceCell::const_new();
        let make = async || {
            let mailbox = Mailbox::shared().await;
            let smtp = ("RECOURSE_SMTP_URL".to_owned(), mailbox.url());
            let (mode, mut kept) = (Mode::from_env(), Kept::default());
            let keys = mode.is_encrypted().then(|| {
                let (file, directory) = new_keys();
                kept.directories.push(directory);
                file
            });
            let place = Place { address: server().await.address(), namespace: "default".to_owned(), keys };
            World::make(place, vec![smtp], mode, kept).await
        };
        WORLD.get_or_init(make).await
    }

    /// A separate world on the same server, set up like a new installation, with a worker.
    pub async fn apart(name: &str, env: &[(&str, &str)]) -> Self {
        let namespace = unique(name);
        let address = server().await.address();
        let first = Client::connect(Config { address: Some(address), ..Config::default() }).await.unwrap();
        let request = RegisterNamespaceRequest {
            namespace: namespace.clone(),
            workflow_execution_retention_period: Duration::from_hours(24).try_into().ok(),
            ..RegisterNamespaceRequest::default()
        };
        first.temporal().connection().workflow_service().register_namespace(request.into_request()).await.unwrap();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        // Its tests stop workers themselves, so workers are not swapped in between.
        let is_replayed = matches!(Mode::from_env(), Mode::Uncached | Mode::Swapped);
        let mode = if is_replayed { Mode::Uncached } else { Mode::Cached };
        let place = Place { address: server().await.address(), namespace, keys: None };
        Self::make(place, env, mode, Kept::default()).await
    }

    /// A world on a server of its own, which keeps its data in this file, with everything encrypted.
    pub async fn encrypted(server_database: &Path) -> Self {
        let options = ServerOptions { database: Some(server_database.to_owned()), ..ServerOptions::default() };
        let server = LocalServer::start(options).await.unwrap();
        let (file, directory) = new_keys();
        let place = Place { address: server.address(), namespace: "default".to_owned(), keys: Some(file) };
        let kept = Kept { directories: vec![directory], server: Some(server) };
        Self::make(place, Vec::new(), Mode::Cached, kept).await
    }

    /// A world on a server of its own that delays what others wait for: the first task of a case, an effect, a dispute's start
    /// and end. Elsewhere these are short, or long only on a busy machine; here they are always long.
    pub async fn slow() -> Self {
        let settings = vec!["history.transferProcessorMaxPollRPS=2".to_owned()];
        let server = LocalServer::start(ServerOptions { settings, ..ServerOptions::default() }).await.unwrap();
        let place = Place { address: server.address(), namespace: "default".to_owned(), keys: None };
        let kept = Kept { directories: Vec::new(), server: Some(server) };
        Self::make(place, Vec::new(), Mode::Cached, kept).await
    }

    async fn make(place: Place, mut env: Vec<(String, String)>, mode: Mode, mut kept: Kept) -> Self {
        env.extend(mode.env());
        let Place { address, namespace, keys } = place;
        let (database_url, directory) = new_database().await;
        kept.directories.extend(directory);
        let config = Config {
            address: Some(address.clone()),
            namespace: Some(namespace.clone()),
            keys: keys.as_deref().map(|file| PayloadKeys::read(file).unwrap()),
        };
        let client = Client::connect(config).await.unwrap();
        // The server needs some time to announce a new namespace everywhere.
        let mut patience = 100;
        while let Err(error) = client.setup_search_attributes().await {
            patience -= 1;
            assert!(patience > 0, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let database = Database::connect(&database_url).await.unwrap();
        recourse_ledger::set_up(&database).await.unwrap();
        for (name, value) in [
            ("TEMPORAL_ADDRESS", &*address),
            ("TEMPORAL_NAMESPACE", &*namespace),
            ("RECOURSE_DATABASE_URL", &*database_url),
        ] {
            env.push((name.to_owned(), value.to_owned()));
        }
        env.extend(keys.map(|file| (KEYS_FILE.to_owned(), file.display().to_string())));
        let world = Self {
            client,
            ledger: Ledger::new(database.clone()),
            bank: SandboxBank::new(database.clone()),
            notices: NoticeBook::new(database),
            database_url,
            worker: Mutex::new(None),
            mode,
            swaps: AtomicU64::new(0),
            steps: RwLock::new(()),
            env,
            kept,
        };
        world.start_worker().await;
        world
    }

    /// The environment in which `recourse` and the worker find this world.
    pub fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// Starts the world's worker, as a process.
    pub async fn start_worker(&self) {
        let started = self.new_worker().await;
        *self.worker.lock().await = Some(started);
    }

    /// Another worker, with these additional environment variables. It ends when it is dropped.
    pub async fn another_worker(&self, env: &[(&str, &str)]) -> WorkerProcess {
        let more = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let env = self.env.iter().cloned().chain(more).collect();
        let options = WorkerOptions { env, binary: Some(program("recourse-worker")), log: None };
        WorkerProcess::start(options).await.expect("the worker starts")
    }

    async fn new_worker(&self) -> WorkerProcess {
        // To find out why a test fails: RECOURSE_TEST_LOGS=/some/folder keeps the workers' logs.
        let log = std::env::var_os("RECOURSE_TEST_LOGS")
            .map(|folder| PathBuf::from(folder).join(format!("{}.log", self.client.namespace())));
        let options = WorkerOptions { env: self.env.clone(), binary: Some(program("recourse-worker")), log };
        WorkerProcess::start(options).await.expect("the worker starts")
    }

    /// Stops the world's own server, which then has written all its data.
    pub async fn stop_server(&mut self) {
        self.kept.server.take().expect("a server of its own").stop().await.unwrap();
    }

    /// How often the worker was swapped.
    pub fn swaps(&self) -> u64 {
        self.swaps.load(Ordering::Acquire)
    }

    /// Begins a step of a case. If workers are swapped here, makes sure of at least one swap more than `seen`: another worker
    /// starts, then the present one stops in good order, as in a deployment. One swap serves all waiting steps.
    ///
    /// No step runs during a swap: a task that the server hands to a worker which has just stopped polling is lost until it
    /// times out, after 10 s, and waiting for that would prove nothing about replay.
    pub async fn step_after(&self, seen: u64) -> RwLockReadGuard<'_, ()> {
        loop {
            let step = self.step().await;
            if self.mode != Mode::Swapped || self.swaps() > seen {
                return step;
            }
            drop(step);
            let _alone = self.steps.write().await;
            if self.swaps() <= seen {
                self.swap().await;
            }
        }
    }

    /// Begins a step that no swap may disturb. It must not begin within another step.
    pub async fn step(&self) -> RwLockReadGuard<'_, ()> {
        self.steps.read().await
    }

    async fn swap(&self) {
        let mut worker = self.worker.lock().await;
        let next = self.new_worker().await;
        let before = worker.replace(next).expect("a shared world's worker runs");
        before.stop().await.expect("the worker stops");
        self.swaps.fetch_add(1, Ordering::Release);
    }

    /// Stops the worker in good order (SIGTERM).
    pub async fn stop_worker(&self) {
        self.worker.lock().await.take().unwrap().stop().await.unwrap();
    }

    /// Kills the worker (SIGKILL).
    pub async fn kill_worker(&self) {
        self.worker.lock().await.take().unwrap().kill().await.unwrap();
    }

    /// Waits until nothing is under way in the case: its orders are done, its due timers have fired, a dispute that it filed
    /// has begun, and it knows the end of one that is over.
    ///
    /// A test uses this to wait for automatic steps, before it reads a case or acts on it.
    pub async fn quiet(&self, case: &str) {
        let started = Instant::now();
        while !self.client.at_rest(case).await.unwrap() {
            self.not_for_ever(case, started).await;
        }
    }

    /// The case's status once nothing is under way in it. Before that the status depends on the machine.
    pub async fn status(&self, case: &str) -> Status {
        let started = Instant::now();
        loop {
            if let Some(status) = self.client.status_at_rest(case).await.unwrap() {
                return status;
            }
            self.not_for_ever(case, started).await;
        }
    }

    async fn not_for_ever(&self, case: &str, started: Instant) {
        // A worker tries an effect of a killed worker again after its time-out; nothing takes longer.
        assert!(started.elapsed() < Duration::from_mins(1), "{case} never gets quiet");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    /// Waits until a case that another one has just started exists and is open. If an earlier case had the same id, the other
    /// case must be [`quiet`](Self::quiet) first.
    pub async fn opened(&self, case: &str) -> Status {
        let started = Instant::now();
        loop {
            match self.client.status(case).await {
                Ok(status) if !status.is_opening() => return status,
                Ok(_) | Err(ClientError::NotFound { .. }) => {}
                Err(error) => panic!("{case}: {error}"),
            }
            assert!(started.elapsed() < PATIENCE, "{case} never opens");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The whole ledger is sound.
    pub async fn check_money(&self) {
        let report = self.ledger.check().await.unwrap();
        assert!(report.is_sound(), "{report:?}");
    }
}

/// The URL of an empty database, and its folder: a file, or a database on the server of `RECOURSE_TEST_POSTGRES`, which deletes
/// its databases when it ends.
pub async fn new_database() -> (String, Option<tempfile::TempDir>) {
    let Ok(server) = std::env::var("RECOURSE_TEST_POSTGRES") else {
        let directory = tempfile::tempdir().unwrap();
        return (format!("sqlite:{}", directory.path().join("recourse.db").display()), Some(directory));
    };
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&server).await.unwrap();
    let name = unique("world").replace('-', "_");
    let sql = format!("CREATE DATABASE {name}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let (server, _) = server.rsplit_once('/').unwrap();
    (format!("{server}/{name}"), None)
}

/// A program of this workspace, built beside this test.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join(name);
    assert!(path.exists(), "{} is not built; run `make build` first, or `make test`", path.display());
    path
}
