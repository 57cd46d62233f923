//! The journal for other programs: a spreadsheet, an auditor's own check, the platform's accounts.

use futures_util::TryStreamExt as _;
use recourse_domain::ids::Id;
use serde::Serialize;
use sqlx::{Row as _, any::AnyRow};

use super::{Ledger, LedgerError};

/// One posting with everything that the journal says of it, and its link in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Its place in the journal.
    pub sequence: i64,
    /// `{case}/{step}`.
    pub id: String,
    /// When, in the case's time; RFC 3339, UTC.
    pub at: String,
    /// When it was stored, by the wall clock; RFC 3339, UTC.
    pub recorded_at: String,
    /// What it was for.
    pub kind: String,
    /// Where the money left.
    pub debit: String,
    /// Where it arrived.
    pub credit: String,
    /// By its ISO 4217 code.
    pub currency: String,
    /// In minor units.
    pub amount: i64,
    /// Whose money it is.
    pub contract: String,
    /// The workflow id.
    pub case: String,
    /// The rule by which it moved.
    pub rule: String,
    /// The deposit that a refund or a return goes back to.
    pub deposit: Option<String>,
    /// When a payment is available to the payee (E9); RFC 3339, UTC.
    pub available_at: Option<String>,
    /// The payment that a return takes back, by its posting's id.
    pub payment: Option<String>,
    /// Its link (L4); none only if the ledger did not post it.
    pub hash: Option<String>,
}

impl Exported {
    fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            sequence: row.try_get("sequence")?,
            id: row.try_get("id")?,
            at: row.try_get("at")?,
            recorded_at: row.try_get("recorded_at")?,
            kind: row.try_get("kind")?,
            debit: row.try_get("debit")?,
            credit: row.try_get("credit")?,
            currency: row.try_get("currency")?,
            amount: row.try_get("amount")?,
            contract: row.try_get("contract")?,
            case: row.try_get("case_id")?,
            rule: row.try_get("rule")?,
            deposit: row.try_get("deposit")?,
            available_at: row.try_get("available_at")?,
            payment: row.try_get("payment")?,
            hash: row.try_get("hash")?,
        })
    }
}

impl Ledger {
    /// Gives every posting, or every posting of a contract, to `each`, in the order of the journal, as it is at one
    /// instant. Returns how many there were. Only one is in memory at a time.
    ///
    /// # Errors
    /// The error of `each`, or one made from the database's error.
    pub async fn export<E: From<LedgerError>>(
        &self,
        contract: Option<&Id>,
        mut each: impl FnMut(Exported) -> Result<(), E> + Send,
    ) -> Result<u64, E> {
        let mut read = self.database.read().await.map_err(LedgerError::from)?;
        let which = if contract.is_some() { "WHERE j.contract = $1" } else { "" };
        let sql = format!(
            "SELECT j.sequence, j.id, j.at, j.recorded_at, j.kind, j.debit, j.credit, j.currency, j.amount, j.contract,
                    j.case_id, j.rule, j.deposit, j.available_at, j.payment, c.hash
             FROM journal j LEFT JOIN journal_chain c ON c.sequence = j.sequence {which} ORDER BY j.sequence"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql));
        let query = match contract {
            Some(contract) => query.bind(contract.as_str()),
            None => query,
        };
        let mut rows = query.fetch(&mut *read);
        let mut count = 0;
        while let Some(row) = rows.try_next().await.map_err(LedgerError::from)? {
            each(Exported::of(&row).map_err(LedgerError::from)?)?;
            count += 1;
        }
        Ok(count)
    }
}
