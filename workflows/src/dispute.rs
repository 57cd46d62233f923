//! A claim on money in escrow: the client's answer, mediation, the parties' answers, arbitration (D2–D6, M1–M8, A1–A5).

use std::time::Duration;

use jiff::Timestamp;
use temporalio_common::data_converters::RawValue;
use temporalio_workflow::{
    ChildWorkflowOptions, ParentClosePolicy, TimerOptions, WorkflowCancellationToken, WorkflowContext,
};

use crate::{
    attributes,
    conduct::Conduct,
    domain::{
        claim::Grounds,
        dispute::{DisputeCase, Opened},
        ids::{CaseKind, dispute_id, milestone_review_id, refund_request_id},
        outcome::Outcome,
        rule::Rule,
    },
    effects::HoldRequest,
    handlers::case_workflow,
    messages::{DISPUTE_START_BYTES_MAX, DisputeStart, read_up_to},
};

case_workflow! {
    /// The freelancer claims money in escrow.
    Dispute(DisputeCase), begun by begin, opened by open,
    taking ["accept", "reject", "amend", "withdraw", "offer", "retract", "propose", "close", "demand_arbitration", "award", "extend"]
}

fn begin(id: String, start: &RawValue, now: Timestamp) -> Result<DisputeCase, Outcome> {
    let start: DisputeStart = read_up_to(start, DISPUTE_START_BYTES_MAX)
        .map_err(|unreadable| Outcome::refused(Rule::D1, unreadable.reason))?;
    Ok(DisputeCase::begin(id, start, now))
}

/// Takes over the money of the case that it grew out of, or takes what it is about by itself (D1, R6).
async fn open(ctx: &WorkflowContext<Dispute>, case: &mut Conduct<'_, Dispute>) {
    if ctx.info().parent().is_some() {
        // A child begins at its parent's time, which may have been fast-forwarded; its start is noted by the server's clock.
        case.change(DisputeCase::filed); // M2
    }
    let (take, parent) = takes(ctx, case);
    let review = parent.filter(|_| case.read(|case| case.grounds().is_active()));
    let alone = !matches!(take, HoldRequest::Over { .. });
    let asked = case.read(DisputeCase::asked);
    case.open(take, asked, |case, opened, elsewhere, now| {
        let opened = Opened { held: opened.held, deposits: opened.deposits };
        case.opened(opened, review, elsewhere.as_deref().filter(|_| alone), now);
    })
    .await
    .expect("only a review, a payment and a contract's end are told why not");
}

/// What the dispute takes of the escrow, and the case that held it until now, if it grew out of one (R6, D1).
fn takes(ctx: &WorkflowContext<Dispute>, case: &Conduct<'_, Dispute>) -> (HoldRequest, Option<String>) {
    let contract = &case.contract().id;
    let held_by = case.read(|case| match case.milestone() {
        None => refund_request_id(contract),
        Some(milestone) => milestone_review_id(contract, milestone),
    });
    let alone = case.read(takes_alone);
    match ctx.info().parent().map(|parent| parent.workflow_id().to_owned()).filter(|parent| *parent == held_by) {
        Some(case) => (HoldRequest::Over { case: case.clone() }, Some(case)),
        None => (alone, None),
    }
}

/// What a dispute that grew out of no case takes of the escrow (D1).
pub fn takes_alone(case: &DisputeCase) -> HoldRequest {
    match case.milestone().cloned() {
        None => HoldRequest::Free,
        Some(milestone) if case.grounds() == Grounds::PartialRelease => HoldRequest::HeldOver { milestone },
        Some(milestone) => HoldRequest::Unreviewed { milestone, claim: case.claimed() },
    }
}

/// Conducts a dispute as a child of the case that it grew out of. It settles its own money, and goes on if that case is
/// stopped.
///
/// # Errors
/// Why it has no outcome: somebody stopped its workflow.
pub(crate) async fn conduct_as_child<W: 'static>(
    ctx: &WorkflowContext<W>,
    start: DisputeStart,
) -> Result<Outcome, String> {
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
        if let Ok(started) = ctx.start_child_workflow(Dispute::run, input.clone(), options).await {
            break started;
        }
        // Somebody started a dispute with this id by itself. While the parent holds the money it is refused at once, so
        // this is soon over; the growing pause keeps the history small if it is not.
        let again = TimerOptions::builder(pause)
            .summary(format!("{id} is taken; try again"))
            .cancellation_token(WorkflowCancellationToken::new())
            .build();
        ctx.timer(again).await;
        pause = (pause * 2).min(Duration::from_hours(6));
    };
    started.result().await.map_err(|stopped| stopped.to_string())
}
