//! What a case on paper is asked.

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

/// Whether nothing is left to do: [`Case::is_decided`] is true while the money still moves.
pub fn is_over<C: Case>(case: &C) -> bool {
    matches!(case.stage(), Stage::Closed | Stage::OnHold)
}

/// Lets silence or an alarm act that is due, as `Conduct::next_change` does. Whether something came of it: a clock that
/// ticked for nothing would never stop.
pub(super) fn ticked<C: Case>(case: &mut C, now: Timestamp) -> bool {
    let (due, version) = (case.wake_at(), case.file().version());
    if due.is_none_or(|at| at > now) {
        return false;
    }
    case.tick(now);
    case.wake_at() != due || case.file().version() != version
}

/// The contract that stories on paper are of.
pub fn contract() -> Contract {
    serde_json::from_value(serde_json::json!({
        "id": "c-1", "title": "Logo", "kind": "fixed_price", "currency": "USD",
        "client": {"id": "cl-1", "name": "Cleo"}, "freelancer": {"id": "fl-1", "name": "Finn"},
    }))
    .unwrap()
}
