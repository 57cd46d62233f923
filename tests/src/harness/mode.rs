//! How the shared world's worker behaves: as usual, or so that every step of a case is replayed or passed to a new run
//! (`RECOURSE_TEST_WORKER`).
//!
//! A worker keeps its cases in memory and replays a case only after a restart, so most tests never replay anything. In these
//! modes each test does, with the same expectations; and the harness checks each case that ends, so that a mode without effect
//! fails.

use std::collections::BTreeSet;

use temporalio_client::{UntypedWorkflow, WorkflowFetchHistoryOptions};
use temporalio_common::protos::temporal::api::{enums::v1::TaskQueueKind, history::v1::history_event::Attributes};

use super::World;

/// How the worker behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// It keeps cases in memory.
    Cached,
    /// It forgets a case after every task, and replays it at the next.
    Uncached,
    /// Before every step of a case another worker takes over, and the earlier one stops. Also, the server keeps only encrypted
    /// payloads.
    Swapped,
    /// The server suggests a new run all the time; each step of it is replayed.
    Continued,
}

impl Mode {
    /// The mode that the environment sets.
    pub fn from_env() -> Self {
        match std::env::var("RECOURSE_TEST_WORKER").as_deref() {
            Err(_) | Ok("" | "cached") => Self::Cached,
            Ok("uncached") => Self::Uncached,
            Ok("swapped") => Self::Swapped,
            Ok("continued") => Self::Continued,
            Ok(other) => panic!("RECOURSE_TEST_WORKER: {other} is none of cached, uncached, swapped, continued"),
        }
    }

    /// The number of events after which the server suggests a new run; none for the server's own default.
    pub fn continue_as_new_after(self) -> Option<u32> {
        (self == Self::Continued).then_some(10)
    }

    /// Whether payloads are encrypted.
    pub fn is_encrypted(self) -> bool {
        self == Self::Swapped
    }

    /// The workers' environment variable.
    pub fn env(self) -> Option<(String, String)> {
        matches!(self, Self::Uncached | Self::Continued)
            .then(|| ("RECOURSE_MAX_CACHED_WORKFLOWS".to_owned(), "0".to_owned()))
    }
}

/// The evidence in the history of the case's last run about the workers that conducted it.
struct Evidence {
    /// How many tasks were meant for the worker that has the case in memory.
    sticky: usize,
    /// The workers that took its tasks.
    workers: BTreeSet<String>,
    /// Whether the run followed another one.
    continued: bool,
}

async fn evidence(world: &World, case: &str) -> Evidence {
    let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
    let events = handle.fetch_history(WorkflowFetchHistoryOptions::default()).into_events().await.unwrap();
    let mut evidence = Evidence { sticky: 0, workers: BTreeSet::new(), continued: false };
    for event in events {
        match event.attributes {
            Some(Attributes::WorkflowTaskScheduledEventAttributes(task)) => {
                let kind = task.task_queue.map(|queue| queue.kind()).unwrap_or_default();
                evidence.sticky += usize::from(kind == TaskQueueKind::Sticky);
            }
            Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
                evidence.continued = !started.continued_execution_run_id.is_empty();
            }
            Some(Attributes::WorkflowTaskStartedEventAttributes(task)) => drop(evidence.workers.insert(task.identity)),
            _ => {}
        }
    }
    evidence
}

/// Asserts that the case was conducted in this mode, over this many commands, one after another.
pub async fn assert_it_happened(world: &World, mode: Mode, case: &str, commands: usize) {
    match mode {
        Mode::Cached => {}
        Mode::Uncached => {
            let sticky = evidence(world, case).await.sticky;
            assert_eq!(sticky, 0, "{case} was kept in memory for {sticky} of its tasks");
        }
        Mode::Swapped => {
            let workers = evidence(world, case).await.workers;
            assert!(
                workers.len() > commands,
                "{case} was given {commands} commands and conducted by {workers:?}: not another worker for each"
            );
        }
        Mode::Continued => {
            let continued = evidence(world, case).await.continued;
            assert!(commands < 2 || continued, "{case} never went on in a new run, over {commands} commands");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::harness::{Story, run};

    /// The check of the other tests' cases tells the modes apart.
    #[test]
    fn the_worker_behaves_as_the_mode_says() {
        run(async {
            let world = World::shared().await;
            let mut story = Story::new(world, "mode");
            story.deposit("d-1", 20_000, "card-1").await;
            story.end(0, Value::Null).await;
            story.play("1 operator extend 24; 2 freelancer approve").await;
            story.outcome().await;
            let Evidence { sticky, workers, continued } = evidence(world, &story.refund_request).await;
            println!("{:?}: {sticky} tasks in memory, {} workers", world.mode, workers.len());
            match world.mode {
                Mode::Cached => assert!(sticky > 0 && workers.len() == 1 && !continued, "{sticky} {workers:?}"),
                Mode::Uncached => assert!(sticky == 0 && workers.len() == 1, "{sticky} {workers:?}"),
                Mode::Swapped => assert!(workers.len() >= 3, "{workers:?}"),
                Mode::Continued => assert!(continued, "one run"),
            }
        });
    }
}
