//! The errors between this program and a case, what to do about each, and its exit code.

use std::{error::Error, fmt};

use recourse_domain::{command::RefusalKind, ids::CaseKind};
use recourse_programs::temporal::{ConnectError, codec::CodecError};
use temporalio_client::{
    errors::{WorkflowGetResultError, WorkflowInteractionError, WorkflowQueryError, WorkflowUpdateError},
    tonic::{Code, Status as RpcStatus},
};
use temporalio_common::protos::temporal::api::failure::v1::Failure;

use super::{ANSWER_TIMEOUT, CaseId, Client};

/// Why a request to a case failed. [`hint`](Self::hint) says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nothing answers at this address.
    #[error("the Temporal server at {address} cannot be reached: {reason}")]
    Unreachable {
        /// The server, as `host:port`.
        address: String,
        /// Why.
        reason: String,
    },
    /// The environment or `temporal.toml` cannot be used.
    #[error("the connection's configuration cannot be used: {message}")]
    Configuration {
        /// What is wrong.
        message: String,
    },
    /// There is no such case.
    #[error("there is no case {case}")]
    NotFound {
        /// The workflow id that was asked for.
        case: String,
    },
    /// No case can have this id.
    #[error("\"{case}\" is not the id of a case")]
    NoCaseId {
        /// What was given.
        case: String,
    },
    /// The command was refused. Nothing has moved.
    #[error("{name}: {message}")]
    Refused {
        /// Which refusal.
        name: RefusalName,
        /// Why, by which rule, and what the sender can do now.
        message: String,
        /// Where to look.
        hint: Option<String>,
    },
    /// No worker answered in time.
    #[error("no worker has answered for {case}: {reason}")]
    NoWorker {
        /// The case.
        case: String,
        /// What was waited for.
        reason: String,
    },
    /// A worker runs, but first does something that the case has ordered.
    #[error("{case} is still busy with {activity}, in attempt {attempt}{}", last_failure(failure.as_deref()))]
    Busy {
        /// The case.
        case: String,
        /// What it has ordered, such as `Escrow.open`.
        activity: String,
        /// How often that was tried, this time included.
        attempt: i32,
        /// Why the last try failed.
        failure: Option<String>,
    },
    /// A worker runs, but cannot continue this case.
    #[error("{case} does not go on: its workflow task fails, now in attempt {attempt}")]
    TaskFails {
        /// The case.
        case: String,
        /// How often it was tried.
        attempt: i32,
    },
    /// The server does not know the search attributes of cases.
    #[error("the Temporal server does not know the search attributes {}", names.join(", "))]
    SearchAttributesMissing {
        /// The unknown attributes.
        names: Vec<&'static str>,
    },
    /// The case's workflow did not end by itself.
    #[error("the workflow of {case} was {how}")]
    Stopped {
        /// The case.
        case: String,
        /// What happened to it.
        how: String,
    },
    /// The server does not allow fast-forwarding clocks.
    #[error("the Temporal server at {address} does not allow time skipping")]
    NoTimeSkipping {
        /// The server.
        address: String,
    },
    /// This is not the `next` of a list's page.
    #[error("\"{page}\" is not the next page of a list")]
    InvalidPage {
        /// What was given.
        page: String,
    },
    /// Another error.
    #[error("{message}")]
    Unexpected {
        /// What.
        message: String,
    },
}

/// The name with which a refusal's message begins on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RefusalName(pub RefusalKind);

impl fmt::Display for RefusalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl ClientError {
    /// The error's name for programs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Configuration { .. } => "configuration",
            Self::NotFound { .. } | Self::NoCaseId { .. } => "not_found",
            Self::Refused { .. } => "refused",
            Self::NoWorker { .. } => "no_worker",
            Self::Busy { .. } => "busy",
            Self::TaskFails { .. } => "task_fails",
            Self::SearchAttributesMissing { .. } => "search_attributes_missing",
            Self::Stopped { .. } => "stopped",
            Self::NoTimeSkipping { .. } => "no_time_skipping",
            Self::InvalidPage { .. } => "invalid_page",
            Self::Unexpected { .. } => "unexpected",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unreachable { .. } => {
                "start a server with `make dev` or `temporal server start-dev`, or set TEMPORAL_ADDRESS"
            }
            Self::Configuration { .. } => {
                "see TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and temporal.toml, and RECOURSE_PAYLOAD_KEYS_FILE"
            }
            Self::NotFound { .. } => "`recourse list` shows the cases there are",
            Self::NoCaseId { .. } => {
                "cases are milestone-review:CONTRACT:MILESTONE, refund-request:CONTRACT, dispute:CONTRACT, \
                 dispute:CONTRACT:MILESTONE, payment-refund:PAYMENT and escrow-deposit:CONTRACT:DEPOSIT; `recourse list` \
                 shows those there are"
            }
            Self::Refused { hint, .. } => return hint.clone(),
            Self::NoWorker { .. } => "start a worker with `recourse-worker`, then try again",
            Self::Busy { .. } => {
                "a command is taken as soon as that is done: try again in a moment. If it stays so, see the worker's log"
            }
            Self::TaskFails { .. } => {
                "see why at the case in the Web UI and in the worker's log; nothing is lost, and the case goes on by \
                 itself when the cause is gone"
            }
            Self::SearchAttributesMissing { .. } => "register them with `recourse setup`",
            Self::Stopped { case, .. } => return Some(after_a_stop(case)),
            Self::NoTimeSkipping { .. } => {
                "`recourse dev` starts a server that does (dynamic config frontend.WorkflowTimeSkippingEnabled)"
            }
            Self::InvalidPage { .. } => "give the `next` of the page before as it was printed",
            Self::Unexpected { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// The exit code of the command line: 1 refused or not found, 2 usage, 3 something necessary is not available.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. }
            | Self::NoCaseId { .. }
            | Self::Refused { .. }
            | Self::Stopped { .. }
            | Self::NoTimeSkipping { .. } => 1,
            Self::Configuration { .. } | Self::InvalidPage { .. } => 2,
            Self::Unreachable { .. }
            | Self::NoWorker { .. }
            | Self::Busy { .. }
            | Self::TaskFails { .. }
            | Self::SearchAttributesMissing { .. }
            | Self::Unexpected { .. } => 3,
        }
    }

    pub(super) fn refused(kind: RefusalKind, message: impl Into<String>, hint: Option<String>) -> Self {
        Self::Refused { name: RefusalName(kind), message: message.into(), hint }
    }

    pub(super) fn no_worker(case: &str) -> Self {
        Self::NoWorker { case: case.to_owned(), reason: format!("no answer in {} s", ANSWER_TIMEOUT.as_secs()) }
    }

    fn stopped(case: &str, how: impl Into<String>) -> Self {
        Self::Stopped { case: case.to_owned(), how: how.into() }
    }

    /// Reads `NotAllowed: …` and its like. This text is all of a refusal that reaches a caller.
    fn read_refusal(text: &str) -> Option<Self> {
        let kinds = [RefusalKind::NotAllowed, RefusalKind::TooLate, RefusalKind::Invalid, RefusalKind::AlreadyAnswered];
        kinds.into_iter().find_map(|kind| {
            let message = text.strip_prefix(kind.name())?.strip_prefix(": ")?;
            Some(Self::refused(kind, message, None))
        })
    }
}

impl From<ConnectError> for ClientError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Unreachable { address, reason } => Self::Unreachable { address, reason },
            ConnectError::Configuration { message } => Self::Configuration { message },
            ConnectError::Keys(keys) => {
                let why = keys.source().map(|source| format!(": {source}")).unwrap_or_default();
                Self::Configuration { message: format!("{keys}{why}") }
            }
        }
    }
}

impl Client {
    pub(super) fn rpc_error(&self, case: &str, status: &RpcStatus) -> ClientError {
        match status.code() {
            Code::NotFound => ClientError::NotFound { case: case.to_owned() },
            Code::Unavailable | Code::Unauthenticated | Code::PermissionDenied => {
                ClientError::Unreachable { address: self.address.clone(), reason: status.message().to_owned() }
            }
            // A worker did not answer a call within its time limit.
            Code::DeadlineExceeded | Code::Cancelled => ClientError::no_worker(case),
            // No worker has polled for minutes, or too many calls wait for one.
            Code::FailedPrecondition | Code::ResourceExhausted => {
                ClientError::NoWorker { case: case.to_owned(), reason: status.message().to_owned() }
            }
            _ => ClientError::read_refusal(status.message())
                .unwrap_or_else(|| ClientError::Unexpected { message: format!("{case}: {}", status.message()) }),
        }
    }

    pub(super) fn error(&self, case: &str, error: WorkflowInteractionError) -> ClientError {
        match error {
            WorkflowInteractionError::NotFound(status) | WorkflowInteractionError::Rpc(status) => {
                self.rpc_error(case, &status)
            }
            other => unexpected(case, &other),
        }
    }

    pub(super) fn query_error(&self, case: &str, error: WorkflowQueryError) -> ClientError {
        match error {
            WorkflowQueryError::NotFound(status) | WorkflowQueryError::Rpc(status) => self.rpc_error(case, &status),
            other => unexpected(case, &other),
        }
    }

    pub(super) async fn update_error(&self, case: &str, error: WorkflowUpdateError) -> ClientError {
        match error {
            WorkflowUpdateError::Failed(mut failure) => {
                self.failure_in_plain(&mut failure).await;
                refusal_of(&failure)
                    .unwrap_or_else(|| ClientError::Unexpected { message: format!("{case}: {}", failure.message) })
            }
            WorkflowUpdateError::NotFound(status) | WorkflowUpdateError::Rpc(status) => self.rpc_error(case, &status),
            other => unexpected(case, &other),
        }
    }

    pub(super) fn result_error(&self, case: &str, error: WorkflowGetResultError) -> ClientError {
        match error {
            WorkflowGetResultError::NotFound(status) | WorkflowGetResultError::Rpc(status) => {
                self.rpc_error(case, &status)
            }
            WorkflowGetResultError::Failed(failure) => ClientError::stopped(case, format!("failed: {failure}")),
            WorkflowGetResultError::Cancelled { .. } => ClientError::stopped(case, "cancelled"),
            WorkflowGetResultError::Terminated { .. } => ClientError::stopped(case, "terminated"),
            WorkflowGetResultError::TimedOut => ClientError::stopped(case, "timed out"),
            other => unexpected(case, &other),
        }
    }
}

/// Another error. A missing key has its own error, because the user can provide it.
fn unexpected(case: &str, error: &(dyn Error + 'static)) -> ClientError {
    let mut next = Some(error);
    while let Some(inner) = next {
        if let Some(CodecError::UnknownKey { .. }) = inner.downcast_ref() {
            return ClientError::Configuration { message: inner.to_string() };
        }
        next = inner.source();
    }
    ClientError::Unexpected { message: format!("{case}: {error}") }
}

fn last_failure(message: Option<&str>) -> String {
    message.map(|message| format!("; the last one failed: {message}")).unwrap_or_default()
}

/// What to do about a case whose workflow somebody stopped.
fn after_a_stop(case: &str) -> String {
    match CaseId::read(case) {
        Ok(CaseId { kind: CaseKind::EscrowDeposit, .. }) => {
            "repeat the same `recourse deposit`; what was charged is not charged again".to_owned()
        }
        Ok(CaseId { kind: CaseKind::PaymentRefund, .. }) => {
            "it held no money; `temporal workflow reset` continues the case, or ask again with `recourse ask-back`"
                .to_owned()
        }
        _ => format!(
            "what it held stays in escrow; `temporal workflow reset` continues the case, or `recourse free {case}` \
             gives its money free for another case"
        ),
    }
}

/// The refusal in a failed update, from its own message or from a cause's.
fn refusal_of(failure: &Failure) -> Option<ClientError> {
    let mut failure = Some(failure);
    while let Some(told) = failure {
        if let Some(refusal) = ClientError::read_refusal(&told.message) {
            return Some(refusal);
        }
        failure = told.cause.as_deref();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_from_the_wire_message() {
        let text = "TooLate: the case is decided: refunded by rule R4 (rule T2); the client can do nothing now";
        let Some(ClientError::Refused { name, message, .. }) = ClientError::read_refusal(text) else { panic!() };
        assert_eq!(name.to_string(), "TooLate");
        assert!(message.starts_with("the case is decided"), "{message}");
        assert_eq!(ClientError::read_refusal("something: else"), None);
        let inner = Failure { message: "Invalid: amount".into(), ..Failure::default() };
        let outer = Failure { message: "update failed".into(), cause: Some(Box::new(inner)), ..Failure::default() };
        assert!(matches!(refusal_of(&outer), Some(ClientError::Refused { .. })));
    }

    #[test]
    fn a_stopped_case_has_a_hint() {
        for (case, words) in [
            ("dispute:c-1", ["stays in escrow", "temporal workflow reset", "recourse free dispute:c-1"]),
            ("escrow-deposit:c-1:d-1", ["recourse deposit", "not charged again", "repeat"]),
            (
                "milestone-review:c-1:m-1",
                ["stays in escrow", "workflow reset", "recourse free milestone-review:c-1:m-1"],
            ),
            ("payment-refund:dispute:c-1/release", ["no money", "workflow reset", "recourse ask-back"]),
        ] {
            let error = ClientError::stopped(case, "terminated");
            let hint = error.hint().unwrap();
            assert!(words.iter().all(|word| hint.contains(word)), "{hint}");
            assert_eq!(error.exit_code(), 1);
        }
    }
}
