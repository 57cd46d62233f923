//! The speed of replaying histories, and the cost of a query to a case that is no longer in the worker's memory.
//!
//! Criterion replays the recorded histories of all paths (`tests/histories`) beside those of bare workflows that were just
//! recorded. A worker replays a case that is not in its memory: the second figure measures that.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use criterion::{BatchSize, Criterion, Throughput};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use recourse_workflows::{Dispute, EscrowDeposit, MilestoneReview, PaymentRefund, RefundRequest, WebhookDelivery};
use temporalio_client::{
    UntypedQuery, UntypedWorkflow, WorkflowFetchHistoryOptions, WorkflowHistory, WorkflowQueryOptions,
};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::history::v1::{History, HistoryEvent},
};
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};

use crate::{
    bare::{Bare, Shape},
    contract::Contract,
    figure::{Figure, Unit},
    parts::{Parts, processor_time},
};

/// How many open cases get queries.
const CASES: usize = 30;

/// How many queries each of them gets in a run.
const QUESTIONS: usize = 4;

/// The bare workflow to compare with a dispute whose resolution can be accepted: it has got two commands.
const SHAPE: Shape = Shape { silences: 0, commands: 4, child: None, activities: 1 };

/// Measures both.
pub async fn measure(runs: usize) -> anyhow::Result<Vec<Figure>> {
    let mut parts = Parts::start().await?;
    let (recorded, bare) = (recorded_histories().await?, bare_histories(&parts).await?);
    let mut figures = vec![tokio::task::spawn_blocking(move || replayed(recorded, bare, runs)).await??];
    figures.extend(restored(&mut parts, runs).await?);
    Ok(figures)
}

/// A finished bare workflow of each shape.
async fn bare_histories(parts: &Parts) -> anyhow::Result<Vec<Vec<HistoryEvent>>> {
    let mut histories = Vec::new();
    for commands in 0..6 {
        let case = parts.begin_bare(Shape { commands, ..SHAPE }).await?;
        for _ in 0..commands {
            case.act().await?;
        }
        case.ended().await?;
        let handle = parts.client.temporal().get_workflow_handle::<UntypedWorkflow>(&case.id);
        histories.push(handle.fetch_history(WorkflowFetchHistoryOptions::default()).into_events().await?);
    }
    Ok(histories)
}

/// The recorded histories.
async fn recorded_histories() -> anyhow::Result<Vec<Vec<HistoryEvent>>> {
    let mut histories = Vec::new();
    for content in recorded_files()?.into_values() {
        histories.push(WorkflowHistory::from_json(&content)?.into_events().await?);
    }
    Ok(histories)
}

/// The files of the recorded histories, and their content.
pub fn recorded_files() -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("histories")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let content = fs::read(&path)?;
                files.insert(path, content);
            }
        }
    }
    Ok(files)
}

fn replayed(recorded: Vec<Vec<HistoryEvent>>, bare: Vec<Vec<HistoryEvent>>, runs: usize) -> anyhow::Result<Figure> {
    let ours = WorkflowReplayerOptions::new()
        .register_workflow::<EscrowDeposit>()?
        .register_workflow::<MilestoneReview>()?
        .register_workflow::<RefundRequest>()?
        .register_workflow::<Dispute>()?
        .register_workflow::<PaymentRefund>()?
        .register_workflow::<WebhookDelivery>()?
        .build();
    let ours = Replays { code: ours, histories: recorded }.per_second("recourse", runs)?;
    let code = WorkflowReplayerOptions::new().register_workflow::<Bare>()?.build();
    let bare = Replays { code, histories: bare }.per_second("bare", runs)?;
    Ok(Figure::beside("replay", "events replayed", Unit::PerSecond, ours, ("bare", bare)))
}

/// Histories, and the code that replays them.
struct Replays {
    code: WorkflowReplayerOptions,
    histories: Vec<Vec<HistoryEvent>>,
}

impl Replays {
    /// Replayed events per second, sample by sample.
    #[allow(clippy::cast_precision_loss, reason = "there are thousands of events")]
    fn per_second(self, name: &str, runs: usize) -> anyhow::Result<Vec<f64>> {
        let events: usize = self.histories.iter().map(Vec::len).sum();
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/criterion");
        let samples = runs.max(10);
        let mut criterion = Criterion::default()
            .output_directory(&folder)
            .without_plots()
            .sample_size(samples)
            .warm_up_time(Duration::from_secs(1))
            .measurement_time(Duration::from_secs(8));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let replayer = WorkflowReplayer::new(self.code)?;
        let mut group = criterion.benchmark_group("replay");
        group.throughput(Throughput::Elements(u64::try_from(events)?));
        group.bench_function(name, |bencher| {
            let histories = || {
                let of = |events: &Vec<HistoryEvent>| WorkflowHistory::from(History { events: events.clone() });
                self.histories.iter().map(of).collect::<Vec<WorkflowHistory>>()
            };
            let replay = |histories: Vec<WorkflowHistory>| {
                let results =
                    runtime.block_on(replayer.replay_workflows(histories)).expect("histories can be replayed");
                assert!(results.iter().all(|result| result.replay_failure.is_none()), "a history does not replay");
            };
            bencher.iter_batched(histories, replay, BatchSize::PerIteration);
        });
        group.finish();
        let sample = fs::read(folder.join("replay").join(name).join("new/sample.json"))?;
        let sample: serde_json::Value = serde_json::from_slice(&sample)?;
        let numbers = |field: &str| -> Vec<f64> {
            sample[field].as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect()
        };
        // A time is that of all iterations of a sample together, in nanoseconds.
        let each = numbers("iters").into_iter().zip(numbers("times"));
        Ok(each.map(|(iterations, nanoseconds)| events as f64 * iterations / (nanoseconds / 1e9)).collect())
    }
}

/// The additional cost of a query to a worker without the case in memory.
async fn restored(parts: &mut Parts, runs: usize) -> anyhow::Result<Vec<Figure>> {
    let disputes = stream::iter(0..CASES).map(|_| open_dispute(parts)).buffer_unordered(8);
    let disputes: Vec<String> = disputes.try_collect().await?;
    let mut bare = Vec::new();
    for _ in 0..CASES {
        let case = parts.begin_bare(SHAPE).await?;
        for _ in 0..2 {
            case.act().await?;
        }
        bare.push(case.id);
    }
    let mut remembered = Vec::new();
    for _ in 0..=runs {
        remembered.push((asked(parts, &disputes, false).await?, asked(parts, &bare, true).await?));
    }
    parts.forget().await?;
    let mut forgotten = Vec::new();
    for _ in 0..=runs {
        forgotten.push((asked(parts, &disputes, false).await?, asked(parts, &bare, true).await?));
    }
    // The first round of each warms up.
    let pairs: Vec<_> = forgotten.iter().zip(&remembered).skip(1).collect();
    let ours = pairs.iter().map(|(without, with)| without.0 - with.0).collect();
    let theirs = pairs.iter().map(|(without, with)| without.1 - with.1).collect();
    let name = "taking up a forgotten dispute: worker CPU";
    Ok(vec![Figure::beside("replay", name, Unit::Seconds, ours, ("bare", theirs))])
}

async fn open_dispute(parts: &Parts) -> anyhow::Result<String> {
    let contract = Contract::paid_for(parts, false).await?;
    let request = contract.end(parts).await?;
    contract.dispute(parts, &request).await
}

/// The worker's processor time for a query.
#[allow(clippy::cast_precision_loss, reason = "there are a hundred")]
async fn asked(parts: &Parts, cases: &[String], bare: bool) -> anyhow::Result<f64> {
    let pid = || if bare { parts.bare.pid() } else { parts.worker.pid() };
    let before = processor_time(pid())?;
    for case in cases.iter().cycle().take(cases.len() * QUESTIONS) {
        let handle = parts.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
        let options = WorkflowQueryOptions::builder().build();
        handle.query(UntypedQuery::new("status"), RawValue::new(Vec::new()), options).await?;
    }
    Ok((processor_time(pid())? - before) / (cases.len() * QUESTIONS) as f64)
}
