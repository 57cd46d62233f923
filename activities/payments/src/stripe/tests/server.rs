//! A small server that answers as Stripe's documentation says, and fails on demand. It has only the parts of Stripe
//! that these tests need; the tests on the real server use a Stripe server that somebody else wrote.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// The right secret key.
pub const KEY: &str = "sk_test_right";

/// How many objects a page has, whatever the request asks for.
const PAGE: usize = 2;

/// The fault of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server answers with this status and does nothing.
    Fails(u16),
    /// The server does nothing, and does not answer in time.
    Stalls,
    /// The server does it, and the answer is lost.
    Lost,
}

/// A request that came in.
#[derive(Debug, Clone)]
pub struct Seen {
    pub line: String,
    pub key: Option<String>,
    pub version: String,
    pub form: Fields,
}

/// The fields of a request, in a form or a query.
type Fields = BTreeMap<String, String>;

/// An answer's status and body.
type Answer = (u16, Value);

#[derive(Default)]
pub struct State {
    /// The request and the answer of each idempotency key.
    keys: BTreeMap<String, (Fields, Answer)>,
    pub intents: BTreeMap<String, Value>,
    pub refunds: Vec<Value>,
    pub transfers: Vec<Value>,
    pub faults: VecDeque<(&'static str, Fault)>,
    pub seen: Vec<Seen>,
    made: u32,
}

/// The payment methods, each with another result of a charge. Every other id is unknown, as at Stripe.
const METHODS: [&str; 4] = ["pm_1", "pm_declined", "pm_consent", "pm_slow"];

/// The server. A payment method's name tells how it behaves: `pm_1` works, see [`METHODS`].
#[derive(Clone)]
pub struct Server {
    pub url: String,
    pub state: Arc<Mutex<State>>,
}

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let server = Self { url, state };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().answer(stream));
            }
        });
        server
    }

    /// The next request whose line contains `part` has this fault.
    pub fn fails_next(&self, part: &'static str, fault: Fault) {
        self.state.lock().unwrap().faults.push_back((part, fault));
    }

    /// A day passes: the server forgets its idempotency keys.
    pub fn forget_keys(&self) {
        self.state.lock().unwrap().keys.clear();
    }

    /// The statuses of all `PaymentIntents`, sorted.
    pub fn intents(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let mut found: Vec<String> =
            state.intents.values().map(|intent| intent["status"].as_str().unwrap().to_owned()).collect();
        found.sort();
        found
    }

    pub fn seen(&self, part: &str) -> Vec<Seen> {
        self.state.lock().unwrap().seen.iter().filter(|seen| seen.line.contains(part)).cloned().collect()
    }

    async fn answer(self, mut stream: TcpStream) {
        let (seen, authorized) = read(&mut stream).await;
        let fault = {
            let mut state = self.state.lock().unwrap();
            state.seen.push(seen.clone());
            let place = state.faults.iter().position(|(part, _)| seen.line.contains(part));
            place.and_then(|place| state.faults.remove(place)).map(|(_, fault)| fault)
        };
        let (status, body) = match fault {
            Some(Fault::Fails(status)) => {
                let answer = (status, problem("api_error", "", "told to fail").1);
                // Like Stripe, it keeps its own errors.
                if let (Some(key), 500..) = (seen.key.clone(), status) {
                    self.state.lock().unwrap().keys.insert(key, (seen.form.clone(), answer.clone()));
                }
                answer
            }
            Some(Fault::Stalls) => {
                tokio::time::sleep(Duration::from_secs(2)).await;
                return;
            }
            None | Some(Fault::Lost) if authorized => self.state.lock().unwrap().act(&seen),
            _ => (401, problem("invalid_request_error", "", "Invalid API Key provided").1),
        };
        if fault == Some(Fault::Lost) {
            return;
        }
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nrequest-id: req_1\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    }
}

async fn read(stream: &mut TcpStream) -> (Seen, bool) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned);
    let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let (line, query) =
        line.split_once('?').map_or((line.clone(), String::new()), |(line, query)| (line.to_owned(), query.to_owned()));
    let pairs =
        [&body[..], query.as_bytes()].into_iter().flat_map(|text| url::form_urlencoded::parse(text).into_owned());
    let seen = Seen {
        line,
        key: header("idempotency-key"),
        version: header("stripe-version").unwrap_or_default(),
        form: pairs.collect(),
    };
    (seen, header("authorization").is_some_and(|found| found == format!("Bearer {KEY}")))
}

fn problem(kind: &str, code: &str, message: &str) -> Answer {
    let status = if kind == "card_error" { 402 } else { 400 };
    (status, json!({"error": {"type": kind, "code": code, "message": message}}))
}

fn missing(what: &str) -> Answer {
    (404, problem("invalid_request_error", "resource_missing", &format!("No such {what}")).1)
}

impl State {
    fn act(&mut self, seen: &Seen) -> Answer {
        let Some(key) = &seen.key else { return self.perform(seen) };
        match self.keys.get(key) {
            Some((form, answer)) if *form == seen.form => return answer.clone(),
            Some(_) => return problem("idempotency_error", "", "the key is known with other parameters"),
            None => {}
        }
        let answer = self.perform(seen);
        // Like Stripe, it also keeps a request that it began and found impossible; only a request that it never began
        // leaves nothing.
        let code = answer.1["error"]["code"].as_str().unwrap_or_default();
        if answer.0 < 400 || code == "charge_already_refunded" {
            self.keys.insert(key.clone(), (seen.form.clone(), answer.clone()));
        }
        answer
    }

    fn perform(&mut self, Seen { line, form, .. }: &Seen) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        match (method, &parts[..]) {
            ("GET", ["payment_methods", id]) if METHODS.contains(id) => {
                (200, json!({"id": id, "type": "card", "customer": "cus_1"}))
            }
            ("GET", ["payment_methods", _]) => missing("PaymentMethod"),
            ("POST", ["payment_intents"]) => self.draft(form),
            ("GET", ["payment_intents", id]) => {
                self.intents.get(*id).map_or_else(|| missing("intent"), |it| (200, it.clone()))
            }
            ("POST", ["payment_intents", id, "confirm"]) => self.confirm(id),
            ("POST", ["payment_intents", id, "cancel"]) => self.cancel(id),
            ("POST", ["refunds"]) => self.refund(form),
            ("GET", ["refunds", id]) => {
                let found = self.refunds.iter().find(|refund| refund["id"] == *id);
                found.map_or_else(|| missing("refund"), |it| (200, it.clone()))
            }
            ("GET", ["refunds"]) => list(&self.refunds, "payment_intent", form),
            ("POST", ["transfers"]) => self.transfer(form),
            ("GET", ["transfers"]) => list(&self.transfers, "transfer_group", form),
            _ => missing("path"),
        }
    }

    fn id(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}_{}", self.made)
    }

    fn draft(&mut self, form: &Fields) -> Answer {
        if form["amount"].parse::<i64>().unwrap() < 50 {
            return problem("invalid_request_error", "amount_too_small", "Amount must be at least $0.50 usd");
        }
        if !METHODS.contains(&form["payment_method"].as_str()) {
            return missing("PaymentMethod");
        }
        // A method that was saved for a customer works only with that customer.
        if form.get("customer").map(String::as_str) != Some("cus_1") {
            return problem("invalid_request_error", "", "The PaymentMethod belongs to a customer");
        }
        let id = self.id("pi");
        let intent = json!({
            "id": id, "status": "requires_confirmation", "amount": form["amount"], "method": form["payment_method"],
            "customer": form["customer"], "last_payment_error": null,
        });
        self.intents.insert(id, intent.clone());
        (200, intent)
    }

    fn confirm(&mut self, id: &str) -> Answer {
        let Some(intent) = self.intents.get_mut(id) else { return missing("intent") };
        if intent["status"] != "requires_confirmation" {
            return problem("invalid_request_error", "payment_intent_unexpected_state", "it cannot be confirmed");
        }
        let status = match intent["method"].as_str().unwrap() {
            "pm_declined" => "requires_payment_method",
            "pm_consent" => "requires_action",
            "pm_slow" => "processing",
            _ => "succeeded",
        };
        intent["status"] = json!(status);
        if status == "requires_payment_method" {
            intent["last_payment_error"] = json!({"message": "Your card was declined."});
            return problem("card_error", "card_declined", "Your card was declined.");
        }
        (200, intent.clone())
    }

    fn cancel(&mut self, id: &str) -> Answer {
        let Some(intent) = self.intents.get_mut(id) else { return missing("intent") };
        if ["succeeded", "processing", "canceled"].contains(&intent["status"].as_str().unwrap()) {
            return problem("invalid_request_error", "payment_intent_unexpected_state", "it cannot be cancelled");
        }
        intent["status"] = json!("canceled");
        (200, intent.clone())
    }

    fn refund(&mut self, form: &Fields) -> Answer {
        let Some(intent) = self.intents.get(&form["payment_intent"]) else { return missing("payment_intent") };
        if intent["status"] != "succeeded" {
            return problem(
                "invalid_request_error",
                "",
                "This PaymentIntent does not have a successful charge to refund.",
            );
        }
        let number = |value: &Value| value.as_str().unwrap().parse::<i64>().unwrap();
        let charged = number(&intent["amount"]);
        let of = self.refunds.iter().filter(|refund| refund["payment_intent"] == form["payment_intent"]);
        let back: i64 = of.map(|refund| number(&refund["amount"])).sum();
        if back + form["amount"].parse::<i64>().unwrap() > charged {
            return problem("invalid_request_error", "charge_already_refunded", "more than is left of the charge");
        }
        let refund = json!({
            "id": self.id("re"), "status": "pending", "payment_intent": form["payment_intent"],
            "amount": form["amount"], "metadata": {"recourse_key": form["metadata[recourse_key]"]},
        });
        self.refunds.insert(0, refund.clone());
        (200, refund)
    }

    fn transfer(&mut self, form: &Fields) -> Answer {
        if form["destination"] != "acct_1" {
            return problem("invalid_request_error", "resource_missing", "No such destination");
        }
        let transfer = json!({
            "id": self.id("tr"), "amount": form["amount"], "destination": form["destination"],
            "transfer_group": form["transfer_group"], "metadata": {"recourse_key": form["metadata[recourse_key]"]},
        });
        self.transfers.insert(0, transfer.clone());
        (200, transfer)
    }
}

fn list(all: &[Value], by: &str, form: &Fields) -> Answer {
    let mut of: Vec<&Value> = all.iter().filter(|object| object[by] == form[by]).collect();
    if let Some(after) = form.get("starting_after") {
        let place = of.iter().position(|object| object["id"] == *after).unwrap();
        of.drain(..=place);
    }
    let has_more = of.len() > PAGE;
    of.truncate(PAGE);
    (200, json!({"object": "list", "data": of, "has_more": has_more}))
}
