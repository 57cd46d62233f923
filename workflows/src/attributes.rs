//! A case's search attributes, for lists. A client that starts a case and the workflow set them in the same way.
//! They hold no personal data: the server stores them in plain text even where payloads are encrypted.

use recourse_domain::{case::Case, ids::CaseKind, messages::Status, party::Contract, stage::Stage};
use temporalio_common::search_attributes::{
    SearchAttributeKey, SearchAttributeUpdate, SearchAttributeValue, SearchAttributes, Timestamp as Datetime,
};

/// The case's kind.
pub const CASE_KIND: SearchAttributeKey<String> = SearchAttributeKey::keyword("CaseKind");
/// The contract's id.
pub const CASE_CONTRACT: SearchAttributeKey<String> = SearchAttributeKey::keyword("CaseContract");
/// The client's id.
pub const CASE_CLIENT: SearchAttributeKey<String> = SearchAttributeKey::keyword("CaseClient");
/// The freelancer's id.
pub const CASE_FREELANCER: SearchAttributeKey<String> = SearchAttributeKey::keyword("CaseFreelancer");
/// The stage.
pub const CASE_STAGE: SearchAttributeKey<String> = SearchAttributeKey::keyword("CaseStage");
/// Who must act.
pub const CASE_WAITING_ON: SearchAttributeKey<Vec<String>> = SearchAttributeKey::keyword_list("CaseWaitingOn");
/// When the stage's window closes.
pub const CASE_DEADLINE: SearchAttributeKey<Datetime> = SearchAttributeKey::datetime("CaseDeadline");
/// What the case holds, in minor units.
pub const CASE_HELD: SearchAttributeKey<i64> = SearchAttributeKey::int("CaseHeld");
/// The currency.
pub const CASE_CURRENCY: SearchAttributeKey<String> = SearchAttributeKey::keyword("CaseCurrency");
/// Whether a target was missed.
pub const CASE_OVERDUE: SearchAttributeKey<bool> = SearchAttributeKey::bool("CaseOverdue");
/// The outcome's result.
pub const CASE_OUTCOME: SearchAttributeKey<String> = SearchAttributeKey::keyword("CaseOutcome");

/// The case's number among those with its workflow id, from the second on (L8).
pub const CASE_NUMBER: SearchAttributeKey<i64> = SearchAttributeKey::int("CaseNumber");

/// The names and types of all search attributes, to register with a server.
pub const ALL: [(&str, &str); 12] = [
    ("CaseKind", "Keyword"),
    ("CaseContract", "Keyword"),
    ("CaseClient", "Keyword"),
    ("CaseFreelancer", "Keyword"),
    ("CaseStage", "Keyword"),
    ("CaseWaitingOn", "KeywordList"),
    ("CaseDeadline", "Datetime"),
    ("CaseHeld", "Int"),
    ("CaseCurrency", "Keyword"),
    ("CaseOverdue", "Bool"),
    ("CaseOutcome", "Keyword"),
    ("CaseNumber", "Int"),
];

/// The search attributes of a new case of this contract. A client sets them with the start, where they cost nothing.
pub fn at_start(kind: CaseKind, contract: &Contract) -> SearchAttributes {
    SearchAttributes::new(of_contract(kind, contract, Stage::Settling))
}

fn of_contract(kind: CaseKind, contract: &Contract, stage: Stage) -> Vec<SearchAttributeUpdate> {
    vec![
        CASE_KIND.value_set(kind.name().to_owned()),
        CASE_CONTRACT.value_set(contract.id.to_string()),
        CASE_CLIENT.value_set(contract.client.id.to_string()),
        CASE_FREELANCER.value_set(contract.freelancer.id.to_string()),
        CASE_CURRENCY.value_set(contract.currency.code().to_owned()),
        CASE_STAGE.value_set(stage.name().to_owned()),
    ]
}

/// The updates that change `shown` to the attributes of a case without stages: a deposit.
pub(crate) fn of_deposit(
    contract: &Contract,
    stage: Stage,
    outcome: Option<&str>,
    shown: &SearchAttributes,
) -> Vec<SearchAttributeUpdate> {
    let differs = shown.get(&CASE_STAGE).as_deref() != Some(stage.name());
    let mut updates = if differs { of_contract(CaseKind::EscrowDeposit, contract, stage) } else { Vec::new() };
    updates.extend(outcome.map(|outcome| CASE_OUTCOME.value_set(outcome.to_owned())));
    updates
}

/// The updates that change `shown` to the case's attributes now. Empty if nothing differs.
pub(crate) fn of_case<C: Case>(case: &C, status: &Status, shown: &SearchAttributes) -> Vec<SearchAttributeUpdate> {
    let mut updates = Vec::new();
    if !shown.contains_key(&CASE_KIND) {
        updates.extend(of_contract(C::KIND, &case.file().contract, status.stage));
    }
    let waiting_on: Vec<String> = status.waiting_on.iter().map(ToString::to_string).collect();
    let deadline = status.deadline.map(|at| Datetime::new(at.as_second(), at.subsec_nanosecond()));
    let outcome = status.outcome.as_ref().map(|outcome| outcome.result.name().to_owned());
    set(&mut updates, shown, &CASE_STAGE, Some(status.stage.name().to_owned()));
    set(&mut updates, shown, &CASE_WAITING_ON, Some(waiting_on).filter(|roles| !roles.is_empty()));
    set(&mut updates, shown, &CASE_DEADLINE, deadline);
    let held = Some(status.held.minor()).filter(|held| *held > 0 || shown.contains_key(&CASE_HELD));
    set(&mut updates, shown, &CASE_HELD, held);
    set(
        &mut updates,
        shown,
        &CASE_OVERDUE,
        Some(status.overdue).filter(|overdue| *overdue || shown.contains_key(&CASE_OVERDUE)),
    );
    set(&mut updates, shown, &CASE_OUTCOME, outcome);
    let number = Some(case.file().number).filter(|number| *number > 1).map(i64::from);
    set(&mut updates, shown, &CASE_NUMBER, number);
    updates
}

fn set<T: SearchAttributeValue + PartialEq>(
    updates: &mut Vec<SearchAttributeUpdate>,
    shown: &SearchAttributes,
    key: &SearchAttributeKey<T>,
    value: Option<T>,
) {
    // The server gives a removed attribute as an empty list of another type: that counts as none too.
    match (shown.try_get(key).unwrap_or_default(), value) {
        (shown, Some(value)) if shown.as_ref() != Some(&value) => updates.push(key.value_set(value)),
        (Some(_), None) => updates.push(unset(key.name())),
        _ => {}
    }
}

/// Removes an attribute. The server reads an empty list of any type as "none", and refuses the empty payload that the
/// SDK's own `value_unset` sends.
fn unset(name: &'static str) -> SearchAttributeUpdate {
    SearchAttributeKey::keyword_list(name).value_set(Vec::new())
}
