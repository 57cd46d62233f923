//! The facts that a dispute stands on (D1): that the contract ended, or that a milestone was submitted.

use recourse_database::Write;
use recourse_domain::ids::Id;
use recourse_workflows::effects::{HoldRequest, OpenCase};
use sqlx::{Any, Transaction};

use super::{Ledger, LedgerError, id_of};

/// Whether the ledger knows the ground of what is to be opened. A case that continues another has that case's ground,
/// and a case that is not a dispute needs none. A dispute of held-over money needs no check: money is held over only
/// after its milestone was released in part.
///
/// # Errors
/// Only if the database cannot be read.
pub(super) async fn are_known(write: &mut Write, order: &OpenCase) -> Result<bool, LedgerError> {
    let contract = &order.contract.id;
    match &order.take {
        HoldRequest::Free => has_ended(write, contract).await,
        HoldRequest::Unreviewed { milestone, .. } => Ok(submitted(write, contract).await?.contains(milestone)),
        HoldRequest::AtContractEnd { .. }
        | HoldRequest::Over { .. }
        | HoldRequest::Milestone { .. }
        | HoldRequest::HeldOver { .. }
        | HoldRequest::Payment { .. } => Ok(true),
    }
}

/// The possible grounds of a dispute of a contract's money.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grounded {
    /// Whether the contract has ever ended.
    pub ended: bool,
    /// The milestones that were submitted and not superseded since.
    pub submitted: Vec<Id>,
}

impl Ledger {
    /// The possible grounds of a dispute of the contract's money, as far as the ledger knows (D1).
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn grounds(&self, contract: &Id) -> Result<Grounded, LedgerError> {
        let mut read = self.database.read().await?;
        let submitted = submitted(&mut read, contract).await?;
        Ok(Grounded { ended: has_ended(&mut read, contract).await?, submitted })
    }

    /// Whether there was ever a dispute about the contract's money.
    ///
    /// # Errors
    /// Only if the database cannot be read.
    pub async fn has_dispute(&self, contract: &Id) -> Result<bool, LedgerError> {
        let disputes: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM holds WHERE contract = $1 AND substr(case_id, 1, 8) = 'dispute:'")
                .bind(contract.as_str())
                .fetch_one(self.database.pool())
                .await?;
        Ok(disputes > 0)
    }
}

/// Whether the contract has ever ended: a later deposit does not undo that.
async fn has_ended(transaction: &mut Transaction<'static, Any>, contract: &Id) -> Result<bool, LedgerError> {
    let ended: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM holds WHERE contract = $1 AND ended_contract = 1")
        .bind(contract.as_str())
        .fetch_one(&mut **transaction)
        .await?;
    Ok(ended > 0)
}

/// The milestones that were submitted, and that neither a command nor the contract's end has superseded since.
async fn submitted(transaction: &mut Transaction<'static, Any>, contract: &Id) -> Result<Vec<Id>, LedgerError> {
    let milestones: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT review.milestone FROM holds AS review
         WHERE review.contract = $1 AND review.ordinal IS NOT NULL AND review.superseded = 0
           AND NOT EXISTS (SELECT 1 FROM holds AS later
                           WHERE later.contract = $1 AND later.ended_contract = 1 AND later.sequence > review.sequence)",
    )
    .bind(contract.as_str())
    .fetch_all(&mut **transaction)
    .await?;
    milestones.iter().map(|milestone| id_of(milestone, "milestone")).collect()
}
