//! Which notices go to whom (N1). This module decides the facts; the sender of notices chooses the words.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{command::CommandKind, money::Amount, names::names, party::Role, rule::Rule};

/// The one list of all notices: passes each to a macro. Each has its name, for keys and for its template, and says whether a
/// party also gets an email (N1). Emails are for what the policy names, for every movement of money, and for reminders: a
/// party who does not look would not see them otherwise (T5).
#[macro_export]
macro_rules! each_notice {
    ($with:ident) => {
        $with! {
            Deposited = "deposited", by email;
            DepositDeclined = "deposit_declined", by email;
            PaidNow = "paid_now", by email;
            RefundRequested = "refund_requested", by email;
            Reminder = "reminder", by email;
            DisputeFiled = "dispute_filed", by email;
            ClaimAmended = "claim_amended", app only;
            ClaimRejected = "claim_rejected", app only;
            OfferMade = "offer_made", app only;
            OfferRetracted = "offer_retracted", app only;
            OfferRejected = "offer_rejected", app only;
            MediationNeeded = "mediation_needed", app only;
            MediationOverdue = "mediation_overdue", app only;
            ResolutionProposed = "resolution_proposed", by email;
            ResolutionAnswered = "resolution_answered", app only;
            NonResolution = "non_resolution", by email;
            ArbitrationDemanded = "arbitration_demanded", app only;
            ArbitrationFeeDeclined = "arbitration_fee_declined", app only;
            ArbitrationStarted = "arbitration_started", app only;
            ArbitrationWaiting = "arbitration_waiting", app only;
            WindowExtended = "window_extended", app only;
            Decided = "decided", by email;
            OnHold = "on_hold", app only;
            MilestoneSubmitted = "milestone_submitted", app only;
            ChangesRequested = "changes_requested", app only;
            MilestoneReleased = "milestone_released", by email;
            ReviewSuperseded = "review_superseded", app only;
            ReviewResumed = "review_resumed", app only;
            BonusPaid = "bonus_paid", by email;
            BonusFailed = "bonus_failed", by email;
            PaymentRefundRequested = "payment_refund_requested", by email;
            MediationRequested = "mediation_requested", app only;
            OpinionGiven = "opinion_given", app only;
            ReturnFailed = "return_failed", app only;
            PaymentReturned = "payment_returned", by email;
            NothingReturned = "nothing_returned", app only;
            RefundFailed = "refund_failed", by email;
            RefundOverdue = "refund_overdue", app only;
            RefundSettledAfterAll = "refund_settled_after_all", by email;
        }
    };
}

/// Declares the notices' events, and which of them also go out by email.
macro_rules! notice_events {
    ($($event:ident = $name:literal, $where:ident $how:ident;)+) => {
        /// Something that happened and that a notice reports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[allow(missing_docs, reason = "the names say it; the words are in the notice templates")]
        pub enum NoticeEvent {
            $(#[serde(rename = $name)] $event,)+
        }

        names! { NoticeEvent: $($event = $name),+ }

        impl NoticeEvent {
            /// Whether a party also gets an email (N1).
            pub const fn by_email(self) -> bool {
                match self {
                    $(Self::$event => is_email!($where)),+
                }
            }
        }
    };
}

/// Whether a notice goes out `by email`, and not only `app only`.
macro_rules! is_email {
    (by) => {
        true
    };
    (app) => {
        false
    };
}

each_notice!(notice_events);

/// What silence does at the deadline.
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

names! {
    IfSilent:
    RefundClient = "refund_client",
    KeepInEscrow = "keep_in_escrow",
    ReleaseClaimedAmount = "release_claimed_amount",
    ReleaseClaimedKeepRest = "release_claimed_keep_rest",
    ReleaseAllHeld = "release_all_held",
    NoticeOfNonResolution = "notice_of_non_resolution",
    ReleaseFreelancer = "release_freelancer",
    FollowResolution = "follow_resolution",
    Hold = "hold",
    ReturnNothing = "return_nothing",
}

impl IfSilent {
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

/// A message to one recipient about one thing that happened, once per channel (N2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The notice's number in its case. It identifies the notice, however often it is sent.
    pub number: u32,
    /// What happened.
    pub event: NoticeEvent,
    /// The recipient: a party of the contract, or the queue of a role.
    pub to: Role,
    /// Who did it, if a person did it.
    pub by: Option<Role>,
    /// The rule behind it.
    pub rule: Rule,
    /// Whether it also goes out by email.
    pub email: bool,
    /// What the recipient can do now.
    pub can: Vec<CommandKind>,
    /// The deadline for it.
    pub deadline: Option<Timestamp>,
    /// What silence does at the deadline.
    pub if_silent: Option<IfSilent>,
    /// Amounts and texts.
    pub facts: Facts,
}

/// Amounts and texts of a notice. Each is present if the event has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// What is held, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Amount>,
    /// The amount that was paid, claimed, deposited or charged.
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
    /// Whose act or silence decided, by its wire name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<super::outcome::DecidedBy>,
    /// The milestone that this is about, by its name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<String>,
    /// A person's own words: details, rationale, message or reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether a resolution was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
    /// When a refund should have reached its billing method (R8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_by: Option<Timestamp>,
}
