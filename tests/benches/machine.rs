//! The machine of the figures. They mean nothing without it.

use std::{fs, process::Command};

use serde::Serialize;

/// Facts that may explain a figure.
#[derive(Debug, Serialize)]
pub struct Machine {
    processor: String,
    cores: usize,
    memory_bytes: u64,
    kernel: String,
    rustc: String,
    /// The measured commit, with `+` if there were uncommitted changes.
    commit: String,
    /// The Temporal command line and its server.
    temporal: String,
    /// Other load at the beginning, as the load average of a minute.
    load: f64,
}

impl Machine {
    /// This machine, now.
    pub fn here() -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kilobytes: u64 =
            after(&memory, "MemTotal:").split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0);
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let changed = !said("git", &["status", "--porcelain"]).is_empty();
        let temporal = std::env::var("RECOURSE_TEMPORAL_CLI").unwrap_or_else(|_| "temporal".to_owned());
        Self {
            processor: after(&cpu, "model name").trim_start_matches([' ', '\t', ':']).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: kilobytes * 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            rustc: said("rustc", &["--version"]),
            commit: format!("{}{}", said("git", &["rev-parse", "--short", "HEAD"]), if changed { "+" } else { "" }),
            temporal: said(&temporal, &["--version"]),
            load: load.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0.0),
        }
    }

    /// The machine in a line or two.
    pub fn in_words(&self) -> String {
        let Self { processor, cores, memory_bytes, kernel, rustc, commit, temporal, load } = self;
        let gigabytes = *memory_bytes >> 30;
        format!(
            "{processor}, {cores} cores, {gigabytes} GiB, Linux {kernel}, load {load} at the beginning\n\
             recourse {commit}, {rustc}, {temporal}"
        )
    }
}

/// The rest of the first line with this beginning.
fn after<'a>(text: &'a str, beginning: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(beginning)).unwrap_or_default().trim()
}

/// A program's output.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
