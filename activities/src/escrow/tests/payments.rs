//! Bonuses, payments that go back, and a payee's balance (E7, E9, P1, P2, P4).

use jiff::{SignedDuration, Timestamp};
use recourse_domain::ids::PaymentId;
use recourse_ledger::PayeeBalance;
use recourse_workflows::effects::{BonusOrder, BonusReceipt, PaidOut, ReturnOrder, ReturnReceipt};

use super::*;

fn days(days: i64) -> Timestamp {
    at() + SignedDuration::from_hours(24 * days)
}

fn bonus(minor: i64) -> BonusOrder {
    BonusOrder {
        case: "milestone-review:c-1:m-1".into(),
        case_ref: "milestone-review:c-1:m-1".into(),
        contract: contract("c-1"),
        source: id("card-2"),
        amount: amount(minor),
        available_at: days(5),
        at: at(),
    }
}

fn payment(id: &str) -> PaymentId {
    PaymentId::new(id).unwrap()
}

const RELEASE: &str = "refund-request:c-1/release";
const BONUS: &str = "milestone-review:c-1:m-1/bonus";

fn give_back(of: &str, step: &str, minor: i64) -> ReturnOrder {
    let case = format!("payment-refund:{of}");
    ReturnOrder {
        case: case.clone(),
        case_ref: case,
        contract: contract("c-1"),
        payment: payment(of),
        step: step.into(),
        amount: amount(minor),
        expected_by: at(),
        at: at(),
    }
}

/// Deposits of 100 and 200, of which 250 are released, available in 5 days; the rest is in escrow.
async fn paid() -> World {
    let world = World::new().await;
    world.deposit("d-1", 100).await;
    world.deposit("d-2", 200).await;
    let opened = world.open("refund-request:c-1", "run", None).await.unwrap();
    let pending =
        Movement::Release { step: "release".into(), amount: amount(250), rule: Rule::R10, available_at: days(5) };
    world.settle(&opened, vec![pending], true).await.unwrap();
    world
}

async fn of_bo(world: &World, now: Timestamp) -> Vec<PayeeBalance> {
    world.effects.ledger.payee(&Account::Freelancer(id("fl-1")), now).await.unwrap()
}

fn usd(pending: i64, available: i64, next_available_at: Option<Timestamp>) -> Vec<PayeeBalance> {
    vec![PayeeBalance { currency: "USD".into(), pending, available, next_available_at }]
}

async fn balances(world: &World, now: Timestamp) -> (i64, i64, i64) {
    let balances = world.effects.ledger.history(&id("c-1"), now).await.unwrap().unwrap().balances;
    (balances.client, balances.freelancer_pending, balances.freelancer_available)
}

#[tokio::test]
async fn a_bonus_is_charged_and_paid_on_once_and_is_pending_like_a_release() {
    for fault in FAULTS {
        let world = paid().await;
        if let Some(fault) = fault {
            world.bank.set_fault(None, fault, 1).await.unwrap();
        }
        let order = bonus(40);
        let (receipt, _) = world.until_it_answers(|| world.effects.make_bonus(&order)).await;
        assert_eq!(receipt, BonusReceipt::Paid);
        assert_eq!(world.effects.make_bonus(&bonus(40)).await.unwrap(), receipt);
        assert_eq!(world.both_sides().await.last().unwrap(), &(BONUS.to_owned(), 40), "{fault:?}");
        let entries = world.effects.ledger.history(&id("c-1"), at()).await.unwrap().unwrap().entries;
        let entry = serde_json::to_value(entries.last().unwrap()).unwrap();
        assert_eq!(
            entry,
            serde_json::json!({"id": BONUS, "at": "2026-12-03T10:00:00Z", "kind": "bonus", "debit": "source:card-2",
                               "credit": "freelancer:fl-1", "amount": 40, "case": "milestone-review:c-1:m-1",
                               "rule": "E7", "available_at": "2026-12-08T10:00:00Z"})
        );
        assert_eq!(balances(&world, at()).await, (0, 290, 0));
        assert_eq!(balances(&world, days(5)).await, (0, 0, 290));
        let error = world.effects.make_bonus(&bonus(41)).await.unwrap_err();
        assert_eq!(error.type_name(), "PostingConflict");
    }
}

#[tokio::test]
async fn a_declined_bonus_posts_nothing_and_stays_declined() {
    let world = paid().await;
    world.bank.set_fault(None, Fault::Decline, 1).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(world.effects.make_bonus(&bonus(40)).await.unwrap(), BonusReceipt::Declined { .. }));
    }
    assert_eq!(balances(&world, at()).await, (0, 250, 0));
    world.both_sides().await;
    assert_eq!(world.effects.make_bonus(&bonus(0)).await.unwrap_err().type_name(), "NothingToCharge");
    let another = BonusOrder { contract: contract("c-2"), ..bonus(40) };
    assert_eq!(world.effects.make_bonus(&another).await.unwrap_err().type_name(), "OtherContract");
}

/// P4, R7: a return goes back to the oldest charges, each leg once, whatever fault the provider has.
#[tokio::test]
async fn a_returned_payment_goes_back_to_the_oldest_deposits_leg_by_leg() {
    for fault in FAULTS {
        let world = paid().await;
        if let Some(fault) = fault {
            world.bank.set_fault(None, fault, 2).await.unwrap();
        }
        let order = give_back(RELEASE, "return", 150);
        let (receipt, _) = world.until_it_answers(|| world.effects.take_back(&order)).await;
        assert_eq!(receipt, ReturnReceipt::Returned);
        assert_eq!(world.effects.take_back(&order).await.unwrap(), receipt);
        let legs: Vec<_> = world.both_sides().await.split_off(2);
        let id_of = |deposit: &str| format!("payment-refund:{RELEASE}/return:{deposit}");
        assert_eq!(legs, [(id_of("d-1"), 100), (id_of("d-2"), 50)], "{fault:?}");
        let entries = world.effects.ledger.history(&id("c-1"), at()).await.unwrap().unwrap().entries;
        let entry = serde_json::to_value(entries.last().unwrap()).unwrap();
        assert_eq!(
            (entry["kind"].as_str(), entry["rule"].as_str(), entry["debit"].as_str(), entry["credit"].as_str()),
            (Some("return"), Some("P2"), Some("freelancer:fl-1"), Some("source:card-1"))
        );
        assert_eq!((entry["payment"].as_str(), entry["deposit"].as_str()), (Some(RELEASE), Some("d-2")));
        let rest = world.open("dispute:c-1", "run", None).await.unwrap();
        let left: Vec<_> = rest.deposits.iter().map(|deposit| deposit.left.minor()).collect();
        assert_eq!((rest.held, left), (amount(50), vec![0, 150]));
        world.settle(&rest, vec![refund("d-2", 50)], true).await.unwrap();
        world.both_sides().await;
    }
}

#[tokio::test]
async fn a_returned_bonus_goes_back_to_its_own_charge() {
    let world = paid().await;
    world.effects.make_bonus(&bonus(40)).await.unwrap();
    assert_eq!(world.effects.take_back(&give_back(BONUS, "return", 30)).await.unwrap(), ReturnReceipt::Returned);
    assert_eq!(world.both_sides().await.last().unwrap(), &(format!("payment-refund:{BONUS}/return"), 30));
    let entry = world.effects.ledger.history(&id("c-1"), at()).await.unwrap().unwrap().entries.pop().unwrap();
    assert_eq!((entry.credit.as_str(), entry.deposit), ("source:card-2", None));
    let covered = world.effects.take_back(&give_back(BONUS, "again", 11)).await.unwrap();
    assert_eq!(covered, ReturnReceipt::NotCovered { available: amount(10) });
}

/// P4: at most the payment minus what went back of it, and at most what the payee has.
#[tokio::test]
async fn a_return_never_exceeds_the_payment_and_leaves_no_trace_if_it_would() {
    let world = paid().await;
    world.effects.make_bonus(&bonus(40)).await.unwrap();
    let take_back = async |step: &str, minor| world.effects.take_back(&give_back(RELEASE, step, minor)).await.unwrap();
    let available = |minor| ReturnReceipt::NotCovered { available: amount(minor) };
    assert_eq!(take_back("a", 251).await, available(250), "the bonus is another payment");
    assert_eq!(take_back("a", 200).await, ReturnReceipt::Returned, "the refused one left no trace");
    assert_eq!(take_back("b", 51).await, available(50));
    assert_eq!(take_back("b", 50).await, ReturnReceipt::Returned);
    assert_eq!(take_back("c", 1).await, available(0));
    assert_eq!(take_back("none", 0).await, ReturnReceipt::Returned);
    let error = world.effects.take_back(&give_back(RELEASE, "b", 49)).await.unwrap_err();
    assert_eq!(error.type_name(), "PostingConflict");
    for (of, contract_id, name) in [("no-such", "c-1", "NoSuchPayment"), (RELEASE, "c-2", "OtherContract")] {
        let order = ReturnOrder { contract: contract(contract_id), ..give_back(of, "d", 1) };
        assert_eq!(world.effects.take_back(&order).await.unwrap_err().type_name(), name);
    }
    assert_eq!(balances(&world, at()).await, (250, 40, 0));
    world.both_sides().await;
}

/// P4: the same freelancer's money of another contract does not cover what is planned to go back already.
#[tokio::test]
async fn money_planned_to_go_back_cannot_go_back_twice() {
    let world = paid().await;
    world.bank.set_fault(None, Fault::FailBefore, 1).await.unwrap();
    world.effects.take_back(&give_back(RELEASE, "a", 150)).await.unwrap_err();
    assert!(world.effects.ledger.check().await.unwrap().is_sound());
    let Ok(OpenReceipt::Opened(opened)) = world
        .effects
        .ledger
        .open(&OpenCase {
            take: HoldRequest::Payment { payment: payment(RELEASE) },
            ..World::opening("payment-refund:x", "run", None)
        })
        .await
    else {
        unreachable!("it is there")
    };
    let known = PaidOut { amount: amount(250), returned: amount(150), released_at: at() };
    assert_eq!((opened.held, opened.payment), (Amount::ZERO, Some(known)));
    let left: Vec<_> = opened.deposits.iter().map(|deposit| deposit.left.minor()).collect();
    assert_eq!(left, [0, 150], "a refund does not use them either");
    let other = world.effects.take_back(&give_back(RELEASE, "b", 101)).await.unwrap();
    assert_eq!(other, ReturnReceipt::NotCovered { available: amount(100) });
    assert_eq!(world.effects.take_back(&give_back(RELEASE, "b", 100)).await.unwrap(), ReturnReceipt::Returned);
    // The first return is repeated: it has the legs that it planned, although the oldest deposits come first.
    assert_eq!(world.effects.take_back(&give_back(RELEASE, "a", 150)).await.unwrap(), ReturnReceipt::Returned);
    let legs: Vec<_> = world.both_sides().await.split_off(2);
    let moved: Vec<_> = legs.iter().map(|(id, minor)| (id.rsplit('/').next().unwrap(), *minor)).collect();
    assert_eq!(moved, [("b:d-2", 100), ("a:d-1", 100), ("a:d-2", 50)]);
}

/// P4: money that the payee no longer has cannot go back, nor money that is already on its way back.
#[tokio::test]
async fn a_return_needs_the_payees_balance_to_cover_it() {
    let world = paid().await;
    world.effects.make_bonus(&bonus(40)).await.unwrap();
    let elsewhere =
        "INSERT INTO journal (id, at, recorded_at, kind, debit, credit, currency, amount, contract, case_id,
                                          rule, content)
                     VALUES ('x', 't', 't', 'fee', 'freelancer:fl-1', 'fees', 'USD', 190, 'c-1', 'x', 'A1', '{}')";
    world.test.run(elsewhere).await.unwrap();
    world.bank.set_fault(None, Fault::FailBefore, 1).await.unwrap();
    world.effects.take_back(&give_back(RELEASE, "a", 90)).await.unwrap_err();
    let covered = world.effects.take_back(&give_back(BONUS, "b", 11)).await.unwrap();
    assert_eq!(covered, ReturnReceipt::NotCovered { available: amount(10) });
    assert_eq!(world.effects.take_back(&give_back(BONUS, "b", 10)).await.unwrap(), ReturnReceipt::Returned);
    assert_eq!(world.effects.take_back(&give_back(RELEASE, "a", 90)).await.unwrap(), ReturnReceipt::Returned);
}

/// L5: one leg is posted, and the worker dies before the next.
#[tokio::test]
async fn an_interrupted_return_continues_with_its_next_leg() {
    let world = paid().await;
    world.bank.set_fault(None, Fault::Late(Duration::ZERO), 1).await.unwrap();
    world.bank.set_fault(None, Fault::FailAfter, 1).await.unwrap();
    let order = give_back(RELEASE, "return", 150);
    world.effects.take_back(&order).await.unwrap_err();
    assert_eq!(balances(&world, at()).await, (100, 150, 0), "the first leg");
    let opening = HoldRequest::Payment { payment: payment(RELEASE) };
    assert_eq!(world.taken("payment-refund:x", opening).await.payment.unwrap().returned, amount(150));
    assert_eq!(world.effects.take_back(&order).await.unwrap(), ReturnReceipt::Returned);
    assert_eq!(balances(&world, at()).await, (150, 100, 0));
    assert_eq!(world.both_sides().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn returns_at_once_never_take_back_more_than_was_paid() {
    let world = Arc::new(paid().await);
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let world = world.clone();
            let order = give_back(RELEASE, &format!("step-{}", number / 2), 100);
            tokio::spawn(async move { world.effects.take_back(&order).await.unwrap() })
        })
        .collect();
    let mut returned = 0;
    for task in tasks {
        returned += i32::from(task.await.unwrap() == ReturnReceipt::Returned);
    }
    assert_eq!(returned, 4, "two of four, and each was asked twice");
    assert_eq!(balances(&world, at()).await, (200, 50, 0));
    world.both_sides().await;
}

/// R7, P4: a case that opened before the newest deposits can still refund what it holds to the deposits that it knows.
#[tokio::test]
async fn a_return_leaves_open_cases_the_money_that_they_may_refund() {
    let world = World::new().await;
    world.deposit("d-1", 300).await;
    let old = world.open("refund-request:c-1", "run", None).await.unwrap();
    world.settle(&old, vec![release("release", 100)], false).await.unwrap();
    world.deposit("d-2", 500).await;
    let new = world.open("dispute:c-1", "run", None).await.unwrap();
    world.settle(&new, vec![release("release", 500)], true).await.unwrap();
    for (of, minor) in [(RELEASE, 100), ("dispute:c-1/release", 500)] {
        let returned = world.effects.take_back(&give_back(of, "return", minor)).await.unwrap();
        assert_eq!(returned, ReturnReceipt::Returned);
    }
    let legs = refund_legs(&old.deposits, amount(200), Rule::R4, at()).unwrap();
    world.settle(&old, legs, true).await.unwrap();
    assert_eq!(balances(&world, at()).await, (800, 0, 0));
    world.both_sides().await;
}

/// P1.
#[tokio::test]
async fn only_a_payment_of_the_contract_can_be_asked_back() {
    let world = paid().await;
    for of in ["no-such", "escrow-deposit:c-1:d-1/deposit"] {
        for _ in 0..2 {
            let receipt = world.take("payment-refund:x", HoldRequest::Payment { payment: payment(of) }).await;
            assert_eq!(receipt, OpenReceipt::NoSuchPayment, "{of}");
        }
    }
    let order = OpenCase {
        contract: contract("c-2"),
        take: HoldRequest::Payment { payment: payment(RELEASE) },
        ..World::opening("payment-refund:x", "run", None)
    };
    assert_eq!(world.effects.ledger.open(&order).await.unwrap(), OpenReceipt::NoSuchPayment);
    let opened = world.taken("payment-refund:x", HoldRequest::Payment { payment: payment(RELEASE) }).await;
    let known = PaidOut { amount: amount(250), returned: Amount::ZERO, released_at: at() };
    assert_eq!((opened.payment, opened.case_ref.as_str()), (Some(known), "payment-refund:x"), "and not #2");
}

/// E9: the balance is exact at any instant, and a return reduces its own payment.
#[tokio::test]
async fn a_payees_balance_is_exact_at_any_instant_over_all_contracts() {
    let world = paid().await;
    assert_eq!(world.effects.ledger.payee(&Account::Agency(id("ag-1")), at()).await.unwrap(), []);
    let half_a_second_late = days(5) + SignedDuration::from_millis(500);
    let late = BonusOrder { available_at: half_a_second_late, ..bonus(40) };
    world.effects.make_bonus(&late).await.unwrap();
    let mut elsewhere = World::order("d-1", 90);
    (elsewhere.case, elsewhere.contract) = ("escrow-deposit:c-2:d-1".into(), contract("c-2"));
    world.effects.make_deposit(&elsewhere).await.unwrap();
    let order = OpenCase { contract: contract("c-2"), ..World::opening("dispute:c-2", "run", None) };
    let OpenReceipt::Opened(opened) = world.effects.ledger.open(&order).await.unwrap() else { unreachable!("free") };
    let settlement =
        Settlement { contract: contract("c-2"), ..World::settlement(&opened, vec![release("release", 90)], true) };
    world.effects.carry_out(&settlement).await.unwrap();

    let a_moment = SignedDuration::from_nanos(1);
    assert_eq!(of_bo(&world, at() - a_moment).await, usd(380, 0, Some(at())));
    assert_eq!(of_bo(&world, at()).await, usd(290, 90, Some(days(5))));
    assert_eq!(of_bo(&world, days(5) - a_moment).await, usd(290, 90, Some(days(5))));
    assert_eq!(of_bo(&world, days(5)).await, usd(40, 340, Some(half_a_second_late)));
    assert_eq!(of_bo(&world, half_a_second_late - a_moment).await, usd(40, 340, Some(half_a_second_late)));
    assert_eq!(of_bo(&world, half_a_second_late).await, usd(0, 380, None));

    world.effects.take_back(&give_back(RELEASE, "a", 200)).await.unwrap();
    assert_eq!(of_bo(&world, at()).await, usd(90, 90, Some(days(5))));
    assert_eq!(of_bo(&world, days(5)).await, usd(40, 140, Some(half_a_second_late)));
    world.effects.take_back(&give_back(RELEASE, "b", 50)).await.unwrap();
    assert_eq!(of_bo(&world, at()).await, usd(40, 90, Some(half_a_second_late)), "the whole payment went back");
    assert_eq!(balances(&world, at()).await, (250, 40, 0), "only of c-1");
    assert_eq!(balances(&world, days(5)).await, (250, 40, 0));
    assert_eq!(balances(&world, days(6)).await, (250, 0, 40));
}
