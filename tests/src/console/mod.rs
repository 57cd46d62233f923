//! The console in a real browser, and its answers to forged forms.

mod browser;
mod forms;
mod money;
mod pages;
mod parties;

use browser::Person;
use thirtyfour::Key;

use crate::{
    api::Served,
    harness::{World, run},
};

/// Makes a contract of the sandbox by a click; its id.
async fn contract_of(ada: &Person) -> String {
    ada.open("/sandbox").await;
    ada.click("Make it").await;
    ada.reads(&["End the contract"]).await;
    ada.path().await.rsplit('/').next().unwrap().to_owned()
}

/// Three people, three sessions: from the contract's end to an agreed resolution, by clicking.
#[test]
fn a_dispute_is_clicked_from_the_contracts_end_to_a_resolution() {
    run(async {
        let world = World::apart("clicked", &[]).await;
        let served = Served::played(&world).await;
        let ada = Person::signed_in(&served.url, "Ada").await;
        ada.look("home").await;
        let contract = contract_of(&ada).await;
        ada.look("contract").await;
        ada.type_into("pay_now", "100.00").await;
        ada.click("See what this does").await;
        ada.reads(&["100.00 USD goes to Ben now", "A refund of 200.00 USD is asked for"]).await;
        ada.look("end-the-contract").await;
        ada.click("Confirm: end the contract").await;
        ada.reads(&["200.00 USD"]).await;
        ada.look("refund-request-of-the-client").await;

        let ben = Person::signed_in(&served.url, "Ben").await;
        ben.open(&format!("/cases/refund-request:{contract}")).await;
        ben.look("refund-request-of-the-freelancer").await;
        ben.click("Dispute the refund").await;
        ben.type_into("amount", "150.00").await;
        ben.choose("reason", "work_delivered").await;
        ben.type_into("details", "The logo was delivered on Tuesday.").await;
        ben.click("See what this does").await;
        ben.look("dispute-to-be-confirmed").await;
        ben.click("Confirm").await;
        ben.reads(&["The dispute"]).await;

        let dispute = format!("/cases/dispute:{contract}");
        world.opened(&format!("dispute:{contract}")).await;
        ada.open(&dispute).await;
        ada.reads(&["150.00 USD", "The logo was delivered on Tuesday."]).await;
        ada.click("Reject the claim").await;
        ada.reads(&["final"]).await;
        ada.choose("reason", "incomplete").await;
        ada.type_into("details", "Only a sketch came.").await;
        ada.look("rejection").await;
        ada.click("Confirm").await;

        let mia = Person::signed_in(&served.url, "Mia").await;
        mia.open("/desk").await;
        mia.look("desk").await;
        mia.open(&dispute).await;
        mia.reads(&["The logo was delivered on Tuesday.", "Only a sketch came."]).await;
        mia.look("dispute-of-the-mediator").await;
        mia.type_into("to_freelancer", "90.00").await;
        mia.type_into("rationale", "Half of it is there.").await;
        mia.click("See what this does").await;
        mia.reads(&["90.00 USD", "110.00 USD"]).await;
        mia.click("Confirm").await;

        for (person, picture) in [(&ben, "resolution-of-the-freelancer"), (&ada, "resolution-of-the-client")] {
            person.open(&dispute).await;
            person.reads(&["Half of it is there."]).await;
            person.look(picture).await;
            person.click("Accept the resolution").await;
            person.click("Confirm").await;
        }
        let outcome = world.client.result(&format!("dispute:{contract}")).await.unwrap();
        assert_eq!((outcome.to_freelancer.minor(), outcome.to_client.minor()), (9_000, 11_000));
        ada.open(&dispute).await;
        ada.reads(&["90.00 USD", "110.00 USD"]).await;
        ada.look("dispute-that-is-over").await;
        let olga = Person::signed_in(&served.url, "Olga").await;
        olga.open("/operator").await;
        olga.look("operator").await;
        for person in [ada, ben, mia, olga] {
            person.leave().await;
        }
        world.check_money().await;
    });
}

/// The case moves on while somebody reads an old page: the console says so, and nothing happens.
#[test]
fn a_stale_page_does_no_harm() {
    run(async {
        let world = World::apart("stale", &[]).await;
        let served = Served::played(&world).await;
        let ada = Person::signed_in(&served.url, "Ada").await;
        let contract = contract_of(&ada).await;
        ada.type_into("pay_now", "0").await;
        ada.click("See what this does").await;
        ada.click("Confirm: end the contract").await;
        let case = format!("/cases/refund-request:{contract}");
        let ben = Person::signed_in(&served.url, "Ben").await;
        ben.open(&case).await;
        ben.click("Approve the refund").await;
        ben.reads(&["300.00 USD"]).await;
        ada.open(&case).await;
        ada.click("Give up the refund").await;
        ada.click("Confirm").await;
        let outcome = world.client.result(&format!("refund-request:{contract}")).await.unwrap();
        assert_eq!(outcome.to_freelancer.minor(), 30_000);
        ben.click("Confirm").await;
        ben.reads(&["moved on"]).await;
        ben.look("stale").await;
        for person in [ada, ben] {
            person.leave().await;
        }
        world.check_money().await;
    });
}

/// Without a mouse, on the smallest screen.
#[test]
fn a_contract_is_ended_with_keys_only_at_320_pixels() {
    run(async {
        let world = World::apart("keys", &[]).await;
        let served = Served::played(&world).await;
        let ada = Person::new(&served.url, "Ada", (320, 640)).await;
        ada.open("/").await;
        assert!(!ada.scrolls_sideways().await);
        ada.tab_to("Ada").await;
        ada.press(Key::Enter).await;
        ada.reads(&["Ada"]).await;
        ada.open("/sandbox").await;
        ada.tab_to("Make it").await;
        ada.press(Key::Enter).await;
        ada.reads(&["End the contract"]).await;
        assert!(!ada.scrolls_sideways().await, "{}", ada.path().await);
        ada.look("contract-narrow").await;
        let contract = ada.path().await.rsplit('/').next().unwrap().to_owned();
        ada.tab_to("pay_now").await;
        ada.write("100").await;
        ada.tab_to("See what this does").await;
        ada.press(Key::Enter).await;
        ada.reads(&["100.00 USD goes to Ben now"]).await;
        ada.tab_to("Confirm: end the contract").await;
        ada.press(Key::Enter).await;
        ada.reads(&["200.00 USD"]).await;
        assert_eq!(ada.path().await, format!("/cases/refund-request:{contract}%231"));
        assert!(!ada.scrolls_sideways().await, "{}", ada.path().await);
        ada.look("refund-request-narrow").await;
        ada.leave().await;
    });
}

/// The freelancer uploads a file in a page and ticks it in a claim; the other side saves it.
#[test]
fn evidence_is_uploaded_and_referred_to() {
    run(async {
        let world = World::apart("filed", &[]).await;
        let served = Served::played(&world).await;
        let ada = Person::signed_in(&served.url, "Ada").await;
        let contract = contract_of(&ada).await;
        ada.type_into("pay_now", "0").await;
        ada.click("See what this does").await;
        ada.click("Confirm: end the contract").await;
        ada.reads(&["300.00 USD"]).await;
        let folder = tempfile::tempdir().unwrap();
        let (good, disguised) = (folder.path().join("sketch.txt"), folder.path().join("sketch.pdf"));
        std::fs::write(&good, "Three sketches, delivered on Tuesday.\n").unwrap();
        std::fs::write(&disguised, "<html><script>alert(1)</script></html>").unwrap();
        let ben = Person::signed_in(&served.url, "Ben").await;
        let files = format!("/contracts/{contract}/evidence?case=refund-request:{contract}");
        ben.open(&files).await;
        ben.reads(&["Taken: PDF, JPEG, PNG, WEBP, text, ZIP, MP4; at most 26.2 MB."]).await;
        ben.look("files").await;
        for (file, read) in [(&disguised, "should be application/pdf by its name"), (&good, "The file is here")] {
            ben.attach("file", file).await;
            ben.click("Upload").await;
            ben.reads(&[read]).await;
        }
        ben.open(&format!("/cases/refund-request:{contract}/commands/dispute")).await;
        ben.type_into("amount", "150.00").await;
        ben.choose("reason", "work_delivered").await;
        ben.type_into("details", "See the sketches.").await;
        ben.tick("sketch.txt").await;
        ben.look("claim-with-a-file").await;
        ben.click("See what this does").await;
        ben.reads(&["sketch.txt"]).await;
        ben.click("Confirm").await;
        ben.reads(&["The dispute"]).await;
        world.opened(&format!("dispute:{contract}")).await;
        ada.open(&format!("/cases/dispute:{contract}")).await;
        ada.reads(&["sketch.txt"]).await;
        for person in [ada, ben] {
            person.leave().await;
        }
    });
}
