//! What each kind of case takes of a contract's escrow, and when it is refused (E3, E11, E13, D1).

use std::time::Duration;

use recourse_domain::{ids::PaymentId, milestone::NotReviewable};
use recourse_ledger::KeptFor;
use recourse_workflows::effects::RunningReview;

use super::*;

fn told(told: &[&str], gone: &[&str]) -> HoldRequest {
    let owned = |cases: &[&str]| cases.iter().map(ToString::to_string).collect();
    HoldRequest::AtContractEnd { told: owned(told), gone: owned(gone) }
}

fn unreviewed(milestone: &str, claim: i64) -> HoldRequest {
    HoldRequest::Unreviewed { milestone: id(milestone), claim: amount(claim) }
}

const REVIEW_1: &str = "milestone-review:c-1:m-1";
const REVIEW_2: &str = "milestone-review:c-1:m-2";

/// E13: its own deposit, then whole-contract money, then held-over money, the oldest first; exactly its amount.
#[tokio::test]
async fn a_review_draws_on_its_deposit_then_the_contracts_money_then_held_over_money() {
    let world = World::new().await;
    world.deposit("d-0", 90).await;
    let paid = world.review(1, 90).await;
    world.close(&paid, vec![release("release", 30)], held_over_from("m-1"), true).await;
    world.fund("d-2", "m-2", 100).await;
    let paid = world.review(2, 100).await;
    world.close(&paid, vec![release("release", 60)], held_over_from("m-2"), true).await;
    assert_eq!(world.set_aside().await, ["held_over m-2 40"], "m-2's deposit drew on the 60 of m-1");
    world.deposit("d-9", 25).await;
    let escrow = 65;
    let own = world.fund("d-3", "m-3", 50).await;
    assert_eq!(
        own,
        DepositReceipt::Deposited { charged: amount(10), from_held: amount(40), held: amount(escrow + 10) }
    );
    let opened = world.review(3, 60).await;
    assert_eq!(opened.held, amount(60));
    assert_eq!(world.set_aside().await, [""; 0]);
    world.close(&opened, Vec::new(), Remainder::AsItWas, false).await;
    assert_eq!(world.set_aside().await, ["milestone m-3 50"], "15 are the whole contract's again, with the other 10");
    let OpenReceipt::Opened(opened) = world.review_again("run-2", 3, 75).await else { unreachable!("it is free") };
    world.close(&opened, Vec::new(), Remainder::HeldOver { milestone: None }, false).await;
    assert_eq!(world.set_aside().await, ["held_over nobody's 75"]);
    let OpenReceipt::Opened(opened) = world.review_again("run-3", 3, 75).await else { unreachable!("it is free") };
    assert_eq!(opened.held, amount(75), "only held-over money, if there is nothing else");
    world.both_sides().await;
}

#[tokio::test]
async fn free_money_is_listed_by_purpose() {
    let world = World::new().await;
    world.deposit("d-0", 90).await;
    let opened = world.review(1, 50).await;
    world.close(&opened, vec![release("release", 30)], held_over_from("m-1"), true).await;
    world.fund("d-2", "m-2", 70).await;
    world.deposit("d-3", 5).await;
    let ledger = Ledger::new(world.test.database.clone());
    let free = ledger.free_money(&contract("c-1")).await.unwrap();
    let shown: Vec<(KeptFor, i64)> = free.into_iter().map(|free| (free.kept_for, free.amount.minor())).collect();
    assert_eq!(
        shown,
        [(KeptFor::Contract, 45), (KeptFor::Milestone(id("m-2")), 70)],
        "m-2's deposit drew on the 20 of m-1"
    );
    let opened = world.review(2, 70).await;
    world.close(&opened, vec![release("release", 60)], held_over_from("m-2"), true).await;
    let free = ledger.free_money(&contract("c-1")).await.unwrap();
    let shown: Vec<(KeptFor, i64)> = free.into_iter().map(|free| (free.kept_for, free.amount.minor())).collect();
    assert_eq!(shown, [(KeptFor::Contract, 45), (KeptFor::Next(Some(id("m-2"))), 10)]);
}

#[tokio::test]
async fn held_over_money_is_drawn_oldest_first_and_gets_its_place_back() {
    let world = World::new().await;
    world.deposit("d-1", 100).await;
    for (ordinal, minor) in [(1, 10), (2, 20), (3, 30)] {
        let opened = world.review(ordinal, minor).await;
        world.close(&opened, Vec::new(), held_over_from(&format!("m-{ordinal}")), true).await;
    }
    let all = ["held_over m-1 10", "held_over m-2 20", "held_over m-3 30"];
    assert_eq!(world.set_aside().await, all);
    let opened = world.review(4, 55).await;
    assert_eq!(world.set_aside().await, ["held_over m-2 15", "held_over m-3 30"], "after the contract's own 40");
    world.close(&opened, Vec::new(), Remainder::AsItWas, false).await;
    assert_eq!(world.set_aside().await, all);
    let disputed = world.taken("dispute:c-1:m-2", HoldRequest::HeldOver { milestone: id("m-2") }).await;
    assert_eq!((disputed.held, world.set_aside().await), (amount(20), vec![all[0].to_owned(), all[2].to_owned()]));
    let again = world.taken("dispute:c-1:m-2#2", HoldRequest::HeldOver { milestone: id("m-2") }).await;
    assert_eq!(again.held, Amount::ZERO, "disputed money can't be drawn on");
    world.close(&disputed, vec![release("release", 5)], Remainder::AsItWas, false).await;
    assert_eq!(world.set_aside().await, ["held_over m-1 10", "held_over m-2 15", "held_over m-3 30"]);
    world.both_sides().await;
}

/// E3, E13. A refusal leaves no trace: the same run may ask again.
#[tokio::test]
async fn a_review_is_refused_beside_another_out_of_order_unfunded_or_once_decided() {
    let world = World::new().await;
    let refused = async |case: &str, take: HoldRequest| {
        let receipt = world.take(case, take.clone()).await;
        assert_eq!(world.take(case, take).await, receipt);
        match receipt {
            OpenReceipt::NotReviewable(why) => why,
            other => unreachable!("{other:?}"),
        }
    };
    let unfunded = NotReviewable::NotFunded { available: Amount::ZERO };
    assert_eq!(refused(REVIEW_2, milestone(2, 1)).await, unfunded, "there never was a deposit");
    world.deposit("d-1", 70).await;
    world.fund("d-2", "m-2", 1_000).await;
    let short = NotReviewable::NotFunded { available: amount(70) };
    assert_eq!(refused(REVIEW_1, milestone(1, 71)).await, short, "m-2's money is not for m-1");
    assert_eq!(refused(REVIEW_2, milestone(2, 10)).await, NotReviewable::OutOfOrder { unpaid: 1 });
    let last = "milestone-review:c-1:m-4000000000";
    assert_eq!(refused(last, milestone(4_000_000_000, 10)).await, NotReviewable::OutOfOrder { unpaid: 1 });
    assert_eq!(world.held().await, []);

    let first = world.review(1, 70).await;
    let under = NotReviewable::UnderReview { case: REVIEW_1.into() };
    assert_eq!(refused(REVIEW_2, milestone(2, 10)).await, under);
    world.close(&first, vec![release("release", 70)], Remainder::AsItWas, true).await;
    assert_eq!(world.review(1, 70).await, first, "the same run gets its first answer");
    assert_eq!(world.review_again("run-2", 1, 10).await, OpenReceipt::NotReviewable(NotReviewable::Done));
    let taken = HoldRequest::Milestone { milestone: id("m-9"), ordinal: 1, amount: amount(10) };
    assert_eq!(refused("milestone-review:c-1:m-9", taken).await, NotReviewable::OrdinalTaken { milestone: id("m-1") });
    assert_eq!(refused("milestone-review:c-1:m-3", milestone(3, 10)).await, NotReviewable::OutOfOrder { unpaid: 2 });
    assert_eq!(world.review(2, 10).await.held, amount(10));
    world.both_sides().await;
}

#[tokio::test]
async fn an_undecided_milestone_may_be_reviewed_again_and_the_next_may_not() {
    let world = World::new().await;
    world.fund("d-1", "m-1", 70).await;
    let first = world.review(1, 70).await;
    world.close(&first, Vec::new(), Remainder::AsItWas, false).await;
    assert_eq!(world.set_aside().await, ["milestone m-1 70"]);
    assert_eq!(
        world.take(REVIEW_2, milestone(2, 10)).await,
        OpenReceipt::NotReviewable(NotReviewable::OutOfOrder { unpaid: 1 })
    );
    let OpenReceipt::Opened(again) = world.review_again("run-2", 1, 70).await else { unreachable!("it may") };
    assert_eq!((again.case_ref.as_str(), again.held), ("milestone-review:c-1:m-1#2", amount(70)));
}

#[tokio::test]
async fn the_oldest_undecided_milestone_is_reviewed_first() {
    let world = World::new().await;
    world.deposit("d-1", 100).await;
    for ordinal in [1, 2, 3] {
        let opened = world.review(ordinal, 10).await;
        world.close(&opened, vec![release("release", 10)], Remainder::AsItWas, true).await;
    }
    world.test.run("UPDATE holds SET milestone_done = 0 WHERE ordinal = 2").await.unwrap();
    let receipt = world.take("milestone-review:c-1:m-4", milestone(4, 10)).await;
    assert_eq!(receipt, OpenReceipt::NotReviewable(NotReviewable::OutOfOrder { unpaid: 2 }));
    assert!(matches!(world.review_again("run-2", 2, 10).await, OpenReceipt::Opened(_)));
}

#[tokio::test]
async fn a_contracts_end_takes_set_aside_money_and_can_put_it_back() {
    let world = World::new().await;
    world.deposit("d-1", 100).await;
    let opened = world.review(1, 40).await;
    world.close(&opened, Vec::new(), held_over_from("m-1"), true).await;
    world.fund("d-2", "m-2", 300).await;
    let aside = ["milestone m-2 300"];
    assert_eq!(world.set_aside().await, aside, "40 of it were held over");
    let ended = world.taken("refund-request:c-1:refused", told(&[], &[])).await;
    assert_eq!((ended.held, world.set_aside().await.len()), (amount(360), 0));
    world.close(&ended, Vec::new(), Remainder::Undone, false).await;
    assert_eq!(world.set_aside().await, aside);
    assert_eq!(world.review(2, 360).await.held, amount(360), "a refused end does not end the contract");
}

/// E11: after the contract's end nothing is reviewed, until a deposit makes the contract active again.
#[tokio::test]
async fn a_milestone_is_not_reviewed_after_the_contracts_end() {
    let world = World::new().await;
    world.fund("d-1", "m-1", 100).await;
    let ended = world.taken("refund-request:c-1", told(&[], &[])).await;
    let refused = NotReviewable::ContractEnded { case: "refund-request:c-1".into() };
    assert_eq!(world.take(REVIEW_1, milestone(1, 10)).await, OpenReceipt::NotReviewable(refused.clone()));
    world.close(&ended, Vec::new(), Remainder::AsItWas, false).await;
    assert_eq!(world.take(REVIEW_1, milestone(1, 10)).await, OpenReceipt::NotReviewable(refused));
    world.deposit("d-2", 5).await;
    assert_eq!(world.review(1, 10).await.held, amount(10));
}

/// E11, R1: an end that finds all money held elsewhere is refused, and does not end the contract.
#[tokio::test]
async fn a_refused_end_does_not_end_the_contract() {
    let world = World::new().await;
    world.fund("d-1", "m-1", 100).await;
    world.review(1, 100).await;
    let dispute = world.taken("dispute:c-1:m-1", HoldRequest::Over { case: REVIEW_1.into() }).await;
    let order = OpenCase { take: told(&[], &[]), ..World::opening("refund-request:c-1", "run", None) };
    let asked = world.effects.ledger.open(&order).await.unwrap();
    let OpenReceipt::ReviewsRunning { could_hold, others, .. } = asked else { unreachable!("{asked:?}") };
    assert_eq!((could_hold, others.len()), (Amount::ZERO, 1), "so no review is notified");
    world.taken("refund-request:c-1", told(&[REVIEW_1], &[])).await;
    world.close(&dispute, Vec::new(), Remainder::Back { case: REVIEW_1.into() }, false).await;
    assert!(matches!(world.review_again("run-2", 1, 0).await, OpenReceipt::Opened(_)), "the contract goes on");
}

/// D1, E3: a milestone is claimed once, whether it is reviewed here or not.
#[tokio::test]
async fn a_disputed_milestone_is_not_paid_again() {
    let world = World::new().await;
    world.deposit("d-1", 100).await;
    let unreviewed = || HoldRequest::Unreviewed { milestone: id("m-1"), claim: amount(30) };
    let dispute = world.taken("dispute:c-1:m-1", unreviewed()).await;
    let under = NotReviewable::UnderReview { case: "dispute:c-1:m-1".into() };
    assert_eq!(world.take(REVIEW_1, milestone(1, 10)).await, OpenReceipt::NotReviewable(under));
    world.close(&dispute, vec![release("release", 20)], Remainder::HeldOver { milestone: None }, true).await;
    assert_eq!(world.take(REVIEW_1, milestone(1, 10)).await, OpenReceipt::NotReviewable(NotReviewable::Done));
    assert_eq!(world.taken("dispute:c-1:m-1#again", unreviewed()).await.held, Amount::ZERO);
    assert_eq!(world.review(2, 10).await.held, amount(10), "it counts as the first one");
}

/// D1: a dispute of the whole contract leaves the milestones their deposits.
#[tokio::test]
async fn a_dispute_of_an_ended_contract_takes_no_milestones_deposit() {
    let world = World::new().await;
    world.fund("d-1", "m-1", 70).await;
    world.deposit("d-2", 30).await;
    assert_eq!(world.taken("dispute:c-1", HoldRequest::Free).await.held, amount(30));
    assert_eq!(world.set_aside().await, ["milestone m-1 70"]);
}

/// E11.
#[tokio::test]
async fn a_contracts_end_waits_for_a_notified_review_but_not_for_a_dead_one() {
    let mut world = World::new().await;
    world.effects.ledger = world.effects.ledger.clone().with_patience(Duration::ZERO);
    world.fund("d-1", "m-1", 70).await;
    world.deposit("d-2", 30).await;
    let review = world.review(1, 70).await;
    let end = "refund-request:c-1";
    let review_1 = RunningReview { case: REVIEW_1.into(), case_ref: REVIEW_1.into() };
    let running = OpenReceipt::ReviewsRunning { reviews: vec![review_1], could_hold: amount(100), others: vec![] };
    assert_eq!(world.take(end, told(&[], &[])).await, running);
    assert_eq!(world.take(end, told(&["milestone-review:c-1:m-9"], &[])).await, running);
    let order = OpenCase { take: told(&[REVIEW_1], &[]), ..World::opening(end, "run", None) };
    let error = world.effects.ledger.open(&order).await.unwrap_err();
    assert_eq!(error.type_name(), "StillHeld", "{error}");
    assert_eq!(world.held().await, [(REVIEW_1.into(), 70)], "no trace");

    let gone = world.taken("refund-request:c-1:gone", told(&[], &[REVIEW_1])).await;
    assert_eq!((gone.held, gone.others.len()), (amount(30), 1));
    assert_eq!((gone.others[0].case_ref.as_str(), gone.others[0].amount), (REVIEW_1, amount(70)));
    world.close(&gone, Vec::new(), Remainder::AsItWas, false).await;

    // A dispute has taken the review's money over: the end need not wait.
    let dispute = world.taken("dispute:c-1:m-1", HoldRequest::Over { case: REVIEW_1.into() }).await;
    let ended = world.taken("refund-request:c-1:disputed", told(&[REVIEW_1], &[])).await;
    assert_eq!((dispute.held, ended.held), (amount(70), amount(30)));
    assert_eq!(ended.others[0].case_ref, "dispute:c-1:m-1");
    world.close(&ended, Vec::new(), Remainder::AsItWas, false).await;
    world.close(&dispute, Vec::new(), Remainder::Back { case: REVIEW_1.into() }, false).await;

    world.close(&review, Vec::new(), Remainder::AsItWas, false).await;
    assert_eq!(world.taken(end, told(&[REVIEW_1], &[])).await.held, amount(100));
    world.both_sides().await;
}

#[tokio::test]
async fn a_contracts_end_does_not_wait_for_the_hold_of_an_earlier_review() {
    let mut world = World::new().await;
    world.effects.ledger = world.effects.ledger.clone().with_patience(Duration::ZERO);
    world.deposit("d-1", 100).await;
    world.review(1, 70).await;
    let OpenReceipt::Opened(again) = world.review_again("run-2", 1, 20).await else { unreachable!("30 are free") };
    world.close(&again, Vec::new(), Remainder::AsItWas, false).await;
    world.review_again("run-3", 1, 10).await;
    let newest = format!("{REVIEW_1}#3");
    let order = OpenCase { take: told(&[&newest], &[]), ..World::opening("refund-request:c-1", "run", None) };
    assert_eq!(world.effects.ledger.open(&order).await.unwrap_err().type_name(), "StillHeld");
    let earlier = OpenCase { take: told(&[REVIEW_1], &[]), ..World::opening("refund-request:c-1", "run", None) };
    let untold = world.effects.ledger.open(&earlier).await.unwrap();
    assert!(matches!(untold, OpenReceipt::ReviewsRunning { .. }), "a review that began after that: {untold:?}");
    world.taken("dispute:c-1:m-1", HoldRequest::Over { case: REVIEW_1.into() }).await;
    let ended = world.taken("refund-request:c-1", told(&[&newest], &[])).await;
    assert_eq!((ended.held, ended.others.len()), (amount(20), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_contracts_end_notices_that_a_review_releases_its_money() {
    let world = Arc::new(World::new().await);
    world.fund("d-1", "m-1", 70).await;
    let review = world.review(1, 70).await;
    let end = tokio::spawn({
        let world = world.clone();
        async move { world.taken("refund-request:c-1", told(&[REVIEW_1], &[])).await }
    });
    world.close(&review, Vec::new(), Remainder::AsItWas, false).await;
    assert_eq!(end.await.unwrap().held, amount(70));
}

/// D1: a dispute on a milestone that nobody reviews.
#[tokio::test]
async fn an_unreviewed_milestones_dispute_takes_its_deposit_or_its_claim_of_the_contracts_money() {
    let world = World::new().await;
    world.fund("d-1", "m-1", 70).await;
    world.deposit("d-2", 30).await;
    let own = world.taken("dispute:c-1:m-1", unreviewed("m-1", 5)).await;
    assert_eq!(own.held, amount(70), "all of it, whatever is claimed");
    let claim = world.taken("dispute:c-1:m-2", unreviewed("m-2", 20)).await;
    assert_eq!(claim.held, amount(20));
    let rest = world.taken("dispute:c-1:m-3", unreviewed("m-3", 20)).await;
    assert_eq!(rest.held, amount(10), "as much as there is");
    for case in [own, claim, rest] {
        world.close(&case, Vec::new(), Remainder::AsItWas, false).await;
    }
    assert_eq!(world.set_aside().await, ["milestone m-1 70"]);
    world.review(1, 70).await;
    let none = world.taken("dispute:c-1:m-1:b", unreviewed("m-1", 20)).await;
    assert_eq!((none.held, none.others.len()), (Amount::ZERO, 1), "its review has it");
    assert_eq!(world.taken("dispute:c-1:m-2:b", unreviewed("m-2", 20)).await.held, amount(20));
}

/// The ledger checks the contract's parties before everything else (E1).
#[tokio::test]
async fn every_opening_for_another_contract_is_a_conflict() {
    let world = World::new().await;
    world.fund("d-1", "m-1", 70).await;
    let mut other = contract("c-1");
    other.client.id = id("cl-9");
    for take in [
        HoldRequest::Free,
        told(&[], &[]),
        HoldRequest::Over { case: "nobody".into() },
        milestone(1, 70),
        HoldRequest::HeldOver { milestone: id("m-1") },
        unreviewed("m-1", 70),
        HoldRequest::Payment { payment: PaymentId::new("p").unwrap() },
    ] {
        let order = OpenCase { contract: other.clone(), take, ..World::opening("case", "run", None) };
        let receipt = world.effects.ledger.open(&order).await.unwrap();
        assert!(matches!(receipt, OpenReceipt::Conflict { .. }), "{receipt:?}");
    }
    assert_eq!(world.held().await, []);
}
