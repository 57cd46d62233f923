//! The one database behind the ledger, the notices and the sandbox bank.
//!
//! Queries use only what `SQLite` and `PostgreSQL` both understand (`$1`, `ON CONFLICT`, BIGINT and TEXT); whatever is
//! one database's own is in its migrations or in this file.

use std::time::Duration;

use sqlx::{
    Any, AnyPool, Transaction,
    any::{AnyPoolOptions, install_default_drivers},
    migrate::{MigrateError, Migrator},
};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/sqlite");

/// One writer at a time is `SQLite`'s rule, so more connections would only queue.
const SQLITE_CONNECTIONS_MAX: u32 = 4;

/// How often [`Database::migrate`] tries when another program migrates at the same moment.
const MIGRATE_TRIES: u32 = 20;

/// How long it waits between two tries.
const MIGRATE_PAUSE: Duration = Duration::from_millis(100);

/// A transaction that may write.
pub(crate) type Write = Transaction<'static, Any>;

/// A connected database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Database {
    pool: AnyPool,
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
    /// `PostgreSQL` was asked for.
    #[error("PostgreSQL is not built in yet")]
    PostgresNotBuiltIn,
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
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "check RECOURSE_DATABASE_URL: the directory must exist, and this user must be allowed to write there"
            }
            Self::UnknownKind { .. } | Self::PostgresNotBuiltIn => {
                "set RECOURSE_DATABASE_URL to a file, such as sqlite:recourse.db"
            }
            Self::OldSchema { .. } => "run `recourse setup`; it is safe to repeat",
            Self::NewerSchema { .. } => "use the newer version of this program that made the tables",
            Self::NotMigrated(_) => "see the cause; nothing was changed, and `recourse setup` is safe to repeat",
            Self::Failed(_) => "try again; if it goes on, see whether the disk is full or another program holds a lock",
        }
    }
}

impl Database {
    /// Connects to `url`: `sqlite:path/to/file.db`. The file is made if it is missing, its directory is not.
    ///
    /// # Errors
    /// [`DatabaseError::Unreachable`] if it cannot be opened, [`DatabaseError::PostgresNotBuiltIn`] and
    /// [`DatabaseError::UnknownKind`] for other URLs.
    pub async fn connect(url: &str) -> Result<Self, DatabaseError> {
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return Err(DatabaseError::PostgresNotBuiltIn);
        }
        if !url.starts_with("sqlite:") || url.contains(":memory:") || url.contains("mode=memory") {
            return Err(DatabaseError::UnknownKind { url: without_password(url) });
        }
        install_default_drivers();
        let pool = AnyPoolOptions::new()
            .max_connections(SQLITE_CONNECTIONS_MAX)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    // A ledger must survive the machine: FULL, because NORMAL may lose the last commits of a WAL.
                    for pragma in [
                        "PRAGMA busy_timeout = 10000",
                        "PRAGMA journal_mode = WAL",
                        "PRAGMA synchronous = FULL",
                        "PRAGMA foreign_keys = ON",
                    ] {
                        sqlx::query(pragma).execute(&mut *connection).await?;
                    }
                    Ok(())
                })
            })
            .connect(&created_if_missing(url))
            .await
            .map_err(|source| DatabaseError::Unreachable { url: without_password(url), source })?;
        Ok(Self { pool })
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
            let Err(error) = MIGRATIONS.run(&self.pool).await else { return Ok(()) };
            tries_left -= 1;
            // Another program that is migrating too makes this one fail, and is done a moment later.
            if tries_left == 0 || !matches!(error, MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)) {
                return Err(DatabaseError::NotMigrated(error));
            }
            tokio::time::sleep(MIGRATE_PAUSE).await;
        }
    }

    /// Whether the tables are those that this program was built for.
    ///
    /// # Errors
    /// [`DatabaseError::OldSchema`] and [`DatabaseError::NewerSchema`] if not.
    pub async fn check_schema(&self) -> Result<(), DatabaseError> {
        let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
        let newest = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations WHERE success = TRUE");
        let found: Option<i64> = match newest.fetch_one(&self.pool).await {
            Ok(found) => found,
            // The table of versions is missing, as in a new file.
            Err(sqlx::Error::Database(error)) if !is_busy(error.as_ref()) => None,
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
        self.pool.close().await;
    }

    /// For single statements.
    pub(crate) const fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// A transaction that locks out other writers from its first statement on, so that what it reads is still so when
    /// it writes, and two of them never wait for each other.
    pub(crate) async fn write(&self) -> Result<Write, sqlx::Error> {
        self.pool.begin_with("BEGIN IMMEDIATE").await
    }

    /// A transaction whose reads all see one moment.
    pub(crate) async fn read(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        self.pool.begin().await
    }
}

/// Whether the database only wants to be asked again: `SQLITE_BUSY` and `SQLITE_LOCKED` with their extended codes.
fn is_busy(error: &dyn sqlx::error::DatabaseError) -> bool {
    let primary = error.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
    matches!(primary, Some(5 | 6))
}

fn created_if_missing(url: &str) -> String {
    if url.contains("mode=") {
        url.to_owned()
    } else {
        format!("{url}{}mode=rwc", if url.contains('?') { '&' } else { '?' })
    }
}

/// The URL as it may be shown: nothing between the scheme and the host.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestDatabase;

    #[tokio::test]
    async fn a_new_file_needs_setup_and_setup_is_safe_to_repeat() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/new.db", directory.path().display());
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

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_programs_can_set_up_the_same_new_file_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/new.db", directory.path().display());
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
        assert!(matches!(Database::connect("postgres://x").await, Err(DatabaseError::PostgresNotBuiltIn)));
        let error = Database::connect("mysql://me:secret@host/x").await.unwrap_err();
        assert!(matches!(error, DatabaseError::UnknownKind { .. }));
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[tokio::test]
    async fn every_connection_is_durable_and_keeps_foreign_keys() {
        let test = TestDatabase::new().await;
        let mut connections = Vec::new();
        for _ in 0..SQLITE_CONNECTIONS_MAX {
            connections.push(test.database.pool().acquire().await.unwrap());
        }
        for connection in &mut connections {
            let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut **connection).await.unwrap();
            assert_eq!(mode, "wal");
            for (pragma, wanted) in
                [("PRAGMA synchronous", 2_i64), ("PRAGMA foreign_keys", 1), ("PRAGMA busy_timeout", 10_000)]
            {
                let found: i64 = sqlx::query_scalar(pragma).fetch_one(&mut **connection).await.unwrap();
                assert_eq!(found, wanted, "{pragma}");
            }
        }
    }
}
