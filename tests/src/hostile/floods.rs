//! Floods of signals and updates. The case takes the meant command once, and counts the rest.
//!
//! `RECOURSE_FLOOD_SIGNALS=10000` sends as many as a server takes for one run of a workflow. By default fewer are sent, but
//! more than the number of events at which a server suggests to continue as new.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use recourse_client::ClientError;
use recourse_domain::{
    case::{REFUSALS_KEPT_MAX, What},
    command::CommandKind,
    stage::Stage,
};
use serde_json::{Map, Value, json};
use temporalio_client::{UntypedUpdate, UntypedWorkflow, WorkflowExecuteUpdateOptions};

use super::{dice::Dice, failures_of_every_run, raw, refusal_of};
use crate::harness::{Story, World, run, shown, unique};

/// How many signals are sent without the environment variable.
const SIGNALS: usize = 2_500;

/// How many requests are under way at once.
const AT_ONCE: usize = 64;

/// How long a case may take to work off a flood.
const PATIENCE: Duration = Duration::from_mins(5);

fn number_of(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(default)
}

/// One signal, and whether the timeline must count it among the refused.
struct Signal {
    name: &'static str,
    json: Vec<u8>,
    refused: bool,
}

fn signal(story: &Story<'_>, who: &str, words: &str, refused: bool) -> Signal {
    let (command_kind, body) = story.command(who, words);
    Signal { name: command_kind.name(), json: serde_json::to_vec(&body).unwrap(), refused }
}

/// The messages of strangers, of senders of nonsense and of impatient parties to a dispute that waits for its client or a
/// mediator.
fn flood(story: &Story<'_>, dice: &mut Dice, count: usize) -> Vec<Signal> {
    let mut offers = [0, 0];
    let made = |_| match dice.below(8) {
        0 => signal(story, "client", "award 100", true),
        1 => signal(story, "mediator", "accept offer 99", true),
        2 => {
            let (command_kind, mut body) = story.command("client", "offer 100");
            body["by"]["id"] = json!(format!("stranger-{}", dice.below(1_000_000)));
            body.insert("key".into(), json!(format!("k-{}", dice.below(1_000_000))));
            Signal { name: command_kind.name(), json: serde_json::to_vec(&body).unwrap(), refused: true }
        }
        3 => Signal { name: "offer", json: vec![b'['; dice.below(2_000)], refused: true },
        4 => Signal { name: "accept", json: (0..dice.below(300)).map(|_| dice.byte()).collect(), refused: true },
        5 => Signal { name: "no_such_command", json: b"{}".to_vec(), refused: false },
        party => {
            let index = party - 6;
            offers[index] += 1;
            let who = ["client", "freelancer"][index];
            signal(story, who, &format!("offer {}", 1 + dice.below(20_000)), offers[index] > 20)
        }
    };
    (0..count).map(made).collect()
}

/// L7, M7: among thousands of signals the case takes the client's rejection once and nothing else, loses nothing, and decides
/// as if there had been no flood.
#[test]
fn a_flood_of_signals_hides_nothing_and_ends_nothing() {
    run(async {
        let seed = u64::try_from(number_of("RECOURSE_SEED", 4)).unwrap();
        let count = number_of("RECOURSE_FLOOD_SIGNALS", SIGNALS);
        println!("RECOURSE_SEED={seed} RECOURSE_FLOOD_SIGNALS={count}");
        let world = World::apart("signals", &[]).await;
        let mut story = Story::new(&world, "signals");
        story.deposit("d-1", 20_000, "card-1").await;
        story.end(0, Value::Null).await;
        story.play("1 freelancer claim 15000").await;
        let mut dice = Dice::new(seed);
        let mut signals = flood(&story, &mut dice, count - 1);
        let (_, mut reject) = story.command("client", "reject claim");
        reject.insert("key".into(), json!("the one that is meant"));
        let meant =
            Signal { name: CommandKind::Reject.name(), json: serde_json::to_vec(&reject).unwrap(), refused: false };
        signals.insert(dice.below(count), meant);
        let refused = signals.iter().filter(|signal| signal.refused).count();

        let (started, dispute) = (Instant::now(), story.dispute.clone());
        let sent = stream::iter(signals).map(|Signal { name, json, .. }| world.client.signal(&dispute, name, json));
        let results: Vec<_> = sent.buffer_unordered(AT_ONCE).collect().await;
        let sent = started.elapsed();
        assert_eq!(results.into_iter().find_map(Result::err), None, "seed {seed}");

        let counted = |status: &recourse_domain::messages::Status| {
            let kept = status.timeline.iter().filter(|entry| matches!(entry.what, What::Refused | What::Unreadable));
            kept.count() + status.refusals_omitted as usize
        };
        let is_worked_off =
            |status: &recourse_domain::messages::Status| counted(status) == refused && status.rejection.is_some();
        let status = world.client.wait_for(&dispute, PATIENCE, is_worked_off).await.unwrap();
        println!("{count} signals were sent in {sent:.1?} and worked off in {:.1?}", started.elapsed());
        assert_eq!(counted(&status), refused, "seed {seed}: every refusal is counted");
        assert_eq!(status.stage, Stage::InMediation, "seed {seed}");
        let rejections = status.timeline.iter().filter(|entry| entry.what == What::ClaimRejected).count();
        assert_eq!((rejections, status.offers.len()), (1, 40), "seed {seed}");
        assert!(status.timeline.len() < REFUSALS_KEPT_MAX + 100, "{} entries", status.timeline.len());

        world.quiet(&dispute).await;
        story.play("3 mediator propose 9000; 4 client accept resolution; 4.1 freelancer accept resolution").await;
        assert_eq!(shown(&story.outcome().await), "settled resolution_accepted M5 9000/11000/0", "seed {seed}");
        assert_eq!(story.ledger().await, "deposit 20000, release 9000, refund 11000", "seed {seed}");
        assert_eq!(failures_of_ours(&world, &dispute).await, Vec::<String>::new(), "seed {seed}");
        world.check_money().await;
        world.stop_worker().await;
    });
}

/// L7: a thousand copies of a command, as updates and signals at once, act once; every update gets the same answer, whether the
/// command was taken or refused.
#[test]
fn a_thousand_duplicates_act_once_and_get_one_answer() {
    run(async {
        let world = World::apart("duplicates", &[]).await;
        let mut story = Story::new(&world, "duplicates");
        story.deposit("d-1", 20_000, "card-1").await;
        story.end(0, Value::Null).await;
        story.play("1 freelancer claim 15000").await;
        let dispute = story.dispute.clone();
        for (words, taken) in [("offer 12000", true), ("amend 20001", false)] {
            let (command_kind, mut body) = story.command("freelancer", words);
            body.insert("key".into(), json!(format!("double click on {words}")));
            let json = serde_json::to_vec(&body).unwrap();
            let signals = async {
                let sent = (0..500).map(|_| world.client.signal(&dispute, command_kind.name(), json.clone()));
                stream::iter(sent).buffer_unordered(AT_ONCE).map(|sent| format!("{sent:?}")).collect::<Vec<_>>().await
            };
            let updates = async {
                // Most under the update id that the client makes from the key; some as another program might send them.
                let same = (0..460).map(|_| told(&world, &dispute, command_kind, &body, None));
                let same = stream::iter(same).buffer_unordered(AT_ONCE).collect::<Vec<_>>();
                let other = (0..40).map(|_| told(&world, &dispute, command_kind, &body, Some(unique("update"))));
                let other = stream::iter(other).buffer_unordered(4).collect::<Vec<_>>();
                futures_util::future::join(same, other).await
            };
            let (signals, (same, other)) = futures_util::future::join(signals, updates).await;
            assert!(signals.iter().all(|sent| sent == "Ok(())"), "{words}");
            assert_eq!(same.len() + other.len(), 500);
            for answer in same.iter().chain(&other) {
                assert_eq!(answer.is_ok(), taken, "{words}: {answer:?}");
                assert_eq!(*answer, same[0], "{words}: every update gets the same answer");
            }
            let status = world.status(&dispute).await;
            let by_freelancer = |what: What| status.timeline.iter().filter(|entry| entry.what == what).count();
            let (what, other) =
                if taken { (What::OfferMade, What::Refused) } else { (What::Refused, What::ClaimAmended) };
            assert_eq!((by_freelancer(what), by_freelancer(other)), (1, 0), "{words} acts once");
            assert_eq!(status.refusals_omitted, 0);
        }
        story.play("2 client accept offer 1").await;
        assert_eq!(shown(&story.outcome().await), "settled agreement M7 12000/8000/0");
        assert_eq!(story.ledger().await, "deposit 20000, release 12000, refund 8000");
        assert_eq!(failures_of_ours(&world, &dispute).await, Vec::<String>::new());
        world.check_money().await;
        world.stop_worker().await;
    });
}

/// The failed tasks, without those that the server took back: it does that when more than 100 signals arrive during a task, and
/// gives the task out again.
async fn failures_of_ours(world: &World, case: &str) -> Vec<String> {
    let failures = failures_of_every_run(world, case).await;
    let (taken_back, failures): (Vec<_>, Vec<_>) = failures.into_iter().partition(|failure| {
        failure.contains("cause: ForceCloseCommand") && failure.contains("identity: \"history-service\"")
    });
    println!("the server took {} tasks back", taken_back.len());
    failures
}

/// Sends an update and gives its answer: how many offers there are, or the refusal.
async fn told(
    world: &World,
    case: &str,
    command_kind: CommandKind,
    body: &Map<String, Value>,
    update: Option<String>,
) -> Result<usize, String> {
    let Some(update) = update else {
        // The key is for this: a sender without an answer sends the command again.
        for _ in 0..20 {
            match world.client.command(case, command_kind, body.clone()).await {
                Ok(status) => return Ok(status.offers.len()),
                Err(ClientError::Refused { message, .. }) => return Err(message),
                Err(ClientError::NoWorker { .. } | ClientError::Busy { .. } | ClientError::Unreachable { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        panic!("{case} never answers");
    };
    let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
    let options = WorkflowExecuteUpdateOptions::builder().update_id(update).build();
    let input = raw(&serde_json::to_vec(body).unwrap());
    match handle.execute_update(UntypedUpdate::new(command_kind.name()), input, options).await {
        Ok(status) => {
            let status: Value = serde_json::from_slice(&status.payloads[0].data).unwrap();
            Ok(status["offers"].as_array().unwrap().len())
        }
        Err(error) => Err(refusal_of(error).strip_prefix("Invalid: ").expect("an Invalid refusal").to_owned()),
    }
}
