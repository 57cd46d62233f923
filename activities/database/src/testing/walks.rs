//! Checks that no statement, and no trigger that it fires, scans a table that grows.
//!
//! It checks every statement that `SQLite` carries out in any test of this crate, once, as the program that `EXPLAIN`
//! lists, with the programs of its triggers. The plans do not depend on what is in the tables. A scan is a cursor that
//! begins at an end of a table or an index and goes on from there; a lookup by a key is no scan, however many rows it
//! finds. `PostgreSQL` makes its own plans.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, Once, PoisonError},
};

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};
use tracing::{Event, Metadata, Subscriber, field::Field, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::filter_fn,
    layer::{Context, SubscriberExt as _},
};

/// Marks the statements that belong to a test and may scan.
pub const OF_A_TEST: &str = "/* of a test */ ";

/// Tables that do not grow with the number of cases.
const SMALL: [&str; 5] =
    ["_sqlx_migrations", "sandbox_faults", "sqlite_sequence", "webhook_endpoints", "webhook_secrets"];

/// Statements that begin with these texts scan on purpose.
const ON_PURPOSE: [&str; 21] = [
    // It reads the newest row and stops.
    "SELECT hash FROM journal_chain ORDER BY sequence DESC LIMIT 1",
    "SELECT h.case_ref, h.contract, h.held, c.currency, c.client, c.freelancer, c.agency, \
     (SELECT hash FROM journal_chain ORDER BY sequence DESC LIMIT 1) AS newest FROM holds h JOIN contracts c",
    "SELECT COUNT(*) FROM (SELECT 1 FROM journal_chain LIMIT 1)",
    "SELECT id, url, description, added_at, disabled_at, handed_over FROM webhook_endpoints WHERE disabled_at IS NULL",
    "INSERT INTO webhook_endpoints",
    // It begins with the oldest row, along an index, and stops at the first that may stay.
    "DELETE FROM requests WHERE began_at < $1",
    // The checks of the ledger read all of it.
    "SELECT id, kind, debit, credit, currency, amount, contract, case_id, rule, deposit, payment, content FROM journal",
    "SELECT id FROM journal GROUP BY id HAVING COUNT(*) > 1",
    "SELECT j.id FROM journal j LEFT JOIN journal_chain c",
    "SELECT r.id, r.amount, p.id AS payment",
    "SELECT account, currency, balance FROM balances",
    "SELECT case_ref AS holder",
    "SELECT contract, freelancer, agency FROM contracts",
    "SELECT contract, deposit, amount FROM deposits",
    "SELECT contract, deposit, amount FROM set_aside WHERE deposit IS NOT NULL",
    "SELECT contract, deposit, from_held FROM milestone_deposits WHERE state = 'in_flight'",
    "SELECT posting, amount, posted FROM return_legs",
    // The occasional sweep of what nobody refers to any more.
    "SELECT contract, sha256 FROM evidence GROUP BY contract, sha256",
    // Lists everything in the fake bank and all emails, for people who try Recourse out.
    "SELECT key, kind, source, currency, amount, charge, declined, arrival, failed FROM sandbox_movements ORDER BY",
    "SELECT key, kind, source, currency, amount, charge, declined, arrival, failed FROM sandbox_movements WHERE kind",
    "SELECT sequence, case_ref, number, event, recipient, name, address, subject, body_text, body_html, state, reason, \
     attempts FROM emails ORDER BY sequence",
];

/// Statements that were carried out and are not checked yet.
static CARRIED_OUT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Statements that were checked.
static LOOKED_AT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Records statements from now on, in all of this process.
pub fn note_statements() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let of_sqlx = filter_fn(|metadata: &Metadata<'_>| metadata.target() == "sqlx::query");
        let noting = Noting.with_filter(of_sqlx.with_max_level_hint(LevelFilter::DEBUG));
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(noting))
            .expect("no test of this crate sets a global subscriber");
    });
}

/// Checks the statements since the last check, in a database with these tables. Returns each statement that scans, with
/// the tables.
pub async fn found(database_url: &str) -> Vec<String> {
    let noted = std::mem::take(&mut *CARRIED_OUT.lock().unwrap_or_else(PoisonError::into_inner));
    let is_new = |sql: &String| LOOKED_AT.lock().unwrap_or_else(PoisonError::into_inner).insert(sql.clone());
    let new: Vec<String> = noted.into_iter().filter(is_new).collect();
    if new.is_empty() {
        return Vec::new();
    }
    let mut connection = AnyConnection::connect(database_url).await.unwrap();
    let rows = sqlx::query("SELECT rootpage, tbl_name FROM sqlite_master WHERE rootpage > 0");
    let rows = rows.fetch_all(&mut connection).await.unwrap();
    let tables: BTreeMap<i64, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut found = Vec::new();
    for sql in new {
        let explained = sqlx::query(AssertSqlSafe(format!("EXPLAIN {sql}"))).fetch_all(&mut connection).await;
        let program = explained.unwrap_or_else(|error| panic!("{sql} is not explained: {error}"));
        let steps = program.iter().map(|row| (row.get::<String, _>(1), row.get::<i64, _>(2), row.get::<i64, _>(3)));
        let walked = walked(steps, &tables);
        if !walked.is_empty() {
            found.push(format!("{} is walked through by: {sql}", walked.join(", ")));
        }
    }
    connection.close().await.unwrap();
    found
}

/// The tables that grow and that a program scans. A step is an operation, a cursor, and the page of a cursor that it
/// opens.
fn walked(steps: impl Iterator<Item = (String, i64, i64)>, tables: &BTreeMap<i64, String>) -> Vec<String> {
    let (mut opened, mut begun) = (BTreeMap::new(), BTreeSet::new());
    let mut walked = BTreeSet::new();
    for (operation, cursor, page) in steps {
        match operation.as_str() {
            "OpenRead" | "OpenWrite" | "ReopenIdx" => {
                opened.insert(cursor, tables.get(&page));
                begun.remove(&cursor);
            }
            "OpenEphemeral" | "OpenAutoindex" | "OpenPseudo" | "SorterOpen" => {
                opened.remove(&cursor);
            }
            "Rewind" | "Last" => {
                begun.insert(cursor);
            }
            "Next" | "Prev" if begun.contains(&cursor) => {
                walked.extend(opened.get(&cursor).copied().flatten().filter(|table| !SMALL.contains(&table.as_str())));
            }
            _ => {}
        }
    }
    walked.into_iter().cloned().collect()
}

/// Records the statements that `sqlx` reports as carried out.
struct Noting;

impl<S: Subscriber> Layer<S> for Noting {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        // `sqlx` reports the whole statement only if it is longer than the summary.
        let sql = if text.statement.trim().is_empty() { text.summary } else { text.statement };
        let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_statement =
            ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].iter().any(|command_kind| sql.starts_with(command_kind));
        if is_statement && !ON_PURPOSE.iter().any(|known| sql.starts_with(known)) {
            CARRIED_OUT.lock().unwrap_or_else(PoisonError::into_inner).insert(sql);
        }
    }
}

#[derive(Default)]
struct Text {
    summary: String,
    statement: String,
}

impl tracing::field::Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.statement),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
