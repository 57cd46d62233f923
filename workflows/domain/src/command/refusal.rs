//! Refusals of commands.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CommandKind, Unreadable, shortened};
use crate::{party::Role, rule::Rule};

/// Why a command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RefusalKind {
    /// Not by this sender, or not in this stage.
    NotAllowed,
    /// After the deadline, or after the case was decided.
    TooLate,
    /// Its fields break a rule, or cannot be read.
    Invalid,
    /// The party has answered before, and an answer is final.
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

/// The answer to a refused command: why, by which rule, and what its sender can do now. Nothing has moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The kind of refusal.
    pub kind: RefusalKind,
    /// The rule that refuses, if there is one.
    pub rule: Option<Rule>,
    /// Why, in words.
    pub reason: String,
    /// In which role the sender acts, and what that role can do now.
    pub can: Option<(Role, Vec<CommandKind>)>,
}

impl Refusal {
    /// A refusal of this kind by this rule. The reason may contain the sender's words, so it is [`shortened`].
    pub fn new(kind: RefusalKind, rule: Rule, reason: impl Into<String>) -> Self {
        Self { kind, rule: Some(rule), reason: shortened(&reason.into()), can: None }
    }

    /// A refusal of fields that break a rule.
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
            Some((role, command_kinds)) if command_kinds.is_empty() => write!(f, "; the {role} can do nothing now"),
            Some((role, command_kinds)) => {
                write!(
                    f,
                    "; the {role} can now: {}",
                    command_kinds.iter().map(|command_kind| command_kind.name()).collect::<Vec<_>>().join(", ")
                )
            }
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}
