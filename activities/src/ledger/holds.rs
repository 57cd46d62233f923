//! Holds: what each open case has taken of a contract's escrow, so that two cases never decide about the same money.

use jiff::Timestamp;
use recourse_workflows::{
    domain::{
        ids::Id,
        money::{Amount, Currency},
        posting::Account,
    },
    effects::{HeldByOther, OpenCase, OpenReceipt, OpenedCase},
};
use serde::{Deserialize, Serialize};
use sqlx::{Any, Row as _, Transaction, any::AnyRow};

use super::{
    Ledger, LedgerError, amount_of,
    contracts::{self, Pin},
    deposits,
};
use crate::database::Write;

/// What a case that has not closed holds of its contract's escrow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenHold {
    /// What tells this case from an earlier one with the same id.
    pub case_ref: String,
    /// The workflow id.
    pub case: String,
    /// How much it holds, in the contract's currency.
    pub amount: Amount,
    /// When it opened, in the case's time.
    pub opened_at: Timestamp,
}

impl Ledger {
    /// Takes the contract's free escrow for one case, or the whole hold of the case that it takes over from.
    ///
    /// The case that opened with the same run before gets the same answer, whatever has moved since. A contract that
    /// is not the one of the money (E1) is answered with a conflict, and leaves no trace: the pin that it is in
    /// conflict with never changes, so asking again gets the same answer.
    ///
    /// # Errors
    /// [`LedgerError::UnknownCase`] if there is no case to take over from. Nothing has moved.
    pub async fn open(&self, order: &OpenCase) -> Result<OpenReceipt, LedgerError> {
        let mut write = self.database.write().await?;
        if let Some(opened) = opened_before(&mut write, order).await? {
            return Ok(OpenReceipt::Opened(opened));
        }
        if let Pin::Other { reason } = contracts::compare(&mut write, &order.contract).await? {
            return Ok(OpenReceipt::Conflict { reason });
        }
        let opened = open_now(&mut write, order).await?;
        write.commit().await?;
        Ok(OpenReceipt::Opened(opened))
    }

    /// What cases that have not closed hold of `contract`'s escrow, oldest first. Those that hold nothing are among
    /// them.
    ///
    /// # Errors
    /// Only if the database cannot be read, or was damaged.
    pub async fn holds(&self, contract: &Id) -> Result<Vec<OpenHold>, LedgerError> {
        let mut read = self.database.read().await?;
        let rows = sqlx::query(
            "SELECT case_ref, case_id, held, opened_at FROM holds WHERE contract = $1 AND closed = 0 ORDER BY sequence",
        )
        .bind(contract.as_str())
        .fetch_all(&mut *read)
        .await?;
        rows.iter().map(open_hold).collect()
    }

    /// Closes every open hold of the workflow id `case` and answers with them, oldest first; what they held becomes
    /// free escrow. No money moves, and the rows stay.
    ///
    /// For an operator, when a case is dead. The ledger cannot know that it is: whoever asks must have made sure that
    /// the workflow is closed and none of its effects is still running. An effect whose refund is with the provider
    /// could not be written down afterwards.
    ///
    /// # Errors
    /// Only if the database cannot be written, or was damaged. Nothing has changed.
    pub async fn free(&self, case: &str) -> Result<Vec<OpenHold>, LedgerError> {
        let mut write = self.database.write().await?;
        let rows = sqlx::query(
            "SELECT case_ref, case_id, held, opened_at FROM holds WHERE case_id = $1 AND closed = 0 ORDER BY sequence",
        )
        .bind(case)
        .fetch_all(&mut *write)
        .await?;
        let freed: Vec<OpenHold> = rows.iter().map(open_hold).collect::<Result<_, _>>()?;
        for hold in &freed {
            close(&mut write, &hold.case_ref).await?;
        }
        write.commit().await?;
        Ok(freed)
    }
}

fn open_hold(row: &AnyRow) -> Result<OpenHold, LedgerError> {
    let case_ref: String = row.try_get("case_ref")?;
    let opened_at: String = row.try_get("opened_at")?;
    let opened_at =
        opened_at.parse().map_err(|_| LedgerError::Damaged { what: format!("case {case_ref}"), field: "opened_at" })?;
    let amount = amount_of(row.try_get("held")?, &format!("the hold of {case_ref}"))?;
    Ok(OpenHold { case: row.try_get("case_id")?, case_ref, amount, opened_at })
}

async fn open_now(write: &mut Write, order: &OpenCase) -> Result<OpenedCase, LedgerError> {
    let earlier: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM holds WHERE case_id = $1")
        .bind(&order.case)
        .fetch_one(&mut **write)
        .await?;
    let case_ref = match earlier {
        0 => order.case.clone(),
        earlier => format!("{}#{}", order.case, earlier + 1),
    };
    let held = match &order.take_over {
        Some(from) => take_over(write, &order.contract.id, from).await?,
        None => free_escrow(write, &order.contract.id, order.contract.currency).await?,
    };
    // After the other case's hold was taken over and before this one's is there, so both are left out.
    let others = others(write, &order.contract.id).await?;
    let deposits = deposits::funded(write, &order.contract.id).await?;
    let opened = OpenedCase { case_ref, held, deposits, others };
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
    .execute(&mut **write)
    .await?;
    Ok(opened)
}

/// What the contract's cases hold, where it is more than nothing; oldest first. A closed case holds nothing.
async fn others(transaction: &mut Transaction<'static, Any>, contract: &Id) -> Result<Vec<HeldByOther>, LedgerError> {
    let rows = sqlx::query("SELECT case_ref, held FROM holds WHERE contract = $1 AND held > 0 ORDER BY sequence")
        .bind(contract.as_str())
        .fetch_all(&mut **transaction)
        .await?;
    rows.iter()
        .map(|row| {
            let case_ref: String = row.try_get("case_ref")?;
            let amount = amount_of(row.try_get("held")?, &format!("the hold of {case_ref}"))?;
            Ok(HeldByOther { case_ref, amount })
        })
        .collect()
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
async fn free_escrow(write: &mut Write, contract: &Id, currency: Currency) -> Result<Amount, LedgerError> {
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

/// What the case holds of this contract's escrow; nothing if it never opened.
///
/// # Errors
/// [`LedgerError::OtherContract`] if it holds another contract's.
pub(super) async fn held(
    transaction: &mut Transaction<'static, Any>,
    case_ref: &str,
    contract: &Id,
) -> Result<Amount, LedgerError> {
    let found = sqlx::query("SELECT contract, held FROM holds WHERE case_ref = $1")
        .bind(case_ref)
        .fetch_optional(&mut **transaction)
        .await?;
    let Some(found) = found else { return Ok(Amount::ZERO) };
    let of: String = found.try_get("contract")?;
    if of != contract.as_str() {
        return Err(LedgerError::OtherContract {
            reason: format!("{case_ref} is about contract {of}, not {contract}"),
        });
    }
    amount_of(found.try_get("held")?, &format!("the hold of {case_ref}"))
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
    let held = held(write, case_ref, contract).await?;
    Err(LedgerError::ExceedsHold { case_ref: case_ref.to_owned(), held, asked: amount })
}

/// Ends the case's hold; what is left of it becomes free escrow.
pub(super) async fn close(write: &mut Write, case_ref: &str) -> Result<(), LedgerError> {
    sqlx::query("UPDATE holds SET held = 0, closed = 1 WHERE case_ref = $1 AND closed = 0")
        .bind(case_ref)
        .execute(&mut **write)
        .await?;
    Ok(())
}
