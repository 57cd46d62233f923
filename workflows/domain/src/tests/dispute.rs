//! D1–D6, M1–M8, A1–A6, E14, on a dispute that holds 200.

use super::{
    super::{
        command::RefusalKind,
        notice::NoticeEvent,
        party::Agency,
        policy::{ClientSilence, NoArbitration},
        rule::Rule,
    },
    *,
};

/// Plays a dispute. Each share of the arbitration fee is charged at once, unless the story says `declined`.
fn plays(claimed: i64, policy: &Policy, story: &str) -> (DisputeCase, Vec<String>) {
    let mut case = filed(200, claimed, policy);
    let declined = story.contains("(declined)");
    let refusals = play(&mut case, &story.replace(" (declined)", ""), |case, now| {
        for fee in case.take_fees_due() {
            let charged = if declined { Err("card expired".to_owned()) } else { Ok(format!("charge-{}", fee.party)) };
            case.fee_charged(fee.party, charged, now);
        }
    });
    (case, refusals)
}

fn ends(story: &str) -> String {
    let (case, refusals) = plays(150, &Policy::default(), story);
    assert!(refusals.is_empty(), "{story}: {refusals:?}");
    shown(&case)
}

/// D2–D5, M1–M6: from a claim of 150 of the 200 to the Notice of Non-Resolution.
#[test]
fn a_claim_is_answered_or_mediated() {
    for (story, expected) in [
        ("", "awaiting_client"),
        ("4.99", "awaiting_client"),
        ("5", "settled client_silence D3 150/50/0"),
        ("2 client accept claim", "settled client_acceptance D3 150/50/0"),
        ("2 freelancer amend 200; 3 client accept claim", "released client_acceptance D3 200/0/0"),
        ("2 freelancer amend 20; 5", "settled client_silence D3 20/180/0"),
        ("2 freelancer withdraw", "withdrawn freelancer_withdrawal D5 0/200/0"),
        ("2 client reject claim", "in_mediation"),
        ("2 client reject claim; 20.99", "in_mediation"),
        ("2 client reject claim; 21", "awaiting_arbitration_demand"),
        ("2 client reject claim; 3 mediator close", "awaiting_arbitration_demand"),
        ("2 client reject claim; 3 mediator propose 90", "awaiting_parties"),
        ("2 client reject claim; 3 mediator propose 90; 4 client accept resolution", "awaiting_parties"),
        (
            "2 client reject claim; 3 mediator propose 90; 4 client accept resolution; 4.5 freelancer accept resolution",
            "settled resolution_accepted M5 90/110/0",
        ),
        (
            "2 client reject claim; 3 mediator propose 0; 4 freelancer accept resolution; 4.5 client accept resolution",
            "refunded resolution_accepted M5 0/200/0",
        ),
        (
            "2 client reject claim; 3 mediator propose 200; 4 freelancer accept resolution; 4.5 client accept resolution",
            "released resolution_accepted M5 200/0/0",
        ),
        ("2 client reject claim; 3 mediator propose 90; 4 client reject resolution", "awaiting_arbitration_demand"),
        ("2 client reject claim; 3 mediator propose 90; 4 freelancer reject resolution", "awaiting_arbitration_demand"),
        ("2 client reject claim; 3 mediator propose 90; 4 client accept resolution; 5", "awaiting_arbitration_demand"),
        ("2 client reject claim; 20 mediator propose 90; 21.99", "awaiting_parties"), // M4's days run past M2's limit
        ("2 client reject claim; 20 mediator propose 90; 22", "awaiting_arbitration_demand"),
    ] {
        assert_eq!(ends(story), expected, "{story}");
    }
}

/// A1–A5: who gets the money after the Notice of Non-Resolution on day 3.
#[test]
fn arbitration_demands_decide_who_gets_the_money() {
    let notice = "2 client reject claim; 3 mediator close";
    for (story, expected) in [
        ("9.99", "awaiting_arbitration_demand"),
        ("10", "refunded arbitration_default A2 0/200/0"),
        ("4 client demand; 10", "refunded arbitration_sole_demand A3 0/200/0"),
        ("4 freelancer demand; 10", "released arbitration_sole_demand A3 200/0/0"),
        ("4 client demand (declined); 10", "refunded arbitration_default A2 0/200/0"),
        ("4 freelancer demand (declined); 10", "refunded arbitration_default A2 0/200/0"),
        ("4 client demand; 5 freelancer demand", "in_arbitration"),
        ("4 client demand; 5 freelancer demand; 400", "in_arbitration"),
        ("4 client demand; 5 freelancer demand; 60 arbitrator award 120", "settled arbitration_award A5 120/80/0"),
        ("4 freelancer demand; 5 client demand; 6 arbitrator award 0", "refunded arbitration_award A5 0/200/0"),
        // A6: the other has five days from the first demand that was paid, also past the end of the seven.
        ("5 freelancer demand; 10", "released arbitration_sole_demand A3 200/0/0"),
        ("9.9 freelancer demand; 14.89", "awaiting_arbitration_demand"),
        ("9.9 freelancer demand; 14.9", "released arbitration_sole_demand A3 200/0/0"),
        ("9.9 client demand; 14.9", "refunded arbitration_sole_demand A3 0/200/0"),
        ("9.9 freelancer demand; 14 client demand", "in_arbitration"),
        ("9.9 freelancer demand (declined); 10", "refunded arbitration_default A2 0/200/0"),
    ] {
        assert_eq!(ends(&format!("{notice}; {story}")), expected, "{story}");
    }
}

/// D3, A2: a policy may change what silence does.
#[test]
fn the_policy_can_change_what_silence_means() {
    let all_held = Policy { client_silence: ClientSilence::AllHeld, ..Policy::default() };
    assert_eq!(shown(&plays(150, &all_held, "5").0), "released client_silence D3 200/0/0");
    let (no_proposal, proposal) =
        ("2 client reject claim; 3 mediator close; 10", "2 client reject claim; 3 mediator propose 90; 12");
    for (no_arbitration, story, expected) in [
        (NoArbitration::ReleaseFreelancer, no_proposal, "released arbitration_default A2 200/0/0"),
        (NoArbitration::FollowResolution, proposal, "settled arbitration_default A2 90/110/0"),
        (NoArbitration::FollowResolution, no_proposal, "refunded arbitration_default A2 0/200/0"),
        (NoArbitration::Hold, proposal, "on_hold arbitration_default A2 0/0/200"),
    ] {
        let policy = Policy { no_arbitration, ..Policy::default() };
        assert_eq!(shown(&plays(150, &policy, story).0), expected, "{no_arbitration:?}");
    }
}

/// D1, R5: a filing that breaks a rule is refused, and nobody gets a notice.
#[test]
fn a_filing_that_breaks_a_rule_is_refused() {
    for (held, claimed, expected) in
        [(200, 0, "refused rule R5 0/0/200"), (200, 201, "refused rule R5 0/0/200"), (0, 1, "refused rule R5 0/0/0")]
    {
        let mut case = filed(held, claimed, &Policy::default());
        assert_eq!(shown(&case), expected);
        assert!(case.file_mut().take_notices().is_empty());
    }
    let filing = DisputeStart {
        contract: contract(),
        grounds: Grounds::NonRelease,
        milestone: Some(id("m-1")),
        claim: claim(1),
        contacted_client: Some(false),
        attested_by: None,
        policy: Some(Policy::default()),
    };
    assert_eq!(shown(&DisputeCase::begin("dispute:c-1:m-1".into(), filing, day(0.0))), "refused rule D1 0/0/0");
}

/// D4, D5, M3, M4, A5: refusals of second answers, of commands in the wrong stage, and of amounts outside the limits.
#[test]
fn answers_are_final_and_splits_add_up() {
    let mediation = "2 client reject claim";
    let proposed = "2 client reject claim; 3 mediator propose 90";
    let notice = "2 client reject claim; 3 mediator close";
    for (before, then, expected) in [
        (mediation, "3 client reject claim", "AlreadyAnswered"), // D4: no second submission
        (mediation, "3 client accept claim", "AlreadyAnswered"),
        (mediation, "3 freelancer amend 10", "NotAllowed"), // D5: until the client answers
        (mediation, "3 freelancer withdraw", "NotAllowed"),
        (mediation, "3 mediator propose 201", "Invalid"),
        (mediation, "3 client accept resolution", "NotAllowed"),
        (mediation, "3 arbitrator award 1", "NotAllowed"),
        (mediation, "3 freelancer propose 100", "NotAllowed"),
        (mediation, "21 mediator propose 100", "NotAllowed"), // the Notice was given at the limit
        (proposed, "4 mediator propose 100", "AlreadyAnswered"), // one per dispute
        (proposed, "4 client accept resolution; 4.1 client reject resolution", "AlreadyAnswered"),
        (proposed, "4 client reject resolution; 4.1 client accept resolution", "AlreadyAnswered"),
        (proposed, "5 client accept resolution", "NotAllowed"),
        (notice, "4 client demand; 5 client demand", "AlreadyAnswered"),
        (notice, "10 client demand", "TooLate"),
        (notice, "4 client demand; 5 freelancer demand; 6 arbitrator award 201", "Invalid"),
        (notice, "4 client demand; 5 freelancer demand; 6 client award 100", "NotAllowed"),
        (
            notice,
            "4 client demand; 5 freelancer demand; 6 arbitrator award 100; 7 arbitrator award 50",
            "AlreadyAnswered",
        ),
        ("", "1 freelancer accept claim", "NotAllowed"),
        ("", "1 freelancer amend 201", "Invalid"),
        ("", "1 freelancer amend 0", "Invalid"),
        ("", "5 client accept claim", "TooLate"),
        ("", "2 client accept claim; 3 client accept claim", "AlreadyAnswered"),
    ] {
        let (_, refusals) = plays(150, &Policy::default(), &format!("{before}; {then}"));
        assert_eq!(refusals, [expected], "{before}; {then}");
    }
}

/// M7: from the claim until an award, either party offers a split and the other accepts exactly that offer.
#[test]
fn parties_may_agree_among_themselves() {
    let stages = [
        "",
        "2 client reject claim; ",
        "2 client reject claim; 3 mediator propose 90; ",
        "2 client reject claim; 3 mediator close; ",
        "2 client reject claim; 3 mediator close; 4 client demand; 4 freelancer demand; ",
    ];
    for before in stages {
        let story = format!("{before}4.1 client offer 80; 4.2 freelancer offer 120; 4.3 freelancer accept offer 1");
        assert_eq!(ends(&story), "settled agreement M7 80/120/0", "{story}");
    }
    for (story, refusals, expected) in [
        ("1 client offer 80; 2 client offer 90; 3 freelancer accept offer 1", &["NotAllowed"][..], "awaiting_client"),
        ("1 client offer 80; 2 client offer 90; 3 freelancer accept offer 2", &[], "settled agreement M7 90/110/0"),
        ("1 client offer 80; 2 client retract 1; 3 freelancer accept offer 1", &["NotAllowed"], "awaiting_client"),
        (
            "1 client offer 80; 2 freelancer reject offer 1; 3 freelancer accept offer 1",
            &["AlreadyAnswered"],
            "awaiting_client",
        ),
        ("1 client offer 80; 2 client accept offer 1", &["NotAllowed"], "awaiting_client"),
        ("1 client offer 80; 2 freelancer retract 1", &["NotAllowed"], "awaiting_client"),
        ("1 client offer 201; 2 freelancer accept offer 1", &["Invalid", "Invalid"], "awaiting_client"),
        ("1 freelancer offer 0; 2 client accept offer 1", &[], "refunded agreement M7 0/200/0"),
        ("1 mediator offer 10", &["NotAllowed"], "awaiting_client"),
        ("1 client offer 80; 5 freelancer accept offer 1", &["TooLate"], "settled client_silence D3 150/50/0"),
    ] {
        let (case, refused) = plays(150, &Policy::default(), story);
        assert_eq!(refused, refusals, "{story}");
        assert_eq!(shown(&case), expected, "{story}");
    }
}

/// A3, M7: a paid share goes back unless the case went to arbitration.
#[test]
fn unneeded_shares_go_back() {
    let notice = "2 client reject claim; 3 mediator close";
    for (story, returned) in [
        ("4 client demand; 10", "fee_return:client 33750"),
        ("4 freelancer demand; 10", "fee_return:freelancer 33750"),
        ("4 client demand; 5 freelancer offer 100; 6 client accept offer 1", "fee_return:client 33750"),
        ("4 client demand; 5 freelancer demand; 6 arbitrator award 100", ""),
        ("4 client demand (declined); 10", ""),
        ("10", ""),
    ] {
        let (case, _) = plays(150, &Policy::default(), &format!("{notice}; {story}"));
        let movements = serde_json::to_value(case.settlement(day(10.0)).unwrap()).unwrap();
        let fees = movements.as_array().unwrap().iter().filter(|movement| movement["movement"] == "fee_return");
        let shown = fees
            .map(|fee| format!("{} {}", fee["step"].as_str().unwrap(), fee["amount"]))
            .collect::<Vec<_>>()
            .join(", ");
        assert_eq!(shown, returned, "{story}");
    }
}

/// A1: a timely demand counts even if the result of its charge comes after the deadline. A party can repeat a declined one.
#[test]
fn a_timely_demand_waits_for_its_charge() {
    let mut case = filed(200, 150, &Policy::default());
    play(&mut case, "2 client reject claim; 3 mediator close; 9.9 freelancer demand", |_, _| {});
    let due = case.take_fees_due();
    assert_eq!(
        (due[0].source.as_str(), due[0].step.as_str(), due[0].amount.minor()),
        ("fl-1", "fee:freelancer:1", 33_750)
    );
    assert_eq!(case.wake_at(), None, "the deadline waits for the charge");
    case.tick(day(11.0));
    assert_eq!(case.stage(), Stage::AwaitingArbitrationDemand);
    case.fee_charged(Role::Freelancer, Ok("charge".into()), day(11.0));
    pass(&mut case, 15.99);
    assert_eq!(case.stage(), Stage::AwaitingArbitrationDemand, "A6: the client still has time to answer it");
    pass(&mut case, 16.0);
    assert_eq!(shown(&case), "released arbitration_sole_demand A3 200/0/0");

    let mut case = filed(200, 150, &Policy::default());
    play(&mut case, "2 client reject claim; 3 mediator close; 4 client demand", |_, _| {});
    assert_eq!(case.take_fees_due()[0].source.as_str(), "card-1");
    case.fee_charged(Role::Client, Err("expired".into()), day(4.0));
    send(&mut case, 5.0, Role::Client, command("demand")).unwrap();
    assert_eq!(case.take_fees_due()[0].step, "fee:client:2", "another try is another charge");
}

/// A6, T3: a policy may set the time to answer. A case that began before the rule has no such time.
#[test]
fn policy_and_generation_set_the_time_to_answer_a_demand() {
    use super::super::window::Window;
    let late = "2 client reject claim; 3 mediator close; 9.9 freelancer demand";
    let ends_by = |rules: u32, days: u32, until: f64| {
        let policy = Policy { arbitration_answer: Window::calendar(days), ..Policy::default() };
        let mut case = filed(200, 150, &policy);
        case.file_mut().rules = rules;
        play(&mut case, late, |case, now| {
            for fee in case.take_fees_due() {
                case.fee_charged(fee.party, Ok("charge".into()), now);
            }
        });
        pass(&mut case, until);
        shown(&case)
    };
    for (rules, days, over_at) in [(1, 5, 14.9), (1, 1, 10.9), (0, 5, 10.0), (0, 1, 10.0)] {
        assert_eq!(ends_by(rules, days, over_at - 0.001), "awaiting_arbitration_demand", "{rules} {days}");
        assert_eq!(ends_by(rules, days, over_at), "released arbitration_sole_demand A3 200/0/0", "{rules} {days}");
    }
}

/// A6, T5: the party that can still answer gets a notice with the deadline, and a reminder before it.
#[test]
fn a_late_demand_names_the_deadline_to_answer_it() {
    let (mut case, _) =
        plays(150, &Policy::default(), "2 client reject claim; 3 mediator close; 9.9 freelancer demand");
    let notices = case.file_mut().take_notices();
    let told = notices.iter().rfind(|notice| notice.event == NoticeEvent::ArbitrationDemanded).unwrap();
    assert_eq!(told.deadline, Some(day(14.9)));
    let entry = case.file().timeline.last().unwrap();
    assert_eq!(
        (entry.rule, entry.note.as_deref()),
        (Some(Rule::A6), Some("the client can demand it until 2026-11-16T09:36:00Z"))
    );
    pass(&mut case, 14.0);
    let reminded: Vec<Role> = case.file_mut().take_notices().into_iter().map(|notice| notice.to).collect();
    assert_eq!(reminded, [Role::Client]);
}

/// A1: the share is charged to the billing method that the demand names, and goes back to it (A3).
#[test]
fn a_share_is_charged_to_the_billing_method_that_the_demand_names() {
    for (who, demand, charged) in [
        (Role::Client, "demand", "card-1"),
        (Role::Client, "demand from card-9", "card-9"),
        (Role::Freelancer, "demand", "fl-1"),
        (Role::Freelancer, "demand from card-9", "card-9"),
    ] {
        let mut case = filed(200, 150, &Policy::default());
        play(&mut case, &format!("2 client reject claim; 3 mediator close; 4 {who} {demand}"), |_, _| {});
        let due = case.take_fees_due();
        assert_eq!(due[0].source.as_str(), charged, "{who} {demand}");
        case.fee_charged(who, Ok("charge".into()), day(4.0));
        pass(&mut case, 30.0);
        let movements = serde_json::to_value(case.settlement(day(30.0)).unwrap()).unwrap();
        let back = movements.as_array().unwrap().iter().find(|movement| movement["movement"] == "fee_return").unwrap();
        assert_eq!(back["source"], charged, "{who} {demand}");
    }
    // Another try may name another billing method, or none.
    let mut case = filed(200, 150, &Policy::default());
    play(&mut case, "2 client reject claim; 3 mediator close; 4 client demand from card-9", |_, _| {});
    case.take_fees_due();
    case.fee_charged(Role::Client, Err("expired".into()), day(4.0));
    send(&mut case, 5.0, Role::Client, command("demand")).unwrap();
    assert_eq!(case.take_fees_due()[0].source.as_str(), "card-1");
}

/// A1: if a freelancer's demand names no billing method and the charge is declined, the notice says that the method is
/// missing. The status and the timeline give the party and the amount of the share.
#[test]
fn texts_about_a_share_name_the_party_and_the_amount() {
    let declined = "2 client reject claim; 3 mediator close; 4 freelancer demand (declined); 4 client demand from card-9 (declined)";
    let (mut case, _) = plays(150, &Policy::default(), declined);
    let notes: Vec<String> = case.file().timeline.iter().filter_map(|entry| entry.note.clone()).collect();
    for words in [
        "337.50 USD, the freelancer's share of the fee: `source` is missing: the demand names no billing method, so fl-1 was \
         asked (card expired); demand it again with one",
        "337.50 USD, the client's share of the fee: card expired",
    ] {
        assert!(notes.iter().any(|note| note == words), "{words}: {notes:?}");
    }
    let notices = case.file_mut().take_notices();
    let told = notices
        .iter()
        .rfind(|notice| notice.event == NoticeEvent::ArbitrationFeeDeclined && notice.to == Role::Freelancer);
    assert!(told.unwrap().facts.text.as_ref().unwrap().contains("`source` is missing"));
    let arbitration = serde_json::to_value(case.particulars().arbitration).unwrap();
    let expected = serde_json::json!({"fee_share": 33_750, "shares": {"client": "declined", "freelancer": "declined"}});
    assert_eq!(arbitration, expected);
}

/// A1, T3: a policy without a share for the case's currency charges nothing, except in a case that began before this rule.
#[test]
fn a_share_has_the_cases_currency() {
    for (rules, policy, charged) in [
        (1, "{}", None),
        (1, r#"{"arbitration_fee_share":{"JPY":40000}}"#, Some(40_000)),
        (1, r#"{"arbitration_fee_share":{"USD":33750}}"#, None),
        (1, r#"{"arbitration_fee_share":5000}"#, Some(5_000)),
        (0, "{}", Some(33_750)),
        (0, r#"{"arbitration_fee_share":5000}"#, Some(5_000)),
    ] {
        let mut case = filed(30_000, 15_000, &serde_json::from_str(policy).unwrap());
        let file = case.file_mut();
        (file.rules, file.contract.currency) =
            (rules, "\"JPY\"".parse::<serde_json::Value>().and_then(serde_json::from_value).unwrap());
        play(&mut case, "2 client reject claim; 3 mediator close; 4 client demand", |_, _| {});
        let due = case.take_fees_due().first().map(|fee| fee.amount.minor());
        assert_eq!(due, charged, "{rules} {policy}");
        assert_eq!(case.fee_share().minor(), charged.unwrap_or(0), "{rules} {policy}");
        let paid = case.file().timeline.iter().any(|entry| entry.what == super::super::case::What::ArbitrationFeePaid);
        assert_eq!(paid, charged.is_none(), "a share of 0 counts as paid");
    }
}

/// D3, D4, M7: a party accepts or rejects the claim that it saw.
#[test]
fn nobody_answers_an_amended_claim_by_mistake() {
    for (story, refusals, expected) in [
        ("2 client accept claim 150", &[][..], "settled client_acceptance D3 150/50/0"),
        ("1 freelancer amend 200; 2 client accept claim 150", &["Invalid"], "awaiting_client"),
        ("1 freelancer amend 200; 2 client accept claim 200", &[], "released client_acceptance D3 200/0/0"),
        ("1 freelancer amend 20; 2 client reject claim 150", &["Invalid"], "awaiting_client"),
        ("1 freelancer amend 20; 2 client reject claim 20", &[], "in_mediation"),
        ("1 freelancer amend 200; 2 client reject claim", &[], "in_mediation"),
        (
            "2 client accept claim 150; 3 client accept claim 150",
            &["AlreadyAnswered"],
            "settled client_acceptance D3 150/50/0",
        ),
        ("2 freelancer accept claim 150", &["NotAllowed"], "awaiting_client"),
    ] {
        let (case, refused) = plays(150, &Policy::default(), story);
        assert_eq!(refused, refusals, "{story}");
        assert_eq!(shown(&case), expected, "{story}");
    }
    let (mut case, _) = plays(150, &Policy::default(), "1 freelancer amend 200");
    let refusal = send(&mut case, 2.0, Role::Client, command("accept claim 150")).unwrap_err();
    assert_eq!(refusal.reason, "amount: the claim is for 2.00 USD now, not for 1.50 USD; look at it, and answer that");
}

/// M1: after the target the case sets its flag, and the mediation queue gets one notice. This decides nothing.
#[test]
fn an_overdue_resolution_is_flagged() {
    // Rejected on Tuesday 3 November at 12:00: two business days are over on Thursday at 12:00.
    let mut case = filed(200, 150, &Policy::default());
    play(&mut case, "2 client reject claim; 3.99", |_, _| {});
    assert!(!case.file().overdue);
    case.file_mut().take_notices();
    pass(&mut case, 4.0);
    assert!(case.file().overdue);
    let told: Vec<_> =
        case.file_mut().take_notices().into_iter().map(|notice| (notice.to.name(), notice.event.name())).collect();
    assert_eq!(told, [("mediator", "mediation_overdue")]);
    assert_eq!((case.stage(), case.wake_at()), (Stage::InMediation, Some(day(20.0))));
    send(&mut case, 5.0, Role::Mediator, command("propose 90")).unwrap();
    assert!(!case.file().overdue);
}

/// A4: operators get a reminder every 30 days.
#[test]
fn operators_are_reminded_of_an_arbitration() {
    let (mut case, _) =
        plays(150, &Policy::default(), "2 client reject claim; 3 mediator close; 4 client demand; 4 freelancer demand");
    case.file_mut().take_notices();
    pass(&mut case, 100.0);
    let notices = case.file_mut().take_notices();
    let told: Vec<_> = notices.iter().map(|notice| (notice.to.name(), notice.event.name())).collect();
    assert_eq!(told, [("operator", "arbitration_waiting"); 3]);
}

/// N1: each party gets a notice of each change of stage. The four that the policy names and all movements of money also go
/// by email.
#[test]
fn each_party_gets_a_notice_of_each_stage() {
    let told = |story: &str| {
        let (mut case, _) = plays(150, &Policy::default(), story);
        let notices = case.file_mut().take_notices();
        let numbers: std::collections::BTreeSet<_> = notices.iter().map(|notice| notice.number).collect();
        assert_eq!(numbers.len(), notices.len(), "a number names one notice");
        let reminder = super::super::notice::NoticeEvent::Reminder;
        let parties = notices.iter().filter(|notice| Role::PARTIES.contains(&notice.to) && notice.event != reminder);
        let mut shown: Vec<_> = parties
            .map(|notice| format!("{}{}", notice.event.name(), if notice.email { "+email" } else { "" }))
            .collect();
        let pairs = shown.chunks(2).all(|pair| pair.len() == 2 && pair[0] == pair[1]);
        assert!(pairs, "{shown:?}");
        shown.dedup();
        shown.join(" ")
    };
    assert_eq!(told("5"), "dispute_filed+email decided+email");
    assert_eq!(told("1 client offer 1"), "dispute_filed+email offer_made");
    assert_eq!(
        told(
            "1 client reject claim; 2 mediator propose 90; 3 client accept resolution; 3 freelancer reject resolution"
        ),
        "dispute_filed+email claim_rejected resolution_proposed+email resolution_answered non_resolution+email"
    );
    let (mut case, _) = plays(150, &Policy::default(), "");
    let client = case.file_mut().take_notices().remove(0);
    assert_eq!(
        (client.to, client.deadline, client.if_silent.map(super::super::notice::IfSilent::name)),
        (Role::Client, Some(day(5.0)), Some("release_claimed_amount"))
    );
    assert_eq!(client.can, [CommandKind::Accept, CommandKind::Reject, CommandKind::Offer]);
}

/// D2: a policy may give the client business days. If the freelancer files on a Sunday, the window begins on Monday at 00:00.
#[test]
fn the_clients_window_can_count_business_days() {
    let policy = Policy { claim_response: super::super::window::Window::business(5), ..Policy::default() };
    let case = filed(200, 150, &policy);
    assert_eq!(case.file().deadline.unwrap().to_string(), "2026-11-09T00:00:00Z");
}

/// T4: each stage says what silence does in it.
#[test]
fn each_stage_says_what_silence_does() {
    let held = |no_arbitration| Policy { no_arbitration, ..Policy::default() };
    let rejected = "2 client reject claim";
    let notice = "2 client reject claim; 3 mediator close";
    for (policy, story, expected) in [
        (Policy::default(), String::new(), Some("release_claimed_amount")),
        (
            Policy { client_silence: ClientSilence::AllHeld, ..Policy::default() },
            String::new(),
            Some("release_all_held"),
        ),
        (Policy::default(), rejected.into(), Some("notice_of_non_resolution")),
        (Policy::default(), format!("{rejected}; 3 mediator propose 90"), Some("notice_of_non_resolution")),
        (Policy::default(), notice.into(), Some("refund_client")),
        (held(NoArbitration::ReleaseFreelancer), notice.into(), Some("release_freelancer")),
        (held(NoArbitration::FollowResolution), notice.into(), Some("follow_resolution")),
        (held(NoArbitration::Hold), notice.into(), Some("hold")),
        (held(NoArbitration::Hold), format!("{notice}; 4 freelancer demand"), Some("release_freelancer")),
        (held(NoArbitration::Hold), format!("{notice}; 4 client demand"), Some("refund_client")),
        (Policy::default(), format!("{notice}; 4 client demand; 4 freelancer demand"), None),
        (Policy::default(), "5".into(), None),
    ] {
        let (case, _) = plays(150, &policy, &story);
        assert_eq!(case.if_silent().map(super::super::notice::IfSilent::name), expected, "{story}");
    }
}

/// A2: a case on hold keeps its hold until an operator decides. Any other case gives up its hold.
#[test]
fn money_on_hold_stays_held() {
    let hold = Policy { no_arbitration: NoArbitration::Hold, ..Policy::default() };
    let story = "2 client reject claim; 3 mediator close; 10";
    let (mut case, _) = plays(150, &hold, story);
    case.close(day(10.0));
    assert_eq!(
        (case.stage(), case.close_hold().is_some(), case.settlement(day(10.0)).unwrap().len()),
        (Stage::OnHold, false, 0)
    );
    assert!(plays(150, &Policy::default(), story).0.close_hold().is_some());
}

/// Whatever the parties send, the case stays small enough for the server: repeated commands and long texts have limits, and
/// the timeline cuts refused texts.
#[test]
fn a_case_stays_small_under_any_commands() {
    let mut case = filed(200, 150, &Policy::default());
    let long = "é".repeat(10_000);
    let refused = |answer: Result<(), Refusal>| answer.unwrap_err().kind.name();
    for number in 0..30 {
        let amend = Command::Amend(Amend { amount: amount(1 + number), details: long.clone() });
        assert_eq!(send(&mut case, 1.0, Role::Freelancer, amend).is_ok(), number < 20);
        for role in Role::PARTIES {
            let offer = Command::Offer(Offer { to_freelancer: amount(number), message: Some("é".repeat(500)) });
            assert_eq!(send(&mut case, 1.0, role, offer).is_ok(), number < 20);
        }
        let too_long = Command::Offer(Offer { to_freelancer: amount(1), message: Some("é".repeat(501)) });
        assert_eq!(refused(send(&mut case, 1.0, Role::Client, too_long)), "Invalid");
    }
    for command_kind in [CommandKind::Reject, CommandKind::Offer] {
        for _ in 0..300 {
            let json = format!(
                r#"{{"by":{{"party":"client","id":"cl-1"}},"of":"claim","to_freelancer":1,"reason":"{long}","details":"{long}"}}"#
            );
            assert!(case.receive(command_kind, Message::read(command_kind, json.as_bytes()), day(1.0)).is_err());
        }
    }
    let rejection = Rejection { reason: RejectionReason::Other, details: long.clone(), evidence: vec![], amount: None };
    send(&mut case, 2.0, Role::Client, Command::Reject(Reject::Claim(rejection))).unwrap();
    send(&mut case, 3.0, Role::Mediator, Command::Propose(Propose { to_freelancer: amount(1), rationale: long }))
        .unwrap();
    let status = serde_json::to_vec(&crate::messages::Status::of(&case)).unwrap();
    assert!(status.len() < 250_000, "{} bytes", status.len());
    let noted = case.file().timeline.iter().filter_map(|entry| entry.note.as_ref()).map(String::len).max();
    assert!(noted <= Some(super::super::text::NOTE_BYTES_MAX), "{noted:?}");
}

/// M8: both sides' submissions are in the status that everybody sees, and each side gets the other's words in a notice. The
/// mediator sees both before the proposal.
#[test]
fn both_sides_see_what_the_other_submitted() {
    let (mut case, _) = plays(150, &Policy::default(), "2 client reject claim; 3 client offer 20");
    let notices = case.file_mut().take_notices();
    let told = |to: Role, event: NoticeEvent| {
        notices
            .iter()
            .find(|notice| notice.to == to && notice.event == event)
            .and_then(|notice| notice.facts.text.clone())
    };
    assert_eq!(told(Role::Client, NoticeEvent::DisputeFiled).as_deref(), Some("It is done."));
    assert_eq!(told(Role::Freelancer, NoticeEvent::ClaimRejected).as_deref(), Some("Not what we agreed."));
    assert!(notices.iter().any(|notice| notice.to == Role::Mediator && notice.event == NoticeEvent::MediationNeeded));
    let seen = crate::messages::Status::of(&case);
    assert_eq!(seen.claim.as_ref().unwrap().details, "It is done.");
    assert_eq!(seen.rejection.as_ref().unwrap().details, "Not what we agreed.");
    assert_eq!(seen.offers.len(), 1);
}

/// E14, T3: a person on a side judges nothing, under any of that side's ids. In a case that began before this rule they may.
#[test]
fn no_party_judges_its_own_case() {
    let judging = [
        (Role::Mediator, command("propose 90")),
        (Role::Arbitrator, command("award 90")),
        (Role::Operator, command("extend 24")),
    ];
    for rules in [0, 1] {
        for (role, command) in &judging {
            let mut case = filed(200, 150, &Policy::default());
            case.file_mut().contract.freelancer.agency = Some(Agency { id: id("ag-1"), name: None });
            case.file_mut().rules = rules;
            let mut as_party = |by: &str| {
                let by = Actor { party: *role, id: id(by) };
                let message = Message { by, ..message(*role, command.clone()) };
                let refused = case.receive(command.command_kind(), Ok(message), day(1.0)).err();
                refused
                    .is_some_and(|refusal| (refusal.kind, refusal.rule) == (RefusalKind::NotAllowed, Some(Rule::E14)))
            };
            for party in ["cl-1", "fl-1", "ag-1"] {
                assert_eq!(as_party(party), rules == 1, "{role} {party} {rules}");
            }
            assert!(!as_party("somebody-else"), "{role}");
        }
    }
}
