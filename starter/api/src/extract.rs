//! Reads a request strictly: its sender, its path, its query and its body. If it cannot be read, the answer is a problem
//! document, as everywhere.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, header, request::Parts},
};
use recourse_client::hex;
use recourse_domain::text::shortened;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::{Front, identity::Identity, problem::Problem, strangers::Comes};

/// The largest body of a request that is not a file, in bytes: a command's limit, with some room for what surrounds it.
pub const BODY_BYTES_MAX: usize = 192 * 1024;

/// The longest idempotency key, in characters.
const KEY_CHARACTERS_MAX: usize = 200;

/// Who sends the request, by its bearer token.
#[derive(Debug, Clone)]
pub struct Caller(pub Identity);

impl FromRequestParts<Front> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, front: &Front) -> Result<Self, Problem> {
        let token = bearer(&parts.headers)?;
        let identity = front.tokens().read(token).await?;
        front.limits().let_in_known(&identity, &Comes::of(&parts.extensions))?;
        Ok(Self(identity))
    }
}

/// The token of a request.
///
/// # Errors
/// A problem of status 401 if it has none.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let value = headers
        .get(header::AUTHORIZATION)
        .ok_or_else(|| Problem::unauthenticated("the request has no `Authorization` header"))?;
    let text = value.to_str().ok().and_then(|text| text.split_once(' '));
    match text {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Problem::unauthenticated("the `Authorization` header is no bearer token")),
    }
}

/// The parts of the path.
#[derive(Debug, Clone)]
pub struct Of<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Front> for Of<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, front: &Front) -> Result<Self, Problem> {
        if has_zero_byte(parts.uri.path()) {
            return Err(Problem::not_found("nothing has a zero byte in its name"));
        }
        match Path::<T>::from_request_parts(parts, front).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::not_found(shortened(&rejection.body_text()))),
        }
    }
}

/// Whether there is a zero byte. `PostgreSQL` stores none in a text.
fn has_zero_byte(encoded: &str) -> bool {
    encoded.contains("%00")
}

/// The query.
#[derive(Debug, Clone)]
pub struct QueryParams<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Front> for QueryParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, front: &Front) -> Result<Self, Problem> {
        if parts.uri.query().is_some_and(has_zero_byte) {
            return Err(Problem::unreadable("the query has a zero byte in it"));
        }
        match Query::<T>::from_request_parts(parts, front).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::unreadable(shortened(&rejection.body_text()))),
        }
    }
}

/// A request that changes something: its sender, its key, and its body.
#[derive(Debug, Clone)]
pub struct Write {
    /// The sender.
    pub who: Identity,
    /// The sender's key for it.
    pub key: String,
    /// Stands for the whole content: the same key with another fingerprint is another request.
    pub fingerprint: String,
    body: Bytes,
}

impl Write {
    /// Reads the body as this type. It refuses unknown fields, because they are most likely misspelt.
    ///
    /// # Errors
    /// A problem of status 400 if it is not JSON, 422 with the field if it is not of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        json(&self.body)
    }

    /// The body as it arrived.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Reads a body as this type, strictly.
///
/// # Errors
/// As [`Write::json`].
pub fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let (value, unknown) = noting(body)?;
    match unknown.first() {
        None => Ok(value),
        Some(field) => Err(Problem::invalid(shortened(&format!("{field}: there is no such field here")))),
    }
}

/// Reads a body as this type, and lists the paths of its unknown fields.
///
/// # Errors
/// As [`Write::json`].
pub fn noting<T: DeserializeOwned>(body: &[u8]) -> Result<(T, Vec<String>), Problem> {
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let mut note = |path: serde_ignored::Path<'_>| unknown.push(path.to_string().replace(".?", ""));
    let read: Result<T, serde_json::Error> = T::deserialize(serde_ignored::Deserializer::new(
        serde_path_to_error::Deserializer::new(&mut reader, &mut track),
        &mut note,
    ));
    let value = read.and_then(|value| reader.end().map(|()| value)).map_err(|error| {
        let path = track.path().to_string();
        if error.is_syntax() || error.is_eof() {
            return Problem::unreadable(format!("the body is no JSON: {}", shortened(&error.to_string())));
        }
        let at = if path == "." { String::new() } else { format!("{path}: ") };
        Problem::invalid(shortened(&format!("{at}{error}")))
    })?;
    Ok((value, unknown))
}

impl FromRequest<Front> for Write {
    type Rejection = Problem;

    async fn from_request(request: Request, front: &Front) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let Caller(who) = Caller::from_request_parts(&mut parts, front).await?;
        let key = key_of(&parts.headers)?;
        check_json(&parts.headers)?;
        let body = limited(body, BODY_BYTES_MAX).await?;
        let mut hash = Sha256::new();
        for part in [parts.method.as_str().as_bytes(), parts.uri.to_string().as_bytes(), &body] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Ok(Self { who, key, fingerprint: hex::encode(&hash.finalize()), body })
    }
}

/// The `Idempotency-Key` of a request.
///
/// # Errors
/// A problem of status 400 if there is none, or if it is not usable.
pub fn key_of(headers: &HeaderMap) -> Result<String, Problem> {
    let refused = |detail: &str| {
        Problem::unreadable(detail.to_owned())
            .hint("send `Idempotency-Key` with a new random value, and the same value when you repeat the request")
    };
    let value = headers.get("idempotency-key").ok_or_else(|| refused("the header `Idempotency-Key` is missing"))?;
    let key = value.to_str().ok().map(str::trim).unwrap_or_default();
    let is_key = !key.is_empty() && key.len() <= KEY_CHARACTERS_MAX && key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_key { Ok(key.to_owned()) } else { Err(refused("an `Idempotency-Key` is 1 to 200 visible ASCII characters")) }
}

fn check_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let status = axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Err(Problem::new(status, "UnsupportedMediaType", "The body is of another type", "send `application/json`"))
}

/// Reads a body of at most this many bytes.
///
/// # Errors
/// A problem of status 413 for a larger one, 400 if it breaks off.
pub(super) async fn limited(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    to_bytes(body, bytes_max).await.map_err(|error| {
        if std::error::Error::source(&error)
            .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>)
        {
            too_large(bytes_max)
        } else {
            Problem::unreadable("the body broke off")
        }
    })
}

/// The problem of a body that is too large.
pub fn too_large(bytes_max: usize) -> Problem {
    let status = axum::http::StatusCode::PAYLOAD_TOO_LARGE;
    Problem::new(status, "TooLarge", "The body is too large", format!("at most {bytes_max} bytes are taken"))
}

#[cfg(test)]
mod tests {
    use recourse_domain::party::Contract;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only reading it is tested")]
    struct Told {
        amount: u32,
        contract: Option<Contract>,
    }

    #[test]
    fn bodies_are_read_strictly() {
        for (body, status, words) in [
            ("{\"amount\": 1}", 0, ""),
            ("{\"amount\": 1, \"amonut\": 2}", 422, "amonut: there is no such field"),
            ("{\"amount\": -1}", 422, "amount: "),
            ("{\"amount\": 1", 400, "no JSON"),
            ("{\"amount\": 1} x", 400, "no JSON"),
            ("", 400, "no JSON"),
            (
                r#"{"amount": 1, "contract": {"id": "c-1", "kind": "fixed_price", "currency": "USD", "client": {"id": "a", "nmae": 1},
                    "freelancer": {"id": "b"}}}"#,
                422,
                "client.nmae: there is no such field",
            ),
        ] {
            match (json::<Told>(body.as_bytes()), status) {
                (Ok(_), 0) => {}
                (Err(problem), status) => {
                    assert_eq!(problem.status, status, "{body}: {problem:?}");
                    assert!(problem.detail.contains(words), "{body}: {}", problem.detail);
                }
                (read, _) => panic!("{body}: {read:?}"),
            }
        }
    }

    #[test]
    fn idempotency_keys_are_required_and_checked() {
        let mut headers = HeaderMap::new();
        assert_eq!(key_of(&headers).unwrap_err().status, 400);
        for (key, good) in [("k-1", true), ("", false), ("a b", false), (&*"x".repeat(201), false)] {
            headers.insert("idempotency-key", key.parse().unwrap());
            assert_eq!(key_of(&headers).is_ok(), good, "{key}");
        }
    }
}
