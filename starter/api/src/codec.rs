//! The codec server: shows operators, in the Web UI and in the `temporal` program, the payloads that are encrypted on the
//! server.
//!
//! It speaks the protocol of Temporal's remote codecs: `POST /decode` and `POST /encode` with payloads as JSON. The sender
//! needs an operator's duty, with the same tokens as for the API. A page of another origin than the Web UI's gets nothing. The
//! codec server keeps nothing, and reaches neither the Temporal server nor the ledger.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequestParts, Request, State, rejection::JsonRejection},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use recourse_programs::temporal::{PayloadCipher, PayloadKeys, codec::CodecError};
use serde::{Deserialize, Serialize};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use tower_http::{
    cors::{AllowOrigin, CorsLayer},
    timeout::TimeoutLayer,
};

use super::{
    extract::bearer,
    identity::{Duty, Tokens},
    limits::Limits,
    problem::Problem,
    strangers::{self, Comes},
};

/// The largest request: a page of the Web UI sends all payloads of many events at once.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a browser may remember that it may ask.
const ALLOWED_FOR: Duration = Duration::from_mins(10);

#[derive(Debug, Clone)]
struct Codec {
    cipher: PayloadCipher,
    tokens: Tokens,
    limits: Limits,
}

/// Payloads in the protocol's form.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Payloads {
    #[serde(default)]
    payloads: Vec<Written>,
}

/// A payload with its bytes in base64.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    data: String,
}

impl Written {
    fn read(self) -> Result<Payload, Problem> {
        let bytes = |text: &str| {
            BASE64_STANDARD.decode(text).map_err(|_| Problem::unreadable("metadata and data are bytes in base64"))
        };
        let metadata = self.metadata.iter().map(|(name, text)| Ok((name.clone(), bytes(text)?)));
        Ok(Payload {
            metadata: metadata.collect::<Result<_, Problem>>()?,
            data: bytes(&self.data)?,
            ..Payload::default()
        })
    }

    fn of(payload: &Payload) -> Self {
        let metadata = payload.metadata.iter().map(|(name, bytes)| (name.clone(), BASE64_STANDARD.encode(bytes)));
        Self { metadata: metadata.collect(), data: BASE64_STANDARD.encode(&payload.data) }
    }
}

impl FromRequestParts<Arc<Codec>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, codec: &Arc<Codec>) -> Result<Self, Problem> {
        let identity = codec.tokens.read(bearer(&parts.headers)?).await?;
        codec.limits.let_in_known(&identity, &Comes::of(&parts.extensions))?;
        if identity.is(Duty::Operator) {
            Ok(Self)
        } else {
            Err(Problem::forbidden("what cases say is shown to operators only"))
        }
    }
}

/// A person who may see what payloads hold.
struct Operator;

/// The routes, for pages of these origins, with these keys, tokens and limits.
pub fn router(keys: PayloadKeys, tokens: Tokens, origins: Vec<HeaderValue>, limits: Limits) -> Router {
    let codec = Arc::new(Codec { cipher: PayloadCipher::new(keys), tokens, limits: limits.clone() });
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION, HeaderName::from_static("x-namespace")])
        .allow_credentials(true)
        .max_age(ALLOWED_FOR);
    Router::new()
        .route("/decode", post(decode))
        .route("/encode", post(encode))
        .route("/health/live", get(async || "alive\n"))
        .fallback(async || Problem::not_found("there are /decode and /encode"))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(codec)
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(middleware::from_fn_with_state(limits, strangers::counted))
        .layer(middleware::from_fn(unkept))
        .layer(cors)
}

/// Nothing on the way may store decrypted payloads.
async fn unkept(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn decode(State(codec): State<Arc<Codec>>, _: Operator, body: Result<Json<Payloads>, JsonRejection>) -> Response {
    each(body, |payload| codec.cipher.open(payload))
}

async fn encode(State(codec): State<Arc<Codec>>, _: Operator, body: Result<Json<Payloads>, JsonRejection>) -> Response {
    each(body, |payload| codec.cipher.seal(&payload))
}

fn each(
    body: Result<Json<Payloads>, JsonRejection>,
    change: impl Fn(Payload) -> Result<Payload, CodecError>,
) -> Response {
    let Json(Payloads { payloads }) = match body {
        Ok(body) => body,
        Err(rejection) => {
            return Problem::new(
                rejection.status(),
                "Unreadable",
                "The payloads cannot be read",
                rejection.body_text(),
            )
            .into_response();
        }
    };
    let changed = payloads.into_iter().map(|payload| {
        let payload = change(payload.read()?).map_err(|error| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "UnknownKey", "It cannot be read here", error.to_string())
                .hint("add the key to the file of payload keys, and start this server again")
        })?;
        Ok(Written::of(&payload))
    });
    match changed.collect::<Result<Vec<_>, Problem>>() {
        Ok(payloads) => Json(Payloads { payloads }).into_response(),
        Err(problem) => problem.into_response(),
    }
}
