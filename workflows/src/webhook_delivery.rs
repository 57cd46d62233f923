//! A webhook's delivery: one event to one endpoint, tried for three days. It is not a case and decides nothing. It is a
//! workflow so that Temporal does its retries and shows them.

use std::time::Duration;

use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{
    ActivityCloseTimeouts, ActivityOptions, RetryPolicy, WorkflowCancellationToken, WorkflowContext, WorkflowResult,
};

use crate::{
    effects::{DeliveryOrder, DeliveryReceipt, Webhooks},
    messages::read,
    ordering::order,
};

/// How long one try may take.
const TRY_MAX: Duration = Duration::from_secs(20);

/// How long Recourse tries altogether. The feed keeps the events that an endpoint missed.
const DELIVERY_MAX: Duration = Duration::from_hours(72);

/// The wait after the first try; each is three times as long as the one before.
const RETRY_FIRST: Duration = Duration::from_secs(5);

/// The longest wait between two tries.
const RETRY_INTERVAL_MAX: Duration = Duration::from_hours(6);

/// One event on its way to one endpoint.
#[workflow]
#[derive(Default)]
pub struct WebhookDelivery;

#[workflow_methods]
impl WebhookDelivery {
    /// Sends the event until the endpoint takes it or the time is over.
    #[run]
    pub async fn run(ctx: &mut WorkflowContext<Self>, start: RawValue) -> WorkflowResult<DeliveryReceipt> {
        Ok(bring(ctx, &start).await)
    }
}

async fn bring(ctx: &WorkflowContext<WebhookDelivery>, start: &RawValue) -> DeliveryReceipt {
    let Ok(delivery) = read::<DeliveryOrder>(start) else { return DeliveryReceipt::Refused };
    let what = format!("event {} to endpoint {}", delivery.event, delivery.endpoint);
    // Unlike a case's effect, a delivery may stay undone, and it must end at some time. A cancellation does not end it.
    let retries = RetryPolicy::builder()
        .initial_interval(RETRY_FIRST)
        .backoff_coefficient(3.0)
        .maximum_interval(RETRY_INTERVAL_MAX)
        .build();
    let limits =
        ActivityCloseTimeouts::ScheduleAndStartToClose { schedule_to_close: DELIVERY_MAX, start_to_close: TRY_MAX };
    let options = ActivityOptions::with_close_timeouts(limits)
        .retry_policy(retries)
        .summary(format!("send {what}"))
        .cancellation_token(WorkflowCancellationToken::new())
        .build();
    match ctx.execute_activity(Webhooks::deliver, delivery.clone(), options).await {
        Ok(receipt) => receipt,
        Err(_) => order(ctx, || Webhooks::give_up, delivery, format!("give up {what}")).await,
    }
}
