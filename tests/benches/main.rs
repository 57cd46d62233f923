//! `make bench`: the cost of Recourse, as ratios to yardsticks in the same run.
//!
//! Only a figure's target decides what is good enough, and nothing here is a test: CI guards counts, not times
//! (`tests/src/cost`). `make bench BENCH="cases ledger"` measures only some parts; `BENCH_RUNS=1` makes a short trial.

// The SDK's `#[activities]` writes `::futures::…`.
extern crate futures_util as futures;

mod answers;
mod api;
mod bare;
mod cases;
mod contract;
mod figure;
mod kept;
mod ledger;
mod load;
mod machine;
mod open;
mod parts;
mod replay;
mod served;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use comfy_table::{CellAlignment, Table, presets};

use self::{figure::Figure, machine::Machine};

/// How often each figure is measured.
const RUNS: usize = 5;

fn runs() -> usize {
    std::env::var("BENCH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(RUNS)
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads can be started");
    match runtime.block_on(play()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what this process was started for. Returns whether every target was met.
async fn play() -> anyhow::Result<bool> {
    let is = |role| std::env::var_os(role).is_some();
    if is(bare::ROLE) {
        bare::work().await?;
        Ok(true)
    } else if is(api::ROLE) {
        match api::serve().await? {}
    } else {
        bench().await
    }
}

/// Measures the parts that the arguments name. Returns whether every target was met.
async fn bench() -> anyhow::Result<bool> {
    // Cargo adds arguments of its own.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let machine = Machine::here();
    println!("{}\n{} runs of everything\n", machine.in_words(), runs());
    let mut figures: Vec<Figure> = Vec::new();
    for part in ["cases", "answers", "api", "replay", "ledger", "open"] {
        if !asked.is_empty() && !asked.iter().any(|asked| asked == part) {
            continue;
        }
        let started = Instant::now();
        eprintln!("{part} …");
        let measured = match part {
            "cases" => cases::measure(runs()).await?,
            "answers" => answers::measure(runs()).await?,
            "api" => api::measure(runs()).await?,
            "replay" => replay::measure(runs()).await?,
            "ledger" => ledger::measure(runs()).await?,
            "open" => open::measure(runs()).await?,
            _ => unreachable!("every part is named here"),
        };
        eprintln!("{part}: {:.0} s", started.elapsed().as_secs_f64());
        print(&measured);
        figures.extend(measured);
    }
    anyhow::ensure!(!figures.is_empty(), "there is no part of the bench with that name: {}", asked.join(" "));
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench.json");
    let json = serde_json::json!({"machine": machine, "runs": runs(), "figures": figures});
    std::fs::write(&file, serde_json::to_string_pretty(&json)?)?;
    let missed: Vec<&str> =
        figures.iter().filter(|figure| figure.misses()).map(|figure| figure.name.as_str()).collect();
    println!("written to target/bench.json");
    if !missed.is_empty() {
        println!("missed: {}", missed.join(", "));
    }
    Ok(missed.is_empty())
}

fn print(figures: &[Figure]) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["figure", "median", "beside", "ratio, or from and to", "target", "met"]);
    for figure in figures {
        table.add_row(figure.row());
    }
    for column in [1, 2] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}\n");
}
