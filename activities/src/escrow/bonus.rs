//! Bonuses: charged and paid on at once, never in escrow (E7, L6).

use recourse_domain::{
    posting::{Account, PostingKind},
    rule::Rule,
};
use recourse_ledger::Posting;
use recourse_workflows::effects::{BonusOrder, BonusReceipt};

use super::{EscrowActivities, EscrowError};

impl EscrowActivities {
    /// Charges a bonus and pays it on, once (E7).
    ///
    /// # Errors
    /// As [`EscrowActivities::make_deposit`].
    pub async fn make_bonus(&self, order: &BonusOrder) -> Result<BonusReceipt, EscrowError> {
        let posting = Posting {
            id: format!("{}/bonus", order.case_ref),
            at: order.at,
            kind: PostingKind::Bonus,
            debit: Account::Source(order.source.clone()),
            credit: Account::payee(&order.contract),
            currency: order.contract.currency,
            amount: order.amount,
            contract: order.contract.id.clone(),
            case: order.case.clone(),
            rule: Rule::E7,
            deposit: None,
            payment: None,
            available_at: Some(order.available_at),
        };
        Ok(match self.charge_and_post(&order.case_ref, &order.contract, &order.source, &posting).await? {
            Ok(()) => BonusReceipt::Paid,
            Err(reason) => BonusReceipt::Declined { reason },
        })
    }
}
