//! Lets a worker forget a case that has run ahead of its time because of a query, so that its next task replays it.
//!
//! A query that waits for a worker comes with the history at that time, which may have grown by a command or a timer
//! that no workflow task has brought yet. The SDK lets the workflow act on that at once, with the time of the previous
//! task, which may be days ago. It keeps the case in that state, and sends its decisions with the next task. The case
//! would count a proposal's deadline from last week, or take a late reply for a timely one (T2); a replay would decide
//! otherwise. So the worker drops the state that a query has made.
//!
//! The sign of such a case: it has acted on a longer history, and its clock has not moved. Each workflow task has a
//! time of its own. A case that only answered a query stays in memory.
//!
//! A query that comes with a workflow task is answered after that task, and needs none of this.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use temporalio_common::protos::coresdk::workflow_activation::{WorkflowActivation, workflow_activation_job::Variant};
use temporalio_sdk::{interceptors::WorkerInterceptor, runtime::CoreWorker};

/// The SDK's id for a query that comes without a workflow task.
const ASKED_BY_ITSELF: &str = "legacy_query";

/// Forgets the cases of this worker that have run ahead of their time.
pub struct EvictAfterQuery {
    core: Arc<CoreWorker>,
    /// The progress of the cases in memory, by the id of their run.
    in_memory: Mutex<HashMap<String, Progress>>,
}

/// How far a case has come.
#[derive(Default)]
struct Progress {
    /// How many events of its history it has.
    events: u32,
    /// The time of its clock.
    clock: Option<SystemTime>,
    /// It has acted on events that no workflow task had brought.
    is_ahead: bool,
}

impl Progress {
    /// It receives these events, at this time.
    fn tell(&mut self, activation: &WorkflowActivation) {
        let clock = activation.timestamp.and_then(|time| time.try_into().ok());
        // By the next query, its own decisions are in the history too; they are nothing to act on.
        let acts = has(activation, |job| !matches!(job, Variant::QueryWorkflow(_)));
        let has_come = activation.history_length > self.events;
        self.is_ahead |= acts && has_come && self.clock.is_some() && clock == self.clock;
        self.events = activation.history_length;
        self.clock = clock;
    }
}

impl EvictAfterQuery {
    /// For this worker.
    pub fn new(core: Arc<CoreWorker>) -> Self {
        Self { core, in_memory: Mutex::default() }
    }

    /// Records what a case is about to do. Returns whether the worker must forget it afterwards.
    fn must_forget(&self, activation: &WorkflowActivation) -> bool {
        let mut in_memory = self.in_memory.lock().unwrap_or_else(PoisonError::into_inner);
        if has(activation, |job| matches!(job, Variant::RemoveFromCache(_))) {
            in_memory.remove(&activation.run_id);
            return false;
        }
        let case = in_memory.entry(activation.run_id.clone()).or_default();
        case.tell(activation);
        let is_asked = |job: &_| matches!(job, Variant::QueryWorkflow(asked) if asked.query_id == ASKED_BY_ITSELF);
        case.is_ahead && has(activation, is_asked)
    }
}

#[async_trait::async_trait(?Send)]
impl WorkerInterceptor for EvictAfterQuery {
    async fn on_workflow_activation(&self, activation: &WorkflowActivation) -> Result<(), anyhow::Error> {
        if self.must_forget(activation) {
            // The worker answers first. The request comes now, because the next task may come right after the answer.
            self.core.request_workflow_eviction(&activation.run_id);
        }
        Ok(())
    }
}

fn has(activation: &WorkflowActivation, wanted: impl Fn(&Variant) -> bool) -> bool {
    activation.jobs.iter().filter_map(|job| job.variant.as_ref()).any(wanted)
}
