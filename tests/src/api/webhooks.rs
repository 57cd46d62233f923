//! Webhooks over HTTP: endpoints, the feed, and the payment provider's callbacks (R8).

use jiff::Timestamp;
use recourse_notifications::webhooks::{Secret, sign};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    Served,
    served::{CALLBACK_SECRET, Sender},
};
use crate::harness::{Story, World, run};

/// The platform manages endpoints, the API shows their secrets once, and the feed has all events.
#[test]
fn endpoints_are_managed_and_events_are_pulled() {
    run(async {
        let world = World::apart("hooks", &[]).await;
        let served = Served::of(&world, 1_000).await;
        let service = served.staff("service");
        for sender in [served.party("cl-1"), served.staff("mediator")] {
            let new = json!({"url": "https://203.0.113.9/hook"});
            assert_eq!(sender.post("/v1/webhooks", &new).await.0, StatusCode::FORBIDDEN);
            for path in ["/v1/webhooks", "/v1/events"] {
                assert_eq!(sender.get(path).await.0, StatusCode::FORBIDDEN, "{path}");
            }
        }
        for url in
            ["http://203.0.113.9/hook", "https://127.0.0.1/hook", "https://[::1]/", "https://10.1.2.3/", "ftp://x"]
        {
            let (status, problem) = service.post("/v1/webhooks", &json!({"url": url})).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{url}: {problem}");
        }
        // Nobody listens there, and nothing is sent: only a sandbox accepts such an address.
        let local = Served::sandbox(&world).await;
        let service = local.staff("service");
        let new = json!({"url": "http://127.0.0.1:9/hook"});
        let (status, made) = service.post_as("/v1/webhooks", &new, "hook-1").await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let (_, again) = service.post_as("/v1/webhooks", &new, "hook-1").await;
        assert_eq!(
            (&again["endpoint"], &again["secret"]),
            (&made["endpoint"], &json!("(shown once)")),
            "it is not kept"
        );
        let endpoint = made["endpoint"].as_str().unwrap();
        let (_, rotated) = service.post(&format!("/v1/webhooks/{endpoint}/rotate"), &json!({})).await;
        assert!(rotated["secret"].as_str().unwrap().starts_with("whsec_") && rotated["secret"] != made["secret"]);
        let (_, listed) = service.get("/v1/webhooks").await;
        assert_eq!(listed["items"][0]["url"], "http://127.0.0.1:9/hook");
        assert!(!listed.to_string().contains("whsec_"), "{listed}");
        let removed = service.send(reqwest::Method::DELETE, &format!("/v1/webhooks/{endpoint}"), None, &[]).await;
        assert_eq!(removed.0, StatusCode::NO_CONTENT);

        let story = Story::new(&world, "feed");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        world.quiet(&story.refund_request).await;
        let (_, first) = service.get("/v1/events?limit=1").await;
        let next = first["next"].as_str().unwrap();
        let (_, rest) = service.get(&format!("/v1/events?after={next}&contract={}", story.id())).await;
        let kinds: Vec<&str> =
            rest["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert!(kinds.contains(&"case.refund_requested"), "{kinds:?}");
        assert!(!rest.to_string().contains("example.com"), "no personal data: {rest}");
    });
}

/// R8: Recourse records a provider's report once, and only if the provider signed it.
#[test]
fn the_payment_provider_calls_back() {
    run(async {
        let served = Served::shared().await;
        let mut story = Story::new(World::shared().await, "called");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        story.play("1 freelancer approve").await;
        story.outcome().await;
        let refund = format!("{}/refund:d-1", story.refund_request);
        let report = |refund: &str, state: &str| json!({"refund": refund, "state": state}).to_string();
        let nobody = served.with(String::new());
        let good = report(&refund, "settled");
        let old = Timestamp::now() - jiff::SignedDuration::from_mins(10);
        for (secret, at, signed, body) in [
            ("whsec_YW5vdGhlciBzZWNyZXQsIG5vdCB0aGlzIG9uZQ==", Timestamp::now(), &good, &good),
            (CALLBACK_SECRET, old, &good, &good),
            (CALLBACK_SECRET, Timestamp::now(), &report(&refund, "failed"), &good),
        ] {
            assert_eq!(nobody.call_back(secret, at, signed, body).await, StatusCode::UNAUTHORIZED);
        }
        let now = Timestamp::now();
        let unknown = report("refund-request:none/refund:d-1", "settled");
        assert_eq!(nobody.call_back(CALLBACK_SECRET, now, &unknown, &unknown).await, StatusCode::NOT_FOUND);
        for _ in 0..2 {
            assert_eq!(nobody.call_back(CALLBACK_SECRET, now, &good, &good).await, StatusCode::NO_CONTENT);
        }
        let failed = report(&refund, "failed");
        assert_eq!(nobody.call_back(CALLBACK_SECRET, now, &failed, &failed).await, StatusCode::CONFLICT);
    });
}

impl Sender<'_> {
    pub(super) async fn call_back(&self, secret: &str, at: Timestamp, signed: &str, body: &str) -> StatusCode {
        let secret = Secret::new(secret).unwrap();
        let headers = sign(&[secret], "msg-1", at, signed.as_bytes()).unwrap();
        let request = self.request(reqwest::Method::POST, "/v1/callbacks/payments");
        let request = request
            .header("webhook-id", headers.id)
            .header("webhook-timestamp", headers.timestamp)
            .header("webhook-signature", headers.signature);
        request.body(body.to_owned()).send().await.unwrap().status()
    }
}
