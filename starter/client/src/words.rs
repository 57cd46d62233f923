//! Names and times in words, for the command line and the console.

use jiff::Timestamp;
use recourse_domain::{case::What, party::Role};
use recourse_workflows::describe;
use serde::Serialize;
use serde_json::Value;

/// A wire name in words: `awaiting_freelancer` is "awaiting freelancer".
pub fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// A value of one of the wire contract's enums in words.
pub fn named(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => words(&name),
        _ => String::new(),
    }
}

/// Roles in words.
pub fn roles(roles: &[Role]) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ")
}

/// A timeline's note in words.
pub fn note_of(what: What, note: &str) -> String {
    // A decision's note is the result's wire name, or a message.
    if what == What::Decided && !note.contains(' ') { words(note) } else { note.to_owned() }
}

/// An instant, and how far it is from `now`: `Thu 3 Dec 2026 10:00 UTC (in 3 d 4 h)`.
pub fn moment(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", describe::instant(at), distance(at, now))
}

/// How far an instant is from `now`: `in 3 d 4 h`, `20 min ago`.
pub fn distance(at: Timestamp, now: Timestamp) -> String {
    let distance = at.duration_since(now);
    let length = length((distance.unsigned_abs().as_secs() + 30) / 60);
    if distance.is_negative() { format!("{length} ago") } else { format!("in {length}") }
}

fn length(minutes: u64) -> String {
    let (days, hours, minutes) = (minutes / (24 * 60), minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) if minutes == 0 => "less than a minute".to_owned(),
        (0, 0) => format!("{minutes} min"),
        (0, _) if minutes == 0 => format!("{hours} h"),
        (0, _) => format!("{hours} h {minutes} min"),
        (_, 0) => format!("{days} d"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_shows_its_time_and_distance() {
        let at: Timestamp = "2026-12-03T10:00:00Z".parse().unwrap();
        for (now, relative) in [
            ("2026-11-30T06:00:00Z", "(in 3 d 4 h)"),
            ("2026-12-03T08:30:00Z", "(in 1 h 30 min)"),
            ("2026-11-26T10:00:05Z", "(in 7 d)"),
            ("2026-12-03T09:59:40Z", "(in less than a minute)"),
            ("2026-12-03T10:20:00Z", "(20 min ago)"),
        ] {
            assert_eq!(moment(at, now.parse().unwrap()), format!("Thu 3 Dec 2026 10:00 UTC {relative}"));
        }
    }
}
