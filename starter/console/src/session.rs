//! The visitor: the session is in the cookie, which holds the same token that the API takes. Also where to go without a
//! session.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use recourse_api::{
    Front,
    identity::{Duty, Identity},
    personas::Persona,
    problem::Problem,
    site::Site,
};
use recourse_client::hex;
use sha2::{Digest as _, Sha256};

use super::{
    place::{Mishap, Place},
    query,
};

/// A signed-in person.
#[derive(Debug, Clone)]
pub struct Session {
    /// The person.
    pub who: Identity,
    token: String,
}

/// The sender of a request.
#[derive(Debug, Clone)]
pub enum Visitor {
    /// Not signed in.
    Nobody,
    /// Signed in before, but the token is no longer valid.
    Expired,
    /// Signed in.
    Someone(Session),
    /// Nobody can tell now, or they send too many requests.
    Unknown(Problem),
}

/// A signed-in person on a page.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Their session.
    pub session: Session,
    /// Their page.
    pub place: Place,
}

impl Session {
    /// A session of the person with this token.
    pub const fn new(who: Identity, token: String) -> Self {
        Self { who, token }
    }

    /// The hidden value of every form, so that no other site can post one: it cannot be computed without the token.
    pub fn csrf(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"csrf");
        hash.update(self.token.as_bytes());
        hex::encode(&hash.finalize())
    }

    /// Whether this is the hidden value of its forms.
    pub fn knows(&self, csrf: &str) -> bool {
        verify_slices_are_equal(self.csrf().as_bytes(), csrf.as_bytes()).is_ok()
    }

    /// The token, for code that reads it again.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The person's name: a persona's name, or their id.
    pub fn name(&self, sandbox: bool) -> &str {
        let id = self.who.subject.as_str();
        Persona::find(id).filter(|_| sandbox).map_or(id, |persona| persona.name)
    }
}

impl Visit {
    /// The person.
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
            Redirect::to(&format!("/sign-in?to={}{why}", query::in_query(back))).into_response()
        };
        match visitor {
            Visitor::Someone(session) => Ok(Self { session, place }),
            Visitor::Nobody => Err(to_sign_in(false)),
            Visitor::Expired => Err(to_sign_in(true)),
            Visitor::Unknown(problem) => Err(Mishap::from(problem).into_response()),
        }
    }
}

/// The value of a cookie, if the browser sent it.
pub fn cookie(headers: &HeaderMap, called: &str) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(name, value)| *name == called && !value.is_empty()).map(|(_, value)| value.to_owned())
}

/// The cookie for a token. An empty one deletes the session. Browsers hide it from scripts, and send it only with requests that
/// this site itself makes to this site.
pub fn set_cookie(token: &str, site: &Site) -> String {
    let name = site.cookie();
    let secure = if site.is_secure() { "; Secure" } else { "" };
    let gone = if token.is_empty() { "; Max-Age=0" } else { "" };
    format!("{name}={token}; HttpOnly; SameSite=Strict; Path=/{secure}{gone}")
}

/// A path of this site, or the first page: a link to the sign-in must not lead to another site.
pub fn local_path(to: &str) -> &str {
    let is_path = to.starts_with('/') && !to.starts_with("//");
    let is_plain = to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path && is_plain && !to.starts_with("/session") { to } else { "/" }
}

/// Refuses everybody except operators.
///
/// # Errors
/// A problem of status 403.
pub fn only_operators(visit: &Visit) -> Result<(), Problem> {
    if visit.who().is(Duty::Operator) { Ok(()) } else { Err(Problem::forbidden("this page is for operators")) }
}
