use std::collections::BTreeSet;

use super::*;

struct Schema;

impl Visit for Schema {
    type Out = Value;

    fn visit<P: Payload>(self) -> Value {
        schemars::schema_for!(P).to_value()
    }
}

/// The catalogue's fields, from which forms and options are made, are the fields that the command's type reads.
#[test]
fn the_catalogue_lists_the_fields_of_each_type() {
    for command_kind in CommandKind::ALL {
        let schema = command_kind.visit(Schema);
        let none = Map::new();
        let known: BTreeSet<&str> =
            schema["properties"].as_object().unwrap_or(&none).keys().map(String::as_str).collect();
        let listed: BTreeSet<&str> = command_kind.fields().iter().map(|field| field.name).collect();
        assert_eq!(listed, known, "{command_kind}");
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let needed: Vec<&str> =
            command_kind.fields().iter().filter(|field| field.needed).map(|field| field.name).collect();
        // A field that only one subject needs is not required by the type.
        if !listed.contains("of") {
            assert_eq!(Value::from(needed), Value::from(required), "{command_kind}");
        }
    }
}

/// A misspelt name in a line of the catalogue would omit a field.
#[test]
fn each_case_takes_only_existing_fields() {
    for command_kind in CommandKind::ALL {
        let listed: Vec<&str> = command_kind.fields().iter().map(|field| field.name).collect();
        let mut taken: BTreeSet<&str> = BTreeSet::new();
        let mut kinds = BTreeSet::new();
        for used in command_kind.uses() {
            assert!(kinds.insert(used.kind), "{command_kind} twice in {:?}", used.kind);
            assert!(used.takes.iter().all(|name| listed.contains(name)), "{command_kind}: {:?}", used.takes);
            taken.extend(used.takes);
        }
        assert_eq!(taken.len(), listed.len(), "{command_kind}: a field that no case takes");
    }
}

#[test]
fn texts_are_whole_sentences() {
    for command_kind in CommandKind::ALL {
        let about = command_kind.about().trim();
        assert!(about.ends_with('.') && about.starts_with(char::is_uppercase), "{command_kind}: {about}");
        for used in command_kind.uses() {
            assert!(command_kind.does(used.kind).ends_with('.'), "{command_kind}: {:?}", used.does);
        }
        for field in command_kind.fields() {
            let about = field.about.trim();
            assert!(
                about.ends_with('.') && about.starts_with(char::is_uppercase),
                "{command_kind} {}: {about}",
                field.name
            );
            assert!(!field.label.is_empty() && !field.label.ends_with('.'), "{command_kind} {}", field.name);
        }
    }
}

#[test]
fn fields_depend_on_the_case_and_the_subject() {
    let asked = |command_kind: CommandKind, kind, of| {
        command_kind.asks(kind, of).map(|field| field.name).collect::<Vec<_>>().join(" ")
    };
    for (command_kind, kind, of, names) in [
        (CommandKind::Approve, CaseKind::RefundRequest, None, ""),
        (CommandKind::Approve, CaseKind::PaymentRefund, None, "amount"),
        (CommandKind::Approve, CaseKind::MilestoneReview, None, "amount submission"),
        (CommandKind::Approve, CaseKind::Dispute, None, ""),
        (CommandKind::Accept, CaseKind::Dispute, None, "of"),
        (CommandKind::Accept, CaseKind::Dispute, Some(SubjectName::Offer), "of number"),
        (CommandKind::Accept, CaseKind::Dispute, Some(SubjectName::Resolution), "of"),
        (CommandKind::Reject, CaseKind::Dispute, Some(SubjectName::Claim), "of amount reason details evidence"),
        (CommandKind::Reject, CaseKind::PaymentRefund, None, ""),
    ] {
        assert_eq!(asked(command_kind, kind, of), names, "{command_kind} {kind:?} {of:?}");
    }
}
