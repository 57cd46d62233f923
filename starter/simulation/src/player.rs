//! A player who acts for all parties of one contract.

use recourse_domain::{
    ids::{CaseKind, Id},
    messages::Status,
    outcome::{Outcome, ResultKind},
};

use super::{
    dice::Dice,
    plan::Plan,
    record::{Record, Trouble},
    world::World,
};

/// A player who acts for all parties of one contract.
pub struct Player<'a> {
    pub(super) world: &'a World,
    pub(super) plan: Plan,
    pub(super) dice: Dice,
    pub(super) record: Record,
    /// The billing method of the newest charge.
    pub(super) card: Id,
    /// How many deposits the player has tried.
    pub(super) deposits: u32,
    /// How many more moves reviews and disputes have before the contract ends; none if it does not end during them.
    pub(super) moves_left: Option<u32>,
    /// The case that is open when the contract ends, and its dispute.
    pub(super) open: Option<Open>,
}

/// A case that is not over when the contract ends.
#[derive(Debug)]
pub struct Open {
    /// The case.
    pub case: String,
    /// The dispute.
    pub dispute: Option<String>,
}

impl Player<'_> {
    /// Whether the contract is about to end during this case. Checked before each move.
    pub(super) const fn is_about_to_end(&mut self, kind: CaseKind) -> bool {
        let (CaseKind::MilestoneReview | CaseKind::Dispute, Some(left)) = (kind, self.moves_left) else { return false };
        self.moves_left = Some(left.saturating_sub(1));
        left == 0
    }
}

/// Fails if a correct start was refused.
pub(super) fn must_not_be_refused(status: &Status, outcome: &Outcome) -> Result<(), Trouble> {
    if outcome.result != ResultKind::Refused {
        return Ok(());
    }
    let why = outcome.message.as_deref().unwrap_or("no reason was given");
    Err(Trouble::of(status, format!("a right start was refused by rule {}: {why}", outcome.rule)))
}
