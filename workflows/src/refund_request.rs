//! The end of a contract with money in escrow, and the freelancer's answer (R1–R7, R10, E11). Silence refunds.

use jiff::Timestamp;
use serde_json::json;
use temporalio_common::data_converters::RawValue;
use temporalio_workflow::{SignalWorkflowOptions, WorkflowCancellationToken, WorkflowContext, WorkflowResult};

use crate::{
    conduct::{Conduct, NotOpened},
    dispute,
    domain::{
        case::Case,
        claim::{Claim, Grounds},
        ids::Id,
        outcome::Outcome,
        party::{Actor, CONTRACT_END, Role},
        refund_request::RefundRequestCase,
        rule::Rule,
    },
    effects::{RunningReview, Take},
    handlers::case_workflow,
    messages::{DisputeStart, RefundRequestStart, read},
    milestone_review::MilestoneReview,
};

case_workflow! {
    /// A contract has ended with money in escrow.
    RefundRequest(RefundRequestCase), begun by begin, conducted by conduct,
    taking ["approve", "dispute", "release", "extend"]
}

fn begin(id: String, start: &RawValue, now: Timestamp) -> Result<RefundRequestCase, Outcome> {
    let start: RefundRequestStart = read(start).map_err(|unreadable| Outcome::refused(Rule::R1, unreadable.reason))?;
    Ok(RefundRequestCase::begin(id, start, now))
}

async fn conduct(ctx: &WorkflowContext<RefundRequest>) -> WorkflowResult<Outcome> {
    let mut case = match Conduct::take_up(ctx) {
        Ok(case) => case,
        Err(refused) => return Ok(refused),
    };
    if !case.is_open() {
        open(ctx, &mut case).await; // R1–R3
        let paying = case.change(|case, now| case.payment_now(now).filter(|_| case.is_waiting()));
        if let Some(payment) = paying {
            case.publish();
            case.pay_beside(payment); // R2, beside the window
        }
    }
    while case.read(RefundRequestCase::is_waiting) {
        case.next_change().await?;
    }
    match case.read(|case| case.disputed().cloned()) {
        Some(claim) => dispute(ctx, &mut case, claim).await, // R6
        None => settle(&mut case).await,                     // R2, R4, R7, R10
    }
    Ok(case.finish().await)
}

/// Takes the contract's free escrow. Running reviews are told that the contract has ended, and what they hold is waited
/// for; one that has decided keeps what it releases, and a dispute keeps what it is about (E11).
async fn open(ctx: &WorkflowContext<RefundRequest>, case: &mut Conduct<'_, RefundRequest>) {
    let (mut told, mut gone) = (Vec::new(), Vec::new());
    loop {
        let take = Take::AtContractEnd { told: told.clone(), gone: gone.clone() };
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

/// Tells a review that the contract has ended, with the instant at which it did as the receipt time (T2). Whether its
/// workflow is there to hear it.
async fn supersede(ctx: &WorkflowContext<RefundRequest>, review: String, ended_at: Timestamp) -> bool {
    let by = Actor { party: Role::Operator, id: Id::new(CONTRACT_END).expect("it is an id") };
    let command = RawValue::from_value(&json!({"by": by, "at": ended_at}), ctx.payload_converter());
    let options = SignalWorkflowOptions::builder()
        .summary("the contract has ended".to_owned())
        .cancellation_token(WorkflowCancellationToken::new())
        .build();
    ctx.external_workflow(review, None).signal(MilestoneReview::supersede_signal, command, options).await.is_ok()
}

async fn settle(case: &mut Conduct<'_, RefundRequest>) {
    let movements = case.change(|case, now| case.settlement(now)).expect("L3: the deposits hold what is in escrow");
    let close = case.read(RefundRequestCase::close_hold);
    case.settle(movements, close).await;
    case.change(RefundRequestCase::close);
}

/// Conducts the dispute as a case of its own, which goes on if this one is stopped and settles its own money.
async fn dispute(ctx: &WorkflowContext<RefundRequest>, case: &mut Conduct<'_, RefundRequest>, claim: Claim) {
    case.publish();
    case.paid().await;
    let start = DisputeStart {
        contract: case.contract().clone(),
        grounds: Grounds::RefundRequest,
        milestone: None,
        claim,
        attested_by: None,
        contacted_client: None,
        policy: Some(case.read(|case| case.file().policy.clone())),
    };
    match dispute::conduct_as_child(ctx, start).await {
        Ok(outcome) => case.change(|case, now| case.dispute_ended(outcome, now)),
        Err(stopped) => case.change(|case, now| case.dispute_stopped(&stopped, now)),
    }
}
