//! A request under an idempotency key is carried out once; the same request again gets the same answer, also from another
//! process and after a restart.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use recourse_activities::requests::{Begun, GivenAnswer, RequestKey};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Front, extract::Write, problem::Problem};

/// What a request was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    status: StatusCode,
    location: Option<String>,
    body: Value,
    /// What is kept in its place, if it may be said only once.
    kept: Option<Value>,
}

impl Reply {
    /// An answer with a JSON body.
    ///
    /// # Errors
    /// If the body cannot be written as JSON.
    pub fn new(status: StatusCode, body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_value(body).map_err(|error| Problem::unexpected(&error))?;
        Ok(Self { status, location: None, body, kept: None })
    }

    /// With where to look.
    #[must_use]
    pub fn at(self, location: impl Into<String>) -> Self {
        Self { location: Some(location.into()), ..self }
    }

    /// With what is kept, and answered to the same request again, in place of a body that holds a secret.
    #[must_use]
    pub fn kept_as(self, kept: Value) -> Self {
        Self { kept: Some(kept), ..self }
    }

    fn given(&self) -> GivenAnswer {
        let mut headers = Map::new();
        if let Some(location) = &self.location {
            headers.insert("location".to_owned(), Value::String(location.clone()));
        }
        GivenAnswer {
            status: self.status.as_u16(),
            headers: Value::Object(headers).to_string(),
            body: self.body.to_string(),
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        respond(&self.given(), false)
    }
}

impl Write {
    /// Does the request's work, unless it was done before.
    pub async fn once(&self, front: &Front, work: impl Future<Output = Result<Reply, Problem>>) -> Response {
        let key = RequestKey { sender: self.who.subject.to_string(), key: self.key.clone() };
        match front.requests().begin(&key, &self.fingerprint, Timestamp::now()).await {
            Ok(Begun::New) => {}
            Ok(Begun::Answered(answer)) => return respond(&answer, true),
            Ok(Begun::UnderWay) => {
                let detail = "the same request is under way";
                let problem = Problem::new(StatusCode::CONFLICT, "UnderWay", "This is being done", detail);
                return Problem { retry_after: Some(1), ..problem }.into_response();
            }
            Ok(Begun::Other) => {
                let problem = Problem::invalid("another request was sent under this `Idempotency-Key`");
                return problem.hint("use a new key for every new request").into_response();
            }
            Err(error) => return Problem::from(error).into_response(),
        }
        match work.await {
            Ok(reply) => {
                let given = reply.given();
                let kept = reply.kept.as_ref().map_or_else(|| given.body.clone(), Value::to_string);
                self.keep(front, &key, &GivenAnswer { body: kept, ..given.clone() }).await;
                respond(&given, false)
            }
            Err(problem) => {
                // What may be answered otherwise in a moment is not kept: the same request may be sent again.
                if problem.is_passing() {
                    if let Err(error) = front.requests().abandoned(&key).await {
                        tracing::warn!(%error, "a request that failed can be sent again in a minute only");
                    }
                } else {
                    let body = serde_json::to_string(&problem).unwrap_or_default();
                    let headers = r#"{"content-type":"application/problem+json"}"#.to_owned();
                    self.keep(front, &key, &GivenAnswer { status: problem.status, headers, body }).await;
                }
                problem.into_response()
            }
        }
    }

    async fn keep(&self, front: &Front, key: &RequestKey, answer: &GivenAnswer) {
        // The work is done and harmless twice, so its answer is given all the same.
        if let Err(error) = front.requests().answered(key, answer).await {
            tracing::warn!(%error, "an answer is not kept");
        }
    }
}

fn respond(answer: &GivenAnswer, again: bool) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body.clone()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let kept: Map<String, Value> = serde_json::from_str(&answer.headers).unwrap_or_default();
    for (name, value) in kept {
        let name = header::HeaderName::try_from(name);
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
        if let (Ok(name), Some(value)) = (name, value) {
            headers.insert(name, value);
        }
    }
    if again {
        headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}
