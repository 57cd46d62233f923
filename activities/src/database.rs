//! The one database behind the ledger, the notices and the sandbox bank.
//!
//! Queries use only what `SQLite` and `PostgreSQL` both understand (`$1`, `ON CONFLICT`, BIGINT and TEXT); whatever is
//! one database's own is in its migrations or in this file.

#[cfg(test)]
mod alike;
mod migrations;
mod pools;
mod silence;
mod write_queue;

use std::time::Duration;

use sqlx::{Any, AnyPool, Transaction, any::install_default_drivers, migrate::MigrateError};

use self::pools::{Kind, Pools};
pub(crate) use self::{
    silence::in_time,
    write_queue::{Together, WriteQueue},
};
use crate::{ledger::chain, private};

/// How often [`Database::migrate`] tries when another program migrates at the same moment.
const MIGRATE_TRIES: u32 = 20;

/// How long it waits between two tries.
const MIGRATE_PAUSE: Duration = Duration::from_millis(100);

/// How many rows one statement inserts at most.
const ROWS_MAX: usize = 32;

/// A transaction that may write.
pub(crate) type Write = Transaction<'static, Any>;

/// A connected database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Database {
    pools: Pools,
    kind: Kind,
}

/// Why a database cannot be used. [`DatabaseError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Nothing that could be opened is there.
    #[error("the database {url} cannot be reached")]
    Unreachable {
        /// Where, without a password.
        url: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The URL names a kind of database that this program does not know.
    #[error("{url} is no database URL that this program can use")]
    UnknownKind {
        /// What was given, without a password.
        url: String,
    },
    /// The tables are missing, or from an earlier version.
    #[error("the database's tables are of version {found}, and this program needs {needed}")]
    OldSchema {
        /// The version that is there; 0 for none.
        found: i64,
        /// The version that this program was built for.
        needed: i64,
    },
    /// The tables are from a later version of this program.
    #[error("the database's tables are of version {found}, and this program only knows {known}")]
    NewerSchema {
        /// The version that is there.
        found: i64,
        /// The version that this program was built for.
        known: i64,
    },
    /// The tables could not be made.
    #[error("the database's tables could not be brought up to date")]
    NotMigrated(#[source] MigrateError),
    /// The database was reached and then did not do its work.
    #[error("the database did not do its work")]
    Failed(#[from] sqlx::Error),
}

impl DatabaseError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { url, .. } if Kind::of(url) == Some(Kind::Postgres) => {
                "check RECOURSE_DATABASE_URL: the server must run there, and know the user, the password and the database"
            }
            Self::Unreachable { .. } => {
                "check RECOURSE_DATABASE_URL: the directory must exist, and this user must be allowed to write there"
            }
            Self::UnknownKind { .. } => {
                "set RECOURSE_DATABASE_URL to a file, such as sqlite:recourse.db, or to a PostgreSQL database, such as \
                 postgres://recourse@localhost/recourse"
            }
            Self::OldSchema { .. } => "run `recourse setup`; it is safe to repeat",
            Self::NewerSchema { .. } => "use the newer version of this program that made the tables",
            Self::NotMigrated(_) => "see the cause; nothing was changed, and `recourse setup` is safe to repeat",
            Self::Failed(_) => "try again; if it goes on, see whether the disk is full or another program holds a lock",
        }
    }
}

/// The file of a `SQLite` database is its owner's alone, from its first byte on. What cannot be done here is said by whoever opens it.
fn keep_private(url: &str) {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    let path = path.strip_prefix("//").unwrap_or(path);
    let (path, settings) = path.split_once('?').unwrap_or((path, ""));
    let path = std::path::Path::new(path);
    // A URL may ask for one that is there.
    if path.exists() || !settings.contains("mode=r") || settings.contains("mode=rwc") {
        let _ = private::database(path);
    }
}

impl Database {
    /// Connects to `url`: `sqlite:path/to/file.db`, whose file is made if it is missing and its directory is not, or
    /// `postgres://user:password@host/database`, 15 or later.
    ///
    /// # Errors
    /// [`DatabaseError::Unreachable`] if it cannot be opened, [`DatabaseError::UnknownKind`] for other URLs.
    pub async fn connect(url: &str) -> Result<Self, DatabaseError> {
        let kind = Kind::of(url).ok_or_else(|| DatabaseError::UnknownKind { url: shown(url) })?;
        install_default_drivers();
        if kind == Kind::Sqlite {
            keep_private(url);
        }
        match Pools::open(kind, url).await {
            Ok(pools) => Ok(Self { pools, kind }),
            Err(source) => Err(DatabaseError::Unreachable { url: shown(url), source }),
        }
    }

    /// The URL of a database as it may be shown: without user, password and settings, any of which may be a secret.
    pub fn shown(url: &str) -> String {
        shown(url)
    }

    /// Makes the tables, or brings them up to date. Safe to repeat, and for two programs to do at once.
    ///
    /// # Errors
    /// [`DatabaseError::NewerSchema`] if a later version of this program made them, [`DatabaseError::NotMigrated`]
    /// if they could not be made.
    pub async fn migrate(&self) -> Result<(), DatabaseError> {
        let mut tries_left = MIGRATE_TRIES;
        loop {
            if let Err(newer @ DatabaseError::NewerSchema { .. }) = self.check_schema().await {
                return Err(newer);
            }
            let Err(error) = self.kind.migrations().run(self.writers()).await else {
                return self.chain_the_journal().await;
            };
            tries_left -= 1;
            // Another program that is migrating too makes this one fail, and is done a moment later.
            if tries_left == 0 || !matches!(error, MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)) {
                return Err(DatabaseError::NotMigrated(error));
            }
            tokio::time::sleep(MIGRATE_PAUSE).await;
        }
    }

    /// Postings from before there was a chain get their links.
    async fn chain_the_journal(&self) -> Result<(), DatabaseError> {
        let mut write = self.write().await?;
        chain::begin(&mut write).await?;
        Ok(write.commit().await?)
    }

    /// Whether the tables are those that this program was built for.
    ///
    /// # Errors
    /// [`DatabaseError::OldSchema`] and [`DatabaseError::NewerSchema`] if not.
    pub async fn check_schema(&self) -> Result<(), DatabaseError> {
        let known = self.kind.migrations().iter().map(|migration| migration.version).max().unwrap_or(0);
        let newest = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations WHERE success = TRUE");
        let found: Option<i64> = match newest.fetch_one(self.pool()).await {
            Ok(found) => found,
            // As in a new database.
            Err(sqlx::Error::Database(error)) if self.is_missing_table(error.as_ref()) => None,
            Err(error) => return Err(DatabaseError::Failed(error)),
        };
        let found = found.unwrap_or(0);
        match found.cmp(&known) {
            std::cmp::Ordering::Less => Err(DatabaseError::OldSchema { found, needed: known }),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(DatabaseError::NewerSchema { found, known }),
        }
    }

    /// Closes every connection, after what they are doing.
    pub async fn close(&self) {
        self.pools.close().await;
    }

    /// For single statements that only read.
    pub(crate) const fn pool(&self) -> &AnyPool {
        &self.pools.readers
    }

    /// For single statements that write.
    pub(crate) const fn writers(&self) -> &AnyPool {
        &self.pools.writers
    }

    /// A transaction that locks out other writers from its first statement on, so that what it reads is still so when
    /// it writes, and two of them never wait for each other.
    pub(crate) async fn write(&self) -> Result<Write, sqlx::Error> {
        self.pools.write().await
    }

    /// A transaction whose reads all see one moment.
    pub(crate) async fn read(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        self.pools.read().await
    }

    fn is_missing_table(&self, error: &dyn sqlx::error::DatabaseError) -> bool {
        let code = error.code().unwrap_or_default();
        match self.kind {
            // SQLite has no code of its own for it, and none of its other errors is possible there.
            Kind::Sqlite => code == "1",
            Kind::Postgres => code == "42P01",
        }
    }
}

/// `rows` in parts to insert with a statement each. There are few lengths, because each is another statement to prepare.
pub(crate) fn batches<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = ROWS_MAX.min(1 << rows.len().checked_ilog2()?);
        let (batch, rest) = rows.split_at(length);
        rows = rest;
        Some(batch)
    })
}

/// So many rows of placeholders, `($1, $2), ($3, $4)`.
pub(crate) fn rows_of(columns: usize, rows: usize) -> String {
    let row = |row: usize| -> String {
        let places: Vec<String> = (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// The URL as it may be shown: without user, password and settings, any of which may be a secret.
fn shown(url: &str) -> String {
    let bare = url.split_once('?').map_or(url, |(bare, _)| bare);
    match (bare.split_once("://"), bare.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => bare.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use sqlx::Row as _;

    use super::*;
    use crate::testing::{TestDatabase, new_database};

    #[tokio::test]
    async fn a_new_database_needs_setup_and_setup_is_safe_to_repeat() {
        let (url, _directory) = new_database().await;
        let database = Database::connect(&url).await.unwrap();
        let error = database.check_schema().await.unwrap_err();
        assert!(matches!(error, DatabaseError::OldSchema { found: 0, .. }), "{error:?}");
        assert!(error.hint().contains("recourse setup"));
        let other = Database::connect(&url).await.unwrap();
        let (one, two) = tokio::join!(database.migrate(), other.migrate());
        one.unwrap();
        two.unwrap();
        database.migrate().await.unwrap();
        database.check_schema().await.unwrap();
        database.close().await;
    }

    /// L5: a database may undo a transaction by itself, as `SQLite` does when its disk is full.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_transaction_that_the_database_has_undone_breaks_no_other() {
        let test = TestDatabase::new().await;
        for _ in 0..20 {
            let mut write = test.database.write().await.unwrap();
            sqlx::raw_sql("ROLLBACK").execute(&mut *write).await.unwrap();
            drop(write);
            test.database.write().await.unwrap().commit().await.unwrap();
        }
    }

    /// L5: a writer that did not get the lock in time leaves a transaction that has failed, and that the driver does not know of.
    #[tokio::test]
    async fn a_beginning_that_failed_leaves_no_connection_that_refuses_all_work() {
        let test = TestDatabase::new().await;
        if test.database.kind == Kind::Sqlite {
            return;
        }
        for _ in 0..10 {
            let mut connection = test.database.writers().acquire().await.unwrap();
            sqlx::raw_sql("BEGIN; SELECT 1 / 0").execute(&mut *connection).await.unwrap_err();
        }
        test.database.write().await.unwrap().commit().await.unwrap();
    }

    /// L5: a worker that is told to stop drops what it is about, at any moment.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn who_no_longer_waits_for_his_turn_to_write_keeps_nobody_from_it() {
        let test = TestDatabase::new().await;
        for round in 0..20_u64 {
            let first = test.database.write().await.unwrap();
            let waiting: Vec<_> = (0..5)
                .map(|_| {
                    let database = test.database.clone();
                    tokio::spawn(async move { database.write().await.map(drop) })
                })
                .collect();
            tokio::time::sleep(Duration::from_micros(round * 250)).await;
            for one in waiting {
                one.abort();
            }
            drop(first);
            let next = tokio::time::timeout(Duration::from_secs(5), test.database.write()).await;
            next.unwrap().unwrap().commit().await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_programs_can_set_up_the_same_new_database_at_once() {
        let (url, _directory) = new_database().await;
        let programs: Vec<_> = (0..8)
            .map(|_| {
                let url = url.clone();
                tokio::spawn(async move {
                    let database = Database::connect(&url).await?;
                    database.migrate().await?;
                    database.check_schema().await
                })
            })
            .collect();
        for program in programs {
            program.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn tables_of_a_later_version_are_left_alone() {
        let test = TestDatabase::new().await;
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'later', TRUE, 'x', 0)",
        )
        .execute(test.database.pool())
        .await
        .unwrap();
        for result in [test.database.check_schema().await, test.database.migrate().await] {
            assert!(matches!(result, Err(DatabaseError::NewerSchema { found: 9999, .. })), "{result:?}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_opened_says_where_and_what_to_do() {
        let error = Database::connect("sqlite:/no/such/directory/x.db").await.unwrap_err();
        assert!(matches!(&error, DatabaseError::Unreachable { .. }));
        assert!(error.to_string().contains("/no/such/directory"), "{error}");
        assert!(error.hint().contains("directory"));
        let error = Database::connect("postgres://me:secret@127.0.0.1:1/x?password=secret").await.unwrap_err();
        assert!(matches!(&error, DatabaseError::Unreachable { .. }));
        assert!(error.to_string().contains("postgres://…@127.0.0.1:1/x cannot"), "{error}");
        let DatabaseError::Unreachable { source, .. } = &error else { unreachable!() };
        assert!(matches!(source, sqlx::Error::Io(_)), "it says why: {source}");
        assert!(error.hint().contains("server"));
        let error = Database::connect("mysql://me:secret@host/x").await.unwrap_err();
        assert!(matches!(error, DatabaseError::UnknownKind { .. }));
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    /// Whatever others may do with new files here, they cannot read the ledger; one that they could read is mended.
    #[tokio::test]
    async fn the_files_of_a_database_are_their_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recourse.db");
        let url = format!("sqlite:{}", path.display());
        let modes = || {
            let files = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap);
            files
                .map(|file| (file.file_name(), file.metadata().unwrap().permissions().mode() & 0o777))
                .collect::<Vec<_>>()
        };
        for _ in 0..2 {
            let database = Database::connect(&url).await.unwrap();
            database.migrate().await.unwrap();
            let found = modes();
            assert!(found.len() > 1, "with what lies beside it: {found:?}");
            assert!(found.iter().all(|(_, mode)| *mode == 0o600), "{found:?}");
            // As an earlier version has left it, under an umask of 022.
            for (name, _) in found {
                std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(0o644)).unwrap();
            }
            drop(database);
        }
    }

    #[tokio::test]
    async fn every_connection_is_durable_and_patient() {
        let test = TestDatabase::new().await;
        let wanted = match test.database.kind {
            Kind::Sqlite => &[
                ("PRAGMA journal_mode", "wal"),
                ("PRAGMA synchronous", "2"),
                ("PRAGMA foreign_keys", "1"),
                ("PRAGMA busy_timeout", "10000"),
            ][..],
            Kind::Postgres => &[
                ("SHOW synchronous_commit", "on"),
                ("SHOW lock_timeout", "10s"),
                ("SHOW idle_in_transaction_session_timeout", "30s"),
            ][..],
        };
        let mut connections = Vec::new();
        for _ in 0..test.database.kind.readers_max() {
            connections.push(test.database.pool().acquire().await.unwrap());
        }
        for _ in 0..test.database.kind.writers_max() {
            connections.push(test.database.writers().acquire().await.unwrap());
        }
        for connection in &mut connections {
            for (setting, wanted) in wanted {
                let row = sqlx::query(*setting).fetch_one(&mut **connection).await.unwrap();
                let found: String =
                    row.try_get(0).or_else(|_| row.try_get::<i64, _>(0).map(|n| n.to_string())).unwrap();
                assert_eq!(found, *wanted, "{setting}");
            }
        }
    }

    /// Two writers: the second waits, and reads what the first wrote.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_writes_at_a_time() {
        let test = TestDatabase::new().await;
        let mut first = test.database.write().await.unwrap();
        let database = test.database.clone();
        let second = tokio::spawn(async move {
            let mut write = database.write().await.unwrap();
            let rows: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM sandbox_faults").fetch_one(&mut *write).await.unwrap();
            write.commit().await.unwrap();
            rows
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!second.is_finished(), "it did not wait");
        sqlx::query("INSERT INTO sandbox_faults (source, fault, times_left) VALUES ('card-1', 'late', 1)")
            .execute(&mut *first)
            .await
            .unwrap();
        first.commit().await.unwrap();
        assert_eq!(second.await.unwrap(), 1);
    }

    /// What a read shows is of one moment, whatever is written meanwhile.
    #[tokio::test]
    async fn a_read_sees_one_moment() {
        let test = TestDatabase::new().await;
        let mut read = test.database.read().await.unwrap();
        let count = "SELECT COUNT(*) FROM sandbox_faults";
        let before: i64 = sqlx::query_scalar(count).fetch_one(&mut *read).await.unwrap();
        test.run("INSERT INTO sandbox_faults (source, fault, times_left) VALUES ('card-1', 'late', 1)").await.unwrap();
        let after: i64 = sqlx::query_scalar(count).fetch_one(&mut *read).await.unwrap();
        assert_eq!((before, after), (0, 0));
    }

    #[test]
    fn secrets_in_a_url_are_not_shown() {
        assert_eq!(shown("postgres://me:secret@host:5432/x?sslkey=secret"), "postgres://…@host:5432/x");
        assert_eq!(shown("sqlite:a/b.db?mode=ro"), "sqlite:a/b.db");
    }
}
