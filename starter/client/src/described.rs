//! What the server's description of a case says: which run it is, whether it is open, and the case's own time.

use jiff::Timestamp;
use temporalio_common::protos::temporal::api::{
    enums::v1::WorkflowExecutionStatus, workflowservice::v1::DescribeWorkflowExecutionResponse,
};

/// Which run it is of.
pub(super) fn run_of(described: &DescribeWorkflowExecutionResponse) -> String {
    let execution = described.workflow_execution_info.as_ref().and_then(|info| info.execution.as_ref());
    execution.map(|execution| execution.run_id.clone()).unwrap_or_default()
}

/// Whether it is open.
pub(super) fn is_running(described: &DescribeWorkflowExecutionResponse) -> bool {
    let info = described.workflow_execution_info.as_ref();
    info.is_some_and(|info| info.status() == WorkflowExecutionStatus::Running)
}

/// The case's time: the wall clock's, unless the case's own clock is ahead of it.
pub(super) fn now_of(described: &DescribeWorkflowExecutionResponse) -> Timestamp {
    let wall = Timestamp::now();
    let skipping = described.workflow_extended_info.as_ref().and_then(|info| info.time_skipping_info.as_ref());
    let own = skipping
        .and_then(|skipping| skipping.current_time.as_ref())
        .and_then(|time| Timestamp::new(time.seconds, time.nanos).ok());
    own.filter(|own| *own > wall).unwrap_or(wall)
}
