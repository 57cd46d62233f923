//! Money through Stripe, on the real server: a worker and `recourse serve` with Stripe in their environment, and a server by
//! other people that imitates Stripe (`localstripe`).

use std::{fmt::Write as _, process::Stdio};

use aws_lc_rs::hmac;
use jiff::Timestamp;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    process::{Child, ChildStdin},
};

use super::{Issuer, process::Process};
use crate::{
    command_line::recourse,
    harness::{Story, World, python, run, shown},
};

const KEY: &str = "sk_test_of_these_tests";
const WEBHOOK_SECRET: &str = "whsec_of_these_tests";

/// A card that always works, and one that can be saved but declines every charge, from Stripe's documentation.
const GOOD: &str = "4242424242424242";
const DECLINED: &str = "4000000000000341";

/// The server.
struct Stripe {
    url: String,
    client: Client,
    _input: ChildStdin,
    _server: Child,
}

impl Stripe {
    async fn start() -> Self {
        let mut server = python("stripe_server.py")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let said: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        let (url, input) = (said["url"].as_str().unwrap().to_owned(), server.stdin.take().unwrap());
        Self { url, client: Client::new(), _input: input, _server: server }
    }

    /// The environment variables that make programs use it.
    fn env(&self) -> [(&'static str, &str); 4] {
        [
            ("RECOURSE_PAYMENTS", "stripe"),
            ("RECOURSE_STRIPE_URL", &self.url),
            ("RECOURSE_STRIPE_SECRET_KEY", KEY),
            ("RECOURSE_STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET),
        ]
    }

    async fn post(&self, path: &str, form: &str) -> Value {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(KEY).body(form.to_owned());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.send().await.unwrap().error_for_status().unwrap();
        answer.json().await.unwrap_or_default()
    }

    async fn list(&self, path: &str) -> Vec<Value> {
        let request = self.client.get(format!("{}{path}?limit=100", self.url)).bearer_auth(KEY);
        let list: Value = request.send().await.unwrap().json().await.unwrap();
        list["data"].as_array().unwrap().clone()
    }

    /// A customer's saved card.
    async fn card(&self, number: &str) -> String {
        let card = format!("type=card&card[number]={number}&card[exp_month]=12&card[exp_year]=2090&card[cvc]=123");
        let card = self.post("/v1/payment_methods", &card).await["id"].as_str().unwrap().to_owned();
        let customer = self.post("/v1/customers", "email=cleo@example.com").await["id"].as_str().unwrap().to_owned();
        self.post(&format!("/v1/payment_methods/{card}/attach"), &format!("customer={customer}")).await;
        card
    }

    /// The keys and amounts of its refunds, sorted.
    async fn refunded(&self) -> Vec<(String, i64)> {
        let all = self.list("/v1/refunds").await;
        let of =
            all.iter().map(|it| (it["metadata"]["recourse_key"].as_str().unwrap(), it["amount"].as_i64().unwrap()));
        let mut of: Vec<_> = of.map(|(key, amount)| (key.to_owned(), amount)).collect();
        of.sort();
        of
    }

    /// The refund with this key, after the bank sent it back.
    async fn failed(&self, key: &str) -> Value {
        let all = self.list("/v1/refunds").await;
        let refund = all.iter().find(|refund| refund["metadata"]["recourse_key"] == key).unwrap();
        self.post(&format!("/v1/refunds/{}", refund["id"].as_str().unwrap()), "status=failed").await
    }
}

/// The status of the answer to an event that is signed with this secret.
pub(super) async fn send_event(url: &str, object: &Value, secret: &str) -> StatusCode {
    let body =
        json!({"id": "evt_1", "object": "event", "type": "refund.updated", "data": {"object": object}}).to_string();
    let time = Timestamp::now().as_second();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, format!("{time}.{body}").as_bytes());
    let mut header = format!("t={time},v1=");
    for byte in signature.as_ref() {
        write!(header, "{byte:02x}").unwrap();
    }
    forward(url, &header, body.into_bytes()).await
}

async fn forward(url: &str, signature: &str, body: Vec<u8>) -> StatusCode {
    let request = Client::new().post(format!("{url}/v1/callbacks/stripe")).header("stripe-signature", signature);
    request.body(body).send().await.unwrap().status()
}

/// The output of a command that succeeded.
async fn done(world: &World, arguments: &[&str]) -> Value {
    let ran = recourse(world, tempfile::tempdir().unwrap().path(), &[arguments, &["--json"]].concat()).await;
    assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.out, ran.err);
    ran.json()
}

/// The refunds of a contract as `issued, failed`, oldest first.
async fn states(world: &World, contract: &str) -> String {
    let list = done(world, &["refunds", "--contract", contract]).await;
    let rows = list["refunds"].as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap());
    rows.collect::<Vec<_>>().join(", ")
}

/// E2, R7, R8: a deposit charges the client's card and a refund goes back to that charge, each once; a refund that fails at
/// Stripe is parked as soon as Stripe says so, and an operator sends it again.
#[test]
fn money_comes_and_goes_through_stripe() {
    run(async {
        let stripe = Stripe::start().await;
        let world = World::apart("stripe", &stripe.env()).await;
        let card = stripe.card(GOOD).await;
        let mut story = Story::new(&world, "stripe");
        let contract = story.id().to_string();
        story.deposit("d-1", 30_000, &card).await;
        let charges = stripe.list("/v1/payment_intents").await;
        assert_eq!(charges.len(), 1, "{charges:?}");
        let [status, amount, currency] = ["status", "amount", "currency"].map(|name| &charges[0][name]);
        assert_eq!((status, amount, currency), (&json!("succeeded"), &json!(30_000), &json!("usd")));
        assert_eq!(charges[0]["metadata"]["recourse_key"], format!("escrow-deposit:{contract}:d-1/deposit"));
        assert!(charges[0]["customer"].as_str().unwrap().starts_with("cus_"), "{charges:?}");

        story.end(10_000, Value::Null).await;
        story.play("1 freelancer approve").await;
        assert_eq!(shown(&story.outcome().await), "settled freelancer_approval R4 10000/20000/0");
        let refund = format!("{}/refund:d-1", story.refund_request);
        assert_eq!(stripe.refunded().await, [(refund.clone(), 20_000)]);
        assert_eq!(states(&world, &contract).await, "issued");

        let (issuer, files) = (Issuer::new(), tempfile::tempdir().unwrap());
        let evidence = format!("file://{}", files.path().display());
        let served = Process::start(&world, &issuer, &evidence, &[]).await;
        let mut made = stripe.list("/v1/refunds").await.remove(0);
        assert_eq!(send_event(&served.url, &made, WEBHOOK_SECRET).await, StatusCode::NO_CONTENT);
        assert_eq!(states(&world, &contract).await, "issued", "the bank may still send it back");
        // Only Stripe's own answer counts, whatever an event says.
        made["status"] = json!("failed");
        assert_eq!(send_event(&served.url, &made, "whsec_of_somebody").await, StatusCode::UNAUTHORIZED);
        assert_eq!(send_event(&served.url, &made, WEBHOOK_SECRET).await, StatusCode::NO_CONTENT);
        assert_eq!(states(&world, &contract).await, "issued");
        let failed = stripe.failed(&refund).await;
        assert_eq!(send_event(&served.url, &failed, "whsec_of_somebody").await, StatusCode::UNAUTHORIZED);
        assert_eq!(states(&world, &contract).await, "issued");
        for _ in 0..2 {
            assert_eq!(send_event(&served.url, &failed, WEBHOOK_SECRET).await, StatusCode::NO_CONTENT);
            assert_eq!(states(&world, &contract).await, "failed");
        }

        done(&world, &["refunds", "retry", &refund, "--as", "operator:op-1"]).await;
        assert_eq!(states(&world, &contract).await, "retried, issued");
        let again = format!("{refund}/retry:1");
        assert_eq!(stripe.refunded().await, [(refund, 20_000), (again.clone(), 20_000)]);
        let failed = stripe.failed(&again).await;
        assert_eq!(send_event(&served.url, &failed, WEBHOOK_SECRET).await, StatusCode::NO_CONTENT);
        let pay = ["refunds", "pay", &again, "--to", "bank-7", "--reference", "TX-9", "--as", "operator:op-1"];
        let ran = recourse(&world, files.path(), &pay).await;
        assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
        assert!(ran.err.contains("acct_"), "it says where Stripe can pay: {}", ran.err);
        let ledger =
            "deposit 30000, release 10000, refund 20000, to_suspense 20000, from_suspense 20000, to_suspense 20000";
        assert_eq!(story.ledger().await, ledger);
        world.check_money().await;
        world.stop_worker().await;
    });
}

/// E2: a declined card is a declined deposit: the ledger has nothing, and the charge can never be made.
#[test]
fn a_card_that_stripe_declines_is_a_declined_deposit() {
    run(async {
        let stripe = Stripe::start().await;
        let world = World::apart("declined", &stripe.env()).await;
        let story = Story::new(&world, "declined");
        let outcome = story.deposit("d-1", 30_000, &stripe.card(DECLINED).await).await;
        assert!(format!("{outcome:?}").contains("Your card was declined."), "{outcome:?}");
        let outcome = story.deposit("d-2", 30_000, "card-1").await;
        assert!(format!("{outcome:?}").contains("Not Found"), "{outcome:?}");
        let charges = stripe.list("/v1/payment_intents").await;
        assert_eq!((charges.len(), &charges[0]["status"]), (1, &json!("canceled")));
        assert_eq!(story.ledger().await, "");

        // With real money there is no sandbox.
        for arguments in [&["sandbox", "faults"][..], &["sim", "--contracts", "1"]] {
            let ran = recourse(&world, tempfile::tempdir().unwrap().path(), arguments).await;
            assert_eq!(ran.code, 2, "{arguments:?}: {}{}", ran.out, ran.err);
            assert!(ran.err.contains("RECOURSE_PAYMENTS names a real payment provider"), "{}", ran.err);
        }
        world.stop_worker().await;
    });
}

/// An event as another program signs it, byte for byte as it came.
#[test]
fn an_event_signed_by_another_program_counts_and_a_changed_one_does_not() {
    run(async {
        let stripe = Stripe::start().await;
        let world = World::apart("events", &stripe.env()).await;
        let hears = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hook = format!("url=http://{}/&secret={WEBHOOK_SECRET}", hears.local_addr().unwrap());
        stripe.post("/_config/webhooks/ours", &hook).await;
        stripe.post("/v1/customers", "email=cleo@example.com").await;
        let (mut stream, _) = hears.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let header = |name: &str| {
            let of = head.lines().filter_map(|line| line.split_once(": "));
            let mut of = of.filter(|(found, _)| found.eq_ignore_ascii_case(name));
            of.next().map_or_else(|| panic!("no {name}: {head}"), |(_, value)| value.to_owned())
        };
        let mut body = vec![0; header("content-length").parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();

        let (issuer, files) = (Issuer::new(), tempfile::tempdir().unwrap());
        let evidence = format!("file://{}", files.path().display());
        let served = Process::start(&world, &issuer, &evidence, &[]).await;
        let signature = header("stripe-signature");
        assert_eq!(forward(&served.url, &signature, body.clone()).await, StatusCode::NO_CONTENT);
        body.push(b' ');
        assert_eq!(forward(&served.url, &signature, body).await, StatusCode::UNAUTHORIZED);
        assert_eq!(forward(&served.url, &signature, vec![b' '; 1024 * 1024 + 1]).await, StatusCode::PAYLOAD_TOO_LARGE);

        let none = Process::start(&world, &issuer, &evidence, &[("RECOURSE_STRIPE_WEBHOOK_SECRET", "")]).await;
        assert_eq!(forward(&none.url, &signature, Vec::new()).await, StatusCode::NOT_FOUND);
        world.stop_worker().await;
    });
}
