//! Repeated, malformed, too large and too many requests.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Served, as_party};
use crate::harness::{Story, World, run};

/// The same key and body: one act, the same answer. Another body: refused. Another sender: another request.
#[test]
fn a_repeated_request_acts_once() {
    run(async {
        let served = Served::shared().await;
        let story = Story::new(World::shared().await, "twice");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let offer = format!("/v1/cases/{}/commands/extend", story.refund_request);
        let operator = served.staff("operator");
        let body = json!({"hours": 5, "reason": "holiday"});
        let (first, second) =
            tokio::join!(operator.post_as(&offer, &body, "same"), operator.post_as(&offer, &body, "same"));
        let answers = [&first, &second];
        let done =
            answers.iter().find(|(status, _)| *status == StatusCode::OK).unwrap_or_else(|| panic!("{answers:?}"));
        let under_way = |answer: &&&(StatusCode, Value)| answer.0 != StatusCode::OK;
        if let Some((status, problem)) = answers.iter().find(under_way) {
            assert_eq!((*status, &problem["error"]), (StatusCode::CONFLICT, &json!("UnderWay")), "{problem}");
        }
        assert_eq!(&operator.post_as(&offer, &body, "same").await, *done);
        let (status, problem) = operator.post_as(&offer, &json!({"hours": 6, "reason": "holiday"}), "same").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        let (status, problem) = served.staff("mediator").post_as(&offer, &body, "same").await;
        assert_eq!(problem["rule"], "T6", "somebody else's key is another request, {status}: {problem}");
    });
}

/// The API says that it cannot read a request, and does nothing.
#[test]
fn unreadable_requests_do_nothing_and_say_why() {
    run(async {
        let served = Served::shared().await;
        let story = Story::new(World::shared().await, "odd");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let freelancer = as_party(served, &story.contract, "freelancer");
        let path = format!("/v1/cases/{}/commands/dispute", story.refund_request);
        let key = [("idempotency-key", "odd-1")];
        let huge = format!("{{\"details\": \"{}\"}}", "x".repeat(200 * 1024));
        for (body, headers, status) in [
            ("{", &key[..], 400),
            ("[]", &key[..], 422),
            ("{\"amount\": 1.5}", &key[..], 422),
            ("{\"amount\": -1}", &key[..], 422),
            ("{\"amonut\": 1}", &key[..], 422),
            ("{\"rationale\": \"x\"}", &key[..], 422),
            ("{}", &[][..], 400),
            ("{}", &[("idempotency-key", "with space")][..], 400),
            (&huge, &key[..], 413),
        ] {
            let (answered, problem) = freelancer.send(Method::POST, &path, Some(body.to_owned()), headers).await;
            let shown: String = body.chars().take(40).collect();
            assert_eq!(answered.as_u16(), status, "{shown}: {problem}");
            assert_eq!(problem["status"], status, "{shown}");
        }
        for (path, status) in [
            ("/v1/cases/nothing", 404),
            ("/v1/cases/refund-request:none", 404),
            ("/v1/cases?limit=x", 400),
            ("/v1/cases?no_such=1", 400),
            ("/v1/cases?stage=%27%20OR%201%3D1", 400),
            ("/v1/cases?after=zz", 400),
            ("/v1/contracts/%2e%2e", 404),
            ("/nowhere", 404),
        ] {
            let (answered, problem) = freelancer.get(path).await;
            assert_eq!(answered.as_u16(), status, "{path}: {problem}");
            assert!(problem["title"].is_string(), "{path}: {problem}");
        }
        let (status, problem) = freelancer.send(Method::DELETE, "/v1/cases", None, &[]).await;
        assert_eq!((status.as_u16(), &problem["error"]), (405, &json!("MethodNotAllowed")));
        let text = [("idempotency-key", "odd-2"), ("content-type", "text/plain")];
        let (status, _) = freelancer.send(Method::POST, &path, None, &text).await;
        assert_eq!(status.as_u16(), 415);
    });
}

/// The API tells a sender with too many requests when to send again, and still answers other senders.
#[test]
fn a_sender_has_a_limit_of_requests() {
    run(async {
        let served = Served::of(World::shared().await, 5).await;
        let mut last = StatusCode::OK;
        for _ in 0..6 {
            last = served.party("cl-1").get("/v1/policy").await.0;
        }
        assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(served.party("cl-2").get("/v1/policy").await.0, StatusCode::OK);
    });
}

/// A sender of endless headers does not keep a connection for long.
#[test]
fn a_slow_sender_is_cut_off() {
    run(async {
        let served = Served::shared().await;
        let mut stream = TcpStream::connect(served.url.trim_start_matches("http://")).await.unwrap();
        stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "the connection is still open after 20 s");
    });
}

/// A load balancer asks whether this server can serve.
#[test]
fn the_server_reports_readiness() {
    run(async {
        let served = Served::shared().await;
        for path in ["/health/live", "/health/ready"] {
            let answer = reqwest::get(format!("{}{path}", served.url)).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            assert!(answer.headers().contains_key("x-request-id"));
            assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        }
    });
}

/// L7: a sender that went away in the middle, such as a backend with a timeout, may send the same request again at once.
#[test]
fn a_sender_can_repeat_a_request_after_it_went_away() {
    run(async {
        let world = World::apart("went-away", &[]).await;
        let served = Served::of(&world, 600).await;
        let story = Story::new(&world, "away");
        story.deposit("d-1", 30_000, "card-1").await;
        world.stop_worker().await;
        let client = as_party(&served, &story.contract, "client");
        let (path, body) = (format!("/v1/contracts/{}/end", story.id()), json!({"pay_now": 0}));
        let gone = client.request(Method::POST, &path).header("idempotency-key", "away").json(&body);
        // Without a worker the answer takes four seconds.
        let gone = gone.timeout(Duration::from_secs(1)).send().await;
        assert!(gone.is_err_and(|error| error.is_timeout()), "nobody answers in a second");
        world.start_worker().await;
        let mut answers = Vec::new();
        for _ in 0..20 {
            let (status, answer) = client.post_as(&path, &body, "away").await;
            answers.push(status);
            if status == StatusCode::CREATED {
                assert_eq!(answer["already_running"], true, "{answer}");
                return;
            }
            assert_eq!(answer["error"], "UnderWay", "{answer}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it is under way for nobody: {answers:?}");
    });
}
