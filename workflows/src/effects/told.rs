//! Who is to be told what: people by notices, programs by webhooks.

use jiff::Timestamp;
use recourse_domain::{notice::Notice, party::Contract};
use serde::{Deserialize, Serialize};

/// Tells people (N1–N3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tell {
    /// The workflow id.
    pub case: String,
    /// What the notices are named by; see [`OpenedCase::case_ref`].
    pub case_ref: String,
    /// The contract and with it names and addresses.
    pub contract: Contract,
    /// What to tell whom.
    pub notices: Vec<Notice>,
    /// When it happened, in the case's time.
    pub at: Timestamp,
}

/// What came of a [`Tell`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticesStored {
    /// How many notices are stored; emails among them are queued and sent when their channel is up (N3).
    pub stored: u32,
}

/// Brings one event to one endpoint, which may be tried for days. Not a case's effect: its workflow does nothing else.
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

/// What came of a [`DeliveryOrder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "delivery", rename_all = "snake_case")]
pub enum DeliveryReceipt {
    /// The endpoint took it.
    Delivered,
    /// The endpoint is gone: it was removed or disabled, or it said so.
    Gone,
    /// It was tried for as long as it is worth. The event stays in the feed.
    GivenUp,
    /// There is no such event, or the order could not be read.
    Refused,
}
