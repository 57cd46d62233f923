//! The starts of cases, as on the wire.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    claim::{Claim, Grounds},
    deposit::Source,
    ids::{Id, PaymentId},
    milestone::{Milestone, Submission},
    money::Amount,
    outcome::Outcome,
    party::{Actor, Contract},
    policy::Policy,
    rule::Rule,
};

/// Starts `EscrowDeposit`: charges a billing method and puts the money in escrow (E2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `contract`, `deposit`, `amount` and `source`")]
pub struct EscrowDepositStart {
    /// The contract.
    pub contract: Contract,
    /// The deposit's id.
    pub deposit: Id,
    /// How much, in minor units.
    pub amount: Amount,
    /// The milestone it is for; without one, the whole contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<Id>,
    /// The billing method.
    pub source: Source,
}

/// Starts `RefundRequest`: the contract has ended (R1, R2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `contract` and `pay_now`")]
pub struct RefundRequestStart {
    /// The contract.
    pub contract: Contract,
    /// What the client pays at once, in minor units; 0 to pay nothing.
    pub pay_now: Amount,
    /// Why, in the client's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The policy of the case; the default policy if there is none (T3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// Starts `Dispute`: the freelancer claims money in escrow (D1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `contract`, `grounds` and `claim`")]
pub struct DisputeStart {
    /// The contract.
    pub contract: Contract,
    /// What it is about.
    pub grounds: Grounds,
    /// The milestone, on an active contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<Id>,
    /// What the freelancer claims.
    pub claim: Claim,
    /// Whether the freelancer says that they contacted the client and it did not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contacted_client: Option<bool>,
    /// The person of the platform who attests that the milestone was submitted, if the ledger does not know it (D1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested_by: Option<Actor>,
    /// The policy of the case; the default policy if there is none (T3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// Starts `MilestoneReview`: the freelancer submits a milestone for the first time (E3, E4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `contract`, `milestone` and `note`")]
pub struct MilestoneReviewStart {
    /// The contract.
    pub contract: Contract,
    /// The milestone.
    pub milestone: Milestone,
    /// What is submitted: its `note` and `files`.
    #[serde(flatten)]
    pub submission: Submission,
    /// The policy of the case; the default policy if there is none (T3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// Starts `PaymentRefund`: the client asks for released money back (P1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `contract`, `payment`, `released_at` and `amount`")]
pub struct PaymentRefundStart {
    /// The contract.
    pub contract: Contract,
    /// The payment: the id of a release in the ledger.
    pub payment: PaymentId,
    /// When it was released, as far as the client knows. The ledger's own time counts if it is earlier.
    pub released_at: Timestamp,
    /// How much is asked for, in minor units.
    pub amount: Amount,
    /// Why, in the client's words.
    #[serde(default)]
    pub message: String,
    /// The policy of the case; the default policy if there is none (T3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// Whether a case can be opened for this contract under this policy, or under the default one (E1, T3).
///
/// # Errors
/// The refused start, with the rule and the field.
pub(crate) fn check_opening(contract: &Contract, policy: Option<&Policy>) -> Result<(), Outcome> {
    contract.check().map_err(|(rule, reason)| Outcome::refused(rule, format!("contract: {reason}")))?;
    let checked = policy.map_or(Ok(()), Policy::check);
    checked.map_err(|reason| Outcome::refused(Rule::T3, format!("policy.{reason}")))
}
