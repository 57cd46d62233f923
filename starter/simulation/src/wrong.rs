//! What people try and must not get: each of these has to be refused, and nothing may move by it.

use recourse_domain::{
    command::{FieldKind, Verb},
    messages::Status,
    party::Role,
};
use serde_json::{Map, Value, json};

use super::{
    dice::Dice,
    fields,
    moves::{Move, Wait},
};

/// Something that the case must refuse now.
pub fn choose(dice: &mut Dice, status: &Status) -> Move {
    let mistake = match dice.below(4) {
        0 => by_a_stranger(dice, status),
        1 => too_much(dice, status),
        2 => unreadable(dice, status),
        _ => None,
    };
    mistake.unwrap_or_else(|| not_theirs(dice, status))
}

fn wrong(by: Role, verb: Verb, fields: Map<String, Value>) -> Move {
    Move { by, stranger: false, verb, fields, wait: Wait::None, declined: None, right: false }
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(object) = value { object } else { Map::new() }
}

/// What can be done now, and who could.
fn possible(status: &Status, wanted: impl Fn(Role, Verb) -> bool) -> Vec<(Role, Verb)> {
    let each = status.allowed.iter().flat_map(|(role, verbs)| verbs.iter().map(|verb| (*role, *verb)));
    each.filter(|(role, verb)| wanted(*role, *verb)).collect()
}

fn one_of<T: Copy>(dice: &mut Dice, all: &[T]) -> Option<T> {
    all.split_first().map(|(first, others)| *dice.pick(first, others))
}

/// What a party could do, said by somebody who is no party of the contract.
fn by_a_stranger(dice: &mut Dice, status: &Status) -> Option<Move> {
    let (by, verb) = one_of(dice, &possible(status, |role, _| Role::PARTIES.contains(&role)))?;
    let fields = fields::right(dice, status, by, verb)?;
    Some(Move { stranger: true, ..wrong(by, verb, fields) })
}

/// More than is there.
fn too_much(dice: &mut Dice, status: &Status) -> Option<Move> {
    // An amount that need not be said may be more than what is held: a bonus.
    let amount_of = |verb: Verb| {
        let mut asked = verb.asks(status.kind, None);
        asked.find(|field| field.kind == FieldKind::Money && field.needed).map(|field| field.name)
    };
    let (by, verb) = one_of(dice, &possible(status, |_, verb| amount_of(verb).is_some()))?;
    let mut fields = fields::right(dice, status, by, verb)?;
    fields.insert(amount_of(verb)?.to_owned(), json!(fields::too_much(status.held)));
    Some(wrong(by, verb, fields))
}

/// A command without what it needs, or with something else in its place.
fn unreadable(dice: &mut Dice, status: &Status) -> Option<Move> {
    let needed = |verb: Verb| {
        let asked = verb.asks(status.kind, None);
        // What it is about is drawn with the answer itself.
        asked
            .filter(|field| field.needed && field.name != "of" && field.kind != FieldKind::Number)
            .last()
            .map(|field| field.name)
    };
    let (by, verb) = one_of(dice, &possible(status, |_, verb| needed(verb).is_some()))?;
    let mut fields = fields::right(dice, status, by, verb)?;
    // A submission may be made without a word.
    let blank = if verb == Verb::Submit { "list" } else { "blank" };
    let broken = *dice.pick(&"missing", &["list", blank]);
    let name = needed(verb)?;
    match broken {
        "missing" => fields.remove(name),
        "list" => fields.insert(name.to_owned(), json!([])),
        _ => fields.insert(name.to_owned(), json!(" ")),
    };
    Some(wrong(by, verb, fields))
}

/// What is for somebody else, or for another stage.
fn not_theirs(dice: &mut Dice, status: &Status) -> Move {
    let mut tried = Vec::new();
    for role in Role::ALL {
        let allowed = status.allowed.get(&role).map(Vec::as_slice).unwrap_or_default();
        tried.extend(Verb::of_case(status.kind).filter(|verb| !allowed.contains(verb)).map(|verb| (role, verb)));
    }
    let (by, verb) = one_of(dice, &tried).unwrap_or((Role::Arbitrator, Verb::Supersede));
    let fields = match verb {
        Verb::Accept | Verb::Reject => object(json!({"of": "resolution"})),
        Verb::Retract => object(json!({"number": 1})),
        verb => fields::right(dice, status, by, verb).unwrap_or_default(),
    };
    wrong(by, verb, fields)
}
