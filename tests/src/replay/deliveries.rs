//! The paths of a webhook's delivery, which is no case and has no story: the endpoint takes the event, at once or later, or
//! never. The recordings are compared like those of cases.

use std::time::Duration;

use recourse_workflows::{TASK_QUEUE, effects::DeliveryReceipt};
use serde_json::{Value, json};
use sqlx::AnyPool;
use temporalio_client::{
    UntypedWorkflow, WorkflowCancelOptions, WorkflowFetchHistoryOptions, WorkflowHistory, WorkflowStartOptions,
};
use temporalio_common::{data_converters::RawValue, protos::temporal::api::common::v1::Payload};

use super::paths::{Path, path};
use crate::{
    harness::{Story, World},
    webhooks::{Receiver, receipt, webhooks},
};

/// The folder of their recordings.
pub const KIND: &str = "webhook_delivery";

const EVENT: &str = "evt_1";

/// A path, what its endpoint does, and its result.
pub struct Way {
    pub path: Path,
    input: fn(&str) -> Value,
    /// How many requests the endpoint refuses.
    failures: usize,
    meanwhile: Meanwhile,
    comes_to: DeliveryReceipt,
}

/// What happens after the first try.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// Somebody asks the server to cancel it.
    Cancelled,
    /// Three days pass.
    DaysPass,
}

fn of_event(endpoint: &str) -> Value {
    json!({"endpoint": endpoint, "event": EVENT})
}

/// Every path.
pub const WAYS: [Way; 5] = [
    Way {
        path: path("taken", &[KIND], "the endpoint takes it", ""),
        input: of_event,
        failures: 0,
        meanwhile: Meanwhile::Nothing,
        comes_to: DeliveryReceipt::Delivered,
    },
    Way {
        path: path("cancelled", &[KIND], "the endpoint is busy once; it is cancelled; the endpoint takes it", ""),
        input: of_event,
        failures: 1,
        meanwhile: Meanwhile::Cancelled,
        comes_to: DeliveryReceipt::Delivered,
    },
    Way {
        path: path("given-up", &[KIND], "the endpoint is busy for three days", ""),
        input: of_event,
        failures: usize::MAX,
        meanwhile: Meanwhile::DaysPass,
        comes_to: DeliveryReceipt::GivenUp,
    },
    Way {
        path: path("no-event", &[KIND], "nobody knows the event", ""),
        input: |endpoint| json!({"endpoint": endpoint, "event": "evt_unknown"}),
        failures: 0,
        meanwhile: Meanwhile::Nothing,
        comes_to: DeliveryReceipt::Refused,
    },
    Way {
        path: path("unreadable", &[KIND], "what it is started with says nothing", ""),
        input: |_| json!([]),
        failures: 0,
        meanwhile: Meanwhile::Nothing,
        comes_to: DeliveryReceipt::Refused,
    },
];

/// A world with one event, whose id is known, and no endpoint that gets it automatically.
pub async fn world() -> World {
    let world = World::apart("deliveries", &[("RECOURSE_WEBHOOK_ALLOW_LOCAL", "true")]).await;
    let story = Story::new(&world, "delivered");
    story.deposit("d-1", 30_000, "card-1").await;
    run_sql(&world, &format!("UPDATE events SET id = '{EVENT}'")).await;
    world
}

/// Plays a path, and returns its history as the SDK writes it.
pub async fn play(world: &World, way: &Way) -> Vec<u8> {
    let receiver = Receiver::start(way.failures).await;
    let (endpoint, _) = webhooks(world).await.add(&receiver.url, way.path.name).await.unwrap();
    let (made_up, known) = (endpoint.id, format!("we_{}", way.path.name));
    for sql in [
        format!(
            "INSERT INTO webhook_endpoints (id, url, description, added_at, handed_over)
             SELECT '{known}', url, description, added_at, handed_over FROM webhook_endpoints WHERE id = '{made_up}'"
        ),
        format!("UPDATE webhook_secrets SET endpoint = '{known}' WHERE endpoint = '{made_up}'"),
        format!("DELETE FROM webhook_endpoints WHERE id = '{made_up}'"),
    ] {
        run_sql(world, &sql).await;
    }
    let id = format!("webhook:{known}:{EVENT}");
    let metadata = [("encoding".to_owned(), b"json/plain".to_vec())].into();
    let data = (way.input)(&known).to_string().into_bytes();
    let input = RawValue::new(vec![Payload { metadata, data, ..Payload::default() }]);
    let options = WorkflowStartOptions::new(TASK_QUEUE, &id).build();
    let client = world.client.temporal();
    client.start_workflow(UntypedWorkflow::new("WebhookDelivery"), input, options).await.unwrap();
    let handle = client.get_workflow_handle::<UntypedWorkflow>(&id);
    if way.meanwhile != Meanwhile::Nothing {
        while receiver.received().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if way.meanwhile == Meanwhile::Cancelled {
            handle.cancel(WorkflowCancelOptions::default()).await.unwrap();
        }
        let hours = if way.meanwhile == Meanwhile::Cancelled { 1 } else { 73 };
        world.client.advance(&id, Duration::from_hours(hours)).await.unwrap();
    }
    assert_eq!(receipt(world, &id).await, way.comes_to, "{}", way.path.name);
    let history: WorkflowHistory = handle.fetch_history(WorkflowFetchHistoryOptions::default());
    history.to_json().await.unwrap()
}

async fn run_sql(world: &World, sql: &str) {
    sqlx::any::install_default_drivers();
    let pool = AnyPool::connect(&world.database_url).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    pool.close().await;
}
