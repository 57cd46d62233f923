//! Every way in which Stripe, the connection or this program can fail: money moves once, and a decline stays a decline
//! (L6).

mod server;

use std::time::Duration;

use recourse_database::testing::{TestDatabase, amount, contract, id};
use serde_json::json;

use self::server::{Fault, KEY, Server};
use super::{super::once, *};

/// The possible faults of a request.
const FAULTS: [Fault; 6] =
    [Fault::Fails(500), Fault::Fails(429), Fault::Fails(409), Fault::Fails(502), Fault::Stalls, Fault::Lost];

struct World {
    test: TestDatabase,
    server: Server,
    gateway: StripeGateway,
}

impl World {
    async fn new() -> Self {
        let (test, server) = (TestDatabase::new().await, Server::start().await);
        let gateway = gateway(&test, &server, KEY);
        Self { test, server, gateway }
    }

    /// Asks once, as the effects do.
    async fn ask(&self, key: &str, request: &Request) -> Result<(), GatewayError> {
        once(&self.gateway, key, request).await.map(|_| ())
    }

    /// Asks again and again until Stripe's answer is known, with more than a day between two tries. A restarted worker
    /// knows only what the database has.
    async fn insist(&self, key: &str, request: &Request) -> Result<(), String> {
        for _ in 0..4 {
            match self.ask(key, request).await {
                Ok(()) => return Ok(()),
                Err(GatewayError::Declined { reason, .. }) => return Err(reason),
                Err(GatewayError::Unavailable { .. }) => self.server.forget_keys(),
                Err(error) => panic!("{error}"),
            }
        }
        panic!("{key} is never known")
    }
}

fn gateway(test: &TestDatabase, server: &Server, key: &str) -> StripeGateway {
    let (key, url) = (Hidden::new(key.to_owned()), server.url.parse().unwrap());
    let settings = StripeSettings { key, url, webhook_secret: None };
    let http = Http::new(&settings, Some(Duration::from_millis(500))).unwrap();
    StripeGateway { database: test.database.clone(), http }
}

fn charge(source: &str, minor: i64) -> Request {
    Request::Charge(Charge { source: id(source), currency: contract("c-1").currency, amount: amount(minor) })
}

fn refund(charge: &str, minor: i64) -> Request {
    let currency = contract("c-1").currency;
    Request::Refund(Refund { charge: charge.to_owned(), source: id("pm_1"), currency, amount: amount(minor) })
}

fn pay_out(to: &str, minor: i64) -> Request {
    Request::PayOut(PayOut { to: id(to), currency: contract("c-1").currency, amount: amount(minor) })
}

#[tokio::test]
async fn a_charge_is_sent_in_stripes_format() {
    let world = World::new().await;
    world.ask("k", &charge("pm_1", 30_000)).await.unwrap();
    let found = world.gateway.look_up("k").await.unwrap().unwrap();
    assert_eq!((found.request, found.declined, found.arrival), (charge("pm_1", 30_000), None, Arrival::Settled));
    assert_eq!(world.gateway.look_up("other").await.unwrap(), None);
    let drafts = world.server.seen("POST /v1/payment_intents");
    let (draft, confirmation) = (&drafts[0], &drafts[1]);
    let sent: Vec<_> = draft.form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        sent,
        [
            ("amount", "30000"),
            ("currency", "usd"),
            ("customer", "cus_1"),
            ("metadata[recourse_key]", "k"),
            ("payment_method", "pm_1"),
            ("payment_method_types[0]", "card"),
        ]
    );
    assert_eq!(draft.key, Some(idempotency_key("k")));
    assert!(confirmation.line.ends_with("/confirm") && confirmation.form["off_session"] == "true");
    assert!(!draft.version.is_empty());
    assert_eq!(idempotency_key("k").len(), 73);
    assert_ne!(idempotency_key("k"), idempotency_key("k2"));
}

/// L6: whichever request of a charge fails, in whichever way, and however much later it is repeated, the charge is paid
/// once.
#[tokio::test]
async fn a_charge_is_paid_once_whatever_fails_and_however_late_the_retry() {
    for part in ["GET /v1/payment_methods", "POST /v1/payment_intents", "/confirm"] {
        for fault in FAULTS {
            let world = World::new().await;
            world.server.fails_next(part, fault);
            let first = world.ask("k", &charge("pm_1", 500)).await;
            assert!(matches!(first, Ok(()) | Err(GatewayError::Unavailable { .. })), "{part} {fault:?}: {first:?}");
            world.server.forget_keys();
            assert_eq!(world.insist("k", &charge("pm_1", 500)).await, Ok(()), "{part} {fault:?}");
            world.server.forget_keys();
            world
                .gateway
                .charge("k", &Charge { source: id("pm_1"), currency: contract("c").currency, amount: amount(500) })
                .await
                .unwrap();
            let paid = world.server.intents().iter().filter(|status| *status == "succeeded").count();
            assert_eq!(paid, 1, "{part} {fault:?}: {:?}", world.server.intents());
        }
    }
}

/// Stripe repeats a server error under its idempotency key for a day. A deposit does not wait for that. A refund does,
/// since nobody knows whether Stripe made it, and it is repeated under the same key until that is known.
#[tokio::test]
async fn a_repeated_server_error_delays_a_refund_for_a_day_and_no_deposit() {
    let world = World::new().await;
    world.server.fails_next("POST /v1/payment_intents", Fault::Fails(500));
    world.ask("k", &charge("pm_1", 500)).await.unwrap();
    world.server.fails_next("POST /v1/refunds", Fault::Fails(500));
    for _ in 0..3 {
        assert!(matches!(world.ask("r", &refund("k", 500)).await, Err(GatewayError::Unavailable { .. })));
    }
    let keys: Vec<_> = world.server.seen("POST /v1/refunds").into_iter().map(|seen| seen.key).collect();
    assert_eq!(keys, vec![Some(idempotency_key("r")); 3]);
    world.server.forget_keys();
    world.ask("r", &refund("k", 500)).await.unwrap();
}

/// L6: a decline is final, and its `PaymentIntent` can never take money, whatever fails before that is known.
#[tokio::test]
async fn a_declined_charge_can_never_take_money() {
    for part in ["nothing", "POST /v1/payment_intents", "/confirm", "/cancel"] {
        for fault in FAULTS {
            let world = World::new().await;
            world.server.fails_next(part, fault);
            for _ in 0..2 {
                let reason = world.insist("k", &charge("pm_declined", 500)).await.unwrap_err();
                assert_eq!(reason, "Your card was declined.", "{part} {fault:?}");
                world.server.forget_keys();
            }
            let intents = world.server.intents();
            assert!(intents.contains(&"canceled".to_owned()), "{part} {fault:?}: {intents:?}");
            assert!(!intents.contains(&"succeeded".to_owned()), "{part} {fault:?}: {intents:?}");
            let found = world.gateway.look_up("k").await.unwrap().unwrap();
            assert_eq!(found.declined.as_deref(), Some("Your card was declined."));
        }
    }
}

#[tokio::test]
async fn a_payment_that_needs_consent_is_declined_and_a_slow_one_stays_open() {
    let world = World::new().await;
    let reason = world.insist("consent", &charge("pm_consent", 500)).await.unwrap_err();
    assert!(reason.contains("consent") && world.server.intents() == ["canceled"], "{reason}");
    for (key, becomes, declined) in
        [("paid", "succeeded", false), ("failed", "requires_payment_method", true), ("cancelled", "canceled", true)]
    {
        for _ in 0..2 {
            let error = world.ask(key, &charge("pm_slow", 500)).await.unwrap_err();
            assert!(matches!(error, GatewayError::Unavailable { .. }), "{error}");
        }
        for intent in world.server.state.lock().unwrap().intents.values_mut() {
            if intent["status"] == "processing" {
                intent["status"] = json!(becomes);
            }
        }
        assert_eq!(world.insist(key, &charge("pm_slow", 500)).await.is_err(), declined, "{key}");
        assert_eq!(world.gateway.look_up(key).await.unwrap().unwrap().declined.is_some(), declined, "{key}");
    }
}

/// What Stripe cannot do as asked is declined with Stripe's words; what an operator can correct is retried.
#[tokio::test]
async fn an_impossible_request_is_declined_and_a_wrong_secret_key_is_retried() {
    let world = World::new().await;
    for (key, request, words) in [
        ("small", charge("pm_1", 49), "at least $0.50"),
        ("none", charge("pm_none", 500), "No such PaymentMethod"),
        // A party's id: a freelancer's share of the arbitration fee is charged to it if the demand names no billing
        // method (A1).
        ("party", charge("fl-1", 500), "No such PaymentMethod"),
        ("refund", refund("nobody", 500), "Stripe has no charge nobody of pm_1"),
        ("bank", pay_out("bank-7", 500), "accounts connected to the platform's (acct_…), and bank-7 is none"),
        ("account", pay_out("acct_none", 500), "No such destination"),
    ] {
        for _ in 0..2 {
            let reason = world.insist(key, &request).await.unwrap_err();
            assert!(reason.contains(words), "{key}: {reason}");
        }
    }
    assert!(world.server.intents().is_empty() && world.server.state.lock().unwrap().transfers.is_empty());
    let wrong = gateway(&world.test, &world.server, "sk_test_wrong");
    let error = once(&wrong, "k", &charge("pm_1", 500)).await.unwrap_err();
    let GatewayError::Unavailable { source, .. } = error else { panic!("{error}") };
    assert!(source.to_string().contains("Invalid API Key") && !source.to_string().contains("sk_"), "{source}");
    world.ask("k", &charge("pm_1", 500)).await.unwrap();
    assert!(!format!("{wrong:?}").contains("sk_test"), "{wrong:?}");
}

#[tokio::test]
async fn a_key_with_other_content_is_refused_and_does_nothing() {
    let world = World::new().await;
    world.ask("k", &charge("pm_1", 500)).await.unwrap();
    for other in [charge("pm_1", 501), charge("pm_2", 500), refund("k", 500), pay_out("acct_1", 500)] {
        assert!(matches!(world.ask("k", &other).await, Err(GatewayError::KeyReused { .. })), "{other:?}");
    }
    let direct = Refund { charge: "k".into(), source: id("pm_1"), currency: contract("c").currency, amount: amount(1) };
    assert!(matches!(world.gateway.refund("k", &direct).await, Err(GatewayError::KeyReused { .. })));
    assert_eq!(world.server.intents(), ["succeeded"]);
    assert!(world.server.state.lock().unwrap().refunds.is_empty());
}

/// L6: the same for refunds and transfers. If Stripe made one before it forgot the key, it is found in Stripe's list,
/// on any page.
#[tokio::test]
async fn refunds_and_transfers_are_made_once_whatever_fails_and_however_late_the_retry() {
    for fault in FAULTS {
        let world = World::new().await;
        world.ask("k", &charge("pm_1", 1_000)).await.unwrap();
        world.server.fails_next("POST /v1/refunds", fault);
        world.server.fails_next("POST /v1/transfers", fault);
        let (back, out) = (refund("k", 400), pay_out("acct_1", 400));
        assert!(world.ask("r", &back).await.is_err() && world.ask("p", &out).await.is_err());
        world.server.forget_keys();
        for other in 1..=5 {
            world.ask(&format!("other-{other}"), &refund("k", 100)).await.unwrap();
        }
        for _ in 0..2 {
            assert_eq!(world.insist("r", &back).await, Ok(()), "{fault:?}");
            assert_eq!(world.insist("p", &out).await, Ok(()), "{fault:?}");
            world.server.forget_keys();
            let Request::Refund(again) = &back else { unreachable!() };
            world.gateway.refund("r", again).await.unwrap();
            let Request::PayOut(again) = &out else { unreachable!() };
            world.gateway.pay_out("p", again).await.unwrap();
        }
        let state = world.server.state.lock().unwrap();
        let of = |made: &[serde_json::Value], key: &str| {
            made.iter().filter(|object| object["metadata"]["recourse_key"] == key).count()
        };
        assert_eq!((of(&state.refunds, "r"), of(&state.transfers, "p")), (1, 1), "{fault:?}");
    }
}

/// A refund is found although its answer was lost and its row has no object: it does not count as declined when nothing
/// is left of its charge.
#[tokio::test]
async fn a_refund_that_stripe_refuses_because_it_exists_is_found() {
    let world = World::new().await;
    world.ask("k", &charge("pm_1", 500)).await.unwrap();
    world.server.fails_next("POST /v1/refunds", Fault::Lost);
    // At first nobody can find it in the list.
    world.server.fails_next("GET /v1/refunds", Fault::Fails(500));
    let Request::Refund(whole) = refund("k", 500) else { unreachable!() };
    assert!(world.gateway.refund("r", &whole).await.is_err());
    world.server.forget_keys();
    assert!(world.gateway.refund("r", &whole).await.is_err());
    world.gateway.give_back("r", &whole).await.unwrap();
    assert_eq!(world.server.state.lock().unwrap().refunds.len(), 1);
    let more = world.insist("r-2", &refund("k", 1)).await.unwrap_err();
    assert!(more.contains("more than is left"), "{more}");
}

/// R8: a refund's state is what Stripe says when asked.
#[tokio::test]
async fn a_refund_has_the_state_that_stripe_reports() {
    let world = World::new().await;
    world.ask("k", &charge("pm_1", 500)).await.unwrap();
    world.ask("r", &refund("k", 500)).await.unwrap();
    for (status, reason, arrival) in [
        ("pending", None, Arrival::Pending),
        ("requires_action", None, Arrival::Pending),
        ("succeeded", None, Arrival::Settled),
        (
            "failed",
            Some("expired_or_canceled_card"),
            Arrival::Failed { reason: "the refund failed at Stripe: expired or canceled card".into() },
        ),
        ("failed", None, Arrival::Failed { reason: "the refund failed at Stripe: Stripe gave no reason".into() }),
        ("canceled", None, Arrival::Failed { reason: "the refund was cancelled at Stripe".into() }),
    ] {
        {
            let mut state = world.server.state.lock().unwrap();
            state.refunds[0]["status"] = json!(status);
            state.refunds[0]["failure_reason"] = json!(reason);
        }
        assert_eq!(world.gateway.look_up("r").await.unwrap().unwrap().arrival, arrival, "{status}");
    }
    // A key of another account does not know the refund: that says nothing about its state.
    world.server.state.lock().unwrap().refunds.clear();
    let error = world.gateway.look_up("r").await.unwrap_err();
    assert!(matches!(error, GatewayError::Unavailable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_with_the_same_request_at_once_move_money_once() {
    let world = World::new().await;
    let both = |key: &'static str, request: Request| {
        let asked: Vec<_> = (0..4)
            .map(|_| {
                let (gateway, request) = (world.gateway.clone(), request.clone());
                tokio::spawn(async move { once(&gateway, key, &request).await })
            })
            .collect();
        async move {
            for asked in asked {
                let answer = asked.await.unwrap();
                assert!(matches!(answer, Ok(_) | Err(GatewayError::Unavailable { .. })), "{answer:?}");
            }
        }
    };
    both("k", charge("pm_1", 500)).await;
    assert_eq!(world.insist("k", &charge("pm_1", 500)).await, Ok(()));
    both("r", refund("k", 200)).await;
    assert_eq!(world.insist("r", &refund("k", 200)).await, Ok(()));
    let paid = world.server.intents().iter().filter(|status| *status == "succeeded").count();
    assert_eq!((paid, world.server.state.lock().unwrap().refunds.len()), (1, 1));
}

/// The database refuses to change or delete requests to Stripe.
#[tokio::test]
async fn requests_to_stripe_never_change() {
    let world = World::new().await;
    world.ask("k", &charge("pm_1", 500)).await.unwrap();
    assert!(world.insist("d", &charge("pm_declined", 500)).await.is_err());
    for sql in [
        "UPDATE stripe_movements SET amount = 501 WHERE key = 'k'",
        "UPDATE stripe_movements SET object = 'pi_other' WHERE key = 'k'",
        "UPDATE stripe_movements SET object = NULL WHERE key = 'k'",
        "UPDATE stripe_movements SET declined = NULL WHERE key = 'd'",
        "DELETE FROM stripe_movements",
    ] {
        let refused = world.test.run(sql).await.unwrap_err();
        assert!(refused.contains("L6"), "{sql}: {refused}");
    }
    let twice = "INSERT INTO stripe_movements (key, kind, source, currency, amount, object)
                 SELECT 'x', kind, source, currency, amount, object FROM stripe_movements WHERE key = 'k'";
    world.test.run(twice).await.unwrap_err();
}
