//! Who visits: the session in the cookie, which is the very token that the API takes; signing in and out; and where to go
//! without a session.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{
    forms::{self, Fields},
    page::{self, Done, Mishap, Named, Place},
    site::Site,
};
use crate::{
    api::{
        Front,
        identity::Identity,
        personas::{PERSONAS, Persona},
        problem::Problem,
        strangers::Comes,
    },
    hex,
};

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who.
    pub who: Identity,
    token: String,
}

/// Whoever sends a request.
#[derive(Debug, Clone)]
pub enum Visitor {
    /// Not signed in.
    Nobody,
    /// Signed in once; the token is not believed any more.
    Expired,
    /// Signed in.
    Someone(Session),
    /// That cannot be said now, or they ask too often.
    Unknown(Problem),
}

/// Somebody who is signed in and looks at a page.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Who.
    pub session: Session,
    /// Where they are.
    pub place: Place,
}

impl Session {
    /// A session of somebody with this token.
    pub const fn new(who: Identity, token: String) -> Self {
        Self { who, token }
    }

    /// What every form carries, so that no other site can post one: nobody without the token can know it.
    pub fn csrf(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"csrf");
        hash.update(self.token.as_bytes());
        hex::encode(&hash.finalize())
    }

    /// Whether that is what its forms carry.
    pub fn knows(&self, csrf: &str) -> bool {
        verify_slices_are_equal(self.csrf().as_bytes(), csrf.as_bytes()).is_ok()
    }

    /// The token, for what reads it again.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What people call them: a persona's name, or their id.
    pub fn name(&self, sandbox: bool) -> &str {
        let id = self.who.subject.as_str();
        Persona::find(id).filter(|_| sandbox).map_or(id, |persona| persona.name)
    }
}

impl Visit {
    /// Who.
    pub const fn who(&self) -> &Identity {
        &self.session.who
    }
}

impl FromRequestParts<Front> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &Front) -> Result<Self, Response> {
        let Some((visitor, place)) = parts.extensions.get::<(Visitor, Place)>().cloned() else {
            return Err(Mishap::from(Problem::unexpected(&"a page is served without its layer")).into_response());
        };
        let to_sign_in = |expired: bool| {
            let back = if parts.method == "GET" { place.path.as_str() } else { "/" };
            let why = if expired { "&expired=true" } else { "" };
            Redirect::to(&format!("/sign-in?to={}{why}", forms::in_query(back))).into_response()
        };
        match visitor {
            Visitor::Someone(session) => Ok(Self { session, place }),
            Visitor::Nobody => Err(to_sign_in(false)),
            Visitor::Expired => Err(to_sign_in(true)),
            Visitor::Unknown(problem) => Err(Mishap::from(problem).into_response()),
        }
    }
}

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

fn cookie(headers: &HeaderMap, called: &str) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(name, value)| *name == called && !value.is_empty()).map(|(_, value)| value.to_owned())
}

/// The cookie for a token; an empty one takes the session away. Browsers keep it from scripts, and send it to this site from
/// this site only.
pub fn set_cookie(token: &str, site: &Site) -> String {
    let name = site.cookie();
    let secure = if site.is_secure() { "; Secure" } else { "" };
    let gone = if token.is_empty() { "; Max-Age=0" } else { "" };
    format!("{name}={token}; HttpOnly; SameSite=Strict; Path=/{secure}{gone}")
}

/// A path of this site, or the first page: nobody is led elsewhere by a link to the sign-in.
pub fn local_path(to: &str) -> &str {
    let is_path = to.starts_with('/') && !to.starts_with("//");
    let is_plain = to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path && is_plain && !to.starts_with("/session") { to } else { "/" }
}

/// Where to go after signing in, and why somebody has to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SignInQuery {
    to: String,
    expired: bool,
    out: bool,
}

/// The page to sign in on.
pub async fn sign_in(State(front): State<Front>, Named(asked): Named<SignInQuery>) -> Response {
    let to = local_path(&asked.to);
    let place = Place { sandbox: front.local().is_some(), path: to.to_owned(), done: None };
    let body = html! {
        h1 { "Sign in" }
        @if asked.expired {
            p.alert role="alert" { "Your sign-in has run out or is not valid any more. Sign in again to go on." }
        }
        @if asked.out { p.note role="status" { "You are signed out." } }
        @if place.sandbox { (personas(to)) } @else { (token_form(to)) }
    };
    page::plain(&place, None, StatusCode::OK, "Sign in", &body)
}

fn personas(to: &str) -> Markup {
    html! {
        p { "This is a sandbox: nothing here is real, and you can be anybody. Whom do you want to be?" }
        form.personas method="post" action="/session" {
            input type="hidden" name="to" value=(to);
            @for persona in PERSONAS {
                button.persona type="submit" name="persona" value=(persona.id) {
                    strong { (persona.name) } " " span { (persona.part) }
                }
            }
        }
    }
}

fn token_form(to: &str) -> Markup {
    html! {
        p { "Sign in on the platform that sent you here: it brings you back signed in." }
        p { "Or, if somebody gave you a token, use it here." }
        form method="post" action="/session" {
            input type="hidden" name="to" value=(to);
            div.field {
                label for="token" { "Token" }
                input #token type="password" name="token" autocomplete="off" required;
            }
            div.buttons { button.primary type="submit" { "Sign in" } }
        }
    }
}

/// Signs in: with a token that the platform's own sign-in posts, or in the sandbox as a persona.
///
/// The token may come from another site if that is the platform's; the page then says as whom one is signed in.
pub async fn begin(
    State(front): State<Front>,
    comes: Comes,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, Mishap> {
    let persona = fields.get("persona");
    let to = local_path(fields.get("to"));
    if !persona.is_empty() {
        forms::check_origin(&headers)?;
        let cookie = set_cookie(&front.token_of(persona)?, front.site());
        return Ok(([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response());
    }
    front.site().check_sign_in(&headers)?;
    let token = fields.get("token");
    let who = front.tokens().read(token).await.map_err(|problem| match problem.status() {
        StatusCode::UNAUTHORIZED => problem.hint("sign in again on the platform, which gives you a new token"),
        _ => problem,
    })?;
    front.limits().let_in_known(&who, &comes)?;
    let cookie = set_cookie(token, front.site());
    let session = Session::new(who, token.to_owned());
    // The platform's page is another site: a browser would not send the new cookie along with a redirect from there.
    let place = Place { sandbox: front.local().is_some(), path: to.to_owned(), done: None };
    let body = html! {
        h1 { "You are signed in" }
        p { "As " strong { (session.name(place.sandbox)) } ". " a href=(to) { "Go on" } }
    };
    let page = page::Around { title: "Signed in", refresh: Some(to), ..page::Around::default() };
    let response = page.response(&place, Some(&session), StatusCode::OK, &body);
    Ok(([(header::SET_COOKIE, cookie)], response).into_response())
}

/// Signs out. What was still told to this session ends.
pub async fn end(State(front): State<Front>, posted: forms::Posted) -> Response {
    let session = &posted.visit.session;
    front.watchers().looks().end(&session.who.subject, &session.token);
    ([(header::SET_COOKIE, set_cookie("", front.site()))], Redirect::to("/sign-in?out=true")).into_response()
}

impl Place {
    /// The same page with what was done before, which a redirect tells.
    pub fn after(path: &str, done: Done) -> String {
        let sign = if path.contains('?') { '&' } else { '?' };
        format!("{path}{sign}done={}", done.code())
    }
}
