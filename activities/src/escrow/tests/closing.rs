//! How a case releases what it holds (E6, D3, E11).

use super::*;

const REVIEW: &str = "milestone-review:c-1:m-1";

/// A review of 70, all from its own set-aside, and its dispute, which has taken all of it over.
async fn disputed() -> (World, OpenedCase, OpenedCase) {
    let world = World::new().await;
    world.fund("d-1", "m-1", 70).await;
    let review = world.review(1, 70).await;
    let dispute = world.taken("dispute:c-1:m-1", HoldRequest::Over { case: REVIEW.into() }).await;
    assert_eq!(world.held().await, [(REVIEW.into(), 0), ("dispute:c-1:m-1".into(), 70)], "the review stays open");
    (world, review, dispute)
}

#[tokio::test]
async fn money_from_a_dispute_returns_to_its_review_with_its_origins() {
    let (world, review, dispute) = disputed().await;
    world.close(&dispute, vec![release("release", 20)], Remainder::Back { case: REVIEW.into() }, false).await;
    assert_eq!(world.held().await, [(REVIEW.into(), 50)]);
    assert_eq!(world.set_aside().await, [""; 0]);
    world.close(&review, Vec::new(), Remainder::AsItWas, false).await;
    assert_eq!(world.set_aside().await, ["milestone m-1 50"], "and not 70");
    world.both_sides().await;
}

#[tokio::test]
async fn money_for_a_closed_review_goes_back_to_its_origins() {
    let (world, review, dispute) = disputed().await;
    world.close(&review, Vec::new(), Remainder::AsItWas, false).await;
    assert_eq!(world.set_aside().await, [""; 0], "it had nothing");
    world.close(&dispute, Vec::new(), Remainder::Back { case: REVIEW.into() }, false).await;
    assert_eq!(world.set_aside().await, ["milestone m-1 70"]);
    assert_eq!(world.held().await, []);
}

/// E6: money of a decided milestone is available to the next one.
#[tokio::test]
async fn money_for_a_decided_milestone_is_held_over() {
    let world = World::new().await;
    world.fund("d-1", "m-1", 70).await;
    let review = world.review(1, 40).await;
    assert_eq!(world.set_aside().await, ["milestone m-1 30"]);
    world.close(&review, vec![release("release", 25)], held_over_from("m-1"), true).await;
    assert_eq!(world.set_aside().await, ["held_over m-1 15", "held_over nobody's 30"], "only the 15 can be disputed");
    let late = world.fund("d-2", "m-1", 60).await;
    assert_eq!(late, DepositReceipt::Deposited { charged: amount(15), from_held: amount(45), held: amount(60) });
    assert_eq!(world.set_aside().await, ["held_over nobody's 60"]);
    world.both_sides().await;
}

#[tokio::test]
async fn money_that_comes_back_for_a_decided_milestone_is_held_over() {
    let (world, review, dispute) = disputed().await;
    world.close(&review, Vec::new(), Remainder::AsItWas, true).await;
    world.close(&dispute, Vec::new(), Remainder::AsItWas, false).await;
    assert_eq!(world.set_aside().await, ["held_over nobody's 70"]);
}

#[tokio::test]
async fn origins_are_restored_first_and_the_rest_is_the_contracts() {
    let world = World::new().await;
    world.fund("d-1", "m-1", 70).await;
    world.fund("d-2", "m-2", 20).await;
    world.deposit("d-3", 10).await;
    let end = HoldRequest::AtContractEnd { told: vec![], gone: vec![] };
    let request = world.taken("refund-request:c-1", end).await;
    world.close(&request, vec![release("release", 25)], Remainder::AsItWas, false).await;
    assert_eq!(world.set_aside().await, ["milestone m-1 70", "milestone m-2 5"]);
    world.both_sides().await;
}

#[tokio::test]
async fn a_freed_review_gives_back_what_it_held_and_its_milestone_is_not_decided() {
    let world = World::new().await;
    world.fund("d-1", "m-1", 70).await;
    world.deposit("d-2", 30).await;
    world.review(1, 80).await;
    assert_eq!(world.effects.ledger.free(REVIEW).await.unwrap().len(), 1);
    assert_eq!(world.set_aside().await, ["milestone m-1 70"]);
    let receipt = world.review_again("run-2", 1, 80).await;
    assert!(matches!(receipt, OpenReceipt::Opened(_)), "{receipt:?}");
}

/// R7: a case about a milestone refunds nothing, so the newest deposits stay for the contract's end.
#[tokio::test]
async fn a_milestones_case_leaves_the_newest_deposits_to_the_contracts_end() {
    let world = World::new().await;
    world.fund("d-1", "m-1", 100).await;
    world.fund("d-2", "m-2", 100).await;
    world.review(1, 100).await;
    world.taken("dispute:c-1:m-1", HoldRequest::Over { case: REVIEW.into() }).await;
    let end = HoldRequest::AtContractEnd { told: vec![REVIEW.into()], gone: vec![] };
    let ended = world.taken("refund-request:c-1", end).await;
    let left: Vec<_> = ended.deposits.iter().map(|from| from.left.minor()).collect();
    assert_eq!((ended.held.minor(), left), (100, vec![100, 100]), "newest first is d-2");
}

/// R7: whichever settles first, the refunds of the other still fit.
#[tokio::test]
async fn two_open_cases_never_refund_the_same_charge() {
    for first in [0, 1] {
        let world = World::new().await;
        world.deposit("d-1", 100).await;
        let ended = world.open("refund-request:c-1", "run", None).await.unwrap();
        world.deposit("d-2", 200).await;
        let again = world.open("refund-request:c-1", "run-2", None).await.unwrap();
        let left = |opened: &OpenedCase| opened.deposits.iter().map(|from| from.left.minor()).collect::<Vec<_>>();
        assert_eq!((left(&ended), left(&again)), (vec![100], vec![0, 200]));
        let mut cases = [ended, again];
        cases.rotate_left(first);
        for case in cases {
            let legs = refund_legs(&case.deposits, case.held, Rule::M5, at()).unwrap();
            world.settle(&case, legs, true).await.unwrap();
        }
        let balances = world.effects.ledger.history(&id("c-1"), at()).await.unwrap().unwrap().balances;
        assert_eq!((balances.escrow, balances.client), (0, 300));
        world.both_sides().await;
    }
}
