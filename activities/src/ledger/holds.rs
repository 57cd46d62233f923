//! Holds: what each open case has taken of a contract's escrow, so that two cases never decide about the same money.

use recourse_workflows::{
    domain::{
        ids::Id,
        money::{Amount, Currency},
        posting::Account,
    },
    effects::{OpenCase, OpenedCase},
};
use sqlx::Row as _;

use super::{Ledger, LedgerError, amount_of, deposits};
use crate::database::Write;

impl Ledger {
    /// Takes the contract's free escrow for one case, or the whole hold of the case that it takes over from.
    ///
    /// The case that opened with the same run before gets the same answer, whatever has moved since.
    ///
    /// # Errors
    /// [`LedgerError::UnknownCase`] if there is no case to take over from. Nothing has moved.
    pub async fn open(&self, order: &OpenCase) -> Result<OpenedCase, LedgerError> {
        let mut write = self.database.write().await?;
        if let Some(opened) = opened_before(&mut write, order).await? {
            return Ok(opened);
        }
        let earlier: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM holds WHERE case_id = $1")
            .bind(&order.case)
            .fetch_one(&mut *write)
            .await?;
        let case_ref = match earlier {
            0 => order.case.clone(),
            earlier => format!("{}#{}", order.case, earlier + 1),
        };
        let held = match &order.take_over {
            Some(from) => take_over(&mut write, &order.contract.id, from).await?,
            None => free(&mut write, &order.contract.id, order.contract.currency).await?,
        };
        let opened = OpenedCase { case_ref, held, deposits: deposits::funded(&mut write, &order.contract.id).await? };
        let answer = serde_json::to_string(&opened)
            .map_err(|_| LedgerError::Damaged { what: format!("case {}", opened.case_ref), field: "opened" })?;
        sqlx::query(
            "INSERT INTO holds (case_ref, case_id, first_run, contract, currency, opened_at, opened, held)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&opened.case_ref)
        .bind(&order.case)
        .bind(&order.first_run)
        .bind(order.contract.id.as_str())
        .bind(order.contract.currency.code())
        .bind(order.at.to_string())
        .bind(answer)
        .bind(held.minor())
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(opened)
    }
}

async fn opened_before(write: &mut Write, order: &OpenCase) -> Result<Option<OpenedCase>, LedgerError> {
    let opened: Option<String> = sqlx::query_scalar("SELECT opened FROM holds WHERE case_id = $1 AND first_run = $2")
        .bind(&order.case)
        .bind(&order.first_run)
        .fetch_optional(&mut **write)
        .await?;
    opened
        .map(|opened| serde_json::from_str(&opened))
        .transpose()
        .map_err(|_| LedgerError::Damaged { what: format!("case {}", order.case), field: "opened" })
}

/// What is in escrow and held by no case.
async fn free(write: &mut Write, contract: &Id, currency: Currency) -> Result<Amount, LedgerError> {
    let escrow = super::balance(write, &Account::Escrow(contract.clone()), currency).await?;
    let held: i64 = sqlx::query_scalar(
        "SELECT COALESCE(CAST(SUM(held) AS BIGINT), 0) FROM holds WHERE contract = $1 AND currency = $2",
    )
    .bind(contract.as_str())
    .bind(currency.code())
    .fetch_one(&mut **write)
    .await?;
    let held = amount_of(held, "what is held")?;
    escrow.minus(held).ok_or_else(|| LedgerError::Damaged { what: format!("escrow:{contract}"), field: "balance" })
}

/// Closes the newest hold of the case `from` and gives what it held. A case that closed before holds nothing.
async fn take_over(write: &mut Write, contract: &Id, from: &str) -> Result<Amount, LedgerError> {
    let found = sqlx::query(
        "SELECT case_ref, held FROM holds WHERE contract = $1 AND (case_ref = $2 OR case_id = $2)
         ORDER BY sequence DESC LIMIT 1",
    )
    .bind(contract.as_str())
    .bind(from)
    .fetch_optional(&mut **write)
    .await?;
    let Some(found) = found else { return Err(LedgerError::UnknownCase { case_ref: from.to_owned() }) };
    let case_ref: String = found.try_get("case_ref")?;
    let held = amount_of(found.try_get("held")?, &format!("the hold of {case_ref}"))?;
    close(write, &case_ref).await?;
    Ok(held)
}

/// What the case holds; nothing if it never opened.
pub(super) async fn held(write: &mut Write, case_ref: &str) -> Result<Amount, LedgerError> {
    let held: Option<i64> = sqlx::query_scalar("SELECT held FROM holds WHERE case_ref = $1")
        .bind(case_ref)
        .fetch_optional(&mut **write)
        .await?;
    amount_of(held.unwrap_or(0), &format!("the hold of {case_ref}"))
}

/// Takes `amount` out of what the case holds, for a posting in the same transaction.
pub(super) async fn draw(write: &mut Write, case_ref: &str, contract: &Id, amount: Amount) -> Result<(), LedgerError> {
    let drawn = sqlx::query(
        "UPDATE holds SET held = held - $1 WHERE case_ref = $2 AND contract = $3 AND closed = 0 AND held >= $1",
    )
    .bind(amount.minor())
    .bind(case_ref)
    .bind(contract.as_str())
    .execute(&mut **write)
    .await?;
    if drawn.rows_affected() == 1 {
        return Ok(());
    }
    Err(LedgerError::ExceedsHold { case_ref: case_ref.to_owned(), held: held(write, case_ref).await?, asked: amount })
}

/// Ends the case's hold; what is left of it becomes free escrow.
pub(super) async fn close(write: &mut Write, case_ref: &str) -> Result<(), LedgerError> {
    sqlx::query("UPDATE holds SET held = 0, closed = 1 WHERE case_ref = $1 AND closed = 0")
        .bind(case_ref)
        .execute(&mut **write)
        .await?;
    Ok(())
}
