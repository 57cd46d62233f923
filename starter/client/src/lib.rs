//! The typed client of the command line, the API and the console: it starts cases, gives commands, and reads statuses, results
//! and lists.
//!
//! It decides nothing. To Temporal's own client it adds the wire contract: ids, types, the receipt time of a command (T2),
//! update ids that make a repeated command one command (L7), and errors that say what to do.

mod changes;
mod commands;
mod described;
mod error;
mod find;
pub mod hex;
mod judge;
mod kind;
mod list;
pub mod money;
mod orders;
mod plain;
mod policy;
mod rest;
mod setup;
mod start;
mod time;
mod timers;
pub mod words;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use recourse_domain::{
    case::Particulars,
    messages::Status,
    money::Currency,
    outcome::{Outcome, ResultKind},
};
use recourse_programs::temporal::{self, ConnectOptions, PayloadKeys, codec};
use serde::de::DeserializeOwned;
use temporalio_client::{
    Client as Temporal, RpcOptions, UntypedQuery, UntypedWorkflowHandle, WorkflowExecutionInfo,
    WorkflowGetResultOptions, WorkflowQueryOptions,
    errors::WorkflowQueryError,
    grpc::WorkflowService,
    tonic::{Code, IntoRequest as _, Response},
};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{
        common::v1::WorkflowExecution,
        enums::v1::PendingActivityState,
        workflow::v1::PendingActivityInfo,
        workflowservice::v1::{DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse},
    },
};

pub use changes::Changes;
pub use error::{ClientError, RefusalName};
pub use kind::{CaseId, check_command};
pub use list::{CasePage, CaseRow, Filters};
pub use money::{CaseStatus, Money};
pub use orders::{Order, Ordered};
pub use start::{Start, Started};

use find::Place;
pub use time::Advanced;

/// How long a connection may take. Nobody should wait minutes to learn that there is no server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a worker may take to answer a query or an update. A running worker answers in milliseconds. If the server gave the
/// case's last task to a worker that has just stopped, another worker gets it when the task times out, after 10 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the client repeats calls if the server is in trouble.
const RETRY_TIMEOUT: Duration = Duration::from_secs(5);

/// Where to connect. The standard Temporal environment variables or `temporal.toml` give what is absent.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The server, as `host:port`.
    pub address: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The keys that encrypt payloads.
    pub keys: Option<PayloadKeys>,
}

/// A connected client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    temporal: Temporal,
    address: String,
}

impl Client {
    /// Connects to the Temporal server.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] within seconds if nothing answers there.
    pub async fn connect(config: Config) -> Result<Self, ClientError> {
        let options = ConnectOptions {
            address: config.address,
            namespace: config.namespace,
            keys: config.keys,
            identity: Some("recourse"),
            retry_for: Some(RETRY_TIMEOUT),
            ..ConnectOptions::patient(CONNECT_TIMEOUT)
        };
        let (temporal, address) = temporal::connect(options).await?;
        Ok(Self { temporal, address })
    }

    /// Where this client is connected, as `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.temporal.options().namespace
    }

    /// Temporal's own client, for everything that this one does not do.
    pub fn temporal(&self) -> &Temporal {
        &self.temporal
    }

    /// Waits until the case has ended, and reads its outcome.
    ///
    /// # Errors
    /// [`ClientError::Stopped`] if somebody stopped its workflow.
    pub async fn result(&self, case: &str) -> Result<Outcome, ClientError> {
        let place = self.find(case).await?;
        self.result_at(case, place).await
    }

    /// The same for the workflow that was just started, whether a rule refused it or not.
    ///
    /// # Errors
    /// As [`result`](Self::result).
    pub async fn result_of(&self, started: &Started) -> Result<Outcome, ClientError> {
        self.result_at(&started.case, started.place()).await
    }

    async fn result_at(&self, case: &str, place: Place) -> Result<Outcome, ClientError> {
        let result = self.handle_at(place).get_result(WorkflowGetResultOptions::default()).await;
        read_payload(case, &result.map_err(|error| self.result_error(case, error))?)
    }

    /// Reads the status of an open or closed case. A worker must run.
    pub async fn status(&self, case: &str) -> Result<Status, ClientError> {
        let (workflow_id, number) = find::parts(case);
        if number.is_some() {
            return self.status_at(case, &self.find(case).await?).await;
        }
        let newest = Place { workflow_id: workflow_id.to_owned(), run_id: None };
        let answer = self.status_at(case, &newest).await;
        match &answer {
            Ok(status) if status.outcome.as_ref().is_none_or(|outcome| outcome.result != ResultKind::Refused) => {
                return answer;
            }
            Err(ClientError::NotFound { .. } | ClientError::NoWorker { .. }) => return answer,
            // A start that a rule refused, or that nobody could read, hides no accepted case (L8).
            _ => {}
        }
        match self.find(case).await? {
            accepted @ Place { run_id: Some(_), .. } => self.status_at(case, &accepted).await,
            Place { run_id: None, .. } => answer,
        }
    }

    async fn status_at(&self, case: &str, place: &Place) -> Result<Status, ClientError> {
        let started = Instant::now();
        loop {
            let query = UntypedQuery::new("status");
            let options = WorkflowQueryOptions::builder().rpc_options(answering()).build();
            let handle = self.handle_at(place.clone());
            let asked = handle.query(query, RawValue::new(Vec::new()), options);
            let Ok(answer) = tokio::time::timeout(ANSWER_TIMEOUT, asked).await else {
                return Err(self.explained_query(ClientError::no_worker(case)).await);
            };
            match answer {
                Ok(status) => return self.read_status(case, &status).await,
                // Nobody can ask a new case before a worker has run its first task. And while a task of a case is under way,
                // the server lets only a few queries wait.
                Err(WorkflowQueryError::Rpc(status))
                    if matches!(status.code(), Code::FailedPrecondition | Code::ResourceExhausted)
                        && started.elapsed() < ANSWER_TIMEOUT =>
                {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(self.explained_query(self.query_error(case, error)).await),
            }
        }
    }

    /// A status as a case gave it, with the id of the case's own dispute (L8).
    async fn read_status(&self, case: &str, raw: &RawValue) -> Result<Status, ClientError> {
        let status: Status = read_payload(case, raw)?;
        let Some(workflow_id) = &status.dispute else { return Ok(status) };
        let dispute = Some(self.dispute_of(&status, workflow_id).await);
        let particulars = Particulars { dispute, ..status.particulars };
        Ok(Status { particulars, ..status })
    }

    /// Waits until the status is the wanted one, for at most `patience`; otherwise returns the last status.
    pub async fn wait_for(
        &self,
        case: &str,
        patience: Duration,
        wanted: impl Fn(&Status) -> bool,
    ) -> Result<Status, ClientError> {
        until(patience, || self.status(case), wanted).await
    }

    /// The same for the workflow that was just started, whether a rule refused it or not.
    pub async fn wait_for_start(
        &self,
        started: &Started,
        patience: Duration,
        wanted: impl Fn(&Status) -> bool,
    ) -> Result<Status, ClientError> {
        let place = started.place();
        until(patience, || self.status_at(&started.case, &place), wanted).await
    }

    /// The case's own present time: the wall clock's, or a later one if the case's clock was fast-forwarded.
    pub async fn virtual_now(&self, case: &str) -> Result<Timestamp, ClientError> {
        Ok(described::now_of(&self.describe(case).await?))
    }

    /// The currency of the case's amounts, as lists show it. A deposit has no status that could show it.
    pub async fn currency(&self, case: &str) -> Result<Option<Currency>, ClientError> {
        let described = self.describe(case).await?;
        Ok(described.workflow_execution_info.and_then(|info| list::currency_of(&info)))
    }

    /// The case as a list would show it, and the case's own present time.
    pub async fn row(&self, case: &str) -> Result<(CaseRow, Timestamp), ClientError> {
        let described = self.describe(case).await?;
        let now = described::now_of(&described);
        let info = described.workflow_execution_info;
        let row = info.as_ref().map(list::row).ok_or_else(|| ClientError::NotFound { case: case.to_owned() })?;
        Ok((row, now))
    }

    /// If there was no answer because the case is stuck, or does something else first, the error that says so; otherwise the
    /// error as it is.
    ///
    /// The server gives the same error for a case without a worker, for one whose worker fails, and for one that waits for an
    /// order. The server's description of the case shows the difference.
    pub async fn explained(&self, error: ClientError) -> ClientError {
        let ClientError::NoWorker { case, .. } = &error else { return error };
        let Ok(mut described) = self.describe(case).await else { return error };
        self.failures_in_plain(&mut described).await;
        task_fails(case, &described).or_else(|| busy(case, &described)).unwrap_or(error)
    }

    /// The same for a query. A worker answers a query whatever the case waits for.
    async fn explained_query(&self, error: ClientError) -> ClientError {
        match self.explained(error.clone()).await {
            ClientError::Busy { .. } => error,
            explained => explained,
        }
    }

    /// The server's description of the case. The SDK's own description fails for a case whose summary is encrypted, as a
    /// dispute's is.
    async fn describe(&self, case: &str) -> Result<DescribeWorkflowExecutionResponse, ClientError> {
        let (workflow_id, number) = find::parts(case);
        let newest = self.describe_run(case, workflow_id, "").await?;
        match self.place(case, (workflow_id, number), &newest).await?.run_id {
            Some(run) => self.describe_run(case, workflow_id, run.as_str()).await,
            None => Ok(newest),
        }
    }

    /// The server's description of a run of a workflow; of the newest run if none is named.
    async fn describe_run(
        &self,
        case: &str,
        workflow_id: &str,
        run_id: &str,
    ) -> Result<DescribeWorkflowExecutionResponse, ClientError> {
        let execution = WorkflowExecution { workflow_id: workflow_id.to_owned(), run_id: run_id.to_owned() };
        let request =
            DescribeWorkflowExecutionRequest { namespace: self.namespace().to_owned(), execution: Some(execution) };
        let described = self.service().describe_workflow_execution(request.into_request()).await;
        described.map(Response::into_inner).map_err(|status| self.rpc_error(case, &status))
    }

    /// The case's workflow, for commands. A bare id means its newest run. No other run can be open.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    async fn handle(&self, case: &str) -> Result<UntypedWorkflowHandle<Temporal>, ClientError> {
        let (workflow_id, number) = find::parts(case);
        Ok(self.handle_at(match number {
            Some(_) => self.find(case).await?,
            None => Place { workflow_id: workflow_id.to_owned(), run_id: None },
        }))
    }

    fn handle_at(&self, Place { workflow_id, run_id }: Place) -> UntypedWorkflowHandle<Temporal> {
        let info = WorkflowExecutionInfo::builder().namespace(self.namespace()).workflow_id(workflow_id);
        info.maybe_run_id(run_id).build().bind_untyped(self.temporal.clone())
    }

    /// Repeats a call where that is harmless. The bare service does not, and a server closes each connection after some
    /// minutes.
    fn service(&self) -> Box<dyn WorkflowService> {
        Box::new(self.temporal.connection().clone())
    }
}

/// Asks until the status is the wanted one, for at most `patience`; otherwise returns the last status.
async fn until<Asked>(
    patience: Duration,
    ask: impl Fn() -> Asked,
    wanted: impl Fn(&Status) -> bool,
) -> Result<Status, ClientError>
where
    Asked: Future<Output = Result<Status, ClientError>>,
{
    let started = Instant::now();
    let mut pause = Duration::from_millis(10);
    loop {
        let status = ask().await?;
        if wanted(&status) || started.elapsed() > patience {
            return Ok(status);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

/// The error if the case's workflow task has failed and the server tries it again.
fn task_fails(case: &str, described: &DescribeWorkflowExecutionResponse) -> Option<ClientError> {
    let attempt = described.pending_workflow_task.as_ref()?.attempt;
    (attempt >= 2).then(|| ClientError::TaskFails { case: case.to_owned(), attempt })
}

/// The order that a worker has begun for the case, if the case waits for nothing else. If no worker has begun the order, or
/// nobody takes the workflow task, there is no worker.
fn busy(case: &str, described: &DescribeWorkflowExecutionResponse) -> Option<ClientError> {
    if described.pending_workflow_task.is_some() {
        return None;
    }
    let taken_on = |activity: &&PendingActivityInfo| {
        activity.state() != PendingActivityState::Scheduled || activity.last_failure.is_some()
    };
    let activity = described.pending_activities.iter().find(taken_on)?;
    Some(ClientError::Busy {
        case: case.to_owned(),
        activity: activity.activity_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
        attempt: activity.attempt,
        failure: activity.last_failure.as_ref().map(|failure| failure.message.clone()),
    })
}

/// A call that a worker answers.
fn answering() -> RpcOptions {
    RpcOptions::builder().timeout(ANSWER_TIMEOUT).build()
}

fn read_payload<T: DeserializeOwned>(case: &str, raw: &RawValue) -> Result<T, ClientError> {
    let payload = raw.payloads.first();
    if payload.is_some_and(codec::is_encrypted) {
        return Err(plain::no_keys(case));
    }
    let json = payload.map(|payload| payload.data.as_slice()).unwrap_or_default();
    serde_json::from_slice(json).map_err(|error| ClientError::Unexpected {
        message: format!("{case} answered something else than this version of recourse understands: {error}"),
    })
}

#[cfg(test)]
mod tests;
