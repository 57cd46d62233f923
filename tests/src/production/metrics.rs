//! Prometheus metrics that alert operators.

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sqlx::Connection as _;

use super::delivery;
use crate::{
    api::{Issuer, Process},
    harness::{PATIENCE, Story, World, free_port, run},
};

/// The metrics at this address, by name with labels.
pub async fn scrape(address: &str) -> (String, BTreeMap<String, String>) {
    let text = reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let values = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.to_owned())
    });
    (text.clone(), values.collect())
}

/// Prometheus' own linter finds nothing wrong.
fn assert_well_formed(text: &str) {
    let mut child = Command::new(delivery("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    assert!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
}

/// The worker's metrics follow the cases and the money, and report an unsound ledger; the worker is ready as long as it takes
/// work.
#[test]
fn a_worker_shows_cases_money_and_itself() {
    run(async {
        let address = format!("127.0.0.1:{}", free_port());
        let env =
            [("RECOURSE_WORKER_LISTEN", &*address), ("RECOURSE_GAUGES_EVERY", "1"), ("RECOURSE_CHECK_EVERY", "1")];
        let world = World::apart("metrics", &env).await;
        let mut story = Story::new(&world, "metrics");
        story.deposit("d-1", 20_000, "card-1").await;
        story.end(5_000, Value::Null).await;
        let until = async |name: &str, wanted: &str| {
            let started = Instant::now();
            loop {
                let (text, values) = scrape(&address).await;
                if values.get(name).is_some_and(|value| value == wanted) {
                    return (text, values);
                }
                assert!(started.elapsed() < PATIENCE, "{name} never is {wanted}: {text}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let waiting = r#"recourse_cases_open{kind="refund_request",stage="awaiting_freelancer"}"#;
        let (text, values) = until(waiting, "1").await;
        assert_well_formed(&text);
        assert_eq!(values[r#"recourse_money_held_minor_units{currency="USD"}"#], "15000");
        assert_eq!(values[r#"recourse_cases_overdue{kind="dispute"}"#], "0");
        for name in ["recourse_ledger_check_passed", "recourse_gauges_age_seconds", "recourse_notices_failed"] {
            assert!(values.contains_key(name), "{name}: {text}");
        }
        let of_sdk = ["temporal_workflow_task_execution_latency_seconds_count", "temporal_worker_task_slots_available"];
        for name in of_sdk {
            assert!(values.keys().any(|known| known.starts_with(name)), "{name}: {text}");
        }
        for (path, said) in [("healthz", "alive\n"), ("readyz", "ready\n")] {
            let answer = reqwest::get(format!("http://{address}/{path}")).await.unwrap();
            assert_eq!((answer.status(), &*answer.text().await.unwrap()), (StatusCode::OK, said));
        }
        story.play("1 freelancer approve").await;
        story.outcome().await;
        let (text, values) = until(waiting, "0").await;
        assert_eq!(values[r#"recourse_money_held_minor_units{currency="USD"}"#], "0");
        let ended = values.keys().find(|name| name.starts_with("temporal_workflow_endtoend_latency_seconds_bucket"));
        assert!(ended.is_some(), "{text}");

        // Somebody changes a balance directly in the database.
        let mut connection = sqlx::AnyConnection::connect(&world.database_url).await.unwrap();
        let changed = "UPDATE balances SET balance = balance + 1 WHERE account LIKE 'freelancer:%'";
        assert_eq!(sqlx::query(changed).execute(&mut connection).await.unwrap().rows_affected(), 1);
        until("recourse_ledger_check_passed", "0").await;
    });
}

/// A case that was only queried is not replayed at its next task: the worker still has it in memory. The worker forgets a case
/// only if a query made it act too early.
#[test]
fn a_queried_case_stays_in_memory() {
    run(async {
        let address = format!("127.0.0.1:{}", free_port());
        let world = World::apart("looked-at", &[("RECOURSE_WORKER_LISTEN", &address)]).await;
        let mut story = Story::new(&world, "looked-at");
        story.deposit("d-1", 20_000, "card-1").await;
        story.end(0, Value::Null).await;
        let misses = async || {
            let (_, values) = scrape(&address).await;
            let counts = values.iter().filter(|(name, _)| name.starts_with("temporal_sticky_cache_miss"));
            counts.map(|(_, value)| value.parse::<f64>().unwrap()).sum::<f64>()
        };
        let before = misses().await;
        for day in 1..=5 {
            world.client.status(&story.refund_request).await.unwrap();
            story.until(f64::from(day)).await;
        }
        story.play("5 freelancer approve").await;
        story.outcome().await;
        assert!((misses().await - before).abs() < 0.5, "{before} before, {} after", misses().await);
    });
}

/// The API counts commands by result, and requests by route; on a port of its own.
#[test]
fn the_api_counts_commands_and_requests() {
    run(async {
        let (world, issuer, files) = (World::shared().await, Issuer::new(), tempfile::tempdir().unwrap());
        let address = format!("127.0.0.1:{}", free_port());
        let evidence = format!("file://{}", files.path().display());
        let process = Process::start(world, &issuer, &evidence, &[("RECOURSE_METRICS_LISTEN", &address)]).await;
        let story = Story::new(world, "counted");
        story.deposit("d-1", 20_000, "card-1").await;
        story.end(0, Value::Null).await;
        let token = issuer.token(story.contract["freelancer"]["id"].as_str().unwrap(), &[], &[]);
        let url = format!("{}/v1/cases/{}/commands/approve", process.url, story.refund_request);
        for key in ["one", "two"] {
            let request = Client::new().post(&url).bearer_auth(&token).header("idempotency-key", key).json(&json!({}));
            request.send().await.unwrap();
            // While the money moves, the second counts as a repetition with the first answer.
            story.outcome().await;
        }
        let (text, values) = scrape(&address).await;
        assert_well_formed(&text);
        for result in ["accepted", "TooLate"] {
            let counted = format!(r#"recourse_commands_total{{command="approve",result="{result}"}}"#);
            assert_eq!(values.get(&counted), Some(&"1".to_owned()), "{text}");
        }
        let route = r#"recourse_http_request_duration_seconds_count{method="POST",route="/v1/cases/{case}/commands/{command}",status="200"}"#;
        assert_eq!(values.get(route), Some(&"1".to_owned()), "{text}");
        let public = reqwest::get(format!("{}/metrics", process.url)).await.unwrap();
        assert_eq!(public.status(), StatusCode::NOT_FOUND, "they are not for everybody");
    });
}
