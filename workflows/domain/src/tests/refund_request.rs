//! R1–R7, R10, T2, T6, L7 and who may do what, on a refund request.

use super::{
    super::{
        evidence::Evidence,
        notice::NoticeEvent,
        outcome::{Outcome, ResultKind},
        party::Role,
        rule::Rule,
    },
    *,
};

fn ends(held: i64, pay_now: i64, story: &str) -> String {
    let mut case = refund_request(held, pay_now, &Policy::default());
    let refusals = play(&mut case, story, |_, _| {});
    assert!(refusals.is_empty(), "{story}: {refusals:?}");
    shown(&case)
}

/// R1–R4, R10: the outcome of a contract's end, for each amount and answer.
#[test]
fn each_answer_to_a_contracts_end_has_its_outcome() {
    for (held, pay_now, story, expected) in [
        (0, 0, "", "nothing_held contract_end R1 0/0/0"),
        (0, 1, "", "refused rule R2 0/0/0"),
        (300, 301, "", "refused rule R2 0/0/300"),
        (300, 300, "", "paid_in_full contract_end R2 300/0/0"),
        (1, 1, "", "paid_in_full contract_end R2 1/0/0"),
        (300, 100, "", "awaiting_freelancer"),
        (300, 0, "6.99", "awaiting_freelancer"),
        (300, 0, "7", "refunded freelancer_silence R4 0/300/0"),
        (300, 100, "7", "settled freelancer_silence R4 100/200/0"),
        (300, 0, "2 freelancer approve", "refunded freelancer_approval R4 0/300/0"),
        (300, 299, "2 freelancer approve", "settled freelancer_approval R4 299/1/0"),
        (300, 100, "2 client release", "released client_release R10 300/0/0"),
        (300, 0, "6.99 client release", "released client_release R10 300/0/0"),
        (300, 100, "2 freelancer claim 200", "disputed"),
        (300, 100, "6.99 freelancer claim 1; 40", "disputed"),
    ] {
        assert_eq!(ends(held, pay_now, story), expected, "held {held}, pay {pay_now}: {story}");
    }
}

/// R2: the payment at the contract's end is released at once, and the settlement does not repeat it.
#[test]
fn money_moves_as_decided() {
    let steps = |held, pay_now, story: &str| {
        let mut case = refund_request(held, pay_now, &Policy::default());
        let first = case.payment_now(day(0.0)).filter(|_| case.is_waiting());
        play(&mut case, story, |_, _| {});
        let movements = first.into_iter().chain(case.settlement(day(9.0)).unwrap());
        movements
            .map(|movement| serde_json::to_value(movement).unwrap())
            .map(|movement| format!("{} {}", movement["step"].as_str().unwrap(), movement["amount"]))
            .collect::<Vec<_>>()
            .join(", ")
    };
    assert_eq!(steps(300, 100, "7"), "pay_now 100, refund:d-1 200");
    assert_eq!(steps(300, 0, "7"), "refund:d-1 300");
    assert_eq!(steps(300, 300, ""), "pay_now 300");
    assert_eq!(steps(300, 100, "1 client release"), "pay_now 100, release 200");
    assert_eq!(steps(300, 301, ""), "");
    assert_eq!(steps(0, 0, ""), "");
}

/// E1, T3: a start that a rule forbids closes without opening, and says why.
#[test]
fn a_forbidden_start_is_refused_with_the_rule() {
    let hourly = Contract { kind: super::super::party::ContractKind::Hourly, ..contract() };
    let impossible = Policy { holidays: vec!["2026-12-25".parse().unwrap(); 2], ..Policy::default() };
    for (contract, policy, expected) in
        [(hourly, Policy::default(), "refused rule E1 0/0/0"), (contract(), impossible, "refused rule T3 0/0/0")]
    {
        let end = RefundRequestStart { contract, pay_now: amount(0), reason: None, policy: Some(policy) };
        let case = RefundRequestCase::begin("refund-request:c-1".into(), end, day(0.0));
        assert_eq!(shown(&case), expected);
        assert!(case.outcome().unwrap().message.is_some());
    }
}

/// R5, D6: a dispute states an amount, a reason and details. Anything else is refused, and the window continues.
#[test]
fn an_incomplete_dispute_is_refused_and_the_window_runs_on() {
    let file =
        Evidence { sha256: "ab".repeat(32), name: "a.exe".into(), size: 1, media_type: "application/x-dosexec".into() };
    for (claim, word) in [
        (claim(0), "more than 0"),
        (claim(201), "more than the 2.00 USD in dispute"),
        (Claim { details: " \n".into(), ..claim(1) }, "details"),
        (Claim { details: "x".repeat(20_001), ..claim(1) }, "20000"),
        (Claim { evidence: vec![file; 1], ..claim(1) }, "application/x-dosexec"),
    ] {
        let mut case = refund_request(300, 100, &Policy::default());
        let refusal = send(&mut case, 1.0, Role::Freelancer, disputing(claim, false)).unwrap_err().to_string();
        assert!(
            refusal.starts_with("Invalid: ") && refusal.contains(word) && refusal.contains("can now: approve, dispute"),
            "{refusal}"
        );
        assert_eq!(case.file().deadline, Some(day(7.0)));
        pass(&mut case, 7.0);
        assert_eq!(shown(&case), "settled freelancer_silence R4 100/200/0");
    }
}

/// T2: the receipt time counts, even if the worker sees the deadline before the reply.
#[test]
fn a_timely_reply_counts_and_a_late_one_never_does() {
    for (stamped, handed, expected) in [
        (Some(6.9), 6.95, "settled freelancer_approval R4 100/200/0"),
        (Some(6.9), 9.0, "settled freelancer_approval R4 100/200/0"), // no worker ran at the deadline
        (Some(7.0), 9.0, "TooLate"),
        (Some(7.5), 9.0, "TooLate"),
        (None, 7.0, "TooLate"),
        (None, 6.9, "settled freelancer_approval R4 100/200/0"),
        (Some(-1.0), 6.9, "settled freelancer_approval R4 100/200/0"), // a wrong clock: received when handed over
        (Some(-1.0), 9.0, "TooLate"),
        (Some(9.5), 6.9, "settled freelancer_approval R4 100/200/0"),
        (Some(9.5), 9.0, "TooLate"),
    ] {
        let mut case = refund_request(300, 100, &Policy::default());
        let message = Message { at: stamped.map(day), ..message(Role::Freelancer, command("approve")) };
        let answer = case.receive(CommandKind::Approve, Ok(message), day(handed));
        let got = answer.map_or_else(|refusal| refusal.kind.name().to_owned(), |()| shown(&case));
        assert_eq!(got, expected, "stamped {stamped:?}, handed over on day {handed}");
        pass(&mut case, 10.0);
        assert!(case.is_decided());
    }
}

/// L7: a command that arrives twice acts once, and the second gets the first one's answer.
#[test]
fn a_command_that_arrives_twice_acts_once() {
    let mut case = refund_request(300, 0, &Policy::default());
    let keyed = |command: Command, key: &str| Message { key: Some(key.into()), ..message(Role::Freelancer, command) };
    let wrong = || Ok(keyed(command("claim 301"), "k-1"));
    let first = case.receive(CommandKind::Dispute, wrong(), day(1.0)).unwrap_err();
    assert_eq!(case.receive(CommandKind::Dispute, wrong(), day(2.0)), Err(first));
    assert_eq!(case.receive(CommandKind::Dispute, Ok(keyed(command("claim 300"), "k-2")), day(3.0)), Ok(()));
    let version = case.file().version();
    assert_eq!(case.receive(CommandKind::Dispute, Ok(keyed(command("claim 300"), "k-2")), day(3.0)), Ok(()));
    assert_eq!(case.receive(CommandKind::Dispute, Ok(keyed(command("claim 300"), "k-2")), day(30.0)), Ok(()));
    assert_eq!(case.file().version(), version, "nothing changed");
    // The same key with other content is a mistake, and the sender must learn of it.
    let reused = case.receive(CommandKind::Dispute, Ok(keyed(command("claim 200"), "k-2")), day(3.0)).unwrap_err();
    assert!(reused.to_string().starts_with("Invalid: key"), "{reused}");
    // The same key of another sender, or without a key, is another command.
    let other = Message { key: Some("k-2".into()), ..message(Role::Client, command("release")) };
    assert!(case.receive(CommandKind::Release, Ok(other), day(3.0)).is_err());
    assert_eq!(
        send(&mut case, 3.0, Role::Freelancer, command("claim 300")).unwrap_err().kind.name(),
        "AlreadyAnswered"
    );
}

/// A command from the wrong role is refused with the reason and what that role can do, and the timeline keeps it.
#[test]
fn a_command_from_anyone_else_is_refused_and_kept_in_the_timeline() {
    for (who, what, can) in [
        (actor(Role::Client), "approve", "the client can now: release"),
        (actor(Role::Mediator), "approve", "the mediator can now: extend"),
        (actor(Role::Arbitrator), "claim 100", "the arbitrator can do nothing now"),
        (actor(Role::Operator), "release", "the operator can now: extend"),
        (actor(Role::Freelancer), "release", "the freelancer can now: approve, dispute"),
        (actor(Role::Client), "extend 1", "the client can now: release"),
        (Actor { id: id("fl-2"), ..actor(Role::Freelancer) }, "approve", "fl-2 is not the freelancer of contract c-1"),
        (Actor { id: id("cl-2"), ..actor(Role::Client) }, "release", "cl-2 is not the client of contract c-1"),
    ] {
        let mut case = refund_request(300, 0, &Policy::default());
        let command = command(what);
        let message = Message { by: who.clone(), at: None, key: None, command: command.clone() };
        let refusal = case.receive(command.command_kind(), Ok(message), day(1.0)).unwrap_err().to_string();
        assert!(refusal.starts_with("NotAllowed: ") && refusal.contains(can), "{who} {what}: {refusal}");
        let entry = serde_json::to_string(case.file().timeline.last().unwrap()).unwrap();
        assert!(entry.contains("\"refused\"") && entry.contains("NotAllowed"), "{entry}");
        assert_eq!(case.stage(), Stage::AwaitingFreelancer);
    }
}

/// E1: an agency's owner acts as the freelancer, and the agency's account is paid.
#[test]
fn an_agency_is_paid_and_its_owner_acts() {
    let mut contract = contract();
    contract.freelancer.agency = Some(super::super::party::Agency { id: id("ag-1"), name: None });
    assert_eq!(super::super::posting::Account::payee(&contract).to_string(), "agency:ag-1");
    for (who, admitted) in [("fl-1", true), ("ag-1", true), ("ag-2", false)] {
        let end = RefundRequestStart {
            contract: contract.clone(),
            pay_now: amount(0),
            reason: None,
            policy: Some(Policy::default()),
        };
        let mut case = RefundRequestCase::begin("refund-request:c-1".into(), end, day(0.0));
        case.opened(amount(300), deposits(&[300]), None, day(0.0));
        let message = Message {
            by: Actor { party: Role::Freelancer, id: id(who) },
            at: None,
            key: None,
            command: command("approve"),
        };
        assert_eq!(case.receive(CommandKind::Approve, Ok(message), day(1.0)).is_ok(), admitted, "{who}");
    }
}

/// An answer is final: a second one is refused as answered, a late one as too late.
#[test]
fn an_answer_is_final() {
    for (story, expected) in [
        ("1 freelancer approve; 2 freelancer approve", "AlreadyAnswered"),
        ("1 freelancer approve; 2 freelancer claim 100", "AlreadyAnswered"),
        ("1 freelancer approve; 2 client release", "TooLate"),
        ("1 client release; 2 client release", "AlreadyAnswered"),
        ("1 client release; 2 freelancer approve", "TooLate"),
        ("1 freelancer claim 100; 2 freelancer approve", "AlreadyAnswered"),
        ("1 freelancer claim 100; 2 client release", "NotAllowed"),
        ("7 freelancer approve", "TooLate"),
        ("8 client release", "TooLate"),
    ] {
        let mut case = refund_request(300, 0, &Policy::default());
        assert_eq!(play(&mut case, story, |_, _| {}), [expected], "{story}");
    }
}

/// T6: a window is extended once per stage, by at most its own length, with a reason, before the deadline.
#[test]
fn a_window_can_be_extended_once() {
    for (story, refusals, expected) in [
        ("1 operator extend 48; 8.9", &[][..], "awaiting_freelancer"),
        ("1 mediator extend 48; 9", &[], "refunded freelancer_silence R4 0/300/0"),
        ("1 operator extend 168; 14", &[], "refunded freelancer_silence R4 0/300/0"),
        ("1 operator extend 169; 7", &["Invalid"], "refunded freelancer_silence R4 0/300/0"),
        ("1 operator extend 0; 7", &["Invalid"], "refunded freelancer_silence R4 0/300/0"),
        (
            "1 operator extend 1; 2 operator extend 1; 7.1",
            &["AlreadyAnswered"],
            "refunded freelancer_silence R4 0/300/0",
        ),
        ("7 operator extend 24", &["TooLate"], "refunded freelancer_silence R4 0/300/0"),
    ] {
        let mut case = refund_request(300, 0, &Policy::default());
        assert_eq!(play(&mut case, story, |_, _| {}), refusals, "{story}");
        assert_eq!(shown(&case), expected, "{story}");
    }
}

/// R6: the parent's outcome includes its dispute's.
#[test]
fn the_outcome_includes_the_disputes_outcome() {
    for (pay_now, dispute, expected) in [
        (100, "2 client accept claim", "released client_acceptance D3 300/0/0"),
        (0, "1 freelancer amend 50; 2 client accept claim", "settled client_acceptance D3 50/150/0"),
        (100, "2 freelancer withdraw", "withdrawn freelancer_withdrawal D5 100/200/0"),
        (0, "2 client reject claim; 3 mediator close; 10", "refunded arbitration_default A2 0/200/0"),
        (100, "2 client reject claim; 3 mediator close; 10", "settled arbitration_default A2 100/200/0"),
    ] {
        let mut parent = refund_request(pay_now + 200, pay_now, &Policy::default());
        send(&mut parent, 0.0, Role::Freelancer, command("claim 200")).unwrap();
        let mut child = filed(200, 200, &Policy::default());
        play(&mut child, dispute, |_, _| {});
        parent.dispute_ended(child.outcome().unwrap().clone(), day(20.0));
        assert_eq!(shown(&parent), expected, "paid {pay_now}: {dispute}");
    }
}

/// E10: a refused dispute has decided nothing: the money stays in escrow, and operators get a notice.
#[test]
fn a_refused_dispute_decides_nothing() {
    let mut parent = refund_request(300, 100, &Policy::default());
    send(&mut parent, 0.0, Role::Freelancer, command("claim 200")).unwrap();
    parent.file_mut().take_notices();
    parent.dispute_ended(Outcome::refused(Rule::D1, "it cannot be read"), day(1.0));
    let outcome = parent.outcome().unwrap();
    assert_eq!((outcome.result, outcome.kept_in_escrow.minor()), (ResultKind::OnHold, 200));
    assert!(outcome.message.as_deref().is_some_and(|message| message.contains("it cannot be read")), "{outcome:?}");
    let told: Vec<_> = parent.file_mut().take_notices().into_iter().map(|notice| (notice.to, notice.event)).collect();
    assert_eq!(told, [(Role::Operator, NoticeEvent::OnHold)]);
}

/// Unreadable commands change nothing. The timeline counts a flood of them and does not keep it.
#[test]
fn unreadable_commands_are_noted_up_to_a_limit() {
    let mut case = refund_request(300, 0, &Policy::default());
    for _ in 0..500 {
        let answer = case.receive(CommandKind::Approve, Message::read(CommandKind::Approve, b"{}"), day(1.0));
        assert_eq!(answer.unwrap_err().kind.name(), "Invalid");
    }
    let noted = case
        .file()
        .timeline
        .iter()
        .filter(|entry| entry.note.as_deref().is_some_and(|note| note.contains("by")))
        .count();
    assert_eq!(noted + case.file().refusals_omitted as usize, 500);
    assert_eq!(noted, super::super::case::REFUSALS_KEPT_MAX);
    pass(&mut case, 7.0);
    assert_eq!(shown(&case), "refunded freelancer_silence R4 0/300/0");
}

/// The reminders of a story, such as `6 freelancer`: the day and the recipient.
fn reminders<C: Case>(case: &mut C, story: &str) -> String {
    let mut told = Vec::new();
    play(case, story, |case, now| {
        let hours = now.duration_since(day(0.0)).as_hours();
        let notices = case.file_mut().take_notices().into_iter().filter(|notice| notice.event.name() == "reminder");
        told.extend(notices.map(|notice| format!("{} {}", hours / 24, notice.to)));
    });
    told.join(", ")
}

/// T5: those who must act get a reminder before the deadline, but not after they acted, and not if the window is shorter
/// than the reminder's lead.
#[test]
fn those_who_must_act_get_a_reminder_before_the_deadline() {
    let hours = |hours: &[u32], days| Policy {
        reminder_hours: hours.to_vec(),
        refund_response: super::super::window::Window::calendar(days),
        ..Policy::default()
    };
    for (policy, story, expected) in [
        (hours(&[24], 7), "5.9; 6; 6.9; 7", "6 freelancer"),
        (hours(&[24, 72], 7), "4; 6; 7", "4 freelancer, 6 freelancer"),
        (hours(&[24], 1), "0.5; 1", ""),
        (hours(&[], 7), "6; 7", ""),
        (hours(&[24], 7), "2 freelancer approve; 6; 7", ""),
        (hours(&[24], 7), "1 operator extend 48; 6; 7.9; 8; 9", "8 freelancer"),
    ] {
        assert_eq!(reminders(&mut refund_request(300, 0, &policy), story), expected, "{story}");
    }
    let story = "4; 4.5 client reject claim; 5 mediator propose 90; 5.5 client accept resolution; 6; 7; 8; 13; 14";
    assert_eq!(
        reminders(&mut filed(200, 150, &Policy::default()), story),
        "4 client, 6 freelancer, 13 client, 13 freelancer"
    );
}

/// R1: if another case holds the money, the refusal names that case and does not say that nothing is there.
#[test]
fn the_refusal_names_the_other_case_that_holds_the_money() {
    let end =
        RefundRequestStart { contract: contract(), pay_now: amount(0), reason: None, policy: Some(Policy::default()) };
    let mut case = RefundRequestCase::begin("refund-request:c-1".into(), end, day(0.0));
    case.opened(amount(0), vec![], Some("dispute:c-1 holds 3.00 USD"), day(0.0));
    assert_eq!(shown(&case), "refused rule R1 0/0/0");
    assert!(case.outcome().unwrap().message.as_ref().unwrap().contains("dispute:c-1 holds 3.00 USD"));
    assert!(case.file_mut().take_notices().is_empty());

    let filing = DisputeStart {
        contract: contract(),
        grounds: Grounds::RefundRequest,
        milestone: None,
        claim: claim(100),
        contacted_client: Some(false),
        attested_by: None,
        policy: Some(Policy::default()),
    };
    let mut dispute = DisputeCase::begin("dispute:c-1".into(), filing, day(0.0));
    let opened = Opened { held: amount(100), deposits: deposits(&[100]) };
    dispute.opened(opened, None, Some("refund-request:c-1 holds 3.00 USD"), day(0.0));
    assert_eq!(shown(&dispute), "refused rule R6 0/0/100");
}
