//! A contract's story on the real server, in the same words as the domain's tables: `2 client reject claim` is a command
//! on day 2 of the case, sent as an update through the client that the command line uses, after the case's clock was
//! advanced to that day.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::Duration,
};

use jiff::Timestamp;
use recourse_client::{ClientError, Started};
use recourse_domain::{
    command::{CommandKind, phrase},
    ids::Id,
    messages::{
        DisputeStart, EscrowDepositStart, MilestoneReviewStart, PaymentRefundStart, RefundRequestStart, Status,
    },
    outcome::Outcome,
    stage::Stage,
};
use serde_json::{Map, Value, json};

use super::{World, mode::assert_it_happened, unique, world::PATIENCE};

/// One contract and its cases.
pub struct Story<'a> {
    world: &'a World,
    /// The contract.
    pub contract: Value,
    /// The refund request's workflow id.
    pub refund_request: String,
    /// The dispute's workflow id.
    pub dispute: String,
    /// The policy of cases that are started without one; null for the default.
    pub policy: Value,
    /// The case that commands go to, and whose clock is advanced.
    current: String,
    /// Whether the story has turned to this case, which may not know yet what happened in the earlier one.
    turned: bool,
    /// How far each case's own clock is, in days.
    clocks: BTreeMap<String, f64>,
    /// How often the worker had been swapped after this story's last step.
    swaps: Cell<u64>,
    /// How many commands each case has taken since it was begun.
    commands: RefCell<BTreeMap<String, usize>>,
}

impl<'a> Story<'a> {
    /// A new contract.
    pub fn new(world: &'a World, name: &str) -> Self {
        Self::named(world, &unique(name))
    }

    /// A new contract with exactly this id, in a world where no other has it.
    pub fn named(world: &'a World, id: &str) -> Self {
        let contract = json!({
            "id": id, "title": "Logo", "kind": "fixed_price", "currency": "USD",
            "client": {"id": format!("cl-{id}"), "name": "Cleo", "email": format!("cleo.{id}@example.com")},
            "freelancer": {"id": format!("fl-{id}"), "name": "Finn", "email": format!("finn.{id}@example.com")},
        });
        let (refund_request, dispute) = (format!("refund-request:{id}"), format!("dispute:{id}"));
        Self::of(world, contract, refund_request, dispute)
    }

    fn of(world: &'a World, contract: Value, refund_request: String, dispute: String) -> Self {
        Self {
            world,
            contract,
            current: refund_request.clone(),
            turned: false,
            refund_request,
            dispute,
            policy: Value::Null,
            clocks: BTreeMap::new(),
            swaps: Cell::default(),
            commands: RefCell::default(),
        }
    }

    /// The same contract, ended once more.
    pub fn again(&self) -> Self {
        let Self { world, contract, refund_request, dispute, .. } = self;
        Self::of(world, contract.clone(), refund_request.clone(), dispute.clone())
    }

    /// From now on commands go to the dispute, which was started without another case.
    pub fn dispute_runs(&mut self) {
        self.on(&self.dispute.clone());
    }

    /// From now on commands go to this case.
    pub fn on(&mut self, case: &str) {
        case.clone_into(&mut self.current);
        self.turned = true;
    }

    /// Waits until the current case knows what happened in the earlier one.
    async fn heard_within(&mut self) {
        if std::mem::take(&mut self.turned) {
            self.world.quiet(&self.current).await;
        }
    }

    /// The same contract with these fields changed, such as `{"currency": "JPY"}`.
    pub fn with(mut self, fields: &Value) -> Self {
        let fields = fields.as_object().unwrap().clone();
        self.contract.as_object_mut().unwrap().extend(fields);
        self
    }

    /// The contract's id.
    pub fn id(&self) -> Id {
        Id::new(self.contract["id"].as_str().unwrap()).unwrap()
    }

    /// Deposits from a card and waits for it.
    pub async fn deposit(&self, deposit: &str, minor: i64, source: &str) -> Outcome {
        let start = json!({"contract": self.contract, "deposit": deposit, "amount": minor, "source": {"id": source, "verified": true}});
        let start: EscrowDepositStart = serde_json::from_value(start).unwrap();
        let _step = self.world.step().await;
        let started = self.world.client.start_or_find(start).await.unwrap();
        self.world.client.result_of(&started).await.unwrap()
    }

    /// Deposits for a milestone from a card and waits for it.
    pub async fn fund(&self, deposit: &str, milestone: &str, minor: i64, source: &str) -> Outcome {
        let start = json!({
            "contract": self.contract, "deposit": deposit, "amount": minor, "milestone": milestone,
            "source": {"id": source, "verified": true},
        });
        let start: EscrowDepositStart = serde_json::from_value(start).unwrap();
        let _step = self.world.step().await;
        let started = self.world.client.start_or_find(start).await.unwrap();
        self.world.client.result_of(&started).await.unwrap()
    }

    /// The workflow id of a milestone's review.
    pub fn review(&self, milestone: &str) -> String {
        format!("milestone-review:{}:{milestone}", self.id())
    }

    /// Submits a milestone, and turns to its review.
    pub async fn submit(&mut self, milestone: &str, ordinal: u32, minor: i64) -> Status {
        self.submit_with(milestone, ordinal, minor, self.policy.clone()).await
    }

    /// Submits a milestone without waiting.
    pub async fn submit_at_once(&self, milestone: &str, ordinal: u32, minor: i64) {
        let start = self.submission(milestone, ordinal, minor, &Value::Null);
        self.world.client.start(start).await.unwrap();
    }

    fn submission(&self, milestone: &str, ordinal: u32, minor: i64, policy: &Value) -> MilestoneReviewStart {
        let start = json!({
            "contract": self.contract, "note": "Three sketches.", "policy": policy,
            "milestone": {"id": milestone, "ordinal": ordinal, "name": format!("Part {ordinal}"), "amount": minor},
        });
        serde_json::from_value(start).unwrap()
    }

    /// The same as [`submit`](Self::submit) with a policy.
    pub async fn submit_with(&mut self, milestone: &str, ordinal: u32, minor: i64, policy: Value) -> Status {
        let start = self.submission(milestone, ordinal, minor, &policy);
        let started = self.world.client.start_or_find(start).await.unwrap();
        self.started(started).await
    }

    /// Turns to this case, once it is open; or over, so that its id can be used again.
    async fn started(&mut self, started: Started) -> Status {
        self.current.clone_from(&started.case);
        self.clocks.remove(&started.case);
        match self.refused(&started).await {
            Some(refused) => refused,
            None => self.opened(&started.case).await,
        }
    }

    /// The status of a refused start that is over at once: read by its run, since it is no case (L8).
    async fn refused(&self, started: &Started) -> Option<Status> {
        let client = &self.world.client;
        let status = client.wait_for_start(started, PATIENCE, |status| !status.is_opening()).await.unwrap();
        status.outcome.as_ref()?;
        // Commands to an earlier case of this id did not go to this run.
        self.commands.borrow_mut().remove(&started.case);
        client.result_of(started).await.unwrap();
        Some(client.wait_for_start(started, PATIENCE, |status| status.stage == Stage::Closed).await.unwrap())
    }

    /// Asks for a payment back, and turns to that request.
    pub async fn ask_back(&mut self, payment: &str, released_at: Timestamp, minor: i64) -> Status {
        let start = json!({
            "contract": self.contract, "payment": payment, "released_at": released_at, "amount": minor,
            "message": "The files do not open.", "policy": self.policy,
        });
        let start: PaymentRefundStart = serde_json::from_value(start).unwrap();
        let started = self.world.client.start_or_find(start).await.unwrap();
        self.started(started).await
    }

    /// Starts a dispute about a milestone without a review, and turns to it.
    pub async fn dispute_alone(&mut self, grounds: &str, milestone: &str, minor: i64) -> Status {
        let start = json!({
            "contract": self.contract, "grounds": grounds, "milestone": milestone, "contacted_client": true,
            "attested_by": {"party": "operator", "id": "op-1"}, "policy": self.policy,
            "claim": {"amount": minor, "reason": "work_delivered", "details": "It is done."},
        });
        let start: DisputeStart = serde_json::from_value(start).unwrap();
        let started = self.world.client.start_or_find(start).await.unwrap();
        self.started(started).await
    }

    /// A card of this contract alone, so that a fault of the bank disturbs no other test.
    pub fn card(&self) -> String {
        format!("card-{}", self.id())
    }

    /// Ends the contract and waits until the case is open or over.
    pub async fn end(&self, pay_now: i64, policy: Value) -> Status {
        let start = json!({"contract": self.contract, "pay_now": pay_now, "policy": policy});
        let start: RefundRequestStart = serde_json::from_value(start).unwrap();
        let _step = self.world.step().await;
        let started = self.world.client.start_or_find(start).await.unwrap();
        match self.refused(&started).await {
            Some(refused) => refused,
            None => self.opened_within(&self.refund_request).await,
        }
    }

    /// The status after the case has learnt what it holds.
    pub async fn opened(&self, case: &str) -> Status {
        let _step = self.world.step().await;
        self.opened_within(case).await
    }

    async fn opened_within(&self, case: &str) -> Status {
        let status = self.wait_within(case, |status| !status.is_opening()).await;
        self.commands.borrow_mut().remove(case);
        self.swaps.set(self.world.swaps());
        status
    }

    /// The status as soon as it is as wanted.
    pub async fn wait(&self, case: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let _step = self.world.step().await;
        self.wait_within(case, wanted).await
    }

    async fn wait_within(&self, case: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let status = self.world.client.wait_for(case, PATIENCE, &wanted).await.unwrap();
        assert!(wanted(&status), "{case} is {status:?}");
        status
    }

    /// The case that commands go to.
    pub fn case(&self) -> &str {
        &self.current
    }

    /// Advances the case's clock to this day since its start, or its parent's.
    pub async fn until(&mut self, days: f64) {
        let is = self.clocks.get(&self.current).copied().unwrap_or_default();
        if days > is {
            let _step = self.world.step_after(self.swaps.get()).await;
            self.heard_within().await;
            let by = Duration::from_secs_f64((days - is) * 86_400.0);
            self.world.client.advance(self.case(), by).await.unwrap_or_else(|error| panic!("{}: {error}", self.case()));
            self.clocks.insert(self.current.clone(), days);
            // Everything that the clock triggered is done before the next advance: a stage that opens late would close late.
            self.world.quiet(self.case()).await;
            self.swaps.set(self.world.swaps());
        }
    }

    /// Sends a command of `who`, as an update.
    pub async fn say(&mut self, who: &str, words: &str) -> Result<Status, ClientError> {
        let (command_kind, body) = self.command(who, words);
        let _step = self.world.step_after(self.swaps.get()).await;
        self.heard_within().await;
        let answered = self.world.client.command(self.case(), command_kind, body).await;
        self.swaps.set(self.world.swaps());
        let status = answered?;
        *self.commands.borrow_mut().entry(self.current.clone()).or_default() += 1;
        if command_kind == CommandKind::Dispute {
            let dispute = status.dispute.clone().unwrap();
            let now = self.clocks.get(&self.current).copied().unwrap_or_default();
            self.clocks.insert(dispute.clone(), now);
            // Until then its id may belong to an earlier dispute.
            self.world.quiet(&self.current).await;
            self.current = dispute;
            self.opened_child_within().await;
        }
        Ok(status)
    }

    /// Waits until the dispute that was just filed exists and is open.
    pub async fn opened_child(&self) {
        let _step = self.world.step().await;
        self.opened_child_within().await;
    }

    async fn opened_child_within(&self) {
        self.world.opened(&self.current).await;
        self.opened_within(&self.current).await;
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
        self.outcome_of(&self.refund_request).await
    }

    /// A case's outcome.
    pub async fn outcome_of(&self, case: &str) -> Outcome {
        let _step = self.world.step().await;
        let result = tokio::time::timeout(PATIENCE, self.world.client.result(case)).await;
        let Ok(outcome) = result else { panic!("not over: {:?}", self.world.client.status(self.case()).await) };
        let commands = self.commands.borrow().get(case).copied().unwrap_or_default();
        assert_it_happened(self.world, self.world.mode, case, commands).await;
        outcome.unwrap()
    }

    /// The contract's ledger as `kind amount debit>credit, …`, in an order that does not depend on timing.
    pub async fn ledger(&self) -> String {
        ledger_of(self.world, &self.id()).await
    }

    /// The command and its JSON object.
    pub fn command(&self, who: &str, words: &str) -> (CommandKind, Map<String, Value>) {
        command_of(&self.contract, who, words)
    }
}

/// A command in a word or two, such as `accept offer 1`, and its JSON object, sent by one of the contract's parties or by
/// somebody in another role.
pub fn command_of(contract: &Value, who: &str, words: &str) -> (CommandKind, Map<String, Value>) {
    let command = phrase::command(words).unwrap();
    let id = match who {
        "client" | "freelancer" => contract[who]["id"].clone(),
        role => json!(format!("{role}-1")),
    };
    let mut body = command.fields();
    body.insert("by".into(), json!({"party": who, "id": id}));
    (command.command_kind(), body)
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
    let parts =
        [outcome.to_freelancer, outcome.to_client, outcome.kept_in_escrow].map(recourse_domain::money::Amount::minor);
    let (result, decided_by) = (outcome.result.name(), decided_by.as_str().unwrap().to_owned());
    format!("{result} {decided_by} {} {}/{}/{}", outcome.rule, parts[0], parts[1], parts[2])
}
