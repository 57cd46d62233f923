//! Drives a case: does what it asks for next, and hands back what came of it. Which order comes when is the case's to say
//! ([`order`](recourse_domain::order)); how an order is done here is all that this module knows.

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

/// Conducts a case from its start, or from where the last run left it, to its end. `open` takes what it is about.
///
/// # Errors
/// The end of this run, if the case goes on in the next one.
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

/// Does these at once, and hands back what came of each when it is there.
async fn perform<W: Conducts>(ctx: &WorkflowContext<W>, case: &mut Conduct<'_, W>, orders: Vec<Order>) {
    // A demand is shown when it is known whether its share was charged; everything else before it is done.
    if !orders.iter().all(|order| matches!(order, Order::ChargeFee(_))) {
        case.publish();
    }
    case.paid().await;
    let case = &*case;
    // Each is ordered here, one after the other; only the waiting is left.
    let pending: Vec<Pending<'_>> = orders.into_iter().map(|order| start(ctx, case, order)).collect();
    join_all(pending.into_iter().map(|pending| async move {
        let done = pending.await;
        case.change(|case, now| case.done(done, now));
    }))
    .await;
}

/// Orders one, and says what came of it once that is known.
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
