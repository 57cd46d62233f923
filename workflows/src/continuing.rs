//! How a case continues in a new run of its workflow, before its history exceeds the server's limit.
//!
//! A case that waits for weeks can receive thousands of commands. When the server suggests it, the workflow ends its run and
//! begins the next one with the case in its present state. Programs outside see one case. This happens only while the case
//! waits, when all its orders are done and all commands have answers. The run hands on the case itself, so that the next run
//! decides nothing again.
//!
//! The next run, maybe on a newer worker, must read what this run hands on: every new field of a case's types needs a default.
//! A run accepts a case only from the run before. It reads a start with the same form as a start.

use recourse_domain::case::Case;
use serde::{Deserialize, Serialize};
use temporalio_common::data_converters::RawValue;
use temporalio_workflow::WorkflowContextView;

use crate::messages::json_of;

/// A case on its way into the next run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HandedOn<C> {
    /// The case.
    pub case: C,
    /// The name that begins the ids of its postings and notices.
    pub case_ref: String,
}

/// The case that the last run handed on, or nothing if this run is the case's first.
///
/// # Panics
/// If the worker cannot read it. That fails the workflow task, not the case: the case waits for a worker that can read it.
pub(crate) fn handed_on<C: Case>(ctx: &WorkflowContextView, start: &RawValue) -> Option<HandedOn<C>> {
    ctx.continued_from_run_id()?;
    let json = json_of(start).map_err(|unreadable| unreadable.reason);
    let read = json.and_then(|json| serde_json::from_slice(json).map_err(|error| error.to_string()));
    match read {
        Ok(handed_on) => Some(handed_on),
        Err(reason) => panic!("{} cannot read what its last run handed on: {reason}", ctx.workflow_id()),
    }
}
