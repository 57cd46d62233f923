//! What the chain shows, and what only a head kept elsewhere shows.

use recourse_database::testing::{TestDatabase, amount, at, contract, id};

use super::*;
use crate::Deposit;

async fn findings(test: &TestDatabase, kept: &[Head]) -> Vec<String> {
    let report = Ledger::new(test.database.clone()).verify(kept).await.unwrap();
    report.findings.into_iter().map(|finding| format!("{}: {}", finding.culprit, finding.problem)).collect()
}

async fn head(test: &TestDatabase) -> Head {
    Ledger::new(test.database.clone()).verify(&[]).await.unwrap().head.unwrap()
}

async fn post(test: &TestDatabase, deposit: &str) {
    let case = format!("escrow-deposit:c-1:{deposit}");
    let deposit = Deposit {
        id: id(deposit),
        contract: contract("c-1"),
        milestone: None,
        source: id("card-1"),
        charge: format!("{case}/deposit"),
        amount: amount(500),
        case,
        at: at(),
    };
    Ledger::new(test.database.clone()).make_deposit(&deposit).await.unwrap();
}

/// Three postings that the program made.
async fn posted() -> TestDatabase {
    let test = TestDatabase::new().await;
    for deposit in ["a", "b", "c"] {
        post(&test, deposit).await;
    }
    for trigger in [
        "journal_is_never_updated",
        "journal_is_never_deleted",
        "journal_chain_is_never_updated",
        "journal_chain_is_never_deleted",
    ] {
        test.drop_trigger(trigger).await;
    }
    test
}

#[tokio::test]
async fn the_chain_of_the_ledgers_own_postings_is_whole() {
    let test = posted().await;
    let report = Ledger::new(test.database.clone()).verify(&[]).await.unwrap();
    assert!(report.is_whole() && report.postings == 3, "{report:?}");
    let head = report.head.unwrap();
    assert_eq!(head.to_string().parse(), Ok(head.clone()));
    assert!(findings(&test, &[head]).await.is_empty());
}

/// L4: the link covers every column.
#[tokio::test]
async fn a_changed_posting_is_named() {
    for change in [
        "amount = amount + 1",
        "at = '2020-01-01T00:00:00Z'",
        "recorded_at = '2020-01-01T00:00:00Z'",
        "rule = 'E3'",
        "case_id = 'other'",
        "content = '{}'",
        "available_at = '2020-01-01T00:00:00Z'",
        "deposit = 'd-9'",
    ] {
        let test = posted().await;
        test.tamper(&format!("UPDATE journal SET {change} WHERE id = 'escrow-deposit:c-1:b/deposit'")).await;
        let found = findings(&test, &[]).await;
        assert_eq!(found.len(), 1, "{change}: {found:?}");
        assert!(found[0].starts_with("escrow-deposit:c-1:b/deposit: is not what was posted"), "{change}: {found:?}");
    }
}

#[tokio::test]
async fn inserted_and_deleted_postings_are_named() {
    let test = posted().await;
    test.run(
        "INSERT INTO journal (id, at, recorded_at, kind, debit, credit, currency, amount, contract, case_id, rule, content)
         VALUES ('forged', 't', 't', 'deposit', 'source:x', 'escrow:c-1', 'USD', 1, 'c-1', 'x', 'E1', '{}')",
    )
    .await
    .unwrap();
    let forged = ["forged: has no link: the ledger did not post it"];
    assert_eq!(findings(&test, &[]).await, forged);
    // Later postings do not give it a link either.
    post(&test, "d").await;
    crate::set_up(&test.database).await.unwrap();
    assert_eq!(findings(&test, &[]).await, forged);

    // Its link is deleted too, so that nothing is left of it. What refers to the deposit is deleted first.
    let test = posted().await;
    let kept = head(&test).await;
    test.drop_trigger("deposits_are_never_deleted").await;
    test.run("DELETE FROM deposits WHERE deposit = 'b'").await.unwrap();
    let place = "(SELECT sequence FROM journal WHERE id = 'escrow-deposit:c-1:b/deposit')";
    test.run(&format!("DELETE FROM journal_chain WHERE sequence = {place}")).await.unwrap();
    test.run("DELETE FROM journal WHERE id = 'escrow-deposit:c-1:b/deposit'").await.unwrap();
    let found = findings(&test, std::slice::from_ref(&kept)).await;
    assert!(
        found.len() == 1 && found[0].starts_with("escrow-deposit:c-1:c/deposit: is not what was posted"),
        "{found:?}"
    );
}

/// An attacker who rewrites a part of the journal also rewrites its links. Only a head that was kept elsewhere shows it.
#[tokio::test]
async fn a_kept_head_reveals_a_rewritten_journal() {
    let test = posted().await;
    let kept = head(&test).await;
    test.tamper("UPDATE journal SET amount = amount + 1 WHERE id = 'escrow-deposit:c-1:b/deposit'").await;
    test.run("DELETE FROM journal_chain").await.unwrap();
    crate::set_up(&test.database).await.unwrap();
    assert!(findings(&test, &[]).await.is_empty(), "the chain alone cannot show it");
    let found = findings(&test, &[kept]).await;
    assert!(found.len() == 1 && found[0].starts_with("kept head 3:"), "{found:?}");
    let gone = Head { sequence: 9, hash: "0".repeat(64) };
    assert!(findings(&test, &[gone]).await[0].contains("was removed"));
}

#[test]
fn heads_are_read_as_they_are_shown() {
    for wrong in ["", "3", "3:", "x:00", &format!("3:{}", "A".repeat(64)), &format!("3:{}", "a".repeat(63))] {
        assert!(wrong.parse::<Head>().is_err(), "{wrong}");
    }
}
