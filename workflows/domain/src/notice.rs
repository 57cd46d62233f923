//! Who is told what (N1). The words are chosen where notices are sent; the facts are decided here.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{command::Verb, money::Amount, party::Role, rule::Rule};

/// Something that happened and that somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it; the words are in the notice templates")]
pub enum NoticeEvent {
    Deposited,
    DepositDeclined,
    PaidNow,
    RefundRequested,
    Reminder,
    DisputeFiled,
    ClaimAmended,
    ClaimRejected,
    OfferMade,
    OfferRetracted,
    OfferRejected,
    MediationNeeded,
    MediationOverdue,
    ResolutionProposed,
    ResolutionAnswered,
    NonResolution,
    ArbitrationDemanded,
    ArbitrationFeeDeclined,
    ArbitrationStarted,
    ArbitrationWaiting,
    WindowExtended,
    Decided,
    OnHold,
    MilestoneSubmitted,
    ChangesRequested,
    MilestoneReleased,
    ReviewSuperseded,
    ReviewResumed,
    BonusPaid,
    BonusFailed,
    PaymentRefundRequested,
    MediationRequested,
    OpinionGiven,
    ReturnFailed,
    PaymentReturned,
    NothingReturned,
    RefundFailed,
    RefundOverdue,
    RefundSettledAfterAll,
}

impl NoticeEvent {
    /// The name in keys and templates.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deposited => "deposited",
            Self::DepositDeclined => "deposit_declined",
            Self::PaidNow => "paid_now",
            Self::RefundRequested => "refund_requested",
            Self::Reminder => "reminder",
            Self::DisputeFiled => "dispute_filed",
            Self::ClaimAmended => "claim_amended",
            Self::ClaimRejected => "claim_rejected",
            Self::OfferMade => "offer_made",
            Self::OfferRetracted => "offer_retracted",
            Self::OfferRejected => "offer_rejected",
            Self::MediationNeeded => "mediation_needed",
            Self::MediationOverdue => "mediation_overdue",
            Self::ResolutionProposed => "resolution_proposed",
            Self::ResolutionAnswered => "resolution_answered",
            Self::NonResolution => "non_resolution",
            Self::ArbitrationDemanded => "arbitration_demanded",
            Self::ArbitrationFeeDeclined => "arbitration_fee_declined",
            Self::ArbitrationStarted => "arbitration_started",
            Self::ArbitrationWaiting => "arbitration_waiting",
            Self::WindowExtended => "window_extended",
            Self::Decided => "decided",
            Self::OnHold => "on_hold",
            Self::MilestoneSubmitted => "milestone_submitted",
            Self::ChangesRequested => "changes_requested",
            Self::MilestoneReleased => "milestone_released",
            Self::ReviewSuperseded => "review_superseded",
            Self::ReviewResumed => "review_resumed",
            Self::BonusPaid => "bonus_paid",
            Self::BonusFailed => "bonus_failed",
            Self::PaymentRefundRequested => "payment_refund_requested",
            Self::MediationRequested => "mediation_requested",
            Self::OpinionGiven => "opinion_given",
            Self::ReturnFailed => "return_failed",
            Self::PaymentReturned => "payment_returned",
            Self::NothingReturned => "nothing_returned",
            Self::RefundFailed => "refund_failed",
            Self::RefundOverdue => "refund_overdue",
            Self::RefundSettledAfterAll => "refund_settled_after_all",
        }
    }

    /// Whether a party is also told by email (N1): the four that the policy names, every movement of money, and
    /// reminders, which would be of little use to somebody who does not look (T5).
    pub const fn by_email(self) -> bool {
        matches!(
            self,
            Self::Deposited
                | Self::DepositDeclined
                | Self::PaidNow
                | Self::RefundRequested
                | Self::Reminder
                | Self::DisputeFiled
                | Self::ResolutionProposed
                | Self::NonResolution
                | Self::Decided
                | Self::MilestoneReleased
                | Self::BonusPaid
                | Self::BonusFailed
                | Self::PaymentRefundRequested
                | Self::PaymentReturned
                | Self::RefundFailed
                | Self::RefundSettledAfterAll
        )
    }
}

/// What silence does when a window closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "`in_words` says it")]
pub enum IfSilent {
    RefundClient,
    KeepInEscrow,
    ReleaseClaimedAmount,
    ReleaseClaimedKeepRest,
    ReleaseAllHeld,
    NoticeOfNonResolution,
    ReleaseFreelancer,
    FollowResolution,
    Hold,
    ReturnNothing,
}

impl IfSilent {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RefundClient => "refund_client",
            Self::KeepInEscrow => "keep_in_escrow",
            Self::ReleaseClaimedAmount => "release_claimed_amount",
            Self::ReleaseClaimedKeepRest => "release_claimed_keep_rest",
            Self::ReleaseAllHeld => "release_all_held",
            Self::NoticeOfNonResolution => "notice_of_non_resolution",
            Self::ReleaseFreelancer => "release_freelancer",
            Self::FollowResolution => "follow_resolution",
            Self::Hold => "hold",
            Self::ReturnNothing => "return_nothing",
        }
    }

    /// As a clause: "silence …".
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::RefundClient => "refunds the client",
            Self::ReleaseClaimedAmount => {
                "releases the claimed amount to the freelancer and refunds the rest to the client"
            }
            Self::KeepInEscrow => "leaves the money in escrow for the next milestone",
            Self::ReleaseClaimedKeepRest => {
                "releases the claimed amount to the freelancer and leaves the rest in escrow for the next milestone"
            }
            Self::NoticeOfNonResolution => "gives the Notice of Non-Resolution",
            Self::ReleaseAllHeld | Self::ReleaseFreelancer => "releases everything that is held to the freelancer",
            Self::FollowResolution => "moves the money as the mediator proposed",
            Self::Hold => "leaves the money in escrow for an operator",
            Self::ReturnNothing => "returns nothing",
        }
    }
}

/// One thing that one recipient is told, once per channel (N2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The notice's place in its case: what makes it this notice and no other, however often it is sent.
    pub number: u32,
    /// What happened.
    pub event: NoticeEvent,
    /// Who is told: a party of the contract, or the queue of a role.
    pub to: Role,
    /// Who did it, if it was somebody's act.
    pub by: Option<Role>,
    /// The rule behind it.
    pub rule: Rule,
    /// Whether it also goes out by email.
    pub email: bool,
    /// What the recipient can do now.
    pub can: Vec<Verb>,
    /// By when.
    pub deadline: Option<Timestamp>,
    /// What silence does then.
    pub if_silent: Option<IfSilent>,
    /// What else there is to say.
    pub facts: Facts,
}

/// Amounts and texts that a notice speaks of, each where the event has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// What is held, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Amount>,
    /// The amount that this is about: paid, claimed, deposited or charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// The freelancer's part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_freelancer: Option<Amount>,
    /// The client's part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_client: Option<Amount>,
    /// What stays in escrow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_in_escrow: Option<Amount>,
    /// An offer's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Whose act or silence decided, by its name on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<super::outcome::DecidedBy>,
    /// The milestone that this is about, by its name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<String>,
    /// What somebody wrote: details, rationale, message or reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether a resolution was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
    /// When a refund should have reached its source (R8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_by: Option<Timestamp>,
}
