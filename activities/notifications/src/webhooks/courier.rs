//! The courier starts a delivery for each event and each endpoint, in the background. It sends nothing itself, so it
//! never waits for an endpoint that is down. Several couriers may work on the same database: they start each delivery
//! only once.

use std::{fmt, future::Future, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use recourse_database::in_time;
use recourse_workflows::{TASK_QUEUE, effects::DeliveryOrder};
use temporalio_client::{
    Client, UntypedWorkflow, WorkflowIdConflictPolicy, WorkflowIdReusePolicy, WorkflowStartOptions,
    errors::WorkflowStartError,
};
use temporalio_common::{data_converters::RawValue, protos::temporal::api::common::v1::Payload};
use tokio::{sync::Notify, time::sleep};

use super::{Endpoint, WebhookBook, WebhookError, deliveries, endpoints, events};

/// How often the courier looks for events without being woken.
const POLL: Duration = Duration::from_secs(1);

/// How long it waits after an error.
const PAUSE: Duration = Duration::from_secs(5);

/// How many events it hands over before it records its position.
const BATCH: u32 = 50;

/// How many deliveries are started at once.
const STARTS_AT_ONCE: usize = 8;

/// Starts the workflow of a delivery.
#[async_trait]
pub trait StartsDeliveries: fmt::Debug + Send + Sync {
    /// Starts it, unless it was started before: both are success.
    ///
    /// # Errors
    /// [`WebhookError::NotStarted`] if nobody knows whether it was started.
    async fn start(&self, order: &DeliveryOrder) -> Result<(), WebhookError>;
}

/// A Temporal server, through a client.
#[derive(Clone)]
struct Server(Client);

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

#[async_trait]
impl StartsDeliveries for Server {
    async fn start(&self, order: &DeliveryOrder) -> Result<(), WebhookError> {
        let options = WorkflowStartOptions::new(TASK_QUEUE, order.workflow_id())
            .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
            .id_conflict_policy(WorkflowIdConflictPolicy::Fail)
            .static_summary(format!("Event {} to endpoint {}", order.event, order.endpoint))
            .build();
        let metadata = [("encoding".to_owned(), b"json/plain".to_vec())].into();
        let input = Payload { metadata, data: serde_json::to_vec(order)?, ..Payload::default() };
        let workflow = UntypedWorkflow::new("WebhookDelivery");
        match self.0.start_workflow(workflow, RawValue::new(vec![input]), options).await {
            Ok(_) | Err(WorkflowStartError::AlreadyStarted { .. }) => Ok(()),
            Err(error) => Err(WebhookError::NotStarted { reason: error.to_string() }),
        }
    }
}

/// Hands events over to be delivered. [`crate::NoticeBook::courier`] makes one.
#[derive(Debug)]
pub struct Courier {
    book: WebhookBook,
    waker: Arc<Notify>,
    server: Arc<dyn StartsDeliveries>,
    poll: Duration,
}

impl Courier {
    pub(crate) fn to_server(book: WebhookBook, waker: Arc<Notify>, client: Client) -> Self {
        Self::new(book, waker, Arc::new(Server(client)))
    }

    pub(super) fn new(book: WebhookBook, waker: Arc<Notify>, server: Arc<dyn StartsDeliveries>) -> Self {
        Self { book, waker, server, poll: POLL }
    }

    /// The same courier with another interval.
    #[cfg(test)]
    pub(super) const fn polling(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// Works until `shutdown` is done.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        loop {
            // If a round is cut off, the next one repeats it.
            let done = tokio::select! {
                biased;
                () = &mut shutdown => return,
                done = in_time(self.hand_over(), WebhookError::from) => done,
            };
            let wait = match done {
                Ok(()) => self.poll,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "webhooks cannot be handed over; trying again"
                    );
                    PAUSE
                }
            };
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = self.waker.notified() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Starts every delivery that was not started yet.
    ///
    /// # Errors
    /// If the database or the server cannot be used. What was handed over before stays so.
    pub(super) async fn hand_over(&self) -> Result<(), WebhookError> {
        for endpoint in endpoints::behind(&self.book.database).await? {
            self.hand_over_to(&endpoint).await?;
        }
        Ok(())
    }

    async fn hand_over_to(&self, endpoint: &Endpoint) -> Result<(), WebhookError> {
        let database = &self.book.database;
        let mut position = endpoint.handed_over;
        loop {
            let batch = events::feed(database, position, BATCH, None).await?;
            let Some(last) = batch.last() else { return Ok(()) };
            position = last.position;
            let positions: Vec<i64> = batch.iter().map(|entry| entry.position).collect();
            // First, so that a delivery finds the row for its result.
            deliveries::begin(database, &endpoint.id, &positions, Timestamp::now()).await?;
            stream::iter(batch)
                .map(|entry| async move {
                    let order = DeliveryOrder { endpoint: endpoint.id.clone(), event: entry.event.id };
                    self.server.start(&order).await
                })
                .buffered(STARTS_AT_ONCE)
                .try_collect::<()>()
                .await?;
            endpoints::handed_over(database, &endpoint.id, position).await?;
        }
    }
}
