//! The one database behind the ledger, the notices and the sandbox bank.
//!
//! Queries use only what `SQLite` and `PostgreSQL` both understand (`$1`, `ON CONFLICT`, BIGINT and TEXT). SQL for only
//! one of them is in the migrations or in this file.

#[cfg(test)]
mod alike;
mod migrations;
mod pools;
pub mod private;
mod silence;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod write_queue;

use std::time::Duration;

use sqlx::{Any, AnyPool, Transaction, any::install_default_drivers, migrate::MigrateError};

use self::pools::{Kind, Pools};
pub use self::{
    silence::in_time,
    write_queue::{Together, WriteQueue},
};

/// How often [`Database::migrate`] tries when another program migrates at the same time.
const MIGRATE_TRIES: u32 = 20;

/// How long it waits between two tries.
const MIGRATE_PAUSE: Duration = Duration::from_millis(100);

/// How many rows one statement inserts at most.
const ROWS_MAX: usize = 32;

/// A transaction that may write.
pub type Write = Transaction<'static, Any>;

/// A connected database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Database {
    pools: Pools,
    kind: Kind,
}

/// Why a database cannot be used. [`DatabaseError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Nothing at this URL can be opened.
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

/// Only the owner may access the file of a `SQLite` database, from its first byte on. Errors here are ignored: opening
/// the database reports them.
fn keep_private(url: &str) {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    let path = path.strip_prefix("//").unwrap_or(path);
    let (path, settings) = path.split_once('?').unwrap_or((path, ""));
    let path = std::path::Path::new(path);
    // A URL may require that the file exists.
    if path.exists() || !settings.contains("mode=r") || settings.contains("mode=rwc") {
        let _ = private::database(path);
    }
}

impl Database {
    /// Connects to `url`: `sqlite:path/to/file.db` or `postgres://user:password@host/database`, version 15 or later. It
    /// makes a missing `SQLite` file, but not a missing directory.
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

    /// Makes the tables, or brings them up to date. It is safe to repeat, and two programs may do it at once.
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
                return Ok(());
            };
            tries_left -= 1;
            // If another program migrates at the same time, this try fails; the next one succeeds.
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
        let known = self.kind.migrations().iter().map(|migration| migration.version).max().unwrap_or(0);
        let newest = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations WHERE success = TRUE");
        let found: Option<i64> = match newest.fetch_one(self.pool()).await {
            Ok(found) => found,
            // A new database has no such table.
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

    /// Closes every connection after its current work.
    pub async fn close(&self) {
        self.pools.close().await;
    }

    /// For single statements that only read.
    pub const fn pool(&self) -> &AnyPool {
        &self.pools.readers
    }

    /// For single statements that write.
    pub const fn writers(&self) -> &AnyPool {
        &self.pools.writers
    }

    /// A transaction that locks out other writers from its first statement on. So the data that it reads do not change
    /// before it writes, and two such transactions never deadlock.
    pub async fn write(&self) -> Result<Write, sqlx::Error> {
        self.pools.write().await
    }

    /// A transaction whose reads all see the database at the same instant.
    pub async fn read(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        self.pools.read().await
    }

    fn is_missing_table(&self, error: &dyn sqlx::error::DatabaseError) -> bool {
        let code = error.code().unwrap_or_default();
        match self.kind {
            // `SQLite` has no code of its own for a missing table, and this statement can cause none of the other
            // errors with this code.
            Kind::Sqlite => code == "1",
            Kind::Postgres => code == "42P01",
        }
    }
}

/// Splits `rows` into parts, one for each INSERT. The parts have few different lengths, because each length is another
/// statement to prepare.
pub fn batches<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = ROWS_MAX.min(1 << rows.len().checked_ilog2()?);
        let (batch, rest) = rows.split_at(length);
        rows = rest;
        Some(batch)
    })
}

/// Placeholders for this many rows: `($1, $2), ($3, $4)`.
pub fn rows_of(columns: usize, rows: usize) -> String {
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
mod tests;
