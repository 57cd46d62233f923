//! Many open cases that wait: what the worker keeps of them, how fast one of them answers, and how fast a worker starts.
//!
//! A case that waits should cost nothing but rows. The cases are refund requests in their seven days, and each number of them is in
//! a place of its own.

mod waiting;

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use recourse_workflows::domain::command::Verb;
use serde_json::json;

use self::waiting::{Open, Waiting};
use crate::{
    figure::{Figure, Spread, Target, Unit},
    parts::{Parts, memory, worker},
};

/// How many cases are open, level by level; `BENCH_OPEN` has others. Filling the last takes most of the bench's first run.
const LEVELS: [usize; 3] = [1_000, 10_000, 100_000];

/// How many commands a run asks for, one after the other.
const COMMANDS: usize = 60;

/// How often a worker is started in a run: it takes so short a time that whatever else happens shows in it.
const STARTS: usize = 5;

/// How many cases are asked where they stand before it is seen what the worker keeps of them: three times as many as it keeps.
const ASKED: usize = 3_000;

/// How many of them at once.
const ASKED_AT_ONCE: usize = 16;

/// What a worker may keep in memory with its default sizes, in bytes.
const MEMORY_MAX: f64 = 200e6;

fn levels() -> Vec<usize> {
    match std::env::var("BENCH_OPEN") {
        Ok(levels) => levels.split(',').filter_map(|level| level.trim().parse().ok()).collect(),
        Err(_) => LEVELS.to_vec(),
    }
}

/// A number of open cases, and what was measured with them, run by run.
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

    async fn run(&mut self) -> anyhow::Result<()> {
        self.starts.push(start(&mut self.place).await?);
        // This worker has just started, and remembers none of them, however many there are.
        let asked = self.place.take(COMMANDS)?;
        self.answers.push(answer_time(&self.place.parts, &asked).await?);
        Ok(())
    }
}

/// Measures every level. They take turns, so that whatever else the machine does meets all of them.
pub async fn measure(runs: usize) -> anyhow::Result<Vec<Figure>> {
    let (mut one, mut one_open) = (Waiting::with(1).await?, Vec::new());
    let mut levels_open = Vec::new();
    for open in levels() {
        levels_open.push(Level::with(open).await?);
    }
    for _ in 0..runs {
        one_open.push(start(&mut one).await?);
        for level in &mut levels_open {
            level.run().await?;
        }
    }
    figures(&levels_open, &one_open)
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

/// Asks as many cases as the worker cannot keep.
async fn ask(place: &Waiting) -> anyhow::Result<()> {
    let asked = stream::iter(place.cases().iter().take(ASKED)).map(|open| place.parts.client.status(&open.case));
    asked.buffer_unordered(ASKED_AT_ONCE).try_for_each(|_| async { Ok(()) }).await?;
    Ok(())
}

/// The median of the answers to one command each.
async fn answer_time(parts: &Parts, cases: &[Open]) -> anyhow::Result<f64> {
    let mut answers = Vec::with_capacity(cases.len());
    for Open { case, contract } in cases {
        let asked = Instant::now();
        contract.say(parts, case, "freelancer", Verb::Approve, json!({})).await?;
        answers.push(asked.elapsed().as_secs_f64());
        // The next one is asked when nothing of this one is under way.
        parts.client.result(case).await?;
    }
    Ok(Spread::of(&answers).median)
}

/// How long a worker takes from its start until it asks for work, in the middle of some. That it then answers is seen, and not timed.
async fn start(place: &mut Waiting) -> anyhow::Result<f64> {
    let mut starts = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let started = Instant::now();
        let next = worker(&place.parts.server, &place.parts.database_url, &[]).await?;
        starts.push(started.elapsed().as_secs_f64());
        std::mem::replace(&mut place.parts.worker, next).stop().await?;
    }
    // The server still counts on the one that has stopped, for a while.
    tokio::time::sleep(Duration::from_secs(1)).await;
    place.parts.client.status(&place.cases()[0].case).await?;
    Ok(Spread::of(&starts).median)
}
