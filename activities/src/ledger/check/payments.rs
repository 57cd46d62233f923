//! The check of payments and what goes back of them (E1, R7, P4), and of deposits for milestones (E6).

use std::collections::BTreeMap;

use sqlx::{Any, Row as _, Transaction, any::AnyRow};

use super::{LedgerError, Seen};

/// A payment, and what was returned of it.
struct Payment {
    contract: String,
    payee: String,
    left: i128,
}

/// What is known of payments and charges so far.
#[derive(Default)]
pub(super) struct Payments {
    /// By the posting's id.
    paid: BTreeMap<String, Payment>,
    /// By contract and deposit: what went back of it.
    gone_back: BTreeMap<(String, String), i128>,
    /// The posted returns, and how much.
    returns: BTreeMap<String, i64>,
}

impl Payments {
    /// Counts one posting, which comes after those that it speaks of.
    pub fn count(&mut self, seen: &mut Seen, row: &AnyRow) -> Result<(), LedgerError> {
        let text = |name: &str| -> Result<String, sqlx::Error> { row.try_get(name) };
        let (id, kind, contract) = (text("id")?, text("kind")?, text("contract")?);
        let amount: i64 = row.try_get("amount")?;
        if matches!(kind.as_str(), "release" | "bonus") {
            let payee = text("credit")?;
            self.paid.insert(id, Payment { contract, payee, left: amount.into() });
            return Ok(());
        }
        if !matches!(kind.as_str(), "refund" | "return") {
            return Ok(());
        }
        if let Some(deposit) = row.try_get::<Option<String>, _>("deposit")? {
            *self.gone_back.entry((contract.clone(), deposit)).or_default() += i128::from(amount);
        }
        if kind == "return" {
            self.returns.insert(id.clone(), amount);
            let payment: Option<String> = row.try_get("payment")?;
            let debit = text("debit")?;
            let payment = payment.and_then(|payment| self.paid.get_mut(&payment));
            match payment.filter(|payment| payment.contract == contract && payment.payee == debit) {
                Some(payment) => payment.left -= i128::from(amount),
                None => seen.find("P4", id, "takes back what is no payment of its contract"),
            }
        }
        Ok(())
    }

    /// What must be so once everything is counted.
    pub async fn check(self, seen: &mut Seen, read: &mut Transaction<'static, Any>) -> Result<(), LedgerError> {
        self.check_payees(seen, read).await?;
        self.check_deposits(seen, read).await?;
        self.check_plans(seen, read).await?;
        check_in_flight(seen, read).await
    }

    /// E1: payments go to whom the contract names. P4: no more goes back than was paid.
    async fn check_payees(&self, seen: &mut Seen, read: &mut Transaction<'static, Any>) -> Result<(), LedgerError> {
        let rows = sqlx::query("SELECT contract, freelancer, agency FROM contracts").fetch_all(&mut **read).await?;
        let mut payees = BTreeMap::new();
        for row in &rows {
            let (contract, freelancer): (String, String) = (row.try_get("contract")?, row.try_get("freelancer")?);
            let agency: Option<String> = row.try_get("agency")?;
            let payee = agency.map_or_else(|| format!("freelancer:{freelancer}"), |agency| format!("agency:{agency}"));
            payees.insert(contract, payee);
        }
        for (id, payment) in &self.paid {
            match payees.get(&payment.contract) {
                Some(payee) if *payee == payment.payee => {}
                Some(payee) => seen.find("E1", id, format!("pays {} and not {payee}", payment.payee)),
                None => seen.find("E1", id, format!("is of contract {}, which nobody pinned", payment.contract)),
            }
            if payment.left < 0 {
                seen.find("P4", id, format!("was returned with {} more than was paid", -payment.left));
            }
        }
        Ok(())
    }

    /// R7, P4: no more goes back to a charge than it was.
    async fn check_deposits(&self, seen: &mut Seen, read: &mut Transaction<'static, Any>) -> Result<(), LedgerError> {
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

    /// P4: every return was planned, and what is marked as posted is.
    async fn check_plans(&self, seen: &mut Seen, read: &mut Transaction<'static, Any>) -> Result<(), LedgerError> {
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

/// E6: what is reserved is what the deposits in flight draw on.
async fn check_in_flight(seen: &mut Seen, read: &mut Transaction<'static, Any>) -> Result<(), LedgerError> {
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
