//! Settlements that share a transaction.

use futures_util::future::join_all;

use super::*;

async fn releases(world: &World) -> Vec<(String, i64)> {
    let history = world.effects.ledger.history(&id("c-1"), at()).await.unwrap().unwrap();
    let releases = history.entries.into_iter().filter(|entry| entry.kind == "release");
    let mut releases: Vec<_> = releases.map(|entry| (entry.id, entry.amount)).collect();
    releases.sort();
    releases
}

/// L2, L3, L4: each of several settlements at once gets its own result, and none takes more than its case holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn settlements_at_once_are_each_done_once_or_refused_alone() {
    let world = World::new().await;
    world.deposit("d-1", 300).await;
    let first = world.open("first", "run", None).await.unwrap();
    world.deposit("d-2", 200).await;
    let second = world.open("second", "run", None).await.unwrap();
    let stranger = OpenedCase { case_ref: "stranger".into(), ..first.clone() };
    let of = |case: &OpenedCase, step: &str, minor| World::settlement(case, vec![release(step, minor)], false);
    let mut orders = Vec::new();
    for number in 0..20 {
        orders.push((of(&first, &format!("part:{number}"), 15), true));
        // As when a second try of an activity begins before the first is over.
        orders.push((of(&first, &format!("part:{number}"), 15), true));
        orders.push((of(&second, &format!("part:{number}"), 10), true));
        orders.push((of(&stranger, &format!("part:{number}"), 1), false));
        orders.push((of(&second, &format!("more:{number}"), 201), false));
    }
    let mut other = of(&second, "other", 1);
    other.contract.freelancer.id = id("fl-2");
    orders.push((other, false));
    let answers = join_all(orders.iter().map(|(order, _)| world.effects.carry_out(order))).await;
    for ((order, expected), answer) in orders.iter().zip(answers) {
        assert_eq!(answer.is_ok(), *expected, "{:?}: {answer:?}", order.movements);
    }
    let made = releases(&world).await;
    assert_eq!(made.len(), 40, "{made:?}");
    assert_eq!(made.iter().map(|(_, minor)| minor).sum::<i64>(), 500);
    let again = world.effects.carry_out(&of(&first, "part:3", 16)).await.unwrap_err();
    assert_eq!(again.type_name(), "PostingConflict");
    assert_eq!(world.settle(&first, vec![release("more", 1)], false).await.unwrap_err().type_name(), "ExceedsHold");
    assert!(world.effects.ledger.check().await.unwrap().is_sound());
    let report = world.effects.ledger.verify(&[]).await.unwrap();
    assert!(report.is_whole() && report.postings == 42, "{report:?}");
}

/// L5: a task that stops while it writes for others leaves nothing half done; the others then write for themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_writer_that_stops_loses_no_other_settlement() {
    let world = Arc::new(World::new().await);
    world.deposit("d-1", 1_000).await;
    let opened = world.open("first", "run", None).await.unwrap();
    for round in 0..10_u32 {
        let settles = |number: u32| {
            let (world, opened) = (Arc::clone(&world), opened.clone());
            tokio::spawn(async move {
                world.settle(&opened, vec![release(&format!("part:{round}:{number}"), 1)], false).await
            })
        };
        let stopped: Vec<_> = (0..3).map(settles).collect();
        let others: Vec<_> = (3..8).map(settles).collect();
        tokio::time::sleep(Duration::from_micros(u64::from(round) * 300)).await;
        for one in stopped {
            one.abort();
        }
        for other in others {
            other.await.unwrap().unwrap();
        }
        for number in 0..3 {
            settles(number).await.unwrap().unwrap();
        }
    }
    assert_eq!(releases(&world).await.len(), 80);
    assert!(world.effects.ledger.check().await.unwrap().is_sound());
    assert!(world.effects.ledger.verify(&[]).await.unwrap().is_whole());
}

/// R7: a settlement that needs several INSERTs keeps its order, also in the chain.
#[tokio::test]
async fn many_movements_of_one_settlement_keep_their_order_and_happen_all_or_none() {
    let world = World::new().await;
    world.deposit("d-1", 1_000).await;
    let opened = world.open("first", "run", None).await.unwrap();
    let many: Vec<Movement> = (0..101).map(|number| release(&format!("part:{number}"), 5)).collect();
    let settled = world.settle(&opened, many.clone(), false).await.unwrap();
    let history = world.effects.ledger.history(&id("c-1"), at()).await.unwrap().unwrap();
    let made: Vec<String> = history.entries.iter().skip(1).map(|entry| entry.id.clone()).collect();
    assert_eq!(made, settled.postings);
    // Half of these are new: the ledger recognises the others, and makes the new ones.
    let wider: Vec<Movement> = (51..150).map(|number| release(&format!("part:{number}"), 5)).collect();
    world.settle(&opened, wider, false).await.unwrap();
    assert_eq!(releases(&world).await.len(), 150);
    let too_much: Vec<Movement> = (150..160).map(|number| release(&format!("part:{number}"), 50)).collect();
    assert_eq!(world.settle(&opened, too_much, true).await.unwrap_err().type_name(), "ExceedsHold");
    assert_eq!(releases(&world).await.len(), 150);
    assert!(world.effects.ledger.verify(&[]).await.unwrap().is_whole());
}
