//! The rules at their edges: the smallest amounts, other currencies, everything claimed, everybody silent at once.

use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    harness::{Story, World, run, shown},
    lateness::pass_deadline,
};

/// L1, M3, E6, R7: one minor unit is divided, held over and refunded like any other amount, in currencies without minor units
/// and with two or three digits.
#[test]
fn one_minor_unit_is_an_amount_in_every_currency() {
    run(async {
        let world = World::shared().await;
        join_all(["JPY", "USD", "KWD"].map(|currency| {
            Box::pin(async move {
                let currency = json!({"currency": currency});
                let mut story = Story::new(world, "smallest").with(&currency);
                story.deposit("d-1", 1, &story.card()).await;
                story.end(0, Value::Null).await;
                story.play("1 freelancer claim 1; 2 client reject claim; 3 mediator propose 0").await;
                story.play("4 client accept resolution; 4.1 freelancer accept resolution").await;
                assert_eq!(shown(&story.outcome().await), "refunded resolution_accepted M5 0/1/0", "{currency}");
                assert_eq!(story.ledger().await, "deposit 1, refund 1");
                // One of two units is released and one held over; the next deposit draws on it.
                let mut story = Story::new(world, "two").with(&currency);
                story.fund("d-1", "m-1", 2, &story.card()).await;
                story.submit("m-1", 1, 2).await;
                story.play("1 client approve 1").await;
                assert_eq!(shown(&story.outcome_of(&story.review("m-1")).await), "released client_approval E6 1/0/1");
                let next = story.fund("d-2", "m-2", 2, &story.card()).await;
                assert_eq!((next.charged.unwrap().minor(), next.from_held.unwrap().minor()), (1, 1), "{currency}");
                // Two deposits of one, and a refund that spans them.
                let mut story = Story::new(world, "span").with(&currency);
                story.deposit("d-1", 1, &story.card()).await;
                story.deposit("d-2", 1, "card-2").await;
                story.end(0, Value::Null).await;
                story.play("1 freelancer approve").await;
                story.outcome().await;
                assert_eq!(story.ledger().await, "deposit 1, deposit 1, refund 1, refund 1");
            })
        }))
        .await;
        world.check_money().await;
    });
}

/// D3, R5: a claim of exactly the held amount leaves nothing, and one unit more is refused.
#[test]
fn a_claim_may_equal_what_is_held() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "equal");
        story.fund("d-1", "m-1", 30_000, &story.card()).await;
        story.submit("m-1", 1, 30_000).await;
        let error = story.say("freelancer", "claim 30001").await.unwrap_err().to_string();
        assert!(error.starts_with("Invalid: ") && error.contains("300.00 USD in dispute"), "{error}");
        story.play("1 freelancer claim 30000; 6.1").await;
        assert_eq!(shown(&story.outcome_of(&story.review("m-1")).await), "released client_silence D3 30000/0/0");
        assert_eq!(story.ledger().await, "deposit 30000, release 30000");
    });
}

/// T2, E4, R4, D3, M2, M6, A2, P2: silence in every stage at once, with every worker down while the deadlines pass.
#[test]
fn silence_decides_in_every_stage_at_once() {
    run(async {
        let world = World::apart("silent", &[]).await;
        let without_reminders = json!({"reminder_hours": []});
        let mut cases: Vec<(Story, String, &str)> = Vec::new();

        let mut story = Story::new(&world, "review");
        story.fund("d-1", "m-1", 30_000, "card-1").await;
        story.submit_with("m-1", 1, 30_000, without_reminders.clone()).await;
        let case = story.review("m-1");
        cases.push((story, case, "released client_silence E4 30000/0/0"));

        for (before, outcome) in [
            ("", "refunded freelancer_silence R4 0/30000/0"),
            ("0.1 freelancer claim 20000", "settled client_silence D3 20000/10000/0"),
            (
                "0.1 freelancer claim 20000; 0.2 client reject claim; 0.3 mediator propose 9000; 0.4 client reject resolution",
                "refunded arbitration_default A2 0/30000/0",
            ),
        ] {
            let mut story = Story::new(&world, "ended");
            story.deposit("d-1", 30_000, "card-1").await;
            story.end(0, without_reminders.clone()).await;
            story.play(before).await;
            let case = story.case().to_owned();
            cases.push((story, case, outcome));
        }
        let mut deadlines = Vec::new();
        for (_, case, _) in &cases {
            deadlines.push(world.status(case).await.deadline.unwrap());
        }
        world.stop_worker().await;
        for ((_, case, _), deadline) in cases.iter().zip(deadlines) {
            pass_deadline(&world, case, deadline).await;
        }
        world.start_worker().await;
        for (story, case, outcome) in &cases {
            assert_eq!(shown(&story.outcome_of(case).await), *outcome, "{case}");
        }
        world.check_money().await;
        world.stop_worker().await;
    });
}

/// M2: the limit counts from the filing by the case's own clock, however far the refund request's clock was advanced before.
#[test]
fn mediation_lasts_until_21_days_after_the_filing() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "limit");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, json!(null)).await;
        story.play("6 freelancer claim 10000").await;
        let filed = world.client.virtual_now(&story.dispute).await.unwrap();
        story.play("8 client reject claim").await;
        let status = world.status(&story.dispute).await;
        let lasts = status.deadline.unwrap().duration_since(filed);
        assert!((lasts - SignedDuration::from_hours(21 * 24)).abs() < SignedDuration::from_hours(1), "{lasts:?}");
    });
}
