//! P1–P4 on a payment of 300, released on day 0. The client asks for all of it on day 10.

use super::{
    super::{notice::NoticeEvent, outcome::ResultKind, rule::Rule},
    *,
};
use crate::ids::PaymentId;

pub(super) fn asks(minor: i64, released_on: f64, asked_on: f64, returned: i64) -> PaymentRefundCase {
    let asked = PaymentRefundStart {
        contract: contract(),
        payment: PaymentId::new("milestone-review:c-1:m-1/release").unwrap(),
        released_at: day(released_on),
        amount: amount(minor),
        message: "The files do not open.".into(),
        policy: Some(Policy::default()),
    };
    let mut case =
        PaymentRefundCase::begin("payment-refund:milestone-review:c-1:m-1/release".into(), asked, day(asked_on));
    if !case.is_decided() {
        case.opened(amount(300), amount(returned), day(0.0), day(asked_on));
    }
    case
}

/// Plays a request; the freelancer's balance covers what they return, unless the story says `short`.
fn plays(story: &str) -> (PaymentRefundCase, Vec<String>) {
    let mut case = asks(300, 0.0, 10.0, 0);
    let short = story.contains("(short)");
    let refusals = play(&mut case, &story.replace(" (short)", ""), |case, now| {
        if let Some(returning) = case.returning() {
            if short { case.not_covered(amount(7), now) } else { case.returned(returning, now) }
        }
    });
    (case, refusals)
}

/// P2: all, a part, or nothing; silence returns nothing.
#[test]
fn the_freelancer_returns_all_a_part_or_nothing() {
    for (story, expected) in [
        ("179.99", "awaiting_freelancer"),
        ("180", "declined freelancer_silence P2 0/0/0"),
        ("12 freelancer approve", "refunded freelancer_approval P2 0/300/0"),
        ("12 freelancer approve 300", "refunded freelancer_approval P2 0/300/0"),
        ("12 freelancer approve 1", "refunded freelancer_approval P2 0/1/0"),
        ("12 freelancer keep", "declined freelancer_rejection P2 0/0/0"),
        ("12 freelancer approve (short)", "awaiting_freelancer"),
        ("12 freelancer approve (short); 180", "declined freelancer_silence P2 0/0/0"),
        ("12 client ask; 20 mediator opinion; 180", "declined freelancer_silence P2 0/0/0"),
    ] {
        let (case, refusals) = plays(story);
        assert!(refusals.is_empty(), "{story}: {refusals:?}");
        assert_eq!(shown(&case), expected, "{story}");
    }
}

/// P1, P4: 180 days from the release, and no more than is left of the payment.
#[test]
fn a_request_that_is_late_or_for_too_much_is_refused() {
    for (minor, released_on, asked_on, returned, expected) in [
        (300, 0.0, 179.99, 0, None),
        (300, 0.0, 180.0, 0, Some((Rule::P1, "180 days"))),
        (1, 0.0, 400.0, 0, Some((Rule::P1, "180 days"))),
        (300, -10.0, 170.0, 0, Some((Rule::P1, "180 days"))), // an earlier time that the client names counts
        (300, 100.0, 180.0, 0, Some((Rule::P1, "180 days"))), // a later time does not count
        (301, 0.0, 10.0, 0, Some((Rule::P4, "3.01 USD is more than the 3.00 USD"))),
        (200, 0.0, 10.0, 100, None),
        (201, 0.0, 10.0, 100, Some((Rule::P4, "2.00 USD"))),
        (1, 0.0, 10.0, 300, Some((Rule::P4, "0.00 USD"))),
        (0, 0.0, 10.0, 0, Some((Rule::P1, "more than 0"))),
    ] {
        let case = asks(minor, released_on, asked_on, returned);
        match (case.outcome(), expected) {
            (None, None) => assert_eq!(case.stage(), Stage::AwaitingFreelancer),
            (Some(outcome), Some((rule, word))) => {
                assert_eq!((outcome.result, outcome.rule), (ResultKind::Refused, rule));
                assert!(outcome.message.as_ref().unwrap().contains(word), "{outcome:?}");
            }
            other => panic!("{minor} on {asked_on}: {other:?}"),
        }
    }
}

/// P1, P2: after a late request the freelancer still has the time to answer that a refund request gives (R3).
#[test]
fn a_late_request_leaves_time_to_answer() {
    assert_eq!(asks(300, 0.0, 10.0, 0).file().deadline, Some(day(180.0)));
    assert_eq!(asks(300, 0.0, 179.0, 0).file().deadline, Some(day(186.0)));
}

/// P3: the client may ask for mediation help within 30 days of the release, and the opinion binds nobody.
#[test]
fn mediation_help_is_available_for_thirty_days() {
    let (case, refusals) = plays("29.99 client ask; 40 mediator opinion; 41 freelancer keep");
    assert!(refusals.is_empty(), "{refusals:?}");
    let request = case.particulars().payment.unwrap();
    assert!(request.opinion.is_some() && request.mediation.is_some());
    assert_eq!(shown(&case), "declined freelancer_rejection P2 0/0/0");
    for (story, expected) in [
        ("30 client ask", "TooLate"),
        ("12 freelancer ask", "NotAllowed"),
        ("12 mediator opinion", "NotAllowed"),
        ("12 client ask; 13 client ask", "AlreadyAnswered"),
        ("12 client ask; 13 client opinion", "NotAllowed"),
        ("12 client ask; 13 mediator opinion; 14 mediator opinion", "AlreadyAnswered"),
        ("12 client approve", "NotAllowed"),
        ("12 freelancer approve 0", "Invalid"),
        ("12 freelancer approve 301", "Invalid"),
        ("12 freelancer approve; 13 freelancer approve", "AlreadyAnswered"),
        ("12 freelancer keep; 13 freelancer approve", "AlreadyAnswered"),
        ("180 freelancer approve", "TooLate"),
    ] {
        let (_, refusals) = plays(story);
        assert_eq!(refusals.join(","), expected, "{story}");
    }
    let offered = |days: f64| {
        let mut case = asks(300, 0.0, 10.0, 0);
        pass(&mut case, days);
        case.allowed(Role::Client)
    };
    assert_eq!(
        (offered(29.0), offered(30.0)),
        (vec![CommandKind::RequestMediation], vec![]),
        "a status does not offer commands that are too late"
    );
}

/// P4: a return that the balance does not cover moves nothing, and the freelancer may try again. While the effect reads the
/// balance, neither a second answer nor silence decides.
#[test]
fn the_freelancer_can_retry_an_uncovered_return() {
    let mut case = asks(300, 0.0, 10.0, 0);
    send(&mut case, 179.9, Role::Freelancer, command("approve 200")).unwrap();
    assert_eq!((case.returning(), case.stage()), (Some(amount(200)), Stage::Settling));
    assert!(send(&mut case, 179.95, Role::Freelancer, command("keep")).is_err());
    pass(&mut case, 181.0);
    assert!(!case.is_decided(), "the deadline waits for the effect");
    case.not_covered(amount(50), day(179.95));
    send(&mut case, 179.96, Role::Freelancer, command("approve 50")).unwrap();
    case.returned(amount(50), day(181.0));
    assert_eq!(shown(&case), "refunded freelancer_approval P2 0/50/0");
    let events: Vec<_> = case.file_mut().take_notices().iter().map(|notice| notice.event).collect();
    assert!(
        events.contains(&NoticeEvent::ReturnFailed) && events.contains(&NoticeEvent::PaymentReturned),
        "{events:?}"
    );
}
