//! Scripts: how a case begins and what happens in it, drawn by dice on paper. People make the moves of `recourse sim`; commands
//! also come twice, with wrong clocks, late, and for a case that waits for its dispute.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use recourse_domain::{
    command::{CommandKind, Message, Refusal},
    ids::{Id, PaymentId},
    milestone::{Milestone, Submission},
    money::Amount,
    party::{Contract, Role},
    policy::Policy,
    stage::Stage,
    starts::{MilestoneReviewStart, PaymentRefundStart, RefundRequestStart},
};
use recourse_simulation::{decide::decide, dice::Dice, moves::Wait};
use serde_json::{Map, Value, json};

use crate::paper::{Books, Paper, To};

/// The most steps of a script; silence ends a longer one.
const STEPS_MAX: usize = 14;

/// How many steps a long script has, and how often dice are thrown to get one.
const LONG: usize = 6;
const TRIES_MAX: usize = 20;

/// How a case begins.
#[derive(Debug, Clone)]
pub enum Beginning {
    /// The contract ends, and the client pays this much at once.
    End { pay_now: i64 },
    /// A milestone of this amount is submitted.
    Submission { minor: i64 },
    /// The client asks for this much of a payment back; the payment is the whole money.
    AskedBack { minor: i64 },
}

/// A script.
#[derive(Debug, Clone)]
pub struct Script {
    /// The seed of its run.
    pub seed: u64,
    /// Its number in the run.
    pub number: u64,
    /// The earlier deposits.
    pub deposits: Vec<i64>,
    /// How the case begins.
    pub beginning: Beginning,
    /// Its policy, as JSON.
    pub policy: Value,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// A step: time passes, and then somebody gives a command, or nobody does.
#[derive(Debug, Clone)]
pub struct Step {
    /// How much time passes.
    pub pass: Pass,
    /// The command.
    pub say: Option<Say>,
}

/// An amount of time.
#[derive(Debug, Clone, Copy)]
pub enum Pass {
    /// No time.
    Nothing,
    /// This many sixteenths of the window's rest.
    Sixteenths(u8),
    /// Until an hour before the deadline.
    HourBefore,
    /// Until the deadline has passed.
    Deadline,
    /// This many days.
    Days(u8),
}

/// A command and how it comes.
#[derive(Debug, Clone)]
pub struct Say {
    /// The case that gets it.
    pub to: To,
    /// Its kind.
    pub command_kind: CommandKind,
    /// Its JSON object without `at`; with the parties' names as on paper.
    pub body: Map<String, Value>,
    /// By how many hours its receipt time is ahead of the case's clock.
    pub ahead: i64,
    /// Whether it is sent as a signal, which has no answer.
    pub signal: bool,
    /// Whether it comes a second time.
    pub twice: bool,
    /// Whether the bank declines the charge that it causes.
    pub declined: bool,
}

impl Beginning {
    /// The case on paper.
    pub fn on_paper(&self, contract: Contract, deposits: &[i64], policy: Policy, now: Timestamp) -> Paper {
        let amount = |minor: i64| Amount::new(minor).unwrap();
        let books = Books::with(deposits, "card-1");
        let mut paper = match self {
            Self::End { pay_now } => {
                let end =
                    RefundRequestStart { contract, pay_now: amount(*pay_now), reason: None, policy: Some(policy) };
                Paper::contract_ends(end, books, now)
            }
            Self::Submission { minor } => {
                let id = Id::new("m-1").unwrap();
                let case = format!("milestone-review:{}:m-1", contract.id);
                let milestone =
                    Milestone { id, ordinal: 1, name: "Part 1".to_owned(), amount: amount(*minor), description: None };
                let submission = Submission { note: "Three sketches.".to_owned(), files: vec![] };
                let first = MilestoneReviewStart { contract, milestone, submission, policy: Some(policy) };
                Paper::milestone_is_submitted(&case, first, books, now)
            }
            Self::AskedBack { minor } => {
                let paid: i64 = deposits.iter().sum();
                let payment = PaymentId::new(&format!("refund-request:{}/pay_now", contract.id)).unwrap();
                let books = books.and_paid(payment.as_str(), paid);
                let message = "The files do not open.".to_owned();
                let asked = PaymentRefundStart {
                    contract,
                    payment,
                    released_at: now,
                    amount: amount(*minor),
                    message,
                    policy: Some(policy),
                };
                Paper::payment_is_asked_back(asked, (amount(paid), Amount::ZERO, now), books, now)
            }
        };
        paper.one_clock = false;
        paper
    }
}

impl Pass {
    /// The instant at which it is over, if that is known.
    pub fn until(self, now: Timestamp, deadline: Option<Timestamp>) -> Timestamp {
        let left = deadline.map(|deadline| deadline.duration_since(now));
        let by = match (self, left) {
            (Self::Sixteenths(sixteenths), Some(left)) => left / 16 * i32::from(sixteenths),
            (Self::HourBefore, Some(left)) => left - SignedDuration::from_hours(1),
            (Self::Deadline, Some(left)) => left + SignedDuration::from_secs(1),
            (Self::Days(days), _) => SignedDuration::from_hours(24 * i64::from(days)),
            _ => SignedDuration::ZERO,
        };
        now + by.max(SignedDuration::ZERO)
    }
}

/// Advances a story's clock, and stops at every alarm and deadline on the way.
pub fn pass(paper: &mut Paper, until: Timestamp) {
    while let Some(at) = paper.wake_at().filter(|at| *at <= until) {
        let (current, at) = (paper.current(), at.max(paper.clock()));
        paper.pass(at);
        paper.run(None);
        if paper.current() != current {
            return;
        }
    }
    if until > paper.clock() {
        paper.pass(until);
    }
}

/// Hands a command over on paper. A command that cannot be read reaches a case only as a signal.
pub fn hand_over(paper: &mut Paper, say: &Say, body: &Map<String, Value>) -> Result<(), Refusal> {
    let read = Message::read(say.command_kind, &serde_json::to_vec(body).unwrap());
    let answer = match paper.readable(say.to, read) {
        Err(unreadable) if !say.signal => return Err(unreadable.into()),
        read => paper.receive_read(say.to, say.command_kind, read),
    };
    paper.run(None);
    while !paper.asked.is_empty() {
        paper.run(Some(!say.declined));
    }
    answer
}

impl Script {
    /// The script with this number in the run with this seed. Most random scripts are short; so three of four are drawn to be
    /// long.
    pub fn draw(seed: u64, number: u64) -> Self {
        let mut dice = Dice::new(seed, number);
        let steps_min = if number.is_multiple_of(4) { 1 } else { LONG };
        let mut drawn = (0..TRIES_MAX).map(|_| Self::drawn(&mut dice, seed, number));
        let first = drawn.next().expect("it is drawn at least once");
        let script =
            if first.steps.len() >= steps_min { None } else { drawn.find(|script| script.steps.len() >= steps_min) };
        script.unwrap_or(first)
    }

    fn drawn(dice: &mut Dice, seed: u64, number: u64) -> Self {
        let deposits: Vec<i64> = (0..=dice.below(2)).map(|_| dice.minor(2, 30_000)).collect();
        let held: i64 = deposits.iter().sum();
        let beginning = match dice.below(8) {
            0 => Beginning::AskedBack { minor: dice.minor(1, held) },
            1 | 2 => Beginning::Submission { minor: held },
            _ => Beginning::End { pay_now: if dice.chance(50) { 0 } else { dice.minor(0, held + 1) } },
        };
        let policy = match beginning {
            Beginning::AskedBack { .. } => json!({}),
            _ => json!({
                "client_silence": dice.pick(&"claimed_amount", &["all_held"]),
                "no_arbitration": dice.pick(&"refund_client", &["release_freelancer", "follow_resolution", "hold"]),
                "arbitration_fee_share": dice.pick(&0, &[5_000, 33_750]),
            }),
        };
        let mut script = Self { seed, number, deposits, beginning, policy, steps: Vec::new() };
        script.steps = script.draw_steps(dice);
        script
    }

    /// The policy as a value.
    pub fn policy(&self) -> Policy {
        serde_json::from_value(self.policy.clone()).unwrap()
    }

    fn draw_steps(&self, dice: &mut Dice) -> Vec<Step> {
        let now = Timestamp::from_second(1_793_534_400).unwrap();
        let mut paper = self.beginning.on_paper(crate::paper::contract(), &self.deposits, self.policy(), now);
        let mut steps: Vec<Step> = Vec::new();
        while !paper.is_over() && steps.len() < STEPS_MAX * 3 {
            let step = draw_step(dice, &paper, steps.len());
            let key = format!("step-{}", steps.len());
            let step = play(&mut paper, step, &key);
            steps.push(step);
        }
        assert!(paper.is_over(), "a script that does not end: {:?}", self.beginning);
        steps
    }
}

/// Plays a step on paper while it is drawn. Only then is it known whether the bank is asked.
fn play(paper: &mut Paper, mut step: Step, key: &str) -> Step {
    let until = step.pass.until(paper.clock(), paper.deadline());
    pass(paper, until);
    if let Some(say) = &mut step.say {
        say.body.insert("key".to_owned(), json!(key));
        let mut tried = paper.clone();
        let mut asked = tried.clone();
        let _ = hand_over(&mut tried, say, &stamped(say, clock_of(paper, say.to)));
        // Both declined and not: only a charge makes a difference.
        let other = Say { declined: !say.declined, ..say.clone() };
        let _ = hand_over(&mut asked, &other, &stamped(say, clock_of(paper, say.to)));
        say.declined = say.declined && tried.books != asked.books;
        *paper = tried;
    }
    step
}

/// The clock of one of a story's cases.
pub fn clock_of(paper: &Paper, to: To) -> Timestamp {
    if to == To::Main { paper.now } else { paper.clock() }
}

/// The command's object with its receipt time.
pub fn stamped(say: &Say, now: Timestamp) -> Map<String, Value> {
    let mut body = say.body.clone();
    body.insert("at".to_owned(), json!(now + SignedDuration::from_hours(say.ahead)));
    body
}

fn draw_step(dice: &mut Dice, paper: &Paper, steps: usize) -> Step {
    let status = paper.status(paper.current()).expect("there is a current case");
    let drawn = if steps < STEPS_MAX { decide(dice, &status) } else { None };
    let say = |by: Role, command_kind, mut body: Map<String, Value>| {
        body.insert("by".to_owned(), json!({"party": by, "id": id_of(by)}));
        let to = paper.current();
        Say { to, command_kind, body, ahead: 0, signal: false, twice: false, declined: false }
    };
    let Some(next) = drawn else {
        let last = |by, command_kind, body: Value| {
            let Value::Object(body) = body else { unreachable!() };
            Step { pass: Pass::Days(1), say: Some(say(by, command_kind, body)) }
        };
        return match status.stage {
            Stage::InArbitration => last(
                Role::Arbitrator,
                CommandKind::Award,
                json!({"to_freelancer": dice.part(status.held), "reference": "AAA-1"}),
            ),
            Stage::ChangesRequested => last(Role::Operator, CommandKind::Supersede, json!({})),
            _ => Step { pass: Pass::Deadline, say: None },
        };
    };
    let mut said = say(next.by, next.command_kind, next.fields);
    if next.stranger {
        said.body.insert("by".to_owned(), json!({"party": next.by, "id": "nobody"}));
    }
    let pass = match (next.wait, status.deadline) {
        (Wait::Sixteenths(_), Some(_)) if dice.chance(15) => Pass::HourBefore,
        (Wait::Sixteenths(sixteenths), Some(_)) => Pass::Sixteenths(sixteenths),
        (Wait::Days(days), None) => Pass::Days(days),
        _ => Pass::Nothing,
    };
    // A receipt time from some hours ago may be from before the stage opened; one from the future never counts.
    said.ahead = *dice.pick(&0, &[0, 0, 0, -1, -30, 24]);
    said.signal = dice.chance(25);
    said.twice = dice.chance(15);
    said.declined = next.declined.is_some();
    if paper.current() == To::Dispute && dice.chance(8) {
        said = misdirected(dice, paper, &said);
    }
    Step { pass, say: Some(said) }
}

/// A message to the case that waits for the dispute: one of its own commands, which it must refuse now; or the news that the
/// contract has ended, which a review may get at any time (E11).
fn misdirected(dice: &mut Dice, paper: &Paper, said: &Say) -> Say {
    let (by, command_kind) = if paper.takes(To::Main, CommandKind::Supersede) {
        *dice.pick(&(Role::Operator, CommandKind::Supersede), &[(Role::Client, CommandKind::Approve)])
    } else {
        *dice.pick(&(Role::Client, CommandKind::Release), &[(Role::Freelancer, CommandKind::Approve)])
    };
    let Value::Object(body) = json!({"by": {"party": by, "id": id_of(by)}}) else { unreachable!() };
    Say { to: To::Main, command_kind, body, declined: false, ..said.clone() }
}

fn id_of(role: Role) -> String {
    match role {
        Role::Client => "cl-1".to_owned(),
        Role::Freelancer => "fl-1".to_owned(),
        role => format!("{role}-1"),
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "script {} of seed {}; to play it alone:", self.number, self.seed)?;
        writeln!(
            f,
            "  RECOURSE_SEED={} RECOURSE_DIFFERENTIAL_ONLY={} cargo test -p recourse-tests differential",
            self.seed, self.number
        )?;
        writeln!(f, "  {:?} of {:?} with {}", self.beginning, self.deposits, self.policy)?;
        for (number, step) in self.steps.iter().enumerate() {
            write!(f, "  {number}: {:?}", step.pass)?;
            if let Some(say) = &step.say {
                let Say { to, command_kind, body, ahead, signal, twice, declined } = say;
                let body = Value::Object(body.clone());
                write!(f, "; {command_kind} to {to:?} {body} stamped {ahead:+} h")?;
                for (is, word) in [(*signal, "signal"), (*twice, "twice"), (*declined, "declined by the bank")] {
                    if is {
                        write!(f, ", {word}")?;
                    }
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
