//! Cases over HTTP, from a contract's first deposit to its end.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Served, as_party};
use crate::harness::{Story, World, run};

/// The whole flow of a backend and three people, over HTTP only.
#[test]
fn a_dispute_goes_from_deposit_to_resolution_over_http() {
    run(async {
        let served = Served::shared().await;
        let contract = Story::new(World::shared().await, "http").contract;
        let id = contract["id"].as_str().unwrap();
        let (client, freelancer) = (as_party(served, &contract, "client"), as_party(served, &contract, "freelancer"));
        let deposit = json!({
            "deposit": "d-1", "amount": 30_000, "source": {"id": "card-1", "verified": true}, "contract": contract,
        });
        let (status, answer) = served.staff("service").post(&format!("/v1/contracts/{id}/deposits"), &deposit).await;
        assert_eq!((status, &answer["outcome"]["result"]), (StatusCode::CREATED, &json!("deposited")), "{answer}");

        let (status, answer) = client.post(&format!("/v1/contracts/{id}/end"), &json!({"pay_now": 10_000})).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        assert_eq!(answer["status"]["stage"], "awaiting_freelancer");
        let case = format!("/v1/cases/refund-request:{id}");
        let claim = json!({"amount": 15_000, "reason": "work_delivered", "details": "All of it is done."});
        let (status, answer) = freelancer.post(&format!("{case}/commands/dispute"), &claim).await;
        assert_eq!((status, &answer["stage"]), (StatusCode::OK, &json!("disputed")), "{answer}");

        let dispute = format!("/v1/cases/dispute:{id}");
        World::shared().await.opened(&format!("dispute:{id}")).await;
        let rejection = json!({"of": "claim", "reason": "incomplete", "details": "Half is missing."});
        let (status, answer) = client.post(&format!("{dispute}/commands/reject"), &rejection).await;
        assert_eq!((status, &answer["stage"]), (StatusCode::OK, &json!("in_mediation")), "{answer}");
        let proposal = json!({"to_freelancer": 9_000, "rationale": "Half was done."});
        let (status, _) = served.staff("mediator").post(&format!("{dispute}/commands/propose"), &proposal).await;
        assert_eq!(status, StatusCode::OK);
        for sender in [&client, &freelancer] {
            let (status, answer) =
                sender.post(&format!("{dispute}/commands/accept"), &json!({"of": "resolution"})).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
        }
        let mut over = client.get(&case).await.1;
        for _ in 0..200 {
            if !over["outcome"].is_null() && over["stage"] == "closed" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            over = client.get(&case).await.1;
        }
        assert_eq!(over["outcome"]["result"], "settled", "{over}");
        let (status, ledger) = freelancer.get(&format!("/v1/contracts/{id}/ledger")).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(ledger["balances"]["freelancer_pending"], 19_000, "{ledger}");
        assert_eq!(ledger["balances"]["client"], 11_000, "{ledger}");
        let (_, told) = client.get("/v1/notices?limit=2").await;
        assert_eq!(told["items"].as_array().unwrap().len(), 2, "{told}");
        assert!(told["next"].is_string(), "{told}");
        let (_, cases) = client.get(&format!("/v1/cases?contract={id}&kind=dispute")).await;
        assert_eq!(cases["items"][0]["case"], format!("dispute:{id}"), "{cases}");
    });
}

/// A refusal names the rule, the reason, and what the sender can do now.
#[test]
fn a_refused_command_says_why_and_what_can_be_done() {
    run(async {
        let served = Served::shared().await;
        let story = Story::new(World::shared().await, "http");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let case = format!("/v1/cases/{}", story.refund_request);
        let freelancer = as_party(served, &story.contract, "freelancer");
        let claim = json!({"amount": 30_001, "reason": "work_delivered", "details": "All of it."});
        let (status, problem) = freelancer.post(&format!("{case}/commands/dispute"), &claim).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!((&problem["error"], &problem["rule"]), (&json!("Invalid"), &json!("R5")), "{problem}");
        assert_eq!(problem["allowed"], json!(["approve", "dispute"]), "{problem}");
        let (status, problem) =
            as_party(served, &story.contract, "client").post(&format!("{case}/commands/approve"), &json!({})).await;
        assert_eq!((status, &problem["error"]), (StatusCode::FORBIDDEN, &json!("NotAllowed")), "{problem}");
        let (status, _) = freelancer.post(&format!("{case}/commands/approve"), &json!({})).await;
        assert_eq!(status, StatusCode::OK);
        story.outcome().await;
        let (status, problem) = freelancer.post(&format!("{case}/commands/approve"), &json!({})).await;
        assert_eq!((status, &problem["error"]), (StatusCode::CONFLICT, &json!("TooLate")), "{problem}");
    });
}

/// A party accepts only what it saw: an HTTP request must name it, and the API refuses it if it has changed since.
#[test]
fn a_party_accepts_over_http_only_what_it_saw() {
    run(async {
        let served = Served::shared().await;
        let mut story = Story::new(World::shared().await, "seen");
        story.deposit("d-1", 20_000, "card-1").await;
        story.end(0, Value::Null).await;
        story.play("0 freelancer claim 15000").await;
        let (client, freelancer) =
            (as_party(served, &story.contract, "client"), as_party(served, &story.contract, "freelancer"));
        let case = format!("/v1/cases/{}", story.dispute);
        World::shared().await.opened(&story.dispute).await;
        let accept = format!("{case}/commands/accept");
        let amendment = json!({"amount": 20_000, "details": "More"});
        let (status, _) = freelancer.post(&format!("{case}/commands/amend"), &amendment).await;
        assert_eq!(status, StatusCode::OK);
        let (status, problem) = client.post(&accept, &json!({"of": "claim"})).await;
        let missing = "amount: missing; say the amount of the claim that you accept, in minor units, as you saw it; it is 20000 now";
        assert_eq!((status, &problem["detail"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(missing)), "{problem}");
        let (status, problem) = client.post(&accept, &json!({"of": "claim", "amount": 15_000})).await;
        assert_eq!((status, &problem["error"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("Invalid")), "{problem}");
        let said = problem["detail"].as_str().unwrap();
        assert!(said.contains("the claim is for 200.00 USD now, not for 150.00 USD"), "{said}");
        let rejection = json!({"of": "claim", "amount": 15_000, "reason": "late", "details": "Late."});
        let (status, problem) = client.post(&format!("{case}/commands/reject"), &rejection).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "a rejection is final: {problem}");
        let (status, taken) = client.post(&accept, &json!({"of": "claim", "amount": 20_000})).await;
        assert_eq!((status, &taken["outcome"]["to_freelancer"]), (StatusCode::OK, &json!(20_000)), "{taken}");
    });
}

/// The same for a milestone that the freelancer submitted again after the client read the page.
#[test]
fn a_client_approves_over_http_only_the_submission_it_saw() {
    run(async {
        let served = Served::shared().await;
        let world = World::shared().await;
        let mut story = Story::new(world, "seen");
        story.fund("d-1", "m-1", 20_000, "card-1").await;
        story.submit("m-1", 1, 20_000).await;
        let (client, freelancer) =
            (as_party(served, &story.contract, "client"), as_party(served, &story.contract, "freelancer"));
        let id = story.contract["id"].as_str().unwrap();
        let case = format!("/v1/cases/milestone-review:{id}:m-1");
        let (status, problem) = client.post(&format!("{case}/commands/approve"), &json!({})).await;
        let missing =
            "submission: missing; say the number of the submission that you approve, as you saw it; it is 1 now";
        assert_eq!((status, &problem["detail"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(missing)), "{problem}");
        let (status, _) = client.post(&format!("{case}/commands/request_changes"), &json!({"message": "Bluer"})).await;
        assert_eq!(status, StatusCode::OK);
        let (status, _) = freelancer.post(&format!("{case}/commands/submit"), &json!({"note": "Only one"})).await;
        assert_eq!(status, StatusCode::OK);
        let (status, problem) = client.post(&format!("{case}/commands/approve"), &json!({"submission": 1})).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("the latest is number 2, not 1"), "{problem}");
        let (status, taken) = client.post(&format!("{case}/commands/approve"), &json!({"submission": 2})).await;
        assert_eq!((status, &taken["outcome"]["result"]), (StatusCode::OK, &json!("released")), "{taken}");
    });
}

/// T2: without a worker a command is still durable, and counts by its receipt time.
#[test]
fn a_command_counts_although_no_worker_answers() {
    run(async {
        let world = World::apart("nobody", &[]).await;
        let served = Served::hasty(&world).await;
        let story = Story::new(&world, "nobody");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        world.quiet(&story.refund_request).await;
        world.stop_worker().await;
        let case = format!("/v1/cases/{}", story.refund_request);
        let freelancer = as_party(&served, &story.contract, "freelancer");
        let (status, answer) = freelancer.post_as(&format!("{case}/commands/approve"), &json!({}), "k-1").await;
        assert_eq!((status, &answer["sent_as"]), (StatusCode::ACCEPTED, &json!("signal")), "{answer}");
        let again = freelancer.post_as(&format!("{case}/commands/approve"), &json!({}), "k-1").await;
        assert_eq!(again, (status, answer), "the same answer");
        world.start_worker().await;
        let outcome = story.outcome().await;
        assert_eq!(outcome.rule.to_string(), "R4");
        let status = world.status(&story.refund_request).await;
        let approvals =
            status.timeline.iter().filter(|entry| serde_json::to_value(entry.what).unwrap() == "refund_approved");
        assert_eq!(approvals.count(), 1, "{:?}", status.timeline);
    });
}

/// A live stream shows each change of a case, and ends with the case.
#[test]
fn a_case_is_shown_live() {
    run(async {
        let served = Served::shared().await;
        let mut story = Story::new(World::shared().await, "live");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let token = served.issuer.token(story.contract["client"]["id"].as_str().unwrap(), &[], &[]);
        let url = format!("{}/v1/cases/{}/events", served.url, story.refund_request);
        let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut stream = answer.bytes_stream();
        let first = stream.next().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&first).contains("\"stage\":\"awaiting_freelancer\""), "{first:?}");
        story.say("freelancer", "approve").await.unwrap();
        let rest = async {
            let mut rest = String::new();
            while let Some(bytes) = stream.next().await {
                rest.push_str(&String::from_utf8_lossy(&bytes.unwrap()));
            }
            rest
        };
        let rest = tokio::time::timeout(Duration::from_secs(20), rest).await.expect("the stream ends");
        assert!(rest.contains("\"stage\":\"closed\""), "{rest}");
    });
}
