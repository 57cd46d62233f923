//! Recourse carries out a request with an idempotency key once. The same request again gets the same answer, also from another
//! process and after a restart.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::future::{self, Either};
use jiff::Timestamp;
use recourse_client::hex;
use recourse_domain::ids::Id;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{
    Front,
    extract::Write,
    identity::Identity,
    problem::Problem,
    requests::{GivenAnswer, RequestKey, RequestState},
};

/// The name of the problem that the same request is under way.
pub const UNDER_WAY: &str = "UnderWay";

/// To whom a request's key belongs: to the sender, with their present duties and parties. If they had more of these before,
/// they do not get the old answer: Recourse judges the same request anew, with their present ones. It is harmless to repeat the
/// work (L2, L7).
pub fn sender_of(who: &Identity) -> String {
    let subject = who.subject.as_str();
    if who.duties.is_empty() && who.parties.iter().all(|party| *party == who.subject) {
        return subject.to_owned();
    }
    let duties = who.duties.iter().map(|duty| duty.name());
    let mut hash = Sha256::new();
    for name in duties.chain(["/"]).chain(who.parties.iter().map(Id::as_str)) {
        hash.update(name);
        hash.update(" ");
    }
    // Ids have no spaces.
    format!("{subject} {}", hex::encode(&hash.finalize()))
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    status: StatusCode,
    location: Option<String>,
    body: Value,
    /// What Recourse keeps instead, if it may give the answer only once.
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

    /// With the place to look.
    #[must_use]
    pub fn at(self, location: impl Into<String>) -> Self {
        Self { location: Some(location.into()), ..self }
    }

    /// With a value that Recourse keeps, and answers to the same request again, instead of a body that holds a secret.
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

impl Front {
    /// Notes a request with a key, and returns the answer if there is one already. Without an answer the caller must do the
    /// work, and then call [`finished`](Self::finished).
    ///
    /// # Errors
    /// A problem named [`UNDER_WAY`] if the same request is under way, 422 if the key had another request.
    pub async fn begun(&self, key: &RequestKey, fingerprint: &str) -> Result<Option<GivenAnswer>, Problem> {
        match self.requests().begin(key, fingerprint, Timestamp::now()).await? {
            RequestState::New => Ok(None),
            RequestState::Answered(answer) => Ok(Some(answer)),
            RequestState::UnderWay => {
                let detail = "the same request is under way";
                let problem = Problem::new(StatusCode::CONFLICT, UNDER_WAY, "This is being done", detail);
                Err(Problem { retry_after: Some(1), ..problem })
            }
            RequestState::Other => {
                let detail = "something else was sent before under the same key; nothing was done now";
                Err(Problem::invalid(detail).hint("use a new key for every new request"))
            }
        }
    }

    /// Keeps the answer to a request. Without an answer, the sender may repeat the request.
    pub async fn finished(&self, key: &RequestKey, answer: Option<&GivenAnswer>) {
        let kept = match answer {
            Some(answer) => self.requests().answered(key, answer).await,
            None => self.requests().abandoned(key).await,
        };
        // The work is harmless if it happens twice, so the sender gets the answer all the same.
        if let Err(error) = kept {
            tracing::warn!(%error, "what became of a request is not kept; it can be sent again in a minute");
        }
    }
}

/// A request under way. If its sender disconnects, the work stops with the connection. The sender may then repeat the request
/// at once: Recourse recognises the work that is already done.
struct BeingDone {
    front: Front,
    key: Option<RequestKey>,
}

impl BeingDone {
    async fn finished(mut self, answer: Option<&GivenAnswer>) {
        if let Some(key) = &self.key {
            self.front.finished(key, answer).await;
        }
        self.key = None;
    }
}

impl Drop for BeingDone {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        let front = self.front.clone();
        tokio::spawn(async move { front.finished(&key, None).await });
    }
}

impl Write {
    /// Does the request's work, unless it was done before.
    pub async fn once(&self, front: &Front, work: impl Future<Output = Result<Reply, Problem>>) -> Response {
        self.once_after(front, future::ready(()), |()| work).await
    }

    /// The same, but reads what the work needs to know while it notes the request. Reading must change nothing.
    pub async fn once_after<Read, Work>(
        &self,
        front: &Front,
        read: impl Future<Output = Read>,
        work: impl FnOnce(Read) -> Work,
    ) -> Response
    where
        Work: Future<Output = Result<Reply, Problem>>,
    {
        let key = RequestKey { sender: sender_of(&self.who), key: self.key.clone() };
        let begun = std::pin::pin!(front.begun(&key, &self.fingerprint));
        let read = std::pin::pin!(read);
        let (begun, read) = match future::select(begun, read).await {
            Either::Left((begun, read)) => (begun, Either::Left(read)),
            Either::Right((read, begun)) => (begun.await, Either::Right(future::ready(read))),
        };
        // A request that has an answer gets it again, whatever can be read now.
        match begun {
            Ok(None) => {}
            Ok(Some(answer)) => return respond(&answer, true),
            Err(problem) => return problem.into_response(),
        }
        let being_done = BeingDone { front: front.clone(), key: Some(key.clone()) };
        match work(read.await).await {
            Ok(reply) => {
                let given = reply.given();
                let kept = reply.kept.as_ref().map_or_else(|| given.body.clone(), Value::to_string);
                being_done.finished(Some(&GivenAnswer { body: kept, ..given.clone() })).await;
                respond(&given, false)
            }
            Err(problem) => {
                // Keeps nothing if nothing was done: the sender may repeat the request.
                let kept = (!problem.is_passing() && !problem.did_nothing()).then(|| GivenAnswer {
                    status: problem.status,
                    headers: r#"{"content-type":"application/problem+json"}"#.to_owned(),
                    body: serde_json::to_string(&problem).unwrap_or_default(),
                });
                being_done.finished(kept.as_ref()).await;
                problem.into_response()
            }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::identity::Duty;

    fn who(duties: &[Duty], parties: &[&str]) -> Identity {
        let subject = Id::new("u-1").unwrap();
        let parties = parties.iter().map(|party| Id::new(party).unwrap()).chain([subject.clone()]).collect();
        Identity { subject, parties, duties: duties.iter().copied().collect() }
    }

    /// The same sender with the same duties and parties gets an earlier answer again. Nobody else gets it.
    #[test]
    fn idempotency_keys_belong_to_a_sender_with_their_duties() {
        let all = [
            who(&[], &[]),
            who(&[Duty::Service], &[]),
            who(&[Duty::Operator], &[]),
            who(&[Duty::Service, Duty::Operator], &[]),
            who(&[], &["ag-1"]),
            who(&[], &["ag-1", "ag-2"]),
            who(&[], &["service"]),
        ];
        let senders: BTreeSet<String> = all.iter().map(sender_of).collect();
        assert_eq!(senders.len(), all.len(), "{senders:?}");
        assert_eq!(sender_of(&who(&[], &[])), "u-1");
        assert_eq!(sender_of(&who(&[Duty::Service], &[])), sender_of(&who(&[Duty::Service], &[])));
    }

    /// Recourse keeps no answer to a rejected request; it keeps the answers that a case or a rule decided.
    #[test]
    fn only_decided_answers_are_kept() {
        let decided = |problem: Problem| Problem { is_decided: true, ..problem };
        let by_rule = |problem: Problem| Problem { rule: Some("E3".to_owned()), ..problem };
        for (problem, nothing) in [
            (Problem::not_found("x"), true),
            (Problem::unreadable("x"), true),
            (Problem::invalid("x"), true),
            (Problem::forbidden("x"), true),
            (by_rule(Problem::invalid("x")), false),
            (decided(Problem::invalid("x")), false),
            (decided(Problem::forbidden("x")), false),
            (Problem::new(StatusCode::CONFLICT, "TooLate", "x", "x"), false),
            (Problem::new(StatusCode::PAYMENT_REQUIRED, "Declined", "x", "x"), false),
        ] {
            assert_eq!(problem.did_nothing(), nothing, "{problem:?}");
        }
    }
}
