//! Cases that get so many messages that they continue in a new run: the new run keeps all knowledge, holds, promises, answers
//! and the clock of the case.

use recourse_domain::messages::Status;
use serde_json::{Value, json};
use temporalio_client::{UntypedWorkflow, WorkflowDescribeOptions};

use crate::harness::{Story, World, run, shown};

/// The length of a command that is much too long; the server suggests a new run after 4 MB of commands.
const LONG_BYTES: usize = 120_000;

/// How many of them are needed, with some to spare.
const COUNT: usize = 40;

/// How many more are needed when the server is slower than the commands.
const MORE: usize = 3;

async fn run_of(world: &World, case: &str) -> String {
    let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
    handle.describe(WorkflowDescribeOptions::default()).await.unwrap().run_id().to_owned()
}

/// Sends the case long commands until it continues in a new run, which must know everything that the old one knew.
async fn sent_a_lot(world: &World, story: &Story<'_>) {
    let case = story.case();
    let (command_kind, mut body) = story.command("operator", "extend 1");
    body["reason"] = json!("x".repeat(LONG_BYTES));
    let body = serde_json::to_vec(&body).unwrap();
    world.quiet(case).await;
    let first = run_of(world, case).await;
    let before = world.status(case).await;
    for _ in 0..COUNT {
        world.client.signal(case, command_kind.name(), body.clone()).await.unwrap();
    }
    let mut sent = COUNT;
    world.quiet(case).await;
    // The server writes commands that arrive during a task together with the start of the next task, which does not count them.
    while run_of(world, case).await == first {
        assert!(sent < COUNT + MORE, "{case} never went on in a new run");
        world.client.signal(case, command_kind.name(), body.clone()).await.unwrap();
        sent += 1;
        world.quiet(case).await;
    }
    let refused = |status: &Status| {
        let kept =
            status.timeline.iter().filter(|entry| serde_json::to_value(entry.what).unwrap() == "refused").count();
        kept + status.refusals_omitted as usize
    };
    let after = story.wait(case, |status| refused(status) >= refused(&before) + sent).await;
    assert_eq!(refused(&after), refused(&before) + sent, "{case}: each is refused once");
    let (mut earlier, mut later) = (before, after);
    later.timeline.truncate(earlier.timeline.len());
    (earlier.refusals_omitted, later.refusals_omitted) = (0, 0);
    assert_ne!(later.run_id, earlier.run_id, "{case} goes on in a new run");
    (earlier.run_id, later.run_id) = (None, None);
    assert_eq!(later, earlier, "{case} is where it was");
}

/// L5, L7, T2: a refund request and a dispute keep the commands and their receipt times in a new run, answer a repeated command
/// as before, and let silence decide at the same deadline.
#[test]
fn a_case_that_continues_in_a_new_run_loses_nothing() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "goeson");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(10_000, Value::Null).await;
        story.until(2.0).await;
        sent_a_lot(world, &story).await;
        story.play("6 freelancer claim 15000; 7 client offer 5000").await;
        let (command_kind, mut body) = story.command("freelancer", "amend 16000");
        body.insert("key".into(), json!("once"));
        world.client.command(story.case(), command_kind, body.clone()).await.unwrap();
        sent_a_lot(world, &story).await;
        let again = world.client.command(story.case(), command_kind, body).await.unwrap();
        let amended =
            again.timeline.iter().filter(|entry| serde_json::to_value(entry.what).unwrap() == "claim_amended");
        assert_eq!(amended.count(), 1, "the key is remembered");
        story.play("8 client reject claim; 9 mediator propose 9000; 9.5 client accept resolution").await;
        sent_a_lot(world, &story).await;
        story.play("11.1 freelancer demand").await;
        sent_a_lot(world, &story).await;
        story.play("18.2").await;
        assert_eq!(shown(&story.outcome().await), "released arbitration_sole_demand A3 30000/0/0");
        let moved = "deposit 30000, release 10000, fee 33750, release 20000, fee_return 33750";
        assert_eq!(story.ledger().await, moved);
        world.check_money().await;
    });
}

/// E4, E8, P2: the same for a milestone's review and a request for a payment.
#[test]
fn a_review_and_a_payments_request_continue_in_a_new_run() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "reviewgoeson");
        story.fund("d-1", "m-1", 30_000, &story.card()).await;
        story.submit("m-1", 1, 30_000).await;
        story.play("1 client request; 2 freelancer submit").await;
        sent_a_lot(world, &story).await;
        story.play("15.9; 16.1").await;
        let review = story.review("m-1");
        assert_eq!(shown(&story.outcome_of(&review).await), "released client_silence E4 30000/0/0");
        let released_at = jiff::Timestamp::now();
        let case = story.ask_back(&format!("{review}/release"), released_at, 30_000).await.case;
        sent_a_lot(world, &story).await;
        story.play("20 freelancer approve 12000").await;
        assert_eq!(shown(&story.outcome_of(&case).await), "refunded freelancer_approval P2 0/12000/0");
        assert_eq!(story.ledger().await, "deposit 30000, release 30000, return 12000");
        world.check_money().await;
    });
}
