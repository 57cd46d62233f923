//! The API's metrics for Prometheus, on a port of its own that only monitoring can reach.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
    routing::get,
};
use prometheus::{
    Gauge, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use recourse_domain::command::CommandKind;
use recourse_programs::serving;
use tokio::net::TcpListener;

use super::{acted::Acted, keys::Keys, problem::Problem};

/// The upper limits of the buckets for request times, in seconds. The server cuts off slower requests.
const REQUEST_SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 5.0, 30.0];

/// The methods with a label of their own. A request can have any other method, of any length, and each series stays for ever.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Counts requests and commands. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    commands: IntCounterVec,
    requests: HistogramVec,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let commands = Opts::new("recourse_commands_total", "Commands by what they came to.");
        let commands = IntCounterVec::new(commands, &["command", "result"]).expect("a valid counter");
        let requests = HistogramOpts::new("recourse_http_request_duration_seconds", "Requests by route and answer.")
            .buckets(REQUEST_SECONDS.to_vec());
        let requests = HistogramVec::new(requests, &["route", "method", "status"]).expect("ascending buckets");
        registry.register(Box::new(commands.clone())).expect("a unique name");
        registry.register(Box::new(requests.clone())).expect("a unique name");
        Self(Arc::new(Inner { registry, commands, requests }))
    }
}

impl Metrics {
    /// Counts a command: taken, sent as a signal to be decided later, or refused, by the refusal's name.
    pub(super) fn command(&self, command_kind: CommandKind, answered: &Result<Acted, Problem>) {
        let result = match answered {
            Ok(Acted::Taken(_)) => "accepted",
            Ok(Acted::Sent) => "sent",
            Err(problem) => problem.error,
        };
        self.0.commands.with_label_values(&[command_kind.name(), result]).inc();
    }

    /// Everything counted so far, in Prometheus' format.
    ///
    /// # Errors
    /// If it cannot be written as text.
    pub fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.0.registry.gather())
    }

    /// Adds the age of the issuer's keys.
    pub(super) fn watch(&self, keys: Keys) {
        if keys.state().is_some() {
            self.0.registry.register(Box::new(KeyMetrics::new(keys))).expect("registered once");
        }
    }

    /// Serves `/metrics` until the process ends. Returns where.
    ///
    /// # Errors
    /// If the listener cannot tell its address.
    pub fn serve(&self, listener: TcpListener) -> std::io::Result<SocketAddr> {
        let bound = listener.local_addr()?;
        let router = Router::new().route("/metrics", get(show)).with_state(self.clone());
        tokio::spawn(serving::serve(router, listener, serving::Limits::of_watchers(), std::future::pending()));
        Ok(bound)
    }
}

async fn show(State(metrics): State<Metrics>) -> Response {
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => Problem::unexpected(&error).into_response(),
    }
}

/// The state of the issuer's keys at the time of the scrape.
struct KeyMetrics {
    keys: Keys,
    age: Gauge,
    failed: Gauge,
}

impl KeyMetrics {
    fn new(keys: Keys) -> Self {
        let gauge = |name, help| Gauge::new(name, help).expect("a valid gauge");
        let age = gauge("recourse_issuer_keys_age_seconds", "How old the token issuer's keys are.");
        let failed =
            gauge("recourse_issuer_keys_failed", "How often in a row the token issuer's keys could not be had.");
        Self { keys, age, failed }
    }
}

impl Collector for KeyMetrics {
    fn desc(&self) -> Vec<&Desc> {
        [self.age.desc(), self.failed.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if let Some((age, failed)) = self.keys.state() {
            self.age.set(age.as_secs_f64());
            #[allow(clippy::cast_precision_loss)]
            self.failed.set(failed as f64);
        }
        [self.age.collect(), self.failed.collect()].concat()
    }
}

/// The method's label.
pub(super) fn method_name(method: &Method) -> &str {
    if METHODS.contains(method) { method.as_str() } else { "other" }
}

/// Measures a request. All labels come from closed sets. The route is its pattern, so that ids do not create series.
pub(super) async fn measured(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let began = Instant::now();
    let response = next.run(request).await;
    let status = response.status();
    let labels = [route.as_str(), method_name(&method), status.as_str()];
    metrics.0.requests.with_label_values(&labels).observe(began.elapsed().as_secs_f64());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request can have any method, but the metrics have a fixed set of labels.
    #[test]
    fn metrics_name_only_known_methods() {
        for (method, name) in
            [("GET", "GET"), ("DELETE", "DELETE"), ("get", "other"), ("TRACE", "other"), ("X1", "other")]
        {
            assert_eq!(method_name(&Method::from_bytes(method.as_bytes()).unwrap()), name);
        }
        assert_eq!(method_name(&Method::from_bytes("X".repeat(7_000).as_bytes()).unwrap()), "other");
    }
}
