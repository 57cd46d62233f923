//! E3–E8, E11, E13, D1 on a milestone of 300. Days count from its first submission.

use super::{
    super::{
        milestone::NotReviewable,
        notice::NoticeEvent,
        outcome::{DecidedBy, Outcome, ResultKind},
        posting::{Close, Movement, Remainder},
        rule::Rule,
    },
    *,
};

fn milestone(minor: i64) -> Milestone {
    Milestone { id: id("m-1"), ordinal: 1, name: "Sketches".into(), amount: amount(minor), description: None }
}

fn begun(minor: i64, policy: &Policy) -> MilestoneReviewCase {
    let submission = Submission { note: "Three sketches.".into(), files: vec![] };
    let first = MilestoneReviewStart {
        contract: contract(),
        milestone: milestone(minor),
        submission,
        policy: Some(policy.clone()),
    };
    MilestoneReviewCase::begin("milestone-review:c-1:m-1".into(), first, day(0.0))
}

pub(super) fn submitted(minor: i64) -> MilestoneReviewCase {
    let mut case = begun(minor, &Policy::default());
    case.opened(&deposits(&[minor]), day(0.0));
    case
}

fn plays(story: &str) -> (MilestoneReviewCase, Vec<String>) {
    let mut case = submitted(300);
    let refusals = play(&mut case, story, |_, _| ());
    (case, refusals)
}

/// The release, and how the review gives up its hold on the rest.
fn money(case: &MilestoneReviewCase) -> String {
    let released: Vec<_> = case
        .settlement(day(0.0))
        .iter()
        .map(|movement| match movement {
            Movement::Release { amount, rule, .. } => format!("release {} ({rule})", amount.minor()),
            other => format!("{other:?}"),
        })
        .collect();
    let Close { remainder, milestone_done } = case.close_hold();
    let remainder = match remainder {
        Remainder::AsItWas | Remainder::Undone => "as it was".to_owned(),
        Remainder::Superseded => "superseded".to_owned(),
        Remainder::HeldOver { milestone } => {
            format!("held over from {}", milestone.map_or("none".into(), |id| id.to_string()))
        }
        Remainder::Back { case } => case,
    };
    format!("{}; {remainder}, {}", released.join(", "), if milestone_done { "done" } else { "open" })
}

/// E4–E8, E11: every course of a review, except disputes.
#[test]
fn a_submitted_milestone_is_approved_changed_or_superseded() {
    for (story, expected, moves) in [
        ("13.99", "awaiting_client", ""),
        ("14", "released client_silence E4 300/0/0", "release 300 (E4); held over from m-1, done"),
        ("2 client approve", "released client_approval E5 300/0/0", "release 300 (E5); held over from m-1, done"),
        ("2 client approve 300", "released client_approval E5 300/0/0", "release 300 (E5); held over from m-1, done"),
        ("2 client approve 200", "released client_approval E6 200/0/100", "release 200 (E6); held over from m-1, done"),
        ("2 client approve 1", "released client_approval E6 1/0/299", "release 1 (E6); held over from m-1, done"),
        ("2 client approve 350", "released client_approval E7 300/0/0", "release 300 (E7); held over from m-1, done"),
        ("13 client request", "changes_requested", ""),
        ("13 client request; 39.99", "changes_requested", ""),
        ("13 client request; 40 freelancer submit; 53.99", "awaiting_client", ""),
        (
            "13 client request; 40 freelancer submit; 54",
            "released client_silence E4 300/0/0",
            "release 300 (E4); held over from m-1, done",
        ),
        (
            "2 client request; 3 client approve 100",
            "released client_approval E6 100/0/200",
            "release 100 (E6); held over from m-1, done",
        ),
        ("2 operator supersede", "superseded contract_end E11 0/0/300", "; superseded, open"),
        ("2 client request; 9 operator supersede", "superseded contract_end E11 0/0/300", "; superseded, open"),
        ("2 operator extend 48; 15.99", "awaiting_client", ""),
        (
            "2 operator extend 48; 16",
            "released client_silence E4 300/0/0",
            "release 300 (E4); held over from m-1, done",
        ),
    ] {
        let (case, refusals) = plays(story);
        assert!(refusals.is_empty(), "{story}: {refusals:?}");
        assert_eq!(shown(&case), expected, "{story}");
        if !moves.is_empty() {
            assert_eq!(money(&case), moves, "{story}");
        }
    }
}

/// E8: the client can request changes and the freelancer can submit again many times, each time with a full window.
#[test]
fn every_submission_opens_a_full_window() {
    let mut case = submitted(300);
    for round in 1..=30_u32 {
        let start = f64::from(round) * 20.0;
        send(&mut case, start - 7.0, Role::Client, command("request")).unwrap();
        assert_eq!((case.file().deadline, case.waiting_on()), (None, vec![Role::Freelancer]), "the window stops");
        send(&mut case, start, Role::Freelancer, command("submit")).unwrap();
        assert_eq!(case.file().deadline, Some(day(start + 14.0)));
        assert_eq!(case.particulars().review.unwrap().submissions, round + 1);
    }
}

/// E5: the client approves only the submission that they saw.
#[test]
fn nobody_approves_a_replaced_submission_by_mistake() {
    for (story, refused, expected) in [
        ("2 client approve submission 1", &[][..], "released client_approval E5 300/0/0"),
        ("2 client request; 3 freelancer submit; 4 client approve submission 1", &["Invalid"], "awaiting_client"),
        (
            "2 client request; 3 freelancer submit; 4 client approve submission 2",
            &[],
            "released client_approval E5 300/0/0",
        ),
        ("2 client approve submission 2", &["Invalid"], "awaiting_client"),
        ("2 client request; 3 client approve submission 1", &[], "released client_approval E5 300/0/0"),
    ] {
        let (case, refusals) = plays(story);
        assert_eq!(refusals, refused, "{story}");
        assert_eq!(shown(&case), expected, "{story}");
    }
    let (mut case, _) = plays("2 client request; 3 freelancer submit");
    let refusal = send(&mut case, 4.0, Role::Client, command("approve submission 1")).unwrap_err();
    assert_eq!(refusal.reason, "submission: the latest is number 2, not 1; look at it, and answer that");
}

/// E11, E4: silence and the contract's end: the first one decides, never both.
#[test]
fn silence_and_the_contracts_end_never_both_decide() {
    for (story, expected, refused) in [
        ("13.99 operator supersede; 15", "superseded contract_end E11 0/0/300", ""),
        ("14 operator supersede", "released client_silence E4 300/0/0", "TooLate"),
        ("20 operator supersede", "released client_silence E4 300/0/0", "TooLate"),
    ] {
        let (case, refusals) = plays(story);
        assert_eq!((shown(&case).as_str(), refusals.join(",").as_str()), (expected, refused), "{story}");
    }
    // The instant of the contract's end counts, not the instant at which the review gets the command.
    let mut case = submitted(300);
    let end = Message { at: Some(day(13.9)), ..message(Role::Operator, command("supersede")) };
    case.receive(CommandKind::Supersede, Ok(end), day(14.5)).unwrap();
    assert_eq!(shown(&case), "superseded contract_end E11 0/0/300");
}

/// Every command of the review from every role, in every stage: which role is refused, and with which name.
#[test]
fn commands_from_the_wrong_party_or_in_the_wrong_stage_are_refused() {
    for (story, expected) in [
        ("1 freelancer approve", "NotAllowed"),
        ("1 mediator approve", "NotAllowed"),
        ("1 freelancer request", "NotAllowed"),
        ("1 client submit", "NotAllowed"),
        ("1 freelancer submit", "NotAllowed"),
        ("1 client claim 100", "NotAllowed"),
        ("1 client supersede", "NotAllowed"),
        ("1 freelancer extend 10", "NotAllowed"),
        ("1 client release", "NotAllowed"),
        ("1 client approve 0", "Invalid"),
        ("1 freelancer claim 0", "Invalid"),
        ("1 freelancer claim 301", "Invalid"),
        ("1 client request; 2 client request", "AlreadyAnswered"),
        ("1 client request; 2 operator extend 10", "NotAllowed"),
        ("1 client approve; 2 client approve", "AlreadyAnswered"),
        ("1 client approve; 2 client request", "AlreadyAnswered"),
        ("1 client approve; 2 freelancer claim 100", "TooLate"),
        ("14 client approve", "TooLate"),
        ("14 client request", "TooLate"),
        ("1 operator supersede; 2 client approve", "TooLate"),
        ("1 freelancer claim 300; 2 client approve", "NotAllowed"),
        ("1 freelancer claim 300; 2 client request", "NotAllowed"),
        ("1 freelancer claim 300; 2 freelancer claim 300", "AlreadyAnswered"),
        ("1 freelancer claim 300; 2 operator supersede; 3 operator supersede", "AlreadyAnswered"),
    ] {
        let (case, refusals) = plays(story);
        assert_eq!(refusals.join(","), expected, "{story}");
        assert_eq!(case.file().refusals(), 1, "{story}");
    }
}

/// E8, E6, D1: malformed fields are refused, and the window continues.
#[test]
fn malformed_commands_are_refused_with_the_field() {
    let long = "x".repeat(5_001);
    for (role, command, rule, word) in [
        (Role::Client, Command::RequestChanges(RequestChanges { message: " ".into() }), Rule::E8, "message: is empty"),
        (Role::Client, Command::RequestChanges(RequestChanges { message: long }), Rule::E8, "message: 5001 bytes"),
        (Role::Freelancer, disputing(claim(100), false), Rule::D1, "contacted_client"),
        (Role::Client, command("approve 0"), Rule::E6, "amount: more than 0"),
    ] {
        let mut case = submitted(300);
        let refusal = send(&mut case, 1.0, role, command).unwrap_err();
        assert_eq!(refusal.rule, Some(rule));
        assert!(refusal.to_string().contains(word), "{refusal}");
        assert_eq!((case.stage(), case.file().deadline), (Stage::AwaitingClient, Some(day(14.0))));
    }
}

/// D1, D5: the client's clock stops while the dispute runs, and continues where it stopped if the freelancer withdraws the
/// claim.
#[test]
fn the_clock_stops_while_the_milestone_is_disputed() {
    let withdrawn = || Outcome::without_money(ResultKind::Withdrawn, DecidedBy::FreelancerWithdrawal, Rule::D5);
    let (mut case, _) = plays("10 freelancer claim 200; 30");
    assert_eq!((case.stage(), case.file().deadline, case.wake_at()), (Stage::Disputed, None, None));
    case.dispute_ended(withdrawn(), day(30.0));
    assert_eq!((case.stage(), case.file().deadline), (Stage::AwaitingClient, Some(day(34.0))));
    pass(&mut case, 34.0);
    assert_eq!(shown(&case), "released client_silence E4 300/0/0");
    assert_eq!(money(&case), "release 300 (E4); held over from m-1, done");
    // The clock stopped at the claim's receipt time, not when a worker handled the claim.
    let mut case = submitted(300);
    let filed = Message { at: Some(day(10.0)), ..message(Role::Freelancer, command("claim 200")) };
    case.receive(CommandKind::Dispute, Ok(filed), day(12.0)).unwrap();
    case.dispute_ended(withdrawn(), day(30.0));
    assert_eq!(case.file().deadline, Some(day(34.0)));
    // After a request for changes there is no clock to continue.
    let (mut case, _) = plays("10 client request; 11 freelancer claim 200");
    case.dispute_ended(withdrawn(), day(20.0));
    assert_eq!((case.stage(), case.file().deadline), (Stage::ChangesRequested, None));
    // The freelancer can dispute the milestone again.
    send(&mut case, 21.0, Role::Freelancer, command("claim 100")).unwrap();
    assert_eq!(case.disputed().unwrap().amount, amount(100));
}

/// D3, E11: the dispute's decision is the review's outcome, nothing more moves, and the rest is held over for good.
/// If the contract ended meanwhile, it supersedes a review whose claim was withdrawn.
#[test]
fn a_review_takes_its_disputes_outcome() {
    let (mut case, _) = plays("10 freelancer claim 200");
    let outcome = Outcome {
        to_freelancer: amount(200),
        kept_in_escrow: amount(100),
        ..Outcome::without_money(ResultKind::Settled, DecidedBy::ClientSilence, Rule::D3)
    };
    case.dispute_ended(outcome, day(15.0));
    assert_eq!(shown(&case), "settled client_silence D3 200/0/100");
    assert_eq!(money(&case), "; held over from none, done");
    let (mut case, refusals) = plays("10 freelancer claim 200; 12 operator supersede");
    assert_eq!((case.stage(), refusals.len()), (Stage::Disputed, 0));
    let withdrawn = Outcome::without_money(ResultKind::Withdrawn, DecidedBy::FreelancerWithdrawal, Rule::D5);
    case.dispute_ended(withdrawn, day(15.0));
    assert_eq!(
        (shown(&case), money(&case)),
        ("superseded contract_end E11 0/0/300".into(), "; superseded, open".into())
    );
    let (mut case, _) = plays("10 freelancer claim 200");
    case.dispute_stopped("terminated", day(15.0));
    assert_eq!(shown(&case), "on_hold rule E10 0/0/300");
}

/// E7: a bonus is charged at once. If it is declined, the release stands, and both parties get a notice.
#[test]
fn a_declined_bonus_does_not_touch_the_release() {
    for (charged, bonus, failed, event) in [
        (Ok(()), 50, false, NoticeEvent::BonusPaid),
        (Err("card expired".to_owned()), 0, true, NoticeEvent::BonusFailed),
    ] {
        let (mut case, _) = plays("2 client approve 350");
        let due = case.take_bonus_due(day(2.0)).unwrap();
        assert_eq!((due.amount, due.source, due.available_at), (amount(50), id("card-1"), day(7.0)));
        assert_eq!(case.take_bonus_due(day(2.0)), None, "once");
        case.bonus_charged(due.amount, charged, day(2.0));
        case.close(day(2.0));
        let outcome = case.outcome().unwrap();
        assert_eq!((outcome.to_freelancer, outcome.bonus, outcome.bonus_failed), (amount(300), amount(bonus), failed));
        let told: Vec<_> = case
            .file_mut()
            .take_notices()
            .iter()
            .filter(|notice| notice.event == event)
            .map(|notice| notice.to)
            .collect();
        assert_eq!(told, Role::PARTIES);
    }
    for story in ["2 client approve", "2 client approve 200", "14"] {
        assert_eq!(plays(story).0.take_bonus_due(day(14.0)), None, "{story}");
    }
}

/// E1, E3, E13, T3: starts that a rule forbids are refused with that rule.
#[test]
fn a_start_that_a_rule_forbids_is_refused_with_the_rule() {
    let refused = |case: &MilestoneReviewCase| {
        let outcome = case.outcome().unwrap();
        (outcome.result, outcome.rule, outcome.message.clone().unwrap_or_default())
    };
    let policy = Policy { milestone_review: crate::window::Window::calendar(0), ..Policy::default() };
    let (result, rule, message) = refused(&begun(300, &policy));
    assert_eq!((result, rule), (ResultKind::Refused, Rule::T3));
    assert!(message.contains("milestone_review"), "{message}");
    let (result, rule, message) = refused(&begun(0, &Policy::default()));
    assert_eq!((result, rule), (ResultKind::Refused, Rule::E1));
    assert!(message.contains("milestone.amount"), "{message}");
    assert_eq!(milestone(300).check(), Ok(()));
    let first = Milestone { ordinal: 0, ..milestone(300) };
    assert!(first.check().unwrap_err().contains("ordinal"));
    for (why, rule, word) in [
        (NotReviewable::UnderReview { case: "milestone-review:c-1:m-0".into() }, Rule::E3, "milestone-review:c-1:m-0"),
        (NotReviewable::Done, Rule::E3, "decided before"),
        (NotReviewable::OutOfOrder { unpaid: 1 }, Rule::E3, "number 1 is not paid"),
        (NotReviewable::OrdinalTaken { milestone: id("m-0") }, Rule::E3, "m-0"),
        (NotReviewable::NotFunded { available: amount(299) }, Rule::E13, "2.99 USD of its 3.00 USD"),
    ] {
        let mut case = begun(300, &Policy::default());
        case.not_reviewable(&why, day(0.0));
        case.close(day(0.0));
        let (result, refused_by, message) = refused(&case);
        assert_eq!((result, refused_by), (ResultKind::Refused, rule), "{message}");
        assert!(message.contains(word), "{message}");
        assert!(case.file_mut().take_notices().is_empty(), "nobody gets a notice of a refused start");
    }
}

/// N1, T5: at each change of stage both parties learn what happened, what they can do and what silence does. Only the client
/// gets a reminder, a day before the deadline.
#[test]
fn both_parties_get_a_notice_of_every_stage() {
    let mut case = submitted(300);
    let told = |case: &mut MilestoneReviewCase| {
        let notices = case.file_mut().take_notices();
        notices.iter().map(|notice| format!("{} {}", notice.to, notice.event.name())).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(told(&mut case), "client milestone_submitted, freelancer milestone_submitted");
    pass(&mut case, 13.0);
    assert_eq!(told(&mut case), "client reminder");
    send(&mut case, 13.5, Role::Client, command("request")).unwrap();
    assert_eq!(told(&mut case), "client changes_requested, freelancer changes_requested");
    send(&mut case, 14.5, Role::Freelancer, command("submit")).unwrap();
    let notices = case.file_mut().take_notices();
    assert_eq!(notices[0].deadline, Some(day(28.5)));
    assert_eq!(notices[0].can, [CommandKind::Approve, CommandKind::RequestChanges]);
    assert!(notices[0].if_silent.is_some());
    pass(&mut case, 30.0);
    assert_eq!(told(&mut case), "client reminder, client milestone_released, freelancer milestone_released");
}
