//! The facts that a dispute stands on (D1): that the contract ended, or that a milestone was submitted.

use jiff::Timestamp;
use recourse_workflows::{
    domain::{ids::Id, money::Amount},
    effects::{OpenCase, Take},
};
use sqlx::{Any, Row as _, Transaction};

use super::{Ledger, LedgerError, amount_of, asides, id_of};
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
        Take::Unreviewed { milestone, .. } => Ok(submitted(write, contract).await?.contains(milestone)),
        Take::AtContractEnd { .. }
        | Take::Over { .. }
        | Take::Milestone { .. }
        | Take::HeldOver { .. }
        | Take::Payment { .. } => Ok(true),
    }
}

/// What a dispute of a contract's money could stand on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grounded {
    /// Whether the contract has ended, ever.
    pub ended: bool,
    /// What was deposited since it last ended: that is no ended contract's.
    pub deposited_since: Amount,
    /// The milestones that were submitted, and not superseded since.
    pub submitted: Vec<Id>,
}

impl Ledger {
    /// What a dispute of the contract's money could stand on, as far as the ledger knows (D1).
    ///
    /// # Errors
    /// Only if the database cannot be read, or was damaged.
    pub async fn grounds(&self, contract: &Id) -> Result<Grounded, LedgerError> {
        let mut read = self.database.read().await?;
        let submitted = submitted(&mut read, contract).await?;
        let ended = has_ended(&mut read, contract).await?;
        Ok(Grounded { ended, deposited_since: deposited_since(&mut read, contract).await?, submitted })
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

/// Whether the contract has ended, ever: a deposit made since does not undo that.
async fn has_ended(transaction: &mut Transaction<'static, Any>, contract: &Id) -> Result<bool, LedgerError> {
    let ended: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM holds WHERE contract = $1 AND ended_contract = 1")
        .bind(contract.as_str())
        .fetch_one(&mut **transaction)
        .await?;
    Ok(ended > 0)
}

/// What of `free`, the escrow that no case holds, a claim that stands on the contract's end is about: what was there when the contract
/// last ended. What was deposited since is paid as on any contract that goes on.
///
/// # Errors
/// Only if the database cannot be read, or was damaged.
pub(super) async fn of_the_end(write: &mut Write, contract: &Id, free: Amount) -> Result<Amount, LedgerError> {
    let since = deposited_since(write, contract).await?;
    Ok(free.minus(since).unwrap_or_default())
}

async fn deposited_since(transaction: &mut Transaction<'static, Any>, contract: &Id) -> Result<Amount, LedgerError> {
    let at = |text: &str| {
        let damaged = || LedgerError::Damaged { what: format!("contract {contract}"), field: "at" };
        text.parse::<Timestamp>().map_err(|_| damaged())
    };
    let ended: Option<String> = sqlx::query_scalar(
        "SELECT opened_at FROM holds WHERE contract = $1 AND ended_contract = 1 ORDER BY sequence DESC LIMIT 1",
    )
    .bind(contract.as_str())
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(ended) = ended.as_deref().map(at).transpose()? else { return Ok(Amount::ZERO) };
    let deposits = sqlx::query("SELECT at, amount FROM deposits WHERE contract = $1 ORDER BY sequence DESC")
        .bind(contract.as_str())
        .fetch_all(&mut **transaction)
        .await?;
    let mut since = Amount::ZERO;
    for deposit in &deposits {
        if at(deposit.try_get("at")?)? <= ended {
            break;
        }
        since = asides::plus(since, amount_of(deposit.try_get("amount")?, "a deposit")?)?;
    }
    Ok(since)
}

/// The milestones that were submitted, where neither a command nor the contract's end superseded that since.
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
