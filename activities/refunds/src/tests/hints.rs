//! Refunds that the desk looks up at once because of a hint from the provider.

use super::*;

/// R8: a failure is parked at once. If the provider says that a refund has settled, the desk still follows it until the
/// date when it should have, since the bank may send it back.
#[tokio::test]
async fn a_hint_makes_the_desk_look_a_refund_up_and_only_a_failure_counts_early() {
    let world = World::refunded().await;
    for _ in 0..2 {
        let refund = world.desk.look_now(KEY, at()).await.unwrap().unwrap();
        assert_eq!(refund.state, RefundState::Issued, "it is on its way");
    }
    world.bank.settle(KEY).await.unwrap();
    assert_eq!(world.desk.look_now(KEY, at()).await.unwrap().unwrap().state, RefundState::Issued);
    assert_eq!((world.money().await, world.told().await.len()), ((0, 0, 500), 0));
    assert_eq!(world.desk.park_overdue(later(0)).await.unwrap(), Swept { settled: 1, ..Swept::default() });

    let world = World::refunded().await;
    world.bank.fail(KEY, "closed").await.unwrap();
    for _ in 0..2 {
        let refund = world.desk.look_now(KEY, at()).await.unwrap().unwrap();
        assert_eq!((refund.state, refund.reason.as_deref()), (RefundState::Failed, Some("closed")));
        assert_eq!((world.money().await, world.postings().await.len()), ((0, 500, 0), 2));
    }
    assert_eq!(world.events().await, events(&["refund_failed"]));
}

/// R8: a parked refund that arrives after all leaves suspense at once.
#[tokio::test]
async fn a_hint_takes_an_arrived_refund_out_of_suspense() {
    let world = World::refunded().await;
    world.desk.park_overdue(later(0)).await.unwrap();
    assert_eq!(world.desk.look_now(KEY, later(0)).await.unwrap().unwrap().state, RefundState::Overdue);
    world.bank.settle(KEY).await.unwrap();
    assert_eq!(world.desk.look_now(KEY, later(0)).await.unwrap().unwrap().state, RefundState::Settled);
    assert_eq!(world.money().await, (0, 0, 500));
    assert_eq!(world.events().await, events(&["refund_overdue", "refund_settled_after_all"]));
}

#[tokio::test]
async fn a_hint_about_an_unknown_refund_is_ignored_and_an_early_one_must_be_repeated() {
    let world = World::new().await;
    assert_eq!(world.desk.look_now("refund-request:c-9/refund:d-1", at()).await.unwrap(), None);
    let refund = Refund {
        charge: "escrow-deposit:c-1:d-1/deposit".into(),
        source: id("card-1"),
        currency: contract("c-1").currency,
        amount: amount(500),
    };
    world.bank.refund(KEY, &refund).await.unwrap();
    let error = world.desk.look_now(KEY, at()).await.unwrap_err();
    assert!(matches!(error, RefundError::Unknown { .. }), "{error}");
    world.refund().await.unwrap();
    assert_eq!(world.desk.look_now(KEY, at()).await.unwrap().unwrap().state, RefundState::Issued);
    let silent = RefundDesk::new(world.ledger.clone(), Arc::new(Silent), world.book.clone());
    assert!(matches!(silent.look_now(KEY, at()).await, Err(RefundError::Gateway(_))));
}
