//! What is posted: only from this site, only by whoever is signed in, and done once however often the button is pressed.

use std::time::Duration;

use axum::{
    Form,
    extract::{FromRequest, FromRequestParts as _, Request},
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use recourse_api::{
    Front,
    once::{UNDER_WAY, sender_of},
    problem::Problem,
    requests::{GivenAnswer, RequestKey},
};
use recourse_client::hex;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    page::csrf,
    place::Mishap,
    session::{Session, Visit},
};

/// How often to look whether the same request, which is under way, has been answered; and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const LOOKS: usize = 50;

/// The fields of a form.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Fields with these names and values.
    pub fn new(fields: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(fields.into_iter().collect())
    }

    /// A field's text, without the space around it; nothing if there is no such field.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim()).unwrap_or_default()
    }

    /// Every value of a field, a line each: of what was ticked there may be several.
    pub fn lines(&self, name: &str) -> String {
        let values = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.trim());
        values.filter(|value| !value.is_empty()).collect::<Vec<_>>().join("\n")
    }

    fn fingerprint(&self, path: &str) -> String {
        let mut hash = Sha256::new();
        let texts = self.0.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        for text in texts.chain([path]) {
            hash.update(text.len().to_be_bytes());
            hash.update(text.as_bytes());
        }
        hex::encode(&hash.finalize())
    }
}

impl FromRequest<Front> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, front: &Front) -> Result<Self, Response> {
        match Form::<Vec<(String, String)>>::from_request(request, front).await {
            Ok(Form(fields)) => Ok(Self(fields)),
            Err(rejection) => Err(Mishap::from(unreadable(rejection.status(), &rejection.body_text())).into_response()),
        }
    }
}

fn unreadable(status: StatusCode, detail: &str) -> Problem {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return recourse_api::extract::too_large(recourse_api::extract::BODY_BYTES_MAX).hint("go back and write less");
    }
    Problem::unreadable(detail)
}

/// A form that somebody who is signed in has sent from a page of this site.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Who, and where to.
    pub visit: Visit,
    /// What.
    pub fields: Fields,
}

impl FromRequest<Front> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, front: &Front) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        check_origin(&parts.headers).map_err(|problem| Mishap::from(problem).into_response())?;
        let visit = Visit::from_request_parts(&mut parts, front).await?;
        let fields = Fields::from_request(Request::from_parts(parts, body), front).await?;
        check_csrf(&visit.session, &fields).map_err(|problem| Mishap::from(problem).into_response())?;
        Ok(Self { visit, fields })
    }
}

/// Refuses what a browser says is sent from another site. Not all browsers say so.
///
/// # Errors
/// A problem of status 403.
pub fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(foreign()),
    }
}

/// Refuses a form that was not made for this session.
///
/// # Errors
/// A problem of status 403.
pub fn check_csrf(session: &Session, fields: &Fields) -> Result<(), Problem> {
    if session.knows(fields.get("csrf")) { Ok(()) } else { Err(foreign()) }
}

fn foreign() -> Problem {
    Problem::forbidden("the form was not sent from a page of yours here; nothing was done")
        .hint("open the page again and send the form from there")
}

/// What every form carries without being seen: whose it is, and what makes a double click one.
pub fn hidden(session: &Session) -> Markup {
    html! {
        (csrf(session))
        input type="hidden" name="key" value=(Uuid::now_v7());
    }
}

impl Posted {
    /// The key of what is asked for.
    ///
    /// # Errors
    /// A problem of status 400 if the form has none.
    pub fn key(&self) -> Result<String, Problem> {
        let key = Uuid::parse_str(self.fields.get("key"));
        key.map(|key| key.to_string()).map_err(|_| Problem::unreadable("the form carries no key; open its page again"))
    }

    /// Does the work that the form asks for, unless it was done before, and says where to go then.
    ///
    /// It goes on if the browser does not wait for it: whoever clicks twice hears from the second click only.
    ///
    /// # Errors
    /// As the work. The same form may be sent again then.
    pub async fn once<W>(&self, front: &Front, work: W) -> Result<String, Problem>
    where
        W: Future<Output = Result<String, Problem>> + Send + 'static,
    {
        let key = RequestKey { sender: sender_of(self.visit.who()), key: format!("console:{}", self.key()?) };
        let fingerprint = self.fields.fingerprint(&self.visit.place.path);
        let mut looks = 0;
        let answered = loop {
            match front.begun(&key, &fingerprint).await {
                Err(problem) if problem.error == UNDER_WAY && looks < LOOKS => {
                    looks += 1;
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Err(problem) if problem.is_passing() => return Err(problem),
                Err(problem) => return Err(problem.hint("open the page again")),
                Ok(answered) => break answered,
            }
        };
        if let Some(answer) = answered {
            return Ok(answer.body);
        }
        let done = tokio::spawn(carry_out(front.clone(), key, work));
        done.await.map_err(|error| Problem::unexpected(&error))?
    }
}

async fn carry_out(
    front: Front,
    key: RequestKey,
    work: impl Future<Output = Result<String, Problem>>,
) -> Result<String, Problem> {
    let done = work.await;
    let answer = done.as_ref().ok().map(|to| GivenAnswer { status: 303, headers: "{}".to_owned(), body: to.clone() });
    front.finished(&key, answer.as_ref()).await;
    done
}
