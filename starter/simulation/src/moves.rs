//! What somebody may do next, and which offers they could answer.

use recourse_domain::{command::CommandKind, messages::Status, offers::OfferState, party::Role};
use serde_json::{Map, Value};

/// One action of somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// Their role.
    pub by: Role,
    /// Whether it is another person who only claims that role.
    pub stranger: bool,
    /// The command.
    pub command_kind: CommandKind,
    /// Its fields, without `by`.
    pub fields: Map<String, Value>,
    /// How long they wait before it.
    pub wait: Wait,
    /// The role whose billing method declines the command's charge.
    pub declined: Option<Role>,
    /// Whether the case must take the command.
    pub right: bool,
}

/// How long somebody waits before they act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// They act at once.
    None,
    /// This many sixteenths of the rest of the window.
    Sixteenths(u8),
    /// This many days, if there is no window.
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
