//! The mediator's non-binding proposal, and the parties' answers to it (M3, M4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::Amount;

/// The mediator's non-binding proposal (M3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resolution {
    /// The freelancer's part, in minor units.
    pub to_freelancer: Amount,
    /// The client's part, in minor units.
    pub to_client: Amount,
    /// The mediator's reasons.
    pub rationale: String,
}

/// A party's final answer to the resolution (M4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Yes.
    Accepted,
    /// No.
    Rejected,
}
