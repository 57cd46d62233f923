//! Starting a case. The same id means the same case while it runs.

use recourse_domain::{
    ids::{CaseKind, dispute_id, escrow_deposit_id, milestone_review_id, payment_refund_id, refund_request_id},
    messages::{DisputeStart, EscrowDepositStart, MilestoneReviewStart, PaymentRefundStart, RefundRequestStart},
    party::Contract,
};
use recourse_workflows::{TASK_QUEUE, attributes};
use serde::Serialize;
use serde_json::{Value, json};
use temporalio_client::{
    UntypedWorkflow, WorkflowIdConflictPolicy, WorkflowStartOptions,
    errors::WorkflowStartError,
    tonic::{Code, IntoRequest as _},
};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{
        common::v1::{Payload, WorkflowExecution},
        enums::v1::WorkflowExecutionStatus,
        history::v1::history_event::Attributes,
        workflowservice::v1::GetWorkflowExecutionHistoryRequest,
    },
};

use super::{Client, ClientError, find::Place};

/// The result of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The case's id.
    pub case: String,
    /// Whether it already ran. Then this start has not changed it, and its content has no effect.
    pub already_running: bool,
    /// Whether the running case was started with the same content.
    pub same: bool,
    /// The run that this start began; none if the case already ran.
    pub run_id: Option<String>,
}

impl Started {
    /// Where the case is.
    pub(super) fn place(&self) -> Place {
        Place { workflow_id: self.case.clone(), run_id: self.run_id.clone() }
    }
}

/// The start of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A client puts money in escrow.
    Deposit(EscrowDepositStart),
    /// A contract has ended.
    RefundRequest(RefundRequestStart),
    /// A freelancer claims money in escrow.
    Dispute(DisputeStart),
    /// A freelancer submits a milestone.
    MilestoneReview(MilestoneReviewStart),
    /// A client asks for released money back.
    PaymentRefund(PaymentRefundStart),
}

impl Start {
    /// What the case is about.
    pub const fn kind(&self) -> CaseKind {
        match self {
            Self::Deposit(_) => CaseKind::EscrowDeposit,
            Self::RefundRequest(_) => CaseKind::RefundRequest,
            Self::Dispute(_) => CaseKind::Dispute,
            Self::MilestoneReview(_) => CaseKind::MilestoneReview,
            Self::PaymentRefund(_) => CaseKind::PaymentRefund,
        }
    }

    /// The contract.
    pub const fn contract(&self) -> &Contract {
        match self {
            Self::Deposit(start) => &start.contract,
            Self::RefundRequest(start) => &start.contract,
            Self::Dispute(start) => &start.contract,
            Self::MilestoneReview(start) => &start.contract,
            Self::PaymentRefund(start) => &start.contract,
        }
    }

    /// The workflow id.
    pub fn case(&self) -> String {
        match self {
            Self::Deposit(start) => escrow_deposit_id(&start.contract.id, &start.deposit),
            Self::RefundRequest(start) => refund_request_id(&start.contract.id),
            Self::Dispute(start) => dispute_id(&start.contract.id, start.milestone.as_ref()),
            Self::MilestoneReview(start) => milestone_review_id(&start.contract.id, &start.milestone.id),
            Self::PaymentRefund(start) => payment_refund_id(&start.payment),
        }
    }

    fn payload(&self) -> Result<Payload, ClientError> {
        match self {
            Self::Deposit(start) => json_payload(start),
            Self::RefundRequest(start) => json_payload(start),
            Self::Dispute(start) => json_payload(start),
            Self::MilestoneReview(start) => json_payload(start),
            Self::PaymentRefund(start) => json_payload(start),
        }
    }

    fn summary(&self) -> String {
        let contract = &self.contract().id;
        match self {
            Self::Deposit(start) => format!("Deposit {} of contract {contract}", start.deposit),
            Self::RefundRequest(_) => format!("Refund request of contract {contract}"),
            Self::Dispute(_) => format!("Dispute of contract {contract}"),
            Self::MilestoneReview(start) => {
                format!("Review of milestone {} of contract {contract}", start.milestone.id)
            }
            Self::PaymentRefund(start) => format!("Refund of payment {} of contract {contract}", start.payment),
        }
    }
}

impl From<EscrowDepositStart> for Start {
    fn from(start: EscrowDepositStart) -> Self {
        Self::Deposit(start)
    }
}

impl From<RefundRequestStart> for Start {
    fn from(start: RefundRequestStart) -> Self {
        Self::RefundRequest(start)
    }
}

impl From<DisputeStart> for Start {
    fn from(start: DisputeStart) -> Self {
        Self::Dispute(start)
    }
}

impl From<MilestoneReviewStart> for Start {
    fn from(start: MilestoneReviewStart) -> Self {
        Self::MilestoneReview(start)
    }
}

impl From<PaymentRefundStart> for Start {
    fn from(start: PaymentRefundStart) -> Self {
        Self::PaymentRefund(start)
    }
}

impl Client {
    /// Starts the case and returns its id. If it already runs, this does not change it.
    ///
    /// # Errors
    /// [`ClientError::SearchAttributesMissing`] on a server that was not set up.
    pub async fn start(&self, start: impl Into<Start>) -> Result<String, ClientError> {
        self.start_or_find(start).await.map(|started| started.case)
    }

    /// Whether the running case with this start's id was started with the same content.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] if it no longer exists.
    pub async fn began_with(&self, case: &str, start: &Start) -> Result<bool, ClientError> {
        let described = self.describe(case).await?.workflow_execution_info.unwrap_or_default();
        let execution = WorkflowExecution { workflow_id: case.to_owned(), run_id: described.first_run_id };
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: self.namespace().to_owned(),
            execution: Some(execution),
            maximum_page_size: 1,
            ..GetWorkflowExecutionHistoryRequest::default()
        };
        let history = self.service().get_workflow_execution_history(request.into_request()).await;
        let history = history.map_err(|status| self.rpc_error(case, &status))?.into_inner().history;
        let first = history.and_then(|history| history.events.into_iter().next()).and_then(|event| event.attributes);
        let Some(Attributes::WorkflowExecutionStartedEventAttributes(began)) = first else { return Ok(false) };
        let Some(input) = began.input.and_then(|input| input.payloads.into_iter().next()) else { return Ok(false) };
        let before = comparable(&self.plain(input).await?.data);
        Ok(before.is_some() && before == comparable(&start.payload()?.data))
    }

    /// Whether a case runs under this id now.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub async fn is_running(&self, case: &str) -> Result<bool, ClientError> {
        match self.describe(case).await {
            Ok(described) => {
                let info = described.workflow_execution_info.unwrap_or_default();
                Ok(info.status() == WorkflowExecutionStatus::Running)
            }
            Err(ClientError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Starts the case unless it already runs, and says which happened.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_or_find(&self, start: impl Into<Start>) -> Result<Started, ClientError> {
        let start = start.into();
        let case = start.case();
        let options = WorkflowStartOptions::new(TASK_QUEUE, case.clone())
            .id_conflict_policy(WorkflowIdConflictPolicy::Fail)
            .search_attributes(attributes::at_start(start.kind(), start.contract()))
            .static_summary(start.summary())
            .build();
        let workflow = UntypedWorkflow::new(start.kind().workflow_type());
        let input = RawValue::new(vec![start.payload()?]);
        match self.temporal.start_workflow(workflow, input, options).await {
            Ok(handle) => {
                let run_id = handle.run_id().map(ToOwned::to_owned);
                Ok(Started { case, already_running: false, same: true, run_id })
            }
            Err(WorkflowStartError::AlreadyStarted { .. }) => {
                let same = self.began_with(&case, &start).await?;
                Ok(Started { case, already_running: true, same, run_id: None })
            }
            Err(WorkflowStartError::Rpc(status)) => Err(match status.code() {
                Code::InvalidArgument => self.or_missing_attributes(&case, &status).await,
                // The namespace is unknown, not the case.
                Code::NotFound => ClientError::Configuration { message: status.message().to_owned() },
                _ => self.rpc_error(&case, &status),
            }),
            Err(other) => Err(ClientError::Unexpected { message: format!("{case}: {other}") }),
        }
    }
}

/// A start's JSON without the parts that may differ between equal starts: names, which do not decide whose money it is, and
/// facts that the ledger knows better.
fn comparable(json: &[u8]) -> Option<Value> {
    let mut start: Value = serde_json::from_slice(json).ok()?;
    let fields = start.as_object_mut()?;
    fields.remove("released_at");
    if let Some(contract) = fields.get_mut("contract") {
        let id = |path: &str| contract.pointer(path).cloned().unwrap_or_default();
        *contract =
            json!([id("/id"), id("/currency"), id("/client/id"), id("/freelancer/id"), id("/freelancer/agency/id")]);
    }
    Some(start)
}

/// A `json/plain` payload.
pub(super) fn json_payload(value: &impl Serialize) -> Result<Payload, ClientError> {
    let json = serde_json::to_vec(value)
        .map_err(|error| ClientError::Unexpected { message: format!("this cannot be written as JSON: {error}") })?;
    Ok(payload_of(json))
}

pub(super) fn payload_of(json: Vec<u8>) -> Payload {
    let metadata = [("encoding".to_owned(), b"json/plain".to_vec())].into();
    Payload { metadata, data: json, ..Payload::default() }
}
