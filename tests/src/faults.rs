//! L5–L7: the bank fails before and after it acts, the worker dies in between, everything arrives twice. One movement each, on
//! both sides.

use std::time::Duration;

use futures_util::future::join_all;
use recourse_domain::{command::CommandKind, ids::Id, stage::Stage};
use recourse_payments::{Fault, Request};
use serde_json::{Value, json};

use crate::harness::{Story, World, run, shown};

/// The bank's movements for this card: `charge 300, refund 200`, without declined ones.
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

/// A milestone with a bonus, a return of its payment, and a next deposit that draws on held-over money.
async fn disturbed_milestone(world: &World, fault: Fault, times: u32) {
    let mut story = Story::new(world, "disturbed");
    let card = story.card();
    let source = Id::new(&card).unwrap();
    story.fund("d-1", "m-1", 30_000, &card).await;
    story.submit("m-1", 1, 30_000).await;
    world.bank.set_fault(Some(&source), fault, times).await.unwrap();
    story.play("1 client approve 35000").await;
    let review = story.review("m-1");
    assert_eq!(story.outcome_of(&review).await.bonus.minor(), 5_000, "{fault:?}");
    world.bank.set_fault(Some(&source), fault, times).await.unwrap();
    let case = story.ask_back(&format!("{review}/release"), jiff::Timestamp::now(), 30_000).await.case;
    story.play("1 freelancer approve 12000").await;
    assert_eq!(shown(&story.outcome_of(&case).await), "refunded freelancer_approval P2 0/12000/0", "{fault:?}");
    story.fund("d-2", "m-2", 8_000, &card).await;
    story.submit("m-2", 2, 8_000).await;
    story.play("1 client approve 5000").await;
    story.outcome_of(&story.review("m-2")).await;
    world.bank.set_fault(Some(&source), fault, times).await.unwrap();
    let drawn = story.fund("d-3", "m-3", 4_000, &card).await;
    assert_eq!((drawn.charged.unwrap().minor(), drawn.from_held.unwrap().minor()), (1_000, 3_000), "{fault:?}");
    let bank = at_the_bank(world, &card).await;
    assert_eq!(bank, "charge 30000, charge 5000, refund 12000, charge 8000, charge 1000", "{fault:?}");
    assert!(story.ledger().await.ends_with("return 12000, deposit 8000, release 5000, deposit 1000"), "{fault:?}");
}

/// L6, E6, E7, P2: the same for a bonus, a returned payment, and a deposit that draws on held-over money.
#[test]
fn a_bank_that_fails_moves_a_bonus_a_return_and_a_drawn_deposit_once() {
    run(async {
        let world = World::shared().await;
        let faults = [(Fault::FailBefore, 2), (Fault::FailAfter, 1), (Fault::Late(Duration::from_millis(300)), 1)];
        join_all(faults.map(|(fault, times)| disturbed_milestone(world, fault, times))).await;
        world.check_money().await;
    });
}

/// L5: the worker is killed between the bank's act and the posting of a bonus, a return, and a deposit that draws on held-over
/// money.
#[test]
fn a_worker_killed_in_a_bonus_a_return_or_a_drawn_deposit_loses_and_repeats_nothing() {
    run(async {
        let world = World::apart("killedagain", &[]).await;
        let mut stories = ["bonus", "return", "drawn"].map(|name| Story::new(&world, name));
        for story in &mut stories {
            story.fund("d-1", "m-1", 30_000, &story.card()).await;
            story.submit("m-1", 1, 30_000).await;
        }
        let [mut bonus, mut returned, mut drawn] = stories;
        returned.play("1 client approve").await;
        returned.outcome_of(&returned.review("m-1")).await;
        let payment = format!("{}/release", returned.review("m-1"));
        let case = returned.ask_back(&payment, jiff::Timestamp::now(), 30_000).await.case;
        drawn.play("1 client approve 28000").await;
        drawn.outcome_of(&drawn.review("m-1")).await;
        for story in [&bonus, &returned, &drawn] {
            let late = Fault::Late(Duration::from_secs(8));
            world.bank.set_fault(Some(&Id::new(&story.card()).unwrap()), late, 1).await.unwrap();
        }
        let card = drawn.card();
        let depositing = drawn.fund("d-2", "m-2", 5_000, &card);
        let killing = async {
            bonus.play("1 client approve 35000").await;
            returned.play("1 freelancer approve").await;
            for (story, expected) in [
                (&bonus, "charge 30000, charge 5000"),
                (&returned, "charge 30000, refund 30000"),
                (&drawn, "charge 30000, charge 3000"),
            ] {
                until_at_the_bank(&world, &story.card(), expected).await;
            }
            world.kill_worker().await;
            assert_eq!(returned.ledger().await, "deposit 30000, release 30000", "killed before the posting");
            assert_eq!(drawn.ledger().await, "deposit 30000, release 28000", "killed before the posting");
            assert!(!bonus.ledger().await.contains("bonus"), "killed before the posting");
            world.check_money().await;
            world.start_worker().await;
        };
        let (deposit, ()) = tokio::join!(depositing, killing);
        assert_eq!((deposit.charged.unwrap().minor(), deposit.from_held.unwrap().minor()), (3_000, 2_000));
        assert_eq!(bonus.outcome_of(&bonus.review("m-1")).await.bonus.minor(), 5_000);
        assert_eq!(shown(&returned.outcome_of(&case).await), "refunded freelancer_approval P2 0/30000/0");
        for (story, expected) in [
            (&bonus, "charge 30000, charge 5000"),
            (&returned, "charge 30000, refund 30000"),
            (&drawn, "charge 30000, charge 3000"),
        ] {
            assert_eq!(at_the_bank(&world, &story.card()).await, expected);
        }
        world.check_money().await;
        world.stop_worker().await;
    });
}

/// L6: an effect asks again about an unknown result, and never guesses.
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

/// A1: a share whose charge is declined counts as not paid.
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
        let declined = |status: &recourse_domain::messages::Status| {
            status.timeline.iter().any(|entry| serde_json::to_value(entry.what).unwrap() == "arbitration_fee_declined")
        };
        story.wait(&story.dispute, declined).await;
        story.play("10").await;
        assert_eq!(shown(&story.outcome().await), "refunded arbitration_default A2 0/20000/0");
        assert_eq!(story.ledger().await, "deposit 20000, refund 20000");
    });
}

/// Waits until the bank has moved this for the card.
async fn until_at_the_bank(world: &World, card: &str, expected: &str) {
    for _ in 0..1_000 {
        if at_the_bank(world, card).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the bank never got to {expected}: {}", at_the_bank(world, card).await);
}

/// L5: the worker is killed between the bank's act and the posting of a deposit, a refund and a fee. The next one finds the
/// bank's movement and posts it, once.
#[test]
fn a_worker_killed_between_bank_and_ledger_loses_and_repeats_nothing() {
    run(async {
        let world = World::apart("killed", &[]).await;
        let (deposited, mut refunded, mut charged) =
            (Story::new(&world, "kill-a"), Story::new(&world, "kill-b"), Story::new(&world, "kill-c"));
        let cards = [deposited.card(), refunded.card(), charged.card()];
        refunded.deposit("d-1", 30_000, &cards[1]).await;
        refunded.end(10_000, Value::Null).await;
        charged.deposit("d-1", 20_000, &cards[2]).await;
        charged.end(0, Value::Null).await;
        charged.play("1 freelancer claim 15000; 2 client reject claim; 3 mediator close").await;
        for card in &cards {
            let late = Fault::Late(Duration::from_secs(8));
            world.bank.set_fault(Some(&Id::new(card).unwrap()), late, 1).await.unwrap();
        }
        let depositing = deposited.deposit("d-1", 5_000, &cards[0]);
        let killing = async {
            refunded.play("1 freelancer approve").await;
            charged.play("3.1 client demand").await;
            for (card, expected) in [
                (&cards[0], "charge 5000"),
                (&cards[1], "charge 30000, refund 20000"),
                (&cards[2], "charge 20000, charge 33750"),
            ] {
                until_at_the_bank(&world, card, expected).await;
            }
            world.kill_worker().await;
            assert_eq!(deposited.ledger().await, "", "killed before the posting");
            assert_eq!(refunded.ledger().await, "deposit 30000, release 10000", "killed before the posting");
            assert_eq!(charged.ledger().await, "deposit 20000", "killed before the posting");
            world.start_worker().await;
        };
        let (deposit, ()) = tokio::join!(depositing, killing);
        assert_eq!(shown(&deposit), "deposited rule E2 0/0/0");
        assert_eq!(shown(&refunded.outcome().await), "settled freelancer_approval R4 10000/20000/0");
        charged.play("10.2").await;
        assert_eq!(shown(&charged.outcome().await), "refunded arbitration_sole_demand A3 0/20000/0");
        assert_eq!(deposited.ledger().await, "deposit 5000");
        assert_eq!(refunded.ledger().await, "deposit 30000, release 10000, refund 20000");
        assert_eq!(charged.ledger().await, "deposit 20000, fee 33750, refund 20000, fee_return 33750");
        for (card, expected) in [
            (&cards[0], "charge 5000"),
            (&cards[1], "charge 30000, refund 20000"),
            (&cards[2], "charge 20000, charge 33750, refund 20000, refund 33750"),
        ] {
            assert_eq!(at_the_bank(&world, card).await, expected);
        }
        world.check_money().await;
    });
}

/// L7: each command of a refund request and of a dispute, twice at once under its key, acts once: the ledger and the timeline
/// show one of each.
#[test]
fn each_command_twice_acts_once() {
    const CLAIMED: &str = "1 freelancer claim 15000";
    const MEDIATED: &str = "1 freelancer claim 15000; 2 client reject claim";
    let rows = [
        ("", "freelancer approve", "refund_approved"),
        ("", "client release", "refund_request_released"),
        ("", "operator extend 5", "extended"),
        (CLAIMED, "client accept claim", "claim_accepted"),
        (CLAIMED, "freelancer amend 9000", "claim_amended"),
        (CLAIMED, "freelancer withdraw", "claim_withdrawn"),
        (CLAIMED, "client offer 9000", "offer_made"),
        ("1 freelancer claim 15000; 2 client offer 9000", "client retract 1", "offer_retracted"),
        ("1 freelancer claim 15000; 2 client offer 9000", "freelancer reject offer 1", "offer_rejected"),
        ("1 freelancer claim 15000; 2 client offer 9000", "freelancer accept offer 1", "offer_accepted"),
        (MEDIATED, "mediator propose 9000", "resolution_proposed"),
        (
            "1 freelancer claim 15000; 2 client reject claim; 3 mediator propose 9000",
            "client accept resolution",
            "resolution_accepted",
        ),
        (
            "1 freelancer claim 15000; 2 client reject claim; 3 mediator propose 9000",
            "client reject resolution",
            "resolution_rejected",
        ),
    ];
    run(async {
        let world = World::shared().await;
        let play = async |(before, command, what): (&str, &str, &str)| {
            let mut story = Story::new(world, "each-twice");
            story.deposit("d-1", 20_000, "card-1").await;
            story.end(0, Value::Null).await;
            story.play(before).await;
            let (who, words) = command.split_once(' ').unwrap();
            let (command_kind, mut body) = story.command(who, words);
            body.insert("key".into(), json!("one"));
            let case = story.case().to_owned();
            let (first, second) = tokio::join!(
                world.client.command(&case, command_kind, body.clone()),
                world.client.command(&case, command_kind, body)
            );
            assert_eq!(first.unwrap().stage, second.unwrap().stage, "{command}");
            let status = world.status(&case).await;
            let happened =
                status.timeline.iter().filter(|entry| serde_json::to_value(entry.what).unwrap() == what).count();
            assert_eq!(happened, 1, "{command}: {:?}", status.timeline);
        };
        join_all(rows.map(|row| Box::pin(play(row)))).await;
        world.check_money().await;
    });
}

/// L7: a whole story with every start and command twice, as updates at once and as a signal: one movement each.
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
                story.wait(&story.refund_request, |status| status.stage == Stage::Disputed).await;
                story.opened_child().await;
            }
            let (command_kind, mut body) = story.command(who, words);
            body.insert("key".into(), json!(format!("key of {words}")));
            let signal = serde_json::to_vec(&body).unwrap();
            let (first, second) = tokio::join!(
                world.client.command(&case, command_kind, body.clone()),
                world.client.command(&case, command_kind, body.clone())
            );
            let (first, second) = (first.unwrap(), second.unwrap());
            assert_eq!(first.stage, second.stage, "{words}: the second gets the first one's answer");
            if words != "award 12000" {
                world.client.signal(&case, command_kind.name(), signal).await.unwrap();
                assert_eq!(world.client.command(&case, command_kind, body).await.unwrap().case, case);
            }
            if words == "demand" && who == "freelancer" {
                story.wait(&case, |status| status.stage == Stage::InArbitration).await;
            }
        }
        assert_eq!(shown(&story.outcome().await), "settled arbitration_award A5 17000/3000/0");
        assert_eq!(
            story.ledger().await,
            "deposit 20000, release 5000, fee 33750, fee 33750, release 12000, refund 3000"
        );
        // Long after: the case is closed, and the repeated award gets its first answer.
        let (command_kind, mut body) = story.command("arbitrator", "award 12000");
        body.insert("key".into(), json!("key of award 12000"));
        let again = world.client.command(&story.dispute, command_kind, body).await;
        assert!(again.is_ok(), "the answer of a closed case's command is kept: {again:?}");
        assert_eq!(command_kind, CommandKind::Award);
        world.check_money().await;
    });
}
