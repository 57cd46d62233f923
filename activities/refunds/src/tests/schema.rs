//! The last line of defence: what the database refuses from any program, and what its migration keeps.

use recourse_database::Database;

use super::*;

fn insert(id: &str, kind: &str, debit: &str, credit: &str, minor: i64) -> String {
    format!(
        "INSERT INTO journal (id, at, recorded_at, kind, debit, credit, currency, amount, contract, case_id, rule,
                              deposit, content)
         VALUES ('{id}', 't', 't', '{kind}', '{debit}', '{credit}', 'USD', {minor}, 'c-1', 'case', 'R8', 'd-1', '{{}}')"
    )
}

#[tokio::test]
async fn a_billing_method_gets_no_more_than_it_gave_and_what_left_suspense_for_it() {
    let world = World::refunded().await;
    world.desk.report(KEY, &failed("closed")).await.unwrap();
    for (why, by, sql) in [
        ("what is parked, a second time", "R7", insert("x", "refund", "escrow:c-1", "source:card-1", 1)),
        ("more than is in suspense", "CHECK", insert("x", "from_suspense", "suspense:c-1", "source:card-1", 501)),
        ("suspense for a freelancer", "R8", insert("x", "from_suspense", "suspense:c-1", "freelancer:fl-1", 1)),
        ("suspense by another kind", "R8 R7", insert("x", "refund", "suspense:c-1", "source:card-1", 1)),
        ("parking by another kind", "R8 E1", insert("x", "release", "source:card-1", "suspense:c-1", 1)),
        ("a refund that is forgotten", "R8", "DELETE FROM refunds".into()),
        ("a refund that becomes more", "R8", "UPDATE refunds SET amount = 600".into()),
        ("one that is paid to nobody", "CHECK", "UPDATE refunds SET state = 'paid_otherwise'".into()),
    ] {
        let refused = world.test.run(&sql).await.expect_err(why);
        assert!(by.split(' ').any(|by| by == refused_by(&refused)), "{why}: not by {by}: {refused}");
    }
    // There is enough money in fees, so only the rule about the billing method can refuse.
    world.test.run(&insert("fee", "fee", "source:card-2", "fees", 50)).await.unwrap();
    let too_much = async |source: &str| {
        let refused = world.test.run(&insert("x", "fee_return", "fees", source, 1)).await.unwrap_err();
        assert!(refused.contains("L3: a source gets back at most what it gave"), "{source}: {refused}");
    };
    too_much("source:card-1").await;
    world.test.run(&insert("a", "from_suspense", "suspense:c-1", "source:bank-9", 200)).await.unwrap();
    world.test.run(&insert("b", "from_suspense", "suspense:c-1", "source:card-1", 300)).await.unwrap();
    too_much("source:bank-9").await;
    // Money that was paid by mistake can be parked again, and no more than that.
    world.test.run(&insert("c", "to_suspense", "source:bank-9", "suspense:c-1", 200)).await.unwrap();
    for source in ["source:bank-9", "source:card-1"] {
        too_much(source).await;
    }
    world.test.run(&insert("back", "fee_return", "fees", "source:card-2", 50)).await.unwrap();
}

#[tokio::test]
async fn the_check_reports_unexplained_suspense_and_overpaid_billing_methods() {
    let world = World::refunded().await;
    world.desk.report(KEY, &failed("closed")).await.unwrap();
    world.test.run("UPDATE refunds SET state = 'settled'").await.unwrap();
    let problems = async || {
        let findings = world.ledger.check().await.unwrap().findings;
        findings.into_iter().map(|f| format!("{} {}: {}", f.law, f.culprit, f.problem)).collect::<Vec<_>>()
    };
    assert_eq!(problems().await, ["R8 suspense:c-1: has 500 USD, and parked refunds of 0"]);
    world.test.drop_trigger("no_source_gets_more_than_it_gave").await;
    world.test.run("UPDATE balances SET balance = balance + 1 WHERE account = 'source:card-1'").await.unwrap();
    let found = problems().await;
    let wanted = "L3 source:card-1: got back more than it gave: -499 USD, at most -500";
    assert!(found.iter().any(|problem| problem == wanted), "{found:#?}");
}

/// An installation that has run keeps its balances, its escrow's protection and the bank's books.
#[tokio::test]
async fn the_migration_keeps_existing_data() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::connect(&format!("sqlite:{}/old.db", directory.path().display())).await.unwrap();
    let run = async |sql: &str| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(database.pool()).await.map_err(|error| error.to_string())
    };
    for sql in [
        include_str!("../../../database/migrations/sqlite/0001_ledger.sql"),
        include_str!("../../../database/migrations/sqlite/0002_notices.sql"),
        include_str!("../../../database/migrations/sqlite/0003_sandbox.sql"),
        "INSERT INTO contracts (contract, currency, client, freelancer, agency) VALUES ('c-1', 'USD', 'cl-1', 'fl-1', NULL)",
        &insert("d", "deposit", "source:card-1", "escrow:c-1", 500),
        "INSERT INTO deposits (contract, deposit, source, charge, currency, amount, held, at)
         VALUES ('c-1', 'd-1', 'card-1', 'd', 'USD', 500, 500, 't')",
        "INSERT INTO holds (case_ref, case_id, first_run, contract, currency, opened_at, opened, held)
         VALUES ('x', 'x', 'run', 'c-1', 'USD', 't', '', 300)",
        &insert("r", "refund", "escrow:c-1", "source:card-1", 100),
        "INSERT INTO sandbox_movements (key, kind, source, currency, amount, charge, declined)
         VALUES ('d', 'charge', 'card-1', 'USD', 500, NULL, NULL), ('r', 'refund', 'card-1', 'USD', 100, 'd', NULL),
                ('n', 'refund', 'card-1', 'USD', 900, 'd', 'no')",
        include_str!("../../../database/migrations/sqlite/0004_milestones.sql"),
        include_str!("../../../database/migrations/sqlite/0005_refunds.sql"),
    ] {
        run(sql).await.unwrap();
    }
    let balances: Vec<(String, i64)> =
        sqlx::query_as("/* of a test */ SELECT account, balance FROM balances ORDER BY account")
            .fetch_all(database.pool())
            .await
            .unwrap();
    assert_eq!(balances, [("escrow:c-1".to_owned(), 400), ("source:card-1".to_owned(), -400)]);
    let refused = run(&insert("y", "refund", "escrow:c-1", "source:card-1", 101)).await.unwrap_err();
    assert!(refused.contains("L3: other cases hold this escrow"), "{refused}");
    let bank = SandboxBank::new(database.clone());
    let kept: Vec<_> = bank.movements().await.unwrap().into_iter().map(|m| (m.key, m.declined)).collect();
    assert_eq!(kept, [("d".into(), None), ("r".into(), None), ("n".into(), Some("no".to_owned()))]);
    assert!(bank.unsettled().await.unwrap().is_empty(), "the desk does not follow refunds from before the migration");
}
