//! Cases per second, and a case's processor time in the worker, compared with bare workflows with the same timers and commands.
//!
//! There are two bare workflows. One has a single activity that does nothing: the difference is the price of everything that
//! Recourse adds. The other has as many activities as the case: the difference is the price of the rules and of the rows,
//! without the steps that Temporal stores. All run in the same way, with as many cases at once as keep the machine busy: with
//! calls that are answered, and without any other request to a worker. Contracts and deposits exist before the clock starts.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use recourse_domain::command::CommandKind;
use serde_json::json;

use crate::{
    bare::{self, Shape},
    contract::Contract,
    figure::{Figure, Target, Unit},
    parts::{BareCase, Parts, processor_time},
};

/// How many cases run at once.
const AT_ONCE: usize = 16;

/// The same for cases that mostly wait for their clock.
const WAITING_AT_ONCE: usize = 48;

/// A path of cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Approved,
    Silence,
    Settled,
    Milestone,
}

impl Path {
    const ALL: [Self; 4] = [Self::Approved, Self::Silence, Self::Settled, Self::Milestone];

    const fn name(self) -> &'static str {
        match self {
            Self::Approved => "refund approved",
            Self::Silence => "refund by silence",
            Self::Settled => "dispute settled by both",
            Self::Milestone => "milestone approved",
        }
    }

    /// A case's number of activities, from the table of costs in `docs/operations.md`.
    const fn activities(self) -> u32 {
        match self {
            Self::Approved | Self::Milestone => 4,
            Self::Silence => 5,
            Self::Settled => 10,
        }
    }

    /// The bare workflow with the same timers and commands, and this many activities.
    const fn shape(self, activities: u32) -> Shape {
        let shape = Shape { silences: 0, commands: 0, child: None, activities };
        match self {
            Self::Approved | Self::Milestone => Shape { commands: 1, ..shape },
            Self::Silence => Shape { silences: 2, ..shape },
            Self::Settled => Shape { commands: 1, child: Some(4), ..shape },
        }
    }

    /// The number of measured cases in a run.
    const fn cases(self) -> usize {
        match self {
            Self::Silence => 2 * WAITING_AT_ONCE,
            Self::Approved | Self::Settled | Self::Milestone => 4 * AT_ONCE,
        }
    }

    /// How many of them run at once.
    const fn at_once(self) -> usize {
        match self {
            Self::Silence => WAITING_AT_ONCE,
            Self::Approved | Self::Settled | Self::Milestone => AT_ONCE,
        }
    }
}

/// The results of one side in a run.
struct Run {
    per_second: f64,
    processor: f64,
}

/// A figure of a run.
type Read = fn(&Run) -> f64;

/// Measures all paths.
pub async fn measure(runs: usize) -> anyhow::Result<Vec<Figure>> {
    let parts = Parts::start().await?;
    let mut figures = Vec::new();
    for path in Path::ALL {
        // The first round warms both workers up.
        ours(&parts, path, AT_ONCE).await?;
        bare(&parts, path, path.activities(), AT_ONCE).await?;
        let (mut here, mut single, mut same) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..runs {
            here.push(ours(&parts, path, path.cases()).await?);
            single.push(bare(&parts, path, 1, path.cases()).await?);
            same.push(bare(&parts, path, path.activities(), path.cases()).await?);
        }
        let of = |runs: &[Run], read: Read| runs.iter().map(read).collect::<Vec<f64>>();
        let figure = |name: &str, unit, read, (beside, bare): (&'static str, &[Run])| {
            let name = format!("{}: {name}", path.name());
            Figure::beside("cases", name, unit, of(&here, read), (beside, of(bare, read)))
        };
        let (rate, time): (Read, Read) = (|run| run.per_second, |run| run.processor);
        let (one, as_many) = (("bare", single.as_slice()), ("bare, as many activities", same.as_slice()));
        // The goals, 0.8 and 1.5 times bare, are not reached (docs/performance.md). No run has missed these targets yet.
        figures.push(figure("cases", Unit::PerSecond, rate, one).aiming(Target::AtLeast(0.35)));
        figures.push(figure("cases", Unit::PerSecond, rate, as_many).aiming(Target::AtLeast(0.5)));
        figures.push(figure("worker CPU a case", Unit::Seconds, time, one).aiming(Target::AtMost(6.0)));
        figures.push(figure("worker CPU a case", Unit::Seconds, time, as_many).aiming(Target::AtMost(3.0)));
    }
    Ok(figures)
}

async fn ours(parts: &Parts, path: Path, count: usize) -> anyhow::Result<Run> {
    let prepared = stream::iter(0..count).map(|_| Contract::paid_for(parts, path == Path::Milestone));
    let prepared: Vec<Contract> = prepared.buffer_unordered(AT_ONCE).try_collect().await?;
    let (started, before) = (Instant::now(), processor_time(parts.worker.pid())?);
    let played = stream::iter(&prepared).map(|contract| play(parts, contract, path));
    played.buffer_unordered(path.at_once()).try_collect::<Vec<()>>().await?;
    Ok(run_of(count, started, processor_time(parts.worker.pid())? - before))
}

async fn bare(parts: &Parts, path: Path, activities: u32, count: usize) -> anyhow::Result<Run> {
    let (started, before) = (Instant::now(), processor_time(parts.bare.pid())?);
    let played = stream::iter(0..count).map(|_| play_bare(parts, path, activities));
    played.buffer_unordered(path.at_once()).try_collect::<Vec<()>>().await?;
    Ok(run_of(count, started, processor_time(parts.bare.pid())? - before))
}

#[allow(clippy::cast_precision_loss, reason = "there are hundreds")]
fn run_of(count: usize, started: Instant, processor: f64) -> Run {
    let count = count as f64;
    Run { per_second: count / started.elapsed().as_secs_f64(), processor: processor / count }
}

async fn play_bare(parts: &Parts, path: Path, activities: u32) -> anyhow::Result<()> {
    let case = parts.begin_bare(path.shape(activities)).await?;
    parts.waits(&case.id, 1).await?;
    match path {
        Path::Approved | Path::Milestone => case.act().await?,
        Path::Silence => {
            parts.client.advance(&case.id, bare::WINDOW * 2 + Duration::from_secs(1)).await?;
        }
        Path::Settled => {
            case.act().await?;
            let child = BareCase::of(parts, bare::child_of(&case.id));
            parts.waits(&child.id, 1).await?;
            for _ in 0..4 {
                child.act().await?;
            }
        }
    }
    case.ended().await
}

/// Plays a case from its start to its outcome.
async fn play(parts: &Parts, contract: &Contract, path: Path) -> anyhow::Result<()> {
    let case = if path == Path::Milestone { contract.submit(parts).await? } else { contract.end(parts).await? };
    match path {
        Path::Approved => contract.say(parts, &case, "freelancer", CommandKind::Approve, json!({})).await?,
        Path::Milestone => contract.say(parts, &case, "client", CommandKind::Approve, json!({})).await?,
        Path::Silence => {
            parts.client.advance(&case, Duration::from_hours(7 * 24) + Duration::from_secs(1)).await?;
        }
        Path::Settled => {
            let dispute = contract.dispute(parts, &case).await?;
            for party in ["freelancer", "client"] {
                contract.say(parts, &dispute, party, CommandKind::Accept, json!({"of": "resolution"})).await?;
            }
        }
    }
    parts.client.result(&case).await?;
    Ok(())
}
