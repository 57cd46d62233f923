//! What the replay must find: workflows that order something else than was recorded, and histories that prove nothing.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use super::{
    commands::commands_of,
    files::{histories, history_of},
    replay::{Fault, PRESENT, replay, replay_unseen},
    variants,
};

fn deposited() -> Vec<u8> {
    fs::read(history_of("escrow_deposit", "deposited")).unwrap()
}

fn approved() -> Vec<u8> {
    fs::read(history_of("refund_request", "end-approved")).unwrap()
}

/// A copy of the real workflow replays; the same copy with one command moved, or one left out, does not.
#[test]
fn a_reordered_command_and_a_missing_activity_are_found() {
    assert_eq!(replay(&deposited(), variants::DEPOSIT_AS_IT_IS), Ok(()));
    assert_eq!(replay(&approved(), variants::END_AS_IT_IS), Ok(()));
    for (history, name, code) in [
        (deposited(), "a stage shown before the charge", variants::DEPOSIT_REORDERED),
        (deposited(), "notices left out", variants::DEPOSIT_UNTOLD),
        (approved(), "money moved before the stage is shown", variants::END_REORDERED),
        (approved(), "a settlement left out", variants::END_UNSETTLED),
    ] {
        let found = replay(&history, code);
        assert!(matches!(found, Err(Fault::Nondeterminism(_))), "{name}: {found:?}");
    }
}

/// T2, L5: a worker that answers a query may see a timer fire before it gets the task, with the time of the earlier task. It
/// orders what a replay with the right time orders: the fired timer counts.
#[test]
fn a_fired_timer_counts_whatever_the_time() {
    let silent = histories().into_iter().filter(|path| path.to_string_lossy().contains("silence"));
    let mut fired = 0;
    for path in silent {
        let mut history: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let (mut before, mut after_a_timer) = (Value::Null, false);
        for event in history["events"].as_array_mut().unwrap() {
            if event["attributes"].get("TimerFiredEventAttributes").is_some() {
                after_a_timer = true;
            }
            if event["attributes"].get("WorkflowTaskStartedEventAttributes").is_some() {
                if std::mem::take(&mut after_a_timer) {
                    event["event_time"].clone_from(&before);
                    fired += 1;
                }
                before.clone_from(&event["event_time"]);
            }
        }
        let replayed = replay(&serde_json::to_vec(&history).unwrap(), PRESENT);
        assert_eq!(replayed, Ok(()), "{}", path.display());
    }
    assert!(fired > 10, "{fired} timers");
}

/// The SDK's replayer never returns from the first, and passes the second.
#[test]
fn a_history_that_proves_nothing_is_found() {
    let history: Value = serde_json::from_slice(&deposited()).unwrap();
    let with = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut history = history.clone();
        change(history["events"].as_array_mut().unwrap());
        serde_json::to_vec(&history).unwrap()
    };
    let empty = with(&|events| events.clear());
    let begun = with(&|events| events.truncate(2));
    let unknown = with(&|events| {
        events[0]["attributes"]["WorkflowExecutionStartedEventAttributes"]["workflow_type"]["name"] =
            json!("Chargeback");
    });
    assert_eq!(replay(&empty, PRESENT), Err(Fault::Empty));
    assert_eq!(replay(&begun, PRESENT), Err(Fault::NoCompletedTask));
    assert_eq!(replay(&unknown, PRESENT), Err(Fault::UnknownType("Chargeback".to_owned())));
    assert!(matches!(replay(b"{}", PRESENT), Err(Fault::Unreadable(_))));
    assert!(matches!(replay(b"[", PRESENT), Err(Fault::Unreadable(_))));
    // So histories are checked first, and a replay that does not end is a failure.
    assert_eq!(replay_unseen(&begun, PRESENT, Duration::from_secs(30)), Ok(()));
    assert_eq!(replay_unseen(&empty, PRESENT, Duration::from_millis(300)), Err(Fault::Hangs));
}

/// A replay passes another amount, a longer timer and another retry policy; the commands as text do not.
#[test]
fn the_command_texts_show_what_a_replay_does_not_compare() {
    let history: Value = serde_json::from_slice(&approved()).unwrap();
    let changed = |kind: &str, change: &dyn Fn(&mut Value)| {
        let mut history = history.clone();
        let name = format!("{kind}EventAttributes");
        let events = history["events"].as_array_mut().unwrap();
        let event = events.iter_mut().find(|event| event["attributes"].get(&name).is_some()).unwrap();
        change(&mut event["attributes"][&name]);
        serde_json::to_vec(&history).unwrap()
    };
    let known = commands_of(&approved());
    for (name, history) in [
        ("a timer", changed("TimerStarted", &|timer| timer["start_to_fire_timeout"] = json!("86400.000000000s"))),
        ("an input", changed("ActivityTaskScheduled", &|order| order["input"]["payloads"][0]["data"] = json!("e30="))),
        (
            "a retry policy",
            changed("ActivityTaskScheduled", &|order| order["retry_policy"]["maximumAttempts"] = json!(3)),
        ),
        (
            "a search attribute",
            changed("UpsertWorkflowSearchAttributes", &|upsert| {
                upsert["search_attributes"]["indexedFields"]["CaseStage"]["data"] = json!("ImNsb3NlZCI=");
            }),
        ),
    ] {
        assert_eq!(replay(&history, PRESENT), Ok(()), "{name}");
        assert_ne!(commands_of(&history), known, "{name}");
    }
}
