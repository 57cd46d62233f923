//! A request for money that was already released (P1–P4). Silence returns nothing.

use jiff::Timestamp;
use temporalio_common::data_converters::RawValue;
use temporalio_workflow::{WorkflowContext, WorkflowResult};

use crate::{
    conduct::{Conduct, NotOpened, now, order},
    domain::{case::Case, money::Amount, outcome::Outcome, payment_refund::PaymentRefundCase, rule::Rule},
    effects::{Escrow, ReturnOrder, ReturnReceipt, Take},
    handlers::case_workflow,
    messages::{PaymentRefundStart, read},
};

case_workflow! {
    /// A client asks for released money back.
    PaymentRefund(PaymentRefundCase), begun by begin, conducted by conduct,
    taking ["approve", "reject", "request_mediation", "opinion", "extend"]
}

fn begin(id: String, start: &RawValue, now: Timestamp) -> Result<PaymentRefundCase, Outcome> {
    let start: PaymentRefundStart = read(start).map_err(|unreadable| Outcome::refused(Rule::P1, unreadable.reason))?;
    Ok(PaymentRefundCase::begin(id, start, now))
}

async fn conduct(ctx: &WorkflowContext<PaymentRefund>) -> WorkflowResult<Outcome> {
    let mut case = match Conduct::take_up(ctx) {
        Ok(case) => case,
        Err(refused) => return Ok(refused),
    };
    if !case.is_open() {
        open(&mut case).await; // P1, P4
    }
    while !case.read(Case::is_decided) {
        match case.read(PaymentRefundCase::returning) {
            Some(amount) => {
                case.publish();
                give_back(ctx, &case, amount).await; // P2, P4
            }
            None => case.next_change().await?,
        }
    }
    case.change(PaymentRefundCase::close);
    Ok(case.finish().await)
}

/// Looks at the payment. No escrow is taken, so that there is nothing to let go of in the end.
async fn open(case: &mut Conduct<'_, PaymentRefund>) {
    let take = Take::Payment { payment: case.read(|case| case.payment().clone()) };
    let asked = case.read(PaymentRefundCase::asked);
    let opened = case
        .open(take, asked, |case, opened, _, now| match opened.payment {
            Some(payment) => case.opened(payment.amount, payment.returned, payment.released_at, now),
            None => case.no_such_payment(now),
        })
        .await;
    if let Err(NotOpened::NoSuchPayment) = opened {
        case.change(PaymentRefundCase::no_such_payment);
        case.open_to_commands();
    }
}

async fn give_back(ctx: &WorkflowContext<PaymentRefund>, case: &Conduct<'_, PaymentRefund>, amount: Amount) {
    let summary = format!("return {} of the payment", case.contract().currency.show(amount));
    let at = now(ctx);
    let give_back = ReturnOrder {
        case: ctx.workflow_id().to_owned(),
        case_ref: case.case_ref(),
        contract: case.contract().clone(),
        payment: case.read(|case| case.payment().clone()),
        step: "return".to_owned(),
        amount,
        expected_by: case.read(|case| case.expected_by(at)),
        at,
    };
    match order(ctx, || Escrow::return_payment, give_back, summary).await {
        ReturnReceipt::Returned => case.change(|case, now| case.returned(amount, now)),
        ReturnReceipt::NotCovered { available } => case.change(|case, now| case.not_covered(available, now)),
    }
}
