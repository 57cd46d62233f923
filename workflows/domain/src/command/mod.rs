//! Commands as they come in, and what becomes of those that are not taken.
//!
//! A command is read leniently: whatever arrives becomes a [`Message`] or an [`Unreadable`], never a failure of the
//! workflow. Whether it may be given, by whom and when, is decided by the case it is for.

mod read;
mod refusal;

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use read::{COMMAND_BYTES_MAX, fields};
pub use refusal::{Refusal, RefusalKind};

use super::{
    claim::{Claim, Rejection},
    ids::Id,
    milestone::Submission,
    money::Amount,
    party::Actor,
    text::shortened,
};

/// The name of a command: of the signal and of the update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is explained at its variant of Command")]
pub enum Verb {
    Submit,
    Approve,
    RequestChanges,
    Supersede,
    Dispute,
    Release,
    Accept,
    Reject,
    Amend,
    Withdraw,
    Offer,
    Retract,
    Propose,
    Close,
    DemandArbitration,
    Award,
    RequestMediation,
    Opinion,
    Extend,
}

impl Verb {
    /// Every command.
    pub const ALL: [Self; 19] = [
        Self::Submit,
        Self::Approve,
        Self::RequestChanges,
        Self::Supersede,
        Self::Dispute,
        Self::Release,
        Self::Accept,
        Self::Reject,
        Self::Amend,
        Self::Withdraw,
        Self::Offer,
        Self::Retract,
        Self::Propose,
        Self::Close,
        Self::DemandArbitration,
        Self::Award,
        Self::RequestMediation,
        Self::Opinion,
        Self::Extend,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Approve => "approve",
            Self::RequestChanges => "request_changes",
            Self::Supersede => "supersede",
            Self::Dispute => "dispute",
            Self::Release => "release",
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Amend => "amend",
            Self::Withdraw => "withdraw",
            Self::Offer => "offer",
            Self::Retract => "retract",
            Self::Propose => "propose",
            Self::Close => "close",
            Self::DemandArbitration => "demand_arbitration",
            Self::Award => "award",
            Self::RequestMediation => "request_mediation",
            Self::Opinion => "opinion",
            Self::Extend => "extend",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What `accept` and `reject` answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// The freelancer's claim.
    Claim,
    /// The mediator's resolution.
    Resolution,
    /// The offer with this number.
    Offer(u32),
    /// What the case as such asks: the one thing there is to answer in a request for a released payment.
    Request,
}

/// A command and its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// The freelancer submits a milestone again (E8).
    Submit(Submission),
    /// The freelancer agrees to a refund (R4) or returns a payment (P2), or the client approves a milestone (E5–E7).
    Approve {
        /// How much is paid or returned; nothing for all of it. A refund request has no such choice.
        amount: Option<Amount>,
        /// The number of the submission that the client looked at; nothing for whichever is the latest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        submission: Option<u32>,
    },
    /// The client asks for changes to a milestone (E8).
    RequestChanges {
        /// Which, in the client's words.
        message: String,
    },
    /// The contract has ended, and its refund request takes over from the review (E11).
    Supersede,
    /// The freelancer disputes the refund (R5) or that a milestone is not released (D1).
    Dispute {
        /// What is claimed.
        claim: Claim,
        /// Whether the freelancer says that they contacted the client and it did not help.
        contacted_client: bool,
    },
    /// The client gives up the refund request (R10).
    Release,
    /// A party accepts a claim, a resolution or an offer (D3, M5, M7).
    Accept(Subject),
    /// The client accepts the claim that they saw: one for this amount (D3).
    AcceptClaim {
        /// What was claimed when they looked.
        amount: Amount,
    },
    /// The client rejects the claim (D4).
    RejectClaim(Rejection),
    /// A party rejects a resolution or an offer (M6, M7), or the freelancer returns nothing of a payment (P2).
    Reject(Subject),
    /// The freelancer changes the claim (D5).
    Amend {
        /// The amount now claimed.
        amount: Amount,
        /// Why, replacing the claim's details.
        details: String,
    },
    /// The freelancer withdraws the claim (D5).
    Withdraw,
    /// A party offers a split (M7).
    Offer {
        /// The freelancer's part.
        to_freelancer: Amount,
        /// In the party's words.
        message: Option<String>,
    },
    /// A party takes back its offer (M7).
    Retract {
        /// Which.
        number: u32,
    },
    /// The mediator proposes the resolution (M3).
    Propose {
        /// The freelancer's part.
        to_freelancer: Amount,
        /// Why so.
        rationale: String,
    },
    /// The mediator gives the Notice of Non-Resolution now (M2).
    Close {
        /// Why.
        reason: String,
    },
    /// A party demands arbitration and pays its share of the fee (A1).
    DemandArbitration,
    /// The same, and it says which billing method pays (A1).
    DemandArbitrationFrom {
        /// The billing method.
        source: Id,
    },
    /// The arbitrator gives the award (A5).
    Award {
        /// The freelancer's part.
        to_freelancer: Amount,
        /// The arbitration provider's reference.
        reference: String,
    },
    /// The client asks a mediator to look at a request for a released payment (P3).
    RequestMediation {
        /// Why, in the client's words.
        message: String,
    },
    /// The mediator says what they think of it, which binds nobody (P3).
    Opinion {
        /// In the mediator's words.
        text: String,
    },
    /// A mediator or operator extends the open window (T6).
    Extend {
        /// By how many hours.
        hours: u32,
        /// Why.
        reason: String,
    },
}

impl Command {
    /// The command's name.
    pub const fn verb(&self) -> Verb {
        match self {
            Self::Submit(_) => Verb::Submit,
            Self::Approve { .. } => Verb::Approve,
            Self::RequestChanges { .. } => Verb::RequestChanges,
            Self::Supersede => Verb::Supersede,
            Self::Dispute { .. } => Verb::Dispute,
            Self::Release => Verb::Release,
            Self::Accept(_) | Self::AcceptClaim { .. } => Verb::Accept,
            Self::RejectClaim(_) | Self::Reject(_) => Verb::Reject,
            Self::Amend { .. } => Verb::Amend,
            Self::Withdraw => Verb::Withdraw,
            Self::Offer { .. } => Verb::Offer,
            Self::Retract { .. } => Verb::Retract,
            Self::Propose { .. } => Verb::Propose,
            Self::Close { .. } => Verb::Close,
            Self::DemandArbitration | Self::DemandArbitrationFrom { .. } => Verb::DemandArbitration,
            Self::Award { .. } => Verb::Award,
            Self::RequestMediation { .. } => Verb::RequestMediation,
            Self::Opinion { .. } => Verb::Opinion,
            Self::Extend { .. } => Verb::Extend,
        }
    }
}

/// A command with who sent it, when it was received, and what makes it idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who sent it.
    pub by: Actor,
    /// When the receiving API received it (T2).
    pub at: Option<Timestamp>,
    /// What makes it idempotent (L7).
    pub key: Option<String>,
    /// The command.
    pub command: Command,
}

/// Something that came in under a command's name and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct Unreadable {
    /// Which field, and what was expected.
    pub reason: String,
}

impl Unreadable {
    /// Because of `reason`.
    pub fn because(reason: impl Into<String>) -> Self {
        Self { reason: shortened(&reason.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::NOTE_BYTES_MAX;

    /// Commands are remembered by a checksum of how they are written (L7), and handed on from run to run: one without the newer
    /// fields is written as it was before there were any.
    #[test]
    fn commands_without_the_newer_fields_are_written_as_before() {
        use super::super::claim::RejectionReason;
        let rejection =
            Rejection { reason: RejectionReason::Late, details: "Late.".into(), evidence: vec![], amount: None };
        for (command, written) in [
            (Command::DemandArbitration, r#""DemandArbitration""#),
            (Command::Accept(Subject::Claim), r#"{"Accept":"Claim"}"#),
            (Command::Approve { amount: None, submission: None }, r#"{"Approve":{"amount":null}}"#),
            (Command::RejectClaim(rejection), r#"{"RejectClaim":{"reason":"late","details":"Late.","evidence":[]}}"#),
        ] {
            assert_eq!(serde_json::to_string(&command).unwrap(), written);
            assert_eq!(serde_json::from_str::<Command>(written).unwrap(), command);
        }
    }

    #[test]
    fn a_note_is_short_and_on_one_line() {
        let longest = "x".repeat(NOTE_BYTES_MAX);
        for (text, shown) in [
            ("", ""),
            ("Not as agreed.", "Not as agreed."),
            ("two\nlines\t\u{1b}[2J\0", "two\\nlines\\t\\u{1b}[2J\\u{0}"),
            (&longest, &longest),
            (&format!("{longest}x"), &format!("{}…", "x".repeat(NOTE_BYTES_MAX - 3))),
            (&"é".repeat(300), &format!("{}…", "é".repeat(198))),
            (&"\n".repeat(201), &format!("{}\\…", "\\n".repeat(198))),
        ] {
            assert_eq!(shortened(text), shown, "{text:?}");
            assert!(shown.len() <= NOTE_BYTES_MAX);
        }
    }
}
