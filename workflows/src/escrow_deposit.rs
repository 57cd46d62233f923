//! A deposit: the billing method is charged and the money is in escrow, or nothing happened (E1, E2, E12).

use jiff::Timestamp;
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{WorkflowContext, WorkflowResult};

use crate::{
    attributes,
    conduct::{now, order},
    describe,
    domain::{
        deposit,
        money::Amount,
        notice::{Facts, Notice, NoticeEvent},
        outcome::{DecidedBy, Outcome, ResultKind},
        party::{Contract, Role},
        rule::Rule,
    },
    effects::{DepositOrder, DepositReceipt, Escrow, Notices, Tell},
    messages::{EscrowDepositStart, read},
};

/// A client puts money in escrow.
#[workflow]
#[derive(Default)]
pub struct EscrowDeposit;

#[workflow_methods]
impl EscrowDeposit {
    /// Charges, posts and tells.
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
    let EscrowDepositStart { contract, deposit, amount, milestone, source } = start;
    if let Err(refused) = deposit::check(&contract, amount, &source) {
        return refused;
    }
    show(ctx, &contract, "settling", None);
    let asked = contract.currency.show(amount);
    ctx.set_current_details(format!("charging {asked} to `{}` for contract `{}`", source.id, contract.id));
    let summary = format!("charge {asked} to {} and put it in escrow", source.id);
    let charge = DepositOrder {
        case: ctx.workflow_id().to_owned(),
        contract: contract.clone(),
        deposit,
        milestone,
        amount,
        source: source.id,
        at: now(ctx),
    };
    let receipt = order(ctx, || Escrow::deposit, charge, summary).await;
    let (outcome, notices) = outcome_of(receipt, amount);
    show(ctx, &contract, "closed", Some(&outcome));
    let result = outcome.result.name().replace('_', " ");
    ctx.set_current_details(format!("{asked} for contract `{}`: {result} by rule {}", contract.id, outcome.rule));
    tell(ctx, contract, notices).await;
    outcome
}

/// What came of the charge, and who is told (E2, N1).
fn outcome_of(receipt: DepositReceipt, amount: Amount) -> (Outcome, Vec<Notice>) {
    match receipt {
        DepositReceipt::Deposited { charged, from_held, held } => {
            let outcome = Outcome::without_money(ResultKind::Deposited, DecidedBy::Rule, Rule::E2);
            let facts = Facts { amount: Some(amount), held: Some(held), ..Facts::default() };
            let notices = Role::PARTIES.map(|to| notice(to, NoticeEvent::Deposited, facts.clone())).to_vec();
            (Outcome { charged: Some(charged), from_held: Some(from_held), held: Some(held), ..outcome }, notices)
        }
        DepositReceipt::Declined { reason } => {
            let outcome = Outcome::without_money(ResultKind::Declined, DecidedBy::Rule, Rule::E2);
            let facts = Facts { amount: Some(amount), text: Some(reason.clone()), ..Facts::default() };
            (
                Outcome { message: Some(reason), ..outcome },
                vec![notice(Role::Client, NoticeEvent::DepositDeclined, facts)],
            )
        }
        DepositReceipt::Conflict { reason } => (Outcome::refused(Rule::L2, reason), Vec::new()),
    }
}

fn notice(to: Role, event: NoticeEvent, facts: Facts) -> Notice {
    let number = if to == Role::Client { 1 } else { 2 };
    let by = Some(Role::Client);
    let (can, email) = (Vec::new(), event.by_email());
    Notice { number, event, to, by, rule: Rule::E2, email, can, deadline: None, if_silent: None, facts }
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

fn show(ctx: &WorkflowContext<EscrowDeposit>, contract: &Contract, stage: &str, outcome: Option<&Outcome>) {
    let outcome = outcome.map(|outcome| outcome.result.name());
    let updates = attributes::of_deposit(contract, stage, outcome, &ctx.search_attributes());
    if !updates.is_empty() {
        ctx.upsert_search_attributes(updates);
    }
}
