//! Webhooks: where Recourse sends events, the feed for programs that missed some, and the payment provider's calls (R8).

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use recourse_domain::ids::Id;
use recourse_notifications::{
    WebhookBook,
    webhooks::{Delivery, FeedEntry, SignedHeaders, TOLERANCE, WebhookError, verify},
};
use recourse_refunds::Report;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Front, Problems,
    extract::{self, BODY_BYTES_MAX, Caller, Of, QueryParams, Write},
    identity::{Duty, Identity},
    limits::{Provider, Sender},
    lists::{Newest, Page, limited, position},
    once::Reply,
    openapi::{InEndpoint, Keyed, Schemas},
    problem::Problem,
    strangers::Comes,
};

/// Send events to a URL.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NewEndpoint {
    /// An `https` URL that is reached from the internet.
    url: String,
    /// What it is for.
    #[serde(default)]
    description: String,
}

/// An endpoint with the secret that signs its events (Standard Webhooks). Recourse shows the secret once.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NewSecret {
    /// The endpoint's id.
    endpoint: String,
    /// `whsec_…`.
    secret: String,
}

/// Where events go.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownEndpoint {
    /// Its id.
    id: String,
    /// The URL.
    url: String,
    /// What it is for.
    description: String,
    /// Since when Recourse sends events there.
    added_at: Timestamp,
    /// Since when Recourse sends none, because the endpoint answered that it is gone.
    disabled_at: Option<Timestamp>,
}

/// Which events to list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct FeedFilter {
    /// Only of this contract.
    contract: Option<String>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// Only those after this position: the `next` of the page before, or the last position that you have.
    after: Option<String>,
}

/// What the payment provider says about a refund.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ProviderReport {
    /// The refund: the idempotency key with which Recourse asked the provider.
    refund: String,
    /// `settled` or `failed`.
    state: ProviderState,
    /// Why it failed.
    reason: Option<String>,
}

/// The state of a refund at the payment provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderState {
    /// It has arrived at its billing method.
    Settled,
    /// It has not arrived, and will not.
    Failed,
}

/// Its operations.
pub fn routes() -> OpenApiRouter<Front> {
    OpenApiRouter::new()
        .routes(routes!(add))
        .routes(routes!(list))
        .routes(routes!(rotate))
        .routes(routes!(remove))
        .routes(routes!(deliveries))
        .routes(routes!(feed))
        .routes(routes!(callback))
}

/// Their schemas.
pub fn schemas(schemas: &mut Schemas) {
    schemas.add::<NewEndpoint>();
    schemas.add::<NewSecret>();
    schemas.add::<Nothing>();
    schemas.add::<ProviderReport>();
    schemas.page::<ShownEndpoint>("EndpointPage");
    schemas.page::<Delivery>("DeliveryPage");
    schemas.page::<FeedEntry>("EventPage");
}

/// Sends events to a URL from now on. Answers with the secret. Recourse shows it only this once.
#[utoipa::path(
    post, path = "/v1/webhooks", tag = "webhooks",
    params(Keyed),
    request_body(content = ref("#/components/schemas/NewEndpoint")),
    responses((status = 201, description = "Events go there from now on.", body = ref("#/components/schemas/NewSecret")), Problems)
)]
pub async fn add(State(front): State<Front>, write: Write) -> Response {
    let work = async {
        only_platform(&write.who)?;
        let NewEndpoint { url, description } = write.json()?;
        let (endpoint, secret) = front.webhooks().add(&url, &description).await?;
        told_once(endpoint.id, secret.reveal())
    };
    write.once(&front, work).await
}

/// Lists where events go.
#[utoipa::path(
    get, path = "/v1/webhooks", tag = "webhooks",
    responses((status = 200, description = "All of them.", body = ref("#/components/schemas/EndpointPage")), Problems)
)]
pub async fn list(State(front): State<Front>, Caller(who): Caller) -> Result<Response, Problem> {
    only_platform(&who)?;
    let endpoints = front.webhooks().list().await?.into_iter().map(|endpoint| ShownEndpoint {
        id: endpoint.id,
        url: endpoint.url,
        description: endpoint.description,
        added_at: endpoint.added_at,
        disabled_at: endpoint.disabled_at,
    });
    Ok(Json(Page { items: endpoints.collect(), next: None }).into_response())
}

/// Gives an endpoint a new secret. For a day Recourse also signs with the old one.
#[utoipa::path(
    post, path = "/v1/webhooks/{endpoint}/rotate", tag = "webhooks",
    params(InEndpoint, Keyed),
    request_body(content = ref("#/components/schemas/Nothing")),
    responses((status = 201, description = "The new secret.", body = ref("#/components/schemas/NewSecret")), Problems)
)]
pub async fn rotate(State(front): State<Front>, Of(endpoint): Of<String>, write: Write) -> Response {
    let work = async {
        only_platform(&write.who)?;
        let Nothing {} = write.json()?;
        told_once(endpoint.clone(), front.webhooks().rotate(&endpoint).await?.reveal())
    };
    write.once(&front, work).await
}

/// Stops sending events to an endpoint.
#[utoipa::path(
    delete, path = "/v1/webhooks/{endpoint}", tag = "webhooks",
    params(InEndpoint),
    responses((status = 204, description = "Nothing is sent there any more."), Problems)
)]
pub async fn remove(
    State(front): State<Front>,
    Caller(who): Caller,
    Of(endpoint): Of<String>,
) -> Result<Response, Problem> {
    only_platform(&who)?;
    front.webhooks().remove(&endpoint).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Lists the deliveries of events to an endpoint, newest first.
#[utoipa::path(
    get, path = "/v1/webhooks/{endpoint}/deliveries", tag = "webhooks",
    params(InEndpoint, Newest),
    responses((status = 200, description = "The newest of them.", body = ref("#/components/schemas/DeliveryPage")), Problems)
)]
pub async fn deliveries(
    State(front): State<Front>,
    Caller(who): Caller,
    Of(endpoint): Of<String>,
    QueryParams(page): QueryParams<Newest>,
) -> Result<Response, Problem> {
    only_platform(&who)?;
    let items = front.webhooks().deliveries(&endpoint, page.limit()).await?;
    Ok(Json(Page { items, next: None }).into_response())
}

/// Lists what happened in all cases, oldest first: for programs that missed a webhook, or have none.
#[utoipa::path(
    get, path = "/v1/events", tag = "webhooks", params(FeedFilter),
    responses((status = 200, description = "A page of them; `next` is always there.", body = ref("#/components/schemas/EventPage")), Problems)
)]
pub async fn feed(
    State(front): State<Front>,
    Caller(who): Caller,
    QueryParams(asked): QueryParams<FeedFilter>,
) -> Result<Response, Problem> {
    only_platform(&who)?;
    let after = asked.after.as_deref().map(position).transpose()?.unwrap_or(0);
    let contract = asked.contract.as_deref().map(Id::new).transpose();
    let contract = contract.map_err(|_| Problem::unreadable("contract: that is no id"))?;
    let items = front.webhooks().feed(after, limited(asked.limit), contract.as_ref()).await?;
    let next = items.last().map_or(after, |last| last.position).to_string();
    Ok(Json(Page { items, next: Some(next) }).into_response())
}

/// Takes the payment provider's message about a refund. The provider signs it by Standard Webhooks, with its own secret.
#[utoipa::path(
    post, path = "/v1/callbacks/payments", tag = "webhooks", security(()),
    params(("webhook-id" = String, Header, description = "The message's id."),
           ("webhook-timestamp" = String, Header, description = "When it was signed, in seconds since 1970."),
           ("webhook-signature" = String, Header, description = "Its signature.")),
    request_body(content = ref("#/components/schemas/ProviderReport")),
    responses((status = 204, description = "It is written down; or it was before."), Problems)
)]
pub async fn callback(
    State(front): State<Front>,
    comes: Comes,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Some(secret) = &front.parts().callback_secret else {
        let problem = Problem::not_found("no payment provider calls back here");
        return Err(front.not_from(&comes, problem.hint("set RECOURSE_PAYMENT_CALLBACK_SECRET")));
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let signed = SignedHeaders {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    let refused = |reason: &str| {
        front.not_from(&comes, Problem::unauthenticated(reason).hint("sign it as Standard Webhooks say"))
    };
    // Does not even read a call without a signature.
    if signed.signature.is_empty() {
        return Err(refused("the header webhook-signature is missing"));
    }
    let body = extract::limited(body, BODY_BYTES_MAX).await?;
    verify(secret, &signed, &body, Timestamp::now(), TOLERANCE).map_err(|error| refused(&error.to_string()))?;
    front.limits().let_in(&Sender::Provider(Provider::Payments))?;
    let ProviderReport { refund, state, reason } = extract::json(&body)?;
    let report = match state {
        ProviderState::Settled => Report::Settled,
        ProviderState::Failed => {
            Report::Failed { reason: reason.unwrap_or_else(|| "the provider gave no reason".into()) }
        }
    };
    front.parts().refunds.report(&refund, &report).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// An answer with a secret. Recourse does not keep the secret: the same request again gets an answer without it.
fn told_once(endpoint: String, secret: &str) -> Result<Reply, Problem> {
    let kept = serde_json::json!({"endpoint": endpoint, "secret": "(shown once)"});
    Ok(Reply::new(StatusCode::CREATED, &NewSecret { endpoint, secret: secret.to_owned() })?.kept_as(kept))
}

/// An empty object.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Nothing {}

fn only_platform(who: &Identity) -> Result<(), Problem> {
    if who.is(Duty::Service) || who.is(Duty::Operator) {
        return Ok(());
    }
    Err(Problem::forbidden("only the platform's backend and operators may"))
}

impl Front {
    /// The problem of a call that no provider has signed; 429 instead if its sender sends too many. These calls count by the
    /// place that they come from. They take nothing from the provider's share, also not at the same place.
    pub(super) fn not_from(&self, comes: &Comes, problem: Problem) -> Problem {
        self.limits().let_in(&Sender::Forger(comes.from())).err().unwrap_or(problem)
    }

    /// Where events go.
    pub fn webhooks(&self) -> &WebhookBook {
        &self.parts().webhooks
    }
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        let detail = error.to_string();
        match error {
            WebhookError::Url { .. } => Self::invalid(detail),
            WebhookError::NotFound { .. } => Self::not_found(detail),
            _ => {
                tracing::error!(%error, "webhooks cannot be managed");
                Self::unavailable("webhooks cannot be managed now")
            }
        }
    }
}
