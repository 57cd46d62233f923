//! A contract's story on the real server, in the same words as the domain's tables: `2 client reject claim` is a command
//! on day 2 of the case, sent as an update through the client that the command line uses, after the case's clock was
//! advanced to that day.

use std::time::Duration;

use jiff::Timestamp;
use recourse_starter::client::ClientError;
use recourse_workflows::domain::{command::Verb, ids::Id, outcome::Outcome};
use recourse_workflows::messages::{EscrowDepositStart, RefundRequestStart, Status};
use serde_json::{Map, Value, json};

use super::{World, unique};

/// How long something that takes milliseconds may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// One contract and its cases.
pub struct Story<'a> {
    world: &'a World,
    /// The contract.
    pub contract: Value,
    /// The refund request's workflow id.
    pub refund_request: String,
    /// The dispute's workflow id.
    pub dispute: String,
    disputed: bool,
    days: f64,
}

impl<'a> Story<'a> {
    /// A new contract.
    pub fn new(world: &'a World, name: &str) -> Self {
        let id = unique(name);
        let contract = json!({
            "id": id, "title": "Logo", "kind": "fixed_price", "currency": "USD",
            "client": {"id": format!("cl-{id}"), "name": "Cleo", "email": format!("cleo.{id}@example.com")},
            "freelancer": {"id": format!("fl-{id}"), "name": "Finn", "email": format!("finn.{id}@example.com")},
        });
        let (refund_request, dispute) = (format!("refund-request:{id}"), format!("dispute:{id}"));
        Self { world, contract, refund_request, dispute, disputed: false, days: 0.0 }
    }

    /// The same contract, ended once more.
    pub fn again(&self) -> Self {
        let Self { world, contract, refund_request, dispute, .. } = self;
        let (contract, refund_request, dispute) = (contract.clone(), refund_request.clone(), dispute.clone());
        Self { world, contract, refund_request, dispute, disputed: false, days: 0.0 }
    }

    /// From now on commands go to the dispute, which was started by itself.
    pub const fn dispute_runs(&mut self) {
        self.disputed = true;
    }

    /// The contract's id.
    pub fn id(&self) -> Id {
        Id::new(self.contract["id"].as_str().unwrap()).unwrap()
    }

    /// Deposits from a card and waits for it.
    pub async fn deposit(&self, deposit: &str, minor: i64, source: &str) -> Outcome {
        let start = json!({"contract": self.contract, "deposit": deposit, "amount": minor, "source": {"id": source, "verified": true}});
        let start: EscrowDepositStart = serde_json::from_value(start).unwrap();
        let case = self.world.client.start(start).await.unwrap();
        self.world.client.result(&case).await.unwrap()
    }

    /// A card of this contract's own, so that a fault told to the bank is nobody else's.
    pub fn card(&self) -> String {
        format!("card-{}", self.id())
    }

    /// Ends the contract and waits until the case is open or over.
    pub async fn end(&self, pay_now: i64, policy: Value) -> Status {
        let start = json!({"contract": self.contract, "pay_now": pay_now, "policy": policy});
        let start: RefundRequestStart = serde_json::from_value(start).unwrap();
        self.world.client.start(start).await.unwrap();
        self.opened(&self.refund_request).await
    }

    /// The status once the case has learnt what is held.
    pub async fn opened(&self, case: &str) -> Status {
        self.wait(case, |status| !status.is_opening()).await
    }

    /// The status once it is as wanted.
    pub async fn wait(&self, case: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let status = self.world.client.wait_for(case, PATIENCE, &wanted).await.unwrap();
        assert!(wanted(&status), "{case} is {status:?}");
        status
    }

    /// The case that commands go to now.
    pub fn case(&self) -> &str {
        if self.disputed { &self.dispute } else { &self.refund_request }
    }

    /// Advances the case's clock to this day since the contract's end.
    pub async fn until(&mut self, days: f64) {
        if days > self.days {
            let by = Duration::from_secs_f64((days - self.days) * 86_400.0);
            self.world.client.advance(self.case(), by).await.unwrap_or_else(|error| panic!("{}: {error}", self.case()));
            self.days = days;
            // What the clock set off is done before it is advanced again: a stage that opens late would close late.
            self.world.client.catch_up(self.case()).await.unwrap();
            self.world.quiet(self.case()).await;
        }
    }

    /// Sends a command of `who`, as an update.
    pub async fn say(&mut self, who: &str, words: &str) -> Result<Status, ClientError> {
        let (verb, body) = self.command(who, words);
        let status = self.world.client.command(self.case(), verb, body).await?;
        if verb == Verb::Dispute {
            self.disputed = true;
            self.opened_child().await;
        }
        Ok(status)
    }

    /// Waits until the dispute that was just filed is there and open.
    pub async fn opened_child(&self) {
        let mut patience = 400;
        while let Err(ClientError::NotFound { .. }) = self.world.client.status(&self.dispute).await {
            patience -= 1;
            assert!(patience > 0, "{} never started", self.dispute);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.opened(&self.dispute).await;
    }

    /// Plays `0.5 client offer 100; 2 freelancer accept offer 1; 30`. Every command must be taken.
    pub async fn play(&mut self, story: &str) {
        for step in story.split(';').map(str::trim).filter(|step| !step.is_empty()) {
            let mut words = step.splitn(3, ' ');
            let days: f64 = words.next().unwrap().parse().unwrap();
            self.until(days).await;
            if let (Some(who), Some(what)) = (words.next(), words.next()) {
                self.say(who, what).await.unwrap_or_else(|error| panic!("{}: {step}: {error}", self.case()));
            }
        }
    }

    /// The refund request's outcome.
    pub async fn outcome(&self) -> Outcome {
        let result = tokio::time::timeout(PATIENCE, self.world.client.result(&self.refund_request)).await;
        let Ok(outcome) = result else { panic!("not over: {:?}", self.world.client.status(self.case()).await) };
        outcome.unwrap()
    }

    /// The contract's ledger as `kind amount debit>credit, …`, sorted by what does not depend on timing.
    pub async fn ledger(&self) -> String {
        ledger_of(self.world, &self.id()).await
    }

    /// The command and its JSON object.
    pub fn command(&self, who: &str, words: &str) -> (Verb, Map<String, Value>) {
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        let number = || rest.rsplit(' ').next().unwrap_or_default().parse::<i64>().unwrap_or(0);
        let (verb, fields) = match verb {
            "claim" => {
                (Verb::Dispute, json!({"amount": number(), "reason": "work_delivered", "details": "It is done."}))
            }
            "accept" | "reject" => {
                let verb = if verb == "accept" { Verb::Accept } else { Verb::Reject };
                let of = rest.split(' ').next().unwrap();
                (
                    verb,
                    json!({"of": of, "number": number(), "reason": "not_as_agreed", "details": "Not what we agreed."}),
                )
            }
            "amend" => (Verb::Amend, json!({"amount": number(), "details": "More precisely."})),
            "offer" => (Verb::Offer, json!({"to_freelancer": number(), "message": "Shall we?"})),
            "retract" => (Verb::Retract, json!({"number": number()})),
            "propose" => (Verb::Propose, json!({"to_freelancer": number(), "rationale": "Half was delivered."})),
            "close" => (Verb::Close, json!({"reason": "No common ground."})),
            "demand" => (Verb::DemandArbitration, json!({})),
            "award" => (Verb::Award, json!({"to_freelancer": number(), "reference": "AAA-1"})),
            "extend" => (Verb::Extend, json!({"hours": number(), "reason": "Holiday."})),
            plain => (Verb::ALL.into_iter().find(|verb| verb.name() == plain).unwrap(), json!({})),
        };
        let id = match who {
            "client" | "freelancer" => self.contract[who]["id"].clone(),
            role => json!(format!("{role}-1")),
        };
        let Value::Object(mut body) = fields else { unreachable!() };
        body.insert("by".into(), json!({"party": who, "id": id}));
        (verb, body)
    }
}

/// A contract's ledger as `kind amount, …` in the order of posting.
pub async fn ledger_of(world: &World, contract: &Id) -> String {
    let history = world.ledger.history(contract, Timestamp::now()).await.unwrap();
    let entries = history.map(|history| history.entries).unwrap_or_default();
    entries.iter().map(|entry| format!("{} {}", entry.kind, entry.amount)).collect::<Vec<_>>().join(", ")
}

/// `result decided_by rule freelancer/client/kept`.
pub fn shown(outcome: &Outcome) -> String {
    let decided_by = serde_json::to_value(outcome.decided_by).unwrap();
    let parts = [outcome.to_freelancer, outcome.to_client, outcome.kept_in_escrow]
        .map(recourse_workflows::domain::money::Amount::minor);
    let (result, decided_by) = (outcome.result.name(), decided_by.as_str().unwrap().to_owned());
    format!("{result} {decided_by} {} {}/{}/{}", outcome.rule, parts[0], parts[1], parts[2])
}
