//! The orders of a workflow, as text: the attributes of its commands, which a replay does not compare.
//!
//! The text leaves out what differs from run to run: instants are relative to the case's start and rounded to a tenth of an
//! hour, because a case's clock continues while a path is played; ids that the server makes are left out.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::{Map, Value};

/// Events that are no command and do not affect the order of commands.
const NOT_SHOWN: [&str; 10] = [
    "WorkflowExecutionStarted",
    "WorkflowTaskScheduled",
    "WorkflowTaskStarted",
    "WorkflowTaskCompleted",
    "ActivityTaskStarted",
    "ActivityTaskCompleted",
    "ActivityTaskFailed",
    "WorkflowExecutionOptionsUpdated",
    "WorkflowExecutionTimeSkippingTransitioned",
    "WorkflowExecutionUpdateAdmitted",
];

/// Events from outside; shown by name, so that a reader sees what the commands answer.
const FROM_OUTSIDE: [&str; 11] = [
    "WorkflowExecutionSignaled",
    "TimerFired",
    "ChildWorkflowExecutionStarted",
    "ChildWorkflowExecutionCompleted",
    "ChildWorkflowExecutionFailed",
    "ChildWorkflowExecutionTerminated",
    "ExternalWorkflowExecutionSignaled",
    "SignalExternalWorkflowExecutionFailed",
    "StartChildWorkflowExecutionFailed",
    "WorkflowExecutionUpdateAccepted",
    "WorkflowExecutionCancelRequested",
];

/// Fields that the server fills in, or that refer to a place instead of content.
const NOISE: [&str; 8] = [
    "activity_id",
    "identity",
    "new_execution_run_id",
    "namespace",
    "namespace_id",
    "run_id",
    "scheduled_event_id",
    "started_event_id",
];

/// The commands of a recorded history, oldest first, one in each paragraph.
pub fn commands_of(history: &[u8]) -> String {
    let history: Value = serde_json::from_slice(history).unwrap();
    let events = history["events"].as_array().unwrap();
    let normal = Normal::of(&events[0]);
    let mut text = String::new();
    for event in events {
        let (name, attributes) = event["attributes"].as_object().unwrap().iter().next().unwrap();
        let name = name.trim_end_matches("EventAttributes");
        if NOT_SHOWN.contains(&name) || is_tried_again(name, attributes) {
            continue;
        }
        if FROM_OUTSIDE.contains(&name) {
            let _ = writeln!(text, "< {name}{}", what_came(attributes));
            continue;
        }
        let _ = writeln!(text, "{name}");
        if name == "WorkflowExecutionUpdateCompleted" {
            let _ = writeln!(text, "  {}", normal.text(&answer(attributes)));
            continue;
        }
        for (place, summary) in ["summary", "details"].map(|field| (field, &event["user_metadata"][field])) {
            if !summary.is_null() {
                show(&mut text, 1, place, &normal.value(summary.clone()));
            }
        }
        for (field, value) in sorted(attributes.as_object().unwrap()) {
            let noise = NOISE.contains(&field.as_str()) || field == "workflow_task_completed_event_id";
            let value = normal.value(value.clone());
            if !noise && !says_nothing(&value) {
                show(&mut text, 1, field, &value);
            }
        }
    }
    text
}

/// Whether the server repeated the task because an event arrived during it, which can happen to any task.
fn is_tried_again(name: &str, attributes: &Value) -> bool {
    name == "WorkflowTaskTimedOut"
        || name == "WorkflowTaskFailed" && attributes["failure"]["message"] == "UnhandledCommand"
}

fn what_came(attributes: &Value) -> String {
    let name = [&attributes["signal_name"], &attributes["accepted_request"]["input"]["name"]];
    name.into_iter().find_map(Value::as_str).map(|name| format!(" {name}")).unwrap_or_default()
}

/// The answer to an update: the stage after it, or the refusal. Tests of the wire contract check the rest of the status.
fn answer(completed: &Value) -> String {
    let outcome = &completed["outcome"]["value"];
    if let Some(payload) = outcome["Success"]["payloads"].get(0) {
        let status = decoded(payload);
        return format!("answered in stage {}", status["stage"].as_str().unwrap_or_default());
    }
    format!("refused: {}", outcome["Failure"]["message"].as_str().unwrap_or("?"))
}

/// Makes a history's values comparable with those of another history of the same path.
struct Normal {
    start: Timestamp,
    /// The values that every order carries, and the name that replaces each.
    known: Vec<(Value, &'static str)>,
}

impl Normal {
    fn of(started: &Value) -> Self {
        let start = started["event_time"].as_str().unwrap().parse().unwrap();
        let input = decoded(&started["attributes"]["WorkflowExecutionStartedEventAttributes"]["input"]["payloads"][0]);
        let known = [("contract", "(the contract)"), ("policy", "(the policy)")];
        let known = known.into_iter().filter_map(|(field, name)| {
            let value = input.get(field).filter(|value| value.is_object())?;
            Some((value.clone(), name))
        });
        Self { start, known: known.collect() }
    }

    fn value(&self, value: Value) -> Value {
        if let Some((_, name)) = self.known.iter().find(|(known, _)| *known == value) {
            return Value::from(*name);
        }
        match value {
            Value::Object(fields) if is_payload(&fields) => self.value(decoded(&Value::Object(fields))),
            Value::Object(fields) if fields.len() == 1 && fields.contains_key("payloads") => {
                let Some(Value::Array(payloads)) = fields.into_iter().next().map(|(_, payloads)| payloads) else {
                    return Value::Null;
                };
                let mut payloads: Vec<Value> = payloads.into_iter().map(|payload| self.value(payload)).collect();
                if payloads.len() == 1 { payloads.remove(0) } else { Value::Array(payloads) }
            }
            Value::Object(fields) => {
                let fields = fields.into_iter().filter(|(field, _)| !NOISE.contains(&field.as_str()));
                Value::Object(fields.map(|(field, value)| (field, self.value(value))).collect())
            }
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.value(item)).collect()),
            Value::String(text) => Value::String(self.text(&text)),
            other => other,
        }
    }

    /// Makes instants in a text relative, in machine and human form, and replaces made-up ids and lengths.
    fn text(&self, text: &str) -> String {
        if let Some(Ok(seconds)) = text.strip_suffix('s').filter(|seconds| seconds.contains('.')).map(str::parse::<f64>)
        {
            return length(seconds);
        }
        if uuid(text) {
            return "(a run)".to_owned();
        }
        let mut words: Vec<String> = Vec::new();
        for word in text.split(' ') {
            let bare = word.trim_matches(|letter: char| "();,.\"".contains(letter));
            match bare.parse::<Timestamp>() {
                Ok(at) if bare.len() >= 20 => words.push(word.replace(bare, &self.since(at))),
                _ => words.push(word.to_owned()),
            }
            self.join_date(&mut words);
        }
        words.join(" ")
    }

    /// `Thu 3 Dec 2026 10:00 UTC` is six words of one instant.
    fn join_date(&self, words: &mut Vec<String>) {
        let Some(end) = words.last().and_then(|word| word.strip_prefix("UTC")) else { return };
        let Some(first) = words.len().checked_sub(6) else { return };
        let (end, date) = (end.to_owned(), words[first..words.len() - 1].join(" "));
        let opening: String = date.chars().take_while(|letter| !letter.is_alphanumeric()).collect();
        if let Ok(date) = DateTime::strptime("%a %d %b %Y %H:%M", &date[opening.len()..]) {
            let at = date.to_zoned(TimeZone::UTC).unwrap().timestamp();
            words.truncate(first);
            words.push(format!("{opening}{}{end}", self.since(at)));
        }
    }

    fn since(&self, at: Timestamp) -> String {
        let since: SignedDuration = at.duration_since(self.start);
        let sign = if since.as_secs_f64() < -180.0 { '-' } else { '+' };
        format!("start{sign}{}", days(since.as_secs_f64().abs()))
    }
}

/// A length of up to an hour exactly; a longer one, which may be counted from an instant, to a tenth of an hour.
fn length(seconds: f64) -> String {
    if seconds <= 3600.0 { format!("{seconds}s") } else { days(seconds) }
}

fn days(seconds: f64) -> String {
    let tenths = (seconds / 360.0).round();
    let (days, hours) = ((tenths / 240.0).floor(), (tenths % 240.0) / 10.0);
    if hours == 0.0 { format!("{days}d") } else { format!("{days}d{hours}h") }
}

fn uuid(text: &str) -> bool {
    text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

fn is_payload(fields: &Map<String, Value>) -> bool {
    fields.len() == 2 && fields.contains_key("metadata") && fields.get("data").is_some_and(Value::is_string)
}

/// The content of a payload.
pub fn decoded(payload: &Value) -> Value {
    let bytes = payload["data"].as_str().and_then(base64).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Decodes standard base64.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut kept) = (0_u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xFF_FFFF;
        kept += 6;
        if kept >= 8 {
            kept -= 8;
            bytes.push((bits >> kept & 0xFF) as u8);
        }
    }
    Some(bytes)
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(says) => !says,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || text == "0s",
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(says_nothing),
    }
}

fn sorted(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(field, _)| *field);
    fields
}

/// The argument of an order takes several lines, so that a difference is one line; the rest takes one.
fn show(text: &mut String, depth: usize, field: &str, value: &Value) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) if depth == 1 && ["input", "result"].contains(&field) => {
            let _ = writeln!(text, "{indent}{field}:");
            for (field, value) in sorted(fields) {
                show(text, depth + 1, field, value);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let _ = writeln!(text, "{indent}{field}:");
            for item in items {
                let _ = writeln!(text, "{indent}  - {}", one_line(item));
            }
        }
        Value::String(string) => drop(writeln!(text, "{indent}{field}: {string}")),
        other => drop(writeln!(text, "{indent}{field}: {}", one_line(other))),
    }
}

fn one_line(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = sorted(fields).into_iter().map(|(field, value)| format!("{field}: {}", one_line(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(one_line).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
