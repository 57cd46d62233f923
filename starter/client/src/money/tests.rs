//! How Recourse reads and words what is known of money.

use recourse_ledger::{Balances, History};
use serde_json::json;

use super::*;

const CASE: &str = "refund-request:c-1";

fn entry(step: &str, kind: &str, amount: i64) -> Entry {
    serde_json::from_value(json!({
        "id": format!("{CASE}/{step}"), "at": "2026-12-01T10:00:00Z", "kind": kind, "debit": "escrow:c-1",
        "credit": "source:card-1", "amount": amount, "case": CASE, "rule": "R4",
    }))
    .unwrap()
}

fn refund(step: &str, state: &str, followed_by: Option<&str>) -> TrackedRefund {
    let id = |step: &str| format!("{CASE}/{step}");
    serde_json::from_value(json!({
        "id": id(step), "origin": id("refund:d-1"), "kind": "refund", "contract": "c-1", "case": CASE, "currency": "USD",
        "amount": 20_000, "source": "card-1", "charge": "x", "issued_at": "2026-12-01T10:00:00Z",
        "expected_by": "2026-12-08T10:00:00Z", "state": state, "overdue": false,
        "followed_by": followed_by.map(id),
    }))
    .unwrap()
}

fn moved(entries: Vec<Entry>, refunds: Vec<TrackedRefund>) -> Moved {
    let history =
        History { contract: "c-1".to_owned(), currency: "USD".to_owned(), balances: Balances::default(), entries };
    Moved { history: Some(history), refunds }
}

fn ordered(step: &str, kind: PostingKind, minor: i64) -> Ordered {
    Ordered {
        posting: format!("{CASE}/{step}"),
        kind,
        amount: Amount::new(minor).unwrap(),
        currency: Currency::from_code("USD").unwrap(),
        party: None,
        expected_by: None,
    }
}

fn order(attempt: u32, movements: Vec<Ordered>) -> Order {
    Order {
        case: CASE.to_owned(),
        movements,
        attempt,
        since: "2026-12-01T10:00:00Z".parse().unwrap(),
        next_at: None,
        failure: (attempt > 1).then(|| "the bank broke off".to_owned()),
    }
}

/// Every movement, in the words that people read on 2 December.
fn told(money: &Money) -> Vec<String> {
    let now = "2026-12-02T10:00:00Z".parse().unwrap();
    let say = |movement: &Movement| {
        let known = sentence(&movement.known(now), |at| at.strftime("%-d %b").to_string());
        format!("{}: {known}", movement.what("Ada", "Ben"))
    };
    money.movements.iter().map(say).collect()
}

fn read(orders: &[Order], moved: &Moved) -> Vec<String> {
    told(&Money::of_deposit(CASE, orders, Some(moved)))
}

/// L9: a refund is on its way until its billing method has it, whatever the case says.
#[test]
fn a_refund_is_on_its_way_until_it_arrives() {
    let entries = || vec![entry("refund:d-1", "refund", 20_000)];
    for (state, known) in [
        ("issued", "on its way, expected by 8 Dec"),
        ("settled", "arrived"),
        ("failed", "did not arrive, and is in suspense"),
        ("overdue", "did not arrive, and is in suspense"),
        ("paid_otherwise", "paid by an operator in another way, and arrived"),
    ] {
        let money = moved(entries(), vec![refund("refund:d-1", state, None)]);
        assert_eq!(read(&[], &money), [format!("200.00 USD back to Ada: {known}")], "{state}");
    }
    for (state, known) in [
        ("issued", "on its way; it should have arrived by "),
        ("overdue", "did not arrive, and is in suspense; it should have arrived by "),
    ] {
        let late = moved(entries(), vec![refund("refund:d-1", state, None)]);
        let late = Money::of_deposit(CASE, &[], Some(&late)).movements.remove(0).known(Timestamp::MAX);
        assert_eq!(late[0], Said::Words(known.to_owned()));
    }
}

/// L9, R8: a refund that was sent again is in the state of its last try; postings to and from suspense are not movements of
/// their own.
#[test]
fn a_refund_that_was_sent_again_shows_its_last_try() {
    let entries = vec![
        entry("refund:d-1", "refund", 20_000),
        entry("refund:d-1/to_suspense", "to_suspense", 20_000),
        entry("refund:d-1/retry:1", "from_suspense", 20_000),
    ];
    let sent = |last: &str| {
        vec![refund("refund:d-1", "retried", Some("refund:d-1/retry:1")), refund("refund:d-1/retry:1", last, None)]
    };
    let read = |last: &str| read(&[], &moved(entries.clone(), sent(last)));
    assert_eq!(read("issued"), ["200.00 USD back to Ada: on its way, expected by 8 Dec"]);
    assert_eq!(read("settled"), ["200.00 USD back to Ada: arrived"]);
}

/// L9: if an order is tried again, the movements in the ledger are done, and the others say how often they were tried.
#[test]
fn only_movements_missing_in_the_ledger_are_tried_again() {
    let settle = |attempt| {
        let movements =
            vec![ordered("release", PostingKind::Release, 5_000), ordered("refund:d-1", PostingKind::Refund, 20_000)];
        [order(attempt, movements)]
    };
    let released = moved(vec![entry("release", "release", 5_000)], Vec::new());
    assert_eq!(
        read(&settle(1), &released),
        ["50.00 USD to Ben: paid", "200.00 USD back to Ada: ordered, and has not moved yet"]
    );
    let failing = read(&settle(7), &released);
    let tried = "has not moved yet: it is being tried again, now in attempt 7, since 1 Dec; the last one failed: the bank \
                 broke off";
    assert_eq!(failing, ["50.00 USD to Ben: paid".to_owned(), format!("200.00 USD back to Ada: {tried}")]);
    let all = moved(vec![entry("release", "release", 5_000), entry("refund:d-1", "refund", 20_000)], Vec::new());
    assert_eq!(read(&settle(7), &all), ["50.00 USD to Ben: paid", "200.00 USD back to Ada: arrived"]);

    let money = Money::of_deposit(CASE, &settle(7), Some(&released));
    assert!(money.retried && money.not_moved().count() == 1);
    let money = money.for_others();
    assert!(money.retried && !serde_json::to_string(&money).unwrap().contains("broke off"));
}

/// L9, P4: a return goes back in parts; the rest has not moved.
#[test]
fn a_return_is_complete_only_with_its_last_part() {
    let back = [order(3, vec![ordered("return", PostingKind::Return, 30_000)])];
    let one = moved(vec![entry("return:d-1", "return", 10_000)], Vec::new());
    let told = read(&back, &one);
    assert_eq!(told[0], "100.00 USD from Ben back to Ada: arrived");
    assert!(told[1].starts_with("200.00 USD from Ben back to Ada: has not moved yet"), "{told:?}");
    let both = moved(vec![entry("return:d-1", "return", 10_000), entry("return:d-2", "return", 20_000)], Vec::new());
    assert_eq!(read(&back, &both).len(), 2);
}

/// L9: without the ledger it shows only the orders, and that it could not read the ledger. One case's money is not another's.
#[test]
fn without_the_ledger_only_orders_are_shown() {
    let orders = [order(1, vec![ordered("release", PostingKind::Release, 5_000)])];
    let money = Money::of_deposit(CASE, &orders, None);
    assert!(!money.ledger_read && !money.retried);
    assert_eq!(told(&money), ["50.00 USD to Ben: ordered, and has not moved yet"]);
    let ledger = moved(vec![entry("release", "release", 5_000)], Vec::new());
    for other in ["refund-request:c", "refund-request:c-1#2", "refund-request:c-11"] {
        assert_eq!(Money::of_deposit(other, &[], Some(&ledger)).movements, [], "{other}");
    }
}

/// L9, A1: whose share of the fee it is.
#[test]
fn a_share_of_the_fee_names_its_payer() {
    for (step, kind, words) in [
        ("fee:client:1", "fee", "200.00 USD, Ada's share of the arbitration fee: charged"),
        ("fee:freelancer:2", "fee", "200.00 USD, Ben's share of the arbitration fee: charged"),
        (
            "fee_return:client",
            "fee_return",
            "200.00 USD, Ada's share of the arbitration fee, back to who paid it: arrived",
        ),
    ] {
        assert_eq!(read(&[], &moved(vec![entry(step, kind, 20_000)], Vec::new())), [words]);
    }
}
