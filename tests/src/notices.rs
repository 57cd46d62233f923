//! N1–N3 on a real mail server: who gets a notice, once, and that a mail server that is down delays nothing.

use std::collections::BTreeSet;

use recourse_notifications::notices::NoticeFilter;
use serde_json::Value;

use crate::harness::{Mailbox, Story, World, free_port, run, shown};

/// N1, N2: by email for the policy's four events and every movement of money, once each; in the app for all.
#[test]
fn each_party_gets_each_notice_once() {
    run(async {
        let world = World::shared().await;
        let mailbox = Mailbox::shared().await;
        let mut story = Story::new(world, "told");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(10_000, Value::Null).await;
        story.play("1 freelancer claim 15000; 2 client reject claim; 3 mediator propose 9000; 3.4 client accept resolution; 3.8 freelancer accept resolution").await;
        assert_eq!(shown(&story.outcome().await), "settled resolution_accepted M5 19000/11000/0");
        for (party, name) in [("client", "cleo"), ("freelancer", "finn")] {
            let address = format!("{name}.{}@example.com", story.id());
            let mails = mailbox.to(&address, 6).await;
            let ids: BTreeSet<_> = mails.iter().map(|mail| mail["message_id"].as_str().unwrap()).collect();
            assert_eq!(
                (mails.len(), ids.len()),
                (6, 6),
                "{party}: deposit, paid now, refund requested, dispute, resolution, decided"
            );
            for mail in &mails {
                let (text, html) = (mail["text"].as_str().unwrap(), mail["html"].as_str().unwrap());
                assert!(text.contains("Logo") && html.contains("Logo"), "names the contract: {text}");
                assert!(!text.contains("{{") && !text.contains("None"), "{text}");
            }
            let all = mails.iter().map(|mail| mail["text"].as_str().unwrap()).collect::<String>();
            for words in ["300.00 USD", "200.00 USD", "150.00 USD", "90.00 USD", "110.00 USD", "UTC"] {
                assert!(all.contains(words), "{party} reads {words}");
            }
            let recipient = recourse_domain::party::Role::ALL.into_iter().find(|role| role.name() == party);
            let filter = NoticeFilter { contract: Some(story.id()), recipient, party: None };
            let stored = world.notices.list(&filter).await.unwrap();
            let events: Vec<_> = stored.iter().map(|notice| notice.event.as_str()).collect();
            let expected = [
                "deposited",
                "paid_now",
                "refund_requested",
                "dispute_filed",
                "claim_rejected",
                "resolution_proposed",
                "resolution_answered",
                "decided",
            ];
            assert_eq!(events.iter().filter(|event| expected.contains(event)).count(), events.len(), "{events:?}");
            assert_eq!(events.iter().collect::<BTreeSet<_>>().len(), expected.len(), "{events:?}");
        }
        let mediators = NoticeFilter {
            contract: Some(story.id()),
            recipient: Some(recourse_domain::party::Role::Mediator),
            party: None,
        };
        assert_eq!(world.notices.list(&mediators).await.unwrap().len(), 1, "M1: the mediators get a notice");
    });
}

/// N3: while the mail server is down, deadlines pass and money moves; the emails come when it is back.
#[test]
fn a_mail_server_that_is_down_delays_no_case() {
    run(async {
        let port = free_port();
        let world = World::apart("mail", &[("RECOURSE_SMTP_URL", &format!("smtp://127.0.0.1:{port}"))]).await;
        let mut story = Story::new(&world, "mail");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        story.play("7").await;
        assert_eq!(shown(&story.outcome().await), "refunded freelancer_silence R4 0/30000/0");
        assert_eq!(story.ledger().await, "deposit 30000, refund 30000");
        let mailbox = Mailbox::start(port).await;
        let mails = mailbox.to(&format!("cleo.{}@example.com", story.id()), 3).await;
        assert_eq!(mails.len(), 3, "deposit, refund requested, refunded");
    });
}

/// T5: the awaited party gets a reminder a day before the deadline, in the app and by email, and nobody else does.
#[test]
fn the_awaited_party_gets_a_reminder_a_day_before_the_deadline() {
    run(async {
        let world = World::shared().await;
        let mailbox = Mailbox::shared().await;
        let mut story = Story::new(world, "reminded");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        story.play("6.1").await;
        let mails = mailbox.to(&format!("finn.{}@example.com", story.id()), 3).await;
        let last = mails.last().unwrap();
        assert!(last["subject"].as_str().unwrap().contains("still awaited"), "{last}");
        assert!(last["text"].as_str().unwrap().contains("approve the refund"), "{last}");
        story.play("7").await;
        story.outcome().await;
        let reminders = world
            .notices
            .list(&NoticeFilter { contract: Some(story.id()), recipient: None, party: None })
            .await
            .unwrap();
        let told: Vec<_> = reminders
            .iter()
            .filter(|notice| notice.event == "reminder")
            .map(|notice| notice.recipient.name())
            .collect();
        assert_eq!(told, ["freelancer"]);
    });
}
