//! A command's fields, filled in by chance so that the case can take them.

use recourse_domain::{
    claim::RejectionReason,
    command::{CommandKind, FieldKind},
    ids::CaseKind,
    messages::Status,
    money::Amount,
    party::Role,
    stage::Stage,
};
use serde_json::{Map, Value, json};

use super::{
    dice::Dice,
    moves::{offer_of_the_other, open_offer},
};

/// Fields with which the case must take the command from `by` now. None if no fields are possible.
pub fn right(dice: &mut Dice, status: &Status, by: Role, command_kind: CommandKind) -> Option<Map<String, Value>> {
    let fields = match command_kind {
        CommandKind::Accept | CommandKind::Reject => answer(dice, status, by, command_kind)?,
        CommandKind::Retract => json!({"number": open_offer(status, by)?}),
        CommandKind::Approve => approval(dice, status),
        command_kind => return Some(said(dice, status, command_kind)),
    };
    let Value::Object(fields) = fields else { return None };
    Some(fields)
}

/// A value for each field that the command has in such a case.
fn said(dice: &mut Dice, status: &Status, command_kind: CommandKind) -> Map<String, Value> {
    let said = command_kind.asks(status.kind, None).filter_map(|field| {
        let value = match (field.name, field.kind) {
            ("to_freelancer", _) => json!(dice.part(status.held)),
            (_, FieldKind::Money) => json!(dice.some_of(status.held)),
            // Hours: every window is longer than a day.
            (_, FieldKind::Number) => json!(1 + dice.below(24)),
            (_, FieldKind::Text) => json!("As it was agreed, and as both of us know"),
            (_, FieldKind::Line) => json!(format!("No. {}", dice.below(1000))),
            (_, FieldKind::Flag) => json!(true),
            (_, FieldKind::Files) => files(dice),
            (_, FieldKind::OneOf(names)) => {
                let (first, others) = names.split_first()?;
                json!(dice.pick(first, others))
            }
            // Code that handles the money names the sender's billing method.
            (_, FieldKind::Id) => return None,
        };
        Some((field.name.to_owned(), value))
    });
    said.collect()
}

/// Which of the possible subjects `by` answers now: the case's own question, or an offer.
fn answer(dice: &mut Dice, status: &Status, by: Role, command_kind: CommandKind) -> Option<Value> {
    if status.kind == CaseKind::PaymentRefund {
        return Some(json!({}));
    }
    let claim = if command_kind == CommandKind::Accept {
        json!({"of": "claim", "amount": status.claim.as_ref()?.amount})
    } else {
        let [first, others @ ..] = RejectionReason::NAMES;
        let reason = *dice.pick(&first, &others);
        json!({"of": "claim", "reason": reason, "details": "That is not so", "evidence": files(dice)})
    };
    let claim = (status.stage == Stage::AwaitingClient && by == Role::Client).then_some(claim);
    let resolution = (status.stage == Stage::AwaitingParties && !status.answers.contains_key(&by))
        .then(|| json!({"of": "resolution"}));
    let offer = offer_of_the_other(status, by).map(|number| json!({"of": "offer", "number": number}));
    let mut subjects: Vec<Value> = [claim, resolution, offer].into_iter().flatten().collect();
    let chosen = usize::try_from(dice.below(subjects.len() as u64)).unwrap_or(0);
    (chosen < subjects.len()).then(|| subjects.swap_remove(chosen))
}

/// The client approves a milestone in full, less or more; the freelancer returns all or a part of the requested amount.
fn approval(dice: &mut Dice, status: &Status) -> Value {
    let in_full = dice.chance(45);
    let less = dice.chance(50);
    if let Some(payment) = &status.payment {
        let at_most = payment.asked.min(payment.left);
        return if in_full { json!({}) } else { json!({"amount": dice.some_of(at_most)}) };
    }
    let Some(review) = &status.review else { return json!({}) };
    let submission = review.submissions;
    let whole = review.milestone.amount.minor();
    let part = dice.minor(1, whole - 1);
    let more = whole + dice.minor(1, 1 + whole / 2);
    match (in_full, less && whole > 1) {
        (true, _) => json!({"submission": submission}),
        (false, true) => json!({"amount": part, "submission": submission}),
        (false, false) => json!({"amount": more, "submission": submission}),
    }
}

/// No file, or one or two (D6). Their hashes belong to no file: nobody ever reads them.
fn files(dice: &mut Dice) -> Value {
    let count = dice.below(3);
    let file = |number: u64| {
        let sha256 = format!("{:064x}", dice.below(u64::MAX));
        json!({"sha256": sha256, "name": format!("draft-{number}.png"), "size": 1 + number, "media_type": "image/png"})
    };
    (0..count).map(file).collect()
}

/// More than there is, by a single minor unit.
pub fn too_much(of: Amount) -> i64 {
    of.minor() + 1
}
