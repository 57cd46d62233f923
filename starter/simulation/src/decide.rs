//! What somebody does next in a case, decided from the case's status alone, as any client of it could.
//!
//! Pure: dice and a status go in, a move comes out. It knows no rule but what the status says is allowed; whether a move
//! was right is for the case to say.

use recourse_domain::{
    case::{TimelineEntry, What, Who},
    command::Verb,
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

/// How often somebody lets the window pass, in percent of the times when they are looked at.
const SILENT: u64 = 22;

/// How often somebody tries what cannot be done, in percent, and how often in one case at most.
const WRONG: u64 = 8;
const WRONG_MAX: usize = 3;

/// How often each of these is done in one case at most, so that every case comes to an end.
const OFFERS_MAX: usize = 5;
const AMENDMENTS_MAX: usize = 2;
const SUBMISSIONS_MAX: u32 = 3;
const DECLINED_FEES_MAX: usize = 2;

/// What happens next in the case. Nothing if everybody is silent: until the deadline, or for ever where there is none.
pub fn decide(dice: &mut Dice, status: &Status) -> Option<Move> {
    let mut choices: Vec<(u64, Role, Verb)> = Vec::new();
    for (role, verbs) in &status.allowed {
        choices.extend(verbs.iter().map(|verb| (weight(status, *role, *verb), *role, *verb)));
    }
    choices.retain(|(weight, ..)| *weight > 0);
    if choices.is_empty() {
        return None;
    }
    if dice.chance(WRONG) && count(status, What::Refused, None) + count(status, What::Unreadable, None) < WRONG_MAX {
        return Some(wrong::choose(dice, status));
    }
    let ends_by_itself = status.deadline.is_some();
    // Where nothing happens by itself, most get round to it; an arbitrator always does (A4).
    let silent = if ends_by_itself { SILENT } else { SILENT / 2 };
    if status.stage != Stage::InArbitration && dice.chance(silent) {
        return None;
    }
    let (by, verb) = weighted(dice, &choices)?;
    let wait = match (verb, wait(dice, ends_by_itself)) {
        // It is offered for a shorter time than the window (P3): by then it might be too late.
        (Verb::RequestMediation, _) => Wait::None,
        (_, wait) => wait,
    };
    let fields = fields::right(dice, status, by, verb)?;
    let declined = is_declined(dice, status, by, verb, &fields).then_some(by);
    Some(Move { by, stranger: false, verb, fields, wait, declined, right: true })
}

/// How much likelier than others a command is that can be given now; 0 for one that is not given any more.
fn weight(status: &Status, role: Role, verb: Verb) -> u64 {
    match verb {
        Verb::Offer if status.offers.len() >= OFFERS_MAX => 0,
        Verb::Amend if count(status, What::ClaimAmended, None) >= AMENDMENTS_MAX => 0,
        Verb::RequestChanges if status.review.as_ref().is_some_and(|review| review.submissions >= SUBMISSIONS_MAX) => 0,
        Verb::DemandArbitration if declined_fees(status, role) >= DECLINED_FEES_MAX => 0,
        Verb::RequestMediation if status.payment.as_ref().is_some_and(|payment| payment.mediation.is_some()) => 0,
        Verb::Opinion if status.payment.as_ref().is_some_and(|payment| payment.opinion.is_some()) => 0,
        // What a contract's end does by itself; an operator does not do it for fun.
        Verb::Supersede => 0,
        // Who is neither awaited nor bargaining says little.
        Verb::Extend | Verb::Retract | Verb::Withdraw | Verb::Release | Verb::Close | Verb::Amend => 1,
        Verb::Offer | Verb::RequestMediation => 2,
        Verb::Accept | Verb::Reject => 5,
        Verb::Approve | Verb::Submit => 6,
        Verb::Dispute if status.review.is_some() => 3,
        Verb::Dispute | Verb::Propose | Verb::DemandArbitration | Verb::Award => 8,
        // Also what nobody has weighed yet.
        _ => 4,
    }
}

fn weighted(dice: &mut Dice, choices: &[(u64, Role, Verb)]) -> Option<(Role, Verb)> {
    let mut left = dice.below(choices.iter().map(|(weight, ..)| weight).sum());
    for (weight, role, verb) in choices {
        match left.checked_sub(*weight) {
            Some(less) => left = less,
            None => return Some((*role, *verb)),
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

/// Whether the bank says no to what this command charges: a share of the fee (A1), or a bonus (E7).
fn is_declined(dice: &mut Dice, status: &Status, by: Role, verb: Verb, fields: &Map<String, Value>) -> bool {
    match verb {
        Verb::DemandArbitration => declined_fees(status, by) < DECLINED_FEES_MAX && dice.chance(20),
        Verb::Approve => {
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
