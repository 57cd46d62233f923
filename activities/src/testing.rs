//! What the tests of this crate share: a database that goes away, and a contract.

use jiff::Timestamp;
use recourse_workflows::domain::{
    ids::Id,
    money::{Amount, Currency},
    party::{Contract, ContractKind, Party},
};
use sqlx::Connection as _;

use crate::database::Database;

/// Names a `PostgreSQL` server, as the user who may make databases there.
const SERVER: &str = "RECOURSE_TEST_POSTGRES";

/// A database of its own: a file in a directory that goes away with it, or one on the server of `RECOURSE_TEST_POSTGRES`,
/// which goes away with the server.
pub struct TestDatabase {
    pub database: Database,
    _directory: Option<tempfile::TempDir>,
}

impl TestDatabase {
    pub async fn new() -> Self {
        let new = Self::empty().await;
        new.database.migrate().await.unwrap();
        new
    }

    /// Without tables.
    pub async fn empty() -> Self {
        let (url, directory) = new_database().await;
        Self { database: Database::connect(&url).await.unwrap(), _directory: directory }
    }

    /// Whether this run is on `PostgreSQL`.
    pub fn is_postgres() -> bool {
        std::env::var_os(SERVER).is_some()
    }

    /// Takes one of the database's protections away.
    pub async fn drop_trigger(&self, name: &str) {
        let on = if Self::is_postgres() {
            let sql = format!("SELECT CAST(tgrelid::regclass AS TEXT) FROM pg_trigger WHERE tgname = '{name}'");
            let table: String =
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(self.database.pool()).await.unwrap();
            format!(" ON {table}")
        } else {
            String::new()
        };
        self.run(&format!("DROP TRIGGER {name}{on}")).await.unwrap();
    }

    /// Runs one statement without the checks of rows.
    pub async fn tamper(&self, sql: &str) {
        let (before, after) = if Self::is_postgres() {
            (
                "DO $$ DECLARE c RECORD; BEGIN
                     FOR c IN SELECT conrelid::regclass AS place, conname FROM pg_constraint
                              WHERE contype = 'c' AND conrelid <> 0 LOOP
                         EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.place, c.conname);
                     END LOOP;
                 END $$",
                "SELECT 1",
            )
        } else {
            ("PRAGMA ignore_check_constraints = ON", "PRAGMA ignore_check_constraints = OFF")
        };
        // One connection, so that the pragma is still on when the damage is done.
        let mut connection = self.database.pool().acquire().await.unwrap();
        for sql in [before, sql, after] {
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *connection).await.unwrap();
        }
    }

    /// Runs one statement, and gives back the database's message if it refused.
    pub async fn run(&self, sql: &str) -> Result<u64, String> {
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(self.database.pool())
            .await
            .map(|done| done.rows_affected())
            .map_err(|error| error.to_string())
    }
}

/// The URL of an empty database, and the directory that it is in.
pub async fn new_database() -> (String, Option<tempfile::TempDir>) {
    let Ok(server) = std::env::var(SERVER) else {
        let directory = tempfile::tempdir().unwrap();
        return (format!("sqlite:{}/test.db", directory.path().display()), Some(directory));
    };
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&server).await.unwrap();
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    let sql = format!("CREATE DATABASE {name}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let (server, _) = server.rsplit_once('/').unwrap();
    (format!("{server}/{name}"), None)
}

pub fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

pub fn amount(minor: i64) -> Amount {
    Amount::new(minor).unwrap()
}

pub fn at() -> Timestamp {
    "2026-12-03T10:00:00Z".parse().unwrap()
}

pub fn contract(name: &str) -> Contract {
    let party = |party: &str, name: &str, email: &str| Party {
        id: id(party),
        name: Some(name.into()),
        email: Some(email.into()),
        agency: None,
    };
    Contract {
        id: id(name),
        title: "Logo & brand".into(),
        kind: ContractKind::FixedPrice,
        currency: Currency::from_code("USD").unwrap(),
        client: party("cl-1", "Ada <Client>", "ada@example.com"),
        freelancer: party("fl-1", "Bo Freelancer", "bo@example.com"),
    }
}
