//! Incoming commands, and the refusals.
//!
//! The reader is lenient: every input becomes a [`Message`] or an [`Unreadable`], and never a failure of the workflow. The
//! case decides whether this sender may give the command now.

pub mod answer;
pub mod catalogue;
pub mod field;
pub mod phrase;
mod read;
mod refusal;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use answer::{Accept, Reject, SubjectName};
pub use catalogue::*;
pub use field::{Field, FieldKind, Payload};
pub use read::{COMMAND_BYTES_MAX, fields};
pub use refusal::{Refusal, RefusalKind};

use super::{party::Actor, text::shortened};

impl fmt::Display for CommandKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A command with its sender, its receipt time, and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who sent it.
    pub by: Actor,
    /// When the receiving API received it (T2).
    pub at: Option<Timestamp>,
    /// The key that makes it idempotent (L7).
    pub key: Option<String>,
    /// The command.
    pub command: Command,
}

/// An input with a command's name that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct Unreadable {
    /// The field, and what was expected there.
    pub reason: String,
}

impl Unreadable {
    /// An unreadable input with this reason.
    pub fn because(reason: impl Into<String>) -> Self {
        Self { reason: shortened(&reason.into()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::text::NOTE_BYTES_MAX;

    /// Reading gives back the command that was written: Recourse understands a client that writes with these types.
    #[test]
    fn a_command_is_read_as_it_is_written() {
        for (command_kind, said) in [
            (CommandKind::Submit, json!({"note": "Again."})),
            (CommandKind::Approve, json!({})),
            (CommandKind::Approve, json!({"amount": 5, "submission": 2})),
            (CommandKind::Dispute, json!({"amount": 5, "reason": "other", "details": "x", "contacted_client": true})),
            (CommandKind::Accept, json!({"of": "claim", "amount": 5})),
            (CommandKind::Accept, json!({"of": "claim"})),
            (CommandKind::Accept, json!({"of": "resolution"})),
            (CommandKind::Reject, json!({"of": "offer", "number": 2})),
            (CommandKind::Reject, json!({"of": "claim", "reason": "late", "details": "x"})),
            (CommandKind::Reject, json!({})),
            (CommandKind::DemandArbitration, json!({"source": "pm_1"})),
            (CommandKind::Withdraw, json!({})),
        ] {
            let command = Command::read(command_kind, &serde_json::to_vec(&said).unwrap()).unwrap();
            assert_eq!(Value::from(command.fields()), said, "{command_kind}");
            let written = serde_json::to_value(&command).unwrap();
            assert_eq!(serde_json::from_value::<Command>(written).unwrap(), command, "{command_kind}");
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
