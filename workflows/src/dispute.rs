//! A claim on money in escrow: the client's answer, mediation, the parties' answers, arbitration (D2–D6, M1–M8, A1–A5).

use jiff::Timestamp;
use temporalio_common::data_converters::RawValue;
use temporalio_workflow::WorkflowContext;

use crate::{
    conduct::{Conduct, now, order},
    domain::{
        case::Case,
        dispute::{DisputeCase, FeeDue, Filing},
        ids::refund_request_id,
        outcome::Outcome,
        rule::Rule,
    },
    effects::{Escrow, FeeOrder, FeeReceipt},
    handlers::case_workflow,
    messages::{DisputeStart, read},
};

case_workflow! {
    /// The freelancer claims money in escrow.
    Dispute(DisputeCase), begun by begin, conducted by conduct,
    taking {
        "accept": Accept as accept_signal, accept, accept_readable;
        "reject": Reject as reject_signal, reject, reject_readable;
        "amend": Amend as amend_signal, amend, amend_readable;
        "withdraw": Withdraw as withdraw_signal, withdraw, withdraw_readable;
        "offer": Offer as offer_signal, offer, offer_readable;
        "retract": Retract as retract_signal, retract, retract_readable;
        "propose": Propose as propose_signal, propose, propose_readable;
        "close": Close as close_signal, close, close_readable;
        "demand_arbitration": DemandArbitration as demand_arbitration_signal, demand_arbitration, demand_arbitration_readable;
        "award": Award as award_signal, award, award_readable;
        "extend": Extend as extend_signal, extend, extend_readable;
    }
}

fn begin(id: String, start: &RawValue, now: Timestamp) -> Result<DisputeCase, Outcome> {
    let start: DisputeStart = read(start).map_err(|unreadable| Outcome::refused(Rule::D1, unreadable.reason))?;
    let DisputeStart { contract, grounds, milestone, claim, policy, .. } = start;
    let filing = Filing { contract, grounds, milestone, claim, policy: policy.unwrap_or_default() };
    Ok(DisputeCase::begin(id, filing, now))
}

async fn conduct(ctx: &WorkflowContext<Dispute>) -> Outcome {
    let mut case = match Conduct::take_up(ctx) {
        Ok(case) => case,
        Err(refused) => return refused,
    };
    // The refund request that this dispute grew out of holds the money until now (R6).
    let refund_request = refund_request_id(&case.contract().id);
    let parent =
        ctx.info().parent().map(|parent| parent.workflow_id().to_owned()).filter(|parent| *parent == refund_request);
    let alone = parent.is_none();
    case.open(parent, |case, opened, elsewhere, now| {
        case.opened(opened.held, opened.deposits, elsewhere.as_deref().filter(|_| alone), now);
    })
    .await;
    while !case.read(Case::is_decided) {
        let due = case.change(|case, _| case.take_fees_due());
        if due.is_empty() {
            case.next_change().await;
        }
        for fee in due {
            case.publish();
            charge_fee(ctx, &case, fee).await; // A1
        }
    }
    case.publish();
    let movements = case.change(|case, now| case.settlement(now)).expect("L3: the deposits hold what is in escrow");
    let lets_go = case.read(DisputeCase::lets_go);
    if !movements.is_empty() || lets_go {
        case.settle(movements, lets_go).await; // D3, D5, M5, M7, A2, A3, A5
    }
    case.change(DisputeCase::close);
    case.finish().await
}

async fn charge_fee(ctx: &WorkflowContext<Dispute>, case: &Conduct<'_, Dispute>, fee: FeeDue) {
    let FeeDue { party, source, amount, step } = fee;
    let summary = format!("charge the {party} {} for arbitration", case.contract().currency.show(amount));
    let charge = FeeOrder {
        case: ctx.workflow_id().to_owned(),
        case_ref: case.case_ref(),
        contract: case.contract().clone(),
        party,
        source,
        step,
        amount,
        at: now(ctx),
    };
    let charged = match order(ctx, || Escrow::charge_fee, charge, summary).await {
        FeeReceipt::Paid { charge } => Ok(charge),
        FeeReceipt::Declined { reason } => Err(reason),
    };
    case.change(|case, now| case.fee_charged(party, charged, now));
}
