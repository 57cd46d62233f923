//! The real programs that figures measure: one server, mostly without a database file, our worker, and the bare one.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use recourse_activities::EscrowActivities;
use recourse_client::{Client, Config};
use recourse_database::Database;
use recourse_ledger::Ledger;
use recourse_local::{LocalServer, ServerOptions, WorkerOptions, WorkerProcess};
use recourse_payments::SandboxBank;
use recourse_workflows::effects::DepositOrder;
use temporalio_client::{
    Client as Temporal, UntypedQuery, UntypedUpdate, UntypedWorkflow, UntypedWorkflowHandle,
    WorkflowExecuteUpdateOptions, WorkflowGetResultOptions, WorkflowQueryOptions, WorkflowStartOptions,
    grpc::WorkflowService as _,
    tonic::{Code, IntoRequest as _},
};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{
        common::v1::WorkflowExecution, enums::v1::EventType, workflowservice::v1::GetWorkflowExecutionHistoryRequest,
    },
};
use tokio::sync::Mutex;

use crate::bare::{self, Bare, Shape};

/// The ticks of processor time in a second: the value of `getconf CLK_TCK` on Linux.
const TICKS: f64 = 100.0;

/// Everything that a case needs.
pub struct Parts {
    /// The client of the command line.
    pub client: Client,
    /// Writes the ledger directly, without the worker.
    escrow: Mutex<EscrowActivities>,
    /// Our worker.
    pub worker: WorkerProcess,
    /// The bare worker.
    pub bare: WorkerProcess,
    /// The server.
    pub server: LocalServer,
    /// The URL of the ledger.
    pub database_url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Parts {
    /// Starts them with empty databases.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let parts = Self::start_in(folder.path(), ServerOptions::default()).await?;
        Ok(Self { _folder: Some(folder), ..parts })
    }

    /// Starts them with their ledger in this folder.
    pub async fn start_in(folder: &Path, server: ServerOptions) -> anyhow::Result<Self> {
        let server = LocalServer::start(server).await?;
        let client = Client::connect(Config { address: Some(server.address()), ..Config::default() }).await?;
        let database_url = format!("sqlite:{}", folder.join("recourse.db").display());
        let database = Database::connect(&database_url).await?;
        recourse_ledger::set_up(&database).await?;
        let worker = worker(&server, &database_url, &[]).await?;
        let bare = bare_worker(&server, &[]).await?;
        let escrow = EscrowActivities::new(Ledger::new(database.clone()), Arc::new(SandboxBank::new(database)));
        Ok(Self { client, escrow: Mutex::new(escrow), worker, bare, server, database_url, _folder: None })
    }

    /// Makes a deposit, which is not measured. One at a time: the worker writes there too, and nobody should wait long for the
    /// lock.
    pub async fn deposit(&self, order: &DepositOrder) -> anyhow::Result<()> {
        self.escrow.lock().await.make_deposit(order).await?;
        Ok(())
    }

    /// Replaces both workers by new ones, which have no case in memory.
    pub async fn forget(&mut self) -> anyhow::Result<()> {
        let env = [(bare::CACHED, "0")];
        let next = worker(&self.server, &self.database_url, &env).await?;
        std::mem::replace(&mut self.worker, next).stop().await?;
        let next = bare_worker(&self.server, &env).await?;
        std::mem::replace(&mut self.bare, next).stop().await?;
        Ok(())
    }

    /// Begins a bare workflow.
    pub async fn begin_bare(&self, shape: Shape) -> anyhow::Result<BareCase> {
        let id = unique("bare");
        let options = WorkflowStartOptions::new(bare::QUEUE, id.clone()).build();
        self.client.temporal().start_workflow(Bare::run, shape, options).await?;
        Ok(BareCase::of(self, id))
    }

    /// Waits until the workflow has started this many timers, without asking a worker.
    pub async fn waits(&self, workflow: &str, timers: usize) -> anyhow::Result<()> {
        // Not the bare service: the server closes each connection after five minutes, and a caller must then ask again.
        let mut service = self.client.temporal().connection().clone();
        let mut request = GetWorkflowExecutionHistoryRequest {
            namespace: self.client.namespace().to_owned(),
            execution: Some(WorkflowExecution { workflow_id: workflow.to_owned(), run_id: String::new() }),
            wait_new_event: true,
            ..GetWorkflowExecutionHistoryRequest::default()
        };
        let mut seen = 0;
        loop {
            let page = match service.get_workflow_execution_history(request.clone().into_request()).await {
                Ok(page) => page.into_inner(),
                // A child that is about to begin.
                Err(status) if status.code() == Code::NotFound => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
                Err(status) => return Err(status.into()),
            };
            let events = page.history.map(|history| history.events).unwrap_or_default();
            seen += events.iter().filter(|event| event.event_type() == EventType::TimerStarted).count();
            if seen >= timers {
                return Ok(());
            }
            anyhow::ensure!(!page.next_page_token.is_empty(), "{workflow} ended, and did not wait");
            request.next_page_token = page.next_page_token;
        }
    }
}

/// A `recourse-worker` with this ledger, and these additional environment variables.
pub async fn worker(server: &LocalServer, database_url: &str, env: &[(&str, &str)]) -> anyhow::Result<WorkerProcess> {
    let mut options = WorkerOptions::new(server.address(), database_url);
    options.env.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    options.binary = Some(program("recourse-worker")?);
    Ok(WorkerProcess::start(options).await?)
}

/// The bare worker, with these additional environment variables.
async fn bare_worker(server: &LocalServer, env: &[(&str, &str)]) -> anyhow::Result<WorkerProcess> {
    let mut options = WorkerOptions::new(server.address(), "");
    let role = [(bare::ROLE, "1")];
    options.env.extend(role.iter().chain(env).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    options.binary = Some(std::env::current_exe()?);
    Ok(WorkerProcess::start(options).await?)
}

/// A bare workflow that has begun.
pub struct BareCase {
    /// Its id.
    pub id: String,
    handle: UntypedWorkflowHandle<Temporal>,
}

impl BareCase {
    /// The one with this id.
    pub fn of(parts: &Parts, id: String) -> Self {
        let handle = parts.client.temporal().get_workflow_handle::<UntypedWorkflow>(&id);
        Self { id, handle }
    }

    /// Sends it a command, and waits for the answer.
    pub async fn act(&self) -> anyhow::Result<()> {
        let (act, options) = (UntypedUpdate::new("act"), WorkflowExecuteUpdateOptions::builder().build());
        self.handle.execute_update(act, RawValue::new(Vec::new()), options).await?;
        Ok(())
    }

    /// Sends it a query, which its worker answers.
    pub async fn ask(&self) -> anyhow::Result<()> {
        let (status, options) = (UntypedQuery::new("status"), WorkflowQueryOptions::builder().build());
        self.handle.query(status, RawValue::new(Vec::new()), options).await?;
        Ok(())
    }

    /// Waits until it has ended.
    pub async fn ended(&self) -> anyhow::Result<()> {
        self.handle.get_result(WorkflowGetResultOptions::default()).await?;
        Ok(())
    }
}

/// A name that nothing else has, in this run of the bench or another.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    static RUN: LazyLock<i64> = LazyLock::new(|| jiff::Timestamp::now().as_second());
    format!("{name}-{}-{}", *RUN, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A program of this workspace, built beside this one.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let bench = std::env::current_exe()?;
    let path = bench.ancestors().nth(2).map(|folder| folder.join(name)).unwrap_or_default();
    anyhow::ensure!(path.exists(), "{} is not built; run `make bench`", path.display());
    Ok(path)
}

/// The processor time of a process up to now, in seconds.
pub fn processor_time(pid: Option<u32>) -> anyhow::Result<f64> {
    let pid = pid.ok_or_else(|| anyhow::anyhow!("the process has ended"))?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may have spaces; the fields after it have none.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |index: usize| -> anyhow::Result<f64> { Ok(fields.get(index).copied().unwrap_or_default().parse()?) };
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}

/// The present memory of a process, in bytes.
pub fn memory(pid: Option<u32>) -> anyhow::Result<f64> {
    let pid = pid.ok_or_else(|| anyhow::anyhow!("the process has ended"))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.split_whitespace().next().unwrap_or_default().parse::<f64>()? * 1024.0)
}
