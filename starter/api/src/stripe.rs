//! Stripe's events (R8). An event is only a hint to look the refund up; Recourse trusts nothing else in it.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use recourse_payments::CallbackError;
use recourse_refunds::RefundError;
use schemars::JsonSchema;
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Front, Problems, extract,
    limits::{Provider, Sender},
    openapi::Schemas,
    problem::Problem,
    strangers::Comes,
};

/// The largest event. Events about refunds have some kilobytes. Stripe may be configured to send others; Recourse reads and
/// ignores them.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// An event of Stripe's. Recourse reads only a part of it.
#[derive(Debug, JsonSchema)]
#[allow(dead_code, reason = "only described: it is read once its signature is known to be Stripe's")]
pub struct StripeEvent {
    /// Its object, in `object`: one of Stripe's, such as a refund.
    data: Map<String, Value>,
}

/// Its operations.
pub fn routes() -> OpenApiRouter<Front> {
    OpenApiRouter::new().routes(routes!(event))
}

/// Their schemas.
pub fn schemas(schemas: &mut Schemas) {
    schemas.add::<StripeEvent>();
}

/// Takes an event of Stripe's. If it is about a refund, Recourse looks that refund up at Stripe at once. It ignores every other
/// event.
///
/// Signed by Stripe (`Stripe-Signature`, scheme `v1`) with the endpoint's secret.
#[utoipa::path(
    post, path = "/v1/callbacks/stripe", tag = "webhooks", security(()),
    params(("stripe-signature" = String, Header, description = "When it was signed, and the signatures.")),
    request_body(content = ref("#/components/schemas/StripeEvent")),
    responses((status = 204, description = "It was seen to; or it is about nothing here."), Problems)
)]
pub async fn event(
    State(front): State<Front>,
    comes: Comes,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Some(callbacks) = &front.parts().stripe else {
        let problem = Problem::not_found("Stripe does not call back here");
        let hint = "set RECOURSE_PAYMENTS to stripe, and RECOURSE_STRIPE_WEBHOOK_SECRET";
        return Err(front.not_from(&comes, problem.hint(hint)));
    };
    let refused = |reason: &str| {
        let problem = Problem::unauthenticated(reason);
        front.not_from(&comes, problem.hint("RECOURSE_STRIPE_WEBHOOK_SECRET is the secret of this endpoint"))
    };
    // Does not even read an event without a signature.
    let Some(signature) = headers.get("stripe-signature").and_then(|value| value.to_str().ok()) else {
        return Err(refused("the header Stripe-Signature is missing"));
    };
    let body = extract::limited(body, EVENT_BYTES_MAX).await?;
    let now = Timestamp::now();
    let refund = callbacks.refund_of(signature, &body, now).map_err(|error| match error {
        CallbackError::Unreadable => Problem::unreadable(error.to_string()),
        _ => refused(&error.to_string()),
    })?;
    front.limits().let_in(&Sender::Provider(Provider::Stripe))?;
    let Some(refund) = refund else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    match front.parts().refunds.look_now(&refund, now).await {
        // The log shows a contradiction to operators. It would stay one however often Stripe sent the event.
        Ok(_) | Err(RefundError::Contradiction { .. }) => Ok(StatusCode::NO_CONTENT.into_response()),
        // Stripe sends it again.
        Err(RefundError::Unknown { id }) => Err(Problem::unavailable(format!("{id} is not written down yet"))),
        Err(error) => Err(error.into()),
    }
}
