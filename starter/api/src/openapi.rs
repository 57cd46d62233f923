//! What the operations say about themselves in the API's description: parameters, problems, schemas.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse as _,
};
use recourse_client::hex;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use utoipa::openapi::{
    Content, Ref, RefOr,
    response::{Response, ResponseBuilder},
};

use super::{lists::Page, problem::Problem};

/// A contract's part of a path.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "only described: a handler reads its path's parts by itself")]
pub struct InContract {
    /// The contract's id.
    contract: String,
}

/// A case's part of a path.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "only described")]
pub struct InCase {
    /// The case's id, with `/` and `#` percent-encoded.
    case: String,
}

/// An endpoint's part of a path.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "only described")]
pub struct InEndpoint {
    /// The endpoint's id.
    endpoint: String,
}

/// A refund's part of a path.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "only described")]
pub struct InRefund {
    /// The refund: its posting's id, with `/` and `#` percent-encoded.
    refund: String,
}

/// The header of every request that changes something.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "only described")]
pub struct Keyed {
    /// A new random value for every new request.
    #[param(rename = "Idempotency-Key")]
    key: String,
}

/// The problems that every operation may answer with.
pub fn problem_responses() -> BTreeMap<String, RefOr<Response>> {
    let problem = |description: &str| {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        RefOr::T(ResponseBuilder::new().description(description).content("application/problem+json", content).build())
    };
    [
        ("400", "It cannot be read."),
        ("401", "Who you are is not known."),
        ("403", "You may not do this, or not now."),
        ("404", "There is no such thing of yours."),
        ("409", "It came too late, was answered before, or is under way."),
        ("413", "It is too large."),
        ("415", "It is of another type."),
        ("422", "A field cannot be used, or breaks a rule."),
        ("429", "Too many requests."),
        ("503", "A part of the service is away. Nothing is lost."),
    ]
    .into_iter()
    .map(|(status, description)| (status.to_owned(), problem(description)))
    .collect()
}

/// The schemas to which the operations refer. A type's name is its schema's name; pages have names of their own.
#[derive(Debug)]
pub struct Schemas {
    generator: SchemaGenerator,
    pages: Map<String, Value>,
}

impl Schemas {
    /// No schemas yet.
    pub fn new(generator: SchemaGenerator) -> Self {
        Self { generator, pages: Map::new() }
    }

    /// The result: the generator, and the pages by their names.
    pub fn into_parts(self) -> (SchemaGenerator, Map<String, Value>) {
        (self.generator, self.pages)
    }

    /// Adds a type that an operation takes or gives.
    pub fn add<T: JsonSchema>(&mut self) {
        self.generator.subschema_for::<T>();
    }

    /// Adds a page of a list, under its name.
    pub fn page<T: JsonSchema>(&mut self, name: &str) {
        self.pages.insert(name.to_owned(), self.generator.subschema_for::<Page<T>>().to_value());
    }
}

/// The description as the server sends it. It is made once. A tag shows whether it is still the same.
#[derive(Debug)]
pub struct Served {
    json: Bytes,
    tag: String,
}

impl Served {
    /// Prepares a description.
    pub fn new(description: &Value) -> Self {
        let json = Bytes::from(description.to_string());
        let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&json)));
        Self { json, tag }
    }

    /// The answer to a request with these headers: empty if the sender already has the description.
    pub fn answer(&self, headers: &HeaderMap) -> axum::response::Response {
        let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let mut known = known.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
        let told = [(header::ETAG, self.tag.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
        if known.any(|tag| tag == self.tag || tag == "*") {
            return (StatusCode::NOT_MODIFIED, told).into_response();
        }
        (told, [(header::CONTENT_TYPE, "application/json")], self.json.clone()).into_response()
    }
}

/// The problem of a path that does not exist.
pub fn no_such_path() -> Problem {
    Problem::not_found("there is nothing at this path").hint("see /openapi.json")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn clients_with_the_present_description_get_no_body() {
        let served = Served::new(&json!({"openapi": "3.1.0"}));
        let answer = |known: Option<&str>| {
            let mut headers = HeaderMap::new();
            known.map(|known| headers.insert(header::IF_NONE_MATCH, known.parse().unwrap()));
            served.answer(&headers)
        };
        let first = answer(None);
        assert_eq!(first.status(), 200);
        let tag = first.headers()[header::ETAG].to_str().unwrap();
        for (known, status) in
            [(tag.to_owned(), 304), (format!("\"x\", W/{tag}"), 304), ("*".to_owned(), 304), ("\"x\"".to_owned(), 200)]
        {
            assert_eq!(answer(Some(&known)).status(), status, "{known}");
        }
    }
}
