//! A request for money that was already released (P1–P4). Silence returns nothing.

use jiff::Timestamp;
use recourse_domain::{messages::PaymentRefundStart, outcome::Outcome, payment_refund::PaymentRefundCase, rule::Rule};
use temporalio_common::data_converters::RawValue;
use temporalio_workflow::WorkflowContext;

use crate::{
    conduct::{Conduct, NotOpened},
    effects::HoldRequest,
    handlers::case_workflow,
    messages::read,
};

case_workflow! {
    /// A client asks for released money back.
    PaymentRefund(PaymentRefundCase), begun by begin, opened by open,
    taking ["approve", "reject", "request_mediation", "opinion", "extend"]
}

fn begin(id: String, start: &RawValue, now: Timestamp) -> Result<PaymentRefundCase, Outcome> {
    let start: PaymentRefundStart = read(start).map_err(|unreadable| Outcome::refused(Rule::P1, unreadable.reason))?;
    Ok(PaymentRefundCase::begin(id, start, now))
}

/// Reads the payment. The case takes no escrow, so it has no hold to give up at the end.
async fn open(_: &WorkflowContext<PaymentRefund>, case: &mut Conduct<'_, PaymentRefund>) {
    let take = HoldRequest::Payment { payment: case.read(|case| case.payment().clone()) };
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
