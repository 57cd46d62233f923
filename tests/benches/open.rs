//! Many open cases that wait: what the worker keeps of them, how fast one of them answers, and how fast a worker starts.
//!
//! A case that waits should cost nothing but rows. The cases are refund requests in their seven days; the server keeps them in its
//! own memory here, so that what grows is the number of cases and not a disk's work.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use recourse_activities::{EscrowActivities, SandboxBank};
use recourse_workflows::{domain::command::Verb, effects::DepositOrder};
use serde_json::json;
use temporalio_client::{grpc::WorkflowService as _, tonic::IntoRequest as _};
use temporalio_common::protos::temporal::api::workflowservice::v1::CountWorkflowExecutionsRequest;
use tokio::sync::Mutex;

use crate::{
    contract::Contract,
    figure::{Figure, Spread, Target, Unit},
    parts::{Parts, memory, worker},
};

/// How many cases are open, level by level; `BENCH_OPEN` has others. Filling the last takes most of the bench's time.
const LEVELS: [usize; 3] = [1_000, 10_000, 100_000];

/// How many cases are begun at once.
const AT_ONCE: usize = 64;

/// How many are begun before it is waited for them.
const AHEAD: usize = 1_000;

/// How many commands a run asks for, one after the other.
const COMMANDS: usize = 60;

/// What a worker may keep in memory with its default sizes, in bytes.
const MEMORY_MAX: f64 = 200e6;

fn levels() -> Vec<usize> {
    match std::env::var("BENCH_OPEN") {
        Ok(levels) => levels.split(',').filter_map(|level| level.trim().parse().ok()).collect(),
        Err(_) => LEVELS.to_vec(),
    }
}

/// What was measured with so many cases open, run by run.
struct Level {
    open: usize,
    memory: Vec<f64>,
    answers: Vec<f64>,
    starts: Vec<f64>,
}

/// Measures every level.
pub async fn measure(runs: usize) -> anyhow::Result<Vec<Figure>> {
    let mut parts = Parts::start().await?;
    let mut cases = more(&parts, 0, 1).await?;
    let nothing_open = starts(&mut parts, &cases[0].0, runs).await?;
    let mut measured: Vec<Level> = Vec::new();
    for open_at_once in levels() {
        let started = Instant::now();
        let missing = open_at_once.saturating_sub(cases.len());
        cases.extend(more(&parts, cases.len(), missing).await?);
        eprintln!("open: {missing} more cases in {:.0} s", started.elapsed().as_secs_f64());
        let mut level = Level { open: open_at_once, memory: Vec::new(), answers: Vec::new(), starts: Vec::new() };
        // Of the worker that has opened them all, so once a level.
        level.memory.push(memory(parts.worker.pid())?);
        level.starts = starts(&mut parts, &cases[0].0, runs).await?;
        for _ in 0..runs {
            // This worker has just started, and remembers none of them, however many there are.
            let asked: Vec<_> = cases.drain(..COMMANDS.min(cases.len() - 1)).collect();
            level.answers.push(answer_time(&parts, &asked).await?);
        }
        measured.push(level);
    }
    figures(&measured, &nothing_open)
}

fn figures(measured: &[Level], nothing_open: &[f64]) -> anyhow::Result<Vec<Figure>> {
    let first = measured.first().ok_or_else(|| anyhow::anyhow!("BENCH_OPEN has no number"))?;
    let mut figures = Vec::new();
    for level in measured {
        let name = |what: &str| format!("{} open cases: {what}", level.open);
        let memory = Figure::alone("open", name("the worker's memory"), Unit::Bytes, level.memory.clone());
        figures.push(memory.aiming(Target::AtMost(MEMORY_MAX)));
        let answers = level.answers.clone();
        figures.push(if level.open == first.open {
            Figure::alone("open", name("a command's answer"), Unit::Seconds, answers)
        } else {
            let beside = ("with the fewest", first.answers.clone());
            Figure::beside("open", name("a command's answer"), Unit::Seconds, answers, beside)
                .aiming(Target::AtMost(1.1))
        });
        let beside = ("with none", nothing_open.to_vec());
        let start = Figure::beside("open", name("a worker's start"), Unit::Seconds, level.starts.clone(), beside);
        figures.push(start.aiming(Target::AtMost(1.2)));
    }
    Ok(figures)
}

/// Opens this many more cases beside `open`, and waits until all wait.
async fn more(parts: &Parts, open: usize, count: usize) -> anyhow::Result<Vec<(String, Contract)>> {
    let database = recourse_activities::Database::connect(&parts.database_url).await?;
    // One at a time: the worker writes there as well, and nobody should wait for a turn for long.
    let escrow = Mutex::new(EscrowActivities::new(parts.ledger.clone(), Arc::new(SandboxBank::new(database))));
    let mut begun = Vec::with_capacity(count);
    while begun.len() < count {
        let some = stream::iter(begun.len()..count.min(begun.len() + AHEAD)).map(|_| begin_one(parts, &escrow));
        begun.extend(some.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?);
        // Asking each of them would cost the server as much as they do.
        while waiting(parts).await? < open + begun.len() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(begun)
}

/// How many refund requests wait for the freelancer.
async fn waiting(parts: &Parts) -> anyhow::Result<usize> {
    let query = r#"CaseKind = "refund_request" AND CaseStage = "awaiting_freelancer""#.to_owned();
    let request = CountWorkflowExecutionsRequest { namespace: parts.client.namespace().to_owned(), query };
    let mut service = parts.client.temporal().connection().clone();
    let counted = service.count_workflow_executions(request.into_request()).await?.into_inner().count;
    Ok(usize::try_from(counted)?)
}

async fn begin_one(parts: &Parts, escrow: &Mutex<EscrowActivities>) -> anyhow::Result<(String, Contract)> {
    let contract = Contract::new();
    // Without a case of its own: what is measured are the refund requests.
    let order = json!({
        "case": format!("escrow-deposit:{}:d-1", contract.id()), "contract": contract.json(), "deposit": "d-1",
        "milestone": null, "amount": 20_000, "source": "card-1", "at": jiff::Timestamp::now(),
    });
    escrow.lock().await.make_deposit(&serde_json::from_value::<DepositOrder>(order)?).await?;
    Ok((contract.begin_end(parts).await?, contract))
}

/// The median of the answers to one command each.
async fn answer_time(parts: &Parts, cases: &[(String, Contract)]) -> anyhow::Result<f64> {
    let mut answers = Vec::with_capacity(cases.len());
    for (case, contract) in cases {
        let asked = Instant::now();
        contract.say(parts, case, "freelancer", Verb::Approve, json!({})).await?;
        answers.push(asked.elapsed().as_secs_f64());
        // The next one is asked when nothing of this one is under way.
        parts.client.result(case).await?;
    }
    Ok(Spread::of(&answers).median)
}

/// How long a worker takes from its start until it asks for work. That it then answers is seen, and not timed.
async fn starts(parts: &mut Parts, case: &str, runs: usize) -> anyhow::Result<Vec<f64>> {
    let mut starts = Vec::with_capacity(runs);
    for _ in 0..runs {
        let started = Instant::now();
        let next = worker(&parts.server, &parts.database_url, &[]).await?;
        let ready = started.elapsed();
        std::mem::replace(&mut parts.worker, next).stop().await?;
        // The server still counts on the one that has stopped, for a while.
        tokio::time::sleep(Duration::from_secs(1)).await;
        parts.client.status(case).await?;
        starts.push(ready.as_secs_f64());
    }
    Ok(starts)
}
