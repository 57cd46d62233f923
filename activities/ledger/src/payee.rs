//! What a freelancer or an agency has, over all contracts (E9): pending for the security period, and available.

use std::collections::BTreeMap;

use jiff::Timestamp;
use recourse_domain::posting::Account;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::{Ledger, LedgerError};

/// What a payee has in one currency, in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayeeBalance {
    /// By its ISO 4217 code.
    pub currency: String,
    /// Paid, and still in the security period.
    pub pending: i64,
    /// Paid, and the payee's to use.
    pub available: i64,
    /// When the next part of what is pending is available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_available_at: Option<Timestamp>,
}

impl Ledger {
    /// What is in `account` at `now`, over all contracts, by currency. The returned part of a payment (P4) no longer
    /// counts, whether the payment is pending or not. Nothing for an account that was never paid.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn payee(&self, account: &Account, now: Timestamp) -> Result<Vec<PayeeBalance>, LedgerError> {
        let account = account.to_string();
        let mut read = self.database.read().await?;
        let rows = sqlx::query("SELECT currency, balance FROM balances WHERE account = $1 ORDER BY currency")
            .bind(&account)
            .fetch_all(&mut *read)
            .await?;
        let mut balances = BTreeMap::new();
        for row in &rows {
            let currency: String = row.try_get("currency")?;
            let available = row.try_get("balance")?;
            let balance = PayeeBalance { currency: currency.clone(), pending: 0, available, next_available_at: None };
            balances.insert(currency, balance);
        }
        // Times are stored with as many decimals as they have, so their texts compare correctly only down to the
        // second. That is enough to leave out most old payments; the rest is compared as instants.
        let this_second: String = now.to_string().chars().take("2026-12-03T10:00:00".len()).collect();
        let rows = sqlx::query(
            "SELECT p.id, p.currency, p.available_at, p.amount - COALESCE((
                 SELECT CAST(SUM(r.amount) AS BIGINT) FROM journal r
                 WHERE r.payment = p.id AND r.kind = 'return'), 0) AS amount_left
             FROM journal p WHERE p.credit = $1 AND p.available_at >= $2",
        )
        .bind(&account)
        .bind(this_second)
        .fetch_all(&mut *read)
        .await?;
        for row in &rows {
            let (id, currency): (String, String) = (row.try_get("id")?, row.try_get("currency")?);
            let damaged = |field| LedgerError::Damaged { what: format!("posting {id}"), field };
            let available_at: String = row.try_get("available_at")?;
            let available_at: Timestamp = available_at.parse().map_err(|_| damaged("available_at"))?;
            let left: i64 = row.try_get("amount_left")?;
            if available_at <= now || left == 0 {
                continue;
            }
            let balance = balances.get_mut(&currency).ok_or_else(|| damaged("currency"))?;
            balance.pending += left;
            balance.available -= left;
            let next = balance.next_available_at.map_or(available_at, |next| next.min(available_at));
            balance.next_available_at = Some(next);
        }
        Ok(balances.into_values().collect())
    }
}
