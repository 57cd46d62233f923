//! The check of payments and of what goes back of them (E1, R7, P4), and of deposits for milestones (E6).

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use sqlx::{Any, Row as _, Transaction, any::AnyRow};

use super::{CheckState, LedgerError};

/// What the check knows of payments and charges so far. It keeps no single payments, because there may be very many.
pub(super) struct Payments {
    /// By contract: who gets its payments.
    payees: BTreeMap<String, String>,
    /// By contract and deposit: how much went back.
    gone_back: BTreeMap<(String, String), i128>,
    /// The posted returns, with their amounts.
    returns: BTreeMap<String, i64>,
}

impl Payments {
    /// Reads who gets the payments of each contract.
    pub async fn begin(read: &mut Transaction<'static, Any>) -> Result<Self, LedgerError> {
        let rows = sqlx::query("SELECT contract, freelancer, agency FROM contracts").fetch_all(&mut **read).await?;
        let mut payees = BTreeMap::new();
        for row in &rows {
            let (contract, freelancer): (String, &str) = (row.try_get("contract")?, row.try_get("freelancer")?);
            let agency: Option<&str> = row.try_get("agency")?;
            let payee = agency.map_or_else(|| format!("freelancer:{freelancer}"), |agency| format!("agency:{agency}"));
            payees.insert(contract, payee);
        }
        Ok(Self { payees, gone_back: BTreeMap::new(), returns: BTreeMap::new() })
    }

    /// Counts one posting. E1: payments go to the payee that the contract names.
    pub fn count(&mut self, seen: &mut CheckState, row: &AnyRow) -> Result<(), LedgerError> {
        let (kind, contract): (&str, &str) = (row.try_get("kind")?, row.try_get("contract")?);
        if matches!(kind, "release" | "bonus") {
            let (id, paid): (&str, &str) = (row.try_get("id")?, row.try_get("credit")?);
            match self.payees.get(contract) {
                Some(payee) if payee == paid => {}
                Some(payee) => seen.find("E1", id, format!("pays {paid} and not {payee}")),
                None => seen.find("E1", id, format!("is of contract {contract}, which nobody pinned")),
            }
        }
        if !matches!(kind, "refund" | "return") {
            return Ok(());
        }
        let amount: i64 = row.try_get("amount")?;
        if let Some(deposit) = row.try_get::<Option<String>, _>("deposit")? {
            *self.gone_back.entry((contract.to_owned(), deposit)).or_default() += i128::from(amount);
        }
        if kind == "return" {
            self.returns.insert(row.try_get("id")?, amount);
        }
        Ok(())
    }

    /// The checks after every posting is counted.
    pub async fn check(self, seen: &mut CheckState, read: &mut Transaction<'static, Any>) -> Result<(), LedgerError> {
        if !self.returns.is_empty() {
            check_returns(seen, read).await?;
        }
        self.check_deposits(seen, read).await?;
        self.check_plans(seen, read).await?;
        check_in_flight(seen, read).await
    }

    /// R7, P4: no more goes back to a charge than was charged.
    async fn check_deposits(
        &self,
        seen: &mut CheckState,
        read: &mut Transaction<'static, Any>,
    ) -> Result<(), LedgerError> {
        let rows = sqlx::query("SELECT contract, deposit, amount FROM deposits").fetch_all(&mut **read).await?;
        let mut deposits: BTreeMap<(String, String), i64> = BTreeMap::new();
        for row in &rows {
            deposits.insert((row.try_get("contract")?, row.try_get("deposit")?), row.try_get("amount")?);
        }
        for (key, gone_back) in &self.gone_back {
            let amount = deposits.get(key).copied().unwrap_or(0);
            if *gone_back > i128::from(amount) {
                let (contract, deposit) = key;
                let problem = format!("of contract {contract} was {amount}, and {gone_back} of it went back");
                seen.find("R7", deposit, problem);
            }
        }
        Ok(())
    }

    /// P4: every return was planned, and every leg that is marked as posted is posted.
    async fn check_plans(
        &self,
        seen: &mut CheckState,
        read: &mut Transaction<'static, Any>,
    ) -> Result<(), LedgerError> {
        let rows = sqlx::query("SELECT posting, amount, posted FROM return_legs").fetch_all(&mut **read).await?;
        let mut planned: BTreeMap<String, i64> = BTreeMap::new();
        for row in &rows {
            let (id, posted): (String, i64) = (row.try_get("posting")?, row.try_get("posted")?);
            if (posted == 1) != self.returns.contains_key(&id) {
                let problem =
                    if posted == 1 { "is marked as posted and is not" } else { "is posted and not marked so" };
                seen.find("P4", &id, problem);
            }
            planned.insert(id, row.try_get("amount")?);
        }
        for (id, amount) in &self.returns {
            match planned.get(id) {
                Some(planned) if planned == amount => {}
                Some(planned) => seen.find("P4", id, format!("returns {amount}, and {planned} was planned")),
                None => seen.find("P4", id, "was never planned"),
            }
        }
        Ok(())
    }
}

/// P4: a return takes back an earlier payment of its contract, and no more goes back than was paid.
async fn check_returns(seen: &mut CheckState, read: &mut Transaction<'static, Any>) -> Result<(), LedgerError> {
    let mut left: BTreeMap<String, i128> = BTreeMap::new();
    let mut rows = sqlx::query(
        "SELECT r.id, r.amount, p.id AS payment, p.amount AS paid FROM journal r
         LEFT JOIN journal p ON p.id = r.payment AND p.kind IN ('release', 'bonus') AND p.sequence < r.sequence
             AND p.contract = r.contract AND p.credit = r.debit
         WHERE r.kind = 'return' ORDER BY r.sequence",
    )
    .fetch(&mut **read);
    while let Some(row) = rows.try_next().await? {
        let amount: i64 = row.try_get("amount")?;
        match row.try_get::<Option<String>, _>("payment")? {
            Some(payment) => {
                let paid: i64 = row.try_get("paid")?;
                *left.entry(payment).or_insert_with(|| paid.into()) -= i128::from(amount);
            }
            None => seen.find("P4", row.try_get::<String, _>("id")?, "takes back what is no payment of its contract"),
        }
    }
    for (payment, left) in left.into_iter().filter(|(_, left)| *left < 0) {
        seen.find("P4", payment, format!("was returned with {} more than was paid", -left));
    }
    Ok(())
}

/// E6: the reserved money is what the deposits under way draw on.
async fn check_in_flight(seen: &mut CheckState, read: &mut Transaction<'static, Any>) -> Result<(), LedgerError> {
    let mut reserved: BTreeMap<(String, String), (i64, i64)> = BTreeMap::new();
    let rows = sqlx::query("SELECT contract, deposit, from_held FROM milestone_deposits WHERE state = 'in_flight'")
        .fetch_all(&mut **read)
        .await?;
    for row in &rows {
        reserved.entry((row.try_get("contract")?, row.try_get("deposit")?)).or_default().0 =
            row.try_get("from_held")?;
    }
    let rows =
        sqlx::query("SELECT contract, deposit, amount FROM set_aside WHERE deposit IS NOT NULL").fetch_all(&mut **read);
    for row in &rows.await? {
        reserved.entry((row.try_get("contract")?, row.try_get("deposit")?)).or_default().1 +=
            row.try_get::<i64, _>("amount")?;
    }
    for ((contract, deposit), (wanted, there)) in reserved {
        if wanted != there {
            seen.find(
                "E6",
                deposit,
                format!("of contract {contract} draws on {wanted}, and {there} is reserved for it"),
            );
        }
    }
    Ok(())
}
