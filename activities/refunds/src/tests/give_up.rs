//! An operator's statement that an overdue refund has failed: the way out of suspense if the provider says nothing
//! final.

use super::*;

const REFERENCE: &str = "letter 9";

impl World {
    /// A world with an overdue refund.
    async fn overdue() -> Self {
        let world = Self::refunded().await;
        world.desk.park_overdue(later(0)).await.unwrap();
        world
    }

    /// The same after the provider forgot its keys.
    async fn forgotten() -> Self {
        let world = Self::overdue().await;
        assert_eq!(world.test.run("DELETE FROM sandbox_movements WHERE kind = 'refund'").await, Ok(1));
        world
    }

    async fn give_up(&self) -> Result<TrackedRefund, RefundError> {
        self.desk.give_up(KEY, &operator(), REFERENCE, later(1)).await
    }
}

/// R8: each refund has a way out, whatever its end.
#[tokio::test]
async fn a_refund_that_the_provider_forgot_is_given_up_and_then_sent_again_or_elsewhere() {
    let world = World::forgotten().await;
    let error = world.desk.retry(KEY, &operator(), at()).await.unwrap_err();
    assert!(matches!(error, RefundError::StillPending { .. }), "{error}");
    assert!(error.hint().contains("`recourse refunds failed`"), "{}", error.hint());
    for _ in 0..2 {
        let refund = world.give_up().await.unwrap();
        assert_eq!(refund.state, RefundState::Failed);
        assert_eq!(refund.reason.as_deref(), Some("given up by operator op-1: letter 9"));
        assert_eq!((world.money().await, world.postings().await.len()), ((0, 500, 0), 2), "it is parked already");
        assert_eq!(world.events().await, events(&["refund_overdue", "refund_failed"]));
    }
    let told = world.told().await;
    assert!(
        told.iter().all(|notice| !notice.text.contains("letter 9")),
        "an operator's reference is not for the client"
    );
    let next = world.desk.retry(KEY, &operator(), at()).await.unwrap();
    assert_eq!((next.state, world.money().await), (RefundState::Issued, (0, 0, 500)));
    let refunds = world.desk.list(&RefundFilter::default(), at()).await.unwrap();
    assert_eq!(refunds[0].reason.as_deref(), Some("given up by operator op-1: letter 9"), "who and why is kept");

    let world = World::forgotten().await;
    world.give_up().await.unwrap();
    let paid = world.desk.pay_otherwise(KEY, id("bank-9"), &operator(), "ticket 7", at()).await.unwrap();
    assert_eq!((paid.state, world.money().await), (RefundState::PaidOtherwise, (0, 0, 500)));
    assert_eq!(paid.reason.as_deref(), Some("given up by operator op-1: letter 9"));
}

/// The operator's statement counts while the provider's API says nothing final.
#[tokio::test]
async fn a_refund_that_the_provider_never_finishes_is_given_up_too() {
    let world = World::overdue().await;
    assert_eq!(world.give_up().await.unwrap().state, RefundState::Failed);
    world.desk.pay_otherwise(KEY, id("bank-9"), &operator(), "ticket 7", at()).await.unwrap();
    assert_eq!(world.money().await, (0, 0, 500));
}

#[tokio::test]
async fn the_providers_final_word_counts_more_than_an_operators() {
    let world = World::overdue().await;
    world.bank.settle(KEY).await.unwrap();
    let error = world.give_up().await.unwrap_err();
    assert!(matches!(error, RefundError::SettledAfterAll { .. }), "{error}");
    assert_eq!((world.only().await.state, world.money().await), (RefundState::Settled, (0, 0, 500)));
    assert_eq!(world.events().await, events(&["refund_overdue", "refund_settled_after_all"]));

    let world = World::overdue().await;
    world.bank.fail(KEY, "closed").await.unwrap();
    assert_eq!(world.give_up().await.unwrap().reason.as_deref(), Some("closed"));
    assert_eq!(world.events().await, events(&["refund_overdue", "refund_failed"]));

    // A provider that gives no answer may know that it has settled.
    let world = World::overdue().await;
    let silent = RefundDesk::new(world.ledger.clone(), Arc::new(Silent), world.book.clone());
    let error = silent.give_up(KEY, &operator(), REFERENCE, at()).await.unwrap_err();
    assert!(matches!(error, RefundError::Gateway(_)), "{error}");
    assert_eq!(world.only().await.state, RefundState::Overdue);
}

#[tokio::test]
async fn only_an_operator_gives_up_only_overdue_refunds_with_a_reference() {
    let world = World::refunded().await;
    let error = world.give_up().await.unwrap_err();
    assert_eq!(error.to_string(), format!("refund {KEY} is not overdue: it is issued"));
    assert!(error.hint().contains("wait"), "{}", error.hint());
    world.desk.park_overdue(later(0)).await.unwrap();
    for party in [Role::Client, Role::Freelancer, Role::Mediator, Role::Arbitrator] {
        let result = world.desk.give_up(KEY, &Actor { party, id: id("x-1") }, REFERENCE, at()).await;
        assert!(matches!(result, Err(RefundError::NotAllowed { .. })), "{result:?}");
    }
    let result = world.desk.give_up(KEY, &operator(), " \n", at()).await;
    assert!(matches!(result, Err(RefundError::NoReference { .. })), "{result:?}");
    let result = world.desk.give_up("no-such-refund", &operator(), REFERENCE, at()).await;
    assert!(matches!(result, Err(RefundError::Unknown { .. })), "{result:?}");
    assert_eq!(world.only().await.state, RefundState::Overdue);
    world.desk.report(KEY, &Report::Settled).await.unwrap();
    let result = world.give_up().await;
    assert!(matches!(result, Err(RefundError::NotOverdue { state: RefundState::Settled, .. })), "{result:?}");
}
