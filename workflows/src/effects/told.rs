//! Orders to inform people by notices, and programs by webhooks.

use jiff::Timestamp;
use recourse_domain::{notice::Notice, party::Contract};
use serde::{Deserialize, Serialize};

/// Stores notices for people (N1–N3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tell {
    /// The workflow id.
    pub case: String,
    /// The name that begins the notices' ids; see [`OpenedCase::case_ref`].
    pub case_ref: String,
    /// The contract, with names and addresses.
    pub contract: Contract,
    /// The notices.
    pub notices: Vec<Notice>,
    /// When it happened, in the case's time.
    pub at: Timestamp,
}

/// The result of a [`Tell`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticesStored {
    /// How many notices are stored. Emails among them wait in the outbox until their channel works (N3).
    pub stored: u32,
}

/// Sends one event to one endpoint. Retries may take days. This is not a case's effect: its workflow does nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryOrder {
    /// The endpoint.
    pub endpoint: String,
    /// The event.
    pub event: String,
}

impl DeliveryOrder {
    /// The workflow id of the delivery. There is one for each event and endpoint.
    pub fn workflow_id(&self) -> String {
        format!("webhook:{}:{}", self.endpoint, self.event)
    }
}

/// The result of a [`DeliveryOrder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "delivery", rename_all = "snake_case")]
pub enum DeliveryReceipt {
    /// The endpoint took it.
    Delivered,
    /// The endpoint is gone: somebody removed or disabled it, or its answer says so.
    Gone,
    /// The time for retries is over. The event stays in the feed.
    GivenUp,
    /// There is no such event, or the order could not be read.
    Refused,
}
