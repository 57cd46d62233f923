//! The stage of a story: one contract, its parties, and a text about each action as it happens.

use std::{fmt::Write as _, time::Duration};

use jiff::Timestamp;
use recourse_client::{Client, Start};
use recourse_domain::{
    command::CommandKind,
    deposit::Source,
    ids::{Id, dispute_id, refund_request_id},
    messages::{EscrowDepositStart, MilestoneReviewStart, RefundRequestStart, Status},
    milestone::{Milestone, Submission},
    money::{Amount, Currency},
    outcome::{Outcome, ResultKind},
    party::{Contract, Role},
    posting::PostingKind,
    stage::Stage as At,
};
use recourse_ledger::{Entry, History, Ledger};
use recourse_workflows::describe;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::super::answer::Failure;

/// How long a case may take to reach a stage. It takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

const DAY: Duration = Duration::from_hours(24);

/// One contract, and its story so far.
pub struct Stage<'a> {
    client: &'a Client,
    contract: Contract,
    cases: Vec<String>,
    told: String,
}

impl<'a> Stage<'a> {
    /// A stage for the contract with this number.
    pub fn new(number: usize, title: &str, client: &'a Client) -> Result<Self, Failure> {
        let contract = json!({
            "id": format!("demo-{number}"), "title": title, "kind": "fixed_price", "currency": "USD",
            "client": {"id": "ada", "name": "Ada"}, "freelancer": {"id": "ben", "name": "Ben"},
        });
        Ok(Self { client, contract: made(contract)?, cases: Vec::new(), told: String::new() })
    }

    /// The contract of the story.
    pub const fn contract(&self) -> &Contract {
        &self.contract
    }

    /// The currency of all its money.
    pub fn currency(&self) -> Currency {
        self.contract.currency
    }

    /// The workflow id of the refund request.
    pub fn refund_request(&self) -> String {
        refund_request_id(&self.contract.id)
    }

    /// The workflow id of the dispute.
    pub fn dispute(&self) -> String {
        dispute_id(&self.contract.id, None)
    }

    /// The contract's cases so far, without deposits, in the order in which they began.
    pub fn cases(&self) -> &[String] {
        &self.cases
    }

    /// The story so far.
    pub fn told(&self) -> &str {
        &self.told
    }

    /// Ada deposits 300.00, for a milestone or for the whole contract.
    async fn deposit(&mut self, milestone: Option<&Milestone>) -> Result<(), Failure> {
        let deposit = EscrowDepositStart {
            contract: self.contract.clone(),
            deposit: id("d-1")?,
            amount: amount(30_000)?,
            milestone: milestone.map(|milestone| milestone.id.clone()),
            source: made::<Source>(json!({"id": format!("card-{}", self.contract.id), "verified": true}))?,
        };
        let case = self.client.start(deposit).await?;
        let outcome = self.client.result(&case).await?;
        if outcome.result != ResultKind::Deposited {
            return Err(Failure::new("demo", 1, format!("the deposit was {}", outcome.result.name())));
        }
        let what_for = milestone.map(|milestone| format!(" for the milestone {}", milestone.name)).unwrap_or_default();
        self.tell("E2", format!("Ada puts 300.00 USD in escrow{what_for}"));
        Ok(())
    }

    /// Ada deposits 300.00 and ends the contract, paying `pay` now.
    pub async fn deposit_and_end(&mut self, pay: i64) -> Result<(), Failure> {
        self.deposit(None).await?;
        let reason = Some("We go another way".to_owned());
        let pay_now = amount(pay)?;
        let end = RefundRequestStart { contract: self.contract.clone(), pay_now, reason, policy: None };
        let pays = if pay == 0 { "nothing".to_owned() } else { self.currency().show(pay_now) };
        let words = format!("Ada ends the contract, pays {pays} now and asks for the rest back");
        self.begin(end, ("R2", &words)).await.map(drop)
    }

    /// Ada deposits 300.00 for the first milestone, and Ben submits it. Returns the review's workflow id.
    pub async fn deposit_and_submit(&mut self) -> Result<String, Failure> {
        let milestone = Milestone {
            id: id("m-1")?,
            ordinal: 1,
            name: "Sketches".into(),
            amount: amount(30_000)?,
            description: None,
        };
        self.deposit(Some(&milestone)).await?;
        let submission = Submission { note: "Both drafts".to_owned(), files: Vec::new() };
        let contract = self.contract.clone();
        let first = MilestoneReviewStart { contract, milestone, submission, policy: None };
        self.begin(first, ("E4", "Ben submits the milestone")).await
    }

    /// Starts a case and waits until it is open.
    pub async fn begin(&mut self, start: impl Into<Start>, told: (&str, &str)) -> Result<String, Failure> {
        let case = self.client.start(start).await?;
        let status = self.wait(&case, |status| status.stage != At::Settling).await?;
        if let Some(refused) = status.outcome.filter(|outcome| outcome.result == ResultKind::Refused) {
            let why = refused.message.unwrap_or_default();
            return Err(Failure::new("demo", 1, format!("{case} was refused by rule {}: {why}", refused.rule)));
        }
        let (rule, words) = told;
        self.tell(rule, words);
        self.cases.push(case.clone());
        Ok(case)
    }

    /// A case has begun another one, which is open.
    pub fn went_on_in(&mut self, case: String) {
        self.cases.push(case);
    }

    /// Somebody gives a command, and the case takes it.
    pub async fn act(
        &mut self,
        case: &str,
        who: Role,
        command_kind: CommandKind,
        fields: Value,
        told: (&str, &str),
    ) -> Result<(), Failure> {
        let id = match who {
            Role::Client => "ada",
            Role::Freelancer => "ben",
            Role::Mediator => "max",
            Role::Arbitrator | Role::Operator => "ora",
        };
        let mut body = Map::new();
        body.insert("by".to_owned(), json!({"party": who, "id": id}));
        if let Value::Object(fields) = fields {
            body.extend(fields);
        }
        let now = self.client.virtual_now(case).await?;
        self.client.command(case, command_kind, body).await?;
        let (rule, words) = told;
        self.tell(rule, format!("{words}  ({})", describe::instant(now)));
        Ok(())
    }

    /// Waits until the case is in `stage`.
    pub async fn until(&self, case: &str, stage: At) -> Result<(), Failure> {
        self.wait(case, |status| status.stage == stage).await.map(drop)
    }

    /// Days pass for the case.
    pub async fn pass(&mut self, case: &str, days: u32, told: &str) -> Result<(), Failure> {
        let passes = if days == 1 { "1 day passes".to_owned() } else { format!("{days} days pass") };
        self.tell("", format!("{passes}: {told}"));
        self.client.advance(case, DAY * days).await?;
        self.client.catch_up(case).await?;
        Ok(())
    }

    /// Waits until a case has ended, and returns its last status.
    pub async fn ended(&self, case: &str) -> Result<Status, Failure> {
        self.wait(case, |status| status.stage == At::Closed).await
    }

    /// How a case ended.
    pub async fn outcome(&self, case: &str) -> Result<Outcome, Failure> {
        let result = tokio::time::timeout(PATIENCE, self.client.result(case)).await;
        Ok(result.map_err(|_| Failure::new("demo", 1, format!("{case} has not ended")))??)
    }

    /// The contract's money at `now`.
    pub async fn history(&self, ledger: &Ledger, now: Timestamp) -> Result<History, Failure> {
        let history = ledger.history(&self.contract.id, now).await?;
        history.ok_or_else(|| Failure::new("demo", 1, format!("no money of {} moved", self.contract.id)))
    }

    /// The contract's newest payment to the freelancer.
    pub async fn newest_payment(&self, ledger: &Ledger) -> Result<Entry, Failure> {
        let history = self.history(ledger, Timestamp::now()).await?;
        let newest = history.entries.into_iter().rfind(|entry| entry.kind == PostingKind::Release.name());
        newest.ok_or_else(|| Failure::new("demo", 1, format!("nothing of {} was released", self.contract.id)))
    }

    async fn wait(&self, case: &str, wanted: impl Fn(&Status) -> bool) -> Result<Status, Failure> {
        let status = self.client.wait_for(case, PATIENCE, &wanted).await?;
        if wanted(&status) {
            return Ok(status);
        }
        Err(Failure::new("demo", 1, format!("{case} is still in stage {}", status.stage)))
    }

    fn tell(&mut self, rule: &str, words: impl std::fmt::Display) {
        let _ = writeln!(self.told, "  {rule:<3} {words}");
    }
}

/// An amount in minor units.
pub fn amount(minor: i64) -> Result<Amount, Failure> {
    Amount::new(minor).map_err(|error| Failure::new("demo", 1, error.to_string()))
}

fn id(text: &str) -> Result<Id, Failure> {
    Id::new(text).map_err(|error| Failure::new("demo", 1, error.to_string()))
}

/// One of the wire contract's values, from its JSON.
pub fn made<T: DeserializeOwned>(json: Value) -> Result<T, Failure> {
    serde_json::from_value(json).map_err(|error| Failure::new("demo", 1, error.to_string()))
}
