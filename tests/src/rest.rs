//! A case at rest: a test that reads it, or advances its clock, sees everything that has happened, however slow the server is.

use std::time::Duration;

use recourse_domain::{messages::Status, stage::Stage};

use crate::harness::{Story, World, run, shown};

/// Sends a command without the harness's waiting.
async fn told(world: &World, story: &Story<'_>, case: &str, who: &str, words: &str) -> Status {
    let (command_kind, body) = story.command(who, words);
    world.client.command(case, command_kind, body).await.unwrap()
}

/// A review continues after its dispute, and its next dispute has the same id: the review does not rest before it knows the end
/// of the first, nor before the second has begun; and its clock can then be advanced.
#[test]
fn a_case_rests_only_after_it_knows_its_disputes_start_and_end() {
    run(async {
        let world = World::slow().await;
        let mut story = Story::new(&world, "rests");
        story.fund("d-1", "m-1", 30_000, &story.card()).await;
        story.submit("m-1", 1, 30_000).await;
        let review = story.review("m-1");
        world.quiet(&review).await;
        for round in 0..2 {
            let dispute = told(&world, &story, &review, "freelancer", "claim 20000").await.particulars.dispute.unwrap();
            // With the review's state alone.
            world.quiet(&review).await;
            assert!(world.client.closed_for(&dispute).await.unwrap().is_none(), "round {round}: the dispute before");
            world.opened(&dispute).await;
            told(&world, &story, &dispute, "freelancer", "withdraw").await;
            world.client.result(&dispute).await.unwrap();
            if round == 0 {
                assert_eq!(world.status(&review).await.stage, Stage::AwaitingClient);
            } else {
                let advanced = world.client.advance(&review, Duration::from_hours(1)).await;
                assert!(advanced.as_ref().is_ok_and(|advanced| !advanced.closed), "{advanced:?}");
                assert_eq!(world.client.status(&review).await.unwrap().stage, Stage::AwaitingClient);
            }
        }
        told(&world, &story, &review, "client", "approve").await;
        assert_eq!(shown(&story.outcome_of(&review).await), "released client_approval E5 30000/0/0");
        world.check_money().await;
        world.stop_worker().await;
    });
}
