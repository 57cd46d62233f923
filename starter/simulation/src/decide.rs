//! Decides what somebody does next in a case, from the case's status alone, as any client could.
//!
//! Pure: dice and a status go in, a move comes out. It knows only what the status allows. The case judges whether a move was
//! right.

use recourse_domain::{
    case::{TimelineEntry, What, Who},
    command::CommandKind,
    messages::Status,
    party::Role,
    stage::Stage,
};
use serde_json::{Map, Value};

use super::{
    dice::Dice,
    fields,
    moves::{Move, Wait},
    wrong,
};

/// How often somebody lets the window pass, in percent of their turns.
const SILENT: u64 = 22;

/// How often somebody tries something forbidden, in percent, and how often in one case at most.
const WRONG: u64 = 8;
const WRONG_MAX: usize = 3;

/// How often each of these happens in one case at most, so that every case ends.
const OFFERS_MAX: usize = 5;
const AMENDMENTS_MAX: usize = 2;
const SUBMISSIONS_MAX: u32 = 3;
const DECLINED_FEES_MAX: usize = 2;

/// What happens next in the case. None if everybody is silent: until the deadline, or for ever if there is none.
pub fn decide(dice: &mut Dice, status: &Status) -> Option<Move> {
    let mut choices: Vec<(u64, Role, CommandKind)> = Vec::new();
    for (role, command_kinds) in &status.allowed {
        choices.extend(
            command_kinds.iter().map(|command_kind| (weight(status, *role, *command_kind), *role, *command_kind)),
        );
    }
    choices.retain(|(weight, ..)| *weight > 0);
    if choices.is_empty() {
        return None;
    }
    if dice.chance(WRONG) && count(status, What::Refused, None) + count(status, What::Unreadable, None) < WRONG_MAX {
        return Some(wrong::choose(dice, status));
    }
    let ends_by_itself = status.deadline.is_some();
    // If nothing happens by itself, most people act in the end; an arbitrator always does (A4).
    let silent = if ends_by_itself { SILENT } else { SILENT / 2 };
    if status.stage != Stage::InArbitration && dice.chance(silent) {
        return None;
    }
    let (by, command_kind) = weighted(dice, &choices)?;
    let wait = match (command_kind, wait(dice, ends_by_itself)) {
        // The status offers it for a shorter time than the window (P3). Later it might be too late.
        (CommandKind::RequestMediation, _) => Wait::None,
        (_, wait) => wait,
    };
    let fields = fields::right(dice, status, by, command_kind)?;
    let declined = is_declined(dice, status, by, command_kind, &fields).then_some(by);
    Some(Move { by, stranger: false, command_kind, fields, wait, declined, right: true })
}

/// How much more likely than others a possible command is; 0 for one that nobody gives any more.
fn weight(status: &Status, role: Role, command_kind: CommandKind) -> u64 {
    match command_kind {
        CommandKind::Offer if status.offers.len() >= OFFERS_MAX => 0,
        CommandKind::Amend if count(status, What::ClaimAmended, None) >= AMENDMENTS_MAX => 0,
        CommandKind::RequestChanges
            if status.review.as_ref().is_some_and(|review| review.submissions >= SUBMISSIONS_MAX) =>
        {
            0
        }
        CommandKind::DemandArbitration if declined_fees(status, role) >= DECLINED_FEES_MAX => 0,
        CommandKind::RequestMediation if status.payment.as_ref().is_some_and(|payment| payment.mediation.is_some()) => {
            0
        }
        CommandKind::Opinion if status.payment.as_ref().is_some_and(|payment| payment.opinion.is_some()) => 0,
        // A contract's end does this by itself. An operator does not do it without a reason.
        CommandKind::Supersede => 0,
        // People who are neither awaited nor bargaining act rarely.
        CommandKind::Extend
        | CommandKind::Retract
        | CommandKind::Withdraw
        | CommandKind::Release
        | CommandKind::Close
        | CommandKind::Amend => 1,
        CommandKind::Offer | CommandKind::RequestMediation => 2,
        CommandKind::Accept | CommandKind::Reject => 5,
        CommandKind::Approve | CommandKind::Submit => 6,
        CommandKind::Dispute if status.review.is_some() => 3,
        CommandKind::Dispute | CommandKind::Propose | CommandKind::DemandArbitration | CommandKind::Award => 8,
        // Also commands that have no weight of their own yet.
        _ => 4,
    }
}

fn weighted(dice: &mut Dice, choices: &[(u64, Role, CommandKind)]) -> Option<(Role, CommandKind)> {
    let mut left = dice.below(choices.iter().map(|(weight, ..)| weight).sum());
    for (weight, role, command_kind) in choices {
        match left.checked_sub(*weight) {
            Some(less) => left = less,
            None => return Some((*role, *command_kind)),
        }
    }
    None
}

fn wait(dice: &mut Dice, ends_by_itself: bool) -> Wait {
    let acts_at_once = dice.chance(40);
    let sixteenths = u8::try_from(1 + dice.below(14)).unwrap_or(1);
    let days = u8::try_from(1 + dice.below(45)).unwrap_or(1);
    match (acts_at_once, ends_by_itself) {
        (true, _) => Wait::None,
        (false, true) => Wait::Sixteenths(sixteenths),
        (false, false) => Wait::Days(days),
    }
}

/// Whether the bank declines this command's charge: a share of the fee (A1), or a bonus (E7).
fn is_declined(
    dice: &mut Dice,
    status: &Status,
    by: Role,
    command_kind: CommandKind,
    fields: &Map<String, Value>,
) -> bool {
    match command_kind {
        CommandKind::DemandArbitration => declined_fees(status, by) < DECLINED_FEES_MAX && dice.chance(20),
        CommandKind::Approve => {
            let held = status.review.as_ref().map(|review| review.milestone.amount.minor());
            let paid = fields.get("amount").and_then(Value::as_i64);
            held.zip(paid).is_some_and(|(held, paid)| paid > held) && dice.chance(35)
        }
        _ => false,
    }
}

fn declined_fees(status: &Status, role: Role) -> usize {
    count(status, What::ArbitrationFeeDeclined, Some(role.into()))
}

fn count(status: &Status, what: What, by: Option<Who>) -> usize {
    let is = |entry: &&TimelineEntry| entry.what == what && by.is_none_or(|by| entry.by == by);
    status.timeline.iter().filter(is).count()
}
