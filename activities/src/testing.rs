//! What the tests of this crate share: a database in a directory that goes away, and a contract.

use jiff::Timestamp;
use recourse_workflows::domain::{
    ids::Id,
    money::{Amount, Currency},
    party::{Contract, ContractKind, Party},
};

use crate::database::Database;

/// A database in a directory that goes away with it.
pub struct TestDatabase {
    pub database: Database,
    _directory: tempfile::TempDir,
}

impl TestDatabase {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/test.db", directory.path().display());
        let database = Database::connect(&url).await.unwrap();
        database.migrate().await.unwrap();
        Self { database, _directory: directory }
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
