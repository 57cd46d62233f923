//! Commands in a few words, for the stories of tests: `approve`, `claim 150`, `accept offer 1`, `demand from card-9`.
//!
//! Tests and models in all crates use this. It fills in the fields that a story omits from the
//! [catalogue](super::catalogue), so that stories can use a new command at once.

use serde_json::{Map, Value, json};

use super::{Command, CommandKind, Field, FieldKind, SubjectName};

/// Words that are shorter or clearer than the command's name.
const SHORT: [(&str, CommandKind); 5] = [
    ("claim", CommandKind::Dispute),
    ("keep", CommandKind::Reject),
    ("request", CommandKind::RequestChanges),
    ("ask", CommandKind::RequestMediation),
    ("demand", CommandKind::DemandArbitration),
];

/// The command for these words.
///
/// # Errors
/// There is no such command, or it cannot have these fields.
pub fn command(words: &str) -> Result<Command, String> {
    let (name, rest) = words.split_once(' ').unwrap_or((words, ""));
    let short = SHORT.into_iter().find(|(short, _)| *short == name).map(|(_, command_kind)| command_kind);
    let command_kind = short.or_else(|| CommandKind::named(name)).ok_or_else(|| format!("no command {name}"))?;
    let of = SubjectName::ALL.into_iter().find(|subject| rest.split(' ').next() == Some(subject.name()));
    let last = rest.rsplit(' ').next().unwrap_or_default();
    let mut said = Map::new();
    let mut left = last.parse::<i64>().ok();
    for field in command_kind.fields().iter().filter(|field| field.of.is_none() || field.of == of) {
        let value = match field.name {
            "of" => of.map(|of| json!(of)),
            "source" => rest.strip_prefix("from ").map(|source| json!(source)),
            "submission" => left.take_if(|_| rest.starts_with("submission ")).map(Value::from),
            _ => match field.kind {
                FieldKind::Money if rest.starts_with("submission ") => None,
                FieldKind::Money | FieldKind::Number => left.take().map(Value::from),
                _ => filled_in(command_kind, field),
            },
        };
        said.extend(value.map(|value| (field.name.to_owned(), value)));
    }
    let json = Value::from(said).to_string();
    Command::read(command_kind, json.as_bytes()).map_err(|unreadable| format!("{words}: {unreadable}"))
}

/// The value of a field that a story omits.
fn filled_in(command_kind: CommandKind, field: &Field) -> Option<Value> {
    let text = match (command_kind, field.kind) {
        (_, FieldKind::Flag) => return Some(Value::Bool(true)),
        (CommandKind::Reject, FieldKind::OneOf(_)) => "not_as_agreed",
        (_, FieldKind::OneOf(names)) => names.first()?,
        (CommandKind::Submit, FieldKind::Text) => "Another try.",
        (CommandKind::RequestChanges, FieldKind::Text) => "The brand is wrong.",
        (CommandKind::Dispute, FieldKind::Text) => "It is done.",
        (CommandKind::Reject, FieldKind::Text) => "Not what we agreed.",
        (CommandKind::Amend, FieldKind::Text) => "More precisely.",
        (CommandKind::Offer, FieldKind::Text) => "Shall we?",
        (CommandKind::Propose, FieldKind::Text) => "Half was delivered.",
        (CommandKind::Close, FieldKind::Text) => "No common ground.",
        (CommandKind::RequestMediation, FieldKind::Text) => "We do not agree.",
        (CommandKind::Opinion, FieldKind::Text) => "Half of it would be fair.",
        (CommandKind::Award, FieldKind::Line) => "AAA-1",
        (CommandKind::Extend, FieldKind::Line) => "Holiday.",
        (_, FieldKind::Text | FieldKind::Line) => "In words.",
        (_, FieldKind::Money | FieldKind::Number | FieldKind::Id | FieldKind::Files) => return None,
    };
    Some(Value::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_phrases_become_commands() {
        for (words, command_kind, said) in [
            ("approve", CommandKind::Approve, json!({})),
            ("approve 50", CommandKind::Approve, json!({"amount": 50})),
            ("approve submission 2", CommandKind::Approve, json!({"submission": 2})),
            ("keep", CommandKind::Reject, json!({})),
            ("accept claim", CommandKind::Accept, json!({"of": "claim"})),
            ("accept claim 150", CommandKind::Accept, json!({"of": "claim", "amount": 150})),
            ("accept offer 1", CommandKind::Accept, json!({"of": "offer", "number": 1})),
            ("offer 100", CommandKind::Offer, json!({"to_freelancer": 100, "message": "Shall we?"})),
            ("demand from card-9", CommandKind::DemandArbitration, json!({"source": "card-9"})),
            ("extend 24", CommandKind::Extend, json!({"hours": 24, "reason": "Holiday."})),
        ] {
            let command = command(words).unwrap();
            assert_eq!((command.command_kind(), Value::from(command.fields())), (command_kind, said), "{words}");
        }
        assert_eq!(command("dance").unwrap_err(), "no command dance");
        assert!(command("retract").unwrap_err().contains("missing field `number`"));
    }

    /// Stories can use every command.
    #[test]
    fn stories_can_use_every_command() {
        for command_kind in CommandKind::ALL {
            let told = [command_kind.name().to_owned(), format!("{command_kind} 1"), format!("{command_kind} offer 1")];
            assert!(
                told.iter().any(|words| command(words).is_ok_and(|command| command.command_kind() == command_kind)),
                "{command_kind}"
            );
        }
    }
}
