//! Webhooks on a real server: an endpoint gets signed events, again if it refused them, and the feed keeps all.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use recourse_database::Database;
use recourse_notifications::{
    WebhookBook,
    webhooks::{CaseEvent, Delivery, DeliveryState, FeedEntry, SignedHeaders, TOLERANCE, verify},
};
use recourse_workflows::{
    TASK_QUEUE,
    effects::{DeliveryOrder, DeliveryReceipt},
};
use serde_json::Value;
use temporalio_client::{
    UntypedWorkflow, WorkflowCancelOptions, WorkflowFetchHistoryOptions, WorkflowGetResultOptions, WorkflowListOptions,
    WorkflowStartOptions,
};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{common::v1::Payload, enums::v1::EventType, history::v1::HistoryEvent},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::harness::{Story, World, run, shown};

/// How long a step of milliseconds, or one retry, may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A program that receives webhooks.
pub struct Receiver {
    pub url: String,
    received: Arc<Mutex<Vec<Received>>>,
    failures: Arc<AtomicUsize>,
}

#[derive(Clone)]
pub struct Received {
    headers: SignedHeaders,
    body: Vec<u8>,
}

impl Received {
    fn event(&self) -> CaseEvent {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Receiver {
    /// Accepts all requests except the first `failures`.
    pub async fn start(failures: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}/hook", listener.local_addr().unwrap().port());
        let received = Arc::new(Mutex::new(Vec::new()));
        let failures = Arc::new(AtomicUsize::new(failures));
        let (inbox, busy) = (received.clone(), failures.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_request(&mut stream).await;
                let number = {
                    let mut inbox = inbox.lock().unwrap();
                    inbox.push(request);
                    inbox.len()
                };
                let status = if number <= busy.load(Ordering::Relaxed) { "503 Busy" } else { "204 No Content" };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, received, failures }
    }

    /// From now on it accepts everything.
    pub fn is_free(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> Received {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(read).unwrap();
    assert!(head.starts_with("POST /hook HTTP/1.1\r\n"), "{head}");
    let header = |name: &str| {
        let value = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap_or_else(|| panic!("no {name} in {head}")).to_owned()
    };
    let mut body = vec![0; header("content-length").parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    let headers = SignedHeaders {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    Received { headers, body }
}

/// The world's webhooks, which may go to this machine.
pub async fn webhooks(world: &World) -> WebhookBook {
    WebhookBook::new(Database::connect(&world.database_url).await.unwrap()).allow_local(true)
}

/// Asks again and again until there is an answer.
async fn once<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The deliveries to an endpoint, as soon as there are this many and all were accepted.
async fn all_taken(book: &WebhookBook, endpoint: &str, count: usize) -> Vec<Delivery> {
    once("all are delivered", async || {
        let deliveries = book.deliveries(endpoint, 100).await.unwrap();
        let taken = deliveries.iter().all(|delivery| delivery.state == DeliveryState::Delivered);
        (taken && deliveries.len() == count).then_some(deliveries)
    })
    .await
}

async fn deliveries_started(world: &World) -> usize {
    use futures_util::StreamExt as _;
    let query = "WorkflowType = 'WebhookDelivery'";
    world.client.temporal().list_workflows(query, WorkflowListOptions::default()).count().await
}

/// An endpoint gets a case's events once each, signed, and their sequence numbers give the order; the feed also has events from
/// before the endpoint.
#[test]
fn an_endpoint_gets_signed_events_and_the_feed_has_all() {
    run(async {
        let world = World::apart("webhooks", &[("RECOURSE_WEBHOOK_ALLOW_LOCAL", "true")]).await;
        let book = webhooks(&world).await;
        let mut story = Story::new(&world, "hooked");
        story.deposit("d-1", 30_000, "card-1").await;
        assert_eq!(deliveries_started(&world).await, 0, "nobody wants to know");
        let (steady, failing) = (Receiver::start(0).await, Receiver::start(2).await);
        let (endpoint, secret) = book.add(&steady.url, "takes all").await.unwrap();
        let (second, _) = book.add(&failing.url, "is busy at first").await.unwrap();
        story.end(0, Value::Null).await;
        story.play("1 freelancer claim 15000; 2 client reject claim; 3 mediator propose 9000; 3.4 client accept resolution; 3.8 freelancer accept resolution").await;
        assert_eq!(shown(&story.outcome().await), "settled resolution_accepted M5 9000/21000/0");
        let feed = book.feed(0, 100, Some(&story.id())).await.unwrap();
        let (missed, sent): (Vec<_>, Vec<_>) =
            feed.into_iter().partition(|entry| entry.position <= endpoint.handed_over);
        let of_missed: Vec<_> = missed.iter().map(|entry| entry.event.kind.as_str()).collect();
        assert_eq!(of_missed, ["case.deposited"]);
        assert!(sent.len() >= 2, "{sent:?}");
        all_taken(&book, &endpoint.id, sent.len()).await;
        let received = steady.received();
        assert_eq!(received.len(), sent.len(), "each once");
        for received in &received {
            assert_eq!(verify(&secret, &received.headers, &received.body, Timestamp::now(), TOLERANCE), Ok(()));
            assert_eq!(received.headers.id, received.event().id);
        }
        assert_eq!(
            by_case(received.iter().map(Received::event)),
            by_case(sent.iter().map(|entry| entry.event.clone()))
        );

        let deliveries = all_taken(&book, &second.id, sent.len()).await;
        assert!(deliveries.iter().any(|delivery| delivery.attempts == 2), "{deliveries:?}");
        let received = failing.received();
        assert_eq!(received.len(), sent.len() + 2, "two came again");
        let again: Vec<_> = received[2..].iter().filter(|later| later.headers.id == received[0].headers.id).collect();
        assert_eq!(again.len(), 1, "with the same id");
        assert_eq!(again[0].body, received[0].body);
        world.check_money().await;
    });
}

/// The events of each case, in the order of their sequences, which have no gaps.
fn by_case(events: impl Iterator<Item = CaseEvent>) -> BTreeMap<String, Vec<CaseEvent>> {
    let mut cases: BTreeMap<String, Vec<CaseEvent>> = BTreeMap::new();
    for event in events {
        cases.entry(event.case.clone()).or_default().push(event);
    }
    for events in cases.values_mut() {
        events.sort_by_key(|event| event.sequence);
        let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, (1..).take(events.len()).collect::<Vec<_>>());
    }
    cases
}

/// A worker that dies loses no delivery; nobody can cancel a delivery; a delivery that nobody ordered does nothing.
#[test]
fn a_delivery_survives_a_killed_worker_and_a_cancellation() {
    run(async {
        let world = World::apart("webhooks", &[("RECOURSE_WEBHOOK_ALLOW_LOCAL", "true")]).await;
        let book = webhooks(&world).await;
        let receiver = Receiver::start(usize::MAX).await;
        let (endpoint, _) = book.add(&receiver.url, "").await.unwrap();
        let story = Story::new(&world, "outlived");
        story.deposit("d-1", 30_000, "card-1").await;
        once("it is tried", async || (!receiver.received().is_empty()).then_some(())).await;
        world.kill_worker().await;
        let FeedEntry { event, .. } = book.feed(0, 1, Some(&story.id())).await.unwrap().remove(0);
        let id = DeliveryOrder { endpoint: endpoint.id.clone(), event: event.id.clone() }.workflow_id();
        assert_eq!(id, format!("webhook:{}:{}", endpoint.id, event.id));
        let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(&id);
        handle.cancel(WorkflowCancelOptions::default()).await.unwrap();
        world.start_worker().await;
        // Only after the workflow has seen the request to cancel.
        let seen = once("the request to cancel is seen", async || {
            let events = history(&world, &id).await;
            let asked = events.iter().position(|event| *event == EventType::WorkflowExecutionCancelRequested)?;
            events[asked..].contains(&EventType::WorkflowTaskCompleted).then_some(events)
        });
        let events = seen.await;
        assert!(!events.contains(&EventType::ActivityTaskCancelRequested), "it is not sent any more: {events:?}");
        receiver.is_free();
        all_taken(&book, &endpoint.id, 1).await;
        assert_eq!(receipt(&world, &id).await, DeliveryReceipt::Delivered);
        assert_eq!(deliveries_started(&world).await, 1);

        for (id, data) in [("nothing", "[]"), ("no-event", r#"{"endpoint": "we_x", "event": "evt_x"}"#)] {
            let metadata = [("encoding".to_owned(), b"json/plain".to_vec())].into();
            let input = Payload { metadata, data: data.into(), ..Payload::default() };
            let options = WorkflowStartOptions::new(TASK_QUEUE, id).build();
            let workflow = UntypedWorkflow::new("WebhookDelivery");
            world.client.temporal().start_workflow(workflow, RawValue::new(vec![input]), options).await.unwrap();
            assert_eq!(receipt(&world, id).await, DeliveryReceipt::Refused, "{id}");
        }
    });
}

/// The events of a workflow's history.
async fn history(world: &World, id: &str) -> Vec<EventType> {
    let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(id);
    let events = handle.fetch_history(WorkflowFetchHistoryOptions::default()).into_events().await.unwrap();
    events.iter().map(HistoryEvent::event_type).collect()
}

/// The result of a delivery.
pub async fn receipt(world: &World, id: &str) -> DeliveryReceipt {
    let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(id);
    let result = handle.get_result(WorkflowGetResultOptions::default()).await.unwrap();
    serde_json::from_slice(&result.payloads[0].data).unwrap()
}
