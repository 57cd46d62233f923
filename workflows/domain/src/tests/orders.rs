//! The sequence of each case's orders, until the case is over.

use super::{
    super::{
        order::{Done, Next, Order},
        outcome::Outcome,
    },
    milestone_review::submitted,
    *,
};

/// The case's next orders, in a word each.
fn next<C: Case>(case: &mut C, days: f64) -> String {
    let word = |order: &Order| match order {
        Order::Settle { movements, close } => {
            format!("settle {}{}", movements.len(), if close.is_some() { " close" } else { "" })
        }
        Order::ChargeFee(fee) => format!("fee {}", fee.party),
        Order::PayBonus(bonus) => format!("bonus {}", bonus.amount.minor()),
        Order::ReturnPayment { amount, .. } => format!("return {}", amount.minor()),
        Order::Dispute(start) => format!("dispute {}", start.claim.amount.minor()),
    };
    match case.next(day(days)) {
        Next::Wait => "wait".to_owned(),
        Next::Over => "over".to_owned(),
        Next::PayBeside(_) => "pay beside".to_owned(),
        Next::Do(orders) => orders.iter().map(word).collect::<Vec<_>>().join(" + "),
    }
}

/// R2: the case orders the payment at the contract's end once, even if the rest is decided before the workflow asks.
#[test]
fn the_payment_at_the_contracts_end_is_ordered_once() {
    for story in ["", "approve", "claim 50"] {
        let mut case = refund_request(300, 100, &Policy::default());
        if !story.is_empty() {
            send(&mut case, 1.0, Role::Freelancer, command(story)).unwrap();
        }
        assert_eq!(next(&mut case, 1.0), "pay beside", "{story}");
        let then = match story {
            "" => "wait",
            "approve" => "settle 1 close",
            _ => "dispute 50",
        };
        assert_eq!(next(&mut case, 1.0), then, "{story}");
    }
}

/// E7: a review orders its release and its bonus once, and is over when it has both results.
#[test]
fn a_bonus_is_ordered_beside_its_release() {
    let mut case = submitted(300);
    assert_eq!(next(&mut case, 1.0), "wait");
    send(&mut case, 1.0, Role::Client, command("approve 350")).unwrap();
    assert_eq!(next(&mut case, 1.0), "settle 1 close + bonus 50");
    case.done(Done::Settled, day(1.0));
    assert_eq!(case.stage(), Stage::Settling, "the bonus is not known yet");
    case.done(Done::Bonus { amount: amount(50), charged: Ok(()) }, day(1.0));
    assert_eq!(next(&mut case, 1.0), "over");
    assert_eq!(case.outcome().unwrap().bonus, amount(50));
}

/// A1, R6: a dispute orders both shares, and moves money when it is decided.
#[test]
fn a_dispute_orders_shares_and_then_its_settlement() {
    let mut case = filed(200, 150, &Policy::default());
    play(&mut case, "1 client reject claim; 2 mediator close; 3 client demand; 3 freelancer demand", |_, _| ());
    assert_eq!(next(&mut case, 3.0), "fee client + fee freelancer");
    for party in Role::PARTIES {
        case.done(Done::Fee { party, charged: Ok(format!("charge-{party}")) }, day(3.0));
    }
    assert_eq!(next(&mut case, 3.0), "wait");
    send(&mut case, 4.0, Role::Arbitrator, command("award 120")).unwrap();
    assert_eq!(next(&mut case, 4.0), "settle 2 close");
    case.done(Done::Settled, day(4.0));
    assert_eq!(next(&mut case, 4.0), "over");
}

/// R6: the refund request ends with its dispute's outcome.
#[test]
fn a_refund_request_is_over_with_its_dispute() {
    let mut case = refund_request(300, 0, &Policy::default());
    send(&mut case, 1.0, Role::Freelancer, command("claim 50")).unwrap();
    assert_eq!(next(&mut case, 1.0), "dispute 50");
    let outcome = Outcome::refused(super::super::rule::Rule::D1, "no");
    case.done(Done::Disputed(Ok(outcome)), day(2.0));
    assert_eq!(next(&mut case, 2.0), "over");
}
