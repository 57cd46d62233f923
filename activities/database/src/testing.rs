//! What the tests of this crate share: a temporary database, and a contract.

mod walks;

use jiff::Timestamp;
use recourse_domain::{
    ids::Id,
    money::{Amount, Currency},
    party::{Contract, ContractKind, Party},
};
use sqlx::Connection as _;
use tokio::sync::OnceCell;

use self::walks::OF_A_TEST;
use crate::Database;

/// Names a `PostgreSQL` server. Its user must be allowed to make databases there.
const SERVER: &str = "RECOURSE_TEST_POSTGRES";

/// A database for one test: a file in a temporary directory, or a database on the server of `RECOURSE_TEST_POSTGRES`,
/// which lasts as long as the server.
///
/// When it is dropped, the test fails if a statement scanned a table that grows.
pub struct TestDatabase {
    /// Connected to it.
    pub database: Database,
    url: String,
    _directory: Option<tempfile::TempDir>,
}

impl TestDatabase {
    /// A database with all tables. It copies one prepared database, because the migrations take longer than most tests.
    pub async fn new() -> Self {
        static SET_UP: OnceCell<SetUp> = OnceCell::const_new();
        let (url, directory) = made(Some(SET_UP.get_or_init(SetUp::new).await)).await;
        if !Self::is_postgres() {
            walks::note_statements();
        }
        Self { database: Database::connect(&url).await.unwrap(), url, _directory: directory }
    }

    /// Whether this run is on `PostgreSQL`.
    pub fn is_postgres() -> bool {
        std::env::var_os(SERVER).is_some()
    }

    /// Removes one of the database's triggers.
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

    /// Runs one statement without the CHECK constraints.
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
        // One connection, so that the pragma is still on for the statement.
        let mut connection = self.database.pool().acquire().await.unwrap();
        for sql in [before, &format!("{OF_A_TEST}{sql}"), after] {
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *connection).await.unwrap();
        }
    }

    /// Runs one statement, and returns the database's message if it refused.
    pub async fn run(&self, sql: &str) -> Result<u64, String> {
        sqlx::query(sqlx::AssertSqlSafe(format!("{OF_A_TEST}{sql}")))
            .execute(self.database.pool())
            .await
            .map(|done| done.rows_affected())
            .map_err(|error| error.to_string())
    }
}

/// What refused a statement: the id of a rule, from a trigger's message, or the kind of constraint.
pub fn refused_by(message: &str) -> &str {
    let rule = |word: &&str| {
        let id = word.strip_suffix([':', ',']).unwrap_or_default();
        id.starts_with(|letter: char| letter.is_ascii_uppercase())
            && id.len() > 1
            && id[1..].bytes().all(|byte| byte.is_ascii_digit())
    };
    if let Some(word) = message.split_whitespace().find(rule) {
        return word.trim_end_matches([':', ',']);
    }
    let kinds = [
        ("unique", "UNIQUE"),
        ("duplicate key", "UNIQUE"),
        ("check constraint", "CHECK"),
        ("foreign key", "KEY"),
        ("null", "NULL"),
    ];
    let message = message.to_lowercase();
    kinds.into_iter().find(|(words, _)| message.contains(words)).map_or("nothing known", |(_, kind)| kind)
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if Self::is_postgres() || std::thread::panicking() {
            return;
        }
        let url = self.url.clone();
        // A runtime cannot block within another one.
        let look = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(walks::found(&url))
        };
        let walks = std::thread::spawn(look).join().unwrap();
        assert!(walks.is_empty(), "statements must find rows of growing tables by keys:\n{}", walks.join("\n"));
    }
}

/// The URL of a database, and the directory that it is in.
type Made = (String, Option<tempfile::TempDir>);

/// A prepared database, to be copied.
enum SetUp {
    /// The file's content; nothing would delete a directory.
    File(Vec<u8>),
    /// Its name on the server.
    Named(String),
}

impl SetUp {
    async fn new() -> Self {
        let (url, _directory) = new_database().await;
        let database = Database::connect(&url).await.unwrap();
        database.migrate().await.unwrap();
        database.close().await;
        match url.strip_prefix("sqlite:") {
            Some(file) => Self::File(std::fs::read(file).unwrap()),
            None => Self::Named(url.rsplit('/').next().unwrap_or_default().to_owned()),
        }
    }
}

/// A URL for an empty database.
pub async fn new_database() -> Made {
    made(None).await
}

/// A new database: a copy of this one, or empty.
async fn made(like: Option<&SetUp>) -> Made {
    let Ok(server) = std::env::var(SERVER) else {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("test.db");
        if let Some(SetUp::File(content)) = like {
            std::fs::write(&file, content).unwrap();
        }
        return (format!("sqlite:{}", file.display()), Some(directory));
    };
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&server).await.unwrap();
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    let template = if let Some(SetUp::Named(name)) = like { format!(" TEMPLATE {name}") } else { String::new() };
    let sql = format!("CREATE DATABASE {name}{template}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let (server, _) = server.rsplit_once('/').unwrap();
    (format!("{server}/{name}"), None)
}

/// An id.
pub fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

/// An amount in minor units.
pub fn amount(minor: i64) -> Amount {
    Amount::new(minor).unwrap()
}

/// The time of everything in the tests.
pub fn at() -> Timestamp {
    "2026-12-03T10:00:00Z".parse().unwrap()
}

/// A contract of this name, in USD, between `cl-1` and `fl-1`.
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
