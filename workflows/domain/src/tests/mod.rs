//! The rules as tables: each row is a story and its expected result. Time is days from the contract's end.

mod active;
mod bounds;
mod dispute;
mod laws;
mod milestone_review;
mod orders;
mod payment_refund;
mod refund_request;
mod size;

use jiff::{SignedDuration, Timestamp};

use super::{
    case::Case,
    claim::{Claim, ClaimReason, Grounds, Rejection, RejectionReason},
    command::{
        self, Amend, Command, CommandKind, Extend, Message, Offer, Propose, Refusal, Reject, RequestChanges, Submit,
        phrase,
    },
    dispute::{DisputeCase, Opened},
    ids::Id,
    milestone::{Milestone, Submission},
    milestone_review::MilestoneReviewCase,
    money::Amount,
    party::{Actor, Contract, Role},
    payment_refund::PaymentRefundCase,
    policy::Policy,
    posting::FundedDeposit,
    refund_request::RefundRequestCase,
    stage::Stage,
    starts::{DisputeStart, MilestoneReviewStart, PaymentRefundStart, RefundRequestStart},
};

/// Sunday 1 November 2026, 12:00 UTC.
const START: i64 = 1_793_534_400;

fn day(days: f64) -> Timestamp {
    #[allow(clippy::cast_possible_truncation, reason = "test instants are small")]
    let seconds = (days * 86_400.0) as i64;
    Timestamp::from_second(START + seconds).unwrap()
}

fn amount(minor: i64) -> Amount {
    Amount::new(minor).unwrap()
}

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

fn contract() -> Contract {
    serde_json::from_str(
        r#"{"id":"c-1","title":"Logo","kind":"fixed_price","currency":"USD",
            "client":{"id":"cl-1","name":"Cleo"},"freelancer":{"id":"fl-1","name":"Finn"}}"#,
    )
    .unwrap()
}

fn deposits(amounts: &[i64]) -> Vec<FundedDeposit> {
    let deposit = |(index, left): (usize, &i64)| FundedDeposit {
        deposit: id(&format!("d-{}", index + 1)),
        source: id("card-1"),
        charge: format!("charge-{}", index + 1),
        left: amount(*left),
    };
    amounts.iter().enumerate().map(deposit).collect()
}

fn refund_request(held: i64, pay_now: i64, policy: &Policy) -> RefundRequestCase {
    let end = RefundRequestStart {
        contract: contract(),
        pay_now: amount(pay_now),
        reason: None,
        policy: Some(policy.clone()),
    };
    let mut case = RefundRequestCase::begin("refund-request:c-1".into(), end, day(0.0));
    if !case.is_decided() {
        case.opened(amount(held), deposits(&[held]), None, day(0.0));
    }
    case
}

/// A dispute with this claim.
fn disputing(claim: Claim, contacted_client: bool) -> Command {
    let Claim { amount, reason, details, evidence } = claim;
    let contacted_client = Some(contacted_client);
    Command::Dispute(command::Dispute { amount, reason, details, contacted_client, evidence })
}

fn claim(minor: i64) -> Claim {
    Claim { amount: amount(minor), reason: ClaimReason::WorkDelivered, details: "It is done.".into(), evidence: vec![] }
}

fn filed(held: i64, claimed: i64, policy: &Policy) -> DisputeCase {
    let filing = DisputeStart {
        contract: contract(),
        grounds: Grounds::RefundRequest,
        milestone: None,
        claim: claim(claimed),
        contacted_client: Some(false),
        attested_by: None,
        policy: Some(policy.clone()),
    };
    let mut case = DisputeCase::begin("dispute:c-1".into(), filing, day(0.0));
    if !case.is_decided() {
        case.opened(Opened { held: amount(held), deposits: deposits(&[held]) }, None, None, day(0.0));
    }
    case
}

fn actor(role: Role) -> Actor {
    let who = match role {
        Role::Client => "cl-1",
        Role::Freelancer => "fl-1",
        Role::Mediator => "med-1",
        Role::Arbitrator => "arb-1",
        Role::Operator => "op-1",
    };
    Actor { party: role, id: id(who) }
}

fn message(role: Role, command: Command) -> Message {
    Message { by: actor(role), at: None, key: None, command }
}

/// Advances the case's clock to `days`. Every alarm and deadline before that acts at its own instant.
fn pass<C: Case>(case: &mut C, days: f64) {
    while let Some(at) = case.wake_at().filter(|at| *at <= day(days)) {
        case.tick(at);
    }
}

fn send<C: Case>(case: &mut C, days: f64, role: Role, command: Command) -> Result<(), Refusal> {
    pass(case, days);
    let command_kind = command.command_kind();
    case.receive(command_kind, Ok(message(role, command)), day(days))
}

/// A command in a few words: `approve`, `claim 150`, `offer 100`, `accept offer 1`, `propose 90`, …
fn command(words: &str) -> Command {
    phrase::command(words).unwrap()
}

fn role(name: &str) -> Role {
    Role::ALL.into_iter().find(|role| role.name() == name).unwrap_or_else(|| panic!("no role {name}"))
}

/// Plays a story such as `0.5 client offer 100; 2 freelancer accept offer 1; 30` on a case: commands on their days, and time.
/// Returns the names of the refusals.
fn play<C: Case>(case: &mut C, story: &str, mut after: impl FnMut(&mut C, Timestamp)) -> Vec<String> {
    let mut refusals = Vec::new();
    for step in story.split(';').map(str::trim).filter(|step| !step.is_empty()) {
        let mut words = step.splitn(3, ' ');
        let days: f64 = words.next().unwrap().parse().unwrap_or_else(|_| panic!("no day in {step}"));
        match (words.next(), words.next()) {
            (Some(who), Some(what)) => {
                if let Err(refusal) = send(case, days, role(who), command(what)) {
                    refusals.push(refusal.kind.name().to_owned());
                }
            }
            _ => pass(case, days),
        }
        let stages = Stage::of_open(C::KIND);
        assert!(case.stage() == Stage::Closed || stages.contains(&case.stage()), "{:?} is not counted", case.stage());
        after(case, day(days));
    }
    refusals
}

/// `result decided_by rule freelancer/client/kept` of a case, or its stage if it is not over.
fn shown<C: Case>(case: &C) -> String {
    match case.outcome() {
        Some(outcome) => {
            let decided_by = serde_json::to_value(outcome.decided_by).unwrap();
            let (result, decided_by) = (outcome.result.name(), decided_by.as_str().unwrap().to_owned());
            let parts = [outcome.to_freelancer, outcome.to_client, outcome.kept_in_escrow].map(Amount::minor);
            format!("{result} {decided_by} {} {}/{}/{}", outcome.rule, parts[0], parts[1], parts[2])
        }
        None => case.stage().to_string(),
    }
}
