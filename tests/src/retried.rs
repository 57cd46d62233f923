//! What the command line, the API and the worker say about money while the bank fails, and afterwards (L9).

use std::{path::Path, time::Instant};

use recourse_client::Order;
use recourse_domain::ids::Id;
use recourse_local::{WorkerOptions, WorkerProcess};
use recourse_payments::Fault;
use serde_json::{Value, json};

use crate::{
    api::{Served, as_party},
    command_line::{Run, recourse},
    harness::{PATIENCE, Story, World, free_port, program, run},
    production::metrics::scrape,
};

/// The bank breaks off every movement of this card, until a test makes it work again.
pub async fn breaks(world: &World, card: &str) {
    world.bank.set_fault(Some(&Id::new(card).unwrap()), Fault::FailBefore, 1_000_000).await.unwrap();
}

/// Waits until an order of the case was tried twice.
pub async fn until_retried(world: &World, case: &str) -> Order {
    let started = Instant::now();
    loop {
        if let Some(order) = world.client.orders(case).await.unwrap().into_iter().find(Order::is_retried) {
            return order;
        }
        assert!(started.elapsed() < PATIENCE, "{case}: nothing is tried again");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// The kinds and states of a document's movements: `release arrived, refund ordered`.
fn states(document: &Value) -> String {
    let rows = document["money"]["movements"].as_array().unwrap().iter();
    rows.map(|row| format!("{} {}", row["kind"].as_str().unwrap(), row["state"].as_str().unwrap()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The command says that the effect is tried again, with the attempt, the error and what to do, and has its own exit code.
fn says_that_it_is_retried(ran: &Run, words: &str) {
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    for word in [words, "being tried again, now in attempt", "broke off", "nothing moves twice"] {
        assert!(ran.err.contains(word), "{word}: {}", ran.err);
    }
}

fn contract_file(folder: &Path, story: &Story<'_>) -> String {
    let name = format!("{}.json", story.id());
    std::fs::write(folder.join(&name), story.contract.to_string()).unwrap();
    name
}

/// L9: a refund that the bank does not accept is taken and tried again, not settled; it is on its way once it is issued, and
/// arrived after the bank's report.
#[test]
fn a_refund_is_ordered_then_on_its_way_then_arrived() {
    run(async {
        let world = World::apart("retried", &[]).await;
        let (served, folder) = (Served::of(&world, 1_000_000).await, tempfile::tempdir().unwrap());
        let story = Story::new(&world, "retried");
        let (case, freelancer) = (story.refund_request.clone(), story.contract["freelancer"]["id"].as_str().unwrap());
        story.deposit("d-1", 30_000, &story.card()).await;
        let pay = ["end", "--contract-file", &contract_file(folder.path(), &story), "--pay", "100.00", "--json"];
        let ended = recourse(&world, folder.path(), &pay).await;
        assert_eq!((ended.code, states(&ended.json())), (0, "release arrived".to_owned()), "{}", ended.err);

        breaks(&world, &story.card()).await;
        let by = format!("freelancer:{freelancer}");
        let approved = recourse(&world, folder.path(), &["act", &case, "approve", "--as", &by, "--json"]).await;
        says_that_it_is_retried(&approved, "200.00 USD back to the client has not moved yet");
        let document = approved.json();
        assert_eq!(states(&document), "release arrived, refund ordered");
        assert_eq!((&document["case"], &document["money"]["retried"]), (&json!(case), &json!(true)));
        let shown = recourse(&world, folder.path(), &["show", &case]).await;
        says_that_it_is_retried(&shown, "200.00 USD back to the client has not moved yet");
        assert!(shown.out.contains("paid, and available from"), "{}", shown.out);
        let listed = recourse(&world, folder.path(), &["list", "--contract", story.id().as_str(), "--json"]).await;
        assert_eq!(listed.json()["retried"], json!([case]), "{}", listed.out);

        let path = format!("/v1/cases/{case}");
        let ledger = format!("/v1/contracts/{}/ledger", story.id());
        let (client, operator) = (as_party(&served, &story.contract, "client"), served.staff("operator"));
        for path in [&path, &ledger] {
            let (_, seen) = client.get(path).await;
            let last = seen["money"]["movements"].as_array().unwrap().last().unwrap().clone();
            assert_eq!((&last["kind"], &last["state"]), (&json!("refund"), &json!("ordered")), "{seen}");
            assert!(last["retry"]["attempt"].as_u64().unwrap() >= 2 && last["retry"]["since"].is_string(), "{seen}");
            assert!(!seen.to_string().contains("broke off"), "a try's error is for operators: {seen}");
            let (_, seen) = operator.get(path).await;
            assert!(seen["money"].to_string().contains("broke off"), "{seen}");
        }

        world.bank.clear_faults().await.unwrap();
        story.outcome().await;
        let shown = recourse(&world, folder.path(), &["show", &case]).await;
        assert!(shown.code == 0 && shown.out.contains("on its way, expected by"), "{}{}", shown.out, shown.err);
        let seen = client.get(&path).await.1;
        assert_eq!(
            (states(&seen), &seen["money"]["retried"]),
            ("release arrived, refund on_its_way".to_owned(), &json!(false))
        );
        assert_eq!(states(&client.get(&ledger).await.1), "deposit arrived, release arrived, refund on_its_way");
        let refund = format!("{case}/refund:d-1");
        assert_eq!(recourse(&world, folder.path(), &["sandbox", "settle", &refund]).await.code, 0);
        assert_eq!(states(&client.get(&path).await.1), "release arrived, refund arrived");
        world.check_money().await;
    });
}

/// L9, R8: a refund that did not arrive is shown in suspense, with the meaning of that, also by a closed case.
#[test]
fn a_closed_case_says_that_its_refund_did_not_arrive() {
    run(async {
        let (world, folder) = (World::shared().await, tempfile::tempdir().unwrap());
        let mut story = Story::new(world, "failed");
        story.deposit("d-1", 30_000, &story.card()).await;
        story.end(0, Value::Null).await;
        story.play("1 freelancer approve").await;
        story.outcome().await;
        let refund = format!("{}/refund:d-1", story.refund_request);
        let fail = ["sandbox", "fail", &refund, "--reason", "the card was closed"];
        assert_eq!(recourse(world, folder.path(), &fail).await.code, 0);
        let shown = recourse(world, folder.path(), &["show", &story.refund_request]).await;
        assert_eq!(shown.code, 0, "{}", shown.err);
        for words in ["did not arrive, and is in suspense", "kept safe until an operator"] {
            assert!(shown.out.contains(words), "{}", shown.out);
        }
        let shown = recourse(world, folder.path(), &["show", &story.refund_request, "--json"]).await.json();
        let last = &shown["money"]["movements"][0];
        assert_eq!((&last["state"], &last["in_suspense"]), (&json!("failed"), &json!(true)), "{shown}");
    });
}

/// L9: the same for a deposit, a bonus and a return; other movements of the same case have moved.
#[test]
fn a_deposit_a_bonus_and_a_return_say_that_they_are_tried_again() {
    run(async {
        let world = World::apart("retriedkinds", &[]).await;
        let folder = tempfile::tempdir().unwrap();
        let (deposited, mut bonus, mut returned) =
            (Story::new(&world, "r-deposit"), Story::new(&world, "r-bonus"), Story::new(&world, "r-return"));
        for story in [&mut bonus, &mut returned] {
            story.fund("d-1", "m-1", 30_000, &story.card()).await;
            story.submit("m-1", 1, 30_000).await;
        }
        returned.play("0 client approve").await;
        returned.outcome_of(&returned.review("m-1")).await;
        let payment = format!("{}/release", returned.review("m-1"));
        let asked = returned.ask_back(&payment, jiff::Timestamp::now(), 30_000).await.case;
        for story in [&deposited, &bonus, &returned] {
            breaks(&world, &story.card()).await;
        }
        let (file, card) = (contract_file(folder.path(), &deposited), deposited.card());
        let review = bonus.review("m-1");
        let party = |story: &Story<'_>, role: &str| format!("{role}:{}", story.contract[role]["id"].as_str().unwrap());
        let (client, freelancer) = (party(&bonus, "client"), party(&returned, "freelancer"));
        let deposit = [
            "deposit",
            "--contract-file",
            &file,
            "--deposit",
            "d-1",
            "--amount",
            "300.00",
            "--source",
            &card,
            "--json",
        ];
        let more = ["act", &review, "approve", "--as", &client, "--amount", "350.00", "--json"];
        let back = ["act", &asked, "approve", "--as", &freelancer, "--amount", "120.00", "--json"];
        let (deposit, more, back) = tokio::join!(
            recourse(&world, folder.path(), &deposit),
            recourse(&world, folder.path(), &more),
            recourse(&world, folder.path(), &back)
        );
        for (ran, words, known) in [
            (&deposit, "300.00 USD into escrow has not moved yet", "deposit ordered"),
            (&more, "50.00 USD to the freelancer as a bonus has not moved yet", "release arrived, bonus ordered"),
            (&back, "120.00 USD from the freelancer back to the client has not moved yet", "return ordered"),
        ] {
            says_that_it_is_retried(ran, words);
            assert_eq!(states(&ran.json()), known);
        }
        let charging = format!("escrow-deposit:{}:d-1", deposited.id());
        let shown = recourse(&world, folder.path(), &["show", &charging]).await;
        says_that_it_is_retried(&shown, "300.00 USD into escrow");
        world.bank.clear_faults().await.unwrap();
        world.client.result(&charging).await.unwrap();
        assert_eq!(bonus.outcome_of(&review).await.bonus.minor(), 5_000);
        returned.outcome_of(&asked).await;
        assert_eq!(recourse(&world, folder.path(), &["show", &charging]).await.code, 0);
        world.check_money().await;
    });
}

/// L9: the worker counts tries after the first, by effect, and logs what fails and why.
#[test]
fn a_worker_counts_and_logs_what_it_tries_again() {
    run(async {
        let address = format!("127.0.0.1:{}", free_port());
        let (world, folder) = (World::apart("counted", &[]).await, tempfile::tempdir().unwrap());
        let log = folder.path().join("worker.log");
        world.stop_worker().await;
        let listens = ("RECOURSE_WORKER_LISTEN".to_owned(), address.clone());
        let env = world.env().iter().cloned().chain([listens]).collect();
        let options = WorkerOptions { env, binary: Some(program("recourse-worker")), log: Some(log.clone()) };
        let worker = WorkerProcess::start(options).await.unwrap();
        let name = |effect: &str| format!(r#"recourse_effects_retried_total{{effect="{effect}"}}"#);
        assert_eq!(scrape(&address).await.1.get(&name("Escrow.settle")).map(String::as_str), Some("0"));
        let mut story = Story::new(&world, "counted");
        story.deposit("d-1", 30_000, &story.card()).await;
        story.end(0, Value::Null).await;
        breaks(&world, &story.card()).await;
        story.say("freelancer", "approve").await.unwrap();
        let order = until_retried(&world, &story.refund_request).await;
        assert_eq!(order.failure.as_deref().map(|why| why.contains("broke off")), Some(true), "{order:?}");
        let started = Instant::now();
        loop {
            let (text, values) = scrape(&address).await;
            assert_eq!(values[&name("Escrow.deposit")], "0");
            if values[&name("Escrow.settle")].parse::<u32>().unwrap() >= 2 {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "{text}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let said = std::fs::read_to_string(&log).unwrap();
        let lines: Vec<_> = said.lines().filter(|line| line.contains("tried again until it works")).collect();
        assert!(!lines.is_empty() && lines.iter().all(|line| line.contains("WARN")), "{said}");
        let words = ["Escrow.settle", &story.refund_request, "attempt", "broke off"];
        assert!(words.iter().all(|word| lines[0].contains(word)), "{said}");
        world.bank.clear_faults().await.unwrap();
        story.outcome().await;
        world.check_money().await;
        worker.stop().await.unwrap();
    });
}
