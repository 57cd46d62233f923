//! The layer around every page: it reads the visitor's session, and shows a problem as a page.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    middleware::Next,
    response::Response,
};
use recourse_api::{Front, problem::Problem, strangers::Comes};

use super::{
    page,
    place::Place,
    session::{Session, Visitor, cookie},
};

/// Reads the session of every request to a page, and shows a problem as a page.
pub async fn know(State(front): State<Front>, mut request: Request, next: Next) -> Response {
    let visitor = visitor(&front, request.headers(), &Comes::of(request.extensions())).await;
    let place = Place::of(front.local().is_some(), request.uri());
    request.extensions_mut().insert((visitor.clone(), place.clone()));
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Problem>() {
        None => response,
        Some(problem) => {
            let session = if let Visitor::Someone(session) = &visitor { Some(session) } else { None };
            page::problem(&place, session, &problem)
        }
    }
}

async fn visitor(front: &Front, headers: &HeaderMap, comes: &Comes) -> Visitor {
    let Some(token) = cookie(headers, front.site().cookie()) else { return Visitor::Nobody };
    match front.tokens().read(&token).await {
        Ok(who) => match front.limits().let_in_known(&who, comes) {
            Ok(()) => Visitor::Someone(Session::new(who, token)),
            Err(problem) => Visitor::Unknown(problem),
        },
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => Visitor::Expired,
        Err(problem) => Visitor::Unknown(problem),
    }
}
