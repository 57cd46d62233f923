//! A contract's transaction history (R9): every deposit, release, charge and refund, and where its money is now.

use std::collections::BTreeSet;

use jiff::Timestamp;
use recourse_domain::{fee::share_of, ids::Id, party::Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, any::AnyRow};

use super::{Ledger, LedgerError};

/// Everything that happened to a contract's money, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// The contract.
    pub contract: String,
    /// The currency of all amounts here, by its ISO 4217 code.
    pub currency: String,
    /// Where the money is.
    pub balances: Balances,
    /// What moved, in the order in which it was posted.
    pub entries: Vec<Entry>,
}

/// Where a contract's money is, in minor units. Only this contract's, whatever else the accounts hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Balances {
    /// In escrow.
    pub escrow: i64,
    /// Back at the client's billing methods, or on the way there. Returned fees and parked money do not count.
    pub client: i64,
    /// Released, and still in the security period (E9).
    pub freelancer_pending: i64,
    /// Released and available to the freelancer or agency.
    pub freelancer_available: i64,
    /// Fees that were charged and not given back.
    pub fees: i64,
    /// Parked, because it could not reach where it should.
    pub suspense: i64,
}

/// One posting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// `{case}/{step}`.
    pub id: String,
    /// When, in the case's time; RFC 3339, UTC.
    pub at: String,
    /// What it was for.
    pub kind: String,
    /// Where the money left.
    pub debit: String,
    /// Where it arrived.
    pub credit: String,
    /// In minor units.
    pub amount: i64,
    /// The workflow id.
    pub case: String,
    /// The rule by which it moved.
    pub rule: String,
    /// When a payment is available to the payee (E9); RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_at: Option<String>,
    /// The deposit that a refund or a return goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deposit: Option<String>,
    /// The payment that a return takes back, by its posting's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
    /// Whose share of the arbitration fee it is (A1): of a `fee` and a `fee_return`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_of: Option<Role>,
}

impl Ledger {
    /// The history of `contract` as it is at `now`, which decides what is still pending. Nothing for a contract that
    /// never had money here.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn history(&self, contract: &Id, now: Timestamp) -> Result<Option<History>, LedgerError> {
        let rows = sqlx::query(
            "SELECT id, at, kind, debit, credit, currency, amount, case_id, rule, available_at, deposit, payment
             FROM journal WHERE contract = $1 ORDER BY sequence",
        )
        .bind(contract.as_str())
        .fetch_all(self.database.pool())
        .await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let mut history = History {
            contract: contract.to_string(),
            currency: first.try_get("currency")?,
            balances: Balances::default(),
            entries: Vec::with_capacity(rows.len()),
        };
        let mut pending = BTreeSet::new();
        let mut fee_returns: Vec<String> = Vec::new();
        for row in &rows {
            let entry = entry(row)?;
            // The returned part of a payment no longer counts, whether the payment is pending or not (P4).
            let payment = entry.payment.as_ref().unwrap_or(&entry.id);
            if entry.is_pending(now)? {
                pending.insert(payment.clone());
            }
            if entry.kind == "fee_return" {
                fee_returns.push(format!("{}/", entry.id));
            }
            // A fee that came back was never the contract's money, wherever it goes from there.
            let of_fee = entry.kind == "fee_return" || fee_returns.iter().any(|fee| entry.id.starts_with(fee));
            history.balances.count(&entry, pending.contains(payment), of_fee);
            history.entries.push(entry);
        }
        Ok(Some(history))
    }
}

fn entry(row: &AnyRow) -> Result<Entry, sqlx::Error> {
    let id: String = row.try_get("id")?;
    Ok(Entry {
        share_of: share_of(&id),
        id,
        at: row.try_get("at")?,
        kind: row.try_get("kind")?,
        debit: row.try_get("debit")?,
        credit: row.try_get("credit")?,
        amount: row.try_get("amount")?,
        case: row.try_get("case_id")?,
        rule: row.try_get("rule")?,
        available_at: row.try_get("available_at")?,
        deposit: row.try_get("deposit")?,
        payment: row.try_get("payment")?,
    })
}

impl Entry {
    fn is_pending(&self, now: Timestamp) -> Result<bool, LedgerError> {
        let Some(available_at) = &self.available_at else { return Ok(false) };
        let available_at: Timestamp = available_at
            .parse()
            .map_err(|_| LedgerError::Damaged { what: format!("posting {}", self.id), field: "available_at" })?;
        Ok(available_at > now)
    }
}

impl Balances {
    fn count(&mut self, entry: &Entry, pending: bool, of_fee: bool) {
        for (account, change) in [(&entry.debit, -entry.amount), (&entry.credit, entry.amount)] {
            let balance = match account.split_once(':').map_or(account.as_str(), |(kind, _)| kind) {
                "escrow" => &mut self.escrow,
                "suspense" => &mut self.suspense,
                "fees" => &mut self.fees,
                "freelancer" | "agency" if pending => &mut self.freelancer_pending,
                "freelancer" | "agency" => &mut self.freelancer_available,
                // Only what came back counts, minus what did not arrive.
                "source" if !of_fee && (change > 0 || entry.kind == "to_suspense") => &mut self.client,
                _ => continue,
            };
            *balance += change;
        }
    }
}
