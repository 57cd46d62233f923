//! A request for a payment, in its status (P1–P4).

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ids::PaymentId, money::Amount};

/// The payment in the status of a request for a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentRequest {
    /// The payment: the id of its posting.
    pub id: PaymentId,
    /// When it was released.
    pub released_at: Timestamp,
    /// How much was paid and not returned when the request was made, in minor units.
    pub left: Amount,
    /// How much the client asks for, in minor units.
    pub asked: Amount,
    /// Why, in the client's words.
    pub message: String,
    /// Until when mediation help may be asked for (P3).
    pub mediation_until: Timestamp,
    /// What the client wrote when they asked for mediation.
    pub mediation: Option<String>,
    /// What the mediator thinks of it, which binds nobody.
    pub opinion: Option<String>,
}
