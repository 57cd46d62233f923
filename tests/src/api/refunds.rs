//! Refunds over HTTP: who sees them, and what operators do about refunds that did not arrive (R8).

use recourse_domain::ids::Id;
use recourse_payments::Fault;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Served, as_party};
use crate::harness::{Story, World, run};

/// R8: the list shows a refund that the bank declined; an operator sends it again once, and then cannot send it anywhere else.
#[test]
fn an_operator_handles_a_refund_over_http() {
    run(async {
        let (world, served) = (World::shared().await, Served::shared().await);
        let mut story = Story::new(world, "remedied");
        story.deposit("d-1", 10_000, &story.card()).await;
        story.deposit("d-2", 20_000, "card-2").await;
        story.end(0, Value::Null).await;
        world.bank.set_fault(Some(&Id::new(&story.card()).unwrap()), Fault::Decline, 1).await.unwrap();
        story.play("1 freelancer approve").await;
        story.outcome().await;
        let operator = served.staff("operator");
        let list = format!("/v1/refunds?contract={}&open=true&limit=1", story.id());
        let (_, first) = operator.get(&list).await;
        let (status, second) = operator.get(&format!("{list}&after={}", first["next"].as_str().unwrap())).await;
        assert_eq!((status, &second["next"]), (StatusCode::OK, &Value::Null), "{second}");
        let found = [&first, &second].map(|page| page["items"][0]["state"].clone());
        assert_eq!(found, [json!("issued"), json!("failed")]);
        let refund = format!("{}/refund:d-1", story.refund_request);
        assert_eq!(second["items"][0]["id"], refund);
        assert_eq!(operator.get(&format!("{list}&after=nobody")).await.0, StatusCode::BAD_REQUEST);

        let path = format!("/v1/refunds/{}", refund.replace('/', "%2F"));
        let pay = json!({"to": "bank-7", "reference": "TX-9"});
        let others = [as_party(served, &story.contract, "client"), served.staff("mediator"), served.staff("service")];
        for sender in &others {
            assert_eq!(sender.get(&list).await.0, StatusCode::FORBIDDEN);
            let writes = [("retry", json!({})), ("pay", pay.clone()), ("failed", json!({"reference": "x"}))];
            for (remedy, body) in writes {
                assert_eq!(sender.post(&format!("{path}/{remedy}"), &body).await.0, StatusCode::FORBIDDEN, "{remedy}");
            }
        }
        // E14: an operator who is on a side of this contract, or acts for somebody who is.
        let (client, freelancer) = (&story.contract["client"]["id"], &story.contract["freelancer"]["id"]);
        let on_a_side = [(client.as_str().unwrap(), vec![]), ("op-2", vec![freelancer.as_str().unwrap()])];
        for (subject, parties) in &on_a_side {
            let sender = served.with(served.issuer.token(subject, &["operator"], parties));
            for (remedy, body) in [("retry", json!({})), ("pay", pay.clone()), ("failed", json!({"reference": "x"}))] {
                let (status, problem) = sender.post(&format!("{path}/{remedy}"), &body).await;
                assert_eq!((status, &problem["rule"]), (StatusCode::FORBIDDEN, &json!("E14")), "{subject}: {problem}");
            }
        }
        let failed = operator.post(&format!("{path}/failed"), &json!({"reference": " "})).await;
        assert_eq!((failed.0, &failed.1["rule"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("R8")), "{}", failed.1);
        let retry = format!("{path}/retry");
        let sent = operator.post_as(&retry, &json!({}), "sent-again").await;
        assert_eq!((sent.0, &sent.1["state"]), (StatusCode::CREATED, &json!("issued")), "{}", sent.1);
        assert_eq!(operator.post_as(&retry, &json!({}), "sent-again").await, sent, "the same request again");
        let (status, problem) = operator.post(&format!("{path}/pay"), &pay).await;
        assert_eq!(status, StatusCode::CONFLICT, "{problem}");
        assert!(problem["hint"].is_string(), "{problem}");
        assert_eq!(operator.post("/v1/refunds/nobody%2Frefund/retry", &json!({})).await.0, StatusCode::NOT_FOUND);
        world.check_money().await;
    });
}
