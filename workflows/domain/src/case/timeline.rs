//! A case's timeline, and the parts of a status that only some kinds of cases have.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    claim::{Claim, Rejection},
    fee::Arbitration,
    milestone::Review,
    offers::Offer,
    party::Role,
    payment::PaymentRequest,
    resolution::{Answer, Resolution},
    rule::Rule,
};

/// One thing that happened in a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineEntry {
    /// The time: for a command its receipt time, for silence the deadline.
    pub at: Timestamp,
    /// Who acted: a role, or `case` if a rule did it.
    pub by: Who,
    /// What.
    pub what: What,
    /// By which rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Who {
    Client,
    Freelancer,
    Mediator,
    Arbitrator,
    Operator,
    /// The case itself, by a rule.
    Case,
    /// Somebody whose message could not be read.
    Unknown,
}

impl From<Role> for Who {
    fn from(role: Role) -> Self {
        match role {
            Role::Client => Self::Client,
            Role::Freelancer => Self::Freelancer,
            Role::Mediator => Self::Mediator,
            Role::Arbitrator => Self::Arbitrator,
            Role::Operator => Self::Operator,
        }
    }
}

/// What can happen in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the rule book's words")]
pub enum What {
    ContractEnded,
    PaidNow,
    RefundRequested,
    RefundApproved,
    RefundRequestReleased,
    ClaimFiled,
    ClaimAmended,
    ClaimWithdrawn,
    ClaimAccepted,
    ClaimRejected,
    OfferMade,
    OfferReplaced,
    OfferRetracted,
    OfferRejected,
    OfferAccepted,
    ResolutionOverdue,
    ResolutionProposed,
    ResolutionAccepted,
    ResolutionRejected,
    MediationClosed,
    NoticeOfNonResolution,
    ArbitrationDemanded,
    ArbitrationFeePaid,
    ArbitrationFeeDeclined,
    ArbitrationStarted,
    AwardGiven,
    Extended,
    Reminded,
    Silence,
    DisputeOpened,
    DisputeStopped,
    Refused,
    Unreadable,
    Decided,
    Closed,
    Submitted,
    Approved,
    ChangesRequested,
    Superseded,
    DisputeWithdrawn,
    BonusPaid,
    BonusDeclined,
    ReturnAsked,
    ReturnAgreed,
    ReturnNotCovered,
    Returned,
    ReturnRejected,
    MediationRequested,
    MediationHelpEnded,
    OpinionGiven,
}

/// The parts of a status that only some kinds of cases have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Particulars {
    /// The claim.
    pub claim: Option<Claim>,
    /// The client's rejection of it.
    pub rejection: Option<Rejection>,
    /// The parties' offers, oldest first.
    pub offers: Vec<Offer>,
    /// The mediator's resolution.
    pub resolution: Option<Resolution>,
    /// The parties' answers to the resolution.
    pub answers: BTreeMap<Role, Answer>,
    /// In a dispute: what arbitration costs each party, and who has paid (A1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arbitration: Option<Arbitration>,
    /// The workflow id of the dispute that took over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispute: Option<String>,
    /// The milestone under review, the latest submission and the requested changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// The payment that the client asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentRequest>,
}
