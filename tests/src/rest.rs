//! When a case rests: what looks at it then, or advances its clock, finds what has happened, however slow the machine is.

use std::time::Duration;

use futures_util::future::join_all;
use recourse_starter::client::ClientError;
use serde_json::{Map, Value};
use temporalio_client::{UntypedWorkflow, WorkflowFetchHistoryOptions, WorkflowTerminateOptions};
use temporalio_common::protos::temporal::api::enums::v1::EventType;

use crate::{
    harness::{Story, World, run, shown},
    milestones::funded,
};

/// How often a claim is made and withdrawn. The moments that are looked for are short.
const ROUNDS: usize = 5;

/// A review whose dispute is over goes on at once, and the next dispute has the id of the one before it: neither is seen too
/// late, nor the one for the other.
#[test]
fn a_case_rests_when_its_dispute_has_begun_and_once_it_has_heard_of_its_end() {
    run(async {
        let world = World::shared().await;
        join_all((0..4).map(|_| Box::pin(claims_and_withdraws(world)))).await;
        world.check_money().await;
    });
}

async fn claims_and_withdraws(world: &'static World) {
    let mut story = funded(world, "rests").await;
    story.submit("m-1", 1, 30_000).await;
    let review = story.review("m-1");
    for round in 0..ROUNDS {
        let dispute = told(world, &story, &review, "freelancer", "claim 20000").await.unwrap().dispute.unwrap();
        // With what is known of the review alone.
        world.quiet(&review).await;
        assert_eq!(world.client.status(&dispute).await.unwrap().outcome, None, "round {round}: the dispute before");
        let disputed = world.status(&review).await;
        assert_eq!(disputed.stage, "disputed", "round {round}");
        world.opened(&dispute).await;
        told(world, &story, &dispute, "freelancer", "withdraw").await.unwrap();
        world.client.result(&dispute).await.unwrap();
        if round % 2 == 0 {
            let by = Duration::from_hours(1);
            let advanced = world.client.advance(&review, by).await;
            assert!(advanced.as_ref().is_ok_and(|advanced| !advanced.closed), "round {round}: {advanced:?}");
            assert_eq!(world.client.status(&review).await.unwrap().stage, "awaiting_client", "round {round}");
        } else {
            assert_eq!(world.status(&review).await.stage, "awaiting_client", "round {round}");
        }
    }
    told(world, &story, &review, "client", "approve").await.unwrap();
    assert_eq!(shown(&story.outcome_of(&review).await), "released client_approval E5 30000/0/0");
}

/// A command without what the harness waits for.
async fn told(
    world: &World,
    story: &Story<'_>,
    case: &str,
    who: &str,
    words: &str,
) -> Result<recourse_workflows::messages::Status, ClientError> {
    let (verb, body): (_, Map<String, Value>) = story.command(who, words);
    let _step = world.step().await;
    world.client.command(case, verb, body).await
}

/// The parent of a dispute that somebody stops hears of it a moment later; until then it does not rest.
#[test]
fn a_case_does_not_rest_before_it_has_heard_that_its_dispute_was_stopped() {
    run(async {
        let world = World::shared().await;
        join_all((0..6).map(|_| {
            Box::pin(async move {
                let mut story = Story::new(world, "unheard");
                story.deposit("d-1", 30_000, "card-1").await;
                story.end(0, Value::Null).await;
                story.play("1 freelancer claim 15000").await;
                let handle = |case: &str| world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
                world.quiet(&story.refund_request).await;
                let options = WorkflowTerminateOptions::builder().reason("an operator's mistake").build();
                handle(&story.dispute).terminate(options).await.unwrap();
                world.quiet(&story.refund_request).await;
                let history = handle(&story.refund_request).fetch_history(WorkflowFetchHistoryOptions::default());
                let history = history.into_events().await.unwrap();
                let heard = EventType::ChildWorkflowExecutionTerminated;
                assert!(history.iter().any(|event| event.event_type() == heard), "{}", story.refund_request);
                assert_eq!(shown(&story.outcome().await), "on_hold rule E10 0/0/30000");
            })
        }))
        .await;
        world.check_money().await;
    });
}
