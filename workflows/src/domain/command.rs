//! Commands as they come in, and what becomes of those that are not taken.
//!
//! A command is read leniently: whatever arrives becomes a [`Message`] or an [`Unreadable`], never a failure of the
//! workflow. Whether it may be given, by whom and when, is decided by the case it is for.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    claim::{Claim, ClaimReason, Rejection, RejectionReason},
    evidence::Evidence,
    money::Amount,
    party::{Actor, Role},
    rule::Rule,
};

/// The largest command in bytes of JSON. Ten files of evidence and a full text fit several times over.
pub const COMMAND_BYTES_MAX: usize = 128 * 1024;

/// The longest `key` in characters.
pub const KEY_LENGTH_MAX: usize = 200;

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
        Self { reason: reason.into() }
    }
}

/// The fields that every command has. Unknown ones are ignored, as everywhere in the wire contract.
#[derive(Deserialize)]
struct Head {
    by: Actor,
    at: Option<Timestamp>,
    key: Option<String>,
}

impl Message {
    /// Reads the JSON that came in under the name `verb`.
    ///
    /// # Errors
    /// [`Unreadable`] with the field and what was expected there; nothing can have moved.
    pub fn read(verb: Verb, json: &[u8]) -> Result<Self, Unreadable> {
        if json.len() > COMMAND_BYTES_MAX {
            return Err(Unreadable::because(format!(
                "{} bytes are too big; a command has at most {COMMAND_BYTES_MAX}",
                json.len()
            )));
        }
        let head: Head = fields(json)?;
        if head.key.as_ref().is_some_and(|key| key.is_empty() || key.chars().count() > KEY_LENGTH_MAX) {
            return Err(Unreadable::because(format!("key: must have 1 to {KEY_LENGTH_MAX} characters")));
        }
        Ok(Self { by: head.by, at: head.at, key: head.key, command: read_command(verb, json)? })
    }
}

fn read_command(verb: Verb, json: &[u8]) -> Result<Command, Unreadable> {
    Ok(match verb {
        Verb::Approve => Command::Approve,
        Verb::Dispute => {
            let fields: DisputeFields = fields(json)?;
            Command::Dispute(Claim {
                amount: fields.amount,
                reason: fields.reason,
                details: fields.details,
                evidence: fields.evidence,
            })
        }
        Verb::Release => Command::Release,
        Verb::Accept => Command::Accept(fields::<AnswerFields>(json)?.subject()?),
        Verb::Reject => match fields::<AnswerFields>(json)?.subject()? {
            Subject::Claim => {
                let fields: RejectClaimFields = fields(json)?;
                Command::RejectClaim(Rejection {
                    reason: fields.reason,
                    details: fields.details,
                    evidence: fields.evidence,
                })
            }
            subject => Command::Reject(subject),
        },
        Verb::Amend => {
            let AmendFields { amount, details } = fields(json)?;
            Command::Amend { amount, details }
        }
        Verb::Withdraw => Command::Withdraw,
        Verb::Offer => {
            let OfferFields { to_freelancer, message } = fields(json)?;
            Command::Offer { to_freelancer, message }
        }
        Verb::Retract => Command::Retract { number: fields::<RetractFields>(json)?.number },
        Verb::Propose => {
            let ProposeFields { to_freelancer, rationale } = fields(json)?;
            Command::Propose { to_freelancer, rationale }
        }
        Verb::Close => Command::Close { reason: fields::<CloseFields>(json)?.reason },
        Verb::DemandArbitration => Command::DemandArbitration,
        Verb::Award => {
            let AwardFields { to_freelancer, reference } = fields(json)?;
            Command::Award { to_freelancer, reference }
        }
        Verb::Extend => {
            let ExtendFields { hours, reason } = fields(json)?;
            Command::Extend { hours, reason }
        }
    })
}

/// Reads JSON into `T`, and names the field where it could not.
pub fn fields<T: DeserializeOwned>(json: &[u8]) -> Result<T, Unreadable> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.inner().to_string();
        Unreadable::because(if path == "." { reason } else { format!("{path}: {reason}") })
    })?;
    reader.end().map_err(|error| Unreadable::because(error.to_string()))?;
    Ok(value)
}

/// Fields of `dispute`.
#[derive(Deserialize, JsonSchema)]
struct DisputeFields {
    amount: Amount,
    reason: ClaimReason,
    details: String,
    #[serde(default)]
    evidence: Vec<Evidence>,
}

/// Fields of `accept`, and of `reject` but for a claim.
#[derive(Deserialize)]
struct AnswerFields {
    of: SubjectName,
    number: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum SubjectName {
    Claim,
    Resolution,
    Offer,
}

impl AnswerFields {
    fn subject(&self) -> Result<Subject, Unreadable> {
        match (&self.of, self.number) {
            (SubjectName::Claim, _) => Ok(Subject::Claim),
            (SubjectName::Resolution, _) => Ok(Subject::Resolution),
            (SubjectName::Offer, Some(number)) => Ok(Subject::Offer(number)),
            (SubjectName::Offer, None) => Err(Unreadable::because("number: say which offer, by its number")),
        }
    }
}

#[derive(Deserialize)]
struct RejectClaimFields {
    reason: RejectionReason,
    details: String,
    #[serde(default)]
    evidence: Vec<Evidence>,
}

#[derive(Deserialize)]
struct AmendFields {
    amount: Amount,
    details: String,
}

#[derive(Deserialize)]
struct OfferFields {
    to_freelancer: Amount,
    message: Option<String>,
}

#[derive(Deserialize)]
struct RetractFields {
    number: u32,
}

#[derive(Deserialize)]
struct ProposeFields {
    to_freelancer: Amount,
    rationale: String,
}

#[derive(Deserialize)]
struct CloseFields {
    reason: String,
}

#[derive(Deserialize)]
struct AwardFields {
    to_freelancer: Amount,
    reference: String,
}

#[derive(Deserialize)]
struct ExtendFields {
    hours: u32,
    reason: String,
}

/// Why a command was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RefusalKind {
    /// Not by this sender, or not in this stage.
    NotAllowed,
    /// After the deadline, or after the case was decided.
    TooLate,
    /// Its fields break a rule, or cannot be read.
    Invalid,
    /// It was answered before, and an answer is final.
    AlreadyAnswered,
}

impl RefusalKind {
    /// The name that a refused update's message begins with.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAllowed => "NotAllowed",
            Self::TooLate => "TooLate",
            Self::Invalid => "Invalid",
            Self::AlreadyAnswered => "AlreadyAnswered",
        }
    }
}

/// A command that was not taken: why, by which rule, and what its sender can do now. Nothing has moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of refusal.
    pub kind: RefusalKind,
    /// The rule that refuses, where there is one.
    pub rule: Option<Rule>,
    /// Why, in words.
    pub reason: String,
    /// In which role the sender acts, and what that role can do now.
    pub can: Option<(Role, Vec<Verb>)>,
}

impl Refusal {
    /// A refusal of this kind by this rule.
    pub fn new(kind: RefusalKind, rule: Rule, reason: impl Into<String>) -> Self {
        Self { kind, rule: Some(rule), reason: reason.into(), can: None }
    }

    /// Fields that break a rule.
    pub fn invalid(rule: Rule, reason: impl Into<String>) -> Self {
        Self::new(RefusalKind::Invalid, rule, reason)
    }
}

impl From<Unreadable> for Refusal {
    fn from(unreadable: Unreadable) -> Self {
        Self { kind: RefusalKind::Invalid, rule: None, reason: unreadable.reason, can: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.reason)?;
        if let Some(rule) = self.rule {
            write!(f, " (rule {rule})")?;
        }
        match &self.can {
            Some((role, verbs)) if verbs.is_empty() => write!(f, "; the {role} can do nothing now"),
            Some((role, verbs)) => {
                write!(
                    f,
                    "; the {role} can now: {}",
                    verbs.iter().map(|verb| verb.name()).collect::<Vec<_>>().join(", ")
                )
            }
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(verb: Verb, json: &str) -> Result<Command, String> {
        Message::read(verb, json.as_bytes()).map(|message| message.command).map_err(|error| error.reason)
    }

    #[test]
    fn commands_are_read_with_their_fields_and_unknown_fields_are_ignored() {
        let by = r#""by":{"party":"freelancer","id":"fl-1","more":1},"later":true"#;
        assert_eq!(read(Verb::Approve, &format!("{{{by}}}")), Ok(Command::Approve));
        assert_eq!(
            read(Verb::Accept, &format!(r#"{{{by},"of":"offer","number":2}}"#)),
            Ok(Command::Accept(Subject::Offer(2)))
        );
        assert_eq!(
            read(Verb::Reject, &format!(r#"{{{by},"of":"resolution"}}"#)),
            Ok(Command::Reject(Subject::Resolution))
        );
        let message =
            Message::read(Verb::Withdraw, format!(r#"{{{by},"at":"2026-12-03T10:00:00Z","key":"k"}}"#).as_bytes())
                .unwrap();
        assert_eq!(message.at, Some("2026-12-03T10:00:00Z".parse().unwrap()));
        assert_eq!(message.key.as_deref(), Some("k"));
    }

    #[test]
    fn what_cannot_be_read_names_the_field() {
        let by = r#""by":{"party":"client","id":"cl-1"}"#;
        for (verb, json, word) in [
            (Verb::Approve, String::new(), "EOF"),
            (Verb::Approve, "null".into(), "struct"),
            (Verb::Approve, "{}".into(), "by"),
            (Verb::Approve, r#"{"by":{"party":"owner","id":"x"}}"#.into(), "by.party"),
            (Verb::Approve, format!(r#"{{{by},"at":"yesterday"}}"#), "at"),
            (Verb::Approve, format!(r#"{{{by},"key":""}}"#), "key"),
            (Verb::Approve, format!("{{{by}}} trailing"), "trailing"),
            (Verb::Dispute, format!(r#"{{{by},"amount":-1,"reason":"other","details":"x"}}"#), "amount"),
            (Verb::Dispute, format!(r#"{{{by},"amount":"much","reason":"other","details":"x"}}"#), "amount"),
            (Verb::Dispute, format!(r#"{{{by},"amount":1,"reason":"because","details":"x"}}"#), "reason"),
            (Verb::Accept, format!(r#"{{{by},"of":"money"}}"#), "of"),
            (Verb::Accept, format!(r#"{{{by},"of":"offer"}}"#), "number"),
            (Verb::Approve, format!(r#"{{{by},"x":"{}"}}"#, "y".repeat(COMMAND_BYTES_MAX)), "too big"),
        ] {
            let error = read(verb, &json).unwrap_err();
            assert!(error.contains(word), "{verb} {json:.80}: {error}");
        }
    }
}
