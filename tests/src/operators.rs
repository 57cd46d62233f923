//! What an operator sees in Temporal's own tools: lists by search attributes, a case's current details, and the purpose of each
//! timer and activity.

use std::time::{Duration, Instant};

use recourse_client::{CaseRow, Client, ClientError, Config, Filters};
use recourse_domain::stage::Stage;
use recourse_local::{LocalServer, ServerOptions};
use serde_json::{Value, json};
use temporalio_client::{UntypedQuery, UntypedWorkflow, WorkflowFetchHistoryOptions, WorkflowQueryOptions};
use temporalio_common::data_converters::RawValue;

use crate::harness::{Story, World, run};

/// The contract's cases in visibility, as soon as they are as wanted: visibility lags a little behind the cases.
async fn listed(world: &World, story: &Story<'_>, wanted: impl Fn(&[CaseRow]) -> bool) -> Vec<CaseRow> {
    let filters = Filters { contract: Some(story.id()), ..Filters::default() };
    for _ in 0..100 {
        let rows = world.client.list(&filters, None).await.unwrap().cases;
        if wanted(&rows) {
            return rows;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", world.client.list(&filters, None).await)
}

async fn current_details(world: &World, case: &str) -> String {
    let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
    let query = UntypedQuery::new("__temporal_workflow_metadata");
    let answer = handle.query(query, RawValue::new(vec![]), WorkflowQueryOptions::default()).await.unwrap();
    let metadata: Value = serde_json::from_slice(&answer.payloads[0].data).unwrap();
    metadata["currentDetails"].as_str().unwrap_or_default().to_owned()
}

/// T4: stage, awaited role, deadline and the effect of silence, in lists and in the details, stage by stage.
#[test]
fn a_case_shows_where_it_stands() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "shown");
        story.deposit("d-1", 30_000, "card-1").await;
        let deadline = story.end(10_000, Value::Null).await.deadline.unwrap();
        let find = |rows: &[CaseRow], case: &str| {
            rows.iter().find(|row| row.case == case).map(|row| serde_json::to_value(row).unwrap())
        };
        let rows = listed(world, &story, |rows| {
            find(rows, &story.refund_request).is_some_and(|row| row["stage"] == "awaiting_freelancer")
        })
        .await;
        let row = find(&rows, &story.refund_request).unwrap();
        assert_eq!(
            (&row["waiting_on"], &row["held"], &row["currency"]),
            (&json!(["freelancer"]), &json!(20_000), &json!("USD"))
        );
        assert_eq!(row["deadline"].as_str().unwrap()[..19], deadline.to_string()[..19]);
        let details = current_details(world, &story.refund_request).await;
        for words in ["awaiting freelancer", "200.00 USD", "waits for: freelancer", "UTC", "silence refunds the client"]
        {
            assert!(details.contains(words), "{words}: {details}");
        }
        story.play("1 freelancer claim 15000; 2 client reject claim").await;
        let details = current_details(world, &story.dispute).await;
        assert!(details.contains("in mediation") && details.contains("waits for: mediator"), "{details}");
        story.play("3 mediator propose 9000; 4 client accept resolution; 4.5 freelancer accept resolution").await;
        story.outcome().await;
        let rows = listed(world, &story, |rows| {
            [&story.refund_request, &story.dispute]
                .iter()
                .all(|case| find(rows, case).is_some_and(|row| row["outcome"] == "settled"))
        })
        .await;
        for case in [&story.refund_request, &story.dispute] {
            let row = find(&rows, case).unwrap();
            assert_eq!(
                (&row["stage"], &row["held"], &row["waiting_on"]),
                (&json!("closed"), &json!(0), &json!([])),
                "{row}"
            );
            assert!(row["deadline"].is_null(), "a closed case has no deadline: {row}");
        }
        let details = current_details(world, &story.dispute).await;
        assert!(
            details.contains("outcome: settled by rule M5: 90.00 USD to the freelancer, 110.00 USD to the client"),
            "{details}"
        );
    });
}

/// M1: the list's filter finds an overdue mediation, and no longer does so after a resolution is proposed.
#[test]
fn an_overdue_mediation_is_listed() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "overdue");
        story.deposit("d-1", 20_000, "card-1").await;
        story.end(0, Value::Null).await;
        story.play("1 freelancer claim 15000; 2 client reject claim; 8").await;
        let status = story.wait(&story.dispute, |status| status.overdue).await;
        assert_eq!(status.stage, Stage::InMediation);
        listed(world, &story, |rows| rows.iter().any(|row| row.case == story.dispute && row.overdue)).await;
        story.play("9 mediator propose 5000").await;
        listed(world, &story, |rows| rows.iter().all(|row| !row.overdue)).await;
    });
}

/// The Web UI shows the purpose of every timer and activity, without anything personal.
#[test]
fn every_timer_and_activity_says_what_it_is_for() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "summaries");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(10_000, Value::Null).await;
        story.play("1 freelancer claim 15000; 6").await;
        story.outcome().await;
        let mut said = Vec::new();
        for case in [format!("escrow-deposit:{}:d-1", story.id()), story.refund_request.clone(), story.dispute.clone()]
        {
            let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(&*case);
            for event in handle.fetch_history(WorkflowFetchHistoryOptions::default()).into_events().await.unwrap() {
                let kind = event.event_type().as_str_name().to_owned();
                if ["TIMER_STARTED", "ACTIVITY_TASK_SCHEDULED"].iter().any(|name| kind.ends_with(name)) {
                    let summary = event.user_metadata.as_ref().and_then(|metadata| metadata.summary.as_ref());
                    let summary: String =
                        serde_json::from_slice(&summary.unwrap_or_else(|| panic!("{case}: {kind}")).data).unwrap();
                    assert!(!summary.contains("Cleo") && !summary.contains("example.com"), "{summary}");
                    said.push(summary);
                }
            }
        }
        let all = said.join("\n");
        for words in [
            "charge 300.00 USD to card-1",
            "take the free escrow",
            "release 100.00 USD to the freelancer (R2)",
            "freelancer can answer until",
            "silence refunds the client",
            "take over what refund-request:",
            "client can answer until",
            "release 150.00 USD to the freelancer (D3), refund 50.00 USD of deposit d-1 (D3)",
            "tell client, freelancer: dispute filed",
        ] {
            assert!(all.contains(words), "{words}: {all}");
        }
    });
}

/// Pages, programs and operators query a case that has work to do, while no worker runs. The server lets only a few wait at
/// once, and all get answers.
#[test]
fn many_can_query_a_case_at_once() {
    run(async {
        let world = World::apart("asked-at-once", &[]).await;
        let story = Story::new(&world, "asked-at-once");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        world.quiet(&story.refund_request).await;
        world.stop_worker().await;
        let (command_kind, extend) = story.command("operator", "extend 24");
        let extend = serde_json::to_vec(&extend).unwrap();
        world.client.signal(&story.refund_request, command_kind.name(), extend).await.unwrap();
        let ask = || {
            let (client, case) = (world.client.clone(), story.refund_request.clone());
            tokio::spawn(async move { client.status(&case).await })
        };
        let asked: Vec<_> = (0..5).map(|_| ask()).collect();
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.start_worker().await;
        for answer in asked {
            assert_eq!(answer.await.unwrap().unwrap().stage, Stage::AwaitingFreelancer);
        }
    });
}

/// A server closes each connection after some minutes, here sooner. A request at that time still gets its answer.
#[test]
fn a_request_succeeds_although_the_server_closes_its_connection() {
    run(async {
        let connections_last = Some(Duration::from_millis(200));
        let server = LocalServer::start(ServerOptions { connections_last, ..ServerOptions::default() }).await.unwrap();
        let client = Client::connect(Config { address: Some(server.address()), ..Config::default() }).await.unwrap();
        let started = Instant::now();
        let ask = |_| {
            let client = client.clone();
            tokio::spawn(async move {
                while started.elapsed() < Duration::from_secs(4) {
                    let asked = client.virtual_now("refund-request:nobody").await;
                    assert!(matches!(asked, Err(ClientError::NotFound { .. })), "{asked:?}");
                }
            })
        };
        for asking in (0..8).map(ask).collect::<Vec<_>>() {
            asking.await.unwrap();
        }
        server.stop().await.unwrap();
    });
}
