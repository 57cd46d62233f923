//! T2: the receipt time counts, whether the worker sees the reply or the deadline first.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use recourse_client::Client;
use recourse_domain::{case::What, command::CommandKind, messages::Status};
use serde_json::{Value, json};
use temporalio_client::{UntypedWorkflow, WorkflowFetchHistoryOptions, tonic::IntoRequest as _};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution,
    history::v1::{HistoryEvent, history_event::Attributes},
    workflowservice::v1::ResetStickyTaskQueueRequest,
};

use crate::{
    harness::{PATIENCE, Story, World, run, shown},
    refusals::failed_tasks,
};

/// Lets the deadline pass while no worker runs. Advances the clock to just before it, and then lets it run: once the timer has
/// fired the server does not advance it further until a worker has looked.
pub async fn pass_deadline(world: &World, case: &str, deadline: Timestamp) {
    let now = world.client.virtual_now(case).await.unwrap();
    // Advancing waits until the clock stands still, which it would not do while the deadline waits for a worker.
    let by = Duration::try_from(deadline.duration_since(now)).unwrap().saturating_sub(Duration::from_secs(1));
    world.client.advance(case, by).await.unwrap();
    let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
    let started = Instant::now();
    loop {
        // The timer runs from its order, a little after the deadline was set; and its event comes a little later.
        let now = world.client.virtual_now(case).await.unwrap();
        let events = handle.fetch_history(WorkflowFetchHistoryOptions::default()).into_events().await.unwrap();
        if now > deadline && !has_timer(&events) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "a timer of {case} does not fire");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a timer is still running.
fn has_timer(events: &[HistoryEvent]) -> bool {
    let mut timers = BTreeSet::new();
    for event in events {
        match event.attributes.as_ref().unwrap() {
            Attributes::TimerStartedEventAttributes(_) => drop(timers.insert(event.event_id)),
            Attributes::TimerFiredEventAttributes(fired) => drop(timers.remove(&fired.started_event_id)),
            Attributes::TimerCanceledEventAttributes(stopped) => drop(timers.remove(&stopped.started_event_id)),
            _ => {}
        }
    }
    !timers.is_empty()
}

/// T2: workers are down across the deadline; one reply was received before it and one at it.
#[test]
fn a_timely_reply_counts_and_a_late_one_does_not_while_workers_are_down() {
    run(async {
        let world = World::apart("late", &[]).await;
        let (mut timely, mut late) = (Story::new(&world, "timely"), Story::new(&world, "late"));
        let mut deadlines = Vec::new();
        for story in [&mut timely, &mut late] {
            story.deposit("d-1", 30_000, "card-1").await;
            story.end(10_000, json!({"reminder_hours": []})).await;
            // A case that is queried while it opens shows a deadline that is some milliseconds early.
            deadlines.push(world.status(&story.refund_request).await.deadline.unwrap());
        }
        world.stop_worker().await;
        let second = jiff::SignedDuration::from_secs(1);
        for (story, deadline, at) in
            [(&timely, deadlines[0], deadlines[0] - second), (&late, deadlines[1], deadlines[1])]
        {
            pass_deadline(&world, &story.refund_request, deadline).await;
            let mut approve = story.command("freelancer", "approve").1;
            approve.insert("at".into(), json!(at.to_string()));
            world
                .client
                .signal(&story.refund_request, CommandKind::Approve.name(), serde_json::to_vec(&approve).unwrap())
                .await
                .unwrap();
        }
        world.start_worker().await;
        assert_eq!(shown(&timely.outcome().await), "settled freelancer_approval R4 10000/20000/0");
        let outcome = shown(&late.outcome().await);
        let status = world.status(&late.refund_request).await;
        assert_eq!(outcome, "settled freelancer_silence R4 10000/20000/0", "{}: {:?}", deadlines[1], status.timeline);
        let refused =
            status.timeline.iter().filter_map(|entry| entry.note.as_deref()).find(|note| note.contains("TooLate"));
        assert!(refused.is_some(), "the timeline keeps the late reply: {:?}", status.timeline);
        for case in [&timely.refund_request, &late.refund_request] {
            assert_eq!(failed_tasks(&world, case).await, 0);
        }
        world.check_money().await;
    });
}

/// T2: an impossible receipt time (before the stage opened, or in the future) does not count.
#[test]
fn an_impossible_receipt_time_becomes_the_time_of_arrival() {
    run(async {
        let world = World::shared().await;
        for stamp in ["1999-01-01T00:00:00Z", "2999-01-01T00:00:00Z"] {
            let mut story = Story::new(world, "stamp");
            story.deposit("d-1", 30_000, "card-1").await;
            let opened = story.end(0, Value::Null).await.deadline.unwrap();
            story.until(2.0).await;
            let mut approve = story.command("freelancer", "approve").1;
            approve.insert("at".into(), json!(stamp));
            let status = world.client.command(&story.refund_request, CommandKind::Approve, approve).await.unwrap();
            let entry = status
                .timeline
                .iter()
                .find(|entry| serde_json::to_value(entry.what).unwrap() == "refund_approved")
                .unwrap();
            let day = jiff::SignedDuration::from_hours(24);
            assert!(entry.at >= opened - day * 5 && entry.at < opened - day * 4, "{} of {opened}", entry.at);
        }
    });
}

/// T2: the answer to a query that waits for a worker includes the history until then. The case does not act on an event without
/// a workflow task at the time of the earlier task, here three days ago.
#[test]
fn a_query_does_not_make_a_case_act_at_an_earlier_time() {
    run(async {
        let world = World::apart("asked", &[]).await;
        let mut stories: Vec<Story> = (0..12).map(|_| Story::new(&world, "asked")).collect();
        for story in &mut stories {
            story.deposit("d-1", 30_000, "card-1").await;
            story.end(0, json!({"reminder_hours": []})).await;
            story.until(3.0).await;
        }
        world.stop_worker().await;
        let asked: Vec<_> = stories
            .iter()
            .map(|story| {
                let (client, case) = (world.client.clone(), story.refund_request.clone());
                tokio::spawn(async move {
                    forget_worker(&client, &case).await;
                    client.status(&case).await
                })
            })
            .collect();
        // The server does not show that a query waits; queries that come too late for this wait for a task, and prove nothing.
        tokio::time::sleep(Duration::from_millis(500)).await;
        for story in &stories {
            let now = world.client.virtual_now(&story.refund_request).await.unwrap();
            let (command_kind, mut extend) = story.command("operator", "extend 24");
            extend.insert("at".into(), json!(now.to_string()));
            let json = serde_json::to_vec(&extend).unwrap();
            world.client.signal(&story.refund_request, command_kind.name(), json).await.unwrap();
        }
        world.start_worker().await;
        for answer in asked {
            answer.await.unwrap().unwrap();
        }
        let mut shown = Vec::new();
        for story in &stories {
            let is_extended = |status: &Status| status.timeline.iter().any(|entry| entry.what == What::Extended);
            let status = story.wait(&story.refund_request, is_extended).await;
            let [ended, .., extended] = status.timeline.as_slice() else { panic!("{:?}", status.timeline) };
            let after = extended.at.duration_since(ended.at);
            assert!(after >= jiff::SignedDuration::from_hours(72), "{} was extended after {after:?}", status.case);
            assert_eq!(failed_tasks(&world, &status.case).await, 0);
            shown.push(status);
        }
        world.stop_worker().await;
        world.start_worker().await;
        for status in shown {
            assert_eq!(world.client.status(&status.case).await.unwrap(), status, "replayed");
        }
    });
}

/// Makes the server forget which worker has the case in memory.
async fn forget_worker(client: &Client, case: &str) {
    let request = ResetStickyTaskQueueRequest {
        namespace: client.namespace().to_owned(),
        execution: Some(WorkflowExecution { workflow_id: case.to_owned(), run_id: String::new() }),
    };
    client.temporal().connection().workflow_service().reset_sticky_task_queue(request.into_request()).await.unwrap();
}
