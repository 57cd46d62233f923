//! What happens to a case when somebody stops a workflow: a dispute outlives its parent, money stays where it is, and a
//! request to cancel changes nothing (E10).

use recourse_starter::client::ClientError;
use serde_json::Value;
use temporalio_client::{UntypedWorkflow, WorkflowCancelOptions, WorkflowTerminateOptions};

use crate::harness::{Story, World, run, shown};

async fn disputed<'a>(world: &'a World, name: &str) -> Story<'a> {
    let mut story = Story::new(world, name);
    story.deposit("d-1", 30_000, "card-1").await;
    story.end(10_000, Value::Null).await;
    story.play("1 freelancer claim 15000").await;
    story
}

async fn terminate(world: &World, case: &str) {
    let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
    handle.terminate(WorkflowTerminateOptions::builder().reason("an operator's mistake").build()).await.unwrap();
}

/// A dispute survives its parent and settles its own money.
#[test]
fn a_dispute_outlives_its_refund_request() {
    run(async {
        let world = World::shared().await;
        let mut story = disputed(world, "orphan").await;
        terminate(world, &story.refund_request).await;
        story.play("2 client reject claim; 3 mediator propose 9000; 4 client accept resolution; 4.5 freelancer accept resolution").await;
        let outcome = world.client.result(&story.dispute).await.unwrap();
        assert_eq!(shown(&outcome), "settled resolution_accepted M5 9000/11000/0");
        assert_eq!(story.ledger().await, "deposit 30000, release 10000, release 9000, refund 11000");
        world.check_money().await;
    });
}

/// A dispute whose workflow is stopped moves nothing; its parent ends on hold, and tells an operator.
#[test]
fn a_stopped_dispute_leaves_the_money_in_escrow() {
    run(async {
        let world = World::shared().await;
        let story = disputed(world, "stopped").await;
        terminate(world, &story.dispute).await;
        let outcome = story.outcome().await;
        assert_eq!(shown(&outcome), "on_hold rule E10 10000/0/20000");
        assert_eq!(story.ledger().await, "deposit 30000, release 10000");
        assert!(matches!(world.client.result(&story.dispute).await, Err(ClientError::Stopped { .. })));
        world.check_money().await;
    });
}

/// E10: asking a workflow to cancel changes nothing, whatever it is doing.
#[test]
fn a_case_cannot_be_cancelled() {
    run(async {
        let world = World::shared().await;
        let mut story = disputed(world, "cancelled").await;
        for case in [&story.refund_request, &story.dispute] {
            let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
            handle.cancel(WorkflowCancelOptions::default()).await.unwrap();
        }
        story.play("2 client offer 5000; 6").await;
        assert_eq!(shown(&story.outcome().await), "settled client_silence D3 25000/5000/0");
        assert_eq!(story.ledger().await, "deposit 30000, release 10000, release 15000, refund 5000");
    });
}
