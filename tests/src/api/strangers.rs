//! What a sender without a valid token, or without a duty, can exhaust: limits by address, the provider's callbacks, metrics,
//! stored answers, and invalid pages of lists.

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    Served, as_party,
    served::{CALLBACK_SECRET, STRIPE_SECRET},
    stripe::send_event,
};
use crate::harness::{Story, World, run, unique};

/// The status of a request from behind a proxy.
async fn ask(served: &Served, path: &str, forwarded_for: &str, token: Option<&str>) -> StatusCode {
    let request = reqwest::Client::new().get(format!("{}{path}", served.url)).header("x-forwarded-for", forwarded_for);
    let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
    request.send().await.unwrap().status()
}

/// Strangers have a limit by address, whatever they ask for and whatever token they show; known senders do not.
#[test]
fn strangers_have_a_limit_by_address() {
    run(async {
        let served = Served::behind(World::shared().await, 4, &["127.0.0.1"]).await;
        let here = "198.51.100.1";
        for (path, token, status) in [
            ("/v1/policy", None, 401),
            ("/v1/policy", Some("forged"), 401),
            ("/openapi.json", None, 200),
            ("/nowhere", None, 404),
            ("/v1/policy", None, 429),
            ("/v1/policy", Some("forged"), 429),
            ("/openapi.json", None, 429),
            ("/nowhere", None, 429),
            ("/sign-in", None, 429),
            ("/health/live", None, 200),
            ("/health/ready", None, 200),
        ] {
            assert_eq!(ask(&served, path, here, token).await.as_u16(), status, "{path} {token:?}");
        }
        assert_eq!(ask(&served, "/v1/policy", &format!("203.0.113.9, {here}"), None).await.as_u16(), 429, "invented");
        assert_eq!(ask(&served, "/v1/policy", "198.51.100.2", None).await.as_u16(), 401, "somebody else");
        let token = served.issuer.token("cl-1", &[], &[]);
        assert_eq!(ask(&served, "/v1/policy", here, Some(&token)).await.as_u16(), 200, "who is known");
    });
}

/// Without a trusted proxy the server ignores the header.
#[test]
fn forwarding_headers_count_only_from_trusted_proxies() {
    run(async {
        let served = Served::of(World::shared().await, 4).await;
        let mut answers = Vec::new();
        for number in 0..5 {
            answers.push(ask(&served, "/v1/policy", &format!("198.51.100.{number}"), None).await.as_u16());
        }
        assert_eq!(answers, [401, 401, 401, 401, 429]);
    });
}

/// Forged calls use up nothing of the provider's limit (R8), although both come from the same address; and no party can take the
/// provider's name.
#[test]
fn forged_calls_do_not_block_the_payment_provider() {
    run(async {
        let served = Served::of(World::shared().await, 4).await;
        let event = json!({"id": "ch_1", "object": "charge"});
        let report = json!({"refund": "refund-request:none/refund:d-1", "state": "settled"}).to_string();
        let nobody = served.with(String::new());
        let mut forged = Vec::new();
        // More than the provider itself may send.
        for _ in 0..5 {
            forged.push(send_event(&served.url, &event, "whsec_forged").await.as_u16());
            let unsigned = nobody.request(Method::POST, "/v1/callbacks/payments").body(report.clone());
            forged.push(unsigned.send().await.unwrap().status().as_u16());
        }
        assert_eq!(forged, [401, 401, 401, 401, 429, 429, 429, 429, 429, 429]);
        for party in ["Stripe", "Payments", "the payment provider"] {
            for _ in 0..5 {
                served.party(party).get("/v1/policy").await;
            }
        }
        assert_eq!(send_event(&served.url, &event, STRIPE_SECRET).await, StatusCode::NO_CONTENT);
        let signed = nobody.call_back(CALLBACK_SECRET, Timestamp::now(), &report, &report).await;
        assert_eq!(signed, StatusCode::NOT_FOUND, "accepted, about an unknown refund");
        // The provider has a limit of its own.
        let mut last = StatusCode::NO_CONTENT;
        for _ in 0..4 {
            last = send_event(&served.url, &event, STRIPE_SECRET).await;
        }
        assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
        let huge = nobody.request(Method::POST, "/v1/callbacks/payments").header("webhook-signature", "v1,x");
        let huge = huge.body("x".repeat(300 * 1024)).send().await.unwrap();
        assert_eq!(huge.status(), StatusCode::PAYLOAD_TOO_LARGE);
    });
}

/// The metrics have the same few series, whatever anybody sends.
#[test]
fn no_request_adds_a_metric_series() {
    run(async {
        let served = Served::of(World::shared().await, 1_000).await;
        let client = reqwest::Client::new();
        let series = || served.front.metrics().text().unwrap().lines().count();
        let mut before = 0;
        for number in 0..20 {
            let method = Method::from_bytes(format!("ODD{number}{}", "X".repeat(2_000)).as_bytes()).unwrap();
            for path in [format!("/nowhere/{number}"), format!("/v1/cases/c-{number}"), "/v1/policy".to_owned()] {
                client.request(method.clone(), format!("{}{path}", served.url)).send().await.unwrap();
            }
            if number == 0 {
                before = series();
            }
        }
        assert_eq!(series(), before);
        let text = served.front.metrics().text().unwrap();
        assert!(text.contains("method=\"other\"") && !text.contains("ODD"), "{text}");
    });
}

/// The server makes the description once, and does not send it again to a client that has it.
#[test]
fn the_description_has_an_etag() {
    run(async {
        let served = Served::shared().await;
        let client = reqwest::Client::new();
        let url = format!("{}/openapi.json", served.url);
        let first = client.get(&url).send().await.unwrap();
        let tag = first.headers()["etag"].clone();
        assert!(first.json::<Value>().await.unwrap()["paths"].is_object());
        let again = client.get(&url).header("if-none-match", tag).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.text().await.unwrap(), "");
    });
}

/// A request that was turned away leaves nothing: the same key can carry another. A refusal by a case stays.
#[test]
fn requests_that_did_nothing_are_not_stored() {
    run(async {
        let served = Served::shared().await;
        let story = Story::new(World::shared().await, "traceless");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let sender = as_party(served, &story.contract, "freelancer");
        let case = format!("/v1/cases/{}/commands", story.refund_request);
        let claim = |amount: u32| json!({"amount": amount, "reason": "work_delivered", "details": "All of it."});
        for (path, body) in [
            ("/v1/cases/refund-request:none/commands/approve".to_owned(), json!({})),
            (format!("{case}/nothing"), json!({})),
            (format!("{case}/dispute"), json!({"amonut": 1})),
            ("/v1/webhooks".to_owned(), json!({"url": "https://203.0.113.9/hook"})),
        ] {
            let (status, problem) = sender.post_as(&path, &body, "traceless").await;
            assert!(matches!(status.as_u16(), 403 | 404 | 422), "{path}: {status} {problem}");
            assert!(!problem.to_string().contains("under the same key"), "{path}: {problem}");
        }
        let (_, problem) = sender.post_as(&format!("{case}/dispute"), &claim(30_001), "traceless").await;
        assert_eq!(problem["rule"], "R5", "{problem}");
        let (_, problem) = sender.post_as(&format!("{case}/dispute"), &claim(10_000), "traceless").await;
        assert!(problem["detail"].as_str().unwrap().contains("under the same key"), "{problem}");
    });
}

/// A person who has lost a duty gets none of the answers that the duty had received.
#[test]
fn a_withdrawn_duty_gets_no_stored_answer() {
    run(async {
        let served = Served::shared().await;
        let story = Story::new(World::shared().await, "withdrawn");
        let backend = unique("backend");
        let deposit = json!({
            "deposit": "d-1", "amount": 30_000, "source": {"id": "card-1", "verified": true}, "contract": story.contract,
        })
        .to_string();
        let path = format!("/v1/contracts/{}/deposits", story.id());
        let send = async |roles: &[&str], parties: &[&str]| {
            let sender = served.with(served.issuer.token(&backend, roles, parties));
            let request = sender.request(Method::POST, &path).header("idempotency-key", "deposit-1");
            let answer = request.header("content-type", "application/json").body(deposit.clone()).send().await.unwrap();
            (answer.status().as_u16(), answer.headers().contains_key("idempotent-replayed"))
        };
        assert_eq!(send(&["service"], &[]).await, (201, false));
        assert_eq!(send(&["service"], &[]).await, (201, true));
        for (roles, parties) in [(&[][..], &[][..]), (&["mediator"], &[]), (&[], &["ag-1"])] {
            assert_eq!(send(roles, parties).await, (403, false), "{roles:?} {parties:?}");
        }
        assert_eq!(send(&["service"], &[]).await, (201, true));
    });
}

/// An invalid page is the sender's mistake in every list, and the API says so at once.
#[test]
fn an_invalid_page_is_the_senders_mistake() {
    run(async {
        let served = Served::shared().await;
        let operator = served.staff("operator");
        let hex = |text: &str| text.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let forged = [hex("{\"CloseTime\": 5}"), hex("[1]"), hex("\u{0}\u{0}"), "00".repeat(2_000)];
        let forged = forged.iter().map(|page| format!("/v1/cases?after={page}"));
        let others = [
            "/v1/cases?after=00",
            "/v1/cases?after=0",
            "/v1/cases?after=zz",
            "/v1/contracts?after=%20",
            "/v1/contracts?after=%00",
            "/v1/notices?after=zz",
            "/v1/notices?after=-1",
            "/v1/notices?after=99999999999999999999",
            "/v1/events?after=zz",
            "/v1/events?after=-1",
            "/v1/refunds?after=none",
            "/v1/refunds?after=%00",
            "/v1/webhooks/none/deliveries?after=1",
        ];
        for path in others.map(str::to_owned).into_iter().chain(forged) {
            let (status, problem) = operator.get(&path).await;
            assert_eq!((status.as_u16(), &problem["error"]), (400, &json!("Unreadable")), "{path}: {problem}");
        }
        for path in ["/v1/webhooks/%00/deliveries", "/v1/contracts/%00", "/v1/cases/dispute:%00"] {
            let (status, problem) = operator.get(path).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {problem}");
        }
    });
}
