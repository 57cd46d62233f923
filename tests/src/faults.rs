//! L5–L7: the bank fails before and after it acted, the worker dies in between, everything arrives twice. One movement
//! each, on both sides.

use std::time::Duration;

use futures_util::future::join_all;
use recourse_activities::payments::{Fault, Request};
use recourse_workflows::domain::{command::Verb, ids::Id};
use serde_json::{Value, json};

use crate::harness::{Story, World, run, shown};

/// What the bank moved for this card: `charge 300, refund 200`, declined ones left out.
async fn at_the_bank(world: &World, card: &str) -> String {
    let movements = world.bank.movements().await.unwrap();
    let mine = movements.iter().filter_map(|movement| match &movement.request {
        Request::Charge(charge) if charge.source.as_str() == card && movement.declined.is_none() => {
            Some(format!("charge {}", charge.amount.minor()))
        }
        Request::Refund(refund) if refund.source.as_str() == card && movement.declined.is_none() => {
            Some(format!("refund {}", refund.amount.minor()))
        }
        _ => None,
    });
    mine.collect::<Vec<_>>().join(", ")
}

async fn disturbed(world: &World, fault: Fault, times: u32) {
    let mut story = Story::new(world, "disturbed");
    let card = story.card();
    let source = Id::new(&card).unwrap();
    world.bank.set_fault(Some(&source), fault, times).await.unwrap();
    story.deposit("d-1", 30_000, &card).await;
    story.end(10_000, Value::Null).await;
    world.bank.set_fault(Some(&source), fault, times).await.unwrap();
    story.play("1 freelancer approve").await;
    assert_eq!(shown(&story.outcome().await), "settled freelancer_approval R4 10000/20000/0", "{fault:?}");
    assert_eq!(story.ledger().await, "deposit 30000, release 10000, refund 20000", "{fault:?}");
    assert_eq!(at_the_bank(world, &card).await, "charge 30000, refund 20000", "{fault:?}");
}

/// L6: an unknown outcome is asked for again, never guessed.
#[test]
fn a_bank_that_fails_before_or_after_it_acted_moves_money_once() {
    run(async {
        let world = World::shared().await;
        let faults = [
            (Fault::FailBefore, 1),
            (Fault::FailBefore, 2),
            (Fault::FailAfter, 1),
            (Fault::FailAfter, 2),
            (Fault::Late(Duration::from_millis(300)), 1),
        ];
        join_all(faults.map(|(fault, times)| disturbed(world, fault, times))).await;
        world.check_money().await;
    });
}

/// A1: a share that cannot be charged counts as not paid.
#[test]
fn a_declined_share_counts_as_not_paid() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "share");
        let card = story.card();
        story.deposit("d-1", 20_000, &card).await;
        story.end(0, Value::Null).await;
        story.play("1 freelancer claim 15000; 2 client reject claim; 3 mediator close").await;
        world.bank.set_fault(Some(&Id::new(&card).unwrap()), Fault::Decline, 1).await.unwrap();
        story.play("4 client demand").await;
        let declined = |status: &recourse_workflows::messages::Status| {
            status.timeline.iter().any(|entry| serde_json::to_value(entry.what).unwrap() == "arbitration_fee_declined")
        };
        story.wait(&story.dispute, declined).await;
        story.play("10").await;
        assert_eq!(shown(&story.outcome().await), "refunded arbitration_default A2 0/20000/0");
        assert_eq!(story.ledger().await, "deposit 20000, refund 20000");
    });
}

/// L5: the worker is killed between the bank's act and the posting; the next one finds the bank's movement and posts it.
#[test]
fn a_worker_killed_between_bank_and_ledger_loses_and_repeats_nothing() {
    run(async {
        let world = World::apart("killed", &[]).await;
        let mut story = Story::new(&world, "killed");
        let card = story.card();
        story.deposit("d-1", 30_000, &card).await;
        story.end(10_000, Value::Null).await;
        let answer = Fault::Late(Duration::from_secs(8));
        world.bank.set_fault(Some(&Id::new(&card).unwrap()), answer, 1).await.unwrap();
        story.play("1 freelancer approve").await;
        let mut patience = 400;
        while at_the_bank(&world, &card).await != "charge 30000, refund 20000" {
            patience -= 1;
            assert!(patience > 0, "the bank never acted");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.kill_worker().await;
        assert_eq!(story.ledger().await, "deposit 30000, release 10000", "killed before the posting");
        world.start_worker().await;
        let outcome = tokio::time::timeout(Duration::from_mins(1), world.client.result(&story.refund_request))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(shown(&outcome), "settled freelancer_approval R4 10000/20000/0");
        assert_eq!(story.ledger().await, "deposit 30000, release 10000, refund 20000");
        assert_eq!(at_the_bank(&world, &card).await, "charge 30000, refund 20000");
        world.check_money().await;
    });
}

/// L7: every start and every command twice, with and without a key, at once: one movement each, the same answer.
#[test]
fn everything_twice_moves_money_once() {
    run(async {
        let world = World::shared().await;
        let story = Story::new(world, "twice");
        let card = story.card();
        let (one, two) = tokio::join!(story.deposit("d-1", 20_000, &card), story.deposit("d-1", 20_000, &card));
        assert_eq!(shown(&one), shown(&two));
        let (one, two) = tokio::join!(story.end(5_000, Value::Null), story.end(5_000, Value::Null));
        assert_eq!(one.case, two.case);
        for (case, who, words) in [
            (story.refund_request.clone(), "freelancer", "claim 15000"),
            (story.dispute.clone(), "client", "reject claim"),
            (story.dispute.clone(), "mediator", "close"),
            (story.dispute.clone(), "client", "demand"),
            (story.dispute.clone(), "freelancer", "demand"),
            (story.dispute.clone(), "arbitrator", "award 12000"),
        ] {
            if words == "reject claim" {
                story.wait(&story.refund_request, |status| status.stage == "disputed").await;
                while world.client.status(&story.dispute).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                story.opened(&story.dispute).await;
            }
            let (verb, mut body) = story.command(who, words);
            body.insert("key".into(), json!(format!("key of {words}")));
            let signal = serde_json::to_vec(&body).unwrap();
            let (first, second) = tokio::join!(
                world.client.command(&case, verb, body.clone()),
                world.client.command(&case, verb, body.clone())
            );
            let (first, second) = (first.unwrap(), second.unwrap());
            assert_eq!(first.stage, second.stage, "{words}: the second gets the first one's answer");
            if words != "award 12000" {
                world.client.signal(&case, verb.name(), signal).await.unwrap();
                assert_eq!(world.client.command(&case, verb, body).await.unwrap().case, case);
            }
            if words == "demand" && who == "freelancer" {
                story.wait(&case, |status| status.stage == "in_arbitration").await;
            }
        }
        assert_eq!(shown(&story.outcome().await), "settled arbitration_award A5 17000/3000/0");
        assert_eq!(
            story.ledger().await,
            "deposit 20000, release 5000, fee 33750, fee 33750, release 12000, refund 3000"
        );
        // Long after: the case is closed, and the same award again gets its first answer.
        let (verb, mut body) = story.command("arbitrator", "award 12000");
        body.insert("key".into(), json!("key of award 12000"));
        let again = world.client.command(&story.dispute, verb, body).await;
        assert!(again.is_ok(), "the answer of a closed case's command is kept: {again:?}");
        assert_eq!(verb, Verb::Award);
        world.check_money().await;
    });
}
