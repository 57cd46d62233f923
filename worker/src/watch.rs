//! What a worker shows of itself and of the cases: `/metrics` for Prometheus, `/healthz` and `/readyz` for the system
//! that starts and stops it. It only reads; no case knows of it or waits for it.
//!
//! The SDK's own metrics come from its exporter, which serves them on a port of the loopback interface; this module
//! fetches them and shows them with ours.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{Gauge, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use recourse_activities::{
    escrow::{Effect, Retries},
    gauges::{Gauges, Reading},
};
use recourse_programs::serving;
use temporalio_common::telemetry::{
    HistogramBucketOverrides, PrometheusExporterOptions, TelemetryOptions, metrics::CoreMeter,
    start_prometheus_metric_exporter,
};
use tokio::{
    net::TcpListener,
    sync::RwLock,
    time::{Interval, MissedTickBehavior},
};

/// How long the server and the database may take to answer the check.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// How long a case may take from its start to its end: from a minute to three months, in seconds.
const CASE_SECONDS: [f64; 12] = [
    60.0,
    3_600.0,
    86_400.0,
    2.0 * 86_400.0,
    3.0 * 86_400.0,
    5.0 * 86_400.0,
    7.0 * 86_400.0,
    14.0 * 86_400.0,
    21.0 * 86_400.0,
    30.0 * 86_400.0,
    60.0 * 86_400.0,
    90.0 * 86_400.0,
];

/// Where the SDK's metrics go, and where to fetch them.
pub fn sdk_metrics() -> anyhow::Result<(TelemetryOptions, SocketAddr)> {
    let overrides = [("workflow_endtoend_latency".to_owned(), CASE_SECONDS.to_vec())].into();
    let options = PrometheusExporterOptions::builder()
        .socket_addr((Ipv4Addr::LOCALHOST, 0).into())
        .counters_total_suffix(true)
        .unit_suffix(true)
        .use_seconds_for_durations(true)
        .histogram_bucket_overrides(HistogramBucketOverrides { overrides })
        .build();
    let started = start_prometheus_metric_exporter(options)?;
    let telemetry =
        TelemetryOptions::builder().metrics(started.meter as Arc<dyn CoreMeter>).attach_service_name(false).build();
    Ok((telemetry, started.bound_addr))
}

/// Our own metrics. Operators rely on the names.
struct Metrics {
    registry: Registry,
    cases_open: IntGaugeVec,
    cases_overdue: IntGaugeVec,
    held: IntGaugeVec,
    in_suspense: IntGaugeVec,
    notices_waiting: IntGauge,
    notices_failed: IntGauge,
    webhooks_failed: IntGauge,
    retries: IntCounterVec,
    check_passed: IntGauge,
    check_age: Gauge,
    gauges_age: Gauge,
}

impl Metrics {
    fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let many = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let one = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let age = |name: &str, help: &str| {
            let gauge = Gauge::new(name, help)?;
            // The age is infinite, because it has not happened yet.
            gauge.set(f64::INFINITY);
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let retries = Opts::new("recourse_effects_retried_total", "Tries of effects after their first, by effect.");
        let retries = IntCounterVec::new(retries, &["effect"])?;
        registry.register(Box::new(retries.clone()))?;
        Ok(Self {
            retries,
            cases_open: many("recourse_cases_open", "Open cases by kind and stage.", &["kind", "stage"])?,
            cases_overdue: many("recourse_cases_overdue", "Open cases that have missed a target.", &["kind"])?,
            held: many("recourse_money_held_minor_units", "Money in escrow, in minor units.", &["currency"])?,
            in_suspense: many(
                "recourse_money_in_suspense_minor_units",
                "Money that could not go back to where it came from (R8), in minor units.",
                &["currency"],
            )?,
            notices_waiting: one("recourse_notices_waiting", "Emails that are still to go out.")?,
            notices_failed: one(
                "recourse_notices_failed",
                "Emails that did not arrive, or of which that is not known.",
            )?,
            webhooks_failed: one(
                "recourse_webhooks_failed",
                "Events that an endpoint did not take in the time it had.",
            )?,
            check_passed: one("recourse_ledger_check_passed", "Whether the last check of the ledger passed: 1 or 0.")?,
            check_age: age("recourse_ledger_check_age_seconds", "How long ago the ledger was last checked.")?,
            gauges_age: age(
                "recourse_gauges_age_seconds",
                "How long ago the numbers of cases and money were last read.",
            )?,
            registry,
        })
    }

    fn show(&self, reading: &Reading) {
        for (kind, stage, count) in &reading.open {
            self.cases_open.with_label_values(&[kind.name(), stage.name()]).set(*count);
        }
        for (kind, count) in &reading.overdue {
            self.cases_overdue.with_label_values(&[kind.name()]).set(*count);
        }
        for (gauge, money) in [(&self.held, &reading.held), (&self.in_suspense, &reading.in_suspense)] {
            for sum in money {
                gauge.with_label_values(&[&sum.currency]).set(sum.amount);
            }
        }
        self.notices_waiting.set(reading.notices_waiting);
        self.notices_failed.set(reading.notices_failed);
        self.webhooks_failed.set(reading.webhooks_failed);
    }

    /// Updates the counts of retries. Each effect is shown from the start, with 0 if nothing was retried.
    fn count(&self, retries: &Retries) {
        for effect in Effect::ALL {
            let counter = self.retries.with_label_values(&[effect.name()]);
            counter.inc_by(retries.count(effect).saturating_sub(counter.get()));
        }
    }
}

/// When something last succeeded.
#[derive(Debug, Default)]
struct Done {
    read_at: Option<Instant>,
    checked_at: Option<Instant>,
}

struct Inner {
    metrics: Metrics,
    gauges: Gauges,
    retries: Retries,
    sdk: SocketAddr,
    http: reqwest::Client,
    done: RwLock<Done>,
    stopping: AtomicBool,
}

/// What the worker serves. Clones share it.
#[derive(Clone)]
pub struct Watch(Arc<Inner>);

impl Watch {
    /// Shows these numbers, and the SDK's metrics from this address.
    pub fn new(gauges: Gauges, retries: Retries, sdk: SocketAddr) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(READY_WITHIN).no_proxy().build()?;
        let (done, stopping) = (RwLock::default(), AtomicBool::new(false));
        Ok(Self(Arc::new(Inner { metrics: Metrics::new()?, gauges, retries, sdk, http, done, stopping })))
    }

    /// Serves at this address until the process ends. Returns the address, which differs for port 0.
    pub async fn serve(&self, address: SocketAddr) -> anyhow::Result<SocketAddr> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("{address} cannot be listened at (--listen)"))?;
        let bound = listener.local_addr()?;
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(async || "alive\n"))
            .route("/readyz", get(ready))
            .with_state(self.clone());
        tokio::spawn(serving::serve(router, listener, serving::Limits::of_watchers(), std::future::pending()));
        Ok(bound)
    }

    /// Reads the numbers and checks the ledger again and again, at these two intervals, until the process ends. They
    /// run separately: a check of a large ledger takes long.
    pub fn keep_reading(&self, read_every: Duration, check_every: Duration) {
        let (reads, checks) = (self.clone(), self.clone());
        tokio::spawn(async move {
            let mut every = paced(read_every);
            loop {
                every.tick().await;
                reads.read().await;
            }
        });
        tokio::spawn(async move {
            let mut every = paced(check_every);
            loop {
                every.tick().await;
                checks.check().await;
            }
        });
    }

    async fn read(&self) {
        match self.0.gauges.read().await {
            Ok(reading) => {
                self.0.metrics.show(&reading);
                self.0.done.write().await.read_at = Some(Instant::now());
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the numbers cannot be read"),
        }
    }

    async fn check(&self) {
        match self.0.gauges.ledger_is_sound().await {
            Ok(sound) => {
                self.0.metrics.check_passed.set(i64::from(sound));
                self.0.done.write().await.checked_at = Some(Instant::now());
                if !sound {
                    tracing::error!(
                        "the ledger is not sound: see `recourse ledger --check` and `recourse ledger verify`"
                    );
                }
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the ledger cannot be checked"),
        }
    }

    /// From now on the worker is not ready.
    pub fn stopping(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    async fn text(&self) -> anyhow::Result<String> {
        {
            // One after the other: two at once would count the same retries twice.
            let done = self.0.done.write().await;
            let metrics = &self.0.metrics;
            metrics.count(&self.0.retries);
            for (age, at) in [(&metrics.gauges_age, done.read_at), (&metrics.check_age, done.checked_at)] {
                if let Some(at) = at {
                    age.set(at.elapsed().as_secs_f64());
                }
            }
        }
        let ours = TextEncoder::new().encode_to_string(&self.0.metrics.registry.gather())?;
        let of_sdk = self.0.http.get(format!("http://{}/metrics", self.0.sdk)).send().await?.text().await?;
        Ok(ours + &of_sdk)
    }

    async fn why_not_ready(&self) -> Option<String> {
        if self.0.stopping.load(Ordering::Relaxed) {
            return Some("stopping".to_owned());
        }
        match tokio::time::timeout(READY_WITHIN, self.0.gauges.reach()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the server or the database does not answer".to_owned()),
        }
    }
}

fn paced(pause: Duration) -> Interval {
    let mut every = tokio::time::interval(pause);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    every
}

async fn metrics(State(watch): State<Watch>) -> Response {
    match watch.text().await {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

async fn ready(State(watch): State<Watch>) -> Response {
    match watch.why_not_ready().await {
        None => "ready\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
