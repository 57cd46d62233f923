//! Where the ledger is: in a file, on a file system of its own where this machine lets us make one, or on a `PostgreSQL` server
//! of its own (under `.ci/with-postgres`). And the faults that can happen to it.

use std::{path::Path, time::Duration};

use sqlx::{AnyConnection, Connection as _};

use super::{kinds::Kind, mount::Mount, postgres::PostgresServer, proxy::Proxy, supervisor::WORKERS};

/// The time between two rounds that end all sessions.
const PEACE: Duration = Duration::from_millis(300);

/// The database and its surroundings.
pub enum Books {
    /// A file of `SQLite`.
    File {
        /// Where it is.
        url: String,
        /// Its file system, if it has one of its own.
        mount: Option<Mount>,
    },
    /// A database of `PostgreSQL`.
    Server {
        server: PostgresServer,
        /// The workers' connections to it.
        lines: [Proxy; WORKERS],
    },
}

impl Books {
    /// An empty one: in this folder, or on a server if the tests run on one.
    pub async fn open(folder: &Path) -> Self {
        if super::on_postgres() {
            let server = PostgresServer::start().await;
            let lines = [Proxy::to(server.port()).await, Proxy::to(server.port()).await];
            return Self::Server { server, lines };
        }
        std::fs::create_dir_all(folder).unwrap();
        let mount = Mount::make(folder);
        Self::File { url: format!("sqlite:{}", folder.join("recourse.db").display()), mount }
    }

    /// The faults that can happen to it.
    pub fn kinds(&self) -> Vec<Kind> {
        match self {
            Self::File { mount, .. } => Kind::on_a_file(mount.is_some()),
            Self::Server { .. } => Kind::on_a_server(),
        }
    }

    /// The database as the verdict reaches it: only faults of the server itself disturb this connection.
    pub fn url(&self) -> String {
        match self {
            Self::File { url, .. } => url.clone(),
            Self::Server { server, .. } => server.url(),
        }
    }

    /// The database as this worker reaches it.
    pub fn url_of(&self, worker: usize) -> String {
        match self {
            Self::File { url, .. } => url.clone(),
            Self::Server { lines, .. } => PostgresServer::url_at(&lines[worker].address()),
        }
    }

    /// This worker's line to the database, if there is one.
    pub fn line(&self, worker: usize) -> Option<&Proxy> {
        match self {
            Self::File { .. } => None,
            Self::Server { lines, .. } => Some(&lines[worker]),
        }
    }

    /// The database's own file system.
    pub const fn mount(&self) -> Option<&Mount> {
        match self {
            Self::File { mount, .. } => mount.as_ref(),
            Self::Server { .. } => None,
        }
    }

    /// Applies a fault to the database. An error says why it could not, or not for as long.
    pub async fn suffer(&self, kind: Kind, wait: impl Future<Output = ()>) -> Result<(), String> {
        let said = |error: sqlx::Error| error.to_string();
        match (self, kind) {
            (Self::File { url, .. }, Kind::LockDatabase) => {
                lock(url, &["PRAGMA busy_timeout = 10000", "BEGIN EXCLUSIVE"], wait).await.map_err(said)
            }
            (Self::File { mount: Some(mount), .. }, Kind::FillDisk) => {
                mount.fill();
                wait.await;
                mount.free();
                Ok(())
            }
            // Every writing transaction begins with this lock.
            (Self::Server { server, .. }, Kind::LockWriters) => {
                let number = "SELECT pg_advisory_xact_lock(1919247973, hashtext(current_schema()))";
                lock(&server.url(), &["BEGIN", number], wait).await.map_err(said)
            }
            (Self::Server { server, .. }, Kind::LockTables) => {
                let tables = "LOCK TABLE journal, notices, sandbox_movements IN ACCESS EXCLUSIVE MODE";
                lock(&server.url(), &["BEGIN", tables], wait).await.map_err(said)
            }
            (Self::Server { server, .. }, Kind::EndSessions) => end_sessions(&server.url(), wait).await.map_err(said),
            (Self::Server { server, .. }, Kind::RestartDatabase) => server.restart(wait).await,
            _ => Err("that does not happen to it".to_owned()),
        }
    }

    /// Undoes the effects of faults.
    pub async fn heal(&self) {
        if let Some(mount) = self.mount() {
            mount.free();
        }
        if let Self::Server { server, .. } = self
            && !server.is_up().await
        {
            server.restart(std::future::ready(())).await.expect("PostgreSQL starts again");
        }
    }

    /// Leaves in `folder` the files for looking into a failure.
    pub async fn keep(&self, folder: &Path) {
        match self {
            Self::File { mount: Some(mount), .. } => {
                for entry in std::fs::read_dir(mount.folder()).unwrap().flatten() {
                    let _ = std::fs::copy(entry.path(), folder.join(entry.file_name()));
                }
            }
            Self::File { .. } => {}
            Self::Server { server, .. } => {
                let _ = std::fs::copy(server.log(), folder.join("logs/postgres.log"));
                let _ = std::fs::write(folder.join("recourse.sql"), server.dump().await.unwrap_or_else(|error| error));
            }
        }
    }
}

/// Keeps all others out with the lock of the last statement, until a transaction ends.
async fn lock(url: &str, statements: &[&'static str], wait: impl Future<Output = ()>) -> Result<(), sqlx::Error> {
    let mut connection = AnyConnection::connect(url).await?;
    for statement in statements {
        sqlx::query(*statement).execute(&mut connection).await?;
    }
    wait.await;
    sqlx::query("ROLLBACK").execute(&mut connection).await?;
    connection.close().await
}

/// Ends every other session again and again, whatever it is doing.
async fn end_sessions(url: &str, wait: impl Future<Output = ()>) -> Result<(), sqlx::Error> {
    let others = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
                  WHERE pid <> pg_backend_pid() AND datname = current_database()";
    let mut connection = AnyConnection::connect(url).await?;
    let mut wait = std::pin::pin!(wait);
    loop {
        sqlx::query(others).execute(&mut connection).await?;
        tokio::select! {
            () = &mut wait => return connection.close().await,
            () = tokio::time::sleep(PEACE) => {}
        }
    }
}
