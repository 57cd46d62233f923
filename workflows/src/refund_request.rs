//! The end of a contract with money in escrow, and the freelancer's answer (R1–R7, R10). Silence refunds.

use std::time::Duration;

use jiff::Timestamp;
use temporalio_common::data_converters::RawValue;
use temporalio_workflow::{
    ChildWorkflowOptions, ParentClosePolicy, TimerOptions, WorkflowCancellationToken, WorkflowContext,
};

use crate::{
    attributes,
    conduct::Conduct,
    dispute::Dispute,
    domain::{
        case::Case,
        claim::Claim,
        dispute::Grounds,
        ids::{CaseKind, dispute_id},
        outcome::Outcome,
        refund_request::{ContractEnd, RefundRequestCase},
        rule::Rule,
    },
    handlers::case_workflow,
    messages::{DisputeStart, RefundRequestStart, read},
};

case_workflow! {
    /// A contract has ended with money in escrow.
    RefundRequest(RefundRequestCase), begun by begin, conducted by conduct,
    taking {
        "approve": Approve as approve_signal, approve, approve_readable;
        "dispute": Dispute as dispute_signal, dispute, dispute_readable;
        "release": Release as release_signal, release, release_readable;
        "extend": Extend as extend_signal, extend, extend_readable;
    }
}

fn begin(id: String, start: &RawValue, now: Timestamp) -> Result<RefundRequestCase, Outcome> {
    let start: RefundRequestStart = read(start).map_err(|unreadable| Outcome::refused(Rule::R1, unreadable.reason))?;
    let RefundRequestStart { contract, pay_now, reason, policy } = start;
    let end = ContractEnd { contract, pay_now, reason, policy: policy.unwrap_or_default() };
    Ok(RefundRequestCase::begin(id, end, now))
}

async fn conduct(ctx: &WorkflowContext<RefundRequest>) -> Outcome {
    let mut case = match Conduct::take_up(ctx) {
        Ok(case) => case,
        Err(refused) => return refused,
    };
    // R1–R3
    case.open(None, |case, opened, elsewhere, now| {
        case.opened(opened.held, opened.deposits, elsewhere.as_deref(), now);
    })
    .await;
    let paying = case.change(|case, now| case.payment_now(now).filter(|_| case.is_waiting()));
    case.publish();
    let paying = paying.map(|payment| case.settle(vec![payment], false)); // R2, beside the window
    while case.read(RefundRequestCase::is_waiting) {
        case.next_change().await;
    }
    case.publish();
    if let Some(paid) = paying {
        paid.await;
    }
    match case.read(|case| case.disputed().cloned()) {
        Some(claim) => dispute(ctx, &case, claim).await, // R6
        None => settle(&case).await,                     // R2, R4, R7, R10
    }
    case.finish().await
}

async fn settle(case: &Conduct<'_, RefundRequest>) {
    let movements = case.change(|case, now| case.settlement(now)).expect("L3: the deposits hold what is in escrow");
    if !movements.is_empty() || case.read(|case| !case.rest().is_zero()) {
        case.settle(movements, true).await;
    }
    case.change(RefundRequestCase::close);
}

/// Conducts the dispute as a case of its own, which goes on if this one is stopped and settles its own money.
async fn dispute(ctx: &WorkflowContext<RefundRequest>, case: &Conduct<'_, RefundRequest>, claim: Claim) {
    let contract = case.contract().clone();
    let policy = case.read(|case| case.file().policy.clone());
    let id = dispute_id(&contract.id, None);
    let start = DisputeStart {
        contract: contract.clone(),
        grounds: Grounds::RefundRequest,
        milestone: None,
        claim,
        contacted_client: None,
        policy: Some(policy),
    };
    let start = RawValue::from_value(&start, ctx.payload_converter());
    let mut pause = Duration::from_mins(1);
    let started = loop {
        let options = ChildWorkflowOptions::builder()
            .workflow_id(id.clone())
            .parent_close_policy(ParentClosePolicy::Abandon)
            .cancellation_token(WorkflowCancellationToken::new())
            .search_attributes(attributes::at_start(CaseKind::Dispute, &contract))
            .static_summary(format!("Dispute of contract {}", contract.id))
            .build();
        if let Ok(started) = ctx.start_child_workflow(Dispute::run, start.clone(), options).await {
            break started;
        }
        // Somebody started a dispute of this contract by itself. It is refused at once while this case holds the money,
        // so this is soon over; the growing pause keeps the history small if it is not.
        let again = TimerOptions::builder(pause)
            .summary(format!("{id} is taken; try again"))
            .cancellation_token(WorkflowCancellationToken::new())
            .build();
        ctx.timer(again).await;
        pause = (pause * 2).min(Duration::from_hours(6));
    };
    match started.result().await {
        Ok(outcome) => case.change(|case, now| case.dispute_ended(outcome, now)),
        Err(stopped) => case.change(|case, now| case.dispute_stopped(&stopped.to_string(), now)),
    }
}
