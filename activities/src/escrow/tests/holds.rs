//! What other cases hold, and what an operator frees.

use recourse_ledger::OpenHold;
use recourse_workflows::effects::HeldByOther;

use super::*;

fn held_by(case_ref: &str, minor: i64) -> HeldByOther {
    HeldByOther { case_ref: case_ref.into(), amount: amount(minor) }
}

fn open_hold(case_ref: &str, minor: i64) -> OpenHold {
    let case = case_ref.split('#').next().unwrap().to_owned();
    OpenHold { case_ref: case_ref.into(), case, amount: amount(minor), opened_at: at() }
}

#[tokio::test]
async fn a_repeated_opening_reports_the_same_holds_of_others() {
    let world = World::new().await;
    world.deposit("d-1", 500).await;
    let milestone = world.open("dispute:c-1:m-2", "run", None).await.unwrap();
    assert_eq!(milestone.others, []);
    world.deposit("d-2", 70).await;
    let request = world.open("refund-request:c-1", "run", None).await.unwrap();
    assert_eq!((request.held, request.others.clone()), (amount(70), vec![held_by("dispute:c-1:m-2", 500)]));
    // A case that holds nothing is no reason why another takes nothing.
    let nothing = world.open("dispute:c-1:m-1", "run", None).await.unwrap();
    assert_eq!(nothing.others, [held_by("dispute:c-1:m-2", 500), held_by("refund-request:c-1", 70)], "oldest first");
    let dispute = world.open("dispute:c-1", "run", Some("refund-request:c-1")).await.unwrap();
    assert_eq!((dispute.held, dispute.others.clone()), (amount(70), vec![held_by("dispute:c-1:m-2", 500)]));
    world.settle(&milestone, vec![release("release", 500)], true).await.unwrap();
    assert_eq!(world.open("refund-request:c-1", "run", None).await.unwrap(), request, "the same answer as before");
    assert_eq!(world.open("dispute:c-1", "run", Some("refund-request:c-1")).await.unwrap(), dispute);
    let again = world.open("dispute:c-1", "run-2", None).await.unwrap();
    assert_eq!((again.case_ref.as_str(), again.others), ("dispute:c-1#2", vec![held_by("dispute:c-1", 70)]));
    let other =
        DepositOrder { case: "escrow-deposit:c-2:d-1".into(), contract: contract("c-2"), ..World::order("d-1", 9) };
    world.effects.make_deposit(&other).await.unwrap();
    let order = OpenCase { contract: contract("c-2"), ..World::opening("dispute:c-2", "run", None) };
    let OpenReceipt::Opened(elsewhere) = world.effects.ledger.open(&order).await.unwrap() else {
        unreachable!("nobody else is there")
    };
    assert_eq!((elsewhere.held, elsewhere.others), (amount(9), Vec::new()), "another contract's cases are not others");
}

#[tokio::test]
async fn freeing_a_dead_cases_hold_moves_no_money() {
    let world = World::new().await;
    let ledger = &world.effects.ledger;
    assert_eq!(ledger.holds(&id("c-1")).await.unwrap(), []);
    world.deposit("d-1", 500).await;
    let dead = world.open("refund-request:c-1", "run-1", None).await.unwrap();
    world.settle(&dead, vec![release("pay-now", 100)], false).await.unwrap();
    world.deposit("d-2", 70).await;
    let alive = world.open("dispute:c-1:m-1", "run", None).await.unwrap();
    world.deposit("d-3", 30).await;
    world.open("refund-request:c-1", "run-2", None).await.unwrap();
    let (first, second) = (open_hold("refund-request:c-1", 400), open_hold("refund-request:c-1#2", 30));
    let milestone = open_hold("dispute:c-1:m-1", 70);
    assert_eq!(ledger.holds(&id("c-1")).await.unwrap(), [first.clone(), milestone.clone(), second.clone()]);
    assert_eq!(ledger.holds(&id("c-2")).await.unwrap(), []);
    let before = world.both_sides().await;

    assert_eq!(ledger.free("refund-request:c-1").await.unwrap(), [first, second]);
    assert_eq!(ledger.free("refund-request:c-1").await.unwrap(), [], "they are free already");
    assert_eq!(ledger.free("no-such-case").await.unwrap(), []);
    assert_eq!(ledger.holds(&id("c-1")).await.unwrap(), [milestone]);
    assert_eq!(world.both_sides().await, before);
    let balances = ledger.history(&id("c-1"), at()).await.unwrap().unwrap().balances;
    assert_eq!((balances.escrow, balances.freelancer_available), (500, 100));

    let error = world.settle(&dead, vec![release("release", 1)], true).await.unwrap_err();
    assert_eq!(error.type_name(), "ExceedsHold", "a freed case moves nothing");
    assert_eq!(world.open("refund-request:c-1", "run-1", None).await.unwrap(), dead, "its row is still there");
    let third = world.open("refund-request:c-1", "run-3", None).await.unwrap();
    assert_eq!((third.case_ref.as_str(), third.held), ("refund-request:c-1#3", amount(430)));
    world.settle(&alive, vec![release("release", 70)], true).await.unwrap();
    world.settle(&third, vec![refund("d-3", 30), refund("d-1", 400)], true).await.unwrap();
    world.both_sides().await;
}

/// L3: a settlement at the same time as an operator's `free` moves its money completely or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn freeing_and_releasing_at_once_keep_the_ledger_sound() {
    let world = Arc::new(World::new().await);
    world.deposit("d-1", 500).await;
    let opened = world.open("dispute:c-1", "run", None).await.unwrap();
    let freeing = tokio::spawn({
        let world = world.clone();
        async move { world.effects.ledger.free("dispute:c-1").await.unwrap() }
    });
    let settled = world.settle(&opened, vec![release("release", 500)], true).await;
    let freed = freeing.await.unwrap();
    let escrow = world.effects.ledger.history(&id("c-1"), at()).await.unwrap().unwrap().balances.escrow;
    assert_eq!((settled.is_ok(), freed.len(), escrow), if escrow == 0 { (true, 0, 0) } else { (false, 1, 500) });
    world.both_sides().await;
}
