//! Requests to Stripe's API, and what its answers mean. Nothing is guessed: only Stripe's own statement that it did
//! nothing counts as a decline.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, header, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};
use url::{Url, form_urlencoded};

use super::{super::Hidden, StripeError, StripeSettings};

/// The version of Stripe's API that this code uses, whatever the account's default is.
const API_VERSION: &str = "2024-06-20";

/// How long a request may take. An effect may take 10 s, and its failure should report the request without an answer.
const REQUEST_MAX: Duration = Duration::from_secs(8);

/// How much of that connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// What is known after a failed request.
#[derive(Debug)]
pub enum Trouble {
    /// Nobody knows whether Stripe did it.
    Unknown(StripeError),
    /// Stripe or the bank declined it, and why.
    Declined(String),
    /// The idempotency key was used with another request.
    KeyReused,
    /// Stripe cannot do it, and did nothing.
    Invalid(String),
}

/// Stripe's API, with the secret key.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    base: Url,
    key: Hidden,
}

/// A page of objects.
#[derive(Deserialize)]
pub struct Page<T> {
    /// The objects, newest first.
    pub data: Vec<T>,
    /// Whether there are more objects after the last.
    #[serde(default)]
    pub has_more: bool,
}

impl Http {
    /// # Errors
    /// If this machine cannot make encrypted connections.
    pub fn new(settings: &StripeSettings, timeout: Option<Duration>) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(concat!("recourse/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout.unwrap_or(REQUEST_MAX))
            .connect_timeout(CONNECT_MAX)
            // A redirect would send the secret key elsewhere.
            .redirect(Policy::none())
            .build()?;
        Ok(Self { client, base: settings.url.clone(), key: settings.key.clone() })
    }

    /// Reads an object.
    pub async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, Trouble> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.client.get(url)).await
    }

    /// Makes or changes an object, once for each `idempotency` key while Stripe remembers it.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        form: &[(&str, &str)],
        idempotency: Option<&str>,
    ) -> Result<T, Trouble> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = self.client.post(self.url(path)?).body(body);
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(key) = idempotency {
            request = request.header("Idempotency-Key", key);
        }
        self.send(request).await
    }

    fn url(&self, path: &[&str]) -> Result<Url, Trouble> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Trouble::Unknown(StripeError::Unreadable { status: 0, request: String::new() }))?
            .pop_if_empty()
            .push("v1")
            .extend(path);
        Ok(url)
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Trouble> {
        let sent = request.bearer_auth(self.key.reveal()).header("Stripe-Version", API_VERSION).send().await;
        let answer = sent.map_err(|error| Trouble::Unknown(StripeError::NoAnswer(error)))?;
        let status = answer.status();
        // Stripe's support asks for this id.
        let id = answer.headers().get("request-id").and_then(|id| id.to_str().ok()).unwrap_or("none").to_owned();
        let body = answer.bytes().await.map_err(|error| Trouble::Unknown(StripeError::NoAnswer(error)))?;
        if !status.is_success() {
            return Err(judge(status, &body, id));
        }
        serde_json::from_slice(&body)
            .map_err(|_| Trouble::Unknown(StripeError::Unreadable { status: status.as_u16(), request: id }))
    }
}

#[derive(Deserialize)]
struct Problem {
    error: Said,
}

#[derive(Deserialize)]
struct Said {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

/// What an error answer means.
fn judge(status: StatusCode, body: &[u8], request: String) -> Trouble {
    let Ok(Problem { error }) = serde_json::from_slice(body) else {
        // Most likely, something between us and Stripe answered.
        return Trouble::Unknown(StripeError::Unreadable { status: status.as_u16(), request });
    };
    let code = error.code.unwrap_or_default();
    // The message leaves out a decline's code: Stripe says that a customer must not learn why a bank suspects them.
    let message = error.message.unwrap_or_else(|| "Stripe gave no reason".to_owned());
    let unsure = match status {
        // The secret key is wrong or may not do this; an operator can correct that. Or the same idempotency key is in
        // use now, the object is locked, or there are too many requests.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => true,
        _ => status.is_server_error() || ["idempotency_key_in_use", "lock_timeout"].contains(&code.as_str()),
    };
    match error.kind.as_str() {
        _ if unsure => Trouble::Unknown(StripeError::Refused { status: status.as_u16(), message, request }),
        "idempotency_error" => Trouble::KeyReused,
        "card_error" => Trouble::Declined(message),
        _ if status == StatusCode::PAYMENT_REQUIRED => Trouble::Declined(message),
        "invalid_request_error" => Trouble::Invalid(message),
        _ => Trouble::Unknown(StripeError::Refused { status: status.as_u16(), message, request }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_stripes_own_refusal_is_final() {
        for (status, kind, code, meaning) in [
            (402, "card_error", "card_declined", "declined"),
            (402, "invalid_request_error", "card_declined", "declined"),
            (400, "card_error", "expired_card", "declined"),
            (400, "invalid_request_error", "amount_too_small", "invalid"),
            (404, "invalid_request_error", "resource_missing", "invalid"),
            (400, "idempotency_error", "", "reused"),
            (409, "idempotency_error", "idempotency_key_in_use", "unknown"),
            (400, "idempotency_error", "idempotency_key_in_use", "unknown"),
            (400, "invalid_request_error", "lock_timeout", "unknown"),
            (429, "rate_limit_error", "rate_limit", "unknown"),
            (429, "card_error", "lock_timeout", "unknown"),
            (401, "invalid_request_error", "api_key_expired", "unknown"),
            (403, "invalid_request_error", "", "unknown"),
            (500, "api_error", "", "unknown"),
            (503, "card_error", "card_declined", "unknown"),
            (400, "new_kind_of_error", "", "unknown"),
        ] {
            let body = json!({"error": {"type": kind, "code": code, "message": "why"}}).to_string();
            let found = match judge(StatusCode::from_u16(status).unwrap(), body.as_bytes(), "req_1".to_owned()) {
                Trouble::Declined(reason) if reason == "why" => "declined",
                Trouble::Invalid(reason) if reason == "why" => "invalid",
                Trouble::KeyReused => "reused",
                Trouble::Unknown(StripeError::Refused { request, .. }) if request == "req_1" => "unknown",
                other => panic!("{status} {kind}: {other:?}"),
            };
            assert_eq!(found, meaning, "{status} {kind} {code}");
        }
        for body in ["", "<html>", "{}", r#"{"error": "card_error"}"#] {
            let found = judge(StatusCode::PAYMENT_REQUIRED, body.as_bytes(), String::new());
            assert!(
                matches!(found, Trouble::Unknown(StripeError::Unreadable { status: 402, .. })),
                "{body}: {found:?}"
            );
        }
    }
}
