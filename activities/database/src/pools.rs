//! The connections: those that read, and those that write.
//!
//! Only one connection writes at a time: `SQLite` allows no more, and on `PostgreSQL` we choose it (L3, the chain).
//! More connections for writers would not write more. They would wait in the database, where a waiting `SQLite`
//! connection sleeps and tries again. Here writers wait in the order in which they came, and readers never wait for a
//! writer.

use std::time::Duration;

use sqlx::{
    Any, AnyConnection, AnyPool, Connection as _, Transaction, any::AnyPoolOptions, migrate::Migrator,
    pool::PoolOptions,
};

use super::{
    Write, migrations,
    silence::{self, in_time},
};

/// A ledger must survive a crash of the machine: FULL, because NORMAL may lose the last commits of a WAL.
const SQLITE_SETTINGS: [&str; 4] = [
    "PRAGMA busy_timeout = 10000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
];

/// A program that stops in a transaction would block all other writers, so the server ends its connection. If the
/// server's commits are not durable by default, these settings make ours durable.
const POSTGRES_SETTINGS: [&str; 4] = [
    "SET lock_timeout = '10s'",
    "SET idle_in_transaction_session_timeout = '30s'",
    "SET client_min_messages = 'warning'",
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')",
];

/// From here on, `SQLite` locks out the writers of other programs.
const SQLITE_WRITE: &str = "BEGIN IMMEDIATE";

/// The same for `PostgreSQL`: one writer at a time in this database. Only Recourse uses the number. The key includes
/// the schema, so that two installations in one database do not wait for each other.
const POSTGRES_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
     SELECT pg_advisory_xact_lock(1919247973, hashtext(current_schema()))";

const SQLITE_READ: &str = "BEGIN";

const POSTGRES_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long to look for the reason why there is no connection.
const CAUSE_TIMEOUT: Duration = Duration::from_secs(2);

/// For how long a returned connection counts as alive without another check.
const BELIEVED_FOR: Duration = Duration::from_millis(250);

/// The kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    /// The kind that a URL names, if this program knows it.
    pub fn of(url: &str) -> Option<Self> {
        match url.split_once(':')?.0 {
            "postgres" | "postgresql" => Some(Self::Postgres),
            "sqlite" if !url.contains(":memory:") && !url.contains("mode=memory") => Some(Self::Sqlite),
            _ => None,
        }
    }

    pub fn migrations(self) -> &'static Migrator {
        match self {
            Self::Sqlite => &migrations::SQLITE,
            Self::Postgres => &migrations::POSTGRES,
        }
    }

    const fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Sqlite => &SQLITE_SETTINGS,
            Self::Postgres => &POSTGRES_SETTINGS,
        }
    }

    pub const fn readers_max(self) -> u32 {
        match self {
            Self::Sqlite => 4,
            Self::Postgres => 8,
        }
    }

    /// On a server, the next writer requests the lock while the previous one commits.
    pub const fn writers_max(self) -> u32 {
        match self {
            Self::Sqlite => 1,
            Self::Postgres => 2,
        }
    }

    fn pool(self, connections_max: u32) -> PoolOptions<Any> {
        AnyPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(CONNECT_TIMEOUT)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    for setting in self.settings() {
                        sqlx::query(*setting).execute(&mut *connection).await?;
                    }
                    Ok(())
                })
            })
            // The check would cost a round trip before every transaction.
            .test_before_acquire(false)
            .before_acquire(move |connection, known| {
                Box::pin(async move {
                    // If the database itself has rolled a transaction back (a full disk, for example), the driver
                    // cannot roll it back again. The driver would then still count that transaction, and refuse to
                    // begin another one on this connection.
                    if connection.is_in_transaction() {
                        return Ok(false);
                    }
                    Ok(self == Self::Sqlite || known.idle_for < BELIEVED_FOR || silence::answers(connection).await?)
                })
            })
            .after_release(move |connection, _| {
                Box::pin(async move {
                    match self {
                        Self::Sqlite => Ok(true),
                        Self::Postgres => silence::answers(connection).await,
                    }
                })
            })
    }
}

/// The connections to one database. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Pools {
    kind: Kind,
    pub readers: AnyPool,
    pub writers: AnyPool,
}

impl Pools {
    /// Connects. Writers connect at their first write.
    ///
    /// # Errors
    /// Why it cannot be reached.
    pub async fn open(kind: Kind, url: &str) -> Result<Self, sqlx::Error> {
        let url = &match kind {
            Kind::Sqlite => created_if_missing(url),
            Kind::Postgres => url.to_owned(),
        };
        let readers = match kind.pool(kind.readers_max()).connect(url).await {
            Ok(readers) => readers,
            Err(error) => return Err(cause(error, url).await),
        };
        Ok(Self { kind, readers, writers: kind.pool(kind.writers_max()).connect_lazy(url)? })
    }

    pub async fn close(&self) {
        self.writers.close().await;
        self.readers.close().await;
    }

    pub async fn write(&self) -> Result<Write, sqlx::Error> {
        self.begin(&self.writers, if self.kind == Kind::Sqlite { SQLITE_WRITE } else { POSTGRES_WRITE }).await
    }

    pub async fn read(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        self.begin(&self.readers, if self.kind == Kind::Sqlite { SQLITE_READ } else { POSTGRES_READ }).await
    }

    /// Begins a transaction, even if the caller has gone; then it rolls back at once. Without this, the driver for
    /// `PostgreSQL` forgets a transaction if its caller goes while it begins. That transaction would stay open on a
    /// connection in the pool, and block all writers.
    async fn begin(&self, pool: &AnyPool, how: &'static str) -> Result<Transaction<'static, Any>, sqlx::Error> {
        if self.kind == Kind::Sqlite {
            return pool.begin_with(how).await;
        }
        let pool = pool.clone();
        let begun = tokio::spawn(in_time(async move { pool.begin_with(how).await }, |late| late));
        // Only the end of the program stops this task.
        begun.await.unwrap_or(Err(sqlx::Error::PoolClosed))
    }
}

fn created_if_missing(url: &str) -> String {
    if url.contains("mode=") {
        url.to_owned()
    } else {
        format!("{url}{}mode=rwc", if url.contains('?') { '&' } else { '?' })
    }
}

/// The cause of a pool's error. A pool retries until its time is up, and then reports only a timeout.
async fn cause(error: sqlx::Error, url: &str) -> sqlx::Error {
    if !matches!(error, sqlx::Error::PoolTimedOut) {
        return error;
    }
    match tokio::time::timeout(CAUSE_TIMEOUT, AnyConnection::connect(url)).await {
        Ok(Err(cause)) => cause,
        Ok(Ok(_)) | Err(_) => error,
    }
}
