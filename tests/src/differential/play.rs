//! Plays a script on the real server and on paper side by side, and compares after each step.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use recourse_client::ClientError;
use recourse_domain::{case::Particulars, command::Refusal, ids::Id, messages::Status, party::Role};
use recourse_payments::Fault;
use serde_json::{Map, Value, json};

use super::script::{Beginning, Say, Script, Step, hand_over, pass, stamped};
use crate::{
    harness::{Story, World, ledger_of},
    paper::{AnyCase, Paper, To},
};

/// How long the real case may take to reach the state of the case on paper. It takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(45);

/// How much the two clocks may differ when a stage opens, because a machine can be slow.
const APART_MAX: SignedDuration = SignedDuration::from_mins(10);

/// A script being played.
pub struct Played<'a> {
    world: &'a World,
    story: Story<'a>,
    main: String,
    paper: Paper,
}

/// Plays the script to its end.
///
/// # Errors
/// The difference between paper and server.
pub async fn play(world: &World, script: &Script) -> Result<(), String> {
    let mut played = Played::begin(world, script).await?;
    played.compare().await.map_err(|differs| format!("at the beginning: {differs}"))?;
    for (number, step) in script.steps.iter().enumerate() {
        played.step(step).await.map_err(|differs| format!("in step {number}: {differs}"))?;
    }
    played.end().await
}

impl<'a> Played<'a> {
    async fn begin(world: &'a World, script: &Script) -> Result<Self, String> {
        let mut story = Story::new(world, "diff");
        for (index, minor) in script.deposits.iter().enumerate() {
            story.deposit(&format!("d-{}", index + 1), *minor, &story.card()).await;
        }
        let contract = serde_json::from_value(story.contract.clone()).unwrap();
        let (main, begun_at) = match &script.beginning {
            Beginning::End { pay_now } => {
                story.end(*pay_now, script.policy.clone()).await;
                (story.refund_request.clone(), Timestamp::now())
            }
            Beginning::Submission { minor } => {
                story.submit_with("m-1", 1, *minor, script.policy.clone()).await;
                (story.review("m-1"), Timestamp::now())
            }
            Beginning::AskedBack { minor } => {
                story.end(script.deposits.iter().sum(), json!(null)).await;
                story.outcome().await;
                let history = world.ledger.history(&story.id(), Timestamp::now()).await.unwrap().unwrap();
                let release = history.entries.iter().find(|entry| entry.kind == "release").unwrap();
                let (payment, at): (_, Timestamp) = (release.id.clone(), release.at.parse().unwrap());
                story.ask_back(&payment, at, *minor).await;
                (format!("payment-refund:{payment}"), at)
            }
        };
        let paper = script.beginning.on_paper(contract, &script.deposits, script.policy(), begun_at);
        Ok(Self { world, story, main, paper })
    }

    fn case_of(&self, to: To) -> String {
        match (to, &self.paper.main) {
            (To::Main, _) => self.main.clone(),
            (To::Dispute, AnyCase::Review(_)) => format!("dispute:{}:m-1", self.story.id()),
            (To::Dispute, _) => self.story.dispute.clone(),
        }
    }

    async fn now(&self, to: To) -> Result<Timestamp, String> {
        self.world.client.virtual_now(&self.case_of(to)).await.map_err(|error| error.to_string())
    }

    /// Sets the clocks on paper to the real ones.
    async fn set_clocks(&mut self) -> Result<(), String> {
        if self.paper.is_over() {
            return Ok(());
        }
        let current = self.paper.current();
        let now = self.now(current).await?;
        if current == To::Dispute {
            self.paper.now = self.now(To::Main).await?.max(self.paper.now);
        }
        pass(&mut self.paper, now);
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        let (current, now) = (self.paper.current(), self.paper.clock());
        let until = step.pass.until(now, self.paper.deadline());
        if until > now {
            let case = self.case_of(current);
            self.world.quiet(&case).await;
            // By the real clock, which has continued since.
            let by = until.duration_since(self.now(current).await?);
            let by = Duration::try_from(by).unwrap_or_default();
            self.world.client.advance(&case, by).await.map_err(|error| error.to_string())?;
            pass(&mut self.paper, until);
            self.compare().await?;
        }
        if let Some(say) = &step.say {
            self.say(say).await?;
        }
        self.compare().await
    }

    async fn say(&mut self, say: &Say) -> Result<(), String> {
        if say.declined {
            let source = if say.body["by"]["party"] == "freelancer" {
                self.story.contract["freelancer"]["id"].as_str().unwrap().to_owned()
            } else {
                self.story.card()
            };
            self.world.bank.set_fault(Some(&Id::new(&source).unwrap()), Fault::Decline, 1).await.unwrap();
        }
        self.set_clocks().await?;
        let body = self.real_names(stamped(say, self.now(say.to).await?));
        let real = self.send(say, &body).await?;
        let on_paper = hand_over(&mut self.paper, say, &body);
        Self::same_answer(say, real, &on_paper)?;
        // A closed case gets no more commands.
        if say.twice && !self.paper.is_over() {
            // As a signal: the server itself would answer a second update with the same id.
            let again = Say { signal: true, ..say.clone() };
            let _ = self.send(&again, &body).await?;
            let _ = hand_over(&mut self.paper, &again, &body);
        }
        Ok(())
    }

    /// The server's answer; none for a signal.
    async fn send(&self, say: &Say, body: &Map<String, Value>) -> Result<Option<Result<(), ClientError>>, String> {
        let case = self.case_of(say.to);
        if say.signal {
            let json = serde_json::to_vec(body).unwrap();
            return match self.world.client.signal(&case, say.command_kind.name(), json).await {
                Ok(()) | Err(ClientError::NotFound { .. } | ClientError::Refused { .. }) => Ok(None),
                Err(error) => Err(error.to_string()),
            };
        }
        let started = Instant::now();
        loop {
            match self.world.client.command(&case, say.command_kind, body.clone()).await {
                Err(ClientError::NoWorker { .. } | ClientError::Busy { .. }) if started.elapsed() < PATIENCE => {}
                answer => return Ok(Some(answer.map(drop))),
            }
        }
    }

    fn same_answer(
        say: &Say,
        real: Option<Result<(), ClientError>>,
        on_paper: &Result<(), Refusal>,
    ) -> Result<(), String> {
        let command_kind = say.command_kind;
        match (real, on_paper) {
            (None, _) | (Some(Ok(())), Ok(())) => Ok(()),
            (Some(Err(ClientError::Refused { name, message, .. })), Err(refusal)) => {
                let by_rule = refusal.rule.is_none_or(|rule| message.contains(&format!("(rule {rule})")));
                if name.0 == refusal.kind && by_rule {
                    return Ok(());
                }
                Err(format!("{command_kind} is refused otherwise: {name}: {message}, on paper {refusal}"))
            }
            (Some(real), on_paper) => Err(format!("{command_kind} is answered {real:?}, on paper {on_paper:?}")),
        }
    }

    /// Replaces the ids on paper by those of the contract's parties.
    fn real_names(&self, mut body: Map<String, Value>) -> Map<String, Value> {
        if let Some(by) = body.get_mut("by").filter(|by| by["id"] == "cl-1" || by["id"] == "fl-1") {
            by["id"] = self.story.contract[by["party"].as_str().unwrap()]["id"].clone();
        }
        body
    }

    /// Waits until the real cases are where those on paper are.
    async fn compare(&mut self) -> Result<(), String> {
        let started = Instant::now();
        loop {
            // A dispute that was just filed does not exist at once: that is a difference too.
            let looked = match self.set_clocks().await {
                Ok(()) => self.differs().await,
                Err(unknown) => Err(unknown),
            };
            let Err(differs) = looked else { return Ok(()) };
            if started.elapsed() > PATIENCE {
                return Err(differs);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    async fn differs(&self) -> Result<(), String> {
        let faults = &self.paper.books.faults;
        if !faults.is_empty() {
            return Err(format!("the books on paper are broken: {faults:?}"));
        }
        for to in [To::Main, To::Dispute] {
            let Some(on_paper) = self.paper.status(to) else { continue };
            let real = self.world.client.status(&self.case_of(to)).await.map_err(|error| error.to_string())?;
            same(&on_paper, &real)?;
        }
        let ledger = ledger_of(self.world, &self.story.id()).await;
        let [ledger, books] = [ledger, self.paper.books.shown()].map(|shown| bonus_last(&shown));
        if ledger != books {
            return Err(format!("the ledger is `{ledger}`, on paper `{books}`"));
        }
        Ok(())
    }

    /// The case is over, and its result is the one on paper.
    async fn end(&self) -> Result<(), String> {
        let result = tokio::time::timeout(PATIENCE, self.world.client.result(&self.main)).await;
        let result = result.map_err(|_| "the case is not over, on paper it is".to_owned())?;
        let (real, on_paper) = (result.map_err(|error| error.to_string())?, self.paper.outcome());
        if Some(&real) != on_paper {
            return Err(format!("the outcome is {real:?}, on paper {on_paper:?}"));
        }
        Ok(())
    }
}

/// A bonus is charged at the same time as the release (E7): either may be posted first.
fn bonus_last(shown: &str) -> String {
    let (bonus, others): (Vec<&str>, Vec<&str>) = shown.split(", ").partition(|posting| posting.starts_with("bonus "));
    [others, bonus].concat().join(", ")
}

/// The parts that must be the same in both statuses.
fn shown(status: &Status) -> Value {
    let Status { stage, waiting_on, held, if_silent, overdue, allowed, .. } = status;
    let Particulars { claim, rejection, offers, resolution, .. } = &status.particulars;
    let allowed: Vec<_> = Role::ALL.iter().map(|role| allowed.get(role)).collect();
    let timeline: Vec<_> = status.timeline.iter().map(|entry| json!([entry.by, entry.what, entry.rule])).collect();
    let payment = status.payment.as_ref();
    let payment = payment.map(|payment| json!([payment.left, payment.asked, payment.mediation, payment.opinion]));
    json!({
        "stage": stage, "waiting_on": waiting_on, "held": held, "if_silent": if_silent, "overdue": overdue,
        "allowed": allowed, "claim": claim, "rejection": rejection, "offers": offers, "resolution": resolution,
        "answers": status.answers, "dispute": status.dispute, "review": status.review, "payment": payment,
        "outcome": status.outcome, "timeline": timeline,
    })
}

fn same(on_paper: &Status, real: &Status) -> Result<(), String> {
    let (Value::Object(paper), Value::Object(server)) = (shown(on_paper), shown(real)) else { unreachable!() };
    for (name, value) in &server {
        if paper[name] != *value {
            return Err(format!("{}: {name} is {value}, on paper {}", real.case, paper[name]));
        }
    }
    let close = match (on_paper.deadline, real.deadline) {
        (Some(paper), Some(real)) => paper.duration_since(real).abs() < APART_MAX,
        (paper, real) => paper == real,
    };
    if close {
        return Ok(());
    }
    Err(format!("{}: the deadline is {:?}, on paper {:?}", real.case, real.deadline, on_paper.deadline))
}
