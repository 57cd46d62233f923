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
    money::Amount,
    party::Actor,
};

/// The name of a command: of the signal and of the update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is explained at its variant of Command")]
pub enum Verb {
    Approve,
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
    Extend,
}

impl Verb {
    /// Every command.
    pub const ALL: [Self; 14] = [
        Self::Approve,
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
        Self::Extend,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
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
}

/// A command and its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// The freelancer agrees to the refund (R4).
    Approve,
    /// The freelancer disputes the refund (R5).
    Dispute(Claim),
    /// The client gives up the refund request (R10).
    Release,
    /// A party accepts a claim, a resolution or an offer (D3, M5, M7).
    Accept(Subject),
    /// The client rejects the claim (D4).
    RejectClaim(Rejection),
    /// A party rejects a resolution or an offer (M6, M7).
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
    /// The arbitrator gives the award (A5).
    Award {
        /// The freelancer's part.
        to_freelancer: Amount,
        /// The arbitration provider's reference.
        reference: String,
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
            Self::Approve => Verb::Approve,
            Self::Dispute(_) => Verb::Dispute,
            Self::Release => Verb::Release,
            Self::Accept(_) => Verb::Accept,
            Self::RejectClaim(_) | Self::Reject(_) => Verb::Reject,
            Self::Amend { .. } => Verb::Amend,
            Self::Withdraw => Verb::Withdraw,
            Self::Offer { .. } => Verb::Offer,
            Self::Retract { .. } => Verb::Retract,
            Self::Propose { .. } => Verb::Propose,
            Self::Close { .. } => Verb::Close,
            Self::DemandArbitration => Verb::DemandArbitration,
            Self::Award { .. } => Verb::Award,
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

/// The longest reason or note in bytes. What a sender wrote comes back in the message that refuses it, and must not fill
/// a timeline.
pub const NOTE_BYTES_MAX: usize = 400;

/// A text that is at most [`NOTE_BYTES_MAX`] long, cut where it is longer.
pub fn shortened(text: &str) -> String {
    if text.len() <= NOTE_BYTES_MAX {
        return text.to_owned();
    }
    let mut end = NOTE_BYTES_MAX - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}
