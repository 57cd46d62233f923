//! Who may start and see what: a person tries over HTTP to get money or texts of others.

use std::time::{Duration, Instant};

use recourse_domain::ids::Id;
use recourse_payments::Fault;
use reqwest::StatusCode;
use serde_json::{Value, json};
use temporalio_client::{UntypedWorkflow, WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_common::{data_converters::RawValue, protos::temporal::api::common::v1::Payload};

use crate::{
    api::{Served, as_party, claims},
    harness::{PATIENCE, Story, World, run},
};

fn id_of(story: &Story<'_>) -> String {
    story.id().to_string()
}

/// L8, P1: another contract's payment does not exist here, whether its case is open or closed; nobody can read or replace it.
#[test]
fn another_contracts_payment_is_neither_read_nor_replaced() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let theirs = Story::new(world, "theirs");
        theirs.deposit("d-1", 30_000, "card-1").await;
        theirs.end(10_000, Value::Null).await;
        let payment = format!("refund-request:{}/pay_now", id_of(&theirs));
        world.quiet(&theirs.refund_request).await;
        let owner = as_party(served, &theirs.contract, "client");
        let (asked, theirs_id) =
            (json!({"payment": payment, "amount": 2_000, "message": "Our secret."}), id_of(&theirs));
        let (status, answer) = owner.post(&format!("/v1/contracts/{theirs_id}/payment-refunds"), &asked).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        let case = format!("/v1/cases/{}", format!("payment-refund:{payment}").replace('/', "%2F"));

        let mine = Story::new(world, "mine");
        mine.deposit("d-1", 30_000, "card-1").await;
        let thief = as_party(served, &mine.contract, "client");
        for payment in [payment.as_str(), "nope", "refund-request:nobody/pay_now"] {
            let asked = json!({"payment": payment, "amount": 1, "message": "Mine now."});
            let (status, answer) = thief.post(&format!("/v1/contracts/{}/payment-refunds", id_of(&mine)), &asked).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{payment}: {answer}");
            assert!(!answer.to_string().contains("secret"), "{answer}");
        }
        assert_eq!(thief.get(&case).await.0, StatusCode::NOT_FOUND);
        let (status, seen) = owner.get(&case).await;
        assert_eq!((status, &seen["payment"]["message"]), (StatusCode::OK, &json!("Our secret.")), "{seen}");
    });
}

/// L8: a refused start is a problem with its rule, and does not hide the case that was decided before it.
#[test]
fn a_refused_start_hides_no_case() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let mut story = Story::new(world, "hides");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(10_000, Value::Null).await;
        story.play("1 freelancer approve").await;
        story.outcome().await;
        let id = id_of(&story);
        let (client, freelancer) =
            (as_party(served, &story.contract, "client"), as_party(served, &story.contract, "freelancer"));
        let case = format!("/v1/cases/refund-request:{id}");
        let before = client.get(&case).await.1;
        assert_eq!(before["outcome"]["result"], "settled", "{before}");
        let end = format!("/v1/contracts/{id}/end");
        let (status, problem) = client.post(&end, &json!({"pay_now": 9_999_999})).await;
        assert_eq!((status, &problem["rule"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("R2")), "{problem}");
        let claim = json!({"amount": 1, "reason": "other", "details": "x"});
        let dispute = json!({"grounds": "refund_request", "claim": claim});
        let (status, problem) = freelancer.post(&format!("/v1/contracts/{id}/disputes"), &dispute).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        // Through Temporal it becomes a workflow, but not a case.
        story.end(9_999_999, Value::Null).await;
        let after = client.get(&case).await.1;
        for field in ["case", "outcome", "timeline", "run_id"] {
            assert_eq!(after[field], before[field], "{field}: {after}");
        }
        let (_, listed) = client.get(&format!("/v1/cases?contract={id}&kind=refund_request")).await;
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");

        // The next accepted start is the second case, and both can be read.
        story.deposit("d-2", 5_000, "card-1").await;
        let (status, second) = client.post(&end, &json!({"pay_now": 0})).await;
        assert_eq!(
            (status, &second["case"]),
            (StatusCode::CREATED, &json!(format!("refund-request:{id}#2"))),
            "{second}"
        );
        assert_eq!(client.get(&case).await.1["case"], format!("refund-request:{id}#2"));
        assert_eq!(client.get(&format!("{case}%232")).await.1["held"], 5_000);
        assert_eq!(client.get(&format!("{case}%231")).await.1["outcome"], before["outcome"]);
        assert_eq!(client.get(&format!("{case}%233")).await.0, StatusCode::NOT_FOUND);
    });
}

/// L8, L9: a case leads to its own dispute and that dispute's money, whatever disputes there were before and since.
#[test]
fn a_case_leads_to_its_own_dispute() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let story = Story::new(world, "leads");
        let id = id_of(&story);
        for number in 1..=2 {
            story.deposit(&format!("d-{number}"), 30_000, "card-1").await;
            let mut story = story.again();
            story.end(0, Value::Null).await;
            let claim = format!("0 freelancer claim {number}0000");
            story.play(&claim).await;
            world.opened(&story.dispute).await;
            story.dispute_runs();
            story.play("0 client accept claim").await;
            world.quiet(&story.refund_request).await;
        }
        let operator = served.staff("operator");
        for (case, dispute, released) in [("#1", "", 10_000), ("#2", "#2", 20_000)] {
            let (_, seen) = operator.get(&format!("/v1/cases/refund-request:{id}{}", case.replace('#', "%23"))).await;
            assert_eq!(seen["dispute"], format!("dispute:{id}{dispute}"), "{seen}");
            let movements = seen["money"]["movements"].as_array().unwrap().iter();
            let to_freelancer: Vec<i64> = movements
                .filter(|movement| movement["kind"] == "release")
                .map(|movement| movement["amount"].as_i64().unwrap())
                .collect();
            assert_eq!(to_freelancer, [released], "{case}: {seen}");
        }
    });
}

/// D1: a freelancer's statement alone takes no escrow: the contract can still end, and nobody gets a notice of a dispute.
#[test]
fn a_statement_alone_takes_no_escrow() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let story = Story::new(world, "word");
        story.deposit("d-1", 30_000, "card-1").await;
        let id = id_of(&story);
        let freelancer = as_party(served, &story.contract, "freelancer");
        let claim = json!({"amount": 30_000, "reason": "work_delivered", "details": "All of it."});
        let attested = json!({"party": "operator", "id": "op-1"});
        let disputes = format!("/v1/contracts/{id}/disputes");
        let of_milestone =
            json!({"grounds": "non_release", "milestone": "m-1", "claim": claim, "contacted_client": true});
        for dispute in [json!({"grounds": "refund_request", "claim": claim}), of_milestone.clone()] {
            let (status, problem) = freelancer.post(&disputes, &dispute).await;
            assert_eq!((status, &problem["rule"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("D1")), "{problem}");
        }
        let mut attests = of_milestone;
        attests["attested_by"] = attested;
        assert_eq!(freelancer.post(&disputes, &attests).await.0, StatusCode::FORBIDDEN);
        assert_eq!(freelancer.get(&format!("/v1/cases/dispute:{id}")).await.0, StatusCode::NOT_FOUND);
        let (status, answer) = served.staff("service").post(&disputes, &attests).await;
        assert_eq!((status, &answer["status"]["held"]), (StatusCode::CREATED, &json!(30_000)), "{answer}");
    });
}

/// E14: a party, or a person who acts for one, has no other role in that contract, whatever their token says.
#[test]
fn nobody_judges_their_own_case() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let mut story = Story::new(world, "judge");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        story.play("0 freelancer claim 15000").await;
        world.opened(&story.dispute).await;
        let commands = format!("/v1/cases/{}/commands", story.dispute);
        let (client, freelancer) = (party(&story, "client"), party(&story, "freelancer"));
        let both = |subject: &str, parties: &[&str]| {
            let claims = claims(subject, &["mediator", "arbitrator", "operator", "service"], parties);
            served.with(served.issuer.sign(jsonwebtoken::Algorithm::EdDSA, &claims))
        };
        for sender in [both(&freelancer, &[]), both("helper", &[&freelancer])] {
            for (command, body) in [
                ("extend", json!({"hours": 24, "reason": "x"})),
                ("propose", json!({"to_freelancer": 30_000, "rationale": "x"})),
                ("award", json!({"to_freelancer": 30_000, "reference": "x"})),
            ] {
                let (status, answer) = sender.post(&format!("{commands}/{command}"), &body).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{command}: {answer}");
            }
            let deposit = json!({"deposit": "d-9", "amount": 1, "source": {"id": "card-1", "verified": true}});
            let (status, answer) = sender.post(&format!("/v1/contracts/{}/deposits", story.id()), &deposit).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
        }
        // A person who acts for both sides is on the side that the contract names, and otherwise on none.
        let (status, _) = both(&client, &[&freelancer]).post(&format!("{commands}/withdraw"), &json!({})).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        let (status, _) =
            both("helper", &[&client, &freelancer]).post(&format!("{commands}/withdraw"), &json!({})).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        // And through Temporal, which asks for no token.
        let by = json!({"party": "mediator", "id": freelancer});
        let extend = json!({"by": by, "hours": 24, "reason": "x"}).as_object().cloned().unwrap();
        let command_kind = recourse_domain::command::CommandKind::Extend;
        let refused = world.client.command(&story.dispute, command_kind, extend).await.unwrap_err();
        assert!(refused.to_string().contains("(rule E14)"), "{refused}");
    });
}

fn party(story: &Story<'_>, role: &str) -> String {
    story.contract[role]["id"].as_str().unwrap().to_owned()
}

/// E2, E14, E15, L2: a failed deposit is no 201: declined is 402, refused by a rule 422, another one's id 409.
#[test]
fn a_failed_deposit_says_so() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let story = Story::new(world, "nothing");
        let (id, backend) = (id_of(&story), served.staff("service"));
        let deposits = format!("/v1/contracts/{id}/deposits");
        let deposit = |name: &str, minor: i64, source: &str| json!({"deposit": name, "amount": minor, "source": {"id": source, "verified": true}, "contract": story.contract});
        assert_eq!(backend.post(&deposits, &deposit("d-1", 500, "card-1")).await.0, StatusCode::CREATED);
        let card = story.card();
        world.bank.set_fault(Some(&Id::new(&card).unwrap()), Fault::Decline, 1).await.unwrap();
        let mut unverified = deposit("d-4", 500, "card-1");
        unverified["source"]["verified"] = json!(false);
        for (sent, expected, rule) in [
            (deposit("d-2", 500, &card), StatusCode::PAYMENT_REQUIRED, "E2"),
            (deposit("d-1", 400, "card-1"), StatusCode::CONFLICT, "L2"),
            (deposit("d-3", 0, "card-1"), StatusCode::UNPROCESSABLE_ENTITY, "E2"),
            (unverified, StatusCode::UNPROCESSABLE_ENTITY, "E2"),
            (deposit("d-5", 9_007_199_254_740_991, "card-1"), StatusCode::UNPROCESSABLE_ENTITY, "E15"),
        ] {
            let (status, problem) = backend.post(&deposits, &sent).await;
            assert_eq!((status, &problem["rule"]), (expected, &json!(rule)), "{sent}: {problem}");
        }
        assert_eq!(
            backend.post(&deposits, &deposit("d-1", 500, "card-1")).await.0,
            StatusCode::CREATED,
            "the same again"
        );
    });
}

/// A second start is the same case only if it says the same as the running one.
#[test]
fn a_start_with_other_content_is_a_conflict() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let story = Story::new(world, "content");
        story.deposit("d-1", 30_000, "card-1").await;
        let client = as_party(served, &story.contract, "client");
        let end = format!("/v1/contracts/{}/end", story.id());
        assert_eq!(client.post(&end, &json!({"pay_now": 100})).await.0, StatusCode::CREATED);
        let (status, again) = client.post(&end, &json!({"pay_now": 100})).await;
        assert_eq!((status, &again["already_running"]), (StatusCode::CREATED, &json!(true)), "{again}");
        let (status, problem) = client.post(&end, &json!({"pay_now": 200})).await;
        assert_eq!((status, &problem["error"]), (StatusCode::CONFLICT, &json!("Conflict")), "{problem}");
    });
}

/// A party does not see the other side's email address.
#[test]
fn the_other_sides_address_is_not_shown() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let story = Story::new(world, "address");
        story.deposit("d-1", 30_000, "card-1").await;
        let path = format!("/v1/contracts/{}", story.id());
        for (role, other) in [("client", "freelancer"), ("freelancer", "client")] {
            let (_, seen) = as_party(served, &story.contract, role).get(&path).await;
            assert!(seen[role]["email"].is_string() && seen[other].get("email").is_none(), "{seen}");
        }
        let (_, seen) = served.staff("mediator").get(&path).await;
        assert!(seen["client"].get("email").is_none() && seen["freelancer"].get("email").is_none(), "{seen}");
    });
}

/// A list shows only what its reader can read one by one: an arbitrator's has disputes alone.
#[test]
fn a_list_shows_only_readable_cases() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let mut story = Story::new(world, "listed");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        story.play("0 freelancer claim 15000").await;
        world.opened(&story.dispute).await;
        for (duty, kind, expected) in [
            ("arbitrator", "", vec![story.dispute.clone()]),
            ("arbitrator", "&kind=refund_request", Vec::new()),
            ("operator", "&kind=refund_request", vec![story.refund_request.clone()]),
        ] {
            let sender = served.staff(duty);
            let (status, listed) = sender.get(&format!("/v1/cases?contract={}{kind}", story.id())).await;
            assert_eq!(status, StatusCode::OK, "{listed}");
            let cases: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|row| &row["case"]).collect();
            assert_eq!(json!(cases), json!(expected), "{duty}{kind}: {listed}");
            for case in expected {
                assert_eq!(sender.get(&format!("/v1/cases/{case}")).await.0, StatusCode::OK, "{duty} {case}");
            }
        }
    });
}

/// L8: a workflow that is no case hides no case: an unreadable start, and a workflow of another type under a case's id.
#[test]
fn a_workflow_that_is_no_case_hides_no_case() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let mut story = Story::new(world, "ghost");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(10_000, Value::Null).await;
        story.play("1 freelancer approve").await;
        story.outcome().await;
        let client = as_party(served, &story.contract, "client");
        let case = format!("/v1/cases/{}", story.refund_request);
        let before = client.get(&case).await.1;
        let list = format!("/v1/cases?contract={}&kind=refund_request&open=false", story.id());
        let started = Instant::now();
        // The server's lists lag behind what it knows.
        while client.get(&list).await.1["items"].as_array().map(Vec::len) != Some(1) {
            assert!(started.elapsed() < PATIENCE, "it is never listed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for workflow in ["RefundRequest", "WebhookDelivery", "RefundRequest"] {
            let input = RawValue::new(vec![Payload {
                metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
                data: json!({"contract": {"id": story.id()}}).to_string().into_bytes(),
                ..Payload::default()
            }]);
            let options = WorkflowStartOptions::new("recourse", story.refund_request.clone()).build();
            let temporal = world.client.temporal();
            let started = temporal.start_workflow(UntypedWorkflow::new(workflow), input, options).await.unwrap();
            let _ = started.get_result(WorkflowGetResultOptions::default()).await;
            for path in [case.clone(), format!("{case}%231")] {
                let (status, after) = client.get(&path).await;
                assert_eq!(
                    (status, &after["outcome"]),
                    (StatusCode::OK, &before["outcome"]),
                    "{workflow} {path}: {after}"
                );
            }
            let (_, listed) = client.get(&list).await;
            assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{workflow}: {listed}");
        }
        for alias in ["#01", "#+1", "#0"] {
            assert_eq!(client.get(&format!("{case}{}", alias.replace('#', "%23"))).await.0, StatusCode::NOT_FOUND);
        }
    });
}

/// R6: a claim that could be filed gets its dispute, however much its contract and policy add to it.
#[test]
fn the_largest_claim_opens_its_dispute() {
    run(async {
        let world = World::shared().await;
        let story = Story::new(world, "large").with(&json!({"title": "界".repeat(200)}));
        story.deposit("d-1", 30_000, "card-1").await;
        let holidays: Vec<String> =
            (1..=120).map(|day| format!("2027-{:02}-{:02}", 1 + day / 28, 1 + day % 28)).collect();
        story.end(0, json!({"holidays": holidays})).await;
        let evidence = |number: u32| json!({"sha256": format!("{number:064}"), "name": format!("{number}{}.pdf", "界".repeat(60)), "size": 9, "media_type": "application/pdf"});
        let claim = json!({
            "by": {"party": "freelancer", "id": story.contract["freelancer"]["id"]}, "amount": 30_000,
            "reason": "work_delivered", "details": "\u{1}".repeat(20_000),
            "evidence": (0..10).map(evidence).collect::<Vec<_>>(),
        });
        let claim = claim.as_object().cloned().unwrap();
        let dispute = recourse_domain::command::CommandKind::Dispute;
        world.client.command(&story.refund_request, dispute, claim).await.unwrap();
        world.opened(&story.dispute).await;
        let status = world.client.status(&story.dispute).await.unwrap();
        assert_eq!((status.held.minor(), status.outcome), (30_000, None));
    });
}

/// E14: a person on a side cannot act as the platform's backend there, whatever they start.
#[test]
fn a_person_on_a_side_cannot_act_as_the_platform() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let story = Story::new(world, "backend");
        story.deposit("d-1", 30_000, "card-1").await;
        let own = served.issuer.token(&party(&story, "freelancer"), &["service"], &[]);
        let submission =
            json!({"milestone": {"id": "m-1", "ordinal": 1, "name": "M", "amount": 30_000}, "note": "Done."});
        let path = format!("/v1/contracts/{}/submissions", story.id());
        let (status, problem) = served.with(own).post(&path, &submission).await;
        assert_eq!((status, &problem["rule"]), (StatusCode::FORBIDDEN, &json!("E14")), "{problem}");
        assert_eq!(served.staff("service").post(&path, &submission).await.0, StatusCode::CREATED);
    });
}

/// E14: a person on a side of a contract cannot read the mediators' notices about it, and an arbitrator lists their own cases
/// beside everybody's disputes.
#[test]
fn a_duty_neither_shows_nor_hides_ones_own_case() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let mut story = Story::new(world, "duties");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        story.play("0 freelancer claim 15000").await;
        world.opened(&story.dispute).await;
        story.play("1 client reject claim").await;
        world.quiet(&story.dispute).await;
        let client = party(&story, "client");
        let told = async |sender: Value| {
            let token = served.issuer.sign(jsonwebtoken::Algorithm::EdDSA, &sender);
            let (_, notices) = served.with(token).get("/v1/notices?limit=200").await;
            let items = notices["items"].as_array().unwrap().clone();
            items.iter().any(|notice| notice["to"] == "mediator" && notice["contract"] == json!(story.id()))
        };
        assert!(told(claims("mediator-8", &["mediator"], &[])).await);
        assert!(!told(claims(&client, &["mediator"], &[])).await);
        assert!(!told(claims("helper", &["mediator"], &[&client])).await);
        let arbitrates = served.with(served.issuer.token(&client, &["arbitrator"], &[]));
        let (_, listed) = arbitrates.get(&format!("/v1/cases?contract={}&kind=refund_request", story.id())).await;
        assert_eq!(listed["items"][0]["case"], story.refund_request, "{listed}");
    });
}
