//! A dispute as the child workflow of another case.

use std::time::Duration;

use recourse_domain::{
    ids::{CaseKind, dispute_id},
    messages::DisputeStart,
    outcome::Outcome,
};
use temporalio_common::{WorkflowDefinition, data_converters::RawValue};
use temporalio_workflow::{
    ChildWorkflowOptions, ParentClosePolicy, TimerOptions, WorkflowCancellationToken, WorkflowContext,
};

use crate::attributes;

/// The workflow of a dispute, by its name only: `drive` starts it, and it uses `drive` itself.
struct Dispute;

impl WorkflowDefinition for Dispute {
    type Input = RawValue;
    type Output = Outcome;

    fn name(&self) -> &'static str {
        "Dispute"
    }
}

/// Conducts a dispute as a child of the case that filed it. The dispute settles its own money, and goes on if somebody
/// stops that case.
///
/// # Errors
/// Why the dispute has no outcome: somebody stopped its workflow.
pub(crate) async fn dispute<W: 'static>(ctx: &WorkflowContext<W>, start: DisputeStart) -> Result<Outcome, String> {
    let id = dispute_id(&start.contract.id, start.milestone.as_ref());
    let input = RawValue::from_value(&start, ctx.payload_converter());
    let mut pause = Duration::from_mins(1);
    let started = loop {
        let options = ChildWorkflowOptions::builder()
            .workflow_id(id.clone())
            .parent_close_policy(ParentClosePolicy::Abandon)
            .cancellation_token(WorkflowCancellationToken::new())
            .search_attributes(attributes::at_start(CaseKind::Dispute, &start.contract))
            .static_summary(format!("Dispute of contract {}", start.contract.id))
            .build();
        if let Ok(started) = ctx.start_child_workflow(Dispute, input.clone(), options).await {
            break started;
        }
        // Somebody started a dispute with this id by itself. A rule refuses it while the parent holds the money, so it closes
        // soon. If it does not, the growing pause keeps the history small.
        let again = TimerOptions::builder(pause)
            .summary(format!("{id} is taken; try again"))
            .cancellation_token(WorkflowCancellationToken::new())
            .build();
        ctx.timer(again).await;
        pause = (pause * 2).min(Duration::from_hours(6));
    };
    started.result().await.map_err(|stopped| stopped.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_child_is_the_workflow_of_a_dispute() {
        assert_eq!(Dispute.name(), crate::Dispute::run.name());
    }
}
