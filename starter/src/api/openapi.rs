//! The description of the API (`OpenAPI` 3.1). Paths come from the handlers, schemas from the wire contract's own types.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse as _,
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use utoipa::openapi::{
    Content, Info, License, OpenApi, OpenApiBuilder, Ref, RefOr,
    response::{Response, ResponseBuilder},
    security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};

use super::{cases, commands, contracts, evidence, lists::Page, problem::Problem, reading, refunds, stripe, webhooks};
use crate::hex;

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

/// What every request that changes something is sent with.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "only described")]
pub struct Keyed {
    /// A new random value for every new request.
    #[param(rename = "Idempotency-Key")]
    key: String,
}

/// What the description says of the API as a whole.
pub fn base() -> OpenApi {
    let mut info = Info::new("Recourse", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Escrow refunds and disputes of fixed-price contracts. Amounts are integers in minor units, times are RFC 3339 in \
         UTC. Every request that changes something takes an `Idempotency-Key`: the same request under the same key is done \
         once and answered the same. What cannot be done is answered with a problem document (RFC 9457)."
            .to_owned(),
    );
    info.license = Some(License::new(env!("CARGO_PKG_LICENSE")));
    OpenApiBuilder::new()
        .info(info)
        .security(Some([SecurityRequirement::new::<_, [String; 0], String>("bearer", [])]))
        .build()
}

/// The problems that every operation may be answered with.
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

/// The whole description as JSON, with the schemas that the paths refer to.
pub fn document(mut api: OpenApi) -> Value {
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = api.components.get_or_insert_default();
    components.add_security_scheme("bearer", scheme);
    let mut document = serde_json::to_value(api).unwrap_or_default();
    let mut settings = SchemaSettings::draft2020_12();
    "/components/schemas".clone_into(settings.definitions_path.to_mut());
    settings.meta_schema = None;
    let mut schemas = Schemas(settings.into_generator(), Map::new());
    schemas.add::<Problem>();
    for of_module in [
        contracts::schemas,
        cases::schemas,
        evidence::schemas,
        refunds::schemas,
        webhooks::schemas,
        stripe::schemas,
        reading::schemas,
    ] {
        of_module(&mut schemas);
    }
    let Schemas(mut schemas, pages) = schemas;
    for (name, page) in pages {
        document["components"]["schemas"][name] = page;
    }
    document["components"]["schemas"]["FileContent"] = json!({"type": "string", "format": "binary"});
    commands::describe(&mut document, &mut schemas);
    for (name, schema) in schemas.take_definitions(true) {
        document["components"]["schemas"][name] = schema;
    }
    document
}

/// The schemas that the operations refer to, each named by its type; pages have names of their own.
#[derive(Debug)]
pub struct Schemas(SchemaGenerator, Map<String, Value>);

impl Schemas {
    /// A type that an operation takes or gives.
    pub fn add<T: JsonSchema>(&mut self) {
        self.0.subschema_for::<T>();
    }

    /// A page of a list, under its name.
    pub fn page<T: JsonSchema>(&mut self, name: &str) {
        self.1.insert(name.to_owned(), self.0.subschema_for::<Page<T>>().to_value());
    }
}

/// The description as it is served: made once, and told by a tag whether it is still the same.
#[derive(Debug)]
pub struct Served {
    json: Bytes,
    tag: String,
}

impl Served {
    /// A description to be served.
    pub fn new(description: &Value) -> Self {
        let json = Bytes::from(description.to_string());
        let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&json)));
        Self { json, tag }
    }

    /// The answer to a request with these headers: nothing to read for whoever has it.
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

/// The problem of a path that is not there.
pub fn no_such_path() -> Problem {
    Problem::not_found("there is nothing at this path").hint("see /openapi.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_description_reads_nothing() {
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
