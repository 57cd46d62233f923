//! D1, D3, D5 and what follows on an active contract: a dispute of 200 of a milestone's escrow.

use super::{
    super::{
        notice::IfSilent,
        outcome::ResultKind,
        posting::{Close, Remainder},
        rule::Rule,
    },
    *,
};

fn begun(grounds: Grounds, milestone: Option<&str>, contacted_client: bool) -> DisputeCase {
    let filing = DisputeStart {
        contract: contract(),
        grounds,
        milestone: milestone.map(id),
        claim: claim(150),
        contacted_client: Some(contacted_client),
        attested_by: None,
        policy: Some(Policy::default()),
    };
    DisputeCase::begin("dispute:c-1:m-1".into(), filing, day(0.0))
}

fn filed_about(grounds: Grounds, review: Option<&str>) -> DisputeCase {
    let mut case = begun(grounds, Some("m-1"), true);
    let opened = Opened { held: amount(200), deposits: deposits(&[500]) };
    case.opened(opened, review.map(str::to_owned), None, day(0.0));
    case
}

/// D3, A2, A3, A5: money that is not awarded stays in escrow in every outcome, and nothing goes back to the client.
#[test]
fn money_that_is_not_awarded_stays_in_escrow() {
    let demand = "2 client reject claim; 3 mediator close";
    for (story, expected) in [
        ("5", "settled client_silence D3 150/0/50".to_owned()),
        ("2 client accept claim", "settled client_acceptance D3 150/0/50".into()),
        ("2 freelancer amend 200; 3 client accept claim", "released client_acceptance D3 200/0/0".into()),
        ("2 freelancer withdraw", "withdrawn freelancer_withdrawal D5 0/0/200".into()),
        ("2 client offer 120; 3 freelancer accept offer 1", "settled agreement M7 120/0/80".into()),
        ("2 client offer 0; 3 freelancer accept offer 1", "declined agreement M7 0/0/200".into()),
        (
            "2 client reject claim; 3 mediator propose 90; 4 client accept resolution; 4 freelancer accept resolution",
            "settled resolution_accepted M5 90/0/110".into(),
        ),
        (&format!("{demand}; 10"), "declined arbitration_default A2 0/0/200".into()),
        (&format!("{demand}; 4 client demand; 10"), "declined arbitration_sole_demand A3 0/0/200".into()),
        (&format!("{demand}; 4 freelancer demand; 10"), "released arbitration_sole_demand A3 200/0/0".into()),
        (
            &format!("{demand}; 4 client demand; 5 freelancer demand; 40 arbitrator award 60"),
            "settled arbitration_award A5 60/0/140".into(),
        ),
    ] {
        for (grounds, review) in
            [(Grounds::NonRelease, Some("milestone-review:c-1:m-1")), (Grounds::PartialRelease, None)]
        {
            let mut case = filed_about(grounds, review);
            let refusals = play(&mut case, story, |case, now| {
                for fee in case.take_fees_due() {
                    case.fee_charged(fee.party, Ok(format!("charge-{}", fee.party)), now);
                }
            });
            assert!(refusals.is_empty(), "{story}: {refusals:?}");
            assert_eq!(shown(&case), expected, "{story}");
            let movements = case.settlement(day(50.0)).unwrap();
            let refunded =
                movements.iter().any(|movement| matches!(movement, super::super::posting::Movement::Refund { .. }));
            assert!(!refunded, "{story}: {movements:?}");
            let withdrawn = case.outcome().unwrap().result == ResultKind::Withdrawn;
            let expected = match review {
                Some(review) => Remainder::Back { case: review.to_owned() },
                None if withdrawn => Remainder::AsItWas,
                None => Remainder::HeldOver { milestone: None },
            };
            assert_eq!(case.close_hold(), Some(Close { remainder: expected, milestone_done: !withdrawn }), "{story}");
        }
    }
}

/// T4: the texts say what silence does on an active contract.
#[test]
fn silence_leaves_the_rest_in_escrow_and_says_so() {
    let mut case = filed_about(Grounds::PartialRelease, None);
    assert_eq!(case.if_silent(), Some(IfSilent::ReleaseClaimedKeepRest));
    play(&mut case, "2 client reject claim; 3 mediator close", |_, _| ());
    assert_eq!(case.if_silent(), Some(IfSilent::KeepInEscrow));
}

/// D1: the filing names a milestone, and the freelancer says that they contacted the client.
#[test]
fn a_dispute_on_an_active_contract_needs_a_milestone_and_contact() {
    for (grounds, milestone, contacted, word) in [
        (Grounds::NonRelease, None, true, "milestone:"),
        (Grounds::PartialRelease, None, true, "milestone:"),
        (Grounds::NonRelease, Some("m-1"), false, "contacted_client"),
        (Grounds::PartialRelease, Some("m-1"), false, "contacted_client"),
        (Grounds::RefundRequest, Some("m-1"), true, "milestone:"),
    ] {
        let case = begun(grounds, milestone, contacted);
        let outcome = case.outcome().unwrap();
        assert_eq!((outcome.result, outcome.rule), (ResultKind::Refused, Rule::D1), "{grounds:?}");
        assert!(outcome.message.as_ref().unwrap().contains(word), "{outcome:?}");
    }
}

/// D1, E6, E12: the freelancer cannot claim money that a deposit drew on, money that another case holds, or more than there is.
#[test]
fn only_available_money_can_be_disputed() {
    for (held, elsewhere, rule, word) in [
        (0, None, Rule::D1, "nothing that was held over from milestone m-1"),
        (0, Some("refund-request:c-1 holds 1.00 USD"), Rule::D1, "refund-request:c-1 holds 1.00 USD"),
        (149, None, Rule::R5, "claim.amount: 1.50 USD is more than the 1.49 USD"),
    ] {
        let mut case = begun(Grounds::PartialRelease, Some("m-1"), true);
        case.opened(Opened { held: amount(held), deposits: deposits(&[500]) }, None, elsewhere, day(0.0));
        let outcome = case.outcome().unwrap();
        assert_eq!((outcome.result, outcome.rule), (ResultKind::Refused, rule), "{outcome:?}");
        assert!(outcome.message.as_ref().unwrap().contains(word), "{outcome:?}");
    }
    let mut exactly = begun(Grounds::PartialRelease, Some("m-1"), true);
    exactly.opened(
        Opened { held: amount(150), deposits: deposits(&[500]) },
        None,
        Some("milestone-review:c-1:m-2 holds 1.00 USD"),
        day(0.0),
    );
    assert_eq!(exactly.stage(), Stage::AwaitingClient, "other milestones are not touched");
}
