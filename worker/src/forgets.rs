//! Lets a worker forget a case after it was asked something, so that its next task replays it.
//!
//! A question that waits for a worker is asked with the history as it is by then, which may have grown: a command, or a timer,
//! that no workflow task has brought yet. The SDK lets the workflow act on that at once, by the time of the task before, which
//! may be days ago, keeps the case as it is then, and sends what it decided with the next task. A proposal would be counted from
//! last week, a late reply taken for a timely one (T2); a replay would decide otherwise. So what a question has made of a
//! case is dropped with the answer. A case that is asked again and again is replayed that often; its history is short.
//!
//! A question that comes with a workflow task is answered by the case as that task leaves it, and needs none of this.

use std::sync::Arc;

use temporalio_common::protos::coresdk::workflow_activation::{WorkflowActivation, workflow_activation_job::Variant};
use temporalio_sdk::{interceptors::WorkerInterceptor, runtime::CoreWorker};

/// The id that the SDK gives a question that comes by itself, without a workflow task.
const ASKED_BY_ITSELF: &str = "legacy_query";

/// Forgets the cases of this worker that are asked.
pub struct ForgetsTheAsked(pub Arc<CoreWorker>);

#[async_trait::async_trait(?Send)]
impl WorkerInterceptor for ForgetsTheAsked {
    async fn on_workflow_activation(&self, activation: &WorkflowActivation) -> Result<(), anyhow::Error> {
        if is_asked_by_itself(activation) {
            // The worker answers first. It is told now, because the next task may come right after the answer.
            self.0.request_workflow_eviction(&activation.run_id);
        }
        Ok(())
    }
}

fn is_asked_by_itself(activation: &WorkflowActivation) -> bool {
    activation
        .jobs
        .iter()
        .any(|job| matches!(&job.variant, Some(Variant::QueryWorkflow(query)) if query.query_id == ASKED_BY_ITSELF))
}
