use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use recourse_database::testing::{TestDatabase, at, contract, id};
use recourse_domain::{
    notice::{Facts, Notice, NoticeEvent},
    party::Role,
    rule::Rule,
};
use recourse_workflows::effects::{DeliveryOrder, DeliveryReceipt, Tell};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use super::*;
use crate::NoticeBook;

mod sending;

fn notice(number: u32, event: NoticeEvent, to: Role) -> Notice {
    Notice {
        number,
        event,
        to,
        by: None,
        rule: Rule::R3,
        email: true,
        can: Vec::new(),
        deadline: (to == Role::Freelancer).then(at),
        if_silent: None,
        facts: Facts { text: Some("a private word".into()), ..Facts::default() },
    }
}

fn both(number: u32, event: NoticeEvent) -> Vec<Notice> {
    vec![notice(number, event, Role::Client), notice(number + 1, event, Role::Freelancer)]
}

fn told(case_ref: &str, contract_id: &str, notices: Vec<Notice>) -> Tell {
    let case = case_ref.split('#').next().unwrap().to_owned();
    Tell { case, case_ref: case_ref.to_owned(), contract: contract(contract_id), notices, at: at() }
}

/// There is one event, however many recipients its notices have and however often they are stored. It has no data of a
/// person.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn notices_to_several_recipients_make_one_event() {
    let test = TestDatabase::new().await;
    let (notices, book) = (NoticeBook::new(test.database.clone()), WebhookBook::new(test.database.clone()));
    let first =
        [both(1, NoticeEvent::RefundRequested), vec![notice(3, NoticeEvent::Reminder, Role::Freelancer)]].concat();
    let again = told("refund-request:c-1", "c-1", first);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (notices, again) = (notices.clone(), again.clone());
            tokio::spawn(async move { notices.tell(&again).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    // The same thing happens twice in a row: that is two events, with two notices each.
    let twice = [both(4, NoticeEvent::OfferMade), both(6, NoticeEvent::OfferMade)].concat();
    notices.tell(&told("refund-request:c-1", "c-1", twice)).await.unwrap();
    notices.tell(&told("refund-request:c-1#2", "c-1", both(1, NoticeEvent::RefundRequested))).await.unwrap();
    notices.tell(&told("dispute:c-2", "c-2", both(1, NoticeEvent::DisputeFiled))).await.unwrap();
    let feed = book.feed(0, 100, None).await.unwrap();
    let seen: Vec<_> =
        feed.iter().map(|entry| (entry.event.case.as_str(), entry.event.sequence, entry.event.kind.as_str())).collect();
    let case = "refund-request:c-1";
    assert_eq!(
        seen,
        [
            (case, 1, "case.refund_requested"),
            (case, 2, "case.reminder"),
            (case, 3, "case.offer_made"),
            (case, 4, "case.offer_made"),
            (case, 5, "case.refund_requested"),
            ("dispute:c-2", 1, "case.dispute_filed"),
        ]
    );
    let event = &feed[0].event;
    assert!(event.id.starts_with("evt_"));
    assert_eq!(
        serde_json::to_value(event).unwrap(),
        json!({
            "id": event.id, "type": "case.refund_requested", "at": "2026-12-03T10:00:00Z", "case": case, "contract": "c-1",
            "sequence": 1, "rule": "R3", "deadline": "2026-12-03T10:00:00Z",
        })
    );
    assert_eq!(feed[1].event.deadline, Some(at()), "the earliest deadline");
}

#[tokio::test]
async fn the_feed_is_read_from_a_position_and_by_contract() {
    let test = TestDatabase::new().await;
    let (notices, book) = (NoticeBook::new(test.database.clone()), WebhookBook::new(test.database.clone()));
    for number in 1..=6 {
        let name = if number % 2 == 0 { "c-2" } else { "c-1" };
        let case_ref = format!("refund-request:{name}");
        notices.tell(&told(&case_ref, name, vec![notice(number, NoticeEvent::Reminder, Role::Client)])).await.unwrap();
    }
    let (mut after, mut all) = (0, Vec::new());
    loop {
        let page = book.feed(after, 4, None).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(last.position > after);
        after = last.position;
        all.extend(page);
    }
    assert_eq!(all.len(), 6);
    assert!(all.is_sorted_by_key(|entry| entry.position));
    let of_one = book.feed(all[0].position, 100, Some(&id("c-1"))).await.unwrap();
    assert_eq!(of_one, [all[2].clone(), all[4].clone()]);
    assert_eq!(of_one[1].event.sequence, 3);
}

#[tokio::test]
async fn endpoints_are_added_listed_and_removed() {
    let test = TestDatabase::new().await;
    let book = WebhookBook::new(test.database.clone());
    let error = book.add("https://127.0.0.1/hook", "mine").await.unwrap_err();
    assert!(matches!(error, WebhookError::Url { .. }), "{error}");
    let (first, secret) = book.add("https://93.184.216.34/hook", "mine").await.unwrap();
    let (second, other) = book.add("https://93.184.216.34/hook", "mine too").await.unwrap();
    assert!(first.id.starts_with("we_") && secret.reveal().starts_with("whsec_") && secret.reveal().len() == 38);
    assert_ne!(secret, other);
    assert_eq!(book.list().await.unwrap(), [first.clone(), second.clone()]);
    book.remove(&first.id).await.unwrap();
    assert_eq!(book.list().await.unwrap(), [second]);
    let secrets = endpoints::secrets(&test.database, &first.id, at()).await.unwrap();
    assert!(secrets.is_empty(), "its secrets are deleted with it");
    for error in [
        book.remove(&first.id).await.unwrap_err(),
        book.rotate(&first.id).await.unwrap_err(),
        book.deliveries(&first.id, 10).await.unwrap_err(),
    ] {
        assert!(matches!(error, WebhookError::NotFound { .. }), "{error}");
    }
}

/// Receivers have a day to change to the new secret; then only that is left.
#[tokio::test]
async fn the_old_secret_signs_beside_the_new_one_for_a_day() {
    let test = TestDatabase::new().await;
    let book = WebhookBook::new(test.database.clone());
    let (endpoint, first) = book.add("https://93.184.216.34/hook", "").await.unwrap();
    let valid = async |hours: i64| {
        endpoints::secrets(&test.database, &endpoint.id, at() + SignedDuration::from_hours(hours)).await.unwrap()
    };
    assert_eq!(valid(0).await, std::slice::from_ref(&first));
    let second = book.rotate_at(&endpoint.id, at()).await.unwrap();
    assert_eq!(valid(23).await, [second.clone(), first]);
    assert_eq!(valid(24).await, std::slice::from_ref(&second));
    let third = book.rotate_at(&endpoint.id, at() + SignedDuration::from_hours(30)).await.unwrap();
    assert_eq!(valid(31).await, [third, second]);
    let left: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM webhook_secrets").fetch_one(test.database.pool()).await.unwrap();
    assert_eq!(left, 2, "expired secrets are deleted");
}

/// Starts nothing, and records what it should have started.
#[derive(Debug, Default)]
struct Starts {
    orders: Mutex<Vec<DeliveryOrder>>,
    is_down: AtomicBool,
}

#[async_trait]
impl StartsDeliveries for Starts {
    async fn start(&self, order: &DeliveryOrder) -> Result<(), WebhookError> {
        if self.is_down.load(Ordering::Acquire) {
            return Err(WebhookError::NotStarted { reason: "down".into() });
        }
        self.orders.lock().unwrap().push(order.clone());
        Ok(())
    }
}

impl Starts {
    /// How many deliveries were started for each endpoint.
    fn by_endpoint(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for order in self.orders.lock().unwrap().iter() {
            *counts.entry(order.endpoint.clone()).or_default() += 1;
        }
        counts
    }
}

/// Each endpoint gets every event since it was added, each once; also the events while the server was down.
#[tokio::test]
async fn each_event_starts_one_delivery_for_each_endpoint() {
    let test = TestDatabase::new().await;
    let (notices, book) = (NoticeBook::new(test.database.clone()), WebhookBook::new(test.database.clone()));
    let starts = Arc::new(Starts::default());
    let courier = Courier::new(book.clone(), Arc::new(Notify::new()), starts.clone());
    let tell = async |number| {
        let reminder = vec![notice(number, NoticeEvent::Reminder, Role::Client)];
        notices.tell(&told("dispute:c-1", "c-1", reminder)).await.unwrap();
    };
    tell(1).await;
    courier.hand_over().await.unwrap();
    assert!(starts.by_endpoint().is_empty(), "there is no endpoint");
    let (early, _) = book.add("https://93.184.216.34/early", "").await.unwrap();
    for number in 2..=130 {
        tell(number).await;
    }
    courier.hand_over().await.unwrap();
    courier.hand_over().await.unwrap();
    assert_eq!(starts.by_endpoint(), [(early.id.clone(), 129)].into());
    let (late, _) = book.add("https://93.184.216.34/late", "").await.unwrap();
    starts.is_down.store(true, Ordering::Release);
    tell(131).await;
    let error = courier.hand_over().await.unwrap_err();
    assert!(matches!(error, WebhookError::NotStarted { .. }), "{error}");
    starts.is_down.store(false, Ordering::Release);
    courier.hand_over().await.unwrap();
    assert_eq!(starts.by_endpoint(), [(early.id.clone(), 130), (late.id.clone(), 1)].into());
    endpoints::disable(&test.database, &early.id, at()).await.unwrap();
    tell(132).await;
    courier.hand_over().await.unwrap();
    assert_eq!(starts.by_endpoint(), [(early.id.clone(), 130), (late.id.clone(), 2)].into());
    let waiting = book.deliveries(&late.id, 10).await.unwrap();
    assert_eq!(waiting.len(), 2);
    assert!(waiting.iter().all(|delivery| delivery.state == DeliveryState::Waiting && delivery.attempts == 0));
}

#[tokio::test]
async fn a_new_event_wakes_the_courier_at_once() {
    let test = TestDatabase::new().await;
    let (notices, book) = (NoticeBook::new(test.database.clone()), WebhookBook::new(test.database.clone()));
    book.add("https://93.184.216.34/hook", "").await.unwrap();
    let starts = Arc::new(Starts::default());
    let courier = Courier::new(book, notices.events_stored(), starts.clone()).polling(Duration::from_hours(1));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let courier = tokio::spawn(courier.run(async move { drop(stopped.await) }));
    for number in 1..=2 {
        let reminder = vec![notice(number, NoticeEvent::Reminder, Role::Client)];
        notices.tell(&told("dispute:c-1", "c-1", reminder)).await.unwrap();
        let handed_over = async {
            while starts.orders.lock().unwrap().len() < number as usize {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), handed_over).await.unwrap();
    }
    drop(stop);
    courier.await.unwrap();
}
