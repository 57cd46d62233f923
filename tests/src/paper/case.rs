//! Questions to a case on paper.

use jiff::Timestamp;
use recourse_domain::{
    case::{Case, CaseFile, What},
    command::{Message, Unreadable},
    ids::CaseKind,
    party::Contract,
    stage::Stage,
};

pub(super) fn forget(file: &mut CaseFile) {
    drop(file.take_notices());
    file.timeline.retain(|entry| entry.what == What::ClaimAmended);
}

pub(super) const fn kind_of<C: Case>(_: &C) -> CaseKind {
    C::KIND
}

pub(super) fn readable<C: Case>(_: &C, message: &Message) -> Result<(), Unreadable> {
    C::readable(&message.command)
}

/// Whether nothing remains to do: [`Case::is_decided`] is true while the money still moves.
pub fn is_over<C: Case>(case: &C) -> bool {
    matches!(case.stage(), Stage::Closed | Stage::OnHold)
}

/// Lets a due silence or alarm act, as `Conduct::next_change` does. Returns whether it had an effect: a clock that ticks
/// without effect would never stop.
pub(super) fn ticked<C: Case>(case: &mut C, now: Timestamp) -> bool {
    let (due, version) = (case.wake_at(), case.file().version());
    if due.is_none_or(|at| at > now) {
        return false;
    }
    case.tick(now);
    case.wake_at() != due || case.file().version() != version
}

/// The contract of stories on paper.
pub fn contract() -> Contract {
    serde_json::from_value(serde_json::json!({
        "id": "c-1", "title": "Logo", "kind": "fixed_price", "currency": "USD",
        "client": {"id": "cl-1", "name": "Cleo"}, "freelancer": {"id": "fl-1", "name": "Finn"},
    }))
    .unwrap()
}
