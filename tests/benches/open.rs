//! Many open cases that wait: the worker's memory, the time in which one of them answers, and a worker's start-up time.
//!
//! A case that waits should cost only rows. The cases are refund requests in their seven days, and each number of cases has a
//! place of its own.

mod waiting;

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use recourse_domain::command::CommandKind;
use serde_json::json;

use self::waiting::{Open, Waiting};
use crate::{
    figure::{Figure, Spread, Target, Unit},
    parts::{memory, worker},
};

/// The numbers of open cases, level by level; `BENCH_OPEN` sets others. Filling the last takes most of the bench's first run.
const LEVELS: [usize; 3] = [1_000, 10_000, 100_000];

/// The number of commands in a run, one after the other.
const COMMANDS: usize = 60;

/// How often a run starts a worker: the time is so short that other load on the machine shows in it.
const STARTS: usize = 5;

/// How many cases are queried before the worker's memory is measured: three times as many as it keeps.
const ASKED: usize = 3_000;

/// How many queries run at once.
const ASKED_AT_ONCE: usize = 16;

/// The most memory of a worker with its default sizes, in bytes.
const MEMORY_MAX: f64 = 200e6;

fn levels() -> Vec<usize> {
    match std::env::var("BENCH_OPEN") {
        Ok(levels) => levels.split(',').filter_map(|level| level.trim().parse().ok()).collect(),
        Err(_) => LEVELS.to_vec(),
    }
}

/// A number of open cases, and the results with them, run by run.
struct Level {
    open: usize,
    place: Waiting,
    memory: f64,
    answers: Vec<f64>,
    starts: Vec<f64>,
}

impl Level {
    async fn with(open: usize) -> anyhow::Result<Self> {
        let started = Instant::now();
        let place = Waiting::with(open).await?;
        ask(&place).await?;
        let memory = memory(place.parts.worker.pid())?;
        eprintln!("open: {open} cases are open after {:.0} s", started.elapsed().as_secs_f64());
        Ok(Self { open, place, memory, answers: Vec::new(), starts: Vec::new() })
    }

    /// A worker's time from its start until it asks for work. First stops the earlier one.
    async fn start(&mut self) -> anyhow::Result<f64> {
        let parts = &mut self.place.parts;
        let started = Instant::now();
        let next = worker(&parts.server, &parts.database_url, &[]).await?;
        let took = started.elapsed().as_secs_f64();
        std::mem::replace(&mut parts.worker, next).stop().await?;
        Ok(took)
    }

    /// A case's time to answer a command.
    async fn answer(&self, Open { case, contract }: &Open) -> anyhow::Result<f64> {
        let parts = &self.place.parts;
        let asked = Instant::now();
        contract.say(parts, case, "freelancer", CommandKind::Approve, json!({})).await?;
        let took = asked.elapsed().as_secs_f64();
        // The next command comes after everything of this one is done.
        parts.client.result(case).await?;
        Ok(took)
    }
}

/// Measures every level, and a place with one open case for comparison. They take turns, start by start and answer by answer,
/// so that other load on the machine affects all of them.
pub async fn measure(runs: usize) -> anyhow::Result<Vec<Figure>> {
    let mut places = vec![Level::with(1).await?];
    for open in levels() {
        places.push(Level::with(open).await?);
    }
    for _ in 0..runs {
        start(&mut places).await?;
        // These workers have just started, and have none of the cases in memory, however many there are.
        answer(&mut places[1..]).await?;
    }
    figures(&places[1..], &places[0].starts)
}

/// A run of workers' starts; the median counts. The run checks that they then answer, without timing it.
async fn start(levels: &mut [Level]) -> anyhow::Result<()> {
    let mut starts = vec![Vec::with_capacity(STARTS); levels.len()];
    for _ in 0..STARTS {
        for (level, starts) in levels.iter_mut().zip(&mut starts) {
            starts.push(level.start().await?);
        }
    }
    // For a while, the servers still count on the stopped workers.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (level, starts) in levels.iter_mut().zip(&starts) {
        level.place.parts.client.status(&level.place.cases()[0].case).await?;
        level.starts.push(Spread::of(starts).median);
    }
    Ok(())
}

/// A run of commands; the median answer counts.
async fn answer(levels: &mut [Level]) -> anyhow::Result<()> {
    let mut asked = Vec::with_capacity(levels.len());
    for level in &mut *levels {
        asked.push(level.place.take(COMMANDS)?);
    }
    let mut answers = vec![Vec::with_capacity(COMMANDS); levels.len()];
    for number in 0..COMMANDS {
        for ((level, asked), answers) in levels.iter().zip(&asked).zip(&mut answers) {
            answers.push(level.answer(&asked[number]).await?);
        }
    }
    for (level, answers) in levels.iter_mut().zip(&answers) {
        level.answers.push(Spread::of(answers).median);
    }
    Ok(())
}

fn figures(measured: &[Level], one_open: &[f64]) -> anyhow::Result<Vec<Figure>> {
    let first = measured.first().ok_or_else(|| anyhow::anyhow!("BENCH_OPEN has no number"))?;
    let mut figures = Vec::new();
    for level in measured {
        let name = |what: &str| format!("{} open cases: {what}", level.open);
        let memory = Figure::alone("open", name("the worker's memory"), Unit::Bytes, vec![level.memory]);
        figures.push(memory.aiming(Target::AtMost(MEMORY_MAX)));
        let answers = level.answers.clone();
        figures.push(if level.open == first.open {
            Figure::alone("open", name("a command's answer"), Unit::Seconds, answers)
        } else {
            let beside = ("with the fewest", first.answers.clone());
            Figure::beside("open", name("a command's answer"), Unit::Seconds, answers, beside)
                .aiming(Target::AtMost(1.1))
        });
        let beside = ("with one", one_open.to_vec());
        let start = Figure::beside("open", name("a worker's start"), Unit::Seconds, level.starts.clone(), beside);
        figures.push(start.aiming(Target::AtMost(1.2)));
    }
    Ok(figures)
}

/// Queries more cases than the worker can keep.
async fn ask(place: &Waiting) -> anyhow::Result<()> {
    let asked = stream::iter(place.cases().iter().take(ASKED)).map(|open| place.parts.client.status(&open.case));
    asked.buffer_unordered(ASKED_AT_ONCE).try_for_each(|_| async { Ok(()) }).await?;
    Ok(())
}
