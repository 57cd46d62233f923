//! The ledger: double entry in integer minor units (L1–L5). The escrow effects of `recourse-activities` ask the payment
//! providers to move money; the ledger posts it.
//!
//! Each effect goes through phases. Each phase is one transaction, which happens completely or not at all. After a
//! crash between two phases, the effect runs again from the top and recognises by its id what is done.
//!
//! | effect | phases, in this order | recognised by |
//! |---|---|---|
//! | deposit | look for the deposit → charge → post it, its row and the contract's pin | posting id = charge key = `{case}/deposit` |
//! | deposit for a milestone (E6) | reserve held-over money and remember the order → charge the rest → post, set aside | the same, and its row in `milestone_deposits` |
//! | open | take what the case is about, and remember the answer | case and first run |
//! | settle, releases | draw on the hold, post all neighbouring releases; several cases may share one transaction, see [`together`] | posting id = `{case_ref}/{step}` |
//! | settle, each refund | check the hold → refund at the provider → draw on the hold, post, and follow it | the same, also the provider's key |
//! | settle, end | close the hold and release the rest, with the last posting | closed holds stay closed |
//! | fee, fee return, bonus | charge or refund → post | as a refund |
//! | returned payment | plan its legs → for each leg: refund at the provider → post, mark and follow it | the plan's rows in `return_legs` |
//! | the end of a refund | see [`refunds`] | its id and state |
//!
//! Ordering rules:
//!
//! 1. The provider acts before the ledger does (L6), so the ledger never has a movement that did not happen.
//! 2. No transaction is open during a call to the provider.
//! 3. A hold shrinks before its escrow is debited, and money leaves its hold before it is set aside: holds and set-asides
//!    never exceed the escrow.
//! 4. Every check that can refuse comes before the call to the provider.

mod asides;
pub mod chain;
mod check;
mod contracts;
mod deposits;
mod export;
mod funding;
mod grounds;
mod history;
mod holds;
mod known;
mod moved;
mod open;
mod payee;
mod posting;
pub mod refunds;
mod returns;
mod settle;
mod sources;
mod together;
mod tracked;

use std::time::Duration;

use recourse_domain::{
    deposit,
    ids::Id,
    money::{Amount, Currency},
    posting::Account,
};
use sqlx::{Any, Transaction};

pub use asides::{FreeMoney, KeptFor};
pub use chain::{ChainReport, Head};
pub use check::{CheckReport, Finding, MoneyHeld};
pub use contracts::ContractFilter;
pub use export::Exported;
pub use grounds::Grounded;
pub use history::{Balances, Entry, History};
pub use holds::OpenHold;
pub use known::{Deposit, Known};
pub use moved::Moved;
pub use payee::PayeeBalance;
pub use posting::Posting;
pub use returns::Plan;
pub use together::Order;
pub use tracked::{GivenBack, News, RefundState, TrackedRefund};

use recourse_database::{Database, DatabaseError, WriteQueue};

/// The ledger in a database. Clones share it.
#[derive(Debug, Clone)]
pub struct Ledger {
    database: Database,
    /// How long an opening waits for a review that was told to release its money (E11). Then it fails and is retried.
    patience: Duration,
    queue: WriteQueue<Order>,
}

/// See [`Ledger::patience`]. Shorter than any effect's time-out.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the ledger did not do what the caller asked. Nothing has moved.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database failed, or one of its constraints refused.
    #[error("the ledger's database did not do its work")]
    Database(#[from] sqlx::Error),
    /// L2: a posting's id came again with other content. An operator must look.
    #[error("posting {id} was made before with other content: {differs}")]
    PostingConflict {
        /// The posting.
        id: String,
        /// Which fields, in words.
        differs: String,
    },
    /// L3: the case asked for more than it holds.
    #[error("{case_ref} holds {} minor units and asked for {}", held.minor(), asked.minor())]
    ExceedsHold {
        /// The case.
        case_ref: String,
        /// What it holds.
        held: Amount,
        /// What it asked for.
        asked: Amount,
    },
    /// R7: a refund does not match the deposit that it goes back to.
    #[error("refund {id} does not fit its deposit: {reason}")]
    RefundMismatch {
        /// The posting.
        id: String,
        /// What does not fit.
        reason: String,
    },
    /// E1: somebody asks for a contract's money with another client, freelancer, agency or currency than in its first
    /// deposit. An operator must look.
    #[error("{reason}")]
    OtherContract {
        /// What differs, in words.
        reason: String,
    },
    /// No case with this id holds anything of this contract.
    #[error("there is no case {case_ref} to take over from")]
    UnknownCase {
        /// The case.
        case_ref: String,
    },
    /// E11: a review was told that its contract ended, and still holds money. Ask again.
    #[error("{case} was told that its contract ended, and still holds escrow")]
    StillHeld {
        /// The review's workflow id.
        case: String,
    },
    /// P1: the contract has no payment with this id.
    #[error("there is no payment {payment}")]
    NoSuchPayment {
        /// The id.
        payment: String,
    },
    /// A row has content that this program never writes.
    #[error("{what} is damaged: its {field} cannot be read; run `recourse ledger --check`")]
    Damaged {
        /// Which row.
        what: String,
        /// Which field.
        field: &'static str,
    },
}

impl LedgerError {
    /// The kind of error, as a name in a workflow's history.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Database(_) => "LedgerUnavailable",
            Self::PostingConflict { .. } => "PostingConflict",
            Self::ExceedsHold { .. } => "ExceedsHold",
            Self::RefundMismatch { .. } => "RefundMismatch",
            Self::OtherContract { .. } => "OtherContract",
            Self::UnknownCase { .. } => "UnknownCase",
            Self::StillHeld { .. } => "StillHeld",
            Self::NoSuchPayment { .. } => "NoSuchPayment",
            Self::Damaged { .. } => "LedgerDamaged",
        }
    }
}

impl Ledger {
    /// The ledger in `database`. [`Database::migrate`] has made its tables.
    pub fn new(database: Database) -> Self {
        Self { database, patience: PATIENCE, queue: WriteQueue::default() }
    }

    /// The same ledger; its openings wait this long for a review that was told to release its money (E11).
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl Ledger {
    /// Why this posting would make a sum too large, if it would (E15). Ask before the charge.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn too_large(&self, posting: &Posting) -> Result<Option<String>, LedgerError> {
        let mut read = self.database.read().await?;
        let mut sums = Vec::new();
        for account in [&posting.debit, &posting.credit] {
            sums.push(size_of(&mut read, account, posting.currency).await?);
        }
        Ok(deposit::out_of_range(posting.amount, &sums))
    }
}

/// Makes all tables, or brings them up to date. Postings from before the chain get their links. It is safe to repeat,
/// and two programs may do it at once.
///
/// # Errors
/// As [`Database::migrate`].
pub async fn set_up(database: &Database) -> Result<(), DatabaseError> {
    database.migrate().await?;
    let mut write = database.write().await?;
    chain::begin(&mut write).await?;
    Ok(write.commit().await?)
}

/// What is in `account`, which is never negative.
async fn balance(
    transaction: &mut Transaction<'static, Any>,
    account: &Account,
    currency: Currency,
) -> Result<Amount, LedgerError> {
    amount_of(minor_in(transaction, account, currency).await?, &account.to_string())
}

/// How far `account` is from zero, above or below: a billing method's balance is below zero.
async fn size_of(
    transaction: &mut Transaction<'static, Any>,
    account: &Account,
    currency: Currency,
) -> Result<Amount, LedgerError> {
    let minor = minor_in(transaction, account, currency).await?;
    amount_of(minor.saturating_abs(), &account.to_string())
}

async fn minor_in(
    transaction: &mut Transaction<'static, Any>,
    account: &Account,
    currency: Currency,
) -> Result<i64, LedgerError> {
    let balance: Option<i64> = sqlx::query_scalar("SELECT balance FROM balances WHERE account = $1 AND currency = $2")
        .bind(account.to_string())
        .bind(currency.code())
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(balance.unwrap_or(0))
}

fn amount_of(minor: i64, what: &str) -> Result<Amount, LedgerError> {
    Amount::new(minor).map_err(|_| LedgerError::Damaged { what: what.to_owned(), field: "amount" })
}

fn id_of(text: &str, field: &'static str) -> Result<Id, LedgerError> {
    Id::new(text).map_err(|_| LedgerError::Damaged { what: format!("\"{text}\""), field })
}

#[cfg(test)]
mod tests;
