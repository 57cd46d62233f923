//! What an operator does with parked money. The money goes out once, however that is interrupted.

use recourse_payments::{Arrival, Request};

use super::*;

fn retry_key(number: u32) -> String {
    format!("{KEY}/retry:{number}")
}

impl World {
    async fn parked() -> Self {
        let world = Self::refunded().await;
        world.bank.fail(KEY, "closed").await.unwrap();
        world.desk.report(KEY, &failed("closed")).await.unwrap();
        world
    }

    async fn retry(&self, of: &str) -> Result<TrackedRefund, RefundError> {
        self.desk.retry(of, &operator(), at()).await
    }

    async fn pay(&self, to: &str) -> Result<TrackedRefund, RefundError> {
        self.desk.pay_otherwise(KEY, id(to), &operator(), "ticket 7", at()).await
    }

    async fn state(&self, of: &str) -> TrackedRefund {
        let all = self.desk.list(&RefundFilter::default(), at()).await.unwrap();
        all.into_iter().find(|refund| refund.id == of).unwrap()
    }

    /// What the bank moved or has under way, by key.
    async fn bank_has(&self) -> Vec<(String, Amount)> {
        let movements = self.bank.movements().await.unwrap().into_iter();
        movements
            .filter(|movement| movement.declined.is_none() && !matches!(movement.arrival, Arrival::Failed { .. }))
            .map(|movement| {
                let (Request::Charge(Charge { amount, .. })
                | Request::Refund(Refund { amount, .. })
                | Request::PayOut(PayOut { amount, .. })) = movement.request;
                (movement.key, amount)
            })
            .skip(1)
            .collect()
    }
}

#[tokio::test]
async fn a_failed_refund_is_sent_again_once_and_followed_as_a_new_one() {
    let world = World::parked().await;
    let next = world.retry(KEY).await.unwrap();
    assert_eq!(world.retry(KEY).await.unwrap(), next, "asked again");
    assert_eq!((next.id.clone(), next.origin.as_str(), next.state), (retry_key(1), KEY, RefundState::Issued));
    assert_eq!((next.issued_at, next.expected_by), (at(), expected_by()), "five business days");
    assert_eq!(world.money().await, (0, 0, 500));
    let old = world.state(KEY).await;
    assert_eq!((old.state, old.followed_by, old.under_way), (RefundState::Retried, Some(retry_key(1)), None));
    assert_eq!(old.handled_by.as_deref(), Some("operator op-1"));
    assert_eq!(world.bank_has().await, [(retry_key(1), amount(500))]);
    assert_eq!(world.postings().await, [KEY.to_owned(), format!("{KEY}/to_suspense"), retry_key(1)]);

    world.bank.fail(&next.id, "closed still").await.unwrap();
    world.desk.report(&next.id, &failed("closed still")).await.unwrap();
    assert_eq!(world.money().await, (0, 500, 0));
    let third = world.retry(&next.id).await.unwrap();
    assert_eq!((third.id.clone(), third.origin.as_str()), (retry_key(2), KEY));
    world.desk.report(&third.id, &Report::Settled).await.unwrap();
    assert_eq!(world.money().await, (0, 0, 500));
    world.desk.report(KEY, &failed("closed")).await.unwrap();
    assert!(matches!(world.desk.report(KEY, &Report::Settled).await, Err(RefundError::Contradiction { .. })));
    assert!(matches!(world.retry(&third.id).await, Err(RefundError::NotParked { state: RefundState::Settled, .. })));
}

#[tokio::test]
async fn a_declined_retry_leaves_the_money_parked_and_the_next_has_a_new_key() {
    let world = World::parked().await;
    world.bank.set_fault(None, Fault::Decline, 1).await.unwrap();
    let error = world.retry(KEY).await.unwrap_err();
    assert_eq!(error.to_string(), "the payment provider declined it: declined, as it was told to");
    assert_eq!((world.money().await, world.state(KEY).await.state), ((0, 500, 0), RefundState::Failed));
    assert_eq!(world.state(KEY).await.under_way, None);
    assert_eq!(world.retry(KEY).await.unwrap().id, retry_key(2));
    assert_eq!(world.money().await, (0, 0, 500));
}

#[tokio::test]
async fn a_failed_refund_is_paid_to_another_destination_once() {
    let world = World::parked().await;
    world.bank.set_fault(Some(&id("bank-8")), Fault::Decline, 1).await.unwrap();
    assert!(matches!(world.pay("bank-8").await, Err(RefundError::Declined { .. })));
    assert_eq!(world.money().await, (0, 500, 0));
    for _ in 0..2 {
        let paid = world.pay("bank-9").await.unwrap();
        assert_eq!((paid.state, paid.followed_by.as_deref()), (RefundState::PaidOtherwise, Some("bank-9")));
        assert_eq!((paid.reference.as_deref(), paid.handled_by.as_deref()), (Some("ticket 7"), Some("operator op-1")));
        assert_eq!(world.money().await, (0, 0, 500));
    }
    let key = format!("{KEY}/paid_otherwise:2");
    assert_eq!(world.bank_has().await, [(key.clone(), amount(500))], "a declined key is used up");
    let entry = world.ledger.history(&id("c-1"), at()).await.unwrap().unwrap().entries.pop().unwrap();
    assert_eq!((entry.id, entry.kind.as_str(), entry.credit.as_str()), (key, "from_suspense", "source:bank-9"));
    for error in [world.pay("bank-7").await.unwrap_err(), world.retry(KEY).await.unwrap_err()] {
        assert!(matches!(error, RefundError::NotParked { state: RefundState::PaidOtherwise, .. }), "{error}");
    }
    let world = World::parked().await;
    world.pay("bank-9").await.unwrap();
    assert_eq!(world.bank_has().await, [(format!("{KEY}/paid_otherwise"), amount(500))]);
}

/// L5, L6: the desk asks for an unknown outcome again, and begins nothing else meanwhile.
#[tokio::test]
async fn an_unanswered_remedy_is_finished_before_another_begins() {
    for fault in [Fault::FailBefore, Fault::FailAfter] {
        let world = World::parked().await;
        world.bank.set_fault(Some(&id("bank-9")), fault, 1).await.unwrap();
        assert!(matches!(world.pay("bank-9").await, Err(RefundError::Gateway(GatewayError::Unavailable { .. }))));
        assert_eq!(world.money().await, (0, 500, 0));
        for error in [world.retry(KEY).await.unwrap_err(), world.pay("bank-8").await.unwrap_err()] {
            assert!(matches!(&error, RefundError::Busy { under_way, .. } if under_way == "pay:bank-9"), "{error}");
        }
        world.pay("bank-9").await.unwrap();
        assert_eq!((world.money().await, world.bank_has().await.len()), ((0, 0, 500), 1));

        let world = World::parked().await;
        world.bank.set_fault(None, fault, 1).await.unwrap();
        assert!(world.retry(KEY).await.is_err());
        assert!(matches!(world.pay("bank-9").await, Err(RefundError::Busy { .. })));
        world.retry(KEY).await.unwrap();
        assert_eq!((world.money().await, world.bank_has().await.len()), ((0, 0, 500), 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn operators_at_once_send_the_money_once() {
    let world = World::parked().await;
    let tasks: Vec<_> = (0..9)
        .map(|number| {
            let desk = world.desk.clone();
            tokio::spawn(async move {
                match number % 3 {
                    0 => desk.retry(KEY, &operator(), at()).await,
                    1 => desk.pay_otherwise(KEY, id("bank-8"), &operator(), "", at()).await,
                    _ => desk.pay_otherwise(KEY, id("bank-9"), &operator(), "", at()).await,
                }
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => done += 1,
            Err(RefundError::Busy { .. } | RefundError::NotParked { .. }) => {}
            Err(error) => unreachable!("{error}"),
        }
    }
    assert!((1..=3).contains(&done), "{done}: one way was asked for three times");
    assert_eq!((world.money().await, world.bank_has().await.len()), ((0, 0, 500), 1));
}

/// Otherwise its money could go out twice.
#[tokio::test]
async fn an_overdue_refund_is_not_sent_on_while_the_provider_may_still_complete_it() {
    let world = World::refunded().await;
    world.desk.park_overdue(later(0)).await.unwrap();
    for error in [world.retry(KEY).await.unwrap_err(), world.pay("bank-9").await.unwrap_err()] {
        assert!(matches!(error, RefundError::StillPending { .. }), "{error}");
    }
    world.bank.fail(KEY, "given up").await.unwrap();
    world.pay("bank-9").await.unwrap();
    assert_eq!(world.money().await, (0, 0, 500));
    assert_eq!(world.events().await, events(&["refund_overdue", "refund_failed"]));

    let world = World::refunded().await;
    world.desk.park_overdue(later(0)).await.unwrap();
    world.bank.settle(KEY).await.unwrap();
    assert!(matches!(world.retry(KEY).await, Err(RefundError::SettledAfterAll { .. })));
    assert_eq!((world.money().await, world.bank_has().await.len()), ((0, 0, 500), 1));
    assert_eq!(world.events().await, events(&["refund_overdue", "refund_settled_after_all"]));
}

#[tokio::test]
async fn only_an_operator_sends_money_on_and_only_parked_money() {
    let world = World::refunded().await;
    assert!(matches!(world.retry(KEY).await, Err(RefundError::NotParked { state: RefundState::Issued, .. })));
    assert!(matches!(world.retry("no-such-refund").await, Err(RefundError::Unknown { .. })));
    world.desk.report(KEY, &failed("closed")).await.unwrap();
    for party in [Role::Client, Role::Freelancer, Role::Mediator, Role::Arbitrator] {
        let somebody = Actor { party, id: id("x-1") };
        for result in [
            world.desk.retry(KEY, &somebody, at()).await,
            world.desk.pay_otherwise(KEY, id("x-1"), &somebody, "", at()).await,
        ] {
            assert!(matches!(result, Err(RefundError::NotAllowed { .. })), "{result:?}");
        }
    }
    assert_eq!(world.money().await, (0, 500, 0));
}

/// E14: an operator who is on a side of the contract can do nothing about its money.
#[tokio::test]
async fn operators_cannot_send_their_own_money_on() {
    let world = World::parked().await;
    let contract = contract("c-1");
    for party in [contract.client.id, contract.freelancer.id] {
        let by = Actor { party: Role::Operator, id: party };
        for result in [
            world.desk.retry(KEY, &by, at()).await,
            world.desk.pay_otherwise(KEY, id("bank-1"), &by, "ticket 7", at()).await,
            world.desk.give_up(KEY, &by, "letter 1", at()).await,
        ] {
            assert!(matches!(result, Err(RefundError::OwnMoney { .. })), "{by}: {result:?}");
        }
    }
    assert_eq!((world.money().await, world.bank_has().await.len()), ((0, 500, 0), 0));
    world.pay("bank-1").await.expect("another operator may do it");
}
