//! Payments that go back to the client: the ledger plans them, then the provider gives each leg back and the ledger
//! posts it (P2, P4, L6).

use recourse_domain::{
    posting::{Account, PostingKind},
    rule::Rule,
};
use recourse_ledger::{Plan, Posting};
use recourse_payments::Refund;
use recourse_workflows::effects::{ReturnOrder, ReturnReceipt};

use super::{EscrowActivities, EscrowError, GiveBack};

impl EscrowActivities {
    /// Takes a payment back, in whole or in part, and gives it to the billing methods that it came from, once (P2, P4).
    ///
    /// # Errors
    /// If the ledger refuses, or it is not known whether a refund went through. What went back stays so, and is
    /// recognised at the next try.
    pub async fn take_back(&self, order: &ReturnOrder) -> Result<ReturnReceipt, EscrowError> {
        let legs = match self.ledger.plan_return(order).await? {
            Plan::Legs(legs) => legs,
            Plan::NotCovered { available } => return Ok(ReturnReceipt::NotCovered { available }),
        };
        for planned in legs.into_iter().filter(|planned| !planned.posted) {
            let leg = planned.leg;
            let give_back = GiveBack {
                refund: Refund {
                    charge: leg.charge,
                    source: leg.source.clone(),
                    currency: order.contract.currency,
                    amount: leg.amount,
                },
                expected_by: order.expected_by,
            };
            let posting = Posting {
                id: planned.posting,
                at: order.at,
                kind: PostingKind::Return,
                debit: Account::payee(&order.contract),
                credit: Account::Source(leg.source),
                currency: order.contract.currency,
                amount: leg.amount,
                contract: order.contract.id.clone(),
                case: order.case.clone(),
                rule: Rule::P2,
                deposit: leg.deposit,
                payment: Some(order.payment.clone()),
                available_at: None,
            };
            self.give_back(&order.case_ref, &order.contract, &posting, &give_back, None).await?;
        }
        Ok(ReturnReceipt::Returned)
    }
}
