//! Live events: the stream ends with the case, with the token, or when nobody reads it; and one party has a limit of streams.

use std::time::Duration;

use futures_util::StreamExt as _;
use jsonwebtoken::{Algorithm, get_current_timestamp};
use recourse_domain::outcome::{DecidedBy, ResultKind};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use temporalio_client::{UntypedWorkflow, WorkflowTerminateOptions};

use super::{Served, as_party, served::claims};
use crate::harness::{PATIENCE, Story, World, run};

async fn look(served: &Served, case: &str, token: &str) -> Response {
    let url = format!("{}/v1/cases/{case}/events", served.url);
    reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap()
}

/// All events until the connection ends by itself.
async fn told(answer: Response) -> String {
    assert_eq!(answer.status(), StatusCode::OK);
    let mut stream = answer.bytes_stream();
    let all = async {
        let mut all = String::new();
        while let Some(bytes) = stream.next().await {
            all.push_str(&String::from_utf8_lossy(&bytes.unwrap()));
        }
        all
    };
    tokio::time::timeout(Duration::from_mins(1), all).await.expect("the connection ends by itself")
}

/// The stream ends however the case has ended; no client waits for ever.
#[test]
fn live_events_end_with_the_case() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let operator = served.issuer.token("op-1", &["operator"], &[]);
        let mut held = Story::new(world, "looked-hold");
        held.deposit("d-1", 20_000, "card-1").await;
        held.end(0, json!({"no_arbitration": "hold"})).await;
        held.play("1 freelancer claim 15000; 2 client reject claim; 3 mediator close; 10").await;
        held.outcome().await;
        let all = told(look(served, &held.dispute, &operator).await).await;
        assert!(all.contains("\"stage\":\"on_hold\""), "{all}");

        let stopped = Story::new(world, "looked-stop");
        stopped.deposit("d-1", 20_000, "card-1").await;
        stopped.end(0, Value::Null).await;
        let before = look(served, &stopped.refund_request, &operator).await;
        let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(stopped.refund_request.clone());
        handle.terminate(WorkflowTerminateOptions::builder().reason("a mistake").build()).await.unwrap();
        told(before).await;
        let all = told(look(served, &stopped.refund_request, &operator).await).await;
        assert!(all.contains("retry: 86400000"), "a browser does not ask again every few seconds: {all}");
    });
}

/// L8: a later case of the same workflow id can be followed, advanced and given files like the first; so can the one before it.
#[test]
fn a_later_case_works_like_the_first() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let mut first = Story::new(world, "followed");
        first.deposit("d-1", 20_000, "card-1").await;
        first.end(0, Value::Null).await;
        first.play("1 freelancer approve").await;
        first.outcome().await;
        let second = first.again();
        second.deposit("d-2", 5_000, "card-1").await;
        second.end(0, json!({"evidence": {"max_files": 1, "max_bytes": 5, "media_types": ["text/plain"]}})).await;
        let (later, client) = (format!("{}#2", second.refund_request), as_party(served, &second.contract, "client"));
        assert_eq!(client.get(&format!("/v1/cases/{}", second.refund_request)).await.1["case"], later);

        let token = served.issuer.token(second.contract["client"]["id"].as_str().unwrap(), &[], &[]);
        let mut events = look(served, &later.replace('#', "%23"), &token).await.bytes_stream();
        let event = tokio::time::timeout(PATIENCE, events.next()).await.expect("an event").unwrap().unwrap();
        assert!(String::from_utf8_lossy(&event).contains(&format!("\"case\":\"{later}\"")), "{event:?}");
        let all = told(look(served, &format!("{}%231", second.refund_request), &token).await).await;
        assert!(all.contains("\"stage\":\"closed\"") && !all.contains("#2"), "{all}");

        let path = format!("/v1/contracts/{}/evidence", second.id());
        let named = |name: &str| format!("{name}&case={}", later.replace('#', "%23"));
        assert_eq!(client.upload(&path, &named("a.txt"), b"short".to_vec()).await.0, StatusCode::CREATED);
        assert_eq!(client.upload(&path, &named("b.txt"), b"longer".to_vec()).await.0, StatusCode::PAYLOAD_TOO_LARGE);

        world.client.advance(&later, Duration::from_hours(24 * 8)).await.unwrap();
        let outcome = world.client.result(&later).await.unwrap();
        assert_eq!((outcome.result, outcome.decided_by), (ResultKind::Refunded, DecidedBy::FreelancerSilence));
        assert!(world.client.orders(&later).await.unwrap().is_empty());
    });
}

/// The stream ends when a request with the same token would be refused.
#[test]
fn live_events_end_with_the_token() {
    run(async {
        let served = Served::shared().await;
        let story = Story::new(World::shared().await, "looked-late");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let mut short = claims(story.contract["client"]["id"].as_str().unwrap(), &[], &[]);
        // The token has expired, and counts for some seconds more because clocks differ.
        short["exp"] = json!(get_current_timestamp() - 24);
        let token = served.issuer.sign(Algorithm::EdDSA, &short);
        let all = told(look(served, &story.refund_request, &token).await).await;
        assert!(all.contains("\"stage\":\"awaiting_freelancer\"") && !all.contains("retry:"), "{all}");
        let status = served.with(token).get("/v1/policy").await.0;
        assert!(get_current_timestamp() > short["exp"].as_u64().unwrap() + 28, "it ended before its time: {status}");
    });
}

/// One party has a limit of connections; after closing one it can open another.
#[test]
fn a_party_has_a_limit_of_live_connections() {
    run(async {
        let served = Served::shared().await;
        let story = Story::new(World::shared().await, "looked-often");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let token = |role: &str| served.issuer.token(story.contract[role]["id"].as_str().unwrap(), &[], &[]);
        let client = token("client");
        let mut open = Vec::new();
        for _ in 0..20 {
            open.push(look(served, &story.refund_request, &client).await);
        }
        assert!(open.iter().all(|answer| answer.status() == StatusCode::OK));
        let refused = look(served, &story.refund_request, &client).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let problem: Value = refused.json().await.unwrap();
        assert!(problem["hint"].as_str().unwrap().contains("close one"), "{problem}");
        assert_eq!(look(served, &story.refund_request, &token("freelancer")).await.status(), StatusCode::OK);
        drop(open.pop());
        let mut tries = 0;
        while look(served, &story.refund_request, &client).await.status() != StatusCode::OK {
            tries += 1;
            assert!(tries < 400, "a connection that was closed is still counted");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}
