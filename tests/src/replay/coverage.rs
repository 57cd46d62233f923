//! The paths leave nothing out: every outcome, every command in both forms, every notice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use recourse_client::check_command;
use recourse_domain::{
    command::CommandKind,
    notice::NoticeEvent,
    outcome::{DecidedBy, ResultKind},
};
use schemars::JsonSchema;
use serde_json::Value;

use super::{deliveries, files, paths::KINDS};

/// The refund desk sends these notices after a case is over; no workflow does.
const TOLD_AFTER_THE_CASE: [&str; 3] = ["refund_failed", "refund_overdue", "refund_settled_after_all"];

/// What the recordings contain, by the kind of case.
#[derive(Default)]
struct Seen {
    outcomes: BTreeSet<(String, String)>,
    updates: BTreeSet<String>,
    signals: BTreeSet<String>,
    told: BTreeSet<String>,
}

fn seen() -> BTreeMap<&'static str, Seen> {
    let mut seen: BTreeMap<&'static str, Seen> = BTreeMap::new();
    for path in files::histories() {
        let history: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let kind = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let Some(kind) = KINDS.into_iter().find(|known| known.name() == kind) else {
            assert_eq!(kind, deliveries::KIND, "what is no case");
            continue;
        };
        let seen = seen.entry(kind.name()).or_default();
        for event in history["events"].as_array().unwrap() {
            let (name, event) = event["attributes"].as_object().unwrap().iter().next().unwrap();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            match name.trim_end_matches("EventAttributes") {
                "WorkflowExecutionCompleted" => {
                    let outcome = super::commands::decoded(&event["result"]["payloads"][0]);
                    seen.outcomes.insert((text(&outcome["result"]), text(&outcome["decided_by"])));
                }
                "WorkflowExecutionUpdateAccepted" => {
                    seen.updates.insert(text(&event["accepted_request"]["input"]["name"]));
                }
                "WorkflowExecutionSignaled" => drop(seen.signals.insert(text(&event["signal_name"]))),
                "ActivityTaskScheduled" => {
                    let order = super::commands::decoded(&event["input"]["payloads"][0]);
                    let notices = order["notices"].as_array().into_iter().flatten();
                    seen.told.extend(notices.map(|notice| text(&notice["event"])));
                }
                _ => {}
            }
        }
    }
    seen
}

/// Every name of an enumeration on the wire.
fn names<T: JsonSchema>() -> BTreeSet<String> {
    let schema = serde_json::to_value(schemars::schema_for!(T)).unwrap();
    let mut found = BTreeSet::new();
    for list in [&schema["enum"], &schema["oneOf"]] {
        for item in list.as_array().into_iter().flatten() {
            let item = item.as_str().or_else(|| item["const"].as_str());
            found.extend(item.map(str::to_owned));
        }
    }
    assert!(found.len() > 5, "{schema}");
    found
}

#[test]
fn the_paths_cover_every_outcome_and_notice() {
    let seen = seen();
    let results = seen.values().flat_map(|seen| &seen.outcomes).map(|(result, _)| result.clone()).collect();
    assert_eq!(names::<ResultKind>().difference(&results).collect::<Vec<_>>(), Vec::<&String>::new());
    let deciders = seen.values().flat_map(|seen| &seen.outcomes).map(|(_, decider)| decider.clone()).collect();
    assert_eq!(names::<DecidedBy>().difference(&deciders).collect::<Vec<_>>(), Vec::<&String>::new());
    let mut told: BTreeSet<String> = seen.values().flat_map(|seen| seen.told.clone()).collect();
    told.extend(TOLD_AFTER_THE_CASE.map(str::to_owned));
    assert_eq!(names::<NoticeEvent>().difference(&told).collect::<Vec<_>>(), Vec::<&String>::new());
    for (kind, seen) in &seen {
        let outcomes: Vec<String> =
            seen.outcomes.iter().map(|(result, decided_by)| format!("{result} {decided_by}")).collect();
        println!("{kind}: {} ways to end: {}", outcomes.len(), outcomes.join(", "));
    }
}

/// As an update, which every kind of case takes for all its commands; and as a signal for each kind.
#[test]
fn the_paths_give_every_command_of_every_case() {
    let seen = seen();
    for (kind, case) in [
        ("milestone_review", "milestone-review:c-1:m-1"),
        ("refund_request", "refund-request:c-1"),
        ("dispute", "dispute:c-1"),
        ("payment_refund", "payment-refund:milestone-review:c-1:m-1/release"),
    ] {
        let taken: BTreeSet<String> = CommandKind::ALL
            .into_iter()
            .filter(|command_kind| check_command(case, *command_kind).is_ok())
            .map(|command_kind| command_kind.name().to_owned())
            .collect();
        let missing: Vec<_> = taken.difference(&seen[kind].updates).collect();
        assert!(missing.is_empty(), "no path gives a {kind} {missing:?}");
        assert!(!seen[kind].signals.is_empty(), "no path signals a {kind}");
    }
}
