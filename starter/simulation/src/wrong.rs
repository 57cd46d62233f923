//! Forbidden actions that people try. The case must refuse each of them, and no money may move.

use recourse_domain::{
    command::{CommandKind, FieldKind},
    messages::Status,
    party::Role,
};
use serde_json::{Map, Value, json};

use super::{
    dice::Dice,
    fields,
    moves::{Move, Wait},
};

/// An action that the case must refuse now.
pub fn choose(dice: &mut Dice, status: &Status) -> Move {
    let mistake = match dice.below(4) {
        0 => by_a_stranger(dice, status),
        1 => too_much(dice, status),
        2 => unreadable(dice, status),
        _ => None,
    };
    mistake.unwrap_or_else(|| not_theirs(dice, status))
}

fn wrong(by: Role, command_kind: CommandKind, fields: Map<String, Value>) -> Move {
    Move { by, stranger: false, command_kind, fields, wait: Wait::None, declined: None, right: false }
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(object) = value { object } else { Map::new() }
}

/// The possible commands now, and who could give them.
fn possible(status: &Status, wanted: impl Fn(Role, CommandKind) -> bool) -> Vec<(Role, CommandKind)> {
    let each = status
        .allowed
        .iter()
        .flat_map(|(role, command_kinds)| command_kinds.iter().map(|command_kind| (*role, *command_kind)));
    each.filter(|(role, command_kind)| wanted(*role, *command_kind)).collect()
}

fn one_of<T: Copy>(dice: &mut Dice, all: &[T]) -> Option<T> {
    all.split_first().map(|(first, others)| *dice.pick(first, others))
}

/// A party's possible command, from a person who is no party of the contract.
fn by_a_stranger(dice: &mut Dice, status: &Status) -> Option<Move> {
    let (by, command_kind) = one_of(dice, &possible(status, |role, _| Role::PARTIES.contains(&role)))?;
    let fields = fields::right(dice, status, by, command_kind)?;
    Some(Move { stranger: true, ..wrong(by, command_kind, fields) })
}

/// More than there is.
fn too_much(dice: &mut Dice, status: &Status) -> Option<Move> {
    // An optional amount may be more than what is held: a bonus.
    let amount_of = |command_kind: CommandKind| {
        let mut asked = command_kind.asks(status.kind, None);
        asked.find(|field| field.kind == FieldKind::Money && field.needed).map(|field| field.name)
    };
    let (by, command_kind) = one_of(dice, &possible(status, |_, command_kind| amount_of(command_kind).is_some()))?;
    let mut fields = fields::right(dice, status, by, command_kind)?;
    fields.insert(amount_of(command_kind)?.to_owned(), json!(fields::too_much(status.held)));
    Some(wrong(by, command_kind, fields))
}

/// A command without a required field, or with something else in its place.
fn unreadable(dice: &mut Dice, status: &Status) -> Option<Move> {
    let needed = |command_kind: CommandKind| {
        let asked = command_kind.asks(status.kind, None);
        // The form draws the subject together with the answer itself.
        asked
            .filter(|field| field.needed && field.name != "of" && field.kind != FieldKind::Number)
            .last()
            .map(|field| field.name)
    };
    let (by, command_kind) = one_of(dice, &possible(status, |_, command_kind| needed(command_kind).is_some()))?;
    let mut fields = fields::right(dice, status, by, command_kind)?;
    // A submission may have no words.
    let blank = if command_kind == CommandKind::Submit { "list" } else { "blank" };
    let broken = *dice.pick(&"missing", &["list", blank]);
    let name = needed(command_kind)?;
    match broken {
        "missing" => fields.remove(name),
        "list" => fields.insert(name.to_owned(), json!([])),
        _ => fields.insert(name.to_owned(), json!(" ")),
    };
    Some(wrong(by, command_kind, fields))
}

/// A command for somebody else, or for another stage.
fn not_theirs(dice: &mut Dice, status: &Status) -> Move {
    let mut tried = Vec::new();
    for role in Role::ALL {
        let allowed = status.allowed.get(&role).map(Vec::as_slice).unwrap_or_default();
        tried.extend(
            CommandKind::of_case(status.kind)
                .filter(|command_kind| !allowed.contains(command_kind))
                .map(|command_kind| (role, command_kind)),
        );
    }
    let (by, command_kind) = one_of(dice, &tried).unwrap_or((Role::Arbitrator, CommandKind::Supersede));
    let fields = match command_kind {
        CommandKind::Accept | CommandKind::Reject => object(json!({"of": "resolution"})),
        CommandKind::Retract => object(json!({"number": 1})),
        command_kind => fields::right(dice, status, by, command_kind).unwrap_or_default(),
    };
    wrong(by, command_kind, fields)
}
