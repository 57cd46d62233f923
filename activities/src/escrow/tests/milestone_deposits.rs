//! Deposits for a milestone draw on held-over money first (E6), whatever fails between their phases (L5, L6).

use super::*;

/// A contract with only 40 held over from m-1 and 25 from m-2, the older first.
async fn held_over() -> World {
    let world = World::new().await;
    world.deposit("d-0", 65).await;
    for (ordinal, minor) in [(1, 40), (2, 25)] {
        let opened = world.review(ordinal, minor).await;
        world.close(&opened, Vec::new(), held_over_from(&format!("m-{ordinal}")), true).await;
    }
    assert_eq!(world.set_aside().await, HELD_OVER);
    world
}

const HELD_OVER: [&str; 2] = ["held_over m-1 40", "held_over m-2 25"];

fn deposited(charged: i64, from_held: i64, held: i64) -> DepositReceipt {
    DepositReceipt::Deposited { charged: amount(charged), from_held: amount(from_held), held: amount(held) }
}

#[tokio::test]
async fn held_over_money_reduces_the_charge() {
    let world = held_over().await;
    assert_eq!(world.fund("d-3", "m-3", 50).await, deposited(0, 50, 65), "the oldest first, and nothing is charged");
    assert_eq!(world.set_aside().await, ["held_over m-2 15", "milestone m-3 50"]);
    assert_eq!(world.fund("d-4", "m-4", 50).await, deposited(35, 15, 100));
    assert_eq!(world.fund("d-5", "m-5", 50).await, deposited(50, 0, 150));
    assert_eq!(world.set_aside().await, ["milestone m-3 50", "milestone m-4 50", "milestone m-5 50"]);
    for (deposit, milestone, first) in [("d-3", "m-3", deposited(0, 50, 65)), ("d-4", "m-4", deposited(35, 15, 100))] {
        assert_eq!(world.fund(deposit, milestone, 50).await, first, "the same answer, although the escrow holds more");
    }
    let charged: Vec<i64> = world.both_sides().await.into_iter().map(|(_, minor)| minor).collect();
    assert_eq!(charged, [65, 35, 50]);
    let deposits = world.review(3, 50).await.deposits;
    let left: Vec<_> = deposits.iter().map(|deposit| (deposit.deposit.as_str(), deposit.left.minor())).collect();
    assert_eq!(left, [("d-0", 65), ("d-4", 35), ("d-5", 50)], "only charged money can go back");
}

#[tokio::test]
async fn a_deposit_for_the_whole_contract_never_draws() {
    let world = held_over().await;
    assert_eq!(world.deposit("d-3", 50).await, deposited(50, 0, 115));
    assert_eq!(world.set_aside().await, HELD_OVER);
}

#[tokio::test]
async fn a_deposit_for_a_milestone_with_other_content_is_a_conflict() {
    let world = held_over().await;
    world.fund("d-3", "m-3", 50).await;
    world.fund("d-4", "m-4", 50).await;
    world.bank.set_fault(None, Fault::Decline, 1).await.unwrap();
    world.fund("d-5", "m-5", 50).await;
    for deposit in ["d-3", "d-4", "d-5"] {
        let order = World::order_for(deposit, &deposit.replace('d', "m"), 50);
        for (other, word) in [
            (DepositOrder { amount: amount(35), ..order.clone() }, "amount was 0.50 and is now 0.35"),
            (DepositOrder { source: id("card-2"), ..order.clone() }, "source was card-1 and is now card-2"),
            (DepositOrder { milestone: None, ..order.clone() }, "is now none"),
            (DepositOrder { milestone: Some(id("m-9")), ..order.clone() }, "is now m-9"),
        ] {
            let DepositReceipt::Conflict { reason } = world.effects.make_deposit(&other).await.unwrap() else {
                unreachable!("{word}")
            };
            assert!(reason.contains(word), "{reason}");
        }
    }
    world.both_sides().await;
}

#[tokio::test]
async fn a_declined_deposit_puts_held_over_money_back_and_stays_declined() {
    let world = held_over().await;
    world.bank.set_fault(None, Fault::Decline, 1).await.unwrap();
    let declined = world.fund("d-3", "m-3", 100).await;
    assert!(matches!(declined, DepositReceipt::Declined { .. }));
    assert_eq!(world.set_aside().await, HELD_OVER);
    assert_eq!(world.fund("d-4", "m-3", 45).await, deposited(0, 45, 65));
    assert_eq!(world.fund("d-3", "m-3", 100).await, declined, "although it would draw less now");
    assert_eq!(world.set_aside().await, ["held_over m-2 20", "milestone m-3 45"]);
    world.both_sides().await;
}

/// The provider knows the key with another amount, as after a declined deposit for the whole contract.
#[tokio::test]
async fn a_reused_key_frees_the_reserved_money_and_leaves_no_trace() {
    let world = held_over().await;
    world.bank.set_fault(None, Fault::Decline, 1).await.unwrap();
    world.deposit("d-3", 7).await;
    for _ in 0..2 {
        let receipt = world.fund("d-3", "m-3", 100).await;
        assert!(
            matches!(&receipt, DepositReceipt::Conflict { reason } if reason.contains("tried before")),
            "{receipt:?}"
        );
        assert_eq!(world.set_aside().await, HELD_OVER);
    }
    world.both_sides().await;
}

/// L5: a crash between reserving and charging, and one between charging and posting.
#[tokio::test]
async fn nobody_takes_money_that_a_deposit_under_way_has_reserved() {
    for (fault, escrow) in [(Fault::FailBefore, 100), (Fault::FailAfter, 100)] {
        let world = held_over().await;
        world.bank.set_fault(None, fault, 1).await.unwrap();
        let order = World::order_for("d-3", "m-3", 100);
        world.effects.make_deposit(&order).await.unwrap_err();
        assert_eq!(world.set_aside().await, ["deposit d-3 65"], "{fault:?}");
        assert!(world.effects.ledger.check().await.unwrap().is_sound());
        world.bank.clear_faults().await.unwrap();
        for (case, take) in [
            ("dispute:c-1:m-1", HoldRequest::HeldOver { milestone: id("m-1") }),
            ("refund-request:c-1", HoldRequest::Free),
            ("refund-request:c-1:end", HoldRequest::AtContractEnd { told: Vec::new(), gone: Vec::new() }),
            ("dispute:c-1:m-3", HoldRequest::Unreviewed { milestone: id("m-3"), claim: amount(9) }),
        ] {
            assert_eq!(world.taken(case, take).await.held, Amount::ZERO, "{case}");
        }
        let review = world.take("milestone-review:c-1:m-3", milestone(3, 1)).await;
        assert!(matches!(review, OpenReceipt::NotReviewable(_)), "{review:?}");
        assert_eq!(world.fund("d-4", "m-4", 10).await, deposited(10, 0, 75));
        let other = DepositOrder { amount: amount(99), ..order.clone() };
        let conflict = world.effects.make_deposit(&other).await.unwrap();
        assert!(matches!(conflict, DepositReceipt::Conflict { .. }), "{conflict:?}");
        assert_eq!(world.effects.make_deposit(&order).await.unwrap(), deposited(35, 65, escrow + 10), "{fault:?}");
        assert_eq!(world.set_aside().await, ["milestone m-4 10", "milestone m-3 100"]);
        assert_eq!(world.both_sides().await.len(), 3);
    }
}

/// L5: the worker dies right after the reservation of a deposit that charges nothing.
#[tokio::test]
async fn a_retry_repairs_a_deposit_that_charges_nothing() {
    let world = held_over().await;
    let order = World::order_for("d-3", "m-3", 50);
    let deposit = recourse_ledger::Deposit {
        id: order.deposit.clone(),
        contract: order.contract.clone(),
        milestone: order.milestone.clone(),
        source: order.source.clone(),
        charge: format!("{}/deposit", order.case),
        amount: order.amount,
        case: order.case.clone(),
        at: order.at,
    };
    for _ in 0..2 {
        let known = world.effects.ledger.begin_deposit(&deposit).await.unwrap();
        assert_eq!(known, recourse_ledger::Known::New { to_charge: Amount::ZERO });
    }
    assert_eq!(world.set_aside().await, ["held_over m-2 15", "deposit d-3 50"]);
    assert_eq!(world.effects.make_deposit(&order).await.unwrap(), deposited(0, 50, 65));
    // A worker that Temporal has given up comes too late to give the deposit up.
    world.effects.ledger.give_up_deposit(&deposit, Some("late")).await.unwrap();
    assert_eq!(world.set_aside().await, ["held_over m-2 15", "milestone m-3 50"]);
    world.both_sides().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deposits_for_milestones_at_once_draw_on_the_same_money_once() {
    let world = Arc::new(held_over().await);
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let world = world.clone();
            // Two of each, as with a worker that Temporal has given up and that still works.
            tokio::spawn(async move { world.fund(&format!("d-{}", number / 2 + 3), "m-3", 30).await })
        })
        .collect();
    let mut drawn = 0;
    for task in tasks {
        let DepositReceipt::Deposited { charged, from_held, .. } = task.await.unwrap() else {
            unreachable!("no fault")
        };
        assert_eq!(charged.minor() + from_held.minor(), 30);
        drawn += from_held.minor();
    }
    assert_eq!(drawn, 2 * 65, "each answer came twice");
    let charged: i64 = world.both_sides().await.into_iter().map(|(_, minor)| minor).sum();
    assert_eq!(charged, 65 + 4 * 30 - 65);
}

/// E1: a client who was charged never gets the answer that nothing was charged.
#[tokio::test]
async fn a_first_deposit_for_a_milestone_pins_the_contract_and_another_one_is_a_conflict() {
    let world = World::new().await;
    assert_eq!(world.fund("d-1", "m-1", 70).await, deposited(70, 0, 70));
    for deposit in ["d-1", "d-2"] {
        let mut order = World::order_for(deposit, "m-1", 70);
        order.contract.client.id = id("cl-9");
        let receipt = world.effects.make_deposit(&order).await.unwrap();
        assert!(matches!(receipt, DepositReceipt::Conflict { .. }), "{receipt:?}");
    }
    assert_eq!(world.both_sides().await.len(), 1);
}
