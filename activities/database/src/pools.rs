//! The connections: those that read, and those that write.
//!
//! One writes at a time, by `SQLite`'s nature and by our own choice on `PostgreSQL` (L3, the chain). More writers' connections would
//! not write more. They would wait in the database, where `SQLite` lets whoever waits sleep and look again; here they wait in the
//! order in which they came. And readers never wait for a connection that waits to write.

use std::time::Duration;

use sqlx::{
    Any, AnyConnection, AnyPool, Connection as _, Transaction, any::AnyPoolOptions, migrate::Migrator,
    pool::PoolOptions,
};

use super::{
    Write, migrations,
    silence::{self, in_time},
};

/// A ledger must survive the machine: FULL, because NORMAL may lose the last commits of a WAL.
const SQLITE_SETTINGS: [&str; 4] = [
    "PRAGMA busy_timeout = 10000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
];

/// A program that stands still in a transaction would keep all others from writing, so the server ends its connection. A
/// server whose commits are not durable by default is told to make ours so.
const POSTGRES_SETTINGS: [&str; 4] = [
    "SET lock_timeout = '10s'",
    "SET idle_in_transaction_session_timeout = '30s'",
    "SET client_min_messages = 'warning'",
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')",
];

/// `SQLite` locks out other programs' writers from here on.
const SQLITE_WRITE: &str = "BEGIN IMMEDIATE";

/// The same for `PostgreSQL`: one writer at a time in this database. The number is ours alone, and the schema is in it so that
/// two installations in one database do not wait for each other.
const POSTGRES_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
     SELECT pg_advisory_xact_lock(1919247973, hashtext(current_schema()))";

const SQLITE_READ: &str = "BEGIN";

const POSTGRES_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// How long a connection is waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long it is looked for why there is no connection.
const CAUSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection that answered when it was given back is believed to be there.
const BELIEVED_FOR: Duration = Duration::from_millis(250);

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    /// The one that a URL is of, if it can be used.
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

    /// On a server the next one asks for the lock while the one before commits.
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
            // Asking whether it is there is a round trip before every transaction.
            .test_before_acquire(false)
            .before_acquire(move |connection, known| {
                Box::pin(async move {
                    // What was undone by the database itself (a disk that is full) cannot be undone again by the driver, which
                    // then counts a transaction that is not there, and refuses to begin another one for as long as it is connected.
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
    /// Connects. Who writes connects when there is something to write.
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

    /// Begins a transaction, even if nobody waits for that any more: then it ends at once. The driver for `PostgreSQL` does not
    /// know of a transaction whose beginning it was not told the end of. It would stay open on a connection that is back in
    /// the pool, and keep everybody from writing.
    async fn begin(&self, pool: &AnyPool, how: &'static str) -> Result<Transaction<'static, Any>, sqlx::Error> {
        if self.kind == Kind::Sqlite {
            return pool.begin_with(how).await;
        }
        let pool = pool.clone();
        let begun = tokio::spawn(in_time(async move { pool.begin_with(how).await }, |late| late));
        // Nothing but the end of the program stops it.
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

/// What a pool ran into. It tries a server that is away again until its time is up, and then only says that it is.
async fn cause(error: sqlx::Error, url: &str) -> sqlx::Error {
    if !matches!(error, sqlx::Error::PoolTimedOut) {
        return error;
    }
    match tokio::time::timeout(CAUSE_TIMEOUT, AnyConnection::connect(url)).await {
        Ok(Err(cause)) => cause,
        Ok(Ok(_)) | Err(_) => error,
    }
}
