//! One connection, from the first byte to the last.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    response::Response,
};
use hyper::{
    body::Incoming,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    Hall, Limits,
    activity::{Activity, Answer, Heard},
};

/// How many requests may be under way at once on one connection (HTTP/2).
const AT_ONCE: u32 = 64;

/// How many bytes of an answer are kept for a receiver that does not take them (HTTP/2, each answer).
const KEPT_BYTES: usize = 64 * 1024;

/// How often the server pings a connection (HTTP/2), and how long the answer may take.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_WITHIN: Duration = Duration::from_secs(20);

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None);
    let mut http2 = builder.http2();
    http2.timer(TokioTimer::new()).max_concurrent_streams(AT_ONCE).max_send_buf_size(KEPT_BYTES);
    http2.keep_alive_interval(PING_EVERY).keep_alive_timeout(PING_WITHIN);
    builder
}

/// The next step of a watched connection.
enum Next {
    /// Check again.
    Look,
    /// Take no new request, and end.
    Leave,
    /// End now.
    Cut(&'static str),
}

/// Serves a connection until it ends, exceeds a limit, makes room for another or the server stops.
pub(super) async fn attend(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    hall: Arc<Hall>,
    mut stopped: watch::Receiver<()>,
) {
    let limits = &hall.limits;
    let activity = Activity::new();
    let io = TokioIo::new(Heard::new(stream, activity.clone()));
    let answers = TowerToHyperService::new(router);
    let answering = activity.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let under_way = answering.begin(request.version());
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answered = answers.call(request);
        async move { answered.await.map(|response: Response| response.map(|body| Answer::new(body, under_way))) }
    });
    let builder = builder();
    let mut connection = pin!(builder.serve_connection(io, service));
    let too_old = Instant::now() + limits.age;
    let mut leaving = None;
    let mut room = pin!(hall.room.notified());
    let mut was_quiet = true;
    loop {
        let quiet = activity.quiet_since();
        if quiet.is_some() != was_quiet {
            // The connection that has waited longest is woken first. Waiting begins anew with each silence, and a busy
            // connection does not wait.
            room.set(hall.room.notified());
            was_quiet = quiet.is_some();
        }
        let next = tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke off");
                }
                return;
            }
            () = activity.changed() => Next::Look,
            () = room.as_mut(), if quiet.is_some() => Next::Cut("there was no room"),
            _ = stopped.changed(), if leaving.is_none() => Next::Leave,
            () = sleep_until(too_old), if leaving.is_none() => Next::Leave,
            () = sleep_until(looked_at_by(&activity, limits, leaving)) => over(&activity, limits, leaving),
        };
        match next {
            Next::Look => {}
            Next::Leave => {
                leaving = Some(Instant::now());
                connection.as_mut().graceful_shutdown();
            }
            Next::Cut(why) => {
                tracing::debug!(why, "a connection is closed");
                return;
            }
        }
    }
}

/// By when a connection is checked again, if nothing happens on it.
fn looked_at_by(activity: &Activity, limits: &Limits, leaving: Option<Instant>) -> Instant {
    match (activity.quiet_since(), leaving) {
        (Some(since), Some(leaving)) => since.max(leaving) + limits.grace,
        (Some(_), None) => activity.next_request_by(limits),
        (None, _) => activity.stalled_since().unwrap_or_else(Instant::now) + limits.stalled,
    }
}

/// What a connection must do after a long time without activity.
fn over(activity: &Activity, limits: &Limits, leaving: Option<Instant>) -> Next {
    let now = Instant::now();
    match (activity.quiet_since(), leaving) {
        (Some(since), Some(leaving)) if since.max(leaving) + limits.grace <= now => Next::Cut("it did not end"),
        (Some(since), None) if activity.next_request_by(limits) <= now => {
            // A silent connection that has served requests gets a notice first, because others may be sending to it.
            if since + limits.idle <= now { Next::Leave } else { Next::Cut("no request came") }
        }
        (None, _) if activity.stalled_since().is_some_and(|since| since + limits.stalled <= now) => {
            Next::Cut("an answer was not taken")
        }
        _ => Next::Look,
    }
}
