//! `recourse sim`: a thousand contracts with parties that act by chance.

mod summary;

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anstream::println;
use clap::Args;
use futures_util::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use recourse_local::ServerOptions;
use recourse_simulation::{Details, Record, Ticket, World, plan::Mix, play};
use serde_json::json;

use self::summary::Summary;
use super::{
    answer::{Answer, Failure},
    parts::{Parts, told_to_stop},
    progress::waiting,
    refunds::desk,
    view,
};

/// Play many contracts with parties that act by chance, and prove that no money is lost.
///
/// Starts a Temporal server, the worker and a temporary database on this machine, and plays each contract to its end with
/// fast-forwarded clocks: deposits, milestones, disputes, arbitration, returned payments, in several currencies and by several
/// policies. Parties act, are silent, and try forbidden things. Prints how the cases ended, how many days they took and where
/// the money is. Exits with 1 if the ledger is not sound, a case does not end, Recourse refuses an allowed command or takes a
/// forbidden one, or a contract's money does not add up. The same seed plays the same contracts, however many at a time.
///
/// Example: `recourse sim --contracts 1000 --seed 7`
///
/// Next: `recourse sim --seed 7 --only 12` plays contract 12 of that run alone and shows everything of it.
#[derive(Debug, Args)]
pub struct Sim {
    /// How many contracts to play.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    contracts: u64,
    /// What decides everything that is left to chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many contracts to play at a time.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=500))]
    parallel: u16,
    /// Play only the contract with this number, and show everything of it.
    #[arg(long, value_name = "NUMBER", conflicts_with = "contracts", value_parser = clap::value_parser!(u64).range(1..))]
    only: Option<u64>,
    /// Only deposits for whole contracts, their ends, and the disputes after them.
    #[arg(long)]
    ends_only: bool,
    /// Keep the database and the logs in this new directory.
    #[arg(long, value_name = "DIRECTORY")]
    keep: Option<PathBuf>,
}

impl Sim {
    pub(super) async fn run(self, json: bool) -> Result<Answer, Failure> {
        let local = |error: std::io::Error| Failure::new("local", 3, error.to_string());
        let temporary = tempfile::tempdir().map_err(local)?;
        if let Some(directory) = &self.keep {
            // The contracts of an earlier run have the same ids.
            std::fs::create_dir(directory).map_err(|error| {
                Failure::usage(format!("--keep {}: {error}", directory.display())).hint("name a directory to be made")
            })?;
        }
        let directory = self.keep.as_deref().unwrap_or(temporary.path());
        tokio::select! {
            played = self.play(directory, json) => played,
            () = told_to_stop() => Err(Failure::new("interrupted", 130, "interrupted; everything is stopped")),
        }
    }

    async fn play(&self, directory: &Path, json: bool) -> Result<Answer, Failure> {
        let started = Instant::now();
        let parts = Parts::start(directory, ServerOptions::default());
        let parts = waiting("starting a Temporal server and the worker", parts).await?;
        let world = World::new(parts.client.clone(), &parts.database, desk(&parts.database)?);
        let (mut summary, details) = self.play_all(&world).await;
        summary.checked(world.ledger().check().await?);
        drop(world);
        parts.stop().await?;
        self.answer(&summary, details.as_ref(), started.elapsed(), json)
    }

    /// Plays the contracts, some at a time, and keeps only the counts.
    async fn play_all(&self, world: &World) -> (Summary, Option<Details>) {
        let numbers = self.only.map_or(1..=self.contracts, |number| number..=number);
        let mix = if self.ends_only { Mix::EndsOnly } else { Mix::Everything };
        let ticket = |number| Ticket { seed: self.seed, number, mix, in_detail: self.only.is_some() };
        let bar = progress_bar(numbers.clone().count() as u64);
        let mut playing =
            stream::iter(numbers).map(|number| play(world, ticket(number))).buffer_unordered(self.parallel.into());
        let (mut summary, mut details) = (Summary::default(), None);
        while let Some(record) = playing.next().await {
            bar.inc(1);
            let mut record: Record = record;
            details = record.details.take();
            summary.add(record);
            if summary.is_hopeless() {
                break;
            }
        }
        bar.finish_and_clear();
        (summary, details)
    }

    fn answer(
        &self,
        summary: &Summary,
        details: Option<&Details>,
        took: Duration,
        json: bool,
    ) -> Result<Answer, Failure> {
        let seconds = took.as_secs_f64();
        let text =
            format!("{}{}seed {}, {seconds:.1} s\n", details.map(shown).unwrap_or_default(), summary.show(), self.seed);
        let document = json!({"seed": self.seed, "summary": summary, "contract": details, "seconds": seconds});
        let Some(problem) = summary.problem() else { return Answer::new(&document, text) };
        if !json {
            println!("{text}");
        }
        let failure = Failure::new("unsound", 1, problem).details("run", &document);
        Err(match summary.first_failure() {
            Some(number) if self.only.is_none() => {
                failure.hint(format!("`recourse sim --seed {} --only {number}` plays that contract alone", self.seed))
            }
            _ => failure,
        })
    }
}

fn shown(details: &Details) -> String {
    let mut text = details.told.iter().fold(String::new(), |text, told| format!("{text}{told}\n"));
    for status in &details.cases {
        text.push('\n');
        text.push_str(&view::heading(&status.case));
        text.push_str(&view::timeline(&status.timeline));
        if let Some(outcome) = &status.outcome {
            text.push_str(&view::outcome(outcome, status.currency));
        }
    }
    if let Some(history) = &details.history {
        text.push('\n');
        text.push_str(&view::history(history, &[]));
    }
    text.push('\n');
    text
}

/// A progress bar, on a terminal only.
fn progress_bar(contracts: u64) -> ProgressBar {
    let bar = ProgressBar::new(contracts);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{pos} of {len} contracts {wide_bar} {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
