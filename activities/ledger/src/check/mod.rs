//! The check of the whole ledger (L1–L3, the laws of payments, R8's suspense): whether it keeps what the constraints
//! promise, and where it does not.

mod payments;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Any, Row as _, Transaction, any::AnyRow};

use super::{Ledger, LedgerError, posting};
use payments::Payments;

/// What a check of the whole ledger found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// How many postings there are.
    pub postings: u64,
    /// How many accounts have or had money.
    pub accounts: u64,
    /// Currencies by their ISO 4217 codes.
    pub currencies: Vec<String>,
    /// What is in escrow, by currency.
    pub held: Vec<MoneyHeld>,
    /// What is wrong. Nothing, if the ledger is sound.
    pub findings: Vec<Finding>,
}

/// What is in escrow in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyHeld {
    /// By its ISO 4217 code.
    pub currency: String,
    /// In minor units.
    pub amount: i64,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The law that is broken: `L1`, `L2` or `L3`, or the rule: `E1`, `E6`, `R7`, `R8` or `P4`.
    pub law: String,
    /// The account, posting, case or currency that breaks it.
    pub culprit: String,
    /// How.
    pub problem: String,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub const fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// What the check has read so far. Sums are `i128`: a damaged ledger must not overflow its own check.
#[derive(Default)]
struct CheckState {
    sums: BTreeMap<(String, String), i128>,
    /// How much more billing methods may have got than they gave: what left suspense for them, minus what was parked
    /// for them (R8).
    allowances: BTreeMap<(String, String), i128>,
    currency_of_contract: BTreeMap<String, String>,
    findings: Vec<Finding>,
}

impl CheckState {
    fn find(&mut self, law: &str, culprit: impl Into<String>, problem: impl Into<String>) {
        self.findings.push(Finding { law: law.into(), culprit: culprit.into(), problem: problem.into() });
    }
}

impl Ledger {
    /// Checks L1–L3, and the rules of payments, refunds and returns, over the whole ledger, as it is at one instant.
    ///
    /// # Errors
    /// Only if the database cannot be read. The report says what is wrong in it.
    pub async fn check(&self) -> Result<CheckReport, LedgerError> {
        let mut read = self.database.read().await?;
        let mut seen = CheckState::default();
        let mut payments = Payments::begin(&mut read).await?;
        let mut postings = 0;
        {
            // One row at a time, so that a worker can check a ledger of any size.
            let mut rows = sqlx::query(
                "SELECT id, kind, debit, credit, currency, amount, contract, case_id, rule, deposit, payment, content
                 FROM journal ORDER BY sequence",
            )
            .fetch(&mut *read);
            while let Some(row) = rows.try_next().await? {
                check_posting(&mut seen, &row)?;
                payments.count(&mut seen, &row)?;
                postings += 1;
            }
        }
        check_ids(&mut seen, &mut read).await?;
        payments.check(&mut seen, &mut read).await?;
        let balances = check_balances(&mut seen, &mut read).await?;
        check_holds(&mut seen, &mut read, &balances).await?;
        check_parked(&mut seen, &mut read, &balances).await?;
        let mut held: BTreeMap<String, i64> = BTreeMap::new();
        for ((account, currency), balance) in &balances {
            let in_escrow = if account.starts_with("escrow:") { *balance } else { 0 };
            let sum = held.entry(currency.clone()).or_default();
            *sum = sum.saturating_add(in_escrow);
        }
        Ok(CheckReport {
            postings,
            accounts: balances.keys().map(|(account, _)| account).collect::<BTreeSet<_>>().len() as u64,
            currencies: held.keys().cloned().collect(),
            held: held.into_iter().map(|(currency, amount)| MoneyHeld { currency, amount }).collect(),
            findings: seen.findings,
        })
    }
}

/// L2: no two postings have the same id. The table has a constraint for this, as long as nobody removes it.
async fn check_ids(seen: &mut CheckState, read: &mut Transaction<'static, Any>) -> Result<(), LedgerError> {
    let twice = sqlx::query("SELECT id FROM journal GROUP BY id HAVING COUNT(*) > 1 ORDER BY id");
    for row in &twice.fetch_all(&mut **read).await? {
        seen.find("L2", row.try_get::<String, _>("id")?, "is the id of more than one posting");
    }
    Ok(())
}

/// L2 and L3 of one posting: its content is what was posted, and its escrow is its contract's.
fn check_posting(seen: &mut CheckState, row: &AnyRow) -> Result<(), LedgerError> {
    let text = |name: &str| -> Result<String, sqlx::Error> { row.try_get(name) };
    let (id, debit, credit) = (text("id")?, text("debit")?, text("credit")?);
    let (contract, currency) = (text("contract")?, text("currency")?);
    let amount: i64 = row.try_get("amount")?;
    let (deposit, payment): (Option<String>, Option<String>) = (row.try_get("deposit")?, row.try_get("payment")?);
    if amount <= 0 || debit == credit {
        seen.find("L1", &id, format!("moves {amount} from {debit} to {credit}"));
    }
    let now = posting::content(
        [
            ("kind", text("kind")?.as_str()),
            ("debit", &debit),
            ("credit", &credit),
            ("currency", &currency),
            ("contract", &contract),
            ("case", text("case_id")?.as_str()),
            ("rule", text("rule")?.as_str()),
        ],
        amount,
        (deposit.as_deref(), payment.as_deref()),
    );
    let posted: &str = row.try_get("content")?;
    // It is parsed only if the texts differ.
    let written = now.to_string();
    if posted != written {
        let posted: Option<Value> = serde_json::from_str(posted).ok();
        if posted.as_ref() != Some(&now) {
            let posted = posted.unwrap_or_default();
            seen.find("L2", &id, format!("is not what was posted: {}", posting::differences(&posted, &now)));
        }
    }
    for account in [&debit, &credit] {
        if let Some((kind @ ("escrow" | "suspense"), of)) = account.split_once(':')
            && of != contract
        {
            seen.find("L3", &id, format!("moves {kind} money of contract {of} for contract {contract}"));
        }
    }
    let first = seen.currency_of_contract.entry(contract.clone()).or_insert_with(|| currency.clone());
    if *first != currency {
        let first = first.clone();
        seen.find("L1", &id, format!("is in {currency}, and contract {contract} is in {first}"));
    }
    let (source, allowed) = match text("kind")?.as_str() {
        "to_suspense" => (&debit, -i128::from(amount)),
        "from_suspense" => (&credit, i128::from(amount)),
        _ => (&credit, 0),
    };
    if allowed != 0 {
        *seen.allowances.entry((source.clone(), currency.clone())).or_default() += allowed;
    }
    *seen.sums.entry((debit, currency.clone())).or_default() -= i128::from(amount);
    *seen.sums.entry((credit, currency)).or_default() += i128::from(amount);
    Ok(())
}

/// L1 and L3 of the balances: they are what the journal adds up to, zero in each currency, and nobody is overdrawn.
async fn check_balances(
    seen: &mut CheckState,
    read: &mut Transaction<'static, Any>,
) -> Result<BTreeMap<(String, String), i64>, LedgerError> {
    let rows = sqlx::query("SELECT account, currency, balance FROM balances").fetch_all(&mut **read).await?;
    let mut balances = BTreeMap::new();
    for row in &rows {
        let key: (String, String) = (row.try_get("account")?, row.try_get("currency")?);
        balances.insert(key, row.try_get::<i64, _>("balance")?);
    }
    let keys: BTreeSet<_> = balances.keys().chain(seen.sums.keys()).cloned().collect();
    let mut totals: BTreeMap<String, i128> = BTreeMap::new();
    for key in keys {
        let (account, currency) = &key;
        let balance = i128::from(balances.get(&key).copied().unwrap_or(0));
        let sum = seen.sums.get(&key).copied().unwrap_or(0);
        *totals.entry(currency.clone()).or_default() += balance;
        if balance != sum {
            seen.find("L1", account, format!("has a balance of {balance} {currency} and postings of {sum}"));
        }
        let allowance = seen.allowances.get(&key).copied().unwrap_or(0);
        if account.starts_with("source:") {
            if balance.max(sum) > allowance {
                let most = balance.max(sum);
                seen.find("L3", account, format!("got back more than it gave: {most} {currency}, at most {allowance}"));
            }
        } else if balance.min(sum) < 0 {
            seen.find("L3", account, format!("is overdrawn: {} {currency}", balance.min(sum)));
        }
    }
    for (currency, total) in totals {
        if total != 0 {
            seen.find("L1", &currency, format!("all balances add up to {total} and not to 0"));
        }
    }
    Ok(balances)
}

/// L3 of the holds: the escrow covers what cases hold and what is set aside.
async fn check_holds(
    seen: &mut CheckState,
    read: &mut Transaction<'static, Any>,
    balances: &BTreeMap<(String, String), i64>,
) -> Result<(), LedgerError> {
    let rows = sqlx::query(
        "SELECT case_ref AS holder, contract, currency, held AS amount FROM holds
         UNION ALL SELECT 'set-asides', contract, currency, CAST(SUM(amount) AS BIGINT) FROM set_aside
         GROUP BY contract, currency",
    )
    .fetch_all(&mut **read)
    .await?;
    let mut sums: BTreeMap<(String, String), (i128, Vec<String>)> = BTreeMap::new();
    for row in &rows {
        let (holder, contract): (String, String) = (row.try_get("holder")?, row.try_get("contract")?);
        let amount: i64 = row.try_get("amount")?;
        if amount < 0 {
            seen.find("L3", &holder, format!("holds {amount}"));
        }
        if amount != 0 {
            let (sum, holders) = sums.entry((format!("escrow:{contract}"), row.try_get("currency")?)).or_default();
            *sum += i128::from(amount);
            holders.push(holder);
        }
    }
    for (key, (sum, holders)) in sums {
        let escrow = balances.get(&key).copied().unwrap_or(0);
        if sum > i128::from(escrow) {
            seen.find("L3", key.0, format!("has {escrow} {}, and {} hold {sum}", key.1, holders.join(", ")));
        }
    }
    Ok(())
}

/// R8 of suspense: it contains exactly what is parked.
async fn check_parked(
    seen: &mut CheckState,
    read: &mut Transaction<'static, Any>,
    balances: &BTreeMap<(String, String), i64>,
) -> Result<(), LedgerError> {
    let rows = sqlx::query("SELECT contract, currency, amount FROM refunds WHERE state IN ('failed', 'overdue')")
        .fetch_all(&mut **read)
        .await?;
    let mut parked: BTreeMap<(String, String), i128> = BTreeMap::new();
    for row in &rows {
        let contract: String = row.try_get("contract")?;
        let amount: i64 = row.try_get("amount")?;
        *parked.entry((format!("suspense:{contract}"), row.try_get("currency")?)).or_default() += i128::from(amount);
    }
    let suspense = balances.keys().filter(|(account, _)| account.starts_with("suspense:"));
    let keys: BTreeSet<_> = suspense.chain(parked.keys()).collect();
    for key in keys {
        let balance = i128::from(balances.get(key).copied().unwrap_or(0));
        let sum = parked.get(key).copied().unwrap_or(0);
        if balance != sum {
            seen.find("R8", &key.0, format!("has {balance} {}, and parked refunds of {sum}", key.1));
        }
    }
    Ok(())
}
