//! The constraints of set-asides, reviews, bonuses and returned payments, each tried directly.

use super::*;

const FREELANCER: &str = "freelancer:fl-1";

fn set_aside(purpose: &str, milestone: &str, deposit: &str, minor: &str) -> String {
    format!(
        "INSERT INTO set_aside (contract, currency, purpose, milestone, deposit, amount)
         VALUES ('c-1', 'USD', '{purpose}', {milestone}, {deposit}, {minor})"
    )
}

fn review(case: &str, ordinal: &str) -> String {
    format!(
        "INSERT INTO holds (case_ref, case_id, first_run, contract, currency, opened_at, opened, held, milestone, ordinal)
         VALUES ('{case}', '{case}', 'run', 'c-1', 'USD', 't', '', 0, 'm-1', {ordinal})"
    )
}

/// A posting of kind `return`, with its content.
fn giving_back(id: &str, payment: &str, from: &str, minor: i64) -> String {
    insert(id, "return", from, "source:card-1", &minor.to_string(), "c-1")
        .replace("deposit, content)", "deposit, content, payment)")
        .replace("\"kind\":\"return\",", &format!("\"kind\":\"return\",\"payment\":\"{payment}\","))
        .replace("}')", &format!("}}', '{payment}')"))
}

fn planned(posting: &str, payment: &str, payee: &str, deposit: &str, minor: i64) -> String {
    format!(
        "INSERT INTO return_legs (posting, plan, number, contract, payment, payee, currency, deposit, source, charge, amount)
         VALUES ('{posting}', '{posting}', 0, 'c-1', '{payment}', '{payee}', 'USD', {deposit}, 'card-1', 'c-1-d', {minor})"
    )
}

/// A contract with 500, of which 200 are released, and a bonus of 50.
async fn paid() -> TestDatabase {
    let test = funded().await;
    test.run(&insert("release", "release", "escrow:c-1", FREELANCER, "200", "c-1")).await.unwrap();
    test.run(&insert("bonus", "bonus", "source:card-2", FREELANCER, "50", "c-1")).await.unwrap();
    test
}

async fn refused(test: &TestDatabase, why: &str, sql: &str) {
    let refused = test.run(sql).await;
    // PostgreSQL says "check constraint", SQLite "CHECK constraint".
    let is_why = |refused: &String| refused.contains(why) || refused.contains(&why.to_lowercase());
    assert!(refused.as_ref().is_err_and(is_why), "{why}: {refused:?}: {sql}");
}

#[tokio::test]
async fn the_escrow_covers_holds_and_set_asides_together() {
    let test = funded().await;
    test.run(&hold("case", "c-1", 300)).await.unwrap();
    refused(&test, "L3", &set_aside("milestone", "'m-1'", "NULL", "201")).await;
    test.run(&set_aside("milestone", "'m-1'", "NULL", "150")).await.unwrap();
    refused(&test, "L3", "UPDATE set_aside SET amount = 201").await;
    refused(&test, "L3", "UPDATE holds SET held = 351").await;
    refused(&test, "L3", &hold("case-2", "c-1", 51)).await;
    refused(&test, "L3", &insert("x", "release", "escrow:c-1", FREELANCER, "51", "c-1")).await;
    refused(&test, "L3", &set_aside("held_over", "NULL", "NULL", "10").replace("USD", "EUR")).await;
    for (why, sql) in [
        ("for nothing known", set_aside("holiday", "'m-1'", "NULL", "1")),
        ("for a milestone that is not named", set_aside("milestone", "NULL", "NULL", "1")),
        ("reserved by no deposit", set_aside("deposit", "'m-1'", "NULL", "1")),
        ("held over and reserved", set_aside("held_over", "'m-1'", "'d-1'", "1")),
        ("nothing", set_aside("held_over", "NULL", "NULL", "0")),
        ("a fraction", set_aside("held_over", "NULL", "NULL", "0.5")),
    ] {
        if why == "a fraction" && TestDatabase::is_postgres() {
            // Its integer columns round a number without a type; the program's numbers have one.
            continue;
        }
        assert_eq!(refused_by(&test.run(&sql).await.expect_err(why)), "CHECK", "{why}");
    }
    test.run(&set_aside("held_over", "NULL", "NULL", "50")).await.unwrap();
    assert!(Ledger::new(test.database.clone()).check().await.unwrap().is_sound());
}

/// E3.
#[tokio::test]
async fn one_milestone_is_reviewed_at_a_time() {
    let test = funded().await;
    test.run(&review("review-1", "1")).await.unwrap();
    refused(&test, "E3", &review("review-2", "2")).await;
    let again = review("review-1", "1").replacen("'review-1'", "'review-1#2'", 1).replace("'run'", "'run-2'");
    test.run(&again).await.unwrap();
    refused(&test, "CHECK", "UPDATE holds SET milestone_done = 1").await;
    refused(&test, "CHECK", "UPDATE holds SET ordinal = 0").await;
    refused(&test, "CHECK", "UPDATE holds SET milestone = NULL").await;
    test.run("UPDATE holds SET closed = 1, milestone_done = 1").await.unwrap();
    test.run(&review("review-2", "2")).await.unwrap();
}

/// E1, E7.
#[tokio::test]
async fn a_bonus_goes_to_the_contracts_payee() {
    let test = funded().await;
    for payee in ["freelancer:fl-2", "agency:fl-1", "fees", "escrow:c-1"] {
        refused(&test, "E1", &insert("x", "bonus", "source:card-2", payee, "1", "c-1")).await;
    }
    let test = funded_for("'ag-1'").await;
    refused(&test, "E1", &insert("x", "bonus", "source:card-2", FREELANCER, "1", "c-1")).await;
    test.run(&insert("x", "bonus", "source:card-2", "agency:ag-1", "1", "c-1")).await.unwrap();
}

/// P4.
#[tokio::test]
async fn a_return_never_exceeds_its_payment_nor_its_deposit() {
    let test = paid().await;
    refused(&test, "CHECK", &insert("x", "return", FREELANCER, "source:card-1", "1", "c-1")).await;
    refused(&test, "P4: a return takes back", &giving_back("x", "c-1-d", FREELANCER, 1)).await;
    refused(&test, "P4: a return takes back", &giving_back("x", "release", "escrow:c-1", 1)).await;
    // `PostgreSQL` checks the reference before the trigger.
    let of_nothing = if TestDatabase::is_postgres() { "journal_payment_fkey" } else { "P4: a return takes back" };
    refused(&test, of_nothing, &giving_back("x", "no-such", FREELANCER, 1)).await;
    refused(&test, "P4: returns exceed", &giving_back("x", "release", FREELANCER, 201)).await;
    test.run(&giving_back("a", "release", FREELANCER, 150)).await.unwrap();
    refused(&test, "P4: returns exceed", &giving_back("x", "release", FREELANCER, 51)).await;
    test.run(&insert("r", "refund", "escrow:c-1", "source:card-1", "300", "c-1")).await.unwrap();
    refused(&test, "R7, P4", &giving_back("x", "bonus", FREELANCER, 51).replace("card-1", "card-2")).await;
    refused(&test, "R7, P4", &giving_back("x", "release", FREELANCER, 51)).await;
    test.run(&giving_back("b", "release", FREELANCER, 50)).await.unwrap();
    refused(&test, "R7, P4", &giving_back("x", "bonus", FREELANCER, 1)).await;
}

/// P4: the same for planned legs, together with posted ones.
#[tokio::test]
async fn planned_returns_are_covered_and_never_change() {
    let test = paid().await;
    refused(&test, "P4: a return takes back", &planned("x", "c-1-d", FREELANCER, "'d-1'", 1)).await;
    refused(&test, "P4: a return takes back", &planned("x", "release", "freelancer:fl-2", "'d-1'", 1)).await;
    refused(&test, "P4: returns exceed the payment", &planned("x", "release", FREELANCER, "'d-1'", 201)).await;
    refused(&test, "P4: returns exceed the deposit", &planned("x", "release", FREELANCER, "'d-9'", 1)).await;
    test.run(&planned("a", "release", FREELANCER, "'d-1'", 150)).await.unwrap();
    refused(&test, "P4: returns exceed the payment", &planned("x", "release", FREELANCER, "'d-1'", 51)).await;
    for sql in [
        "UPDATE return_legs SET amount = 1, posted = 1",
        "UPDATE return_legs SET deposit = NULL, posted = 1",
        "UPDATE return_legs SET payment = 'bonus', posted = 1",
        "UPDATE return_legs SET posted = 1",
        "DELETE FROM return_legs",
    ] {
        refused(&test, "L4", sql).await;
    }
    test.run(&giving_back("a", "release", FREELANCER, 150)).await.unwrap();
    test.run("UPDATE return_legs SET posted = 1").await.unwrap();
    refused(&test, "L4", "UPDATE return_legs SET posted = 0").await;
    refused(&test, "P4: returns exceed the payment", &planned("x", "release", FREELANCER, "'d-1'", 51)).await;
    test.run(&insert("r", "refund", "escrow:c-1", "source:card-1", "300", "c-1")).await.unwrap();
    test.run(&planned("b", "release", FREELANCER, "'d-1'", 50)).await.unwrap();
    refused(&test, "P4: returns exceed the deposit", &planned("x", "bonus", FREELANCER, "'d-1'", 1)).await;
    assert!(Ledger::new(test.database.clone()).check().await.unwrap().is_sound());
    // The payee has 100: 20 go elsewhere, and 50 are planned to go back.
    test.run(&insert("out", "fee", FREELANCER, "fees", "20", "c-1")).await.unwrap();
    refused(&test, "P4: returns exceed what the payee has", &planned("x", "bonus", FREELANCER, "NULL", 31)).await;
}

#[tokio::test]
async fn an_answered_deposit_for_a_milestone_is_never_changed() {
    let test = funded().await;
    let deposit = |id: &str, more: &str, values: &str| {
        format!(
            "INSERT INTO milestone_deposits (contract, deposit, milestone, source, charge, currency, asked, origins,
                                             from_held, state{more})
             VALUES ('c-1', '{id}', 'm-1', 'card-1', '{id}', 'USD', 10, '[]', {values})"
        )
    };
    for wrong in [
        deposit("x", "", "11, 'in_flight'"),
        deposit("x", "", "-1, 'in_flight'"),
        deposit("x", "", "0, 'made'"),
        deposit("x", ", held", "0, 'made', 9"),
        deposit("x", ", held", "0, 'in_flight', 10"),
        deposit("x", "", "0, 'declined'"),
        deposit("x", "", "0, 'lost'"),
    ] {
        refused(&test, "CHECK", &wrong).await;
    }
    test.run(&deposit("a", "", "0, 'in_flight'")).await.unwrap();
    test.run(&deposit("b", ", held", "0, 'made', 10")).await.unwrap();
    test.run(&deposit("c", ", reason", "0, 'declined', 'no'")).await.unwrap();
    for id in ["b", "c"] {
        refused(&test, "L4", &format!("UPDATE milestone_deposits SET asked = 9 WHERE deposit = '{id}'")).await;
        refused(&test, "L4", &format!("DELETE FROM milestone_deposits WHERE deposit = '{id}'")).await;
    }
    test.run("UPDATE milestone_deposits SET state = 'made', held = 10 WHERE deposit = 'a'").await.unwrap();
}

#[tokio::test]
async fn the_check_names_rows_that_break_the_laws_of_milestones_and_payments() {
    for (sql, wanted) in [
        ("UPDATE set_aside SET amount = 201", "L3 escrow:c-1: has 300 USD, and case, set-asides hold 301"),
        ("UPDATE set_aside SET deposit = 'd-5', purpose = 'deposit'", "E6 d-5: of contract c-1 draws on 0, and 150"),
        ("UPDATE milestone_deposits SET from_held = 7", "E6 d-4: of contract c-1 draws on 7, and 0 is reserved"),
        ("UPDATE journal SET credit = 'freelancer:fl-9' WHERE id = 'bonus'", "E1 bonus: pays freelancer:fl-9 and not"),
        ("UPDATE journal SET payment = 'bonus' WHERE id = 'back'", "P4 bonus: was returned with 10 more than was paid"),
        ("UPDATE journal SET payment = 'c-1-d' WHERE id = 'back'", "P4 back: takes back what is no payment"),
        ("UPDATE journal SET payment = 'bonus' WHERE id = 'back'", "L2 back: is not what was posted: payment was"),
        (
            "UPDATE journal SET amount = 501 WHERE id = 'back'",
            "R7 d-1: of contract c-1 was 500, and 501 of it went back",
        ),
        ("UPDATE journal SET amount = 61 WHERE id = 'back'", "P4 back: returns 61, and 60 was planned"),
        ("UPDATE return_legs SET posted = 0", "P4 back: is posted and not marked so"),
        ("UPDATE return_legs SET posting = 'other'", "P4 other: is marked as posted and is not"),
        ("UPDATE return_legs SET posting = 'other'", "P4 back: was never planned"),
    ] {
        let test = paid().await;
        for sql in [
            hold("case", "c-1", 100),
            set_aside("milestone", "'m-1'", "NULL", "150"),
            planned("back", "release", FREELANCER, "'d-1'", 60),
            giving_back("back", "release", FREELANCER, 60),
            "UPDATE return_legs SET posted = 1".into(),
            "INSERT INTO milestone_deposits (contract, deposit, milestone, source, charge, currency, asked, origins,
                                             from_held, state)
             VALUES ('c-1', 'd-4', 'm-1', 'card-1', 'd-4', 'USD', 10, '[]', 0, 'in_flight')"
                .into(),
        ] {
            test.run(&sql).await.unwrap();
        }
        let ledger = Ledger::new(test.database.clone());
        assert!(ledger.check().await.unwrap().is_sound());
        for trigger in ["journal_is_never_updated", "return_legs_are_only_marked", "set_aside_stays_within_escrow"] {
            test.drop_trigger(trigger).await;
        }
        test.run(sql).await.unwrap();
        let found = ledger.check().await.unwrap().findings;
        let found: Vec<_> = found.into_iter().map(|f| format!("{} {}: {}", f.law, f.culprit, f.problem)).collect();
        assert!(found.iter().any(|finding| finding.starts_with(wanted)), "{sql}: {found:#?}");
    }
}

/// A ledger from before milestones, with money in it and a case that holds some.
#[tokio::test]
async fn the_milestone_migration_keeps_a_ledger_with_money() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::connect(&format!("sqlite:{}/old.db", directory.path().display())).await.unwrap();
    let run = async |sql: &str| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(database.pool()).await.unwrap();
    };
    run(include_str!("../../../database/migrations/sqlite/0001_ledger.sql")).await;
    run("INSERT INTO contracts (contract, currency, client, freelancer, agency) VALUES ('c-1', 'USD', 'cl-1', 'fl-1', NULL)").await;
    run(&insert("c-1-d", "deposit", "source:card-1", "escrow:c-1", "500", "c-1")).await;
    run("INSERT INTO deposits (contract, deposit, source, charge, currency, amount, held, at)
         VALUES ('c-1', 'd-1', 'card-1', 'c-1-d', 'USD', 500, 500, 't')")
    .await;
    run(&hold("case", "c-1", 100).replace("'t'", "'2026-12-03T10:00:00Z'")).await;
    run(&insert("release", "release", "escrow:c-1", FREELANCER, "200", "c-1")).await;
    run(include_str!("../../../database/migrations/sqlite/0003_sandbox.sql")).await;
    run(include_str!("../../../database/migrations/sqlite/0004_milestones.sql")).await;
    run(include_str!("../../../database/migrations/sqlite/0005_refunds.sql")).await;
    run(include_str!("../../../database/migrations/sqlite/0015_grounds.sql")).await;
    let ledger = Ledger::new(database.clone());
    assert!(ledger.check().await.unwrap().is_sound());
    assert_eq!(ledger.free("case").await.unwrap().len(), 1);
    let take = HoldRequest::Milestone { milestone: id("m-1"), ordinal: 1, amount: Amount::new(300).unwrap() };
    let (case, first_run, asked) = ("review".into(), "run".into(), StartRequest::Nothing);
    let order = OpenCase { case, first_run, contract: contract("c-1"), take, asked, at: at() };
    assert!(matches!(ledger.open(&order).await.unwrap(), OpenReceipt::Opened(_)));
    database.close().await;
}
