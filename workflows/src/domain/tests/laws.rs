//! Laws that hold whatever commands come in, in whatever order, from whomever: nothing is paid twice, everything paid and
//! held adds up to what was deposited, and what a status offers is what is taken (L1, L3, L7, E10).

use proptest::prelude::*;

use super::*;

/// One thing that comes in: after some hours somebody sends something, or only time passes.
#[derive(Debug, Clone)]
struct Step {
    hours: u32,
    role: Role,
    words: String,
    declined: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let verbs = [
        "approve",
        "claim",
        "release",
        "accept claim",
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
        "",
    ];
    let role = prop::sample::select(Role::ALL.to_vec());
    let amount = prop_oneof![Just(0_i64), Just(1), 0_i64..400, 1_i64..4];
    (prop_oneof![0_u32..4, 0_u32..200], role, prop::sample::select(verbs.to_vec()), amount, any::<bool>()).prop_map(
        |(hours, role, verb, amount, declined)| {
            let words = if verb.is_empty() { String::new() } else { format!("{verb} {amount}") };
            let words = words.replace("reject claim 0", "reject claim");
            Step { hours, role, words: if verb == "reject claim" { "reject claim".into() } else { words }, declined }
        },
    )
}

fn taken<C: Case>(case: &mut C, step: &Step, now: Timestamp) {
    while let Some(at) = case.wake_at().filter(|at| *at <= now) {
        let version = case.file().version();
        case.tick(at);
        assert!(
            case.is_decided() || case.file().version() > version,
            "a clock that ticks for nothing would never stop"
        );
    }
    if step.words.is_empty() {
        return;
    }
    let command = command(&step.words);
    let verb = command.verb();
    let offered = case.allowed(step.role).contains(&verb);
    let (before, over) = (
        serde_json::to_string(
            case.outcome()
                .as_ref()
                .unwrap_or(&&super::super::outcome::Outcome::refused(super::super::rule::Rule::T2, "")),
        )
        .unwrap(),
        case.is_decided(),
    );
    let answer = case.receive(verb, Ok(message(step.role, command)), now);
    if answer.is_ok() {
        assert!(offered, "{step:?} was taken though the status did not offer it");
        assert!(!over, "{step:?} was taken after the case was decided");
    }
    if over {
        assert_eq!(serde_json::to_string(case.outcome().unwrap()).unwrap(), before, "an outcome never changes");
    }
}

/// Sum of what the movements take out of escrow, per receiver.
fn paid(movements: &[super::super::posting::Movement]) -> (i64, i64) {
    use super::super::posting::Movement::{FeeReturn, Refund, Release};
    movements.iter().fold((0, 0), |(freelancer, client), movement| match movement {
        Release { amount, .. } => (freelancer + amount.minor(), client),
        Refund { amount, .. } => (freelancer, client + amount.minor()),
        FeeReturn { .. } => (freelancer, client),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn paid_out_and_held_is_what_was_deposited(held in prop_oneof![Just(0_i64), Just(1), 1_i64..300], pay in 0_i64..300, steps in prop::collection::vec(step(), 0..40)) {
        let mut parent = refund_request(held, pay, &Policy::default());
        let mut child: Option<DisputeCase> = None;
        let mut moved = (0, 0);
        if parent.is_waiting() {
            moved = paid(parent.payment_now(day(0.0)).as_slice());
        }
        let mut now = day(0.0);
        for step in &steps {
            now += SignedDuration::from_hours(step.hours.into());
            taken(&mut parent, step, now);
            let claim = parent.disputed().cloned();
            if let (Some(claim), None) = (claim, &child) {
                let filing = Filing { contract: contract(), grounds: Grounds::RefundRequest, milestone: None, claim, policy: Policy::default() };
                let mut case = DisputeCase::begin("dispute:c-1".into(), filing, now);
                case.opened(parent.rest(), deposits(&[held]), now);
                prop_assert!(!case.is_decided(), "a claim that the refund request took is one that the dispute takes");
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
        // Silence, and an arbitrator who does not forget: in the end every case closes.
        now += SignedDuration::from_hours(24 * 100);
        let silence = Step { hours: 0, role: Role::Arbitrator, words: "award 0".into(), declined: false };
        taken(&mut parent, &Step { words: String::new(), ..silence.clone() }, now);
        if let Some(mut child) = child {
            taken(&mut child, &silence, now);
            prop_assert!(child.is_decided());
            let (freelancer, client) = paid(&child.settlement(now).unwrap());
            moved = (moved.0 + freelancer, moved.1 + client);
            parent.dispute_ended(child.outcome().unwrap().clone(), now);
        } else {
            prop_assert!(parent.is_decided());
            let (freelancer, client) = paid(&parent.settlement(now).unwrap());
            moved = (moved.0 + freelancer, moved.1 + client);
        }
        let outcome = parent.outcome().unwrap();
        prop_assert_eq!(moved, (outcome.to_freelancer.minor(), outcome.to_client.minor()), "the outcome says what moved");
        prop_assert_eq!(moved.0 + moved.1 + outcome.kept_in_escrow.minor(), held);
    }
}
