//! Commands that a case must refuse: each leaves the money where it is, fails no workflow task, and gets its reason in the
//! answer and in the timeline.

use recourse_client::ClientError;
use recourse_domain::{command::CommandKind, money::Amount, stage::Stage};
use serde_json::{Map, Value, json};
use temporalio_client::{UntypedSignal, UntypedWorkflow, WorkflowSignalOptions};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{common::v1::Payload, enums::v1::EventType},
};

use crate::harness::{Story, World, run, shown};

/// How many workflow tasks of this case have failed.
pub async fn failed_tasks(world: &World, case: &str) -> usize {
    let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
    let history =
        handle.fetch_history(temporalio_client::WorkflowFetchHistoryOptions::default()).into_events().await.unwrap();
    history.iter().filter(|event| event.event_type() == EventType::WorkflowTaskFailed).count()
}

fn refusal(answer: Result<recourse_domain::messages::Status, ClientError>) -> (String, String) {
    match answer {
        Err(ClientError::Refused { name, message, .. }) => (name.to_string(), message),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Who, what they say, and the refusal's name.
type Attempt = (&'static str, &'static str, &'static str);

/// Sends a command that the case must refuse with `kind`, and finds the reason in the timeline.
async fn refused(story: &mut Story<'_>, world: &World, who: &str, words: &str, kind: &str) {
    let (name, message) = refusal(story.say(who, words).await);
    assert_eq!(name, kind, "{who} {words}: {message}");
    assert!(message.contains("can now: ") || message.contains("can do nothing now"), "{who} {words}: {message}");
    let status = world.status(story.case()).await;
    let last = status.timeline.iter().rev().find_map(|entry| entry.note.clone()).unwrap();
    assert!(last.contains(&message), "the timeline keeps it: {last:?} of {message:?}");
}

/// Each command of a refund request by the wrong party, with bad fields, and in the wrong stage.
#[test]
fn a_refund_request_refuses_what_the_rules_do_not_allow() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "refused");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(10_000, Value::Null).await;
        for (who, words, kind) in [
            ("client", "approve", "NotAllowed"),
            ("mediator", "approve", "NotAllowed"),
            ("client", "claim 100", "NotAllowed"),
            ("operator", "claim 100", "NotAllowed"),
            ("freelancer", "release", "NotAllowed"),
            ("client", "extend 5", "NotAllowed"),
            ("operator", "extend 0", "Invalid"),
            ("operator", "extend 200", "Invalid"),
            ("freelancer", "claim 0", "Invalid"),
            ("freelancer", "claim 20001", "Invalid"),
        ] {
            refused(&mut story, world, who, words, kind).await;
        }
        let status = world.status(&story.refund_request).await;
        assert_eq!((status.stage, status.held), (Stage::AwaitingFreelancer, Amount::new(20_000).unwrap()));
        story.play("1 freelancer claim 15000").await;
        let late = world
            .client
            .command(&story.refund_request, CommandKind::Approve, story.command("freelancer", "approve").1)
            .await;
        assert_eq!(refusal(late).0, "AlreadyAnswered");
        let release = world
            .client
            .command(&story.refund_request, CommandKind::Release, story.command("client", "release").1)
            .await;
        assert_eq!(refusal(release).0, "NotAllowed");
        assert_eq!(story.ledger().await, "deposit 30000, release 10000", "nothing moved");
        assert_eq!(failed_tasks(world, &story.refund_request).await, 0);
    });
}

/// What cannot be done in a dispute, after each step of its story.
const NOT_IN_A_DISPUTE: [(&str, &[Attempt]); 5] = [
    (
        "2 client offer 100",
        &[
            ("freelancer", "accept claim", "NotAllowed"),
            ("mediator", "accept claim", "NotAllowed"),
            ("freelancer", "reject claim", "NotAllowed"),
            ("client", "amend 100", "NotAllowed"),
            ("client", "withdraw", "NotAllowed"),
            ("freelancer", "amend 0", "Invalid"),
            ("freelancer", "amend 20001", "Invalid"),
            ("freelancer", "offer 20001", "Invalid"),
            ("mediator", "offer 100", "NotAllowed"),
            ("client", "accept offer 1", "NotAllowed"),
            ("freelancer", "accept offer 7", "Invalid"),
            ("freelancer", "retract 1", "NotAllowed"),
            ("client", "accept resolution", "NotAllowed"),
            ("mediator", "propose 100", "NotAllowed"),
            ("mediator", "close", "NotAllowed"),
            ("client", "demand", "NotAllowed"),
            ("arbitrator", "award 100", "NotAllowed"),
        ],
    ),
    (
        "3 client reject claim",
        &[
            ("client", "reject claim", "AlreadyAnswered"),
            ("client", "accept claim", "AlreadyAnswered"),
            ("freelancer", "amend 100", "NotAllowed"),
            ("freelancer", "withdraw", "NotAllowed"),
            ("client", "propose 100", "NotAllowed"),
            ("mediator", "propose 20001", "Invalid"),
            ("freelancer", "close", "NotAllowed"),
        ],
    ),
    (
        "4 mediator propose 9000",
        &[
            ("mediator", "propose 100", "AlreadyAnswered"),
            ("mediator", "accept resolution", "NotAllowed"),
            ("freelancer", "demand", "NotAllowed"),
        ],
    ),
    (
        "4.5 client reject resolution",
        &[
            ("client", "accept resolution", "AlreadyAnswered"),
            ("freelancer", "accept resolution", "NotAllowed"),
            ("mediator", "demand", "NotAllowed"),
            ("arbitrator", "award 100", "NotAllowed"),
        ],
    ),
    (
        "5 client demand; 5.5 freelancer demand",
        &[
            ("client", "award 100", "NotAllowed"),
            ("operator", "award 100", "NotAllowed"),
            ("operator", "extend 5", "NotAllowed"),
            ("arbitrator", "award 20001", "Invalid"),
        ],
    ),
];

/// Each command of a dispute by the wrong party, in the wrong stage, and with bad fields, stage by stage.
#[test]
fn a_dispute_refuses_what_the_rules_do_not_allow() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "refused-dispute");
        story.deposit("d-1", 20_000, "card-1").await;
        story.end(0, Value::Null).await;
        story.play("1 freelancer claim 15000").await;
        for (reach, commands) in NOT_IN_A_DISPUTE {
            story.play(reach).await;
            story.wait(story.case(), |status| reach.len() < 30 || status.stage == Stage::InArbitration).await;
            for (who, words, kind) in commands {
                refused(&mut story, world, who, words, kind).await;
            }
        }
        assert_eq!(story.ledger().await, "deposit 20000, fee 33750, fee 33750", "nothing moved but the fees");
        story.play("6 arbitrator award 9000").await;
        assert_eq!(shown(&story.outcome().await), "settled arbitration_award A5 9000/11000/0");
        let (_, body) = story.command("arbitrator", "award 100");
        let (name, message) = refusal(world.client.command(&story.dispute, CommandKind::Award, body).await);
        assert_eq!(name, "TooLate", "{message}");
        assert_eq!(failed_tasks(world, &story.dispute).await, 0);
        world.check_money().await;
    });
}

/// After the end the case refuses every command: too late, or answered before. No more money moves.
#[test]
fn a_closed_case_takes_nothing() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "closed");
        story.deposit("d-1", 20_000, "card-1").await;
        story.end(0, Value::Null).await;
        story.play("1 freelancer claim 15000; 6").await;
        assert_eq!(shown(&story.outcome().await), "settled client_silence D3 15000/5000/0");
        let ledger = story.ledger().await;
        let refund_request = ["freelancer approve", "freelancer claim 100", "client release", "operator extend 1"];
        let dispute = [
            "client accept claim",
            "client reject claim",
            "client accept resolution",
            "freelancer reject resolution",
            "freelancer accept offer 1",
            "freelancer amend 100",
            "freelancer withdraw",
            "client offer 100",
            "client retract 1",
            "mediator propose 100",
            "mediator close",
            "client demand",
            "arbitrator award 100",
            "operator extend 1",
        ];
        let refund_request = refund_request.map(|words| (story.refund_request.clone(), words));
        for (case, words) in refund_request.into_iter().chain(dispute.map(|words| (story.dispute.clone(), words))) {
            let (who, words) = words.split_once(' ').unwrap();
            let (command_kind, body) = story.command(who, words);
            let (name, message) = refusal(world.client.command(&case, command_kind, body).await);
            assert!(name == "TooLate" || name == "AlreadyAnswered", "{case} {words}: {name}: {message}");
        }
        assert_eq!(story.ledger().await, ledger);
    });
}

/// Invalid fields, by update: `Invalid`, with the field.
#[test]
fn an_update_that_does_not_parse_is_refused_with_the_field() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "malformed");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let file = |size: u64, kind: &str| json!([{"sha256": "ab".repeat(32), "name": "a.pdf", "size": size, "media_type": kind}]);
        let claim = |field: &str, value: Value| {
            let mut body = story.command("freelancer", "claim 100").1;
            body.insert(field.into(), value);
            body
        };
        for (body, word) in [
            (claim("amount", json!(-1)), "amount"),
            (claim("amount", json!("much")), "amount"),
            (claim("amount", json!(1.5)), "amount"),
            (claim("amount", Value::Null), "amount"),
            (claim("reason", json!("because")), "reason"),
            (claim("details", json!("")), "details"),
            (claim("details", json!("x".repeat(20_001))), "details"),
            (claim("details", json!("x".repeat(200_000))), "too big"),
            (claim("evidence", json!([{"name": "a.pdf"}])), "evidence"),
            (claim("evidence", file(26_214_401, "application/pdf")), "26214400"),
            (claim("evidence", file(1, "application/x-sh")), "application/x-sh"),
            (claim("evidence", json!(vec![file(1, "application/pdf")[0].clone(); 11])), "at most 10"),
            (claim("by", json!("freelancer")), "by"),
            (claim("by", json!({"party": "freelancer", "id": "fl-other"})), "fl-other"),
            (claim("at", json!("soon")), "at"),
            (claim("key", json!("")), "key"),
            (Map::new(), "by"),
        ] {
            let (name, message) =
                refusal(world.client.command(&story.refund_request, CommandKind::Dispute, body).await);
            assert!((name == "Invalid" || word == "fl-other") && message.contains(word), "{word}: {name}: {message}");
        }
        story.play("1 freelancer claim 15000").await;
        let reject = |field: &str, value: Value| {
            let mut body = story.command("client", "reject claim").1;
            body.insert(field.into(), value);
            body
        };
        for (body, word) in [
            (reject("reason", json!("because")), "reason"),
            (reject("details", json!(" ")), "details"),
            (reject("evidence", file(0, "application/pdf")), "bytes"),
            (reject("evidence", json!([file(1, "application/pdf")[0], file(1, "application/pdf")[0]])), "twice"),
            (reject("of", json!("money")), "of"),
        ] {
            let (name, message) = refusal(world.client.command(&story.dispute, CommandKind::Reject, body).await);
            assert!(name == "Invalid" && message.contains(word), "{word}: {name}: {message}");
        }
        assert_eq!(failed_tasks(world, &story.refund_request).await + failed_tasks(world, &story.dispute).await, 0);
        story.play("6").await;
        assert_eq!(shown(&story.outcome().await), "settled client_silence D3 15000/15000/0");
    });
}

/// Whatever a signal carries, no workflow task fails, the timeline notes it, and the case continues.
#[test]
fn a_signal_that_does_not_parse_is_noted_and_harmless() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "poison");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let case = story.refund_request.clone();
        for bytes in [&b"{"[..], b"", b"null", b"[]", b"\"approve\"", b"{\"by\":1}", b"\xff\xfe", b"{}"] {
            world.client.signal(&case, "approve", bytes.to_vec()).await.unwrap();
        }
        let binary = Payload { data: vec![0, 159, 146, 150], ..Payload::default() };
        let json_payload = |data: &[u8]| Payload {
            metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
            data: data.to_vec(),
            ..Payload::default()
        };
        let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(&*case);
        for payloads in [vec![], vec![binary], vec![json_payload(b"{}"), json_payload(b"{}")]] {
            let signal = UntypedSignal::new("dispute");
            handle.signal(signal, RawValue::new(payloads), WorkflowSignalOptions::default()).await.unwrap();
        }
        world.client.signal(&case, "no_such_command", b"{}".to_vec()).await.unwrap();
        let noted = |status: &recourse_domain::messages::Status| {
            let unreadable = |entry: &&recourse_domain::case::TimelineEntry| {
                serde_json::to_value(entry.what).unwrap() == "unreadable" && entry.note.is_some()
            };
            status.timeline.iter().filter(unreadable).count()
        };
        let status = story.wait(&case, |status| noted(status) == 11).await;
        assert_eq!(status.stage, Stage::AwaitingFreelancer);
        assert_eq!(failed_tasks(world, &case).await, 0);
        story.play("1 freelancer approve").await;
        assert_eq!(shown(&story.outcome().await), "refunded freelancer_approval R4 0/30000/0");
        assert_eq!(failed_tasks(world, &case).await, 0);
    });
}

/// Nonsense of any size and number does not fill a case, and does not block the parties.
#[test]
fn a_flood_of_nonsense_does_not_keep_the_parties_out() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "flood");
        story.deposit("d-1", 20_000, "card-1").await;
        story.end(0, Value::Null).await;
        let mut huge = story.command("freelancer", "claim 100").1;
        huge.insert("reason".into(), json!("x".repeat(120_000)));
        let huge = serde_json::to_vec(&huge).unwrap();
        for _ in 0..30 {
            world.client.signal(&story.refund_request, "dispute", huge.clone()).await.unwrap();
        }
        story.play("1 freelancer claim 15000").await;
        // The history keeps a limited number of refused updates; later ones leave no event.
        let (command_kind, body) = story.command("freelancer", "accept offer 99");
        for _ in 0..recourse_domain::case::REFUSALS_KEPT_MAX {
            refusal(world.client.command(&story.dispute, command_kind, body.clone()).await);
        }
        let events = history_length(world, &story.dispute).await;
        for _ in 0..50 {
            assert_eq!(refusal(world.client.command(&story.dispute, command_kind, body.clone()).await).0, "Invalid");
        }
        assert_eq!(history_length(world, &story.dispute).await, events, "no event is left behind");
        story.play("2 client accept claim").await;
        assert_eq!(shown(&story.outcome().await), "settled client_acceptance D3 15000/5000/0");
        assert_eq!(failed_tasks(world, &story.refund_request).await + failed_tasks(world, &story.dispute).await, 0);
    });
}

async fn history_length(world: &World, case: &str) -> usize {
    world.quiet(case).await;
    let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
    handle.fetch_history(temporalio_client::WorkflowFetchHistoryOptions::default()).into_events().await.unwrap().len()
}

/// All commands that the parties may give, as long as they may be, in one batch after an outage: the case takes them in one
/// task.
#[test]
fn all_allowed_commands_fit_into_one_task() {
    run(async {
        let world = World::apart("batch", &[]).await;
        let mut story = Story::new(&world, "batch");
        story.deposit("d-1", 20_000, "card-1").await;
        story.end(0, Value::Null).await;
        story.play("1 freelancer claim 15000").await;
        world.quiet(&story.dispute).await;
        world.stop_worker().await;
        let signal = async |who: &str, words: &str, field: &str, text: String| {
            let (command_kind, mut body) = story.command(who, words);
            body.insert(field.into(), json!(text));
            world.client.signal(&story.dispute, command_kind.name(), serde_json::to_vec(&body).unwrap()).await.unwrap();
        };
        for _ in 0..20 {
            signal("client", "offer 5000", "message", "é".repeat(500)).await;
            signal("freelancer", "offer 15000", "message", "é".repeat(500)).await;
            signal("freelancer", "amend 12000", "details", "é".repeat(10_000)).await;
        }
        signal("client", "reject claim", "details", "é".repeat(10_000)).await;
        world.start_worker().await;
        let status = story.wait(&story.dispute, |status| status.stage == Stage::InMediation).await;
        assert_eq!(status.offers.len(), 40);
        assert_eq!(failed_tasks(&world, &story.dispute).await, 0);
        story.play("3 mediator close; 10").await;
        assert_eq!(shown(&story.outcome().await), "refunded arbitration_default A2 0/20000/0");
    });
}

/// A start that a rule forbids: of which workflow, its content, by which rule, and a word of the reason.
type Forbidden = (&'static str, Value, &'static str, &'static str);

fn forbidden_starts(story: &Story<'_>) -> [Forbidden; 14] {
    let contract = |field: &str, value: Value| {
        let mut contract = story.contract.clone();
        contract[field] = value;
        contract
    };
    [
        ("RefundRequest", json!({"contract": contract("kind", json!("hourly")), "pay_now": 0}), "E1", "hourly"),
        ("RefundRequest", json!({"contract": story.contract, "pay_now": 30_001}), "R2", "300.00 USD held"),
        ("RefundRequest", json!({"contract": story.contract, "pay_now": -1}), "R1", "pay_now"),
        ("RefundRequest", json!({"contract": story.contract}), "R1", "pay_now"),
        (
            "RefundRequest",
            json!({"contract": contract("currency", json!("DOLLAR")), "pay_now": 0}),
            "R1",
            "contract.currency",
        ),
        (
            "RefundRequest",
            json!({"contract": story.contract, "pay_now": 0, "policy": {"refund_response": {"days": 0, "unit": "calendar"}}}),
            "T3",
            "refund_response",
        ),
        (
            "RefundRequest",
            json!({"contract": story.contract, "pay_now": 0, "policy": {"refund_response": {"days": 1, "unit": "weeks"}}}),
            "R1",
            "policy.refund_response",
        ),
        ("RefundRequest", json!("not an object"), "R1", "expected"),
        (
            "Dispute",
            json!({"contract": story.contract, "grounds": "refund_request", "claim": {"amount": 30_001, "reason": "other", "details": "x"}}),
            "D1",
            "has not ended",
        ),
        (
            "Dispute",
            json!({"contract": story.contract, "grounds": "boredom", "claim": {"amount": 1, "reason": "other", "details": "x"}}),
            "D1",
            "grounds",
        ),
        (
            "EscrowDeposit",
            json!({"contract": story.contract, "deposit": "d-9", "amount": 0, "source": {"id": "card-1", "verified": true}}),
            "E2",
            "more than 0",
        ),
        (
            "EscrowDeposit",
            json!({"contract": story.contract, "deposit": "d-9", "amount": 1, "source": {"id": "card-1", "verified": false}}),
            "E2",
            "not verified",
        ),
        // No start can begin a case in the middle: only a run hands this on to the next.
        ("RefundRequest", json!({"case": {"stage": "Settling"}, "case_ref": story.dispute}), "R1", "contract"),
        ("Dispute", json!({"case": {"stage": "Settling"}, "case_ref": story.refund_request}), "D1", "contract"),
    ]
}

/// A start that does not parse, or that a rule forbids, has the outcome "refused" and moves nothing.
#[test]
fn a_forbidden_start_is_refused_with_the_rule() {
    run(async {
        let world = World::shared().await;
        let story = Story::new(world, "forbidden");
        story.deposit("d-1", 30_000, "card-1").await;
        for (index, (kind, start, rule, word)) in forbidden_starts(&story).into_iter().enumerate() {
            // Its own id, which a refused start leaves free.
            let id = match kind {
                "EscrowDeposit" => format!("escrow-deposit:{}:d-9", story.id()),
                "Dispute" => story.dispute.clone(),
                "RefundRequest" => story.refund_request.clone(),
                other => panic!("{other} in row {index}"),
            };
            let input = RawValue::new(vec![Payload {
                metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
                data: serde_json::to_vec(&start).unwrap(),
                ..Payload::default()
            }]);
            let options = temporalio_client::WorkflowStartOptions::new("recourse", id.clone()).build();
            world.client.temporal().start_workflow(UntypedWorkflow::new(kind), input, options).await.unwrap();
            let outcome = world.client.result(&id).await.unwrap();
            let message = outcome.message.clone().unwrap_or_default();
            assert_eq!((outcome.result.name(), outcome.rule.id()), ("refused", rule), "{start}: {message}");
            assert!(message.contains(word), "{start}: {message}");
            assert_eq!(failed_tasks(world, &id).await, 0, "{start}");
        }
        assert_eq!(story.ledger().await, "deposit 30000");
        // The refused starts hold no money: the next end finds all of it.
        assert_eq!(story.end(0, Value::Null).await.held.minor(), 30_000);
        world.check_money().await;
    });
}
