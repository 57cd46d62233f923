//! The description of the API (`OpenAPI` 3.1). Paths come from the handlers, schemas from the wire contract's own types.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};
use utoipa::openapi::{
    Info, License, OpenApi, OpenApiBuilder,
    security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};
use utoipa_axum::router::OpenApiRouter;

use super::{
    Front, cases, commands, contracts, evidence,
    openapi::{Schemas, Served},
    problem::Problem,
    reading, refunds, stripe, webhooks,
};

/// The API with its description.
pub fn described() -> OpenApiRouter<Front> {
    OpenApiRouter::with_openapi(base())
        .merge(contracts::routes())
        .merge(cases::routes())
        .merge(evidence::routes())
        .merge(refunds::routes())
        .merge(webhooks::routes())
        .merge(stripe::routes())
        .merge(reading::routes())
}

/// The description of the API.
pub fn description() -> Value {
    document(described().merge(evidence::uploads()).into_openapi())
}

/// The description, made once. It is the same for everybody, and anybody may ask for it.
pub static DESCRIPTION: LazyLock<Served> = LazyLock::new(|| Served::new(&description()));

/// What the description says about the API as a whole.
fn base() -> OpenApi {
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

/// The whole description as JSON, with the schemas that the paths refer to.
fn document(mut api: OpenApi) -> Value {
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = api.components.get_or_insert_default();
    components.add_security_scheme("bearer", scheme);
    let mut document = serde_json::to_value(api).unwrap_or_default();
    let mut settings = SchemaSettings::draft2020_12();
    "/components/schemas".clone_into(settings.definitions_path.to_mut());
    settings.meta_schema = None;
    let mut schemas = Schemas::new(settings.into_generator());
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
    let (mut schemas, pages) = schemas.into_parts();
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
