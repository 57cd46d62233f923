//! Checks the simulation's decisions against the rules, without a server: the rules take right moves and refuse wrong ones, and
//! every case ends.

use std::{
    cmp::Ordering::{Greater, Less},
    collections::{BTreeMap, BTreeSet},
};

use jiff::{SignedDuration, Timestamp};
use recourse_domain::{
    case::Case,
    claim::{Claim, Grounds},
    command::Message,
    dispute::{DisputeCase, Opened},
    ids::Id,
    messages::Status,
    outcome::Outcome,
    party::{Contract, Role},
    policy::Policy,
    posting::FundedDeposit,
    refund_request::RefundRequestCase,
    starts::{DisputeStart, RefundRequestStart},
};
use serde_json::json;

use super::{
    decide::decide,
    dice::{Dice, amount},
    moves::{Move, Wait},
    plan::{Mix, Plan},
};

/// What a game has seen, for the assertions.
#[derive(Debug, Default)]
struct Seen {
    ends: BTreeMap<String, u32>,
    right: BTreeSet<String>,
    wrong: u32,
    moves: u32,
}

/// A contract's end and its dispute, in memory.
struct Game {
    dice: Dice,
    now: Timestamp,
    transcript: Vec<String>,
}

impl Game {
    fn play(seed: u64, number: u64, ways: &mut Seen) -> Vec<String> {
        let mut dice = Dice::new(seed, number);
        let plan = Plan::draw(&mut dice, seed, number, Mix::EndsOnly).unwrap();
        let mut game = Self { dice, now: Timestamp::from_second(1_767_571_200).unwrap(), transcript: Vec::new() };
        let held = amount(30_000);
        let policy = plan.policy.unwrap_or_default();
        let end = RefundRequestStart {
            contract: plan.contract.clone(),
            pay_now: amount(0),
            reason: None,
            policy: Some(policy.clone()),
        };
        let mut case = RefundRequestCase::begin("refund-request:c".to_owned(), end, game.now);
        case.opened(held, deposits(), None, game.now);
        game.play_case(&mut case, &plan.contract, ways, |case| case.disputed().is_some(), |_, _| ());
        let outcome = match case.disputed().cloned() {
            Some(claim) => game.dispute(claim, &plan.contract, policy, ways),
            None => case.outcome().cloned().unwrap(),
        };
        let ended = format!("{} {:?}", outcome.result.name(), outcome.decided_by);
        let parts = [outcome.to_freelancer, outcome.to_client, outcome.kept_in_escrow];
        assert_eq!(parts.iter().map(|part| part.minor()).sum::<i64>(), held.minor(), "{ended}");
        game.transcript.push(ended.clone());
        *ways.ends.entry(ended).or_default() += 1;
        game.transcript
    }

    fn dispute(&mut self, claim: Claim, contract: &Contract, policy: Policy, seen: &mut Seen) -> Outcome {
        let grounds = Grounds::RefundRequest;
        let filing = DisputeStart {
            contract: contract.clone(),
            grounds,
            milestone: None,
            claim,
            contacted_client: Some(false),
            attested_by: None,
            policy: Some(policy),
        };
        let mut case = DisputeCase::begin("dispute:c".to_owned(), filing, self.now);
        case.opened(Opened { held: amount(30_000), deposits: deposits() }, None, None, self.now);
        let charge = |case: &mut DisputeCase, (declined, now): (Option<Role>, Timestamp)| {
            for due in case.take_fees_due() {
                let charged = if declined == Some(due.party) { Err("no".to_owned()) } else { Ok("key".to_owned()) };
                case.fee_charged(due.party, charged, now);
            }
        };
        self.play_case(&mut case, contract, seen, |_| false, charge);
        case.outcome().cloned().unwrap()
    }

    /// As [`case::Player::play`](super::play::Player) does, with the rules instead of the server.
    fn play_case<C: Case>(
        &mut self,
        case: &mut C,
        contract: &Contract,
        seen: &mut Seen,
        is_over: impl Fn(&C) -> bool,
        effects: impl Fn(&mut C, (Option<Role>, Timestamp)),
    ) {
        for _ in 0..150 {
            if case.is_decided() || is_over(case) {
                return;
            }
            let status = Status::of(case);
            let Some(next) = decide(&mut self.dice, &status) else {
                self.now = status.deadline.expect("nobody acts, and nothing happens by itself");
                self.transcript.push("silence".to_owned());
                case.tick(self.now);
                continue;
            };
            self.wait(next.wait, &status);
            case.tick(self.now);
            assert!(!case.is_decided(), "waiting for {next:?} ran into the deadline");
            let answer =
                case.receive(next.command_kind, Message::read(next.command_kind, &body(&next, contract)), self.now);
            assert_eq!(answer.is_ok(), next.right, "{next:?} in {}: {answer:?}", status.stage);
            self.transcript.push(format!("{} {} {:?} {:?}", next.by, next.command_kind, next.wait, next.fields));
            seen.moves += 1;
            if next.right {
                seen.right.insert(format!("{} {}", next.by, next.command_kind));
            } else {
                seen.wrong += 1;
            }
            effects(case, (next.declined, self.now));
        }
        panic!("never ends: {:?}", self.transcript);
    }

    fn wait(&mut self, wait: Wait, status: &Status) {
        let by = match (wait, status.deadline) {
            (Wait::Sixteenths(sixteenths), Some(deadline)) => {
                deadline.duration_since(self.now) * i32::from(sixteenths) / 16
            }
            (Wait::Days(days), None) => SignedDuration::from_hours(24 * i64::from(days)),
            (Wait::None, _) => SignedDuration::ZERO,
            mixed => panic!("{mixed:?}"),
        };
        self.now += by;
    }
}

fn deposits() -> Vec<FundedDeposit> {
    let id = |text| Id::new(text).unwrap();
    vec![FundedDeposit { deposit: id("d-1"), source: id("card-1"), charge: "key".to_owned(), left: amount(30_000) }]
}

fn body(next: &Move, contract: &Contract) -> Vec<u8> {
    let id = match (next.by, next.stranger) {
        (_, true) => "nobody",
        (Role::Client, _) => contract.client.id.as_str(),
        (Role::Freelancer, _) => contract.freelancer.id.as_str(),
        _ => "somebody",
    };
    let mut body = next.fields.clone();
    body.insert("by".to_owned(), json!({"party": next.by, "id": id}));
    serde_json::to_vec(&body).unwrap()
}

/// For all dice, the rules take each right move and refuse each wrong one; and every possible end of a case occurs.
#[test]
fn the_rules_take_right_moves_and_refuse_wrong_ones() {
    let mut seen = Seen::default();
    for number in 1..=1500 {
        Game::play(3, number, &mut seen);
    }
    let ends = seen.ends.keys().map(String::as_str).collect::<Vec<_>>().join("\n");
    for end in [
        "FreelancerApproval",
        "FreelancerSilence",
        "ClientRelease",
        "ClientAcceptance",
        "ClientSilence",
        "FreelancerWithdrawal",
        "Agreement",
        "ResolutionAccepted",
        "ArbitrationDefault",
        "ArbitrationSoleDemand",
        "ArbitrationAward",
        "on_hold",
    ] {
        assert!(ends.contains(end), "no case ended by {end}:\n{ends}");
    }
    for right in [
        "freelancer approve",
        "freelancer dispute",
        "client release",
        "operator extend",
        "mediator extend",
        "client accept",
        "freelancer accept",
        "client reject",
        "freelancer reject",
        "freelancer amend",
        "freelancer withdraw",
        "client offer",
        "freelancer offer",
        "client retract",
        "mediator propose",
        "mediator close",
        "client demand_arbitration",
        "freelancer demand_arbitration",
        "arbitrator award",
    ] {
        assert!(seen.right.contains(right), "nobody did {right}: {:?}", seen.right);
    }
    let wrong = f64::from(seen.wrong) / f64::from(seen.moves);
    assert!((0.03..0.15).contains(&wrong), "{wrong}");
}

#[test]
fn the_same_seed_and_number_play_the_same_game() {
    for number in 1..=50 {
        let play = |seed, number| Game::play(seed, number, &mut Seen::default());
        assert_eq!(play(5, number), play(5, number));
    }
    let games: BTreeSet<_> = (1..=50).map(|number| Game::play(5, number, &mut Seen::default())).collect();
    assert!(games.len() > 30, "only {} games differ", games.len());
}

fn review(stage: &str, allowed: &serde_json::Value) -> Status {
    serde_json::from_value(json!({
        "case": "milestone-review:c-1:m-1", "kind": "milestone_review", "contract": "c-1", "currency": "USD",
        "stage": stage, "waiting_on": [], "held": 9000, "deadline": null, "if_silent": null, "overdue": false,
        "allowed": allowed, "claim": null, "rejection": null, "offers": [], "resolution": null, "answers": {},
        "timeline": [], "outcome": null,
        "review": {
            "milestone": {"id": "m-1", "ordinal": 1, "name": "Sketches", "amount": 9000},
            "submissions": 1, "latest": {"note": "", "files": []}, "changes": null,
        },
    }))
    .unwrap()
}

/// E5–E8: every possible answer of a client to a submission occurs, and the rules can read it; a declined bonus occurs only
/// with a bonus.
#[test]
fn clients_approve_in_full_less_or_more_and_request_changes() {
    let allowed =
        json!({"client": ["approve", "request_changes"], "freelancer": ["dispute"], "operator": ["supersede"]});
    let status = Status { deadline: Some(Timestamp::UNIX_EPOCH), ..review("awaiting_client", &allowed) };
    let mut seen = BTreeSet::new();
    for number in 0..2000 {
        let Some(next) = decide(&mut Dice::new(1, number), &status) else { continue };
        if !next.right {
            continue;
        }
        let contract = Plan::draw(&mut Dice::new(1, 1), 1, 1, Mix::Everything).unwrap().contract;
        Message::read(next.command_kind, &body(&next, &contract)).unwrap();
        let paid = next.fields.get("amount").and_then(serde_json::Value::as_i64).map(|paid| paid.cmp(&9000));
        seen.insert((
            next.command_kind.name(),
            if next.command_kind.name() == "approve" { paid } else { None },
            next.declined,
        ));
    }
    let expected = [
        ("approve", None, None),
        ("approve", Some(Less), None),
        ("approve", Some(Greater), None),
        ("approve", Some(Greater), Some(Role::Client)),
        ("dispute", None, None),
        ("request_changes", None, None),
    ];
    assert_eq!(seen, BTreeSet::from(expected));
}

/// E8: where no window runs, the freelancer usually submits again, and sometimes never does.
#[test]
fn freelancers_usually_submit_again_after_requested_changes() {
    let status = review("changes_requested", &json!({"freelancer": ["submit"]}));
    let decided = |number| decide(&mut Dice::new(2, number), &status);
    let again = (0..1000).filter(|number| decided(*number).is_some_and(|next| next.right)).count();
    let never = (0..1000).filter(|number| decided(*number).is_none()).count();
    assert!(again > 700 && (20..300).contains(&never), "{again} {never}");
}
