//! Holds: what each open case has taken of a contract's escrow, so that two cases never decide about the same money.

use jiff::Timestamp;
use recourse_database::Write;
use recourse_domain::{
    ids::Id,
    money::{Amount, Currency},
    posting::{Close, Remainder},
};
use recourse_workflows::effects::HeldByOther;
use serde::{Deserialize, Serialize};
use sqlx::{Any, Row as _, Transaction, any::AnyRow};

use super::{
    Ledger, LedgerError, amount_of,
    asides::{self, Part, Place, Taken},
    id_of,
};

/// What an open case holds of its contract's escrow.
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
    /// What open cases hold of `contract`'s escrow, oldest first. A review whose dispute holds its money is among them,
    /// with nothing.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
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

    /// Closes every open hold of the workflow id `case` and returns them, oldest first. What they held gets its earlier
    /// purpose back. No money moves, and the rows stay.
    ///
    /// For an operator, when a case is dead. The ledger cannot know that: the caller must make sure that the workflow
    /// is closed and none of its effects is still running. If the provider still has a refund of such an effect, nobody
    /// could post it afterwards.
    ///
    /// # Errors
    /// Only if the database cannot be written, or is damaged. Nothing has changed.
    pub async fn free(&self, case: &str) -> Result<Vec<OpenHold>, LedgerError> {
        let mut write = self.database.write().await?;
        let rows = sqlx::query(
            "SELECT case_ref, case_id, held, opened_at FROM holds WHERE case_id = $1 AND closed = 0 ORDER BY sequence",
        )
        .bind(case)
        .fetch_all(&mut *write)
        .await?;
        let freed: Vec<OpenHold> = rows.iter().map(open_hold).collect::<Result<_, _>>()?;
        let freely = Close { remainder: Remainder::AsItWas, milestone_done: false };
        for hold in &freed {
            close(&mut write, &hold.case_ref, &freely).await?;
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

/// A case's hold, with what other cases of its contract need of it.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    pub case: String,
    pub case_ref: String,
    pub first_run: String,
    /// The answer to the case's opening, as it is stored.
    pub opened: String,
    pub held: Amount,
    pub milestone: Option<String>,
    /// Whether it is a milestone's review.
    pub is_review: bool,
}

/// The contract's open holds, oldest first. A closed one holds nothing.
pub(super) async fn open_of(
    transaction: &mut Transaction<'static, Any>,
    contract: &Id,
) -> Result<Vec<Hold>, LedgerError> {
    let (open, _) = read(transaction, contract, "").await?;
    Ok(open)
}

/// The same, and all holds of the workflow id `case`, open or closed.
pub(super) async fn open_of_and_all_of(
    transaction: &mut Transaction<'static, Any>,
    contract: &Id,
    case: &str,
) -> Result<(Vec<Hold>, Vec<Hold>), LedgerError> {
    read(transaction, contract, case).await
}

async fn read(
    transaction: &mut Transaction<'static, Any>,
    contract: &Id,
    case: &str,
) -> Result<(Vec<Hold>, Vec<Hold>), LedgerError> {
    let rows = sqlx::query(
        "SELECT case_id, case_ref, first_run, opened, held, milestone, ordinal,
                CASE WHEN contract = $1 AND closed = 0 THEN 1 ELSE 0 END AS is_open
         FROM holds WHERE (contract = $1 AND closed = 0) OR case_id = $2 ORDER BY sequence",
    )
    .bind(contract.as_str())
    .bind(case)
    .fetch_all(&mut **transaction)
    .await?;
    let (mut open, mut of_case) = (Vec::new(), Vec::new());
    for row in &rows {
        let case_ref: String = row.try_get("case_ref")?;
        let hold = Hold {
            case: row.try_get("case_id")?,
            first_run: row.try_get("first_run")?,
            opened: row.try_get("opened")?,
            held: amount_of(row.try_get("held")?, &format!("the hold of {case_ref}"))?,
            milestone: row.try_get("milestone")?,
            is_review: row.try_get::<Option<i64>, _>("ordinal")?.is_some(),
            case_ref,
        };
        if hold.case == case {
            of_case.push(hold.clone());
        }
        if row.try_get::<i64, _>("is_open")? == 1 {
            open.push(hold);
        }
    }
    Ok((open, of_case))
}

/// What cases hold, without those that hold nothing.
pub(super) fn others(open: &[Hold]) -> Vec<HeldByOther> {
    let holding = open.iter().filter(|hold| !hold.held.is_zero());
    holding.map(|hold| HeldByOther { case_ref: hold.case_ref.clone(), amount: hold.held }).collect()
}

/// Takes what the newest hold of the case `from` held, with its origins. A closed case holds nothing. A review stays
/// open and holds nothing; any other case closes.
pub(super) async fn take_over(write: &mut Write, contract: &Id, from: &str) -> Result<Taken, LedgerError> {
    let found = sqlx::query(
        "SELECT case_ref, held, origins, ordinal FROM holds WHERE contract = $1 AND (case_ref = $2 OR case_id = $2)
         ORDER BY sequence DESC LIMIT 1",
    )
    .bind(contract.as_str())
    .bind(from)
    .fetch_optional(&mut **write)
    .await?;
    let Some(found) = found else { return Err(LedgerError::UnknownCase { case_ref: from.to_owned() }) };
    let (case_ref, taken) = holding(&found)?;
    let ordinal: Option<i64> = found.try_get("ordinal")?;
    let sql = if ordinal.is_some() {
        "UPDATE holds SET held = 0, origins = NULL WHERE case_ref = $1 AND closed = 0"
    } else {
        "UPDATE holds SET held = 0, origins = NULL, closed = 1 WHERE case_ref = $1 AND closed = 0"
    };
    sqlx::query(sql).bind(&case_ref).execute(&mut **write).await?;
    Ok(taken)
}

/// The milestone that the newest hold of `case` is about, if there is one.
pub(super) async fn milestone_of(write: &mut Write, contract: &Id, case: &str) -> Result<Option<Id>, LedgerError> {
    let milestone: Option<Option<String>> = sqlx::query_scalar(
        "SELECT milestone FROM holds WHERE contract = $1 AND (case_ref = $2 OR case_id = $2)
         ORDER BY sequence DESC LIMIT 1",
    )
    .bind(contract.as_str())
    .bind(case)
    .fetch_optional(&mut **write)
    .await?;
    milestone.flatten().map(|milestone| id_of(&milestone, "milestone")).transpose()
}

/// The case in a row, what it holds, and the origins of that.
fn holding(row: &AnyRow) -> Result<(String, Taken), LedgerError> {
    let case_ref: String = row.try_get("case_ref")?;
    let what = format!("the hold of {case_ref}");
    let held = amount_of(row.try_get("held")?, &what)?;
    let origins: Option<String> = row.try_get("origins")?;
    Ok((case_ref, Taken::from_json(held, origins.as_deref(), &what)?))
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

/// Takes `amount` from what the case holds, for a posting in the same transaction.
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

/// Closes the case's hold; the rest goes where `how` says. A closed hold does not change.
pub(super) async fn close(write: &mut Write, case_ref: &str, how: &Close) -> Result<(), LedgerError> {
    let found = sqlx::query(
        "SELECT case_ref, contract, currency, held, origins, milestone FROM holds WHERE case_ref = $1 AND closed = 0",
    )
    .bind(case_ref)
    .fetch_optional(&mut **write)
    .await?;
    let Some(found) = found else { return Ok(()) };
    let (_, left) = holding(&found)?;
    let contract = id_of(found.try_get("contract")?, "contract")?;
    let currency = Currency::from_code(found.try_get("currency")?)
        .map_err(|_| LedgerError::Damaged { what: format!("case {case_ref}"), field: "currency" })?;
    let milestone: Option<String> = found.try_get("milestone")?;
    let milestone = milestone.map(|milestone| id_of(&milestone, "milestone")).transpose()?;
    sqlx::query("UPDATE holds SET held = 0, closed = 1, milestone_done = $2 WHERE case_ref = $1")
        .bind(case_ref)
        .bind(i64::from(how.milestone_done))
        .execute(&mut **write)
        .await?;
    let place = Place { contract: &contract, currency };
    match &how.remainder {
        Remainder::HeldOver { milestone } => {
            asides::hold_over(write, place, milestone.as_ref(), left.amount).await?;
        }
        Remainder::Back { case } => {
            if let Some(left) = hand_back(write, &contract, case, left).await? {
                asides::put_back(write, place, left).await?;
            }
        }
        Remainder::AsItWas => asides::put_back(write, place, left).await?,
        Remainder::Superseded => {
            asides::put_back(write, place, left).await?;
            sqlx::query("UPDATE holds SET superseded = 1 WHERE case_ref = $1")
                .bind(case_ref)
                .execute(&mut **write)
                .await?;
        }
        Remainder::Undone => {
            asides::put_back(write, place, left).await?;
            sqlx::query("UPDATE holds SET ends_contract = 0, ended_contract = 0 WHERE case_ref = $1")
                .bind(case_ref)
                .execute(&mut **write)
                .await?;
        }
    }
    if let (true, Some(milestone)) = (how.milestone_done, milestone) {
        let unused = asides::take(write, &contract, Part::Milestone(&milestone), None).await?;
        asides::hold_over(write, place, None, unused.amount).await?;
    }
    Ok(())
}

/// Gives `left` to the open hold of `case`, or back to the caller if there is none.
async fn hand_back(write: &mut Write, contract: &Id, case: &str, left: Taken) -> Result<Option<Taken>, LedgerError> {
    let found = sqlx::query(
        "SELECT case_ref, held, origins FROM holds WHERE contract = $1 AND case_id = $2 AND closed = 0
         ORDER BY sequence DESC LIMIT 1",
    )
    .bind(contract.as_str())
    .bind(case)
    .fetch_optional(&mut **write)
    .await?;
    let Some(found) = found else { return Ok(Some(left)) };
    let (case_ref, there) = holding(&found)?;
    let all = there.and(left)?;
    sqlx::query("UPDATE holds SET held = $2, origins = $3 WHERE case_ref = $1")
        .bind(case_ref)
        .bind(all.amount.minor())
        .bind(all.origins_as_json()?)
        .execute(&mut **write)
        .await?;
    Ok(None)
}
