//! Every read and every write with the wrong identity, and invalid tokens.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    Issuer, Served,
    served::{Sender, claims},
};
use crate::harness::{Story, World, run};

/// To a sender without access a resource does not exist; an act without permission on a visible resource is forbidden.
#[test]
fn the_wrong_identity_is_refused_everywhere() {
    run(async {
        let served = Served::shared().await;
        let story = Story::new(World::shared().await, "whose");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let id = story.id();
        let contract = format!("/v1/contracts/{id}");
        let case = format!("/v1/cases/{}", story.refund_request);
        let end = (Method::POST, format!("{contract}/end"), json!({"pay_now": 0}));
        let deposit = json!({"deposit": "d-2", "amount": 1, "source": {"id": "card-1", "verified": true}});
        let milestone = json!({"id": "m-1", "ordinal": 1, "name": "M", "amount": 1});
        let back = json!({"payment": format!("refund-request:{id}/pay_now"), "amount": 1});
        let claim = json!({"amount": 1, "reason": "other", "details": "x"});
        let dispute = json!({"grounds": "non_release", "milestone": "m-1", "claim": claim, "contacted_client": true});
        // Senders: client, freelancer, mediator, arbitrator, operator, stranger. `-` means not forbidden; other tests check
        // what the case or rule then answers.
        let rows: Vec<(Method, String, Value, [u16; 6])> = vec![
            (Method::GET, contract.clone(), Value::Null, [200, 200, 200, 404, 200, 404]),
            (Method::GET, format!("{contract}/ledger"), Value::Null, [200, 200, 200, 404, 200, 404]),
            (Method::GET, case.clone(), Value::Null, [200, 200, 200, 404, 200, 404]),
            (Method::GET, format!("{case}/events"), Value::Null, [200, 200, 200, 404, 200, 404]),
            (Method::POST, format!("{contract}/deposits"), deposit, [403, 403, 403, 403, 403, 403]),
            (
                Method::POST,
                format!("{contract}/submissions"),
                json!({"milestone": milestone, "note": "x"}),
                [403, 403, 403, 403, 403, 403],
            ),
            (end.0, end.1, end.2, [201, 403, 403, 404, 403, 404]),
            (Method::POST, format!("{contract}/disputes"), dispute, [403, 422, 403, 404, 403, 404]),
            (Method::POST, format!("{contract}/payment-refunds"), back, [404, 403, 403, 404, 403, 404]),
            (
                Method::POST,
                format!("{case}/commands/dispute"),
                json!({"amount": 0, "reason": "other", "details": "x"}),
                [403, 422, 403, 404, 403, 404],
            ),
            (
                Method::POST,
                format!("{case}/commands/extend"),
                json!({"hours": 9999, "reason": "x"}),
                [403, 403, 422, 404, 422, 404],
            ),
            (Method::POST, format!("{case}/commands/release"), json!({"as": "client"}), [200, 403, 403, 404, 403, 404]),
        ];
        let senders: Vec<Sender<'_>> = ["client", "freelancer"]
            .iter()
            .map(|role| super::as_party(served, &story.contract, role))
            .chain(["mediator", "arbitrator", "operator"].map(|duty| served.staff(duty)))
            .chain([served.party("stranger")])
            .collect();
        for (number, (method, path, body, expected)) in rows.iter().enumerate() {
            // The client comes last: its request changes something.
            for (sender, expected) in senders.iter().zip(expected).rev() {
                let body = (!body.is_null()).then(|| body.to_string());
                let key = format!("whose-{number}");
                let (status, answer) = if path.ends_with("/events") {
                    sender.head(path).await
                } else {
                    sender.send(method.clone(), path, body, &[("idempotency-key", &key)]).await
                };
                assert_eq!(status.as_u16(), *expected, "{method} {path}: {answer}");
            }
        }
        let (_, cases) = served.party("stranger").get("/v1/cases").await;
        assert_eq!(cases["items"], json!([]));
        let (_, contracts) = served.party("stranger").get("/v1/contracts").await;
        assert_eq!(contracts["items"], json!([]));
        let (_, told) = served.party("stranger").get("/v1/notices").await;
        assert_eq!(told["items"], json!([]));
    });
}

/// An agency's owner acts as the freelancer; without the claim in the token it has no role.
#[test]
fn an_agencys_owner_acts_as_the_freelancer() {
    run(async {
        let served = Served::shared().await;
        let mut story = Story::new(World::shared().await, "owner");
        story.contract["freelancer"]["agency"] = json!({"id": format!("ag-{}", story.id())});
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let case = format!("/v1/cases/{}", story.refund_request);
        let agency = format!("ag-{}", story.id());
        let owner = served.with(served.issuer.token("u-1", &[], &[&agency]));
        let (_, cases) = owner.get("/v1/cases?kind=refund_request").await;
        assert_eq!(cases["items"][0]["case"], story.refund_request, "{cases}");
        assert_eq!(served.party("u-1").get(&case).await.0, StatusCode::NOT_FOUND);
        let (status, answer) = owner.post(&format!("{case}/commands/approve"), &json!({})).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    });
}

/// Forged, expired, unsigned, or for another audience: the API refuses each and says why.
#[test]
fn an_invalid_token_is_refused() {
    run(async {
        let served = Served::shared().await;
        let now = get_current_timestamp();
        let with = |name: &str, value: Value| {
            let mut claims = claims("cl-1", &[], &[]);
            claims[name] = value;
            served.issuer.sign(Algorithm::EdDSA, &claims)
        };
        let good = served.issuer.token("cl-1", &[], &[]);
        for algorithm in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256] {
            let token = served.issuer.sign(algorithm, &claims("cl-1", &[], &[]));
            let (status, answer) = served.with(token).get("/v1/policy").await;
            assert_eq!(status, StatusCode::OK, "{algorithm:?}: {answer}");
        }
        let (header, rest) = good.split_once('.').unwrap();
        let (payload, signature) = rest.split_once('.').unwrap();
        let other = with("sub", json!("op-1"));
        let other_payload = other.split('.').nth(1).unwrap();
        let symmetric = {
            let key = EncodingKey::from_secret(std::fs::read(served.issuer.jwks()).unwrap().as_slice());
            encode(&Header { kid: Some("ed".into()), ..Header::new(Algorithm::HS256) }, &claims("cl-1", &[], &[]), &key)
        };
        for (name, token) in [
            ("expired", with("exp", json!(now - 120))),
            ("not yet", with("nbf", json!(now + 600))),
            ("another issuer", with("iss", json!("https://elsewhere.example"))),
            ("another audience", with("aud", json!("other"))),
            ("no expiry", with("exp", Value::Null)),
            ("no id", with("sub", json!("not an id"))),
            ("another's key", Issuer::new().token("cl-1", &["operator"], &[])),
            ("changed", format!("{header}.{other_payload}.{signature}")),
            ("cut", format!("{header}.{payload}.")),
            ("none", format!("eyJhbGciOiJub25lIn0.{payload}.")),
            ("symmetric", symmetric.unwrap()),
            ("rubbish", "x.y.z".to_owned()),
            ("empty", String::new()),
        ] {
            let (status, problem) = served.with(token).get("/v1/policy").await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}: {problem}");
            assert!(problem["detail"].is_string() && problem["hint"].is_string(), "{name}: {problem}");
        }
    });
}
