//! Sees that nothing walks through a table that grows: neither a statement nor a trigger that it sets off.
//!
//! Every statement that any test of this crate has `SQLite` carry out is looked at once, as the program that `EXPLAIN` lists, with the
//! programs of its triggers. The plans do not depend on what is in the tables. A walk is a cursor that begins at an end of a table
//! or an index and goes on from there; what is found by a key is none, however much of it there is. `PostgreSQL` plans by itself.

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

/// Begins the statements that are a test's own, and may walk.
pub const OF_A_TEST: &str = "/* of a test */ ";

/// What does not grow with cases.
const SMALL: [&str; 5] =
    ["_sqlx_migrations", "sandbox_faults", "sqlite_sequence", "webhook_endpoints", "webhook_secrets"];

/// What begins like this walks on purpose.
const ON_PURPOSE: [&str; 21] = [
    // The newest, and then it stops.
    "SELECT hash FROM journal_chain ORDER BY sequence DESC LIMIT 1",
    "SELECT h.case_ref, h.contract, h.held, c.currency, c.client, c.freelancer, c.agency, \
     (SELECT hash FROM journal_chain ORDER BY sequence DESC LIMIT 1) AS newest FROM holds h JOIN contracts c",
    "SELECT COUNT(*) FROM (SELECT 1 FROM journal_chain LIMIT 1)",
    "SELECT id, url, description, added_at, disabled_at, handed_over FROM webhook_endpoints WHERE disabled_at IS NULL",
    "INSERT INTO webhook_endpoints",
    // The oldest, along an index, up to those that may stay.
    "DELETE FROM requests WHERE began_at < $1",
    // The checks of the ledger, of all that is in it.
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
    // What is nobody's any more, now and then.
    "SELECT contract, sha256 FROM evidence GROUP BY contract, sha256",
    // All that the fake bank did, and all emails, for people who try Recourse out.
    "SELECT key, kind, source, currency, amount, charge, declined, arrival, failed FROM sandbox_movements ORDER BY",
    "SELECT key, kind, source, currency, amount, charge, declined, arrival, failed FROM sandbox_movements WHERE kind",
    "SELECT sequence, case_ref, number, event, recipient, name, address, subject, body_text, body_html, state, reason, \
     attempts FROM emails ORDER BY sequence",
];

/// What was carried out and has not been looked at.
static CARRIED_OUT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// What was looked at.
static LOOKED_AT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Has statements noted from now on, in all of this process.
pub fn note_statements() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let of_sqlx = filter_fn(|metadata: &Metadata<'_>| metadata.target() == "sqlx::query");
        let noting = Noting.with_filter(of_sqlx.with_max_level_hint(LevelFilter::DEBUG));
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(noting))
            .expect("no test of this crate has a subscriber for all of them");
    });
}

/// Looks at what was carried out since the last look, in a database with these tables. What walks, and through what.
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

/// The tables that a program walks through, and that grow. Its steps are operation, cursor, and the page of a cursor that is opened.
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

/// Notes the statements that `sqlx` says it has carried out.
struct Noting;

impl<S: Subscriber> Layer<S> for Noting {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        // The whole statement is said only where it is longer than its beginning.
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
