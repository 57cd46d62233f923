//! The facts that a dispute stands on (D1): that the contract ended, or that a milestone was submitted.

use recourse_workflows::{
    domain::ids::Id,
    effects::{OpenCase, Take},
};

use super::{Ledger, LedgerError};
use crate::database::Write;

/// Whether the ledger knows the ground of what is to be opened. What grew out of a case has that case's; what is not a dispute
/// needs none, and of what was held over there is nothing unless it was released in part.
///
/// # Errors
/// Only if the database cannot be read.
pub(super) async fn are_known(write: &mut Write, order: &OpenCase) -> Result<bool, LedgerError> {
    let contract = &order.contract.id;
    match &order.take {
        Take::Free => has_ended(write, contract).await,
        Take::Unreviewed { milestone, .. } => was_submitted(write, contract, milestone).await,
        Take::AtContractEnd { .. }
        | Take::Over { .. }
        | Take::Milestone { .. }
        | Take::HeldOver { .. }
        | Take::Payment { .. } => Ok(true),
    }
}

impl Ledger {
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

/// Whether the contract has ended, ever: a deposit made since does not undo that.
async fn has_ended(write: &mut Write, contract: &Id) -> Result<bool, LedgerError> {
    let ended: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM holds WHERE contract = $1 AND ended_contract = 1")
        .bind(contract.as_str())
        .fetch_one(&mut **write)
        .await?;
    Ok(ended > 0)
}

/// Whether the milestone was submitted, and neither a command nor the contract's end superseded that since.
async fn was_submitted(write: &mut Write, contract: &Id, milestone: &Id) -> Result<bool, LedgerError> {
    let submitted: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM holds AS review
         WHERE review.contract = $1 AND review.milestone = $2 AND review.ordinal IS NOT NULL AND review.superseded = 0
           AND NOT EXISTS (SELECT 1 FROM holds AS later
                           WHERE later.contract = $1 AND later.ended_contract = 1 AND later.sequence > review.sequence)",
    )
    .bind(contract.as_str())
    .bind(milestone.as_str())
    .fetch_one(&mut **write)
    .await?;
    Ok(submitted > 0)
}
