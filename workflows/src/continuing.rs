//! How a case goes on in a new run of its workflow, before its history outgrows what a server keeps.
//!
//! A case that waits for weeks can be sent thousands of commands. When the server suggests it, the workflow ends its run and
//! begins the next one with the case as it stands; programs outside see one case. It happens only while the case waits: what it
//! has ordered is done, and every command is answered. What is handed on is the case itself, so that nothing is decided again.
//!
//! What is handed on must be read by the next run, maybe by a newer worker: a field that is added to a case's types needs a
//! default. It may not be taken from anybody else: a start that merely looks like it is read as a start.

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
    /// What its postings and notices are named by.
    pub case_ref: String,
}

/// The case that the last run handed on, or nothing if this run is the case's first.
///
/// # Panics
/// If it cannot be read. That fails the workflow task, not the case, which waits for a worker that can read it.
pub(crate) fn handed_on<C: Case>(ctx: &WorkflowContextView, start: &RawValue) -> Option<HandedOn<C>> {
    ctx.continued_from_run_id()?;
    let json = json_of(start).map_err(|unreadable| unreadable.reason);
    let read = json.and_then(|json| serde_json::from_slice(json).map_err(|error| error.to_string()));
    match read {
        Ok(handed_on) => Some(handed_on),
        Err(reason) => panic!("{} cannot read what its last run handed on: {reason}", ctx.workflow_id()),
    }
}
