//! The parties' clicks in a dispute before mediation: they amend or withdraw the claim, and make offers.

use serde_json::{Value, json};

use super::browser::Person;
use crate::{
    api::Served,
    harness::{Story, World, run},
};

/// A contract of the two personas.
pub fn of_personas<'a>(world: &'a World, name: &str) -> Story<'a> {
    Story::new(world, name).with(&json!({
        "client": {"id": "cl-1", "name": "Ada"}, "freelancer": {"id": "fl-1", "name": "Ben"},
    }))
}

/// A contract that has ended with 300.00 in escrow, of which the freelancer claims 150.00.
async fn claimed<'a>(world: &'a World, name: &str) -> Story<'a> {
    let mut story = of_personas(world, name);
    story.deposit("d-1", 30_000, "card-1").await;
    story.end(0, Value::Null).await;
    story.play("0 freelancer claim 15000").await;
    story
}

impl Person {
    /// Offers the other party a split.
    async fn offers(&self, amount: &str, consequence: &str) {
        self.click("Offer a split").await;
        self.type_into("to_freelancer", amount).await;
        self.click("See what this does").await;
        self.reads(&[consequence]).await;
        self.click("Confirm: Offer a split").await;
        self.reads(&["Done."]).await;
    }

    /// Acts, and reads the consequence on the page that asks for confirmation.
    async fn does(&self, act: &str, consequence: &str) {
        self.click(act).await;
        self.reads(&[consequence]).await;
        self.click(&format!("Confirm: {act}")).await;
        self.reads(&["Done."]).await;
    }
}

/// A claim is amended; offers are made, taken back, rejected and accepted, and the last one divides the money.
#[test]
fn a_claim_is_amended_and_an_offer_accepted_by_clicking() {
    run(async {
        let world = World::apart("offers", &[]).await;
        let served = Served::played(&world).await;
        let story = claimed(&world, "offers").await;
        let case = format!("/cases/{}", story.dispute);
        let (ada, ben) = (Person::signed_in(&served.url, "Ada").await, Person::signed_in(&served.url, "Ben").await);
        ben.open(&case).await;
        ben.click("Change the claim").await;
        ben.type_into("amount", "120.00").await;
        ben.type_into("details", "All but the last page.").await;
        ben.click("See what this does").await;
        ben.reads(&["120.00 USD goes to Ben, 180.00 USD goes back to Ada"]).await;
        ben.click("Confirm: Change the claim").await;
        ben.reads(&["Done.", "All but the last page."]).await;

        ada.open(&case).await;
        ada.offers("50.00", "If Ben accepts it: 50.00 USD goes to Ben, 250.00 USD goes back to Ada.").await;
        ada.does("Take back offer 1", "No money moves.").await;
        ada.offers("60.00", "60.00 USD goes to Ben, 240.00 USD goes back to Ada.").await;
        ben.open(&case).await;
        ben.does("Reject offer 2", "No money moves.").await;
        ben.offers("100.00", "If Ada accepts it: 100.00 USD goes to Ben, 200.00 USD goes back to Ada.").await;
        let states: Vec<Value> =
            world.status(&story.dispute).await.offers.iter().map(|offer| json!(offer.state)).collect();
        assert_eq!(json!(states), json!(["retracted", "rejected", "open"]));
        ada.open(&case).await;
        ada.look("offer-to-the-client").await;
        ada.does("Accept offer 3", "100.00 USD goes to Ben, 200.00 USD goes back to Ada. This is final.").await;
        let outcome = story.outcome_of(&story.dispute).await;
        assert_eq!((outcome.to_freelancer.minor(), outcome.to_client.minor()), (10_000, 20_000));
        for person in [ada, ben] {
            person.leave().await;
        }
        world.check_money().await;
    });
}

/// A claim that is withdrawn gives everything back.
#[test]
fn a_claim_is_withdrawn_by_clicking() {
    run(async {
        let world = World::apart("withdrawn", &[]).await;
        let served = Served::played(&world).await;
        let story = claimed(&world, "withdrawn").await;
        let ben = Person::signed_in(&served.url, "Ben").await;
        ben.open(&format!("/cases/{}", story.dispute)).await;
        ben.does("Withdraw the claim", "300.00 USD goes back to Ada. This is final.").await;
        let outcome = story.outcome_of(&story.dispute).await;
        assert_eq!((outcome.to_freelancer.minor(), outcome.to_client.minor()), (0, 30_000));
        ben.leave().await;
        world.check_money().await;
    });
}
