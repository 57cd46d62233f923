//! Milestones on the real server: reviews, held-over money, disputes on an active contract.

use futures_util::future::join_all;
use recourse_domain::{command::CommandKind, ids::Id, outcome::Outcome, posting::Account, stage::Stage};
use recourse_payments::Fault;
use serde_json::json;

use crate::harness::{Story, World, run, shown};

/// The outcome, and its bonus.
fn with_bonus(outcome: &Outcome) -> String {
    format!("{} +{} {}", shown(outcome), outcome.bonus.minor(), if outcome.bonus_failed { "failed" } else { "-" })
}

/// A contract whose first milestone, of 300.00, is funded.
pub async fn funded(world: &'static World, name: &str) -> Story<'static> {
    let story = Story::new(world, name);
    let outcome = story.fund("d-1", "m-1", 30_000, &story.card()).await;
    assert_eq!(charged(&outcome), (30_000, 0, 30_000));
    story
}

/// A deposit's charge, what it drew from held-over money, and the escrow afterwards.
fn charged(outcome: &Outcome) -> (i64, i64, i64) {
    let [charged, from_held, held] =
        [outcome.charged, outcome.from_held, outcome.held].map(|amount| amount.unwrap().minor());
    (charged, from_held, held)
}

/// The rule and the message of a refused start.
pub fn refused(status: &recourse_domain::messages::Status) -> String {
    let outcome = status.outcome.as_ref().unwrap_or_else(|| panic!("{status:?}"));
    assert_eq!(outcome.result.name(), "refused", "{outcome:?}");
    format!("{} {}", outcome.rule, outcome.message.as_deref().unwrap_or_default())
}

/// E4–E8, E11: every way in which a review ends without a dispute, with the ledger to the cent.
#[test]
fn a_review_ends_as_the_rules_say() {
    const ROWS: [(&str, &str, &str); 10] = [
        ("14", "released client_silence E4 30000/0/0 +0 -", "release 30000"),
        ("2 client approve", "released client_approval E5 30000/0/0 +0 -", "release 30000"),
        ("2 client approve 30000", "released client_approval E5 30000/0/0 +0 -", "release 30000"),
        ("2 client approve 20000", "released client_approval E6 20000/0/10000 +0 -", "release 20000"),
        ("2 client approve 1", "released client_approval E6 1/0/29999 +0 -", "release 1"),
        ("2 client approve 35000", "released client_approval E7 30000/0/0 +5000 -", "bonus 5000, release 30000"),
        ("13 client request; 40 freelancer submit; 54", "released client_silence E4 30000/0/0 +0 -", "release 30000"),
        (
            "2 client request; 3 freelancer submit; 4 client request; 5 freelancer submit; 6 client approve",
            "released client_approval E5 30000/0/0 +0 -",
            "release 30000",
        ),
        ("2 operator supersede", "superseded contract_end E11 0/0/30000 +0 -", ""),
        ("2 mediator extend 24; 15", "released client_silence E4 30000/0/0 +0 -", "release 30000"),
    ];
    run(async {
        let world = World::shared().await;
        join_all(ROWS.map(|(play, outcome, ledger)| {
            Box::pin(async move {
                let mut story = funded(world, "review").await;
                let status = story.submit("m-1", 1, 30_000).await;
                assert_eq!((status.stage, status.held.minor()), (Stage::AwaitingClient, 30_000));
                story.play(play).await;
                let review = story.review("m-1");
                assert_eq!(with_bonus(&story.outcome_of(&review).await), outcome, "{play}");
                let mut entries: Vec<String> = story.ledger().await.split(", ").skip(1).map(str::to_owned).collect();
                entries.sort();
                assert_eq!(entries.join(", "), ledger, "{play}");
            })
        }))
        .await;
        world.check_money().await;
    });
}

/// E7: a declined bonus leaves the release as it is, and loses nothing.
#[test]
fn a_declined_bonus_leaves_the_release_standing() {
    run(async {
        let world = World::shared().await;
        let mut story = funded(world, "bonus").await;
        world.bank.set_fault(Some(&Id::new(&story.card()).unwrap()), Fault::Decline, 1).await.unwrap();
        story.submit("m-1", 1, 30_000).await;
        story.play("1 client approve 35000").await;
        let outcome = story.outcome_of(&story.review("m-1")).await;
        assert_eq!(with_bonus(&outcome), "released client_approval E7 30000/0/0 +0 failed");
        assert_eq!(story.ledger().await, "deposit 30000, release 30000");
        world.check_money().await;
    });
}

/// E3, E13: one at a time, oldest unpaid first, and only what is funded.
#[test]
fn milestones_are_submitted_in_order_and_only_if_funded() {
    run(async {
        let world = World::shared().await;
        let mut story = funded(world, "order").await;
        let status = story.submit("m-2", 2, 10_000).await;
        assert!(refused(&status).starts_with("E3 ") && refused(&status).contains("number 1 is not paid"), "{status:?}");
        story.submit("m-1", 1, 30_000).await;
        let other = story.submit("m-2", 2, 10_000).await;
        assert!(refused(&other).contains(&format!("{} is not over", story.review("m-1"))), "{other:?}");
        story.on(&story.review("m-1"));
        story.play("1 client approve 20000").await;
        story.outcome_of(&story.review("m-1")).await;
        let again = story.submit("m-1", 1, 30_000).await;
        assert!(refused(&again).contains("decided before"), "{again:?}");
        let taken = story.submit("m-x", 1, 10_000).await;
        assert!(refused(&taken).contains("so was milestone m-1"), "{taken:?}");
        // 100.00 is held over: enough for a milestone of 100.00, not for one of 100.01.
        let unfunded = story.submit("m-2", 2, 10_001).await;
        assert!(
            refused(&unfunded).starts_with("E13 ") && refused(&unfunded).contains("100.00 USD of its 100.01 USD"),
            "{unfunded:?}"
        );
        let status = story.submit("m-2", 2, 10_000).await;
        assert_eq!((status.stage, status.held.minor()), (Stage::AwaitingClient, 10_000));
        story.play("14").await;
        story.outcome_of(&story.review("m-2")).await;
        assert_eq!(story.ledger().await, "deposit 30000, release 20000, release 10000");
        world.check_money().await;
    });
}

/// E2, E13: a deposit for the whole contract funds each of its milestones.
#[test]
fn a_whole_contracts_deposit_funds_its_milestones() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "whole");
        story.deposit("d-1", 30_000, &story.card()).await;
        for (milestone, ordinal, minor) in [("m-1", 1, 10_000), ("m-2", 2, 20_000)] {
            story.submit(milestone, ordinal, minor).await;
            story.play("1 client approve").await;
            story.outcome_of(&story.review(milestone)).await;
        }
        let empty = story.submit("m-3", 3, 1).await;
        assert!(refused(&empty).starts_with("E13 "), "{empty:?}");
        assert_eq!(story.ledger().await, "deposit 30000, release 10000, release 20000");
    });
}

/// E6: the next milestone's deposit draws on held-over money, so that only the difference is charged; it does not draw on
/// disputed money.
#[test]
fn the_next_deposit_draws_on_what_is_held_over() {
    run(async {
        let world = World::shared().await;
        let mut story = funded(world, "held").await;
        story.submit("m-1", 1, 30_000).await;
        story.play("1 client approve 18000").await;
        story.outcome_of(&story.review("m-1")).await;
        // 120.00 held over. A first deposit takes 50.00 of it and charges nothing.
        assert_eq!(charged(&story.fund("d-2", "m-2", 5_000, &story.card()).await), (0, 5_000, 12_000));
        assert_eq!(charged(&story.fund("d-2", "m-2", 5_000, &story.card()).await), (0, 5_000, 12_000), "twice is once");
        // The rest is disputed: the next deposit cannot draw on it.
        let gone = story.dispute_alone("partial_release", "m-1", 7_001).await;
        assert!(refused(&gone).contains("70.01 USD is more than the 70.00 USD"), "{gone:?}");
        let status = story.dispute_alone("partial_release", "m-1", 4_000).await;
        assert_eq!((status.stage, status.held.minor()), (Stage::AwaitingClient, 7_000), "{status:?}");
        assert_eq!(charged(&story.fund("d-3", "m-2", 6_000, &story.card()).await), (6_000, 0, 18_000));
        let dispute = status.case;
        story.on(&dispute);
        story.play("1 client accept claim").await;
        assert_eq!(shown(&story.outcome_of(&dispute).await), "settled client_acceptance D3 4000/0/3000");
        // The 30.00 that the dispute did not award stay for the next deposit, and cannot be disputed again.
        let again = story.dispute_alone("partial_release", "m-1", 1).await;
        assert!(refused(&again).starts_with("D1 "), "{again:?}");
        assert_eq!(charged(&story.fund("d-4", "m-2", 4_000, &story.card()).await), (1_000, 3_000, 15_000));
        story.submit("m-2", 2, 15_000).await;
        story.play("14").await;
        assert_eq!(shown(&story.outcome_of(&story.review("m-2")).await), "released client_silence E4 15000/0/0");
        assert_eq!(
            story.ledger().await,
            "deposit 30000, release 18000, deposit 6000, release 4000, deposit 1000, release 15000"
        );
        world.check_money().await;
    });
}

/// D1, D3, D5: a dispute from a running review. The clock stops, the part that is not awarded stays, the next milestone
/// continues.
#[test]
fn a_disputed_milestone_is_decided_by_its_dispute() {
    const ROWS: [(&str, &str, &str); 6] = [
        ("6", "settled client_silence D3 20000/0/10000", "release 20000"),
        ("2 client accept claim", "settled client_acceptance D3 20000/0/10000", "release 20000"),
        ("2 client offer 25000; 3 freelancer accept offer 1", "settled agreement M7 25000/0/5000", "release 25000"),
        (
            "2 client reject claim; 3 mediator propose 9000; 4 client accept resolution; 4.5 freelancer accept resolution",
            "settled resolution_accepted M5 9000/0/21000",
            "release 9000",
        ),
        ("2 client reject claim; 3 mediator close; 10", "declined arbitration_default A2 0/0/30000", ""),
        (
            "2 client reject claim; 3 mediator close; 4 freelancer demand; 11",
            "released arbitration_sole_demand A3 30000/0/0",
            "fee 33750, release 30000, fee_return 33750",
        ),
    ];
    run(async {
        let world = World::shared().await;
        join_all(ROWS.map(|(play, outcome, ledger)| {
            Box::pin(async move {
                let mut story = funded(world, "nonrelease").await;
                story.submit("m-1", 1, 30_000).await;
                story.play(&format!("1 freelancer claim 20000; {play}")).await;
                assert_eq!(story.case(), format!("dispute:{}:m-1", story.id()));
                let review = story.review("m-1");
                assert_eq!(shown(&story.outcome_of(&review).await), outcome, "{play}");
                assert_eq!(
                    shown(&story.outcome_of(story.case()).await),
                    outcome,
                    "the parent's outcome is its child's"
                );
                let kept = story.outcome_of(&review).await.kept_in_escrow.minor();
                let separator = if ledger.is_empty() { "" } else { ", " };
                assert_eq!(story.ledger().await, format!("deposit 30000{separator}{ledger}"), "{play}");
                // The next milestone gets what stayed.
                assert_eq!(
                    charged(&story.fund("d-2", "m-2", 30_000, &story.card()).await),
                    (30_000 - kept, kept, 30_000)
                );
                let next = story.submit("m-2", 2, 30_000).await;
                assert_eq!(next.stage, Stage::AwaitingClient, "{next:?}");
            })
        }))
        .await;
        world.check_money().await;
    });
}

/// D5: a withdrawn claim leaves the money where it was, and the client's clock continues where it stood.
#[test]
fn a_withdrawn_claim_resumes_the_review() {
    run(async {
        let world = World::shared().await;
        let mut story = funded(world, "withdrawn").await;
        story.submit("m-1", 1, 30_000).await;
        story.play("10 freelancer claim 20000").await;
        let (review, dispute) = (story.review("m-1"), story.case().to_owned());
        story.play("12 freelancer withdraw").await;
        assert_eq!(shown(&story.outcome_of(&dispute).await), "withdrawn freelancer_withdrawal D5 0/0/30000");
        let resumed = story.wait(&review, |status| status.stage == Stage::AwaitingClient).await;
        let left = resumed.deadline.unwrap().duration_since(world.client.virtual_now(&review).await.unwrap());
        assert!((3 * 24..=4 * 24).contains(&left.as_hours()), "{left:?}");
        story.on(&review);
        story.play("14.1").await;
        assert_eq!(shown(&story.outcome_of(&review).await), "released client_silence E4 30000/0/0");
        assert_eq!(story.ledger().await, "deposit 30000, release 30000");
    });
}

/// D1: what a dispute on an active contract needs, when it does not come from a review.
#[test]
fn a_dispute_without_a_review_needs_held_money() {
    run(async {
        let world = World::shared().await;
        let mut story = funded(world, "alone").await;
        let nothing = story.dispute_alone("partial_release", "m-1", 1).await;
        assert!(refused(&nothing).starts_with("D1 "), "{nothing:?}");
        story.submit("m-1", 1, 30_000).await;
        let elsewhere = story.dispute_alone("non_release", "m-1", 1).await;
        assert!(refused(&elsewhere).contains(&story.review("m-1")), "{elsewhere:?}");
        // A milestone without a review of ours: the dispute is about its own deposit.
        let mut outside = funded(world, "outside").await;
        let status = outside.dispute_alone("non_release", "m-1", 20_000).await;
        assert_eq!((status.stage, status.held.minor()), (Stage::AwaitingClient, 30_000));
        outside.play("2 freelancer withdraw").await;
        outside.outcome_of(&status.case).await;
        assert_eq!(
            outside.submit("m-1", 1, 30_000).await.stage,
            Stage::AwaitingClient,
            "the deposit is the milestone's again"
        );
    });
}

/// E9, E1: released money is pending for the security period and then available, to the agency if there is one.
#[test]
fn released_money_is_pending_and_then_available() {
    run(async {
        let world = World::shared().await;
        let story = Story::new(world, "pending");
        let agency = format!("ag-{}", story.id());
        let mut freelancer = story.contract["freelancer"].clone();
        freelancer["agency"] = json!({"id": agency, "name": "Studio"});
        let mut story = story.with(&json!({"freelancer": freelancer}));
        story.fund("d-1", "m-1", 30_000, &story.card()).await;
        story.submit("m-1", 1, 30_000).await;
        story.play("2 client approve 40000").await;
        story.outcome_of(&story.review("m-1")).await;
        let payee = Account::Agency(Id::new(&agency).unwrap());
        let history = world.ledger.history(&story.id(), jiff::Timestamp::now()).await.unwrap().unwrap();
        let released: jiff::Timestamp =
            history.entries.iter().find(|entry| entry.kind == "release").unwrap().at.parse().unwrap();
        let period = jiff::SignedDuration::from_hours(5 * 24);
        let instant = jiff::SignedDuration::from_nanos(1);
        for (at, pending, available) in [
            (released, 40_000, 0),
            (released + period - instant, 40_000, 0),
            (released + period + jiff::SignedDuration::from_secs(5), 0, 40_000),
        ] {
            let balances = world.ledger.payee(&payee, at).await.unwrap();
            assert_eq!(balances.len(), 1);
            let is = (balances[0].pending, balances[0].available);
            assert_eq!(is, (pending, available), "{at}");
        }
    });
}

/// L7, E3: the same submission twice is one case; a command twice acts once.
#[test]
fn a_submission_and_an_approval_twice_act_once() {
    run(async {
        let world = World::shared().await;
        let mut story = funded(world, "twice").await;
        story.submit("m-1", 1, 30_000).await;
        let again = story.submit("m-1", 1, 30_000).await;
        assert_eq!(again.particulars.review.unwrap().submissions, 1);
        let (command_kind, mut body) = story.command("client", "approve 35000");
        body.insert("key".into(), json!("k-1"));
        assert_eq!(command_kind, CommandKind::Approve);
        for _ in 0..2 {
            world.client.command(story.case(), command_kind, body.clone()).await.unwrap();
        }
        let outcome = story.outcome_of(&story.review("m-1")).await;
        let mut ledger: Vec<String> = story.ledger().await.split(", ").map(str::to_owned).collect();
        ledger.sort();
        assert_eq!(ledger.join(", "), "bonus 5000, deposit 30000, release 30000", "{outcome:?}");
    });
}
