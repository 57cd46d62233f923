//! What a button meant when the page showed it. If the case has changed since, the form does nothing, and the page says so.

use maud::{Markup, html};
use recourse_client::words::{named, note_of, words};
use recourse_domain::{
    case::{TimelineEntry, What},
    command::CommandKind,
    messages::Status,
    money::Amount,
};
use serde_json::{Map, Value};

use super::{
    acts::{Act, Of},
    forms::Fields,
};

/// A refused command is in the timeline but has changed nothing.
fn changed(entry: &TimelineEntry) -> bool {
    !matches!(entry.what, What::Refused | What::Unreadable)
}

/// The hidden fields with what the page showed.
pub fn hidden(status: &Status, act: &Act) -> Markup {
    html! {
        input type="hidden" name="stage" value=(status.stage.name());
        input type="hidden" name="seen" value=(status.timeline.len());
        input type="hidden" name="named" value=(shown(act.amount(status)));
        @if let Some(submission) = act.submission(status) { input type="hidden" name="submission" value=(submission); }
    }
}

/// The names of the fields that a form passes to the next step.
pub fn names() -> [&'static str; 4] {
    ["stage", "seen", "named", "submission"]
}

/// The command's fields that name what the page showed, so that the case refuses it if that changes before it arrives.
pub fn seen(status: &Status, act: &Act, fields: &Fields) -> Map<String, Value> {
    let name = match (act.command_kind, act.of) {
        (CommandKind::Accept | CommandKind::Reject, Of::Claim) => "amount",
        _ if act.submission(status).is_some() => "submission",
        _ => return Map::new(),
    };
    let shown = if name == "amount" { fields.get("named") } else { fields.get("submission") };
    let shown = shown.parse::<i64>().ok().map(|number| (name.to_owned(), number.into()));
    shown.into_iter().collect()
}

fn shown(amount: Option<Amount>) -> String {
    amount.map(|amount| amount.minor().to_string()).unwrap_or_default()
}

/// How the case has changed since the form was shown, if that matters to this form.
pub fn moved_on(status: &Status, act: &Act, fields: &Fields) -> Option<String> {
    let submission = act.submission(status).is_none_or(|number| fields.get("submission") == number.to_string());
    let is_same =
        submission && fields.get("stage") == status.stage.name() && fields.get("named") == shown(act.amount(status));
    if is_same {
        return None;
    }
    let seen = fields.get("seen").parse().unwrap_or(usize::MAX);
    let since: Vec<String> = status.timeline.iter().skip(seen).filter(|entry| changed(entry)).map(in_words).collect();
    let what = if since.is_empty() { format!("it is now {}", words(status.stage.name())) } else { since.join("; ") };
    Some(format!("The case has moved on: {what}. Nothing was done."))
}

fn in_words(entry: &TimelineEntry) -> String {
    let note = entry.note.as_deref().filter(|note| !note.is_empty());
    let note = note.map(|note| format!(" ({})", note_of(entry.what, note))).unwrap_or_default();
    format!("{}: {}{note}", named(&entry.by), named(&entry.what))
}
