//! `recourse demo`: nine stories of contracts, on a real server with a real worker, in seconds.

mod milestones;
mod stage;
mod stories;

use std::time::Instant;

use anstream::println;
use clap::Args;
use recourse_ledger::Ledger;
use recourse_local::ServerOptions;
use serde_json::json;

use self::stories::STORIES;
use super::{
    answer::{Answer, Failure},
    parts::{Parts, told_to_stop},
    progress::waiting,
    view,
};

/// Play nine stories of a contract in seconds, each to its last cent: its end, its milestones, and a payment asked back.
///
/// Starts a Temporal server, the worker and a temporary database on this machine, fast-forwards each case's clock through
/// its days of waiting, and shows who did what by which rule, where the money went, and that the ledger is sound. Fails if
/// a story does not end as the rules say. Nothing is left behind.
///
/// Example: `recourse demo`
///
/// Next: `recourse dev` keeps everything running, to play by hand and to look at in the Web UI.
#[derive(Debug, Args)]
pub struct Demo {}

impl Demo {
    pub(super) async fn run(self, json: bool) -> Result<Answer, Failure> {
        let directory = tempfile::tempdir().map_err(|error| Failure::new("local", 3, error.to_string()))?;
        tokio::select! {
            played = play(directory.path(), json) => played,
            () = told_to_stop() => Err(Failure::new("interrupted", 130, "interrupted; everything is stopped")),
        }
    }
}

async fn play(directory: &std::path::Path, json: bool) -> Result<Answer, Failure> {
    let started = Instant::now();
    let parts = Parts::start(directory, ServerOptions::default());
    let parts = waiting("starting a Temporal server and the worker", parts).await?;
    let ledger = Ledger::new(parts.database.clone());
    let mut documents = Vec::new();
    for (index, story) in STORIES.iter().enumerate() {
        let told = stories::play(index + 1, story, &parts.client, &ledger).await?;
        if !json {
            println!("{}", told.text);
        }
        documents.push(told.document);
    }
    let report = ledger.check().await?;
    if !report.is_sound() {
        let text = view::check_report(&report);
        return Err(Failure::new("unsound", 1, text.trim_end()).details("report", &report));
    }
    parts.stop().await?;
    let seconds = started.elapsed().as_secs_f64();
    let days: u32 = STORIES.iter().map(|story| story.days).sum();
    let text = format!(
        "{}{} stories of {days} days in {seconds:.1} s. `make dev` keeps everything running, with the Web UI.\n",
        view::check_report(&report),
        STORIES.len(),
    );
    Answer::new(&json!({"stories": documents, "check": report, "seconds": seconds}), text)
}
