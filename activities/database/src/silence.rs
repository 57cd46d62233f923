//! Connections whose other end has disappeared without closing them: its machine died, or a firewall has forgotten the
//! connection. No error ever comes, and a caller waits for the timeout of the operating system's network: a quarter of
//! an hour, or for ever. So background work at the database gives up after a while, and gives its connection back.

use std::{
    io::{Error, ErrorKind},
    time::Duration,
};

use sqlx::AnyConnection;
use tokio::time::timeout;

/// How long one piece of work may take, including its calls to others. All normal work is faster.
const WORK_MAX: Duration = Duration::from_mins(1);

/// How long a returned connection may take to answer the check.
const PING_MAX: Duration = Duration::from_secs(5);

/// Does the work, or gives it up. `late` makes the error for that.
pub async fn in_time<T, E>(
    work: impl Future<Output = Result<T, E>>,
    late: impl FnOnce(sqlx::Error) -> E,
) -> Result<T, E> {
    within(WORK_MAX, work, late).await
}

async fn within<T, E>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
    late: impl FnOnce(sqlx::Error) -> E,
) -> Result<T, E> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(late(no_answer(limit))))
}

/// Whether a returned connection can be used. The pool discards it if not. Without this check the pool would wait for
/// it, and count it, for ever. The check runs a query, because a connection in a failed transaction still answers a
/// ping. Such a transaction occurs when a writer does not get the lock in time: the driver then does not know that the
/// transaction began.
pub(super) async fn answers(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    within(PING_MAX, sqlx::query("SELECT 1").execute(connection), |late| late).await.map(|_| true)
}

fn no_answer(after: Duration) -> sqlx::Error {
    Error::new(ErrorKind::TimedOut, format!("no answer in {} s", after.as_secs_f64())).into()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::{
        io::copy_bidirectional,
        net::{TcpListener, TcpStream},
        sync::watch,
    };

    use super::*;
    use crate::{Database, Kind, testing::new_database};

    /// A connection to the database that can go silent: then it carries nothing and does not close either.
    async fn line_to(server: String) -> (String, watch::Sender<u32>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (silences, silent) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let mut silent = silent.clone();
                silent.mark_unchanged();
                let mut to = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = copy_bidirectional(&mut from, &mut to) => {}
                        _ = silent.changed() => std::future::pending().await,
                    }
                });
            }
        });
        (address, silences)
    }

    /// L5: a server that goes silent is like one that closes its connections: new connections repeat the work, and the
    /// old ones are not needed.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn work_on_a_silent_connection_is_given_up_with_it() {
        let (url, _directory) = new_database().await;
        let Some((user, rest)) = url.split_once('@') else { return };
        let (server, name) = rest.split_once('/').unwrap();
        let (address, silences) = line_to(server.to_owned()).await;
        let database = Database::connect(&format!("{user}@{address}/{name}")).await.unwrap();
        let mut connections = Vec::new();
        for _ in 0..Kind::Postgres.readers_max() {
            connections.push(database.pool().acquire().await.unwrap());
        }
        for _ in 0..Kind::Postgres.writers_max() {
            connections.push(database.writers().acquire().await.unwrap());
        }
        silences.send_modify(|silences| *silences += 1);
        for connection in &mut connections {
            let asking = sqlx::query("SELECT 1").execute(&mut **connection);
            let asked = within(Duration::from_millis(50), asking, |late| late).await;
            assert!(asked.unwrap_err().to_string().contains("no answer in 0.05 s"), "the connection went silent");
        }
        let started = Instant::now();
        drop(connections);
        sqlx::query("SELECT 1").execute(database.pool()).await.unwrap();
        sqlx::query("SELECT 1").execute(database.writers()).await.unwrap();
        assert!(started.elapsed() < PING_MAX + Duration::from_secs(5));
    }
}
