//! Replays a recorded history against workflow code, and reports the fault.
//!
//! The SDK's replayer accepts a history without a completed task, whatever its type, and never returns from an empty one. So
//! the history is checked first, and a replay has a time limit.

use std::{collections::BTreeSet, sync::mpsc, time::Duration};

use recourse_workflows::{Dispute, EscrowDeposit, MilestoneReview, PaymentRefund, RefundRequest, WebhookDelivery};
use serde_json::Value;
use temporalio_client::WorkflowHistory;
use temporalio_sdk::workflow_replayer::{
    WorkflowReplayError, WorkflowReplayFailure, WorkflowReplayer, WorkflowReplayerOptions,
};

/// How long one replay may take. It takes milliseconds.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Why a history does not replay.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not a history.
    Unreadable(String),
    /// It has no events.
    Empty,
    /// No workflow task was completed, so there is nothing to compare.
    NoCompletedTask,
    /// The code does not have its workflow type.
    UnknownType(String),
    /// The code orders something else than was recorded.
    Nondeterminism(String),
    /// Something else went wrong.
    Failed(String),
    /// The replay does not end.
    Hangs,
}

/// Workflow code to replay against.
#[derive(Clone, Copy)]
pub struct Code {
    /// The types of its workflows.
    pub types: &'static [&'static str],
    /// The workflows themselves.
    pub workflows: fn() -> WorkflowReplayerOptions,
}

/// The present code.
pub const PRESENT: Code = Code {
    types: &["EscrowDeposit", "MilestoneReview", "RefundRequest", "Dispute", "PaymentRefund", "WebhookDelivery"],
    workflows: || {
        let workflows = WorkflowReplayerOptions::new();
        let workflows = workflows.register_workflow::<EscrowDeposit>().unwrap();
        let workflows = workflows.register_workflow::<MilestoneReview>().unwrap();
        let workflows = workflows.register_workflow::<RefundRequest>().unwrap();
        let workflows = workflows.register_workflow::<Dispute>().unwrap();
        let workflows = workflows.register_workflow::<PaymentRefund>().unwrap();
        workflows.register_workflow::<WebhookDelivery>().unwrap().build()
    },
};

/// Replays a history, as the SDK wrote it, against this code.
pub fn replay(history: &[u8], code: Code) -> Result<(), Fault> {
    look_at(history, code.types)?;
    replay_unseen(history, code, LIMIT)
}

/// The checks that the replayer does not make.
fn look_at(history: &[u8], types: &[&str]) -> Result<(), Fault> {
    let read: Value = serde_json::from_slice(history).map_err(|error| Fault::Unreadable(error.to_string()))?;
    let events = read["events"].as_array().ok_or_else(|| Fault::Unreadable("it has no `events`".to_owned()))?;
    let Some(first) = events.first() else { return Err(Fault::Empty) };
    let started = &first["attributes"]["WorkflowExecutionStartedEventAttributes"];
    let kind = started["workflow_type"]["name"].as_str().unwrap_or("(none)");
    if !types.contains(&kind) {
        return Err(Fault::UnknownType(kind.to_owned()));
    }
    let kinds: BTreeSet<&String> =
        events.iter().filter_map(|event| event["attributes"].as_object()?.keys().next()).collect();
    if !kinds.contains(&"WorkflowTaskCompletedEventAttributes".to_owned()) {
        return Err(Fault::NoCompletedTask);
    }
    Ok(())
}

/// Replays on a thread of its own; a replay that hangs blocks only that thread.
pub fn replay_unseen(history: &[u8], code: Code, limit: Duration) -> Result<(), Fault> {
    let history = WorkflowHistory::from_json(history).map_err(|error| Fault::Unreadable(error.to_string()))?;
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let replayer = WorkflowReplayer::new((code.workflows)()).unwrap();
        let result = runtime.block_on(replayer.replay_workflow(history)).map_err(fault_of);
        // Nobody waits for a replay that took too long.
        let _ = done.send(result);
    });
    ended.recv_timeout(limit).unwrap_or(Err(Fault::Hangs))
}

fn fault_of(error: WorkflowReplayError) -> Fault {
    match error {
        WorkflowReplayError::Replay(WorkflowReplayFailure::Nondeterminism { message }) => {
            Fault::Nondeterminism(message)
        }
        other => Fault::Failed(other.to_string()),
    }
}
