//! Settlements that come at the same time are written down together, in one transaction with one commit.
//!
//! A commit waits for the disk, and only one transaction writes at a time. So whoever comes while another one writes waits at
//! this desk, and the first of those who wait does it for all of them. Nobody waits longer for that: there is no pause in which
//! more might come.
//!
//! It only does what is as it should be: new postings of cases that hold enough, of contracts as they were deposited for.
//! Whatever else there is (a posting that was made before, a constraint that refuses, a lost connection) undoes all of it,
//! and each does its own by itself ([`Ledger::settle`](super::Ledger::settle)), which is told what is wrong. One that does not
//! fit is left out before that.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use recourse_workflows::domain::{
    money::Amount,
    party::Contract,
    posting::{Account, Close},
};
use sqlx::Row as _;
use tokio::sync::{Mutex as Turn, oneshot};

use super::{
    LedgerError,
    contracts::{self, Pin},
    holds,
    posting::{self, Posting},
};
use crate::database::{Database, Write};

/// How many postings are made together, if one settlement does not have more.
const POSTINGS_MAX: usize = 256;

/// How many settlements.
const ORDERS_MAX: usize = 32;

/// Postings of one case that no payment provider has a part in, and how it lets go of its hold then.
#[derive(Debug)]
pub(crate) struct Order {
    pub case_ref: String,
    pub contract: Contract,
    pub postings: Vec<Posting>,
    pub close: Option<Close>,
}

impl Order {
    /// Whether all that it moves is what its case holds.
    pub(super) fn may_be_made_together(&self) -> bool {
        let own = Account::Escrow(self.contract.id.clone());
        !self.postings.is_empty() && self.postings.iter().all(|posting| posting.debit == own)
    }

    fn sum(&self) -> Option<i64> {
        self.postings.iter().try_fold(0_i64, |sum, posting| sum.checked_add(posting.amount.minor()))
    }
}

/// Somebody at the desk.
#[derive(Debug)]
struct Waiting {
    order: Arc<Order>,
    /// Whether it was done. Nobody listens any more if it was given up.
    done: oneshot::Sender<bool>,
}

/// Where settlements wait.
#[derive(Debug, Default)]
pub(super) struct Desk {
    waiting: Mutex<VecDeque<Waiting>>,
    turn: Turn<()>,
}

impl Desk {
    /// Has `order` done with others, and says whether it was. If not, nothing has moved, or the answer was lost: it is to be
    /// done by itself.
    pub async fn made(&self, database: &Database, order: &Arc<Order>) -> bool {
        let (done, mut answer) = oneshot::channel();
        let waiting = Waiting { order: Arc::clone(order), done };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(waiting);
        loop {
            tokio::select! {
                biased;
                // Whoever did it for others may have been stopped in the middle.
                done = &mut answer => return done.unwrap_or(false),
                _turn = self.turn.lock() => {
                    let together = self.next();
                    make(database, together).await;
                }
            }
        }
    }

    /// Those who have waited longest, as many as are done at once.
    fn next(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut together, mut postings) = (Vec::new(), 0);
        while let Some(next) = waiting.front() {
            postings += next.order.postings.len();
            if !together.is_empty() && (postings > POSTINGS_MAX || together.len() >= ORDERS_MAX) {
                break;
            }
            together.extend(waiting.pop_front().filter(|next| !next.done.is_closed()));
        }
        together
    }
}

/// Does all that can be done, and tells each whether it was.
async fn make(database: &Database, together: Vec<Waiting>) {
    if together.is_empty() {
        return;
    }
    let orders: Vec<&Order> = together.iter().map(|waiting| &*waiting.order).collect();
    let made = make_all(database, &orders).await.unwrap_or_else(|error| {
        tracing::debug!(%error, orders = orders.len(), "settlements are done one by one");
        vec![false; orders.len()]
    });
    for (waiting, made) in together.into_iter().zip(made) {
        let _ = waiting.done.send(made);
    }
}

/// Which of the orders were done.
async fn make_all(database: &Database, orders: &[&Order]) -> Result<Vec<bool>, LedgerError> {
    let mut write = database.write().await?;
    let Found { fitting, drawn, newest } = look(&mut write, orders).await?;
    let chosen = || orders.iter().zip(&fitting).filter(|(_, fits)| **fits).map(|(order, _)| *order);
    let postings: Vec<&Posting> = chosen().flat_map(|order| &order.postings).collect();
    if postings.is_empty() || !draw(&mut write, &drawn).await? {
        return Ok(vec![false; orders.len()]);
    }
    if !posting::make_all(&mut write, newest, &postings).await? {
        return Ok(vec![false; orders.len()]);
    }
    for order in chosen() {
        if let Some(close) = &order.close {
            holds::close(&mut write, &order.case_ref, close).await?;
        }
    }
    write.commit().await?;
    Ok(fitting)
}

/// What is known of the orders before anything moves.
struct Found<'a> {
    /// Which of them fit.
    fitting: Vec<bool>,
    /// What those draw, by case.
    drawn: BTreeMap<&'a str, Amount>,
    /// The chain's newest link.
    newest: Option<String>,
}

/// Looks at the contracts and holds of all orders at once.
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
                    // The same settlement that came twice: one is done, and the other finds it done.
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

/// Draws from all holds, and says whether each had as much.
async fn draw(write: &mut Write, drawn: &BTreeMap<&str, Amount>) -> Result<bool, LedgerError> {
    let drawn: Vec<(&str, i64)> = drawn.iter().map(|(case, amount)| (*case, amount.minor())).collect();
    for drawn in crate::database::batches(&drawn) {
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

/// As many as a power of two, so that there are few statements to prepare; the last comes more than once.
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
