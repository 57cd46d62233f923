//! Laws that hold for all commands, in any order and from anybody: nothing is paid twice, the paid and the held money add up
//! to the deposits, and a case takes only the commands that its status offers (L1, L3, L7, E10).

use proptest::prelude::*;

use super::*;

fn policy() -> impl Strategy<Value = Policy> {
    use super::super::policy::{ClientSilence, NoArbitration};
    let silence = prop::sample::select(vec![ClientSilence::ClaimedAmount, ClientSilence::AllHeld]);
    let no_arbitration = [
        NoArbitration::RefundClient,
        NoArbitration::ReleaseFreelancer,
        NoArbitration::FollowResolution,
        NoArbitration::Hold,
    ];
    (silence, prop::sample::select(no_arbitration.to_vec()), prop_oneof![Just(0_i64), Just(33_750)]).prop_map(
        |(client_silence, no_arbitration, share)| Policy {
            client_silence,
            no_arbitration,
            arbitration_fee_share: amount(share).into(),
            ..Policy::default()
        },
    )
}

/// One step: some hours pass, and then somebody may send a command.
#[derive(Debug, Clone)]
struct Step {
    hours: u32,
    role: Role,
    words: String,
    declined: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let command_kinds = [
        "approve",
        "claim",
        "release",
        "accept claim",
        "accept claim of",
        "reject claim",
        "accept resolution",
        "reject resolution",
        "accept offer",
        "reject offer",
        "amend",
        "withdraw",
        "offer",
        "retract",
        "propose",
        "close",
        "demand",
        "award",
        "extend",
        "submit",
        "request",
        "supersede",
        "",
    ];
    let role = prop::sample::select(Role::ALL.to_vec());
    // Small numbers are frequent because they are also the numbers of offers.
    let amount = prop_oneof![Just(0_i64), 1_i64..4, 1_i64..4, 0_i64..400];
    (prop_oneof![0_u32..4, 0_u32..200], role, prop::sample::select(command_kinds.to_vec()), amount, any::<bool>())
        .prop_map(|(hours, role, command_kind, amount, declined)| {
            let words = if command_kind.is_empty() { String::new() } else { format!("{command_kind} {amount}") };
            let words =
                if matches!(command_kind, "reject claim" | "accept claim") { command_kind.to_owned() } else { words };
            Step { hours, role, words, declined }
        })
}

fn taken<C: Case>(case: &mut C, step: &Step, now: Timestamp) {
    while let Some(at) = case.wake_at().filter(|at| *at <= now) {
        let version = case.file().version();
        case.tick(at);
        assert!(
            case.is_decided() || case.file().version() > version,
            "a tick that changes nothing would repeat for ever"
        );
    }
    if step.words.is_empty() {
        return;
    }
    let command = command(&step.words);
    let command_kind = command.command_kind();
    let offered = case.allowed(step.role).contains(&command_kind);
    let (before, over) = (
        serde_json::to_string(
            case.outcome()
                .as_ref()
                .unwrap_or(&&super::super::outcome::Outcome::refused(super::super::rule::Rule::T2, "")),
        )
        .unwrap(),
        case.is_decided(),
    );
    let answer = case.receive(command_kind, Ok(message(step.role, command)), now);
    if answer.is_ok() {
        assert!(offered, "{step:?} was taken though the status did not offer it");
        assert!(!over, "{step:?} was taken after the case was decided");
    }
    if over {
        assert_eq!(serde_json::to_string(case.outcome().unwrap()).unwrap(), before, "an outcome never changes");
    }
}

/// An escrow with its deposits. It posts movements one by one: the escrow never falls below zero, and no billing method gets
/// back more than it paid (L3).
struct Books {
    escrow: i64,
    left: Vec<FundedDeposit>,
    to_freelancer: i64,
    to_client: i64,
    steps: std::collections::BTreeSet<String>,
}

impl Books {
    fn post(&mut self, case: &str, movements: Vec<super::super::posting::Movement>) {
        use super::super::posting::Movement::{FeeReturn, Refund, Release};
        for movement in movements {
            let (step, out) = match &movement {
                Release { step, amount, .. } => {
                    self.to_freelancer += amount.minor();
                    (step, amount.minor())
                }
                Refund { step, amount, deposit, .. } => {
                    let from = self.left.iter_mut().find(|from| from.deposit == *deposit).unwrap();
                    from.left = from.left.minus(*amount).expect("a refund is at most the deposit's charge");
                    self.to_client += amount.minor();
                    (step, amount.minor())
                }
                FeeReturn { step, .. } => (step, 0),
            };
            assert!(self.steps.insert(format!("{case}/{step}")), "L2: {case}/{step} is one movement");
            self.escrow -= out;
            assert!(self.escrow >= 0, "L3: the escrow is never below zero");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn payments_and_holds_add_up_to_the_deposits(
        funded in prop::collection::vec(prop_oneof![Just(1_i64), 1_i64..200], 0..4),
        pay in 0_i64..300,
        policy in policy(),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let held: i64 = funded.iter().sum();
        let mut books = Books { escrow: held, left: deposits(&funded), to_freelancer: 0, to_client: 0, steps: std::collections::BTreeSet::new() };
        let end = RefundRequestStart { contract: contract(), pay_now: amount(pay), reason: None, policy: Some(policy.clone()) };
        let mut parent = RefundRequestCase::begin("refund-request:c-1".into(), end, day(0.0));
        parent.opened(amount(held), deposits(&funded), None, day(0.0));
        let mut child: Option<DisputeCase> = None;
        if parent.is_waiting() {
            books.post("refund-request", parent.payment_now(day(0.0)).into_iter().collect());
        }
        let mut now = day(0.0);
        for step in &steps {
            now += SignedDuration::from_hours(step.hours.into());
            taken(&mut parent, step, now);
            let claim = parent.disputed().cloned();
            if let (Some(claim), None) = (claim, &child) {
                let filing = DisputeStart { contract: contract(), grounds: Grounds::RefundRequest, milestone: None, claim, contacted_client: Some(false), attested_by: None, policy: Some(policy.clone()) };
                let mut case = DisputeCase::begin("dispute:c-1".into(), filing, now);
                case.opened(Opened { held: parent.held(), deposits: books.left.clone() }, None, None, now);
                prop_assert!(!case.is_decided(), "the dispute takes every claim that the refund request took");
                child = Some(case);
            }
            if let Some(child) = &mut child {
                taken(child, step, now);
                for fee in child.take_fees_due() {
                    let charged = if step.declined { Err("declined".into()) } else { Ok("charge".into()) };
                    child.fee_charged(fee.party, charged, now);
                }
            }
        }
        // Time passes and the arbitrator gives the award, so every case closes in the end.
        now += SignedDuration::from_hours(24 * 100);
        let silence = Step { hours: 0, role: Role::Arbitrator, words: "award 0".into(), declined: false };
        taken(&mut parent, &Step { words: String::new(), ..silence.clone() }, now);
        if let Some(mut child) = child {
            taken(&mut child, &silence, now);
            prop_assert!(child.is_decided());
            books.post("dispute", child.settlement(now).unwrap());
            parent.dispute_ended(child.outcome().unwrap().clone(), now);
        } else {
            prop_assert!(parent.is_decided());
            books.post("refund-request", parent.settlement(now).unwrap());
        }
        let outcome = parent.outcome().unwrap();
        let moved = (outcome.to_freelancer.minor(), outcome.to_client.minor());
        prop_assert_eq!((books.to_freelancer, books.to_client), moved, "the outcome says what moved");
        prop_assert_eq!(books.escrow, outcome.kept_in_escrow.minor(), "paid and held money add up to the deposits");
    }
    /// L1, L3, E10: a milestone's escrow never goes back to the client, whatever commands and disputes come. The paid money and
    /// the rest add up to the milestone's amount.
    #[test]
    fn a_milestones_escrow_goes_to_the_freelancer_or_stays(
        minor in prop_oneof![Just(1_i64), 1_i64..400],
        policy in policy(),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let milestone = Milestone { id: id("m-1"), ordinal: 1, name: String::new(), amount: amount(minor), description: None };
        let first = MilestoneReviewStart { contract: contract(), milestone, submission: Submission::default(), policy: Some(policy.clone()) };
        let mut review = MilestoneReviewCase::begin("milestone-review:c-1:m-1".into(), first, day(0.0));
        review.opened(&deposits(&[minor]), day(0.0));
        let mut books = Books { escrow: minor, left: deposits(&[minor]), to_freelancer: 0, to_client: 0, steps: std::collections::BTreeSet::new() };
        let (mut now, mut child, mut disputes): (_, Option<DisputeCase>, u32) = (day(0.0), None, 0);
        // Time passes, the arbitrator gives the award, and the contract ends, so every case closes in the end.
        let at_last = |words: &str, role| Step { hours: 24 * 100, role, words: words.into(), declined: false };
        let end = [at_last("", Role::Client), at_last("award 0", Role::Arbitrator), at_last("supersede", Role::Operator), at_last("", Role::Client)];
        for step in steps.iter().chain(&end) {
            now += SignedDuration::from_hours(step.hours.into());
            if child.is_none() {
                taken(&mut review, step, now);
            }
            if let (Some(claim), None) = (review.disputed().cloned(), &child) {
                let (grounds, milestone) = (Grounds::NonRelease, Some(id("m-1")));
                let filing = DisputeStart { contract: contract(), grounds, milestone, claim, contacted_client: Some(true), attested_by: None, policy: Some(policy.clone()) };
                let mut case = DisputeCase::begin("dispute:c-1:m-1".into(), filing, now);
                let opened = Opened { held: amount(minor), deposits: deposits(&[minor]) };
                case.opened(opened, Some("milestone-review:c-1:m-1".into()), None, now);
                prop_assert!(!case.is_decided(), "the dispute takes every claim that the review took");
                disputes += 1;
                child = Some(case);
            } else if let Some(case) = &mut child {
                taken(case, step, now);
                for fee in case.take_fees_due() {
                    let charged = if step.declined { Err("declined".into()) } else { Ok("charge".into()) };
                    case.fee_charged(fee.party, charged, now);
                }
            }
            if let Some(case) = child.take_if(|case| case.is_decided()) {
                books.post(&format!("dispute#{disputes}"), case.settlement(now).unwrap());
                review.dispute_ended(case.outcome().unwrap().clone(), now);
            }
        }
        prop_assert!(review.is_decided(), "{}", review.stage());
        books.post("review", review.settlement(now));
        let outcome = review.outcome().unwrap();
        prop_assert_eq!((books.to_freelancer, books.to_client), (outcome.to_freelancer.minor(), 0), "the outcome says what moved");
        prop_assert_eq!(books.escrow, outcome.kept_in_escrow.minor(), "paid and kept money add up to the milestone's amount");
    }
}
