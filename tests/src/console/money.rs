//! Money outside cases, by clicking: an operator handles refunds in suspense, and a freelancer disputes held-over money.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use recourse_database::Database;
use recourse_domain::{ids::Id, stage::Stage};
use recourse_ledger::Ledger;
use recourse_notifications::NoticeBook;
use recourse_payments::{Fault, SandboxBank};
use recourse_refunds::{RefundDesk, Report};
use serde_json::Value;

use super::{browser::Person, parties::of_personas};
use crate::{
    api::Served,
    harness::{Story, World, run},
    retried::{breaks, until_retried},
};

/// A contract that ended, whose refund has three legs: the bank declined two, and one never arrives.
async fn in_suspense(world: &World) -> Story<'_> {
    let mut story = of_personas(world, "suspense");
    for (deposit, card) in [("d-1", "card-1"), ("d-2", "card-2"), ("d-3", "card-3")] {
        story.deposit(deposit, 10_000, card).await;
    }
    for card in ["card-1", "card-2"] {
        world.bank.set_fault(Some(&Id::new(card).unwrap()), Fault::Decline, 1).await.unwrap();
    }
    story.end(0, Value::Null).await;
    story.play("1 freelancer approve").await;
    story.outcome().await;
    let database = Database::connect(&world.database_url).await.unwrap();
    let bank = Arc::new(SandboxBank::new(database.clone()));
    let desk = RefundDesk::new(Ledger::new(database.clone()), bank, NoticeBook::new(database.clone()));
    desk.park_overdue(Timestamp::now() + SignedDuration::from_hours(24 * 30)).await.unwrap();
    database.close().await;
    story
}

/// R8: an operator sends money in suspense again, pays it otherwise, or states that it failed; each page says what that does.
#[test]
fn an_operator_handles_refunds_in_suspense_by_clicking() {
    run(async {
        let world = World::apart("suspense", &[]).await;
        let served = Served::played(&world).await;
        let story = in_suspense(&world).await;
        let suspense = async || {
            let history = world.ledger.history(&story.id(), Timestamp::now()).await.unwrap().unwrap();
            history.balances.suspense
        };
        assert_eq!(suspense().await, 30_000);
        let olga = Person::signed_in(&served.url, "Olga").await;
        olga.open("/operator").await;
        olga.click("/refund:d-1").await;
        olga.look("refund-in-suspense").await;
        let stale = olga.path().await;
        olga.click("Send it again").await;
        olga.reads(&["100.00 USD leaves suspense and goes to card-1 once more"]).await;
        olga.click("Confirm: Send it again").await;
        olga.reads(&["Done.", "Issued"]).await;
        assert_eq!(suspense().await, 20_000);
        // It was sent on: nobody can do anything with the old refund any more.
        olga.open(&format!("{stale}/pay")).await;
        olga.reads(&["The refund is retried now", "Nothing was done"]).await;

        olga.open("/operator").await;
        olga.click("/refund:d-2").await;
        olga.click("Pay it to another account").await;
        olga.type_into("account", "bank-7").await;
        olga.type_into("reference", "TX-9").await;
        olga.click("See what this does").await;
        olga.reads(&["100.00 USD leaves suspense and goes to bank-7 in place of card-2. This is final."]).await;
        olga.look("refund-to-be-paid").await;
        olga.click("Confirm: Pay it to another account").await;
        olga.reads(&["Done.", "Paid otherwise", "TX-9", "operator ops-1"]).await;
        assert_eq!(suspense().await, 10_000);

        olga.open("/operator").await;
        olga.click("/refund:d-3").await;
        olga.click("State that it has failed").await;
        olga.type_into("reference", "letter of 3 May").await;
        olga.reads(&["No money moves: 100.00 USD stays in suspense"]).await;
        olga.click("Confirm: State that it has failed").await;
        olga.reads(&["Done.", "given up by operator ops-1: letter of 3 May", "Send it again"]).await;
        assert_eq!(suspense().await, 10_000);
        let ada = Person::signed_in(&served.url, "Ada").await;
        ada.open(&stale).await;
        ada.reads(&["Only operators see to refunds"]).await;
        for person in [olga, ada] {
            person.leave().await;
        }
        world.check_money().await;
    });
}

/// L9: while the bank fails every page says that the money has not moved, and only operators read why; afterwards that the
/// refund is on its way, with the date; and after the bank's report that it has arrived, or is in suspense.
#[test]
fn every_page_says_where_a_refund_is() {
    run(async {
        let world = World::apart("where-it-is", &[]).await;
        let served = Served::played(&world).await;
        let mut story = of_personas(&world, "where-it-is");
        story.deposit("d-1", 10_000, "card-1").await;
        story.deposit("d-2", 20_000, "card-2").await;
        story.end(0, Value::Null).await;
        breaks(&world, "card-2").await;
        story.play("0 freelancer approve").await;
        until_retried(&world, &story.refund_request).await;
        let (case, contract) = (format!("/cases/{}", story.refund_request), format!("/contracts/{}", story.id()));
        let (ada, olga) = (Person::signed_in(&served.url, "Ada").await, Person::signed_in(&served.url, "Olga").await);
        ada.open(&case).await;
        ada.reads(&["its money has not all moved yet", "200.00 USD back to Ada: has not moved yet", "Tried again"])
            .await;
        ada.look("refund-that-is-tried-again").await;
        assert!(!ada.text().await.contains("broke off"), "a try's error is for operators");
        ada.open(&contract).await;
        ada.reads(&["Has not moved yet", "200.00 USD back to Ada"]).await;
        assert!(!ada.text().await.contains("Back with the client"));
        olga.open("/operator").await;
        olga.reads(&["Money that is being tried again", "200.00 USD back to the client", "broke off"]).await;
        olga.look("operator-with-money-that-is-tried-again").await;

        world.bank.clear_faults().await.unwrap();
        story.outcome().await;
        ada.open(&case).await;
        ada.reads(&["200.00 USD back to Ada: on its way, expected by", "100.00 USD back to Ada: on its way"]).await;
        ada.open(&contract).await;
        ada.reads(&["On its way back to the client", "300.00 USD, expected by", "Refund to Ada: on its way"]).await;
        assert!(!ada.text().await.contains("Back with the client"));
        olga.open("/operator").await;
        assert!(!olga.text().await.contains("broke off"));

        let database = Database::connect(&world.database_url).await.unwrap();
        let bank = Arc::new(SandboxBank::new(database.clone()));
        let desk = RefundDesk::new(Ledger::new(database.clone()), bank, NoticeBook::new(database.clone()));
        let refund = |deposit: &str| format!("{}/refund:{deposit}", story.refund_request);
        desk.report(&refund("d-2"), &Report::Settled).await.unwrap();
        desk.report(&refund("d-1"), &Report::Failed { reason: "closed".to_owned() }).await.unwrap();
        database.close().await;
        ada.open(&case).await;
        ada.reads(&[
            "200.00 USD back to Ada: arrived",
            "did not arrive, and is in suspense",
            "kept safe until an operator",
        ])
        .await;
        ada.open(&contract).await;
        ada.reads(&["Back with the client", "In suspense", "kept safe until an operator"]).await;
        ada.look("contract-with-money-in-suspense").await;
        for person in [ada, olga] {
            person.leave().await;
        }
        world.check_money().await;
    });
}

/// D1, E6: only the freelancer can file a dispute about a milestone's held-over money, from the contract's page.
#[test]
fn a_dispute_about_held_over_money_is_filed_by_clicking() {
    run(async {
        let world = World::apart("held-over", &[]).await;
        let served = Served::played(&world).await;
        let mut story = of_personas(&world, "held-over");
        story.fund("d-1", "m-1", 20_000, "card-1").await;
        story.submit("m-1", 1, 20_000).await;
        story.play("0 client approve 15000").await;
        story.outcome_of(&story.review("m-1")).await;
        let contract = format!("/contracts/{}", story.id());
        let (ada, ben) = (Person::signed_in(&served.url, "Ada").await, Person::signed_in(&served.url, "Ben").await);
        ben.open(&contract).await;
        ben.look("contract-with-money-held-over").await;
        ben.click("50.00 USD that was held over from milestone m-1").await;
        let form = ben.path().await;
        ben.type_into("amount", "30.00").await;
        ben.choose("reason", "work_delivered").await;
        ben.type_into("details", "All of it was used.").await;
        ben.look("dispute-by-itself").await;
        ben.tick("I contacted Ada, and it did not help").await;
        ben.click("See what this does").await;
        ben.reads(&["30.00 USD goes to Ben, 20.00 USD stays in escrow", "All of it was used."]).await;
        ben.click("Confirm: file the dispute").await;
        ben.reads(&["The dispute is filed", "30.00 USD", "All of it was used."]).await;
        let status = world.opened(&format!("dispute:{}:m-1", story.id())).await;
        assert_eq!((status.held.minor(), status.stage), (5_000, Stage::AwaitingClient));

        ben.open(&format!("{form}?grounds=partial_release&about=m-1")).await;
        ben.reads(&["The contract has moved on"]).await;
        ada.open(&contract).await;
        ada.reads(&["Where the money is", "Transactions"]).await;
        assert!(!ada.text().await.contains("Dispute money in escrow"));
        ada.open(&format!("{form}?grounds=partial_release&about=m-1")).await;
        ada.reads(&["Only the freelancer files a dispute here"]).await;
        for person in [ada, ben] {
            person.leave().await;
        }
        world.check_money().await;
    });
}
