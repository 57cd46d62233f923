//! The movements of a contract's money, and the states of its refunds and returns (L9).

use jiff::Timestamp;
use recourse_domain::ids::Id;

use super::{
    History, Ledger, LedgerError, RefundState, TrackedRefund,
    refunds::{Which, list},
};

/// The movements of a contract's money, and the states of its refunds and returns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moved {
    /// Every posting; nothing if the contract never had money here.
    pub history: Option<History>,
    /// Every refund and return, oldest first.
    pub refunds: Vec<TrackedRefund>,
}

impl Ledger {
    /// The movements of `contract`'s money as they are at `now`.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn moved(&self, contract: &Id, now: Timestamp) -> Result<Moved, LedgerError> {
        // In this order: a refund has its row from its posting on, so each posting in the history has its refund.
        let history = self.history(contract, now).await?;
        if history.is_none() {
            return Ok(Moved::default());
        }
        let which =
            Which { contract: Some(contract), states: &RefundState::ALL, overdue_by: None, after: None, limit: None };
        Ok(Moved { history, refunds: list(&self.database, &which).await? })
    }
}
