//! A claim on money in escrow: the client's answer, mediation, the parties' answers, arbitration (D2–D6, M1–M8, A1–A5).

use jiff::Timestamp;
use recourse_domain::{
    claim::Grounds,
    dispute::{DisputeCase, Opened},
    ids::{milestone_review_id, refund_request_id},
    messages::DisputeStart,
    outcome::Outcome,
    rule::Rule,
};
use temporalio_common::data_converters::RawValue;
use temporalio_workflow::WorkflowContext;

use crate::{
    conduct::Conduct,
    effects::HoldRequest,
    handlers::case_workflow,
    messages::{DISPUTE_START_BYTES_MAX, read_up_to},
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

/// Takes over the hold of the case that filed the dispute, or takes the escrow itself if no case did (D1, R6).
async fn open(ctx: &WorkflowContext<Dispute>, case: &mut Conduct<'_, Dispute>) {
    if ctx.info().parent().is_some() {
        // A child begins at its parent's time, which the sandbox may have advanced. The server's clock dates its start.
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
    .expect("only a review, a payment and a contract's end can get a reason why no escrow was taken");
}

/// What the dispute takes of the escrow, and the case that held it until now if a case filed the dispute (R6, D1).
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

/// What a dispute that no case filed takes of the escrow (D1).
pub fn takes_alone(case: &DisputeCase) -> HoldRequest {
    match case.milestone().cloned() {
        None => HoldRequest::Free,
        Some(milestone) if case.grounds() == Grounds::PartialRelease => HoldRequest::HeldOver { milestone },
        Some(milestone) => HoldRequest::Unreviewed { milestone, claim: case.claimed() },
    }
}
