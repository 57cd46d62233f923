//! People to play, each with a token of the local issuer. Only `recourse dev` has them: with a real issuer there are none.

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::json;

use super::{Front, extract::Of, identity::Duty, problem::Problem, site::is_loopback};

/// The local issuer's name.
pub const ISSUER: &str = "urn:recourse:dev";

/// The audience of its tokens.
pub const AUDIENCE: &str = "recourse";

/// Somebody to play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persona {
    /// Their id: the subject of their token.
    pub id: &'static str,
    /// What people call them.
    pub name: &'static str,
    /// What they do in the sandbox.
    pub part: &'static str,
    /// Their duty, if they are not a party.
    pub duty: Option<Duty>,
}

/// Everybody there is to play.
pub const PERSONAS: [Persona; 6] = [
    Persona { id: "cl-1", name: "Ada", part: "a client", duty: None },
    Persona { id: "fl-1", name: "Ben", part: "a freelancer", duty: None },
    Persona { id: "med-1", name: "Mia", part: "a mediator", duty: Some(Duty::Mediator) },
    Persona { id: "arb-1", name: "Ari", part: "the arbitrator", duty: Some(Duty::Arbitrator) },
    Persona { id: "ops-1", name: "Olga", part: "an operator", duty: Some(Duty::Operator) },
    Persona { id: "platform", name: "Platform", part: "the platform's backend", duty: Some(Duty::Service) },
];

impl Persona {
    /// The persona with this id.
    pub fn find(id: &str) -> Option<Self> {
        PERSONAS.into_iter().find(|persona| persona.id == id)
    }
}

/// Lists the personas and gives their tokens to programs.
pub fn routes() -> Router<Front> {
    Router::new().route("/dev/personas", get(list)).route("/dev/tokens/{persona}", post(token))
}

async fn list(State(front): State<Front>) -> Result<Response, Problem> {
    front.local().ok_or_else(super::openapi::no_such_path)?;
    let listed = PERSONAS.map(|persona| json!({"id": persona.id, "name": persona.name, "part": persona.part}));
    Ok(Json(listed).into_response())
}

async fn token(State(front): State<Front>, Of(persona): Of<String>) -> Result<Response, Problem> {
    Ok(Json(json!({"token": front.token_of(&persona)?})).into_response())
}

/// Answers only requests that name this machine by a name that nobody can own. Here everybody can be anybody. A foreign page
/// may have a name that leads here (DNS rebinding), and could read tokens with it.
pub(super) async fn only_here(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().cloned().or_else(|| host?.parse::<axum::http::uri::Authority>().ok());
    if authority.is_some_and(|authority| is_loopback(authority.host())) {
        return next.run(request).await;
    }
    let detail =
        "this is a sandbox in which anybody can be anybody; it answers to localhost and to loopback addresses only";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "WrongHost", "This is not what it is called", detail)
        .hint("open it at the address that `recourse dev` printed")
        .into_response()
}

impl Front {
    /// A persona's token.
    ///
    /// # Errors
    /// 404 if there is no such persona, or if this server has no local issuer.
    pub fn token_of(&self, persona: &str) -> Result<String, Problem> {
        let local = self.local().ok_or_else(super::openapi::no_such_path)?;
        let persona = Persona::find(persona).ok_or_else(|| Problem::not_found("there is no such persona"))?;
        let duties: Vec<&str> = persona.duty.iter().map(|duty| duty.name()).collect();
        local.token(persona.id, &duties, &[]).map_err(|error| Problem::unexpected(&error))
    }
}
