//! Posted forms: only from this site, only from a signed-in person, and carried out once however often they press the button.

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

/// How often to check for the answer if the same request is under way; and how many times.
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

    /// A field's text, without the space around it; empty if there is no such field.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim()).unwrap_or_default()
    }

    /// Every value of a field, one per line. Ticked boxes may give several.
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

/// A form that a signed-in person has sent from a page of this site.
#[derive(Debug, Clone)]
pub struct Posted {
    /// The sender, and the path.
    pub visit: Visit,
    /// The fields.
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

/// Refuses a request if the browser says that it comes from another site. Not all browsers say so.
///
/// # Errors
/// A problem of status 403.
pub fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(foreign()),
    }
}

/// Refuses a form that belongs to another session.
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

/// The hidden fields of every form: its session, and the key that makes a double click one request.
pub fn hidden(session: &Session) -> Markup {
    html! {
        (csrf(session))
        input type="hidden" name="key" value=(Uuid::now_v7());
    }
}

impl Posted {
    /// The key of the request.
    ///
    /// # Errors
    /// A problem of status 400 if the form has none.
    pub fn key(&self) -> Result<String, Problem> {
        let key = Uuid::parse_str(self.fields.get("key"));
        key.map(|key| key.to_string()).map_err(|_| Problem::unreadable("the form carries no key; open its page again"))
    }

    /// Does the form's work, unless it was done before, and returns where to go then.
    ///
    /// The work continues if the browser does not wait for it: after a double click the browser gets the answer to the second
    /// click only.
    ///
    /// # Errors
    /// The errors of the work. The sender may then send the same form again.
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
