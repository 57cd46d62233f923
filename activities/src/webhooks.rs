//! The effects that send webhooks.

use recourse_notifications::webhooks::{Deliverer, WebhookError};
use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::ActivityError;

/// The effects that send webhooks.
#[derive(Debug, Clone)]
pub struct WebhookActivities {
    deliverer: Deliverer,
}

impl WebhookActivities {
    /// Sends with `deliverer`.
    pub const fn new(deliverer: Deliverer) -> Self {
        Self { deliverer }
    }
}

fn retryable(error: WebhookError) -> ActivityError {
    let type_name = error.type_name().to_owned();
    ActivityError::application(ApplicationFailure::builder(error).type_name(type_name).build())
}

/// The declared effects, by their names on the task queue.
mod declared {
    #![allow(missing_docs, reason = "the SDK's macro makes constants that have none")]

    use std::sync::Arc;

    use recourse_database::in_time;
    use recourse_workflows::effects::{DeliverDef, DeliveryOrder, DeliveryReceipt, GiveUpDef};
    use temporalio_macros::activities;
    use temporalio_sdk::activities::{ActivityContext, ActivityError};

    use super::{WebhookActivities, WebhookError, retryable};

    #[activities]
    impl WebhookActivities {
        /// Sends an event to an endpoint.
        #[activity(definition = DeliverDef)]
        pub async fn deliver(
            self: Arc<Self>,
            _: ActivityContext,
            order: DeliveryOrder,
        ) -> Result<DeliveryReceipt, ActivityError> {
            in_time(self.deliverer.deliver(&order), WebhookError::from).await.map_err(retryable)
        }

        /// Records that an event is not sent any more.
        #[activity(definition = GiveUpDef)]
        pub async fn give_up(
            self: Arc<Self>,
            _: ActivityContext,
            order: DeliveryOrder,
        ) -> Result<DeliveryReceipt, ActivityError> {
            in_time(self.deliverer.give_up(&order), WebhookError::from).await.map_err(retryable)
        }
    }
}
