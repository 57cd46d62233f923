//! What the programs report while they run: a log for people or for programs, and traces by OTLP.
//!
//! The log goes to standard error. `RECOURSE_LOG` selects its content, `RECOURSE_LOG_FORMAT` its form: `human` lines or
//! `json`. Traces go where the standard variables of OpenTelemetry say (`OTEL_EXPORTER_OTLP_ENDPOINT`, …), over gRPC;
//! without an endpoint there are none. A trace leads from the request over the workflow and its activities to the
//! postings. Spans have ids, the names of operations, and durations. They have no texts, names or addresses of people.

use std::io::IsTerminal as _;

use opentelemetry::{
    global,
    propagation::{Extractor, TextMapPropagator as _},
    trace::TracerProvider as _,
};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{BatchSpanProcessor, SdkTracerProvider},
};
use temporalio_sdk::opentelemetry::{OpenTelemetryPlugin, WorkflowIdGenerator};
use tracing::{Span, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Where traces go; the second is for traces alone.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// The prefix of our crates' names: their spans are part of a trace, besides the spans of the SDK.
const OURS: &str = "recourse_";

/// Why a program cannot log or trace. It should not run then.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RECOURSE_LOG_FORMAT` is neither `human` nor `json`.
    #[error("RECOURSE_LOG_FORMAT is {given}; it can be human or json")]
    UnknownFormat {
        /// Its value.
        given: String,
    },
    /// The traces cannot be sent.
    #[error("traces cannot be sent; see OTEL_EXPORTER_OTLP_ENDPOINT")]
    NoExporter(#[from] ExporterBuildError),
}

/// The log and the traces of this program. Stop it before the program ends, or the last spans are lost.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts as the environment says. `service` is the program's name in traces.
    ///
    /// # Errors
    /// [`TelemetryError`] if the environment has an invalid value.
    pub fn start(service: &'static str) -> Result<Self, TelemetryError> {
        let json = is_json()?;
        let filter = EnvFilter::try_from_env("RECOURSE_LOG").unwrap_or_else(|_| "info,temporalio=warn".into());
        let log =
            tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
        let log = if json { log.json().boxed() } else { log.boxed() };
        let provider = if exports_traces() { Some(provider(service)?) } else { None };
        let spans = provider.as_ref().map(|provider| {
            let ours = Targets::new().with_target(OURS, LevelFilter::INFO);
            tracing_opentelemetry::layer::<Registry>().with_tracer(provider.tracer("recourse")).with_filter(ours)
        });
        // It fails only if there is a log already, which then goes on.
        let _ = tracing_subscriber::registry().with(spans).with(log.with_filter(filter)).try_init();
        if let Some(provider) = &provider {
            global::set_tracer_provider(provider.clone());
        }
        Ok(Self { provider })
    }

    /// Sends the remaining spans.
    pub async fn stop(self) {
        if let Some(provider) = self.provider {
            // It waits for the collector.
            let stopped = tokio::task::spawn_blocking(move || provider.shutdown()).await;
            if !matches!(stopped, Ok(Ok(()))) {
                tracing::warn!("the last spans could not be sent");
            }
        }
    }
}

/// Whether the environment asks for traces.
pub fn exports_traces() -> bool {
    ENDPOINTS.into_iter().any(|name| std::env::var_os(name).is_some_and(|endpoint| !endpoint.is_empty()))
}

/// Makes the span a part of the trace in these headers, if there is one.
pub fn continues(span: &Span, headers: &dyn Extractor) {
    // It fails if traces are off.
    let _ = span.set_parent(TraceContextPropagator::new().extract(headers));
}

/// The SDK's plugin that carries traces through the server to the workers.
pub(crate) fn plugin() -> temporalio_sdk::SimplePlugin {
    OpenTelemetryPlugin::builder().build()
}

fn is_json() -> Result<bool, TelemetryError> {
    match std::env::var("RECOURSE_LOG_FORMAT").as_deref() {
        Ok("json") => Ok(true),
        Ok("human" | "") | Err(_) => Ok(false),
        Ok(given) => Err(TelemetryError::UnknownFormat { given: given.to_owned() }),
    }
}

fn provider(service: &'static str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder().with_tonic().build()?;
    Ok(SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name(service).build())
        // So a workflow's spans have the same ids when it is replayed.
        .with_id_generator(WorkflowIdGenerator::default())
        .with_span_processor(BatchSpanProcessor::builder(exporter).build())
        .build())
}
