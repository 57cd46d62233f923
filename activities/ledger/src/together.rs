//! Settlements that share one transaction with one commit ([`WriteQueue`](recourse_database::WriteQueue)).
//!
//! They share it only in the normal case: new postings of cases that hold enough, with the pinned contracts. Anything
//! else (a posting that exists, a constraint that refuses, a lost connection) rolls all of it back. Then each
//! settlement runs alone ([`Ledger::settle`](super::Ledger::settle)), and gets its own error. A settlement that does
//! not fit is left out before that.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use recourse_database::{Together, Write};
use recourse_domain::{
    money::Amount,
    party::Contract,
    posting::{Account, Close},
};
use sqlx::Row as _;

use super::{
    LedgerError,
    contracts::{self, Pin},
    holds,
    posting::{self, Posting},
};

/// Postings of one case without a payment provider, and how the case closes its hold afterwards.
#[derive(Debug)]
pub struct Order {
    /// What tells this case from an earlier one with the same id.
    pub case_ref: String,
    /// Whose money it is.
    pub contract: Contract,
    /// The postings, in this order.
    pub postings: Vec<Posting>,
    /// How the case releases its hold, if this is the last that it moves.
    pub close: Option<Close>,
}

impl Order {
    /// Whether all its postings leave the contract's escrow, and so draw on the case's hold.
    pub(super) fn may_be_made_together(&self) -> bool {
        let own = Account::Escrow(self.contract.id.clone());
        !self.postings.is_empty() && self.postings.iter().all(|posting| posting.debit == own)
    }

    fn sum(&self) -> Option<i64> {
        self.postings.iter().try_fold(0_i64, |sum, posting| sum.checked_add(posting.amount.minor()))
    }
}

impl Together for Order {
    /// Whether it was made.
    type Done = bool;
    type Error = LedgerError;

    /// In postings; a settlement has one or two.
    const MAX: usize = 64;

    fn weight(&self) -> usize {
        self.postings.len()
    }

    async fn write_all(write: &mut Write, orders: &[&Self]) -> Result<Option<Vec<bool>>, LedgerError> {
        let Found { fitting, drawn, newest } = look(write, orders).await?;
        let chosen = || orders.iter().zip(&fitting).filter(|(_, fits)| **fits).map(|(order, _)| *order);
        let postings: Vec<&Posting> = chosen().flat_map(|order| &order.postings).collect();
        if postings.is_empty() || !draw(write, &drawn).await? || !posting::make_all(write, newest, &postings).await? {
            return Ok(None);
        }
        for order in chosen() {
            if let Some(close) = &order.close {
                holds::close(write, &order.case_ref, close).await?;
            }
        }
        Ok(Some(fitting))
    }
}

/// What is known of the orders before anything moves.
struct Found<'a> {
    /// Which orders fit.
    fitting: Vec<bool>,
    /// What those orders draw, by case.
    drawn: BTreeMap<&'a str, Amount>,
    /// The chain's newest link.
    newest: Option<String>,
}

/// Reads the contracts and holds of all orders at once.
async fn look<'a>(write: &mut Write, orders: &[&'a Order]) -> Result<Found<'a>, LedgerError> {
    let cases: BTreeSet<&str> = orders.iter().map(|order| order.case_ref.as_str()).collect();
    let cases: Vec<&str> = padded(cases.into_iter().collect());
    let sql = format!(
        "SELECT h.case_ref, h.contract, h.held, c.currency, c.client, c.freelancer, c.agency,
                (SELECT hash FROM journal_chain ORDER BY sequence DESC LIMIT 1) AS newest
         FROM holds h JOIN contracts c ON c.contract = h.contract
         WHERE h.closed = 0 AND h.case_ref IN ({})",
        places(1, cases.len())
    );
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    for case in cases {
        query = query.bind(case);
    }
    let rows = query.fetch_all(&mut **write).await?;
    let mut found = BTreeMap::new();
    let mut newest = None;
    for row in &rows {
        newest = row.try_get::<Option<String>, _>("newest")?;
        found.insert(row.try_get::<&str, _>("case_ref")?, (row, row.try_get::<i64, _>("held")?));
    }
    let mut fitting = Vec::with_capacity(orders.len());
    let mut drawn: BTreeMap<&str, Amount> = BTreeMap::new();
    let mut ids = HashSet::new();
    for order in orders {
        let fits = match (found.get_mut(order.case_ref.as_str()), order.sum()) {
            (Some((row, left)), Some(sum)) if sum <= *left => {
                let same = row.try_get::<&str, _>("contract")? == order.contract.id.as_str()
                    && contracts::compare_with(row, &order.contract)? == Pin::Same
                    // If the same settlement came twice, one is made here, and the other finds it made.
                    && order.postings.iter().all(|posting| !ids.contains(posting.id.as_str()));
                if same {
                    *left -= sum;
                    ids.extend(order.postings.iter().map(|posting| posting.id.as_str()));
                    let so_far = drawn.entry(&order.case_ref).or_default();
                    *so_far = super::amount_of(so_far.minor().saturating_add(sum), "the sum of settlements")?;
                }
                same
            }
            _ => false,
        };
        fitting.push(fits);
    }
    Ok(Found { fitting, drawn, newest })
}

/// Draws from all holds, and returns whether each had enough.
async fn draw(write: &mut Write, drawn: &BTreeMap<&str, Amount>) -> Result<bool, LedgerError> {
    let drawn: Vec<(&str, i64)> = drawn.iter().map(|(case, amount)| (*case, amount.minor())).collect();
    for drawn in recourse_database::batches(&drawn) {
        let places_of = |first: usize| format!("WHEN ${first} THEN CAST(${} AS BIGINT)", first + 1);
        let amounts: Vec<String> = (0..drawn.len()).map(|number| places_of(2 * number + 1)).collect();
        let amount = format!("CASE case_ref {} END", amounts.join(" "));
        let cases: Vec<String> = (0..drawn.len()).map(|number| format!("${}", 2 * number + 1)).collect();
        let sql = format!(
            "UPDATE holds SET held = held - {amount} WHERE case_ref IN ({}) AND closed = 0 AND held >= {amount}",
            cases.join(", ")
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for (case, amount) in drawn {
            query = query.bind(*case).bind(*amount);
        }
        let rows = query.execute(&mut **write).await?.rows_affected();
        if usize::try_from(rows) != Ok(drawn.len()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Extends the list to a power of two, so that there are few statements to prepare; it repeats the last case.
fn padded(mut cases: Vec<&str>) -> Vec<&str> {
    if let Some(last) = cases.last().copied() {
        cases.resize(cases.len().next_power_of_two(), last);
    }
    cases
}

/// Placeholders: `$1, $2`.
fn places(first: usize, count: usize) -> String {
    (first..first + count).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ")
}
