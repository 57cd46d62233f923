//! Traces by OTLP: an operator reads them when something took long.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value,
    trace::v1::Span,
};
use reqwest::Client;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    api::{Issuer, Process},
    harness::{PATIENCE, Story, World, run},
};

/// Takes spans, as a collector does.
#[derive(Clone, Default)]
pub struct Collector(Arc<Mutex<Vec<(String, Span)>>>);

type Spans = Vec<(String, Span)>;

impl Collector {
    /// One that takes spans at this endpoint until the tests end.
    pub async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = TraceServiceServer::new(collector.clone());
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        (collector, endpoint)
    }

    /// The spans so far, each with its service's name, as soon as they are as wanted.
    pub async fn until(&self, wanted: impl Fn(&Spans) -> bool) -> Spans {
        let started = Instant::now();
        loop {
            let spans = self.0.lock().unwrap().clone();
            if wanted(&spans) {
                return spans;
            }
            let names: Vec<&str> = spans.iter().map(|(_, span)| &*span.name).collect();
            assert!(started.elapsed() < PATIENCE, "only {names:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.unwrap_or_default().attributes;
            let service = attributes.iter().find(|attribute| attribute.key == "service.name");
            let service = match service.and_then(|found| found.value.clone()).and_then(|value| value.value) {
                Some(any_value::Value::StringValue(name)) => name,
                _ => String::new(),
            };
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.0.lock().unwrap().extend(spans.map(|span| (service.clone(), span)));
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

/// The names from this span over its parents to the last one that is here.
fn way_from(spans: &Spans, name: &str) -> Vec<String> {
    let by_id: BTreeMap<&[u8], &Span> = spans.iter().map(|(_, span)| (&*span.span_id, span)).collect();
    let mut way = Vec::new();
    let mut next = spans.iter().map(|(_, span)| span).find(|span| span.name == name);
    while let Some(span) = next {
        way.push(span.name.clone());
        next = by_id.get(&*span.parent_span_id).copied();
    }
    way
}

/// The trace of a request leads over the workflow and its activity to the ledger, in both programs, and has nothing personal.
#[test]
fn a_trace_leads_from_the_request_to_the_ledger() {
    run(async {
        let (collector, endpoint) = Collector::start().await;
        let traces = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "200")];
        let world = World::apart("traced", &traces).await;
        let (issuer, files) = (Issuer::new(), tempfile::tempdir().unwrap());
        let evidence = format!("file://{}", files.path().display());
        let process = Process::start(&world, &issuer, &evidence, &[]).await;
        let mut story = Story::new(&world, "traced");
        story.deposit("d-1", 20_000, "card-1").await;
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let request = Client::new()
            .post(format!("{}/v1/contracts/{}/end", process.url, story.id()))
            .bearer_auth(issuer.token(story.contract["client"]["id"].as_str().unwrap(), &[], &[]))
            .header("idempotency-key", "end")
            .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
            .json(&json!({"pay_now": 5_000, "reason": "The turnip is missing."}));
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        story.opened(&story.refund_request).await;
        story.play("1 freelancer approve").await;
        story.outcome().await;

        let trace: Vec<u8> = (0..32).step_by(2).map(|at| u8::from_str_radix(&trace[at..at + 2], 16).unwrap()).collect();
        let of_trace =
            |spans: &Spans| -> Spans { spans.iter().filter(|(_, span)| span.trace_id == trace).cloned().collect() };
        // The two programs send their spans at different times. Each span has a parent: the way leads from the posting to the
        // request.
        let there = |spans: &Spans| {
            let spans = of_trace(spans);
            let named = |name: &str| spans.iter().any(|(_, span)| span.name.contains(name));
            let way = way_from(&spans, "ledger: post");
            ["StartWorkflow:RefundRequest", "RunWorkflow:RefundRequest", "RunActivity:Escrow.open"]
                .into_iter()
                .all(named)
                && way.iter().any(|name| name.contains("RunActivity"))
                && way.last().is_some_and(|name| name.contains("/end"))
        };
        let spans = of_trace(&collector.until(there).await);
        let services: BTreeSet<&str> = spans.iter().map(|(service, _)| &**service).collect();
        assert_eq!(services, BTreeSet::from(["recourse-serve", "recourse-worker"]));
        let said = format!("{spans:?}");
        assert!(!said.contains("turnip") && !said.contains("@example"), "people's words are in no span");
    });
}
