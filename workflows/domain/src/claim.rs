//! The freelancer's claim and the client's rejection (R5, D4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    evidence::Evidence,
    money::{Amount, Currency},
    names::names,
    policy::Policy,
    text::check_text,
};

/// What a dispute is about (D1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grounds {
    /// A refund request after the contract's end (R6).
    RefundRequest,
    /// A submitted milestone is not released.
    NonRelease,
    /// A milestone was released in part (E6).
    PartialRelease,
}

impl Grounds {
    /// Whether the contract goes on, so that money that is not awarded stays in escrow (D3).
    pub const fn is_active(self) -> bool {
        matches!(self, Self::NonRelease | Self::PartialRelease)
    }
}

/// What the freelancer still seeks of the money in dispute, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a claim: an object with `amount`, `reason` and `details`")]
pub struct Claim {
    /// How much of the disputed money.
    pub amount: Amount,
    /// Why.
    pub reason: ClaimReason,
    /// In the freelancer's words.
    pub details: String,
    /// Files that support it.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
}

/// Why a freelancer claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimReason {
    /// The work was delivered.
    WorkDelivered,
    /// A part of it was delivered.
    PartialWorkDelivered,
    /// The scope changed.
    ScopeChanged,
    /// The client does not answer.
    ClientUnresponsive,
    /// Another reason, told in the details.
    Other,
}

names! {
    ClaimReason:
    WorkDelivered = "work_delivered",
    PartialWorkDelivered = "partial_work_delivered",
    ScopeChanged = "scope_changed",
    ClientUnresponsive = "client_unresponsive",
    Other = "other",
}

/// The client's final answer to a claim that they do not accept (D4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejection {
    /// Why.
    pub reason: RejectionReason,
    /// In the client's words.
    pub details: String,
    /// Files that support it.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// The claimed amount that the client saw, if they name it. If the claim is for another amount by now, nothing is
    /// rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
}

/// Why a client rejects a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RejectionReason {
    /// Nothing was delivered.
    NotDelivered,
    /// The work is incomplete.
    Incomplete,
    /// The work is not what was agreed.
    NotAsAgreed,
    /// It came late.
    Late,
    /// It was paid already.
    AlreadyPaid,
    /// Another reason, told in the details.
    Other,
}

names! {
    RejectionReason:
    NotDelivered = "not_delivered",
    Incomplete = "incomplete",
    NotAsAgreed = "not_as_agreed",
    Late = "late",
    AlreadyPaid = "already_paid",
    Other = "other",
}

impl Claim {
    /// Whether this claim on `disputed` is fit (R5, D6): more than 0, at most `disputed`, with details.
    pub fn check(&self, disputed: Amount, currency: Currency, policy: &Policy) -> Result<(), String> {
        check_claimed(self.amount, disputed, currency)?;
        self.check_words(policy)
    }

    /// Whether its words and files are fit, independent of the money in dispute (R5, D6).
    pub fn check_words(&self, policy: &Policy) -> Result<(), String> {
        check_text("details", &self.details)?;
        policy.evidence.check(&self.evidence).map_err(|reason| format!("evidence: {reason}"))
    }
}

/// Whether the freelancer can claim this amount of `disputed` (R5): more than 0, and not more than `disputed`.
pub fn check_claimed(amount: Amount, disputed: Amount, currency: Currency) -> Result<(), String> {
    if amount.is_zero() {
        return Err(format!("amount: a claim is for more than 0, at most {}", currency.show(disputed)));
    }
    if amount > disputed {
        let (asked, disputed) = (currency.show(amount), currency.show(disputed));
        return Err(format!("amount: {asked} is more than the {disputed} in dispute"));
    }
    Ok(())
}

impl Rejection {
    /// Whether this is a complete rejection (D4, D6): with a description.
    pub fn check(&self, policy: &Policy) -> Result<(), String> {
        check_text("details", &self.details)?;
        policy.evidence.check(&self.evidence).map_err(|reason| format!("evidence: {reason}"))
    }
}
