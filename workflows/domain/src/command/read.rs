//! Reads a command's JSON. Errors name the field.

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

use super::{Command, CommandKind, Message, Unreadable};
use crate::party::Actor;

/// The largest command in bytes of JSON. Ten files of evidence and a full text fit several times over.
pub const COMMAND_BYTES_MAX: usize = 128 * 1024;

/// The longest `key` in characters.
pub const KEY_LENGTH_MAX: usize = 200;

/// How many characters of an unreadable field's path an error shows.
const PATH_LENGTH_MAX: usize = 80;

/// The fields that every command has. Unknown ones are ignored, as everywhere in the wire contract.
#[derive(Deserialize)]
#[serde(expecting = "an object with `by`")]
struct Head {
    by: Actor,
    at: Option<Timestamp>,
    key: Option<String>,
}

impl Message {
    /// Reads the JSON that came in under the name `command_kind`.
    ///
    /// # Errors
    /// [`Unreadable`] with the field and what was expected there. Nothing has moved.
    pub fn read(command_kind: CommandKind, json: &[u8]) -> Result<Self, Unreadable> {
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
        Ok(Self { by: head.by, at: head.at, key: head.key, command: Command::read(command_kind, json)? })
    }
}

/// Reads JSON into `T`; an error names the field. It omits the line and the column: people write fields, and a program
/// writes the JSON around them.
pub fn fields<T: DeserializeOwned>(json: &[u8]) -> Result<T, Unreadable> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        // The sender chose these names: they must not push the reason out of the refusal.
        let path: String = error.path().to_string().chars().take(PATH_LENGTH_MAX).collect();
        let reason = reason_of(error.inner());
        Unreadable::because(if path == "." { reason } else { format!("{path}: {reason}") })
    })?;
    reader.end().map_err(|error| Unreadable::because(reason_of(&error)))?;
    Ok(value)
}

fn reason_of(error: &serde_json::Error) -> String {
    let reason = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason = reason.strip_suffix(&place).unwrap_or(&reason);
    if error.is_data() { reason.to_owned() } else { format!("this is not JSON: {reason}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::{Accept, Approve, DemandArbitration, Reject},
        ids::Id,
        money::Amount,
    };

    fn read(command_kind: CommandKind, json: &str) -> Result<Command, String> {
        Message::read(command_kind, json.as_bytes()).map(|message| message.command).map_err(|error| error.reason)
    }

    #[test]
    fn commands_are_read_with_their_fields_and_unknown_fields_are_ignored() {
        let by = r#""by":{"party":"freelancer","id":"fl-1","more":1},"later":true"#;
        let reads = |command_kind, fields: &str| read(command_kind, &format!("{{{by}{fields}}}")).unwrap();
        let amount = Some(Amount::new(5).unwrap());
        for (command_kind, fields, command) in [
            (CommandKind::Approve, "", Command::Approve(Approve { amount: None, submission: None })),
            (
                CommandKind::Approve,
                r#","submission":2"#,
                Command::Approve(Approve { amount: None, submission: Some(2) }),
            ),
            (CommandKind::Accept, r#","of":"offer","number":2"#, Command::Accept(Accept::Offer(2))),
            (CommandKind::Accept, r#","of":"claim""#, Command::Accept(Accept::Claim { amount: None })),
            (CommandKind::Accept, r#","of":"claim","amount":5"#, Command::Accept(Accept::Claim { amount })),
            // Fields of another subject are ignored like unknown fields.
            (CommandKind::Accept, r#","of":"resolution","amount":"much""#, Command::Accept(Accept::Resolution)),
            (
                CommandKind::Reject,
                r#","of":"resolution","reason":"because","details":5"#,
                Command::Reject(Reject::Resolution),
            ),
            (CommandKind::Reject, r#","of":"offer","number":1,"evidence":null"#, Command::Reject(Reject::Offer(1))),
            (CommandKind::Reject, "", Command::Reject(Reject::Request)),
            (
                CommandKind::DemandArbitration,
                r#","source":"pm_1""#,
                Command::DemandArbitration(DemandArbitration { source: Some(Id::new("pm_1").unwrap()) }),
            ),
            (
                CommandKind::DemandArbitration,
                r#","source":null"#,
                Command::DemandArbitration(DemandArbitration { source: None }),
            ),
        ] {
            assert_eq!(reads(command_kind, fields), command, "{command_kind} {fields}");
        }
        let message = Message::read(
            CommandKind::Withdraw,
            format!(r#"{{{by},"at":"2026-12-03T10:00:00Z","key":"k"}}"#).as_bytes(),
        )
        .unwrap();
        assert_eq!(message.at, Some("2026-12-03T10:00:00Z".parse().unwrap()));
        assert_eq!(message.key.as_deref(), Some("k"));
    }

    #[test]
    fn unreadable_input_names_the_field() {
        let by = r#""by":{"party":"client","id":"cl-1"}"#;
        for (command_kind, json, word) in [
            (CommandKind::Approve, String::new(), "EOF"),
            (CommandKind::Approve, "null".into(), "an object with `by`"),
            (CommandKind::Approve, "{}".into(), "by"),
            (CommandKind::Approve, r#"{"by":{"party":"owner","id":"x"}}"#.into(), "by.party"),
            (CommandKind::Approve, format!(r#"{{{by},"at":"yesterday"}}"#), "at"),
            (CommandKind::Approve, format!(r#"{{{by},"key":""}}"#), "key"),
            (CommandKind::Approve, format!("{{{by}}} trailing"), "trailing"),
            (CommandKind::Dispute, format!(r#"{{{by},"amount":-1,"reason":"other","details":"x"}}"#), "amount"),
            (CommandKind::Dispute, format!(r#"{{{by},"amount":"much","reason":"other","details":"x"}}"#), "amount"),
            (CommandKind::Dispute, format!(r#"{{{by},"amount":1,"reason":"because","details":"x"}}"#), "reason"),
            (CommandKind::Accept, format!(r#"{{{by},"of":"money"}}"#), "of"),
            (CommandKind::Accept, format!(r#"{{{by},"of":"offer"}}"#), "number"),
            (CommandKind::Accept, format!(r#"{{{by},"of":"claim","amount":"150"}}"#), "amount"),
            (CommandKind::Approve, format!(r#"{{{by},"submission":-1}}"#), "submission"),
            (CommandKind::DemandArbitration, format!(r#"{{{by},"source":"a b"}}"#), "source"),
            (CommandKind::Approve, format!(r#"{{{by},"x":"{}"}}"#, "y".repeat(COMMAND_BYTES_MAX)), "too big"),
        ] {
            let error = read(command_kind, &json).unwrap_err();
            assert!(error.contains(word), "{command_kind} {json:.80}: {error}");
            assert!(!error.contains("struct") && !error.contains("column"), "{command_kind} {json:.80}: {error}");
        }
    }

    #[test]
    fn errors_use_words_without_types_and_positions() {
        for (json, told) in [
            ("null", "invalid type: null, expected an object with `by`"),
            ("[]", "invalid length 0, expected an object with `by`"),
            ("{}", "missing field `by`"),
            (
                r#"{"by":"client"}"#,
                "by: invalid type: string \"client\", expected an object with a `party` and an `id`",
            ),
            (r#"{"by":{"party":"client"}}"#, "by: missing field `id`"),
            (
                r#"{"by":{"party":"client","id":"a b"}}"#,
                "by.id: \"a b\" is not an id: use 1 to 100 letters, digits, dots, underscores or hyphens",
            ),
            ("", "this is not JSON: EOF while parsing a value"),
            ("{}}", "missing field `by`"),
            (r#"{"by":{"party":"client","id":"cl-1"}}}"#, "this is not JSON: trailing characters"),
        ] {
            assert_eq!(read(CommandKind::Release, json).unwrap_err(), told, "{json}");
        }
        let deep =
            format!(r#"{{"by":{{"party":"client","id":"cl-1"}},"amount":{}{}}}"#, "[".repeat(500), "]".repeat(500));
        let told = read(CommandKind::Approve, &deep).unwrap_err();
        assert!(told.ends_with("[0: this is not JSON: recursion limit exceeded"), "{told}");
        let told = read(CommandKind::Approve, r#"{"by":{"party":"\u001b[2J","id":"x"}}"#).unwrap_err();
        assert!(told.starts_with("by.party: unknown variant `\\u{1b}[2J`"), "{told}");
    }
}
