//! A submitted milestone and the client's review of it (E3–E8, E11, E13). Silence releases.

use jiff::Timestamp;
use recourse_domain::{
    messages::MilestoneReviewStart, milestone_review::MilestoneReviewCase, opening::StartRequest, outcome::Outcome,
    rule::Rule,
};
use temporalio_common::data_converters::RawValue;
use temporalio_workflow::WorkflowContext;

use crate::{
    conduct::{Conduct, NotOpened},
    effects::HoldRequest,
    handlers::case_workflow,
    messages::read,
};

case_workflow! {
    /// A milestone was submitted.
    MilestoneReview(MilestoneReviewCase), begun by begin, opened by open,
    taking ["submit", "approve", "request_changes", "dispute", "supersede", "extend"]
}

fn begin(id: String, start: &RawValue, now: Timestamp) -> Result<MilestoneReviewCase, Outcome> {
    let start: MilestoneReviewStart =
        read(start).map_err(|unreadable| Outcome::refused(Rule::E3, unreadable.reason))?;
    Ok(MilestoneReviewCase::begin(id, start, now))
}

/// Takes the milestone's amount of the escrow, if the milestone can be reviewed (E3, E13).
async fn open(_: &WorkflowContext<MilestoneReview>, case: &mut Conduct<'_, MilestoneReview>) {
    let take = case.read(|case| {
        let milestone = case.milestone();
        HoldRequest::Milestone { milestone: milestone.id.clone(), ordinal: milestone.ordinal, amount: milestone.amount }
    });
    let opened = case.open(take, StartRequest::Review, |case, opened, _, now| case.opened(&opened.deposits, now)).await;
    if let Err(NotOpened::NotReviewable(why)) = opened {
        case.change(|case, now| case.not_reviewable(&why, now));
        case.open_to_commands();
    }
}
