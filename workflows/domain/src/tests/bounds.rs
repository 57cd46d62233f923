//! Everything that parties can repeat has a limit, so that a case fits into one payload of a server (2 MB). The case is one
//! payload as a status and when a run hands it on to the next. [`super::size`] has the worst case.

use super::{
    super::{
        outcome::{DecidedBy, Outcome, ResultKind},
        rule::Rule,
    },
    milestone_review::submitted,
    payment_refund::asks,
    *,
};

/// The largest payload that a server takes.
const PAYLOAD_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The text of this many bytes with the longest JSON: every byte is escaped.
fn escaped(bytes: usize) -> String {
    "\u{1}".repeat(bytes)
}

fn bytes_of<C: Case>(case: &C) -> usize {
    let status = serde_json::to_vec(&crate::messages::Status::of(case)).unwrap().len();
    serde_json::to_vec(case).unwrap().len().max(status)
}

/// E8, D1: the rounds of a review and its disputes have a limit.
#[test]
fn a_review_fits_into_one_payload() {
    let mut case = submitted(300);
    let mut rounds = 0;
    while send(&mut case, 1.0, Role::Client, Command::RequestChanges(RequestChanges { message: escaped(5_000) }))
        .is_ok()
    {
        rounds += 1;
        let submit = Submit { note: escaped(5_000), files: vec![] };
        send(&mut case, 1.0, Role::Freelancer, Command::Submit(submit)).unwrap();
        case.file_mut().take_notices();
    }
    assert_eq!((rounds, case.stage()), (200, Stage::AwaitingClient), "the client's window continues");
    let mut disputes = 0;
    while send(&mut case, 1.0, Role::Freelancer, command("claim 100")).is_ok() {
        disputes += 1;
        let withdrawn = Outcome::without_money(ResultKind::Withdrawn, DecidedBy::FreelancerWithdrawal, Rule::D5);
        case.dispute_ended(withdrawn, day(1.0));
        case.file_mut().take_notices();
    }
    assert_eq!(disputes, 200);
    let bytes = bytes_of(&case);
    assert!(bytes < PAYLOAD_BYTES_MAX / 2, "{bytes} bytes");
    let read: MilestoneReviewCase = serde_json::from_slice(&serde_json::to_vec(&case).unwrap()).unwrap();
    assert_eq!(read, case, "the run hands on the whole case");
}

/// P4, A1: a party can repeat an uncovered return or a declined share only a limited number of times.
#[test]
fn failed_returns_and_charges_have_a_limit() {
    let mut case = asks(300, 0.0, 1.0, 0);
    let mut tried = 0;
    while send(&mut case, 1.0, Role::Freelancer, command("approve 100")).is_ok() {
        tried += 1;
        case.not_covered(amount(0), day(1.0));
    }
    assert_eq!((tried, case.stage()), (100, Stage::AwaitingFreelancer), "the freelancer can still reject the request");
    send(&mut case, 1.0, Role::Freelancer, command("keep")).unwrap();

    let mut case = filed(300, 100, &Policy::default());
    send(&mut case, 1.0, Role::Client, command("reject claim")).unwrap();
    send(&mut case, 2.0, Role::Mediator, command("close")).unwrap();
    let mut tried = 0;
    while send(&mut case, 3.0, Role::Client, command("demand")).is_ok() {
        tried += 1;
        for fee in case.take_fees_due() {
            case.fee_charged(fee.party, Err("no".into()), day(3.0));
        }
    }
    assert_eq!(tried, 20);
    assert_eq!(case.stage(), Stage::AwaitingArbitrationDemand, "the other party can still demand");
}
