//! One refund with a problem affects no other.

use super::*;

/// A damaged row, or a second report that contradicts the first.
#[tokio::test]
async fn a_broken_refund_delays_neither_other_refunds_nor_notices() {
    let world = World::new().await;
    world.settle(vec![World::part("refund:d-1", 200), World::part("refund:d-1b", 300)]).await.unwrap();
    world.test.run(&format!("UPDATE refunds SET issued_at = {} WHERE id = '{KEY}'", i64::MAX)).await.unwrap();
    for swept in [Swept { overdue: 1, unanswered: 1, ..Swept::default() }, Swept { unanswered: 1, ..Swept::default() }]
    {
        assert_eq!(world.desk.park_overdue(later(0)).await.unwrap(), swept);
        assert_eq!(world.events().await, events(&["refund_overdue"]));
    }
    assert_eq!(world.told().await[0].case_ref, format!("{KEY}b"));
    world.test.run(&format!("UPDATE refunds SET issued_at = 0 WHERE id = '{KEY}'")).await.unwrap();
    assert_eq!(world.desk.park_overdue(later(0)).await.unwrap(), Swept { overdue: 1, ..Swept::default() });
    assert_eq!(world.money().await, (0, 500, 0));
}
