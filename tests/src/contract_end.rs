//! The contract ends on the real server during a milestone's review or dispute (E11).

use futures_util::future::join_all;
use recourse_domain::stage::Stage;
use serde_json::Value;

use crate::{
    harness::{World, run, shown},
    milestones::{funded, refused},
};

/// E11, R1: the contract's end, by either party, supersedes a running review, and the refund request covers its money.
#[test]
fn the_contracts_end_supersedes_a_running_review() {
    run(async {
        let world = World::shared().await;
        for (name, before) in [("awaited", "3"), ("changes", "3 client request")] {
            let mut story = funded(world, name).await;
            story.fund("d-2", "m-2", 5_000, &story.card()).await;
            story.submit("m-1", 1, 30_000).await;
            story.play(before).await;
            let mut story = story.again();
            let status = story.end(10_000, Value::Null).await;
            assert_eq!((status.stage, status.held.minor()), (Stage::AwaitingFreelancer, 25_000), "{before}");
            let review = story.outcome_of(&story.review("m-1")).await;
            assert_eq!(shown(&review), "superseded contract_end E11 0/0/30000", "{before}");
            story.play("1 freelancer approve").await;
            assert_eq!(shown(&story.outcome().await), "settled freelancer_approval R4 10000/25000/0");
            assert_eq!(story.ledger().await, "deposit 30000, deposit 5000, release 10000, refund 5000, refund 20000");
        }
        world.check_money().await;
    });
}

/// E11, E4: a review that silence decided keeps what it releases; the contract's end covers the rest. Never both.
#[test]
fn auto_release_and_the_contracts_end_never_both_move_the_money() {
    run(async {
        let world = World::shared().await;
        join_all((0..6).map(|round| {
            Box::pin(async move {
                let mut story = funded(world, "race").await;
                story.deposit("d-2", 4_000, &story.card()).await;
                story.submit("m-1", 1, 30_000).await;
                story.until(13.9).await;
                let review = story.review("m-1");
                let by = std::time::Duration::from_hours(3);
                // Both at once; the pause only varies which of them comes first.
                let pause = std::time::Duration::from_millis(round * 7);
                let silence = async {
                    tokio::time::sleep(pause).await;
                    let _ = world.client.advance(&review, by).await;
                };
                let ending = story.again();
                let (status, ()) = futures_util::join!(ending.end(0, Value::Null), silence);
                let reviewed = shown(&story.outcome_of(&review).await);
                let held = match reviewed.as_str() {
                    "released client_silence E4 30000/0/0" => 4_000,
                    "superseded contract_end E11 0/0/30000" => 34_000,
                    other => panic!("{other}"),
                };
                assert_eq!(status.held.minor(), held, "{reviewed}");
            })
        }))
        .await;
        world.check_money().await;
    });
}

/// E11: a milestone that is submitted again while the contract ends does not delay the end, and is not paid.
#[test]
fn submitting_again_does_not_delay_the_contracts_end() {
    run(async {
        let world = World::shared().await;
        join_all((0..4).map(|_| {
            Box::pin(async move {
                let mut story = funded(world, "again").await;
                story.submit("m-1", 1, 30_000).await;
                let ending = story.again();
                let again = story.again();
                let resubmitting = async {
                    for _ in 0..30 {
                        again.submit_at_once("m-1", 1, 30_000).await;
                    }
                };
                let (status, ()) = futures_util::join!(ending.end(0, Value::Null), resubmitting);
                assert_eq!((status.stage, status.held.minor()), (Stage::AwaitingFreelancer, 30_000));
                let review = story.wait(&story.review("m-1"), |status| status.outcome.is_some()).await.outcome.unwrap();
                assert_eq!(review.rule.id(), "E11", "superseded, or refused after the end: {review:?}");
                assert_eq!(story.ledger().await, "deposit 30000");
            })
        }))
        .await;
        world.check_money().await;
    });
}

/// R1, D3, E11: a milestone's dispute keeps its money out of the refund request, which covers the rest. Withdrawing the claim
/// later does not resume the review.
#[test]
fn a_running_dispute_keeps_its_money_out_of_the_refund_request() {
    run(async {
        let world = World::shared().await;
        for (play, review, dispute) in [
            (
                "2 client accept claim",
                "settled client_acceptance D3 20000/0/10000",
                "settled client_acceptance D3 20000/0/10000",
            ),
            (
                "2 freelancer withdraw",
                "superseded contract_end E11 0/0/30000",
                "withdrawn freelancer_withdrawal D5 0/0/30000",
            ),
        ] {
            let mut story = funded(world, "rest").await;
            story.deposit("d-2", 4_000, &story.card()).await;
            story.submit("m-1", 1, 30_000).await;
            story.play("1 freelancer claim 20000").await;
            let disputed = story.case().to_owned();
            let mut ending = story.again();
            let status = ending.end(0, Value::Null).await;
            assert_eq!((status.stage, status.held.minor()), (Stage::AwaitingFreelancer, 4_000));
            ending.play("1 freelancer approve").await;
            assert_eq!(shown(&ending.outcome().await), "refunded freelancer_approval R4 0/4000/0");
            story.play(play).await;
            assert_eq!(shown(&story.outcome_of(&disputed).await), dispute);
            assert_eq!(shown(&story.outcome_of(&story.review("m-1")).await), review);
            // The client can ask for the money that the dispute left by ending the contract once more.
            let kept = story.outcome_of(&disputed).await.kept_in_escrow.minor();
            let again = story.again();
            assert_eq!(again.end(0, Value::Null).await.held.minor(), kept);
        }
        world.check_money().await;
    });
}

/// R1: if a milestone's dispute holds all the money, the contract's end is refused and names that dispute.
#[test]
fn a_contracts_end_with_everything_in_dispute_is_refused() {
    run(async {
        let world = World::shared().await;
        let mut story = funded(world, "alldisputed").await;
        story.submit("m-1", 1, 30_000).await;
        story.play("1 freelancer claim 20000").await;
        let status = story.again().end(0, Value::Null).await;
        assert!(refused(&status).starts_with("R1 ") && refused(&status).contains(story.case()), "{status:?}");
        // The contract did not end: after the claim is withdrawn the review continues.
        story.play("2 freelancer withdraw").await;
        let review = story.review("m-1");
        let resumed = story.wait(&review, |status| status.stage != Stage::Disputed).await;
        assert_eq!(resumed.stage, Stage::AwaitingClient, "{resumed:?}");
    });
}

/// R2, E11: a refused contract's end supersedes nothing: the client's 14 days continue.
#[test]
fn a_refused_end_leaves_the_review_as_it_is() {
    run(async {
        let world = World::shared().await;
        let mut story = funded(world, "refusedend").await;
        story.submit("m-1", 1, 30_000).await;
        story.until(13.0).await;
        let status = story.again().end(30_001, Value::Null).await;
        assert!(refused(&status).starts_with("R2 ") && refused(&status).contains("300.00 USD held"), "{status:?}");
        let review = world.status(&story.review("m-1")).await;
        assert_eq!(review.stage, Stage::AwaitingClient);
        story.until(14.1).await;
        assert_eq!(shown(&story.outcome_of(&story.review("m-1")).await), "released client_silence E4 30000/0/0");
    });
}

/// E11: after the contract's end no milestone can be submitted, until a deposit says that the contract continues.
#[test]
fn a_milestone_is_not_submitted_after_the_contracts_end() {
    run(async {
        let world = World::shared().await;
        let mut story = funded(world, "afterend").await;
        story.deposit("d-2", 4_000, &story.card()).await;
        story.submit("m-1", 1, 30_000).await;
        story.play("1 freelancer claim 20000").await;
        let mut ending = story.again();
        ending.end(0, Value::Null).await;
        ending.play("1 freelancer approve").await;
        ending.outcome().await;
        story.play("2 client accept claim").await;
        story.outcome_of(&story.review("m-1")).await;
        let late = story.submit("m-2", 2, 10_000).await;
        assert!(refused(&late).starts_with("E11 ") && refused(&late).contains(&ending.refund_request), "{late:?}");
        story.deposit("d-3", 1, &story.card()).await;
        assert_eq!(story.submit("m-2", 2, 10_000).await.stage, Stage::AwaitingClient, "the contract goes on");
        world.check_money().await;
    });
}
