//! Every way in which a refund request and a dispute can end, on the real server, with the ledger to the cent.

use futures_util::future::join_all;
use recourse_domain::{outcome::Outcome, stage::Stage};
use serde_json::{Value, json};

use crate::harness::{Story, World, run, shown};

/// A story and its expected outcome.
struct Row {
    held: i64,
    pay_now: i64,
    policy: Value,
    story: &'static str,
    outcome: &'static str,
    /// The ledger after the deposit.
    ledger: &'static str,
}

const fn row(held: i64, pay_now: i64, story: &'static str, outcome: &'static str, ledger: &'static str) -> Row {
    Row { held, pay_now, policy: Value::Null, story, outcome, ledger }
}

async fn check(row: Row, world: &World) {
    let mut story = Story::new(world, "outcome");
    let mut expected = String::new();
    if row.held > 0 {
        let deposited = story.deposit("d-1", row.held, "card-1").await;
        assert_eq!(shown(&deposited), "deposited rule E2 0/0/0");
        expected = format!("deposit {}", row.held);
    }
    story.end(row.pay_now, row.policy.clone()).await;
    story.play(row.story).await;
    let outcome = story.outcome().await;
    let what = format!("held {}, pay {}, {}: {}", row.held, row.pay_now, row.policy, row.story);
    assert_eq!(shown(&outcome), row.outcome, "{what}");
    for entry in row.ledger.split(", ").filter(|entry| !entry.is_empty()) {
        expected.push_str(if expected.is_empty() { "" } else { ", " });
        expected.push_str(entry);
    }
    assert_eq!(story.ledger().await, expected, "{what}");
    let status = world.status(&story.refund_request).await;
    assert_eq!(status.outcome.as_ref(), Some(&outcome), "{what}");
    assert!(status.allowed.values().all(Vec::is_empty), "nothing can be done in a closed case");
    world.check_money().await;
}

async fn check_all(rows: Vec<Row>) {
    let world = World::shared().await;
    join_all(rows.into_iter().map(|row| Box::pin(check(row, world)))).await;
}

/// R1–R4, R7, R10: the refund request's ends without a dispute.
#[test]
fn a_refund_request_ends_as_the_rules_say() {
    run(check_all(vec![
        row(0, 0, "", "nothing_held contract_end R1 0/0/0", ""),
        row(30_000, 30_001, "", "refused rule R2 0/0/30000", ""),
        row(30_000, 30_000, "", "paid_in_full contract_end R2 30000/0/0", "release 30000"),
        row(30_000, 0, "7", "refunded freelancer_silence R4 0/30000/0", "refund 30000"),
        row(30_000, 10_000, "7", "settled freelancer_silence R4 10000/20000/0", "release 10000, refund 20000"),
        row(
            30_000,
            10_000,
            "3 freelancer approve",
            "settled freelancer_approval R4 10000/20000/0",
            "release 10000, refund 20000",
        ),
        row(30_000, 0, "6.9 freelancer approve", "refunded freelancer_approval R4 0/30000/0", "refund 30000"),
        row(1, 0, "1 freelancer approve", "refunded freelancer_approval R4 0/1/0", "refund 1"),
        row(
            30_000,
            10_000,
            "2 client release",
            "released client_release R10 30000/0/0",
            "release 10000, release 20000",
        ),
        row(
            30_000,
            0,
            "1 operator extend 24; 7.5 freelancer approve",
            "refunded freelancer_approval R4 0/30000/0",
            "refund 30000",
        ),
    ]));
}

/// R6, D2–D5, M3–M7: the dispute's ends before arbitration, with the parent's outcome including them.
#[test]
fn a_dispute_ends_as_the_rules_say() {
    const PAID: &str = "release 10000";
    let rows = [
        ("6", "settled client_silence D3 25000/5000/0", "release 15000, refund 5000"),
        ("2 client accept claim", "settled client_acceptance D3 25000/5000/0", "release 15000, refund 5000"),
        ("2 freelancer amend 20000; 3 client accept claim", "released client_acceptance D3 30000/0/0", "release 20000"),
        ("2 freelancer withdraw", "withdrawn freelancer_withdrawal D5 10000/20000/0", "refund 20000"),
        (
            "2 client offer 12000; 3 freelancer accept offer 1",
            "settled agreement M7 22000/8000/0",
            "release 12000, refund 8000",
        ),
        (
            "2 client reject claim; 3 freelancer offer 20000; 4 client accept offer 1",
            "released agreement M7 30000/0/0",
            "release 20000",
        ),
        (
            "2 client reject claim; 3 mediator propose 9000; 4 client accept resolution; 4.5 freelancer accept resolution",
            "settled resolution_accepted M5 19000/11000/0",
            "release 9000, refund 11000",
        ),
    ];
    run(check_all(
        rows.into_iter()
            .map(|(story, outcome, ledger)| {
                let story: &'static str = format!("1 freelancer claim 15000; {story}").leak();
                row(30_000, 10_000, story, outcome, format!("{PAID}, {ledger}").leak())
            })
            .collect(),
    ));
}

/// M2, M6, A1–A5: from the Notice of Non-Resolution to the last cent, fees included.
#[test]
fn arbitration_ends_as_the_rules_say() {
    const CLAIMED: &str = "1 freelancer claim 15000; 2 client reject claim";
    let rows = [
        ("3 mediator close; 10", "refunded arbitration_default A2 0/20000/0", "refund 20000"),
        ("22; 29", "refunded arbitration_default A2 0/20000/0", "refund 20000"),
        (
            "3 mediator propose 9000; 4 client reject resolution; 11",
            "refunded arbitration_default A2 0/20000/0",
            "refund 20000",
        ),
        (
            "3 mediator propose 9000; 4 client accept resolution; 5; 12",
            "refunded arbitration_default A2 0/20000/0",
            "refund 20000",
        ),
        (
            "3 mediator close; 4 client demand; 10",
            "refunded arbitration_sole_demand A3 0/20000/0",
            "fee 33750, refund 20000, fee_return 33750",
        ),
        (
            "3 mediator close; 4 freelancer demand; 10",
            "released arbitration_sole_demand A3 20000/0/0",
            "fee 33750, release 20000, fee_return 33750",
        ),
        (
            "3 mediator close; 4 freelancer demand; 5 client demand; 40 arbitrator award 12000",
            "settled arbitration_award A5 12000/8000/0",
            "fee 33750, fee 33750, release 12000, refund 8000",
        ),
        (
            "3 mediator close; 4 freelancer demand; 5 client offer 5000; 6 freelancer accept offer 1",
            "settled agreement M7 5000/15000/0",
            "fee 33750, release 5000, refund 15000, fee_return 33750",
        ),
    ];
    run(check_all(
        rows.into_iter()
            .map(|(story, outcome, ledger)| row(20_000, 0, format!("{CLAIMED}; {story}").leak(), outcome, ledger))
            .collect(),
    ));
}

/// D3, A2, D2: the effects of other policies.
#[test]
fn a_policy_changes_what_silence_does() {
    let proposed = "1 freelancer claim 15000; 2 client reject claim; 3 mediator propose 9000; 5; 12";
    let by = |policy: Value, story: &'static str, outcome: &'static str, ledger: &'static str| Row {
        held: 20_000,
        pay_now: 0,
        policy,
        story,
        outcome,
        ledger,
    };
    run(check_all(vec![
        by(
            json!({"client_silence": "all_held"}),
            "1 freelancer claim 15000; 6",
            "released client_silence D3 20000/0/0",
            "release 20000",
        ),
        by(
            json!({"no_arbitration": "release_freelancer"}),
            proposed,
            "released arbitration_default A2 20000/0/0",
            "release 20000",
        ),
        by(
            json!({"no_arbitration": "follow_resolution"}),
            proposed,
            "settled arbitration_default A2 9000/11000/0",
            "release 9000, refund 11000",
        ),
        by(json!({"no_arbitration": "hold"}), proposed, "on_hold arbitration_default A2 0/0/20000", ""),
        by(
            json!({"refund_response": {"days": 1, "unit": "calendar"}}),
            "1",
            "refunded freelancer_silence R4 0/20000/0",
            "refund 20000",
        ),
    ]));
}

/// R7: a refund goes back to the cards that were charged, newest deposit first, each leg its own movement.
#[test]
fn a_refund_spans_deposits_newest_first() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "legs");
        story.deposit("d-1", 10_000, "card-old").await;
        let second = story.deposit("d-2", 20_000, "card-new").await;
        assert_eq!(
            second.held.map(recourse_domain::money::Amount::minor),
            Some(30_000),
            "the escrow after the deposit"
        );
        story.end(5_000, Value::Null).await;
        story.play("7").await;
        assert_eq!(shown(&story.outcome().await), "settled freelancer_silence R4 5000/25000/0");
        let history = world.ledger.history(&story.id(), jiff::Timestamp::now()).await.unwrap().unwrap();
        let moved: Vec<_> = history
            .entries
            .iter()
            .map(|entry| format!("{} {} {}>{}", entry.kind, entry.amount, entry.debit, entry.credit))
            .collect();
        let (id, escrow) = (story.id(), format!("escrow:{}", story.id()));
        assert_eq!(
            moved,
            [
                format!("deposit 10000 source:card-old>{escrow}"),
                format!("deposit 20000 source:card-new>{escrow}"),
                format!("release 5000 {escrow}>freelancer:fl-{id}"),
                format!("refund 20000 {escrow}>source:card-new"),
                format!("refund 5000 {escrow}>source:card-old"),
            ]
        );
        world.check_money().await;
    });
}

/// E1: a freelancer's agency is paid; the freelancer or the agency's owner acts, another member is refused.
#[test]
fn an_agency_is_paid_and_its_owner_acts() {
    run(async {
        let world = World::shared().await;
        for who in ["freelancer", "agency"] {
            let mut story = Story::new(world, "agency");
            story.contract["freelancer"]["agency"] = json!({"id": format!("ag-{}", story.id()), "name": "Studio"});
            story.deposit("d-1", 30_000, "card-1").await;
            story.end(10_000, Value::Null).await;
            let (command_kind, mut body) = story.command("freelancer", "claim 15000");
            body["by"] = json!({"party": "freelancer", "id": "another-member"});
            let refused = world.client.command(story.case(), command_kind, body.clone()).await;
            assert!(refused.unwrap_err().to_string().starts_with("NotAllowed"));
            let id = if who == "agency" {
                &story.contract["freelancer"]["agency"]["id"]
            } else {
                &story.contract["freelancer"]["id"]
            };
            body["by"]["id"] = id.clone();
            world.client.command(story.case(), command_kind, body).await.unwrap();
            story.dispute_runs();
            story.opened_child().await;
            story.play("6").await;
            assert_eq!(shown(&story.outcome().await), "settled client_silence D3 25000/5000/0");
            let history = world.ledger.history(&story.id(), jiff::Timestamp::now()).await.unwrap().unwrap();
            let paid: Vec<_> = history
                .entries
                .iter()
                .filter(|entry| entry.kind == "release")
                .map(|entry| entry.credit.clone())
                .collect();
            assert_eq!(paid, [format!("agency:ag-{}", story.id()), format!("agency:ag-{}", story.id())]);
        }
    });
}

/// The outcome of another end of the contract.
async fn ended_again(story: &Story<'_>) -> Outcome {
    let again = story.again();
    again.end(0, Value::Null).await.outcome.expect("refused at once")
}

/// A2: the contract can end again after an operator has freed the money on hold; the second case has its own movements.
#[test]
fn a_contract_on_hold_can_be_ended_again() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "again");
        story.deposit("d-1", 20_000, "card-1").await;
        story.end(0, json!({"no_arbitration": "hold"})).await;
        story.play("1 freelancer claim 15000; 2 client reject claim; 3 mediator close; 10").await;
        assert_eq!(shown(&story.outcome().await), "on_hold arbitration_default A2 0/0/20000");
        let status = world.status(&story.dispute).await;
        assert_eq!((status.stage, status.held.minor()), (Stage::OnHold, 20_000));
        // Only an operator can move it.
        assert_eq!(shown(&ended_again(&story).await), "refused rule R1 0/0/0");
        assert_eq!(world.ledger.free(&story.dispute).await.unwrap().len(), 1);

        let mut second = story.again();
        second.end(12_000, Value::Null).await;
        second.play("1 freelancer approve").await;
        assert_eq!(shown(&second.outcome().await), "settled freelancer_approval R4 12000/8000/0");
        assert_eq!(second.ledger().await, "deposit 20000, release 12000, refund 8000");
        world.check_money().await;
    });
}

/// E2, E1, L7: the outcome of a deposit; the same deposit twice is one charge.
#[test]
fn a_deposit_charges_once_or_not_at_all() {
    run(async {
        let world = World::shared().await;
        let story = Story::new(world, "deposit");
        let card = story.card();
        let first = story.deposit("d-1", 30_000, &card).await;
        let amounts = |outcome: &recourse_domain::outcome::Outcome| {
            [outcome.charged, outcome.from_held, outcome.held]
                .map(|amount| amount.map(recourse_domain::money::Amount::minor))
        };
        assert_eq!(amounts(&first), [Some(30_000), Some(0), Some(30_000)]);
        assert_eq!(shown(&story.deposit("d-1", 30_000, &card).await), "deposited rule E2 0/0/0");
        assert_eq!(story.ledger().await, "deposit 30000", "the same deposit twice is one");
        let other = story.deposit("d-1", 40_000, &card).await;
        assert_eq!(shown(&other), "refused rule L2 0/0/0");

        world
            .bank
            .set_fault(Some(&recourse_domain::ids::Id::new(&card).unwrap()), recourse_payments::Fault::Decline, 1)
            .await
            .unwrap();
        let declined = story.deposit("d-2", 5_000, &card).await;
        assert_eq!(shown(&declined), "declined rule E2 0/0/0");
        assert!(declined.message.is_some());
        assert_eq!(story.ledger().await, "deposit 30000");
        world.check_money().await;
    });
}
