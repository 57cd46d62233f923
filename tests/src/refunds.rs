//! What happens to a refund after it was issued, on the real server and with the operator's commands (R8).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use recourse_database::Database;
use recourse_domain::ids::Id;
use recourse_ledger::Ledger;
use recourse_notifications::NoticeBook;
use recourse_payments::{Fault, SandboxBank};
use recourse_refunds::RefundDesk;
use serde_json::Value;

use crate::{
    command_line::recourse,
    harness::{Story, World, run, shown},
};

/// A contract that ended with 300.00 of two cards in escrow, all refunded. The bank has reported nothing yet.
async fn refunded<'a>(world: &'a World, name: &str) -> Story<'a> {
    let mut story = Story::new(world, name);
    story.deposit("d-1", 10_000, &story.card()).await;
    story.deposit("d-2", 20_000, "card-2").await;
    story.end(0, Value::Null).await;
    story.play("1 freelancer approve").await;
    assert_eq!(shown(&story.outcome().await), "refunded freelancer_approval R4 0/30000/0");
    story
}

async fn done(world: &World, arguments: &[&str]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let ran = recourse(world, directory.path(), &[arguments, &["--json"]].concat()).await;
    assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.out, ran.err);
    ran.json()
}

/// The contract's refunds as `refund:d-2 issued, …`.
async fn states(world: &World, contract: &Id) -> String {
    let list = done(world, &["refunds", "--contract", contract.as_str()]).await;
    let rows = list["refunds"].as_array().unwrap().iter().map(|row| {
        let id = row["id"].as_str().unwrap().split_once('/').unwrap().1.to_owned();
        format!("{id} {}", row["state"].as_str().unwrap())
    });
    rows.collect::<Vec<_>>().join(", ")
}

async fn suspense(world: &World, contract: &Id) -> (i64, i64) {
    let history = world.ledger.history(contract, Timestamp::now()).await.unwrap().unwrap();
    (history.balances.suspense, history.balances.client)
}

/// R7, R8: each leg is issued with the day on which it should arrive, and settles when the bank reports it. A failed one is
/// parked, its operator and its client get a notice, and the operator sends it again or pays it otherwise; each of these is a
/// movement of the ledger.
#[test]
fn a_refund_settles_or_an_operator_handles_it() {
    run(async {
        let world = World::shared().await;
        let story = refunded(world, "arrives").await;
        let (contract, base) = (story.id(), story.refund_request.clone());
        assert_eq!(states(world, &contract).await, "refund:d-2 issued, refund:d-1 issued");
        let list = done(world, &["refunds", "--contract", contract.as_str(), "--open"]).await;
        let time = |name: &str| list["refunds"][0][name].as_str().unwrap().parse::<Timestamp>().unwrap();
        let days = time("expected_by").duration_since(time("issued_at")).as_hours() / 24;
        assert!((5..=8).contains(&days), "five working days: {days}");

        let (first, second) = (format!("{base}/refund:d-2"), format!("{base}/refund:d-1"));
        done(world, &["sandbox", "settle", &first]).await;
        done(world, &["sandbox", "fail", &second, "--reason", "the account is closed"]).await;
        assert_eq!(states(world, &contract).await, "refund:d-2 settled, refund:d-1 failed");
        assert_eq!(suspense(world, &contract).await, (10_000, 20_000));

        let operator = ["--as", "operator:op-1"];
        done(world, &[&["refunds", "retry", &second][..], &operator].concat()).await;
        assert_eq!(suspense(world, &contract).await, (0, 30_000));
        let retry = format!("{second}/retry:1");
        done(world, &["sandbox", "fail", &retry, "--reason", "still closed"]).await;
        let pay = ["refunds", "pay", &retry, "--to", "bank-7", "--reference", "TX-9"];
        done(world, &[&pay[..], &operator].concat()).await;
        assert_eq!(
            states(world, &contract).await,
            "refund:d-2 settled, refund:d-1 retried, refund:d-1/retry:1 paid_otherwise"
        );
        assert_eq!(suspense(world, &contract).await, (0, 30_000));
        assert_eq!(
            story.ledger().await,
            "deposit 10000, deposit 20000, refund 20000, refund 10000, to_suspense 10000, from_suspense 10000, to_suspense \
             10000, from_suspense 10000"
        );
        world.check_money().await;

        let directory = tempfile::tempdir().unwrap();
        for (arguments, code, word) in [
            (vec!["refunds", "retry", &retry, "--as", "operator:op-1"], 1, "not parked"),
            (vec!["refunds", "retry", "nobody/refund:d-1", "--as", "operator:op-1"], 1, "no refund"),
            (vec!["refunds", "retry", &retry, "--as", "client:cl-1"], 1, "NotAllowed"),
            (vec!["sandbox", "fail", &first, "--reason", "no"], 1, "final"),
            (vec!["sandbox", "settle", "nobody/refund:d-1"], 1, "no refund"),
        ] {
            let ran = recourse(world, directory.path(), &arguments).await;
            assert_eq!(ran.code, code, "{arguments:?}: {}{}", ran.out, ran.err);
            assert!(ran.err.contains(word), "{arguments:?}: {}", ran.err);
        }
        let told = done(world, &["notices", "--contract", contract.as_str()]).await;
        let events = |party: &str| {
            let of = told.as_array().unwrap().iter().filter(|notice| notice["recipient"] == party);
            of.filter(|notice| notice["event"] == "refund_failed").count()
        };
        assert_eq!((events("operator"), events("client"), events("freelancer")), (2, 2, 0), "{told}");
    });
}

/// R8: a refund that the bank declines for good does not keep the case open: the case ends, and the money waits in suspense.
#[test]
fn a_refund_that_the_bank_declines_is_parked_and_the_case_ends() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "declined");
        story.deposit("d-1", 10_000, &story.card()).await;
        story.end(0, Value::Null).await;
        world.bank.set_fault(Some(&Id::new(&story.card()).unwrap()), Fault::Decline, 1).await.unwrap();
        story.play("1 freelancer approve").await;
        assert_eq!(shown(&story.outcome().await), "refunded freelancer_approval R4 0/10000/0");
        assert_eq!(story.ledger().await, "deposit 10000, refund 10000, to_suspense 10000");
        assert_eq!(states(world, &story.id()).await, "refund:d-1 failed");
        assert_eq!(suspense(world, &story.id()).await, (10_000, 0));
        let refund = format!("{}/refund:d-1", story.refund_request);
        done(world, &["refunds", "retry", &refund, "--as", "operator:op-1"]).await;
        assert_eq!(suspense(world, &story.id()).await, (0, 10_000));
        world.check_money().await;
    });
}

/// R8: an overdue refund is parked, once, and leaves suspense if it settles after all.
#[test]
fn an_overdue_refund_is_parked_until_it_settles_after_all() {
    run(async {
        let world = World::apart("overdue", &[]).await;
        let story = refunded(&world, "overdue").await;
        let database = Database::connect(&world.database_url).await.unwrap();
        let desk = RefundDesk::new(
            Ledger::new(database.clone()),
            Arc::new(SandboxBank::new(database.clone())),
            NoticeBook::new(database.clone()),
        );
        let contract = story.id();
        desk.park_overdue(Timestamp::now() + SignedDuration::from_hours(24)).await.unwrap();
        assert_eq!(states(&world, &contract).await, "refund:d-2 issued, refund:d-1 issued", "they are not due yet");
        for _ in 0..2 {
            desk.park_overdue(Timestamp::now() + SignedDuration::from_hours(24 * 30)).await.unwrap();
        }
        assert_eq!(states(&world, &contract).await, "refund:d-2 overdue, refund:d-1 overdue");
        assert_eq!(suspense(&world, &contract).await, (30_000, 0));
        let settled = format!("{}/refund:d-2", story.refund_request);
        for _ in 0..2 {
            let _ = recourse(&world, tempfile::tempdir().unwrap().path(), &["sandbox", "settle", &settled]).await;
        }
        assert_eq!(states(&world, &contract).await, "refund:d-2 settled, refund:d-1 overdue");
        assert_eq!(suspense(&world, &contract).await, (10_000, 20_000));
        assert!(story.ledger().await.ends_with("to_suspense 20000, to_suspense 10000, from_suspense 20000"));
        world.check_money().await;
        database.close().await;
        world.stop_worker().await;
    });
}

/// R8, P2: Recourse follows a freelancer's return in the same way.
#[test]
fn a_returned_payment_that_does_not_arrive_is_parked_too() {
    run(async {
        let world = World::shared().await;
        let mut story = Story::new(world, "returned");
        story.fund("d-1", "m-1", 30_000, &story.card()).await;
        story.submit("m-1", 1, 30_000).await;
        story.play("1 client approve").await;
        story.outcome_of(&story.review("m-1")).await;
        let payment = format!("{}/release", story.review("m-1"));
        let case = story.ask_back(&payment, Timestamp::now(), 30_000).await.case;
        story.play("1 freelancer approve").await;
        story.outcome_of(&case).await;
        done(world, &["sandbox", "fail", &format!("{case}/return:d-1"), "--reason", "the card has expired"]).await;
        assert_eq!(suspense(world, &story.id()).await, (30_000, 0));
        assert_eq!(story.ledger().await, "deposit 30000, release 30000, return 30000, to_suspense 30000");
        world.check_money().await;
    });
}
