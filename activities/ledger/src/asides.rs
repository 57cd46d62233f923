//! Set-asides: escrow that no case holds and that has a purpose (E6, E13).
//!
//! They are a milestone's own deposit, money held over for the next deposit, and money that a deposit under way has
//! reserved. The rest is for the whole contract. Who takes money records where each part was. So each part can go back
//! to its place, also in the order in which deposits draw on held-over money.

use std::collections::BTreeMap;

use recourse_database::Write;
use recourse_domain::{
    ids::Id,
    money::{Amount, Currency},
    party::Contract,
    posting::Account,
};
use serde::{Deserialize, Serialize};
use sqlx::{Any, Row as _, Transaction};

use super::{Ledger, LedgerError, amount_of, id_of};

/// Whose escrow it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub contract: &'a Id,
    pub currency: Currency,
}

/// What a part of the escrow is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Purpose {
    /// Its milestone.
    Milestone,
    /// The next milestone's deposit.
    HeldOver,
}

/// A part of the escrow as it is set aside, or as it was before a case or deposit took it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// Its place in the order of set-asides: the smallest is the oldest.
    age: i64,
    purpose: Purpose,
    milestone: Option<Id>,
    amount: Amount,
}

/// What was taken, and where it was. The origins may add up to less than the amount: the rest was for the whole
/// contract.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Taken {
    pub amount: Amount,
    pub origins: Vec<Origin>,
}

/// Which set-asides.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'a> {
    All,
    Milestone(&'a Id),
    HeldOver,
    HeldOverFrom(&'a Id),
}

/// Money in escrow that no case holds and no deposit under way has reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreeMoney {
    /// What it is for.
    pub kept_for: KeptFor,
    /// How much, in minor units.
    pub amount: Amount,
}

/// What free money is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptFor {
    /// The whole contract.
    Contract,
    /// This milestone.
    Milestone(Id),
    /// The next milestone's deposit; held over from this milestone, if from one (E6).
    Next(Option<Id>),
}

impl Ledger {
    /// The part of a contract's escrow that no case holds, by purpose.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn free_money(&self, contract: &Contract) -> Result<Vec<FreeMoney>, LedgerError> {
        let mut read = self.database.read().await?;
        let mut sums = BTreeMap::from([(KeptFor::Contract, whole_contract(&mut read, Place::of(contract)).await?)]);
        for Origin { purpose, milestone, amount, .. } in rows(&mut read, &contract.id).await? {
            let kept_for = match (purpose, milestone) {
                (Purpose::Milestone, Some(milestone)) => KeptFor::Milestone(milestone),
                (_, milestone) => KeptFor::Next(milestone),
            };
            let sum = sums.entry(kept_for).or_default();
            *sum = plus(*sum, amount)?;
        }
        let free = sums.into_iter().map(|(kept_for, amount)| FreeMoney { kept_for, amount });
        Ok(free.filter(|free| !free.amount.is_zero()).collect())
    }
}

impl<'a> Place<'a> {
    pub const fn of(contract: &'a Contract) -> Self {
        Self { contract: &contract.id, currency: contract.currency }
    }
}

impl Part<'_> {
    fn has(self, origin: &Origin) -> bool {
        let of = |milestone: &Id| origin.milestone.as_ref() == Some(milestone);
        match self {
            Self::All => true,
            Self::Milestone(milestone) => origin.purpose == Purpose::Milestone && of(milestone),
            Self::HeldOver => origin.purpose == Purpose::HeldOver,
            Self::HeldOverFrom(milestone) => origin.purpose == Purpose::HeldOver && of(milestone),
        }
    }
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Milestone => "milestone",
            Self::HeldOver => "held_over",
        }
    }
}

impl Taken {
    /// Both together.
    pub fn and(mut self, other: Self) -> Result<Self, LedgerError> {
        self.amount = plus(self.amount, other.amount)?;
        self.origins.extend(other.origins);
        Ok(self)
    }

    /// An amount that was for the whole contract.
    pub const fn unmarked(amount: Amount) -> Self {
        Self { amount, origins: Vec::new() }
    }

    /// The origins as they are stored.
    pub fn origins_as_json(&self) -> Result<String, LedgerError> {
        serde_json::to_string(&self.origins)
            .map_err(|_| LedgerError::Damaged { what: "what was set aside".to_owned(), field: "origins" })
    }

    /// The rest of what was taken: `amount`, with as much of the stored origins as it covers.
    pub fn from_json(amount: Amount, origins: Option<&str>, what: &str) -> Result<Self, LedgerError> {
        let stored: Vec<Origin> = origins
            .map_or(Ok(Vec::new()), serde_json::from_str)
            .map_err(|_| LedgerError::Damaged { what: what.to_owned(), field: "origins" })?;
        let mut rest = amount;
        let mut origins = Vec::new();
        for origin in stored {
            let amount = origin.amount.min(rest);
            if amount.is_zero() {
                break;
            }
            rest = rest.minus(amount).unwrap_or_default();
            origins.push(Origin { amount, ..origin });
        }
        Ok(Self { amount, origins })
    }
}

pub(super) fn plus(one: Amount, other: Amount) -> Result<Amount, LedgerError> {
    one.plus(other).ok_or_else(|| LedgerError::Damaged { what: "a sum of escrow".to_owned(), field: "amount" })
}

/// What is set aside and not reserved by a deposit under way, oldest first.
async fn rows(transaction: &mut Transaction<'static, Any>, contract: &Id) -> Result<Vec<Origin>, LedgerError> {
    let rows = sqlx::query(
        "SELECT sequence, purpose, milestone, amount FROM set_aside
         WHERE contract = $1 AND deposit IS NULL ORDER BY sequence",
    )
    .bind(contract.as_str())
    .fetch_all(&mut **transaction)
    .await?;
    rows.iter()
        .map(|row| {
            let purpose: String = row.try_get("purpose")?;
            let milestone: Option<String> = row.try_get("milestone")?;
            Ok(Origin {
                age: row.try_get("sequence")?,
                purpose: if purpose == Purpose::Milestone.name() { Purpose::Milestone } else { Purpose::HeldOver },
                milestone: milestone.map(|milestone| id_of(&milestone, "milestone")).transpose()?,
                amount: amount_of(row.try_get("amount")?, "what is set aside")?,
            })
        })
        .collect()
}

/// The amount of this part.
pub(super) async fn there(
    transaction: &mut Transaction<'static, Any>,
    contract: &Id,
    part: Part<'_>,
) -> Result<Amount, LedgerError> {
    let rows = rows(transaction, contract).await?;
    rows.iter().filter(|row| part.has(row)).try_fold(Amount::ZERO, |sum, row| plus(sum, row.amount))
}

/// What no case holds and nobody has set aside: the whole contract's.
pub(super) async fn whole_contract(
    transaction: &mut Transaction<'static, Any>,
    place: Place<'_>,
) -> Result<Amount, LedgerError> {
    let account = Account::Escrow(place.contract.clone()).to_string();
    let found = sqlx::query(
        "SELECT COALESCE((SELECT balance FROM balances WHERE account = $3 AND currency = $2), 0) AS balance,
                CAST(COALESCE((SELECT SUM(held) FROM holds WHERE contract = $1 AND closed = 0 AND currency = $2), 0)
                   + COALESCE((SELECT SUM(amount) FROM set_aside WHERE contract = $1 AND currency = $2), 0) AS BIGINT)
                AS spoken_for",
    )
    .bind(place.contract.as_str())
    .bind(place.currency.code())
    .bind(&account)
    .fetch_one(&mut **transaction)
    .await?;
    let escrow = amount_of(found.try_get("balance")?, &account)?;
    let spoken_for = amount_of(found.try_get("spoken_for")?, "what is held")?;
    escrow
        .minus(spoken_for)
        .ok_or_else(|| LedgerError::Damaged { what: format!("escrow:{}", place.contract), field: "balance" })
}

/// Takes from the set-asides of this part, the oldest first, at most `at_most`.
pub(super) async fn take(
    write: &mut Write,
    contract: &Id,
    part: Part<'_>,
    at_most: Option<Amount>,
) -> Result<Taken, LedgerError> {
    let mut taken = Taken::default();
    for row in rows(write, contract).await?.into_iter().filter(|row| part.has(row)) {
        let wanted = at_most.map_or(row.amount, |most| most.minus(taken.amount).unwrap_or_default());
        let amount = wanted.min(row.amount);
        if amount.is_zero() {
            break;
        }
        let sql = if amount == row.amount {
            "DELETE FROM set_aside WHERE sequence = $1 AND amount = $2"
        } else {
            "UPDATE set_aside SET amount = amount - $2 WHERE sequence = $1"
        };
        sqlx::query(sql).bind(row.age).bind(amount.minor()).execute(&mut **write).await?;
        taken.amount = plus(taken.amount, amount)?;
        taken.origins.push(Origin { amount, ..row });
    }
    Ok(taken)
}

/// Puts back what was taken: each part to its old place, the rest to the whole contract. Money for a milestone that has
/// been decided meanwhile is held over.
pub(super) async fn put_back(write: &mut Write, place: Place<'_>, taken: Taken) -> Result<(), LedgerError> {
    for origin in taken.origins {
        if let (Purpose::Milestone, Some(milestone)) = (origin.purpose, &origin.milestone)
            && is_done(write, place.contract, milestone).await?
        {
            hold_over(write, place, None, origin.amount).await?;
            continue;
        }
        // The part that was not taken may still be there.
        sqlx::query(
            "INSERT INTO set_aside (sequence, contract, currency, purpose, milestone, amount)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (sequence) DO UPDATE SET amount = set_aside.amount + excluded.amount",
        )
        .bind(origin.age)
        .bind(place.contract.as_str())
        .bind(place.currency.code())
        .bind(origin.purpose.name())
        .bind(origin.milestone.map(|milestone| milestone.to_string()))
        .bind(origin.amount.minor())
        .execute(&mut **write)
        .await?;
    }
    Ok(())
}

/// Sets whole-contract money aside.
async fn set_aside(
    write: &mut Write,
    place: Place<'_>,
    purpose: &str,
    (milestone, deposit): (Option<&Id>, Option<&Id>),
    amount: Amount,
) -> Result<(), LedgerError> {
    if amount.is_zero() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO set_aside (contract, currency, purpose, milestone, deposit, amount)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(place.contract.as_str())
    .bind(place.currency.code())
    .bind(purpose)
    .bind(milestone.map(ToString::to_string))
    .bind(deposit.map(ToString::to_string))
    .bind(amount.minor())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Holds whole-contract money over for the next milestone's deposit; with a milestone, the freelancer may dispute it.
pub(super) async fn hold_over(
    write: &mut Write,
    place: Place<'_>,
    milestone: Option<&Id>,
    amount: Amount,
) -> Result<(), LedgerError> {
    set_aside(write, place, Purpose::HeldOver.name(), (milestone, None), amount).await
}

/// Sets whole-contract money aside for a milestone. If the milestone is decided, the money would be out of reach, so it
/// is held over.
pub(super) async fn set_aside_for(
    write: &mut Write,
    place: Place<'_>,
    milestone: &Id,
    amount: Amount,
) -> Result<(), LedgerError> {
    if is_done(write, place.contract, milestone).await? {
        return hold_over(write, place, None, amount).await;
    }
    set_aside(write, place, Purpose::Milestone.name(), (Some(milestone), None), amount).await
}

/// Reserves whole-contract money for a deposit under way.
pub(super) async fn reserve(
    write: &mut Write,
    place: Place<'_>,
    (deposit, milestone): (&Id, &Id),
    amount: Amount,
) -> Result<(), LedgerError> {
    set_aside(write, place, "deposit", (Some(milestone), Some(deposit)), amount).await
}

/// Ends a deposit's reservation; the money is the whole contract's again.
pub(super) async fn unreserve(write: &mut Write, contract: &Id, deposit: &Id) -> Result<(), LedgerError> {
    sqlx::query("DELETE FROM set_aside WHERE contract = $1 AND deposit = $2")
        .bind(contract.as_str())
        .bind(deposit.as_str())
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// Whether a milestone is decided (E3).
pub(super) async fn is_done(
    transaction: &mut Transaction<'static, Any>,
    contract: &Id,
    milestone: &Id,
) -> Result<bool, LedgerError> {
    let done: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM holds WHERE contract = $1 AND milestone = $2 AND milestone_done = 1")
            .bind(contract.as_str())
            .bind(milestone.as_str())
            .fetch_one(&mut **transaction)
            .await?;
    Ok(done > 0)
}
