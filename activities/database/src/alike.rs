//! Checks that both databases have the same tables, columns, keys and refusals.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use sqlx::{AssertSqlSafe, Row as _};

use super::{
    Database,
    testing::{TestDatabase, new_database},
};

/// A schema in lines that can be compared: a table's column, its keys, and which rules refuse which changes of it.
#[derive(Default)]
struct Schema(BTreeSet<String>);

impl Schema {
    fn column(&mut self, table: &str, name: &str, kind: &str, required: bool) {
        let kind = match kind.to_ascii_lowercase().as_str() {
            "integer" | "bigint" | "smallint" => "whole number",
            "text" => "text",
            "blob" | "bytea" => "bytes",
            _ => kind,
        }
        .to_owned();
        let required = if required { ", required" } else { "" };
        self.0.insert(format!("{table}: {name} is {kind}{required}"));
    }

    fn key(&mut self, table: &str, what: &str, columns: &[String]) {
        self.0.insert(format!("{table}: {what} ({})", columns.join(", ")));
    }

    /// How many conditions a row has to meet. The two databases write conditions differently, so only their number is
    /// compared.
    fn checks(&mut self, table: &str, count: usize) {
        if count > 0 {
            self.0.insert(format!("{table}: {count} checks"));
        }
    }

    /// The rules in a trigger's text: the beginnings of its messages, as in `'L3: holds exceed the escrow'`.
    fn refusals(&mut self, table: &str, events: &[&str], text: &str) {
        let rules = text.split('\'').filter_map(|part| part.split_once(": ")).map(|(rule, _)| rule);
        for rule in rules.flat_map(|rules| rules.split(", ")).filter(|rule| is_rule(rule)) {
            for event in events {
                self.0.insert(format!("{table}: {rule} refuses {event}"));
            }
        }
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn is_rule(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|first| first.is_ascii_uppercase())
        && !letters.as_str().is_empty()
        && letters.all(|letter| letter.is_ascii_digit())
}

/// Rows of text.
async fn rows(database: &Database, sql: &str, columns: usize) -> Vec<Vec<String>> {
    let found = sqlx::query(AssertSqlSafe(sql))
        .fetch_all(database.pool())
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    found.iter().map(|row| (0..columns).map(|column| row.get::<String, _>(column)).collect()).collect()
}

/// Groups rows by all cells but the last. Each group lists its last cells, in order.
fn grouped(rows: Vec<Vec<String>>) -> BTreeMap<Vec<String>, Vec<String>> {
    let mut groups: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for mut row in rows {
        let last = row.pop().unwrap();
        groups.entry(row).or_default().push(last);
    }
    groups
}

const EVENTS: [&str; 3] = ["INSERT", "UPDATE", "DELETE"];

async fn of_sqlite() -> Schema {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("alike.db").display());
    let database = Database::connect(&url).await.unwrap();
    database.migrate().await.unwrap();
    let mut schema = Schema::default();
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> '_sqlx_migrations'";
    for table in rows(&database, tables, 1).await.into_iter().flatten() {
        let columns = format!(
            "SELECT name, type, CAST(\"notnull\" OR pk > 0 AS TEXT), CAST(pk AS TEXT) FROM pragma_table_info('{table}') ORDER BY pk"
        );
        let columns = rows(&database, &columns, 4).await;
        for column in &columns {
            schema.column(&table, &column[0], &column[1], column[2] == "1");
        }
        let primary: Vec<String> =
            columns.iter().filter(|column| column[3] != "0").map(|column| column[0].clone()).collect();
        schema.key(&table, "is known by", &primary);
        let indices = format!(
            "SELECT l.name, CAST(l.\"unique\" AS TEXT), CAST(l.partial AS TEXT), COALESCE(i.name, 'an expression')
             FROM pragma_index_list('{table}') l, pragma_index_info(l.name) i
             WHERE l.origin <> 'pk' ORDER BY l.name, i.seqno"
        );
        for (index, columns) in grouped(rows(&database, &indices, 4).await) {
            schema.key(&table, &index_in_words(index[1] == "1", index[2] == "1"), &columns);
        }
        let text = format!("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = '{table}'");
        let text = rows(&database, &text, 1).await.concat().concat();
        schema.checks(&table, text.matches("CHECK (").count());
        let references = format!(
            "SELECT CAST(id AS TEXT), \"table\", \"from\" FROM pragma_foreign_key_list('{table}') ORDER BY id, seq"
        );
        for (reference, columns) in grouped(rows(&database, &references, 3).await) {
            schema.key(&table, &format!("is of {} by", reference[1]), &columns);
        }
    }
    let triggers = "SELECT tbl_name, sql FROM sqlite_master WHERE type = 'trigger'";
    for trigger in rows(&database, triggers, 2).await {
        let (head, _) = trigger[1].split_once(" ON ").unwrap();
        let events: Vec<&str> = EVENTS.into_iter().filter(|event| head.to_uppercase().contains(event)).collect();
        schema.refusals(&trigger[0], &events, &trigger[1]);
    }
    schema
}

async fn of_postgres() -> Schema {
    let (url, _) = new_database().await;
    let database = Database::connect(&url).await.unwrap();
    database.migrate().await.unwrap();
    let mut schema = Schema::default();
    let columns =
        "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT), CAST(data_type AS TEXT), CAST(is_nullable AS TEXT)
                   FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'";
    for column in rows(&database, columns, 4).await {
        schema.column(&column[0], &column[1], &column[2], column[3] == "NO");
    }
    let indices = "SELECT CAST(t.relname AS TEXT), CAST(i.relname AS TEXT), CAST(x.indisprimary AS TEXT), CAST(x.indisunique AS TEXT),
                          CAST(x.indpred IS NOT NULL AS TEXT), COALESCE(CAST(a.attname AS TEXT), 'an expression')
                   FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
                   JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = 'public'
                   CROSS JOIN LATERAL unnest(CAST(x.indkey AS int2[])) WITH ORDINALITY AS k(attnum, place)
                   LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum AND k.attnum > 0
                   WHERE t.relname <> '_sqlx_migrations' ORDER BY 1, 2, k.place";
    for (index, columns) in grouped(rows(&database, indices, 6).await) {
        let what = if index[2] == "true" {
            "is known by".to_owned()
        } else {
            index_in_words(index[3] == "true", index[4] == "true")
        };
        schema.key(&index[0], &what, &columns);
    }
    let references =
        "SELECT CAST(c.conname AS TEXT), CAST(t.relname AS TEXT), CAST(f.relname AS TEXT), CAST(a.attname AS TEXT)
                      FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class f ON f.oid = c.confrelid
                      CROSS JOIN LATERAL unnest(c.conkey) WITH ORDINALITY AS k(attnum, place)
                      JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum
                      WHERE c.contype = 'f' ORDER BY 1, k.place";
    for (reference, columns) in grouped(rows(&database, references, 4).await) {
        schema.key(&reference[1], &format!("is of {} by", reference[2]), &columns);
    }
    let checks = "SELECT CAST(t.relname AS TEXT), CAST(COUNT(*) AS TEXT) FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
                  WHERE c.contype = 'c' GROUP BY t.relname";
    for table in rows(&database, checks, 2).await {
        schema.checks(&table[0], table[1].parse().unwrap());
    }
    let triggers = "SELECT CAST(t.tgrelid::regclass AS TEXT), pg_get_triggerdef(t.oid), p.prosrc
                    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal";
    for trigger in rows(&database, triggers, 3).await {
        let (head, _) = trigger[1].split_once(" ON ").unwrap();
        let events: Vec<&str> = EVENTS.into_iter().filter(|event| head.contains(event)).collect();
        schema.refusals(&trigger[0], &events, &format!("{} {}", trigger[1], trigger[2]));
    }
    schema
}

fn index_in_words(unique: bool, partial: bool) -> String {
    let partial = if partial { " where it says so" } else { "" };
    if unique { format!("has one for each{partial}") } else { format!("is found by{partial}") }
}

/// If only one database has a table, column, key or refusal, the other does not enforce that rule.
#[tokio::test]
async fn both_databases_have_the_same_tables_and_refusals() {
    if !TestDatabase::is_postgres() {
        // The test needs both databases; `SQLite` is always there.
        return;
    }
    let (sqlite, postgres) = (of_sqlite().await, of_postgres().await);
    assert!(sqlite.0.len() > 200, "{sqlite}");
    let only = |one: &Schema, other: &Schema| one.0.difference(&other.0).cloned().collect::<Vec<_>>();
    let (only_sqlite, only_postgres) = (only(&sqlite, &postgres), only(&postgres, &sqlite));
    assert!(
        only_sqlite.is_empty() && only_postgres.is_empty(),
        "only SQLite: {only_sqlite:#?}\nonly PostgreSQL: {only_postgres:#?}"
    );
}
