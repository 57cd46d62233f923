//! The one way in which our programs serve HTTP: the API and the console, the codec server, and the metrics for
//! Prometheus.
//!
//! A new connection must send a request soon, and may not be silent for long. The number of connections is limited; if
//! there is no room, the server closes the one that has been silent longest. A stop ends within a limit, even with open
//! connections. A long answer, such as live events, is not cut while it is silent: only if its receiver does not take
//! it.
//!
//! hyper has some of this, but none of it completely. Its limit for headers is also its limit for silence between
//! requests, which is shorter than that of most proxies; they then use a connection that is just being closed. That
//! limit begins only after hyper knows the HTTP version, and does not exist for HTTP/2. So hyper's own limit is off,
//! and `connection` watches each connection as a whole.

mod activity;
mod connection;

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// The limits of connections. All our servers use the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many connections there are at most. If one more comes, the one that has been silent for longest is closed.
    pub connections: usize,
    /// How long after it was accepted a connection must have sent the headers of its first request.
    pub first_request: Duration,
    /// How long the headers of a later request may take (HTTP/1).
    pub headers: Duration,
    /// How long a connection may have no request under way. This is longer than proxies and load balancers keep theirs
    /// (60 seconds): the side that sends requests has to close first.
    pub idle: Duration,
    /// How long a receiver may take for the next part of an answer that waits for it.
    pub stalled: Duration,
    /// After this time a connection takes no new request. Requests under way go on.
    pub age: Duration,
    /// How long connections may take to end when the server stops, and a single one when it must go.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 800,
            first_request: Duration::from_secs(10),
            headers: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            stalled: Duration::from_mins(1),
            age: Duration::from_hours(1),
            grace: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// For a server that only monitoring asks, and seldom: it should leave file descriptors to the work.
    pub fn of_watchers() -> Self {
        Self::default().with_connections(50)
    }

    /// The same with room for this many connections.
    #[must_use]
    pub const fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }
}

/// What all connections of a server share.
#[derive(Debug)]
struct Hall {
    limits: Limits,
    /// Wakes the connection that has been silent longest when there is no room.
    room: Notify,
}

/// Serves on `listener` until `stop`, then finishes the accepted requests within [`Limits::grace`]. A handler finds the
/// peer's address as `ConnectInfo<SocketAddr>`.
pub async fn serve(router: Router, listener: TcpListener, limits: Limits, stop: impl Future<Output = ()>) {
    let hall = Arc::new(Hall { limits, room: Notify::new() });
    let places = Arc::new(Semaphore::new(limits.connections));
    let (stopping, stopped) = watch::channel(());
    let mut attended = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let (stream, peer, place) = tokio::select! {
            () = &mut stop => break,
            taken = take(&listener, &hall, &places) => taken,
        };
        while attended.try_join_next().is_some() {}
        let attending = connection::attend(stream, peer, router.clone(), hall.clone(), stopped.clone());
        attended.spawn(async move {
            attending.await;
            drop(place);
        });
    }
    drop(listener);
    drop(stopping);
    // Live events would go on for ever: their readers connect to the next server.
    let all = async { while attended.join_next().await.is_some() {} };
    if timeout(limits.grace, all).await.is_err() {
        tracing::info!("connections that were still open are closed");
        attended.shutdown().await;
    }
}

/// The next connection, when there is room for it.
async fn take(
    listener: &TcpListener,
    hall: &Hall,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let (stream, peer) = loop {
        match listener.accept().await {
            Ok(accepted) => break accepted,
            // Most likely there are no file descriptors left: open connections will end.
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken now");
                sleep(Duration::from_millis(100)).await;
            }
        }
    };
    // Small parts of an answer, such as live events, are sent without waiting for the other side to confirm the
    // previous one.
    let _ = stream.set_nodelay(true);
    if let Ok(place) = places.clone().try_acquire_owned() {
        return (stream, peer, place);
    }
    tracing::debug!("there is no room for another connection: the one that was silent for longest goes");
    hall.room.notify_one();
    (stream, peer, places.clone().acquire_owned().await.expect("the semaphore is never closed"))
}

#[cfg(test)]
mod tests;
