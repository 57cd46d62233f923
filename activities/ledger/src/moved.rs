//! What has moved of a contract's money, and what became of what was given back (L9).

use jiff::Timestamp;
use recourse_domain::ids::Id;

use super::{
    History, Ledger, LedgerError, RefundState, TrackedRefund,
    refunds::{Which, list},
};

/// What has moved of a contract's money, and what became of what was given back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moved {
    /// Every posting; nothing if no money of the contract was ever here.
    pub history: Option<History>,
    /// Every give-back, oldest first.
    pub refunds: Vec<TrackedRefund>,
}

impl Ledger {
    /// What has moved of `contract`'s money as it is at `now`.
    ///
    /// # Errors
    /// Only if the database cannot be read, or was damaged.
    pub async fn moved(&self, contract: &Id, now: Timestamp) -> Result<Moved, LedgerError> {
        // In this order: a give-back is followed from its posting on, so that each posting that is seen has its refund.
        let history = self.history(contract, now).await?;
        if history.is_none() {
            return Ok(Moved::default());
        }
        let which =
            Which { contract: Some(contract), states: &RefundState::ALL, overdue_by: None, after: None, limit: None };
        Ok(Moved { history, refunds: list(&self.database, &which).await? })
    }
}
