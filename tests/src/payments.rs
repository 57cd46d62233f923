//! The client asks for released money back on the real server (P1–P4).

use jiff::{SignedDuration, Timestamp};
use recourse_domain::{messages::Status, posting::Account, stage::Stage};

use crate::harness::{Story, World, run, shown};

/// A released milestone of 300.00, its payment's id, and when it was released.
async fn released(world: &'static World, name: &str) -> (Story<'static>, String, Timestamp) {
    let mut story = Story::new(world, name);
    story.fund("d-1", "m-1", 20_000, &story.card()).await;
    story.deposit("d-2", 20_000, &story.card()).await;
    story.submit("m-1", 1, 30_000).await;
    story.play("0.1 client approve").await;
    story.outcome_of(&story.review("m-1")).await;
    let history = world.ledger.history(&story.id(), Timestamp::now()).await.unwrap().unwrap();
    let entry = history.entries.iter().find(|entry| entry.kind == "release").unwrap();
    assert_eq!(entry.id, format!("{}/release", story.review("m-1")));
    (story, entry.id.clone(), entry.at.parse().unwrap())
}

fn refused(status: &Status) -> String {
    let outcome = status.outcome.as_ref().unwrap_or_else(|| panic!("{status:?}"));
    format!("{} {} {}", outcome.result.name(), outcome.rule, outcome.message.as_deref().unwrap_or_default())
}

/// P2, P4, R7: the freelancer returns all, a part or nothing, over several requests, and never more than the rest; each return
/// goes to the deposits that paid it, as a movement of its own.
#[test]
fn a_payment_is_returned_in_parts_over_several_requests() {
    run(async {
        let world = World::shared().await;
        let (mut story, payment, at) = released(world, "parts").await;
        let case = format!("payment-refund:{payment}");
        for (asked, play, outcome) in [
            (30_000, "1 freelancer approve 5000", "refunded freelancer_approval P2 0/5000/0"),
            (25_000, "1 freelancer keep", "declined freelancer_rejection P2 0/0/0"),
            (25_000, "1 freelancer approve", "refunded freelancer_approval P2 0/25000/0"),
        ] {
            let status = story.ask_back(&payment, at, asked).await;
            assert_eq!(status.stage, Stage::AwaitingFreelancer, "{status:?}");
            story.play(play).await;
            assert_eq!(shown(&story.outcome_of(&case).await), outcome);
            let more = story.ask_back(&payment, at, 30_000).await;
            assert!(refused(&more).starts_with("refused P4 "), "more than is left of it: {more:?}");
            story.outcome_of(&case).await;
        }
        let ledger = story.ledger().await;
        assert_eq!(ledger, "deposit 20000, deposit 20000, release 30000, return 5000, return 15000, return 10000");
        let payee = Account::payee(&serde_json::from_value(story.contract.clone()).unwrap());
        let balances = world.ledger.payee(&payee, at).await.unwrap();
        assert!(balances.iter().all(|balance| (balance.pending, balance.available) == (0, 0)), "{balances:?}");
        world.check_money().await;
    });
}

/// P2: silence returns nothing.
#[test]
fn silence_returns_nothing() {
    run(async {
        let world = World::shared().await;
        let (mut story, payment, at) = released(world, "silence").await;
        let status = story.ask_back(&payment, at, 30_000).await;
        assert_eq!(serde_json::to_value(status.if_silent).unwrap(), "return_nothing");
        let days = status.deadline.unwrap().duration_since(world.client.virtual_now(&status.case).await.unwrap());
        story.until(days.as_secs_f64() / 86_400.0 + 0.1).await;
        assert_eq!(shown(&story.outcome_of(&status.case).await), "declined freelancer_silence P2 0/0/0");
        assert_eq!(story.ledger().await, "deposit 20000, deposit 20000, release 30000");
    });
}

/// P1, E1: up to 180 days after the release, and only for a payment of the same contract.
#[test]
fn a_request_for_an_old_or_foreign_payment_is_refused() {
    run(async {
        let world = World::shared().await;
        let (mut story, payment, at) = released(world, "old").await;
        let case = format!("payment-refund:{payment}");
        let late = story.ask_back(&payment, at - SignedDuration::from_hours(181 * 24), 1).await;
        assert!(refused(&late).starts_with("refused P1 "), "{late:?}");
        story.outcome_of(&case).await;
        let just = story.ask_back(&payment, Timestamp::now() - SignedDuration::from_hours(179 * 24), 1).await;
        assert_eq!(just.stage, Stage::AwaitingFreelancer, "{just:?}");
        let unknown = story.ask_back("milestone-review:nobody:m-1/release", at, 1).await;
        assert!(refused(&unknown).starts_with("refused P1 "), "{unknown:?}");
        let deposit = story.ask_back(&format!("escrow-deposit:{}:d-1/deposit", story.id()), at, 1).await;
        assert!(refused(&deposit).starts_with("refused P1 "), "a deposit is no payment: {deposit:?}");
        story.on(&case);
        story.play("1 freelancer keep").await;
        story.outcome_of(&case).await;
        let (mut other, ..) = released(world, "foreign").await;
        let foreign = other.ask_back(&payment, at, 1).await;
        assert!(refused(&foreign).contains("has no release with the id"), "{foreign:?}");
    });
}

/// P3: mediation help is possible within 30 days of the release, not later; the opinion binds nobody.
#[test]
fn mediation_help_ends_after_thirty_days() {
    run(async {
        let world = World::shared().await;
        let (mut story, payment, at) = released(world, "help").await;
        let status = story.ask_back(&payment, at, 30_000).await;
        story.play("20 client ask; 21 mediator opinion; 22 freelancer keep").await;
        let ended = story.wait(&status.case, |status| status.stage == Stage::Closed).await;
        assert_eq!(ended.particulars.payment.unwrap().opinion.as_deref(), Some("Half of it would be fair."));
        assert_eq!(shown(&story.outcome_of(&status.case).await), "declined freelancer_rejection P2 0/0/0");
        let (mut story, payment, at) = released(world, "toolate").await;
        story.ask_back(&payment, at, 30_000).await;
        story.until(31.0).await;
        let error = story.say("client", "ask").await.unwrap_err().to_string();
        assert!(error.starts_with("TooLate: ") && error.contains("P3"), "{error}");
        world.check_money().await;
    });
}

/// P4, E7: a bonus is a payment too, and its return goes back to the billing method that was charged.
#[test]
fn a_bonus_can_be_returned() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "bonusback");
        story.fund("d-1", "m-1", 30_000, &story.card()).await;
        story.submit("m-1", 1, 30_000).await;
        story.play("1 client approve 34000").await;
        story.outcome_of(&story.review("m-1")).await;
        let payment = format!("{}/bonus", story.review("m-1"));
        let status = story.ask_back(&payment, Timestamp::now(), 4_000).await;
        assert_eq!(status.payment.as_ref().unwrap().left.minor(), 4_000, "{status:?}");
        story.play("1 freelancer approve").await;
        assert_eq!(shown(&story.outcome_of(&status.case).await), "refunded freelancer_approval P2 0/4000/0");
        assert!(story.ledger().await.ends_with("return 4000"));
        world.check_money().await;
    });
}
