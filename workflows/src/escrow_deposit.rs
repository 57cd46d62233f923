//! A deposit: Recourse charges the billing method and puts the money in escrow, or nothing happens (E1, E2, E12).

use jiff::Timestamp;
use recourse_domain::{
    deposit, messages::EscrowDepositStart, notice::Notice, outcome::Outcome, party::Contract, rule::Rule, stage::Stage,
};
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{WorkflowContext, WorkflowResult};

use crate::{
    attributes,
    conduct::now,
    describe,
    effects::{DepositOrder, DepositReceipt, Escrow, Notices, Tell},
    messages::read,
    ordering::order,
};

/// A client puts money in escrow.
#[workflow]
#[derive(Default)]
pub struct EscrowDeposit;

#[workflow_methods]
impl EscrowDeposit {
    /// Charges the billing method, posts the deposit and sends the notices.
    #[run]
    pub async fn run(ctx: &mut WorkflowContext<Self>, start: RawValue) -> WorkflowResult<Outcome> {
        Ok(conduct(ctx, &start).await)
    }
}

async fn conduct(ctx: &WorkflowContext<EscrowDeposit>, start: &RawValue) -> Outcome {
    let start: EscrowDepositStart = match read(start) {
        Ok(start) => start,
        Err(unreadable) => return Outcome::refused(Rule::E2, unreadable.reason),
    };
    let EscrowDepositStart { contract, deposit: id, amount, milestone, source } = start;
    if let Err(refused) = deposit::check(&contract, amount, &source) {
        return refused;
    }
    show(ctx, &contract, Stage::Settling, None);
    let asked = contract.currency.show(amount);
    ctx.set_current_details(format!("charging {asked} to `{}` for contract `{}`", source.id, contract.id));
    let summary = format!("charge {asked} to {} and put it in escrow", source.id);
    let charge = DepositOrder {
        case: ctx.workflow_id().to_owned(),
        contract: contract.clone(),
        deposit: id,
        milestone,
        amount,
        source: source.id,
        at: now(ctx),
    };
    let (outcome, notices) = match order(ctx, || Escrow::deposit, charge, summary).await {
        DepositReceipt::Deposited { charged, from_held, held } => deposit::made(charged, from_held, held),
        DepositReceipt::Declined { reason } => deposit::declined(amount, reason),
        DepositReceipt::Conflict { reason } => deposit::conflicts(reason),
        DepositReceipt::Refused { rule, reason } => deposit::refused(rule, reason),
    };
    show(ctx, &contract, Stage::Closed, Some(&outcome));
    let result = outcome.result.name().replace('_', " ");
    ctx.set_current_details(format!("{asked} for contract `{}`: {result} by rule {}", contract.id, outcome.rule));
    tell(ctx, contract, notices).await;
    outcome
}

async fn tell(ctx: &WorkflowContext<EscrowDeposit>, contract: Contract, notices: Vec<Notice>) {
    if notices.is_empty() {
        return;
    }
    let summary = describe::notices(&notices);
    let case = ctx.workflow_id().to_owned();
    let at: Timestamp = now(ctx);
    order(ctx, || Notices::tell, Tell { case_ref: case.clone(), case, contract, notices, at }, summary).await;
}

fn show(ctx: &WorkflowContext<EscrowDeposit>, contract: &Contract, stage: Stage, outcome: Option<&Outcome>) {
    let outcome = outcome.map(|outcome| outcome.result.name());
    let updates = attributes::of_deposit(contract, stage, outcome, &ctx.search_attributes());
    if !updates.is_empty() {
        ctx.upsert_search_attributes(updates);
    }
}
