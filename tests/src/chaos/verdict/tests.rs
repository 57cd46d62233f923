//! The verdict finds each fault in evidence that is otherwise sound.

use recourse_domain::{
    command::CommandKind,
    ids::Id,
    money::{Amount, Currency},
    outcome::DecidedBy,
    party::Role,
    rule::Rule,
    stage::Stage,
};
use recourse_ledger::{Balances, Finding};
use recourse_payments::{Arrival, Charge, Refund};
use serde_json::{Value, json};

use super::*;
use crate::chaos::diary::StartRecord;

const CASE: &str = "refund-request:c-1";
const DEPOSIT: &str = "escrow-deposit:c-1:d-1";
const BEGAN: &str = "2026-01-01T00:00:00Z";
const ACTED: &str = "2026-01-02T00:00:00Z";

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// The case took the client's offer once, and 100 of 300 were refunded.
fn status() -> Status {
    read(json!({
        "case": CASE, "kind": "refund_request", "contract": "c-1", "currency": "USD", "stage": "closed", "waiting_on": [],
        "held": 0, "deadline": null, "if_silent": null, "overdue": false, "allowed": {}, "claim": null, "rejection": null,
        "offers": [], "resolution": null, "answers": {},
        "timeline": [
            {"at": BEGAN, "by": "client", "what": "contract_ended"},
            {"at": ACTED, "by": "freelancer", "what": "refund_approved"},
        ],
        "outcome": refunded(),
    }))
}

fn refunded() -> Outcome {
    let outcome = Outcome::without_money(ResultKind::Refunded, DecidedBy::FreelancerApproval, Rule::R4);
    Outcome { to_client: amount(300), ..outcome }
}

fn amount(minor: i64) -> Amount {
    Amount::new(minor).unwrap()
}

fn entry(id: &str, kind: &str, amount: i64) -> Value {
    json!({"id": id, "at": BEGAN, "kind": kind, "debit": "a", "credit": "b", "amount": amount, "case": CASE, "rule": "R4"})
}

fn movement(key: &str, request: Request) -> GatewayMovement {
    GatewayMovement { key: key.to_owned(), request, declined: None, arrival: Arrival::Settled }
}

fn charge(minor: i64) -> Request {
    let currency = Currency::from_code("USD").unwrap();
    Request::Charge(Charge { source: Id::new("card-1").unwrap(), currency, amount: amount(minor) })
}

fn refund(minor: i64) -> Request {
    let (source, currency) = (Id::new("card-1").unwrap(), Currency::from_code("USD").unwrap());
    Request::Refund(Refund { charge: format!("{DEPOSIT}/deposit"), source, currency, amount: amount(minor) })
}

fn email(state: &str) -> OutboxEmail {
    read(json!({
        "sequence": 1, "case_ref": CASE, "number": 1, "event": "decided", "recipient": "client", "name": "Cleo",
        "address": "cleo@example.com", "subject": "", "text": "", "html": "", "state": state, "reason": null, "attempts": 1,
    }))
}

fn notice() -> StoredNotice {
    read(json!({
        "sequence": 1, "case_ref": CASE, "number": 1, "recipient": "client", "party": "cl-1", "contract": "c-1", "case": CASE,
        "event": "decided", "rule": "R4", "at": BEGAN, "deadline": null, "subject": "", "text": "", "html": "",
    }))
}

fn run_of(case: &str, kind: CaseKind, outcome: Outcome, status: Option<Status>) -> Run {
    Run { case: case.to_owned(), kind, contract: "c-1".to_owned(), parent: None, outcome: Ok(outcome), status }
}

/// A sound end.
fn sound() -> (Pages, Evidence) {
    let given = Given {
        case: CASE.to_owned(),
        by: Role::Freelancer,
        command_kind: CommandKind::Approve,
        what: What::RefundApproved,
        key: "move-1".to_owned(),
        at: ACTED.parse().unwrap(),
        answer: Answer::Taken,
        answers: ["taken"].into(),
    };
    let begun = StartRecord { acknowledged: true };
    let mut pages = Pages {
        starts: [(CASE.to_owned(), begun), (DEPOSIT.to_owned(), begun)].into(),
        commands: vec![given],
        ..Pages::default()
    };
    pages.hear(&status());
    let deposited = Outcome::without_money(ResultKind::Deposited, DecidedBy::Rule, Rule::E2);
    let deposited = Outcome { charged: Some(amount(300)), ..deposited };
    let history = History {
        contract: "c-1".to_owned(),
        currency: "USD".to_owned(),
        balances: Balances::default(),
        entries: vec![
            read(entry(&format!("{DEPOSIT}/deposit"), "deposit", 300)),
            read(entry(&format!("{CASE}/refund:d-1"), "refund", 300)),
        ],
    };
    let evidence = Evidence {
        runs: vec![
            run_of(DEPOSIT, CaseKind::EscrowDeposit, deposited, None),
            run_of(CASE, CaseKind::RefundRequest, refunded(), Some(status())),
        ],
        histories: vec![history],
        check: read(json!({"postings": 2, "accounts": 2, "currencies": ["USD"], "held": [], "findings": []})),
        movements: vec![
            movement(&format!("{DEPOSIT}/deposit"), charge(300)),
            movement(&format!("{CASE}/refund:d-1"), refund(300)),
        ],
        notices: vec![notice()],
        emails: vec![email("sent")],
        inbox: vec![format!("<{}@localhost>", email("sent").key())],
    };
    (pages, evidence)
}

fn finds(words: &str, spoil: impl FnOnce(&mut Pages, &mut Evidence)) {
    let (mut pages, mut evidence) = sound();
    spoil(&mut pages, &mut evidence);
    let found = judge(&pages, &evidence);
    assert!(found.iter().any(|problem| problem.contains(words)), "{words} is not in {found:?}");
}

fn timeline(evidence: &mut Evidence) -> &mut Vec<TimelineEntry> {
    &mut evidence.runs[1].status.as_mut().unwrap().timeline
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let (pages, evidence) = sound();
    assert_eq!(judge(&pages, &evidence), Vec::<String>::new());
}

#[test]
fn a_case_that_is_lost_or_open_is_found() {
    finds("there is no such case", |_, evidence| drop(evidence.runs.remove(1)));
    finds("has not ended", |_, evidence| evidence.runs[1].outcome = Err("it still runs".to_owned()));
}

#[test]
fn a_command_that_is_lost_or_acts_twice_is_found() {
    finds("1 like it were taken", |_, evidence| drop(timeline(evidence).pop()));
    finds("acted 2 times", |_, evidence| {
        let again = timeline(evidence)[1].clone();
        timeline(evidence).push(again);
    });
    // Under another receipt time, as if the case had forgotten the key.
    finds("the timeline has 2", |_, evidence| {
        let again = TimelineEntry { at: jiff::Timestamp::MAX, ..timeline(evidence)[1].clone() };
        timeline(evidence).push(again);
    });
    finds("left no trace", |pages, evidence| {
        pages.commands[0].answer = Answer::Signalled;
        timeline(evidence).pop();
    });
    finds("answered in two ways", |pages, _| pages.commands[0].answers.extend(["refused"]));
}

#[test]
fn an_unanswered_command_may_be_taken_or_not() {
    for taken in [true, false] {
        let (mut pages, mut evidence) = sound();
        pages.commands[0].answer = Answer::None;
        if !taken {
            pages.said.clear();
            timeline(&mut evidence).pop();
        }
        assert_eq!(judge(&pages, &evidence), Vec::<String>::new(), "{taken}");
    }
}

#[test]
fn a_case_that_contradicts_itself_is_found() {
    finds("entry 2 of the timeline was", |_, evidence| timeline(evidence)[1].note = Some("else".to_owned()));
    finds("said more before", |_, evidence| drop(timeline(evidence).pop()));
    finds("the outcome was", |_, evidence| {
        let status = evidence.runs[1].status.as_mut().unwrap();
        status.outcome.as_mut().unwrap().to_client = amount(299);
    });
    finds("and shows", |_, evidence| evidence.runs[1].outcome.as_mut().unwrap().to_client = amount(299));
    finds("and no case did", |_, evidence| drop(timeline(evidence).remove(0)));
    finds("the outcome was", |_, evidence| {
        let status = evidence.runs[1].status.as_mut().unwrap();
        status.outcome.as_mut().unwrap().bonus = amount(1);
    });
    let (mut pages, _) = sound();
    let mut other = status();
    other.timeline[1].note = Some("else".to_owned());
    pages.hear(&other);
    assert_eq!(pages.contradictions.len(), 1);
}

/// E7: while the money moves the bonus is not charged yet, and the outcome lacks it; the rest of the outcome is final.
#[test]
fn a_bonus_may_join_the_outcome_while_the_money_moves() {
    for (to_client, problems) in [(300, 0), (299, 1)] {
        let (mut pages, _) = sound();
        pages.said.clear();
        pages.hear(&Status { stage: Stage::Settling, ..status() });
        let outcome = Some(Outcome { bonus: amount(5), to_client: amount(to_client), ..refunded() });
        pages.hear(&Status { outcome, ..status() });
        assert_eq!(pages.contradictions.len(), problems, "{to_client}");
    }
}

/// Only an answer to a command, and the shown end of a case, are promises; a case may show anything else too early.
#[test]
fn a_status_shown_too_early_is_counted_and_a_shown_end_stays() {
    let (mut pages, evidence) = sound();
    let mut early = Status { stage: Stage::AwaitingFreelancer, outcome: None, ..status() };
    early.timeline[0].at = jiff::Timestamp::UNIX_EPOCH;
    pages.see(&early);
    assert_eq!(judge(&pages, &evidence), Vec::<String>::new());
    assert_eq!(shown_too_early(&pages, &evidence.runs).len(), 1);
    finds("refund-request:c-1 showed", |pages, _| {
        pages.see(&Status { outcome: Some(Outcome { to_client: amount(299), ..refunded() }), ..status() });
    });
}

/// A worker decides again, at another instant, after a task that the server never accepted.
#[test]
fn a_decision_that_was_only_shown_is_no_promise() {
    let (mut pages, evidence) = sound();
    let mut early = Status { stage: Stage::Settling, ..status() };
    early.timeline.last_mut().unwrap().at = jiff::Timestamp::UNIX_EPOCH;
    pages.see(&early);
    pages.see(&status());
    pages.see(&status());
    assert_eq!(judge(&pages, &evidence), Vec::<String>::new());
}

#[test]
fn money_that_moved_on_one_side_only_is_found() {
    finds("0 movements for", |_, evidence| drop(evidence.movements.pop()));
    finds("which is not posted", |_, evidence| evidence.movements.push(movement("refund-request:c-1/x", charge(1))));
    finds("2 movements for", |_, evidence| {
        let again = evidence.movements[0].clone();
        evidence.movements.push(again);
    });
    finds("posted 300 and moved", |_, evidence| evidence.movements[0].request = charge(299));
    finds("posted 300 and moved", |_, evidence| evidence.movements[1].request = charge(300));
    finds("declined", |_, evidence| evidence.movements[0].declined = Some("no".to_owned()));
    finds("is there twice", |_, evidence| {
        let again = evidence.histories[0].entries[0].clone();
        evidence.histories[0].entries.push(again);
    });
    finds("a release", |_, evidence| {
        evidence.histories[0].entries.push(read(entry("refund-request:c-1/release", "release", 1)));
        evidence.movements.push(movement("refund-request:c-1/release", charge(1)));
    });
}

#[test]
fn an_unsound_or_contradictory_ledger_is_found() {
    let finding = Finding { law: "L1".to_owned(), culprit: "USD".to_owned(), problem: "is 1".to_owned() };
    finds("ledger: L1 USD", |_, evidence| evidence.check.findings.push(finding));
    finds("ledger: 3 postings, and 2", |_, evidence| evidence.check.postings = 3);
    finds("money: contract c-1", |_, evidence| evidence.runs[1].outcome.as_mut().unwrap().to_client = amount(299));
    finds("money: contract c-1", |_, evidence| evidence.histories[0].balances.escrow = 1);
    // A deposit that was ordered again gives the first answer; another answer is a fault.
    finds("outcome: escrow-deposit", |_, evidence| {
        let mut again = evidence.runs[0].clone();
        again.outcome.as_mut().unwrap().charged = Some(amount(1));
        evidence.runs.push(again);
    });
}

#[test]
fn a_notice_that_went_out_twice_or_never_is_found() {
    finds("to the client twice", |_, evidence| evidence.notices.push(notice()));
    finds("received 2 times", |_, evidence| {
        let again = evidence.inbox[0].clone();
        evidence.inbox.push(again);
    });
    finds("nobody received it", |_, evidence| evidence.inbox.clear());
    finds("marked as failed", |_, evidence| evidence.emails[0] = email("failed"));
    finds("is still queued", |_, evidence| evidence.emails[0] = email("queued"));
    finds("is still sending", |_, evidence| evidence.emails[0] = email("sending"));
    finds("not in the outbox", |_, evidence| evidence.emails.clear());
    let (pages, mut evidence) = sound();
    evidence.emails[0] = email("unknown");
    assert_eq!(judge(&pages, &evidence), Vec::<String>::new(), "received at most once");
}
