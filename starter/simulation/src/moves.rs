//! What somebody may do next, and which offers they could answer.

use recourse_domain::{command::CommandKind, messages::Status, offers::OfferState, party::Role};
use serde_json::{Map, Value};

/// Something that somebody does.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// In which role.
    pub by: Role,
    /// Whether it is somebody else who only says that they are.
    pub stranger: bool,
    /// Which command.
    pub command_kind: CommandKind,
    /// Its fields, without `by`.
    pub fields: Map<String, Value>,
    /// How long they wait before.
    pub wait: Wait,
    /// Whose billing method declines what the command charges.
    pub declined: Option<Role>,
    /// Whether the command must be taken.
    pub right: bool,
}

/// How long somebody waits before they act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// They act at once.
    None,
    /// So many sixteenths of what is left of the window.
    Sixteenths(u8),
    /// So many days, where there is no window.
    Days(u8),
}

/// The number of the offer that this party could answer.
pub fn offer_of_the_other(status: &Status, role: Role) -> Option<u32> {
    let other = role.other_party()?;
    open_offer(status, other)
}

/// The number of this party's offer that can still be accepted.
pub fn open_offer(status: &Status, by: Role) -> Option<u32> {
    status.offers.iter().find(|offer| offer.by == by && offer.state == OfferState::Open).map(|offer| offer.number)
}
