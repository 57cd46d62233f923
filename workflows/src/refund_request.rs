//! The end of a contract with money in escrow, and the freelancer's answer (R1–R7, R10, E11). Silence refunds.

use jiff::Timestamp;
use recourse_domain::{
    case::Case,
    ids::Id,
    messages::RefundRequestStart,
    outcome::Outcome,
    party::{Actor, CONTRACT_END, Role},
    refund_request::RefundRequestCase,
    rule::Rule,
};
use serde_json::json;
use temporalio_common::data_converters::RawValue;
use temporalio_workflow::{SignalWorkflowOptions, WorkflowCancellationToken, WorkflowContext};

use crate::{
    conduct::{Conduct, NotOpened},
    effects::{HoldRequest, RunningReview},
    handlers::case_workflow,
    messages::read,
    milestone_review::MilestoneReview,
};

case_workflow! {
    /// A contract has ended with money in escrow.
    RefundRequest(RefundRequestCase), begun by begin, opened by open,
    taking ["approve", "dispute", "release", "extend"]
}

fn begin(id: String, start: &RawValue, now: Timestamp) -> Result<RefundRequestCase, Outcome> {
    let start: RefundRequestStart = read(start).map_err(|unreadable| Outcome::refused(Rule::R1, unreadable.reason))?;
    Ok(RefundRequestCase::begin(id, start, now))
}

/// Takes the contract's free escrow. It tells running reviews that the contract has ended, and waits for what they hold. A
/// review that has decided keeps what it releases, and a dispute keeps what it is about (E11).
async fn open(ctx: &WorkflowContext<RefundRequest>, case: &mut Conduct<'_, RefundRequest>) {
    let (mut told, mut gone) = (Vec::new(), Vec::new());
    loop {
        let take = HoldRequest::AtContractEnd { told: told.clone(), gone: gone.clone() };
        let asked = case.read(RefundRequestCase::asked);
        let opened = case
            .open(take, asked, |case, opened, elsewhere, now| {
                case.opened(opened.held, opened.deposits, elsewhere.as_deref(), now);
            })
            .await;
        let Err(NotOpened::ReviewsRunning { reviews, could_hold, elsewhere }) = opened else { return };
        if !case.change(|case, now| case.may_end(could_hold, elsewhere.as_deref(), now)) {
            return case.open_to_commands();
        }
        let ended_at = case.read(|case| case.file().opened_at);
        for RunningReview { case, case_ref } in reviews {
            let heard = supersede(ctx, case, ended_at).await;
            if heard { told.push(case_ref) } else { gone.push(case_ref) }
        }
    }
}

/// Tells a review that the contract has ended, with the instant of the end as the receipt time (T2). Returns whether the
/// review's workflow is still there.
async fn supersede(ctx: &WorkflowContext<RefundRequest>, review: String, ended_at: Timestamp) -> bool {
    let by = Actor { party: Role::Operator, id: Id::new(CONTRACT_END).expect("CONTRACT_END is a valid id") };
    let command = RawValue::from_value(&json!({"by": by, "at": ended_at}), ctx.payload_converter());
    let options = SignalWorkflowOptions::builder()
        .summary("the contract has ended".to_owned())
        .cancellation_token(WorkflowCancellationToken::new())
        .build();
    ctx.external_workflow(review, None).signal(MilestoneReview::supersede_signal, command, options).await.is_ok()
}
