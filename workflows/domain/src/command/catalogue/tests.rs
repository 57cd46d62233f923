use std::collections::BTreeSet;

use super::*;

struct Schema;

impl Visit for Schema {
    type Out = Value;

    fn visit<P: Payload>(self) -> Value {
        schemars::schema_for!(P).to_value()
    }
}

/// What forms and options are made of is what is read.
#[test]
fn a_commands_fields_are_those_of_its_type() {
    for verb in Verb::ALL {
        let schema = verb.visit(Schema);
        let none = Map::new();
        let known: BTreeSet<&str> =
            schema["properties"].as_object().unwrap_or(&none).keys().map(String::as_str).collect();
        let listed: BTreeSet<&str> = verb.fields().iter().map(|field| field.name).collect();
        assert_eq!(listed, known, "{verb}");
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let needed: Vec<&str> = verb.fields().iter().filter(|field| field.needed).map(|field| field.name).collect();
        // What is needed of one subject only is no requirement of the type.
        if !listed.contains("of") {
            assert_eq!(Value::from(needed), Value::from(required), "{verb}");
        }
    }
}

/// A misspelt name in a line of the catalogue would leave a field out.
#[test]
fn every_case_takes_fields_that_there_are() {
    for verb in Verb::ALL {
        let listed: Vec<&str> = verb.fields().iter().map(|field| field.name).collect();
        let mut taken: BTreeSet<&str> = BTreeSet::new();
        let mut kinds = BTreeSet::new();
        for used in verb.uses() {
            assert!(kinds.insert(used.kind), "{verb} twice in {:?}", used.kind);
            assert!(used.takes.iter().all(|name| listed.contains(name)), "{verb}: {:?}", used.takes);
            taken.extend(used.takes);
        }
        assert_eq!(taken.len(), listed.len(), "{verb}: a field that no case takes");
    }
}

#[test]
fn words_are_whole_sentences() {
    for verb in Verb::ALL {
        let about = verb.about().trim();
        assert!(about.ends_with('.') && about.starts_with(char::is_uppercase), "{verb}: {about}");
        for used in verb.uses() {
            assert!(verb.does(used.kind).ends_with('.'), "{verb}: {:?}", used.does);
        }
        for field in verb.fields() {
            let about = field.about.trim();
            assert!(about.ends_with('.') && about.starts_with(char::is_uppercase), "{verb} {}: {about}", field.name);
            assert!(!field.label.is_empty() && !field.label.ends_with('.'), "{verb} {}", field.name);
        }
    }
}

#[test]
fn what_is_asked_depends_on_the_case_and_on_what_it_is_about() {
    let asked = |verb: Verb, kind, of| verb.asks(kind, of).map(|field| field.name).collect::<Vec<_>>().join(" ");
    for (verb, kind, of, names) in [
        (Verb::Approve, CaseKind::RefundRequest, None, ""),
        (Verb::Approve, CaseKind::PaymentRefund, None, "amount"),
        (Verb::Approve, CaseKind::MilestoneReview, None, "amount submission"),
        (Verb::Approve, CaseKind::Dispute, None, ""),
        (Verb::Accept, CaseKind::Dispute, None, "of"),
        (Verb::Accept, CaseKind::Dispute, Some(SubjectName::Offer), "of number"),
        (Verb::Accept, CaseKind::Dispute, Some(SubjectName::Resolution), "of"),
        (Verb::Reject, CaseKind::Dispute, Some(SubjectName::Claim), "of amount reason details evidence"),
        (Verb::Reject, CaseKind::PaymentRefund, None, ""),
    ] {
        assert_eq!(asked(verb, kind, of), names, "{verb} {kind:?} {of:?}");
    }
}
