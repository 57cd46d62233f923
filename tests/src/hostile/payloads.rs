//! Payloads of every size and form, as signals, updates and starts: the case refuses or notes each, no workflow task fails, and
//! the case continues.

use recourse_domain::{
    case::What,
    command::{COMMAND_BYTES_MAX, CommandKind},
    text::NOTE_BYTES_MAX,
};
use serde_json::{Value, json};
use temporalio_client::{
    UntypedSignal, UntypedUpdate, UntypedWorkflow, WorkflowExecuteUpdateOptions, WorkflowSignalOptions,
    WorkflowStartOptions,
};
use temporalio_common::{data_converters::RawValue, protos::temporal::api::common::v1::Payload};

use super::{failures_of_every_run, payload, raw, refusal_of};
use crate::harness::{Story, World, run, shown, unique};

async fn signal(world: &World, case: &str, input: RawValue) -> Result<(), String> {
    let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
    let sent = handle.signal(UntypedSignal::new("dispute"), input, WorkflowSignalOptions::default()).await;
    sent.map_err(|error| format!("{error:?}"))
}

async fn update(world: &World, case: &str, input: RawValue) -> Result<(), String> {
    let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
    let update = UntypedUpdate::new(CommandKind::Dispute.name());
    let answer = handle.execute_update(update, input, WorkflowExecuteUpdateOptions::builder().build()).await;
    answer.map(|_| ()).map_err(refusal_of)
}

/// A start's result and message, or the server's error.
async fn start(world: &World, input: RawValue) -> Result<(String, String), String> {
    let id = unique("hostile-start");
    let options = WorkflowStartOptions::new("recourse", id.clone()).build();
    let started = world.client.temporal().start_workflow(UntypedWorkflow::new("RefundRequest"), input, options).await;
    started.map_err(|error| format!("{error:?}"))?;
    let outcome = world.client.result(&id).await.unwrap();
    assert_eq!(failures_of_every_run(world, &id).await, Vec::<String>::new());
    Ok((outcome.result.name().to_owned(), outcome.message.unwrap_or_default()))
}

/// A claim of exactly `bytes` bytes; a case that can read it refuses it for its amount.
fn claim(story: &Story<'_>, bytes: usize) -> Vec<u8> {
    let mut body = story.command("freelancer", "claim 0").1;
    body.insert("filling".into(), json!(""));
    let bare = serde_json::to_vec(&body).unwrap().len();
    body.insert("filling".into(), json!("x".repeat(bytes - bare)));
    serde_json::to_vec(&body).unwrap()
}

const KIB: usize = 1024;

/// The refusal of a too large payload has both sizes; a payload that the server itself rejects never reaches the case.
#[test]
fn a_huge_payload_is_refused_with_its_size() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "huge");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let case = story.refund_request.clone();
        let sizes = [
            (100 * KIB, "more than 0"),
            (COMMAND_BYTES_MAX, "more than 0"),
            (COMMAND_BYTES_MAX + 1, "131073 bytes are too big"),
            (1_900 * KIB, "1945600 bytes are too big"),
            (2_100 * KIB, "exceed"),
        ];
        for (bytes, told) in sizes {
            let json = claim(&story, bytes);
            assert_eq!(json.len(), bytes);
            let reaches = bytes < 2_000 * KIB;
            if reaches {
                let answer = update(world, &case, raw(&json)).await.unwrap_err();
                assert!(answer.contains(told) && answer.len() < 2 * NOTE_BYTES_MAX, "{bytes}: {answer}");
            }
            let sent = signal(world, &case, raw(&json)).await;
            assert_eq!(sent.is_ok(), reaches, "{bytes}: {sent:?}");
            match start(world, raw(&json)).await {
                Ok((result, message)) => {
                    assert!(reaches && result == "refused", "{bytes}: {result}");
                    assert!(message.len() <= NOTE_BYTES_MAX, "{message}");
                }
                Err(error) => assert!(!reaches && error.contains(told), "{bytes}: {error}"),
            }
        }
        // Two updates and four signals were kept: the rest left nothing, or never came.
        let kept = |status: &recourse_domain::messages::Status| {
            let refused =
                |entry: &&recourse_domain::case::TimelineEntry| matches!(entry.what, What::Refused | What::Unreadable);
            status.timeline.iter().filter(refused).count()
        };
        let status = story.wait(&case, |status| kept(status) == 6).await;
        assert!(
            status.timeline.iter().all(|entry| entry.note.as_ref().is_none_or(|note| note.len() <= NOTE_BYTES_MAX))
        );
        story.play("1 freelancer approve").await;
        assert_eq!(shown(&story.outcome().await), "refunded freelancer_approval R4 0/30000/0");
        assert_eq!(failures_of_every_run(world, &case).await, Vec::<String>::new());
    });
}

/// A server admits larger updates than a worker may answer: the SDK's answer repeats the request. Then a task fails, which ends
/// the update and nothing else: the case takes the next command.
#[test]
fn an_update_too_large_to_answer_fails_alone() {
    run(async {
        let world = World::apart("beyond", &[]).await;
        let mut story = Story::new(&world, "beyond");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let case = story.refund_request.clone();
        for bytes in [2_100 * KIB, 3_500 * KIB] {
            let answer = update(&world, &case, raw(&claim(&story, bytes))).await.unwrap_err();
            assert!(answer.contains("Workflow Task in failed state"), "{bytes}: {answer}");
        }
        story.play("1 freelancer approve").await;
        assert_eq!(shown(&story.outcome().await), "refunded freelancer_approval R4 0/30000/0");
        for failure in failures_of_every_run(&world, &case).await {
            assert!(failure.contains("TMPRL1103"), "{failure}");
        }
        world.stop_worker().await;
    });
}

/// Everything that is not one JSON object, and JSON that breaks parsers.
fn odd(honest: &[u8]) -> Vec<(&'static str, Vec<Payload>, &'static str)> {
    let json = |text: &str| vec![payload(Some(b"json/plain"), text.as_bytes())];
    let by = r#""by":{"party":"freelancer","id":"fl-1"}"#;
    let deep = format!("{{{by},\"amount\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let unknown = format!("{{{by},\"x\":{}1{}}}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    let compressed = Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec()), ("compression".to_owned(), b"gzip".to_vec())]
            .into(),
        data: b"\x1f\x8b\x08\x00".to_vec(),
        ..Payload::default()
    };
    vec![
        ("no payload", vec![], "not 0 payloads"),
        ("several payloads", vec![payload(Some(b"json/plain"), honest); 3], "not 3 payloads"),
        ("no metadata", vec![payload(None, honest)], "encoded as none"),
        ("null", vec![payload(Some(b"binary/null"), b"")], "encoded as binary/null"),
        ("protobuf", vec![payload(Some(b"json/protobuf"), honest)], "encoded as json/protobuf"),
        ("an encoding that is no text", vec![payload(Some(b"\xff\x1b[2J\0"), honest)], "encoded as"),
        ("an endless encoding", vec![payload(Some(&[b'x'; 10_000]), honest)], "encoded as xxx"),
        ("bytes", vec![compressed], "not JSON"),
        ("deep where a number belongs", json(&deep), "recursion limit"),
        ("deep where nothing is looked at", json(&unknown), "missing field `amount`"),
        ("two senders", json(&format!("{{{by},{by},\"amount\":1}}")), "duplicate field"),
        (
            "two amounts",
            json(&format!("{{{by},\"amount\":1,\"amount\":2,\"reason\":\"other\",\"details\":\"x\"}}")),
            "duplicate field",
        ),
        ("half a character", json("{\"by\":{\"party\":\"freelancer\",\"id\":\"\\ud800\"}}"), "not JSON"),
        ("no text at all", vec![payload(Some(b"json/plain"), b"{\"by\":{\"party\":\"\xff\xfe\"}}")], "not JSON"),
        ("a mark before it", vec![payload(Some(b"json/plain"), &[b"\xef\xbb\xbf", honest].concat())], "not JSON"),
        (
            "a number beyond all",
            json(&format!("{{{by},\"amount\":1e999,\"reason\":\"other\",\"details\":\"x\"}}")),
            "number out of range",
        ),
        ("a terminal's commands", json("{\"by\":{\"party\":\"\\u001b[2J\\u0007\",\"id\":\"x\"}}"), "unknown variant"),
    ]
}

/// The message about it is short and has no control characters, because it goes to logs and terminals.
#[test]
fn a_payload_that_is_no_json_object_is_refused_in_words() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "odd");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let case = story.refund_request.clone();
        let honest = serde_json::to_vec(&story.command("freelancer", "claim 100").1).unwrap();
        let odd = odd(&honest);
        let count = odd.len();
        for (name, payloads, told) in odd {
            let told_of = |answer: &str| {
                assert!(answer.contains(told), "{name}: {answer}");
                assert!(
                    answer.len() < 2 * NOTE_BYTES_MAX && !answer.chars().any(char::is_control),
                    "{name}: {answer:?}"
                );
            };
            told_of(&update(world, &case, RawValue::new(payloads.clone())).await.unwrap_err());
            signal(world, &case, RawValue::new(payloads.clone())).await.unwrap();
            let (result, message) = start(world, RawValue::new(payloads)).await.unwrap();
            assert_eq!(result, "refused", "{name}");
            assert!(!message.is_empty() && !message.chars().any(char::is_control), "{name}: {message:?}");
        }
        let unreadable = |status: &recourse_domain::messages::Status| {
            status.timeline.iter().filter(|entry| entry.what == What::Unreadable).count()
        };
        let status = story.wait(&case, |status| unreadable(status) == count).await;
        let notes: Vec<_> = status.timeline.iter().filter_map(|entry| entry.note.as_deref()).collect();
        assert!(
            notes.iter().all(|note| note.len() <= NOTE_BYTES_MAX && !note.chars().any(char::is_control)),
            "{notes:?}"
        );
        story.play("1 freelancer approve").await;
        assert_eq!(shown(&story.outcome().await), "refunded freelancer_approval R4 0/30000/0");
        assert_eq!(failures_of_every_run(world, &case).await, Vec::<String>::new());
    });
}

/// Every kind of case refuses an unreadable start, and its status says why.
#[test]
fn every_kind_of_case_refuses_an_unreadable_start() {
    run(async {
        let world = World::shared().await;
        for kind in ["EscrowDeposit", "RefundRequest", "Dispute", "MilestoneReview", "PaymentRefund"] {
            let id = unique("unreadable-start");
            let options = WorkflowStartOptions::new("recourse", id.clone()).build();
            let input = raw(b"{\"contract\":{\"id\":\"\\u001b[2J\"}}");
            world.client.temporal().start_workflow(UntypedWorkflow::new(kind), input, options).await.unwrap();
            let outcome = world.client.result(&id).await.unwrap();
            let message = outcome.message.unwrap_or_default();
            assert_eq!(outcome.result.name(), "refused", "{kind}");
            assert!(message.starts_with("contract.id: \"\\u{1b}[2J\" is not an id"), "{kind}: {message:?}");
            assert_eq!(failures_of_every_run(world, &id).await, Vec::<String>::new());
            if kind != "EscrowDeposit" {
                let told = world.client.status(&id).await.unwrap_err().to_string();
                assert!(told.contains("was refused at its start") && told.contains("is not an id"), "{kind}: {told}");
            }
        }
    });
}
