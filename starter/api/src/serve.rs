//! The server: its settings, its routes, and its start and stop in good order.

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware,
    response::IntoResponse as _,
    routing::get,
};
use opentelemetry::propagation::Extractor;
use recourse_domain::text::shortened;
use recourse_programs::{serving, telemetry};
use tokio::net::TcpListener;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
    timeout::TimeoutLayer,
    trace::TraceLayer,
};
use tracing::Span;
use utoipa_swagger_ui::SwaggerUi;

use super::{
    Front,
    description::{DESCRIPTION, described},
    evidence,
    metrics::{measured, method_name},
    openapi, personas,
    problem::Problem,
    ready::Readiness,
    strangers,
};

/// How long a request may take. Live events have no such limit: their answer begins at once.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an upload may take.
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(10);

/// How often Recourse removes old answers, old counts and unused uploads.
const SWEPT_EVERY: Duration = Duration::from_mins(10);

/// After how long Recourse deletes an upload to which no command refers.
const UNUSED_FOR: Duration = Duration::from_hours(7 * 24);

/// How many requests a sender may send in a minute, unless the configuration says otherwise.
pub const PER_MINUTE: NonZeroU32 = NonZeroU32::new(600).unwrap();

/// The pages of the console, beside the API.
#[derive(Debug, Default)]
pub struct Pages {
    /// Routes that answer within seconds.
    pub pages: Router<Front>,
    /// Routes that take files, and may take as long as an upload.
    pub uploads: Router<Front>,
}

/// All routes.
pub fn router(front: Front, pages: Pages) -> Router {
    let (api, _) = described().split_for_parts();
    let request_id = HeaderName::from_static("x-request-id");
    let always = |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    let (metrics, limits) = (front.metrics().clone(), front.limits().clone());
    let is_played = front.local().is_some();
    let readiness = Readiness::default();
    let router = api
        .route("/openapi.json", get(async |headers: HeaderMap| DESCRIPTION.answer(&headers)))
        .route("/health/live", get(|| async { "alive\n" }))
        .route(
            "/health/ready",
            get(async move |State(front): State<Front>| readiness.ask(&front).await.map(|()| "ready\n")),
        )
        .merge(explained())
        .merge(personas::routes())
        .merge(pages.pages)
        .fallback(|| async { openapi::no_such_path() })
        .method_not_allowed_fallback(|| async {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Problem::new(status, "MethodNotAllowed", "This cannot be done here", "see /openapi.json for what can")
        })
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .merge(
            Router::from(evidence::uploads())
                .merge(pages.uploads)
                .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, UPLOAD_TIMEOUT)),
        )
        .with_state(front)
        .layer(middleware::from_fn_with_state(limits, strangers::counted));
    let router = if is_played { router.layer(middleware::from_fn(personas::only_here)) } else { router };
    router
        .layer(middleware::from_fn_with_state(metrics, measured))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            Problem::unexpected(&"a handler panicked").into_response()
        }))
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
        .layer(always(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(always(header::REFERRER_POLICY, "no-referrer"))
        .layer(always(header::CACHE_CONTROL, "no-store"))
        .layer(always(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
}

/// A request's span, in the trace of its sender. A path may name a case. The span leaves out the query, which may say more.
fn span(request: &Request) -> Span {
    let (method, path) = (request.method(), request.uri().path());
    let path = shortened(path);
    let name = format!("{} {path}", method_name(method));
    let span = tracing::info_span!("request", otel.name = name, otel.kind = "server");
    telemetry::continues(&span, &Headers(request.headers()));
    span
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// The description as a page to read and to try.
fn explained() -> Router<Front> {
    // The page has its styles within it. Scripts and everything else come from this server.
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
    let policy = SetResponseHeaderLayer::overriding(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    Router::from(SwaggerUi::new("/docs").config(utoipa_swagger_ui::Config::from("/openapi.json"))).layer(policy)
}

/// Serves the API and `pages` on `listener` until `stop`, and finishes the requests that it took. These limits apply to
/// connections.
pub async fn serve(
    front: Front,
    pages: Pages,
    listener: TcpListener,
    limits: serving::Limits,
    stop: impl Future<Output = ()>,
) {
    let router = router(front.clone(), pages);
    let swept = tokio::spawn(sweep(front));
    serving::serve(router, listener, limits, stop).await;
    swept.abort();
}

async fn sweep(front: Front) {
    loop {
        tokio::time::sleep(SWEPT_EVERY).await;
        front.limits().sweep();
        if let Err(error) = front.evidence().sweep(UNUSED_FOR).await {
            tracing::warn!(%error, "unused uploads are not deleted");
        }
        if let Err(error) = front.requests().prune(jiff::Timestamp::now()).await {
            tracing::warn!(%error, "old answers are not forgotten");
        }
    }
}

/// The server's URL.
pub fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}
