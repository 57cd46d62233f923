//! Requests without a valid token. The middleware counts each of them by its place, so that no route needs to. Code that finds
//! out the sender says so, and then Recourse counts the request by that sender.
//!
//! Recourse always checks a token, however many strangers there are at the same place: it answers a valid one, and counts an
//! invalid one.

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

/// Cheap paths that programs without a token request: load balancers, and browsers that fetch a page's style. And paths that do
/// their own counting.
const NOT_COUNTED: [&str; 3] = ["/health/", "/assets/", "/v1/callbacks/"];

/// A request's sender: whether Recourse already knows it, and its place.
#[derive(Debug, Clone, Default)]
pub struct Comes {
    from: Place,
    is_known: Arc<AtomicBool>,
}

impl Comes {
    /// The sender's place.
    pub const fn from(&self) -> Place {
        self.from
    }

    /// From now on the request does not count by its place.
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
    /// The sender of the request with these extensions.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }
}

impl Limits {
    /// Counts a request of a sender whose token is valid.
    ///
    /// # Errors
    /// A problem of status 429 if it is one too many.
    pub fn let_in_known(&self, who: &Identity, comes: &Comes) -> Result<(), Problem> {
        comes.counted();
        self.let_in(&Sender::Party(who.subject.clone()))
    }
}

/// Counts a request by its place, unless Recourse learns who its sender is.
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
