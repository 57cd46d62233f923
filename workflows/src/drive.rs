//! Drives a case: carries out its next orders and gives the results back to the case. The case decides which orders come
//! next ([`order`](recourse_domain::order)). This module knows only how to carry them out.

use std::{future::Future, pin::Pin};

use futures_util::future::join_all;
use jiff::Timestamp;
use recourse_domain::{
    case::Case,
    fee::FeeDue,
    ids::PaymentId,
    milestone::BonusDue,
    money::Amount,
    order::{Done, Next, Order},
    outcome::Outcome,
    posting::{Close, Movement},
};
use temporalio_workflow::{WorkflowContext, WorkflowResult, WorkflowTermination};

use crate::{
    case_state::Conducts,
    child,
    conduct::{Conduct, now},
    effects::{BonusOrder, BonusReceipt, Escrow, FeeOrder, FeeReceipt, ReturnOrder, ReturnReceipt},
    ordering::order,
};

/// Conducts a case to its end, from its start or from the last run's state. `open` takes the escrow or payment that the case
/// is about.
///
/// # Errors
/// The end of this run, if the case continues in the next one.
pub(crate) async fn conduct<W: Conducts>(
    ctx: &WorkflowContext<W>,
    open: impl AsyncFnOnce(&WorkflowContext<W>, &mut Conduct<'_, W>),
) -> WorkflowResult<Outcome> {
    let mut case = match Conduct::take_up(ctx) {
        Ok(case) => case,
        Err(refused) => return Ok(refused),
    };
    if !case.is_open() {
        open(ctx, &mut case).await;
    }
    drive(ctx, &mut case).await?;
    Ok(case.finish().await)
}

async fn drive<W: Conducts>(ctx: &WorkflowContext<W>, case: &mut Conduct<'_, W>) -> Result<(), WorkflowTermination> {
    loop {
        match case.change(Case::next) {
            Next::Wait => case.next_change().await?,
            Next::PayBeside(payment) => {
                case.publish();
                case.pay_beside(payment);
            }
            Next::Do(orders) => perform(ctx, case, orders).await,
            Next::Over => return Ok(()),
        }
    }
}

type Pending<'a> = Pin<Box<dyn Future<Output = Done> + 'a>>;

/// Carries out these orders at the same time, and gives each result to the case when it arrives.
async fn perform<W: Conducts>(ctx: &WorkflowContext<W>, case: &mut Conduct<'_, W>, orders: Vec<Order>) {
    // The case shows a demand after the charge of its share, and shows everything else before the effect.
    if !orders.iter().all(|order| matches!(order, Order::ChargeFee(_))) {
        case.publish();
    }
    case.paid().await;
    let case = &*case;
    // This orders the effects one after the other. After this line the workflow only waits.
    let pending: Vec<Pending<'_>> = orders.into_iter().map(|order| start(ctx, case, order)).collect();
    join_all(pending.into_iter().map(|pending| async move {
        let done = pending.await;
        case.change(|case, now| case.done(done, now));
    }))
    .await;
}

/// Orders one effect. The future gives its result.
fn start<'a, W: Conducts>(ctx: &'a WorkflowContext<W>, case: &'a Conduct<'_, W>, order: Order) -> Pending<'a> {
    match order {
        Order::Settle { movements, close } => settle(case, movements, close),
        Order::ChargeFee(fee) => charge_fee(ctx, case, fee),
        Order::PayBonus(bonus) => pay_bonus(ctx, case, bonus),
        Order::ReturnPayment { payment, amount, expected_by } => {
            return_payment(ctx, case, payment, amount, expected_by)
        }
        Order::Dispute(start) => Box::pin(async move { Done::Disputed(child::dispute(ctx, *start).await) }),
    }
}

fn settle<'a, W: Conducts>(case: &'a Conduct<'_, W>, movements: Vec<Movement>, close: Option<Close>) -> Pending<'a> {
    let settled = case.order_settlement(movements, close);
    Box::pin(async move {
        settled.await;
        Done::Settled
    })
}

fn charge_fee<'a, W: Conducts>(ctx: &'a WorkflowContext<W>, case: &Conduct<'_, W>, fee: FeeDue) -> Pending<'a> {
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
    let charged = order(ctx, || Escrow::charge_fee, charge, summary);
    Box::pin(async move {
        let charged = match charged.await {
            FeeReceipt::Paid { charge } => Ok(charge),
            FeeReceipt::Declined { reason } => Err(reason),
        };
        Done::Fee { party, charged }
    })
}

fn pay_bonus<'a, W: Conducts>(ctx: &'a WorkflowContext<W>, case: &Conduct<'_, W>, bonus: BonusDue) -> Pending<'a> {
    let BonusDue { source, amount, available_at } = bonus;
    let summary = format!("charge {} to {source} as a bonus and pay it on", case.contract().currency.show(amount));
    let charge = BonusOrder {
        case: ctx.workflow_id().to_owned(),
        case_ref: case.case_ref(),
        contract: case.contract().clone(),
        source,
        amount,
        available_at,
        at: now(ctx),
    };
    let charged = order(ctx, || Escrow::pay_bonus, charge, summary);
    Box::pin(async move {
        let charged = match charged.await {
            BonusReceipt::Paid => Ok(()),
            BonusReceipt::Declined { reason } => Err(reason),
        };
        Done::Bonus { amount, charged }
    })
}

fn return_payment<'a, W: Conducts>(
    ctx: &'a WorkflowContext<W>,
    case: &Conduct<'_, W>,
    payment: PaymentId,
    amount: Amount,
    expected_by: Timestamp,
) -> Pending<'a> {
    let summary = format!("return {} of the payment", case.contract().currency.show(amount));
    let give_back = ReturnOrder {
        case: ctx.workflow_id().to_owned(),
        case_ref: case.case_ref(),
        contract: case.contract().clone(),
        payment,
        step: "return".to_owned(),
        amount,
        expected_by,
        at: now(ctx),
    };
    let returned = order(ctx, || Escrow::return_payment, give_back, summary);
    Box::pin(async move {
        match returned.await {
            ReturnReceipt::Returned => Done::Returned(amount),
            ReturnReceipt::NotCovered { available } => Done::NotCovered(available),
        }
    })
}
