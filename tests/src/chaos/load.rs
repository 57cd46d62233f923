//! What the parties do: the plans and decisions of `recourse sim`, by parties that tolerate every fault. A party that gets no
//! answer asks again under the same key, or gives up; the diary has what it asked for and the answers.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use recourse_client::{ClientError, Start};
use recourse_domain::{
    command::CommandKind,
    ids::{CaseKind, Id, dispute_id},
    messages::Status,
    money::Amount,
    outcome::Outcome,
    party::Role,
    stage::Stage,
};
use recourse_simulation::{
    decide::decide,
    dice::{Dice, amount},
    moves::{Move, Wait},
    plan::{Ending, Mix, Plan},
};
use serde_json::{Value, json};

use super::{
    diary::{Answer, Diary, Given, what_of},
    supervisor::Parts,
};

/// How many contracts are played at a time.
const PARALLEL: usize = 10;

/// How often a party sends a command until it gets an answer.
const TRIES_MAX: u32 = 8;

/// How long a call may take. A frozen server answers nothing.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause between two looks at a case.
const PAUSE: Duration = Duration::from_millis(150);

/// Plays contract after contract until the faults are over, and then brings every story to its end.
pub async fn drive(parts: Arc<Parts>, diary: Arc<Diary>, seed: u64) {
    let next = Arc::new(AtomicU64::new(1));
    let slots = (0..PARALLEL).map(|_| {
        let (parts, diary, next) = (parts.clone(), diary.clone(), next.clone());
        async move {
            while !parts.healed.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                Player::new(parts.clone(), diary.clone(), seed, number).live().await;
            }
        }
    });
    futures_util::future::join_all(slots).await;
}

/// A player of all parties of one contract.
struct Player {
    parts: Arc<Parts>,
    diary: Arc<Diary>,
    plan: Plan,
    dice: Dice,
    card: Id,
    deposits: u32,
    given: u32,
    open: Vec<String>,
}

impl Player {
    fn new(parts: Arc<Parts>, diary: Arc<Diary>, seed: u64, number: u64) -> Self {
        let mut dice = Dice::new(seed, number);
        let mut plan = Plan::draw(&mut dice, seed, number, Mix::Everything).unwrap();
        let id = plan.contract.id.clone();
        plan.contract.client.email = Some(format!("cleo.{id}@example.com"));
        plan.contract.freelancer.email = Some(format!("finn.{id}@example.com"));
        let card = Id::new(&format!("card-{id}")).unwrap();
        diary.pages().contracts.push(id);
        Self { parts, diary, plan, dice, card, deposits: 0, given: 0, open: Vec::new() }
    }

    fn is_ending(&self) -> bool {
        self.parts.healed.load(Ordering::Relaxed)
    }

    async fn live(mut self) {
        for amount in self.plan.deposits.clone() {
            self.deposit(amount, None).await;
        }
        let moves = if let Ending::During { moves } = self.plan.ending { Some(moves) } else { None };
        for work in self.plan.milestones.clone() {
            if self.is_ending() || !self.open.is_empty() {
                break;
            }
            let milestone = work.milestone;
            if work.own_deposit {
                self.deposit(milestone.amount, Some(&milestone.id)).await;
            }
            let start = json!({"contract": self.plan.contract, "milestone": milestone, "note": "Here it is",
                               "policy": self.plan.policy});
            self.start(Start::MilestoneReview(serde_json::from_value(start).unwrap())).await;
            self.play(moves.map(|moves| moves * 3)).await;
        }
        if self.plan.ending != Ending::Never || !self.open.is_empty() || self.is_ending() {
            let pay_now = if self.dice.chance(60) { 0 } else { self.dice.minor(1, 20_000) };
            let start = json!({"contract": self.plan.contract, "pay_now": pay_now, "policy": self.plan.policy});
            self.start(Start::RefundRequest(serde_json::from_value(start).unwrap())).await;
            self.play(None).await;
        }
        if self.plan.asks_back > 0 && !self.is_ending() {
            self.ask_back().await;
            self.play(None).await;
        }
    }

    /// Puts money in escrow, unless the bank declines.
    async fn deposit(&mut self, amount: Amount, milestone: Option<&Id>) {
        self.deposits += 1;
        if self.dice.chance(6) {
            self.decline_next(&self.card).await;
        }
        let start = json!({
            "contract": self.plan.contract, "deposit": format!("d-{}", self.deposits), "amount": amount,
            "milestone": milestone, "source": {"id": self.card, "verified": true},
        });
        let case = self.start(Start::Deposit(serde_json::from_value(start).unwrap())).await;
        self.outcome(&case).await;
    }

    async fn ask_back(&mut self) {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let Ok(Some(history)) = self.parts.ledger.history(&self.plan.contract.id, now).await else { return };
        for entry in history.entries {
            if matches!(entry.kind.as_str(), "release" | "bonus") && self.dice.chance(self.plan.asks_back) {
                let start = json!({
                    "contract": self.plan.contract, "payment": entry.id, "released_at": entry.at,
                    "amount": self.dice.some_of(amount(entry.amount)), "message": "It was not what we agreed",
                    "policy": self.plan.policy,
                });
                self.start(Start::PaymentRefund(serde_json::from_value(start).unwrap())).await;
            }
        }
    }

    /// Starts a case, sometimes twice at once, until an answer says that it was started.
    async fn start(&mut self, start: Start) -> String {
        let case = start.case();
        self.diary.pages().starting(&case);
        let (client, twice) = (self.parts.client.clone(), self.dice.chance(10));
        loop {
            let ask = || timely(client.start_or_find(start.clone()));
            let started = if twice {
                let (one, two) = tokio::join!(ask(), ask());
                one.is_some() || two.is_some()
            } else {
                ask().await.is_some()
            };
            // A start has no key: a sender without an answer looks before it starts again.
            if started || timely(client.virtual_now(&case)).await.is_some() {
                self.diary.pages().started(&case);
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        if start.kind() != CaseKind::EscrowDeposit {
            self.diary.pages().open.insert(case.clone());
            self.open.push(case.clone());
        }
        case
    }

    async fn outcome(&self, case: &str) -> Outcome {
        loop {
            if let Some(outcome) = timely(self.parts.client.result(case)).await {
                return outcome;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Plays the open cases until they are over, or for this many turns.
    async fn play(&mut self, turns: Option<u32>) {
        let mut left = turns;
        while !self.open.is_empty() {
            if left == Some(0) && !self.is_ending() {
                return;
            }
            left = left.map(|left| left.saturating_sub(1));
            for case in self.open.clone() {
                self.turn(&case).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Looks at a case, and makes a party's next move.
    async fn turn(&mut self, case: &str) {
        let Some(status) = timely(self.parts.client.status(case)).await else { return };
        self.diary.pages().see(&status);
        match status.stage {
            Stage::Closed | Stage::OnHold => {
                self.diary.pages().open.remove(case);
                self.open.retain(|open| open != case);
            }
            Stage::Settling => {}
            Stage::Disputed => {
                let milestone = status.review.as_ref().map(|review| &review.milestone.id);
                let dispute = status.dispute.clone().unwrap_or_else(|| dispute_id(&status.contract, milestone));
                if !self.open.contains(&dispute) {
                    self.diary.pages().open.insert(dispute.clone());
                    self.open.push(dispute);
                }
            }
            _ => match self.choose(&status) {
                Some(next) => self.make(&status, next).await,
                None => self.pass(&status, 16).await,
            },
        }
    }

    /// A party's next move. When the stories are to end, only moves that are needed for that.
    fn choose(&mut self, status: &Status) -> Option<Move> {
        if self.is_ending() && status.deadline.is_some() {
            return None;
        }
        let chosen = decide(&mut self.dice, status)?;
        // A dispute that leaves its review unchanged can be filed again under the same id; the verdict identifies cases by id.
        let again = chosen.command_kind == CommandKind::Withdraw && status.case.matches(':').count() > 1;
        (!again).then_some(chosen)
    }

    /// Lets this many sixteenths of the window pass in silence.
    async fn pass(&mut self, status: &Status, sixteenths: u32) {
        let Some(deadline) = status.deadline else { return };
        let client = &self.parts.client;
        let Some(now) = timely(client.virtual_now(&status.case)).await else { return };
        let left = Duration::try_from(deadline.duration_since(now)).unwrap_or_default();
        let by = if sixteenths == 16 { left + Duration::from_secs(1) } else { left * sixteenths / 16 };
        if timely(client.advance(&status.case, by)).await.is_some() {
            timely(client.catch_up(&status.case)).await;
        }
    }

    /// Sends a command under a key, until it gets an answer or has tried often enough.
    async fn make(&mut self, status: &Status, next: Move) {
        match next.wait {
            Wait::Sixteenths(sixteenths) => self.pass(status, sixteenths.into()).await,
            Wait::Days(_) | Wait::None => {}
        }
        let Some(at) = timely(self.parts.client.virtual_now(&status.case)).await else { return };
        if next.declined.is_some() {
            let source = if next.by == Role::Freelancer { self.freelancers_source() } else { self.card.clone() };
            self.decline_next(&source).await;
        }
        self.given += 1;
        let key = format!("move-{}", self.given);
        let mut body = next.fields.clone();
        let what = what_of(status.kind, next.command_kind, &body);
        body.insert("by".to_owned(), json!({"party": next.by, "id": self.id_of(next.by, next.stranger)}));
        body.insert("key".to_owned(), json!(key));
        body.insert("at".to_owned(), json!(at));
        let index = {
            let (case, by, command_kind) = (status.case.clone(), next.by, next.command_kind);
            let mut pages = self.diary.pages();
            let answers = std::collections::BTreeSet::new();
            pages.commands.push(Given { case, by, command_kind, what, key, at, answer: Answer::None, answers });
            pages.commands.len() - 1
        };
        let (as_signal, twice) = (next.right && self.dice.chance(20), self.dice.chance(20));
        for attempt in 0..TRIES_MAX {
            let sent = if as_signal {
                self.signal(&status.case, next.command_kind, &body).await
            } else if twice && attempt == 0 {
                let (one, two) = tokio::join!(
                    self.command(&status.case, next.command_kind, &body, index),
                    self.command(&status.case, next.command_kind, &body, index)
                );
                one.or(two)
            } else {
                self.command(&status.case, next.command_kind, &body, index).await
            };
            if let Some(answer) = sent {
                self.diary.pages().commands[index].answer = answer;
                return;
            }
            tokio::time::sleep(PAUSE * (attempt + 1)).await;
        }
    }

    async fn command(
        &self,
        case: &str,
        command_kind: CommandKind,
        body: &serde_json::Map<String, Value>,
        index: usize,
    ) -> Option<Answer> {
        let call = Box::pin(self.parts.client.command(case, command_kind, body.clone()));
        let answered = tokio::time::timeout(CALL_TIMEOUT, call).await;
        let mut pages = self.diary.pages();
        match answered {
            Ok(Ok(status)) => {
                pages.hear(&status);
                pages.commands[index].answers.insert("taken");
                Some(Answer::Taken)
            }
            // The client says this of a case that is over, without asking it: the case may have taken an earlier try.
            Ok(Err(ClientError::Refused { message, .. })) if message.starts_with("the case is closed") => {
                (pages.commands[index].answers.insert("closed")).then_some(Answer::None)
            }
            Ok(Err(ClientError::Refused { .. })) => {
                pages.commands[index].answers.insert("refused");
                Some(Answer::Refused)
            }
            Ok(Err(_)) | Err(_) => None,
        }
    }

    async fn signal(
        &self,
        case: &str,
        command_kind: CommandKind,
        body: &serde_json::Map<String, Value>,
    ) -> Option<Answer> {
        let json = serde_json::to_vec(body).unwrap();
        timely(self.parts.client.signal(case, command_kind.name(), json)).await.map(|()| Answer::Signalled)
    }

    async fn decline_next(&self, source: &Id) {
        let decline = recourse_payments::Fault::Decline;
        let _ = self.parts.bank.set_fault(Some(source), decline, 1).await;
    }

    fn freelancers_source(&self) -> Id {
        let freelancer = &self.plan.contract.freelancer;
        freelancer.agency.as_ref().map_or(&freelancer.id, |agency| &agency.id).clone()
    }

    fn id_of(&self, role: Role, stranger: bool) -> String {
        let contract = &self.plan.contract;
        match (role, stranger) {
            (_, true) => "nobody".to_owned(),
            (Role::Client, false) => contract.client.id.to_string(),
            (Role::Freelancer, false) => contract.freelancer.id.to_string(),
            (role, false) => format!("{role}-1"),
        }
    }
}

/// The answer to a call, if there is one.
async fn timely<T>(call: impl Future<Output = Result<T, ClientError>>) -> Option<T> {
    tokio::time::timeout(CALL_TIMEOUT, Box::pin(call)).await.ok()?.ok()
}
