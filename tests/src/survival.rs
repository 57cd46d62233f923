//! Somebody stops a workflow: a dispute outlives its parent, money stays where it is, and a request to cancel changes nothing
//! (E10).

use recourse_client::ClientError;
use recourse_domain::{messages::DisputeStart, stage::Stage};
use recourse_notifications::notices::NoticeFilter;
use serde_json::{Value, json};
use temporalio_client::{
    UntypedWorkflow, WorkflowCancelOptions, WorkflowDescribeOptions, WorkflowFetchHistoryOptions,
    WorkflowTerminateOptions, tonic::IntoRequest as _,
};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, enums::v1::EventType, workflowservice::v1::ResetWorkflowExecutionRequest,
};

use crate::harness::{Story, World, run, shown, unique};

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

/// If a dispute's workflow is stopped, no money moves; its parent ends on hold, and an operator gets a notice.
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
        // Ending the contract again names the holder of the money; after an operator has freed it, all of it is there.
        let mut again = story.again();
        let refused = again.end(0, Value::Null).await.outcome.expect("refused at once");
        assert_eq!(shown(&refused), "refused rule R1 0/0/0");
        assert!(
            refused.message.as_ref().unwrap().contains(&format!("{} holds 200.00 USD", story.dispute)),
            "{refused:?}"
        );
        assert_eq!(world.ledger.free(&story.dispute).await.unwrap().len(), 1);
        again.end(0, Value::Null).await;
        again.play("7").await;
        assert_eq!(shown(&again.outcome().await), "refunded freelancer_silence R4 0/20000/0");
        world.check_money().await;
    });
}

/// L2, L5: a workflow that an operator resets continues as the same case: a posted movement is not posted again.
#[test]
fn a_reset_case_moves_nothing_twice() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "reset");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(10_000, Value::Null).await;
        world.quiet(&story.refund_request).await;
        reset_to_its_first_task(world, &story.refund_request).await;
        let status = story.opened(&story.refund_request).await;
        assert_eq!((status.stage, status.held.minor()), (Stage::AwaitingFreelancer, 20_000));
        story.play("1 freelancer approve").await;
        assert_eq!(shown(&story.outcome().await), "settled freelancer_approval R4 10000/20000/0");
        assert_eq!(story.ledger().await, "deposit 30000, release 10000, refund 20000");
        let told = world
            .notices
            .list(&NoticeFilter { contract: Some(story.id()), recipient: None, party: None })
            .await
            .unwrap();
        assert_eq!(told.iter().filter(|notice| notice.event == "refund_requested").count(), 2, "once to each party");
        world.check_money().await;
    });
}

async fn reset_to_its_first_task(world: &World, case: &str) {
    let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
    let history = handle.fetch_history(WorkflowFetchHistoryOptions::default()).into_events().await.unwrap();
    let first = history.iter().find(|event| event.event_type() == EventType::WorkflowTaskCompleted).unwrap().event_id;
    let described = handle.describe(WorkflowDescribeOptions::default()).await.unwrap();
    let request = ResetWorkflowExecutionRequest {
        namespace: world.client.namespace().to_owned(),
        workflow_execution: Some(WorkflowExecution {
            workflow_id: case.to_owned(),
            run_id: described.run_id().to_owned(),
        }),
        reason: "a test".to_owned(),
        workflow_task_finish_event_id: first,
        request_id: unique("reset"),
        ..ResetWorkflowExecutionRequest::default()
    };
    world
        .client
        .temporal()
        .connection()
        .workflow_service()
        .reset_workflow_execution(request.into_request())
        .await
        .unwrap();
}

/// CONTRACT: a dispute may run alone, on money that no other case holds.
#[test]
fn a_dispute_may_run_alone() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "alone");
        // This deposit came after the contract's end, and does not undo the end (D1).
        story.deposit("d-0", 1_000, "card-1").await;
        story.end(1_000, Value::Null).await;
        story.deposit("d-1", 20_000, "card-1").await;
        let start = |amount: i64| -> DisputeStart {
            let claim = json!({"amount": amount, "reason": "work_delivered", "details": "It is done."});
            serde_json::from_value(json!({"contract": story.contract, "grounds": "refund_request", "claim": claim}))
                .unwrap()
        };
        let (first, second) = (start(15_000), start(100));
        world.client.start(first).await.unwrap();
        assert_eq!(story.opened(&story.dispute).await.stage, Stage::AwaitingClient);
        // The contract's end finds no free money, and names the holder.
        assert_eq!(shown(&ended(&story).await), "refused rule R1 0/0/0");
        story.dispute_runs();
        story.play("2 client accept claim").await;
        assert_eq!(
            shown(&world.client.result(&story.dispute).await.unwrap()),
            "settled client_acceptance D3 15000/5000/0"
        );
        assert_eq!(story.ledger().await, "deposit 1000, release 1000, deposit 20000, release 15000, refund 5000");

        // While a refund request holds the money, a dispute about it must begin there.
        let other = Story::new(world, "alone");
        other.deposit("d-1", 20_000, "card-1").await;
        other.end(0, Value::Null).await;
        other.deposit("d-2", 10_000, "card-1").await;
        let dispute = DisputeStart { contract: serde_json::from_value(other.contract.clone()).unwrap(), ..second };
        world.client.start(dispute).await.unwrap();
        let refused = world.client.result(&other.dispute).await.unwrap();
        assert_eq!((refused.result.name(), refused.rule.id()), ("refused", "R6"));
        assert!(refused.message.unwrap().contains(&other.refund_request));
    });
}

async fn ended(story: &Story<'_>) -> recourse_domain::outcome::Outcome {
    story.end(0, Value::Null).await.outcome.expect("refused at once")
}

/// E1: the first deposit fixes the parties and the currency; a file with others under the contract's id moves nothing.
#[test]
fn the_first_deposit_fixes_the_contract() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "pinned");
        story.deposit("d-1", 30_000, "card-1").await;
        let honest = story.contract.clone();
        for (path, value) in [("/freelancer/id", "fl-evil"), ("/client/id", "cl-evil"), ("/currency", "EUR")] {
            *story.contract.pointer_mut(path).unwrap() = json!(value);
            let refused = story.end(10_000, Value::Null).await.outcome.expect("refused at once");
            assert_eq!(shown(&refused), "refused rule E1 0/0/0", "{path}");
            assert_eq!(story.deposit("d-2", 100, "card-1").await.result.name(), "refused", "{path}");
            story.contract.clone_from(&honest);
        }
        story.contract["freelancer"]["agency"] = json!({"id": "ag-evil"});
        story.end(10_000, Value::Null).await;
        assert_eq!(shown(&story.outcome().await), "refused rule E1 0/0/0", "an agency that was not there");
        story.contract = honest;
        story.contract["title"] = json!("Another title is no other contract");
        story.end(30_000, Value::Null).await;
        assert_eq!(shown(&story.outcome().await), "paid_in_full contract_end R2 30000/0/0");
        assert_eq!(story.ledger().await, "deposit 30000, release 30000");
    });
}

/// E10: a request to cancel a workflow changes nothing, whatever the workflow is doing.
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
