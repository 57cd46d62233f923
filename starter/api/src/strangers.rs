//! Requests of whoever says nothing that is believed: no token, or a bad one. They are counted by where they come from, each of them, so
//! that no route has to think of it; whoever finds out who sends a request says so, and then it is counted by that.
//!
//! Who shows a token is let through to have it looked at, however many strangers there are at the same place: a good one is
//! answered, and a bad one is counted.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{Extensions, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{
    identity::Identity,
    limits::{Limits, Sender},
    peer::Place,
    problem::Problem,
};

/// What costs next to nothing, and is asked for by programs that have no token: whoever balances load, and browsers that
/// fetch a page's style. And what counts by itself.
const NOT_COUNTED: [&str; 3] = ["/health/", "/assets/", "/v1/callbacks/"];

/// A request's sender: whether it is known by now, and where it is.
#[derive(Debug, Clone, Default)]
pub struct Comes {
    from: Place,
    is_known: Arc<AtomicBool>,
}

impl Comes {
    /// Where the sender is.
    pub const fn from(&self) -> Place {
        self.from
    }

    /// From now on it is counted by something else than its place.
    fn counted(&self) {
        self.is_known.store(true, Ordering::Relaxed);
    }
}

impl<S: Sync> FromRequestParts<S> for Comes {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

impl Comes {
    /// Whoever sends the request with these extensions.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }
}

impl Limits {
    /// Counts a request of somebody whose token is good.
    ///
    /// # Errors
    /// A problem of status 429 if it is one too many.
    pub fn let_in_known(&self, who: &Identity, comes: &Comes) -> Result<(), Problem> {
        comes.counted();
        self.let_in(&Sender::Party(who.subject.clone()))
    }
}

/// Counts a request by where it comes from, unless it turns out to be of somebody who is known.
pub(super) async fn counted(State(limits): State<Limits>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let comes = Comes { from: limits.place_of(peer, request.headers()), ..Comes::default() };
    let stranger = Sender::Stranger(comes.from);
    request.extensions_mut().insert(comes.clone());
    if NOT_COUNTED.iter().any(|start| request.uri().path().starts_with(start)) {
        return next.run(request).await;
    }
    let shows_something =
        [header::AUTHORIZATION, header::COOKIE].iter().any(|name| request.headers().contains_key(name));
    if !shows_something && let Err(problem) = limits.let_in(&stranger) {
        return problem.into_response();
    }
    let response = next.run(request).await;
    if !shows_something || comes.is_known.load(Ordering::Relaxed) {
        return response;
    }
    match limits.let_in(&stranger) {
        Ok(()) => response,
        Err(problem) => problem.into_response(),
    }
}
