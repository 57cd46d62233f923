//! The activity of a connection: which requests are under way, and how long there was none.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use axum::body::{Body, Bytes};
use hyper::{
    Version,
    body::{Frame, SizeHint},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::Instant,
};

use super::Limits;

/// What a connection does. Its requests share it with the task that watches it.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// By number: since when a part of the answer waits for the receiver, if one does.
    requests: BTreeMap<u64, Option<Instant>>,
    next: u64,
    /// Since when no request is under way, if none is.
    quiet_since: Instant,
    /// Since when a part of the next request is there.
    heard_at: Option<Instant>,
    version: Option<Version>,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let (requests, quiet_since) = (BTreeMap::new(), Instant::now());
        let state = State { requests, next: 0, quiet_since, heard_at: None, version: None };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something has begun or ended since the last call.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> UnderWay {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.version = Some(version);
        state.requests.insert(number, None);
        drop(state);
        self.changed.notify_one();
        UnderWay { activity: self.clone(), number }
    }

    /// Bytes arrived.
    fn heard(&self) {
        let mut state = self.state();
        if state.requests.is_empty() && state.heard_at.is_none() {
            state.heard_at = Some(Instant::now());
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Since when no request is under way. Nothing while one is.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        let state = self.state();
        state.requests.is_empty().then_some(state.quiet_since)
    }

    /// By when a connection without a request under way must send one.
    pub(super) fn next_request_by(&self, limits: &Limits) -> Instant {
        let state = self.state();
        match (state.version, state.heard_at) {
            (None, _) => state.quiet_since + limits.first_request,
            // On HTTP/2 the bytes may be no request.
            (Some(version), Some(heard_at)) if version < Version::HTTP_2 => {
                (heard_at + limits.headers).min(state.quiet_since + limits.idle)
            }
            _ => state.quiet_since + limits.idle,
        }
    }

    /// Since when the oldest waiting part of an answer waits for the receiver.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        self.state().requests.values().flatten().min().copied()
    }
}

/// A request that is under way, until the last part of its answer is handed over.
#[derive(Debug)]
pub(super) struct UnderWay {
    activity: Arc<Activity>,
    number: u64,
}

impl UnderWay {
    fn waits(&self, since: Option<Instant>) {
        self.activity.state().requests.insert(self.number, since);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.requests.remove(&self.number);
        if state.requests.is_empty() {
            (state.quiet_since, state.heard_at) = (Instant::now(), None);
            drop(state);
            self.activity.changed.notify_one();
        }
    }
}

/// An answer's body. When it ends, its request ends.
pub(super) struct Answer {
    body: Body,
    request: UnderWay,
}

impl Answer {
    pub(super) const fn new(body: Body, request: UnderWay) -> Self {
        Self { body, request }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        // If hyper asks for more, the receiver has room. After a part, hyper has to ask again.
        let given = matches!(polled, Poll::Ready(Some(Ok(_)))) && !self.body.is_end_stream();
        self.request.waits(given.then(Instant::now));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream of bytes that reports when some arrive.
#[derive(Debug)]
pub(super) struct Heard<I> {
    io: I,
    activity: Arc<Activity>,
}

impl<I> Heard<I> {
    pub(super) const fn new(io: I, activity: Arc<Activity>) -> Self {
        Self { io, activity }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Heard<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.heard();
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Heard<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
