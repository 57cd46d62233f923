//! The worker as a separate process, which can be stopped, killed and started again.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::ChildStdout,
};

use super::{LocalError, process::Process};

/// How long the worker may take until it polls.
const READY_TIMEOUT: Duration = Duration::from_mins(1);

/// The word in the line that the worker prints when it polls.
const READY: &str = "ready";

/// How to start a worker.
#[derive(Debug, Clone, Default)]
pub struct WorkerOptions {
    /// The program. If absent, this program searches for it beside itself.
    pub binary: Option<PathBuf>,
    /// Its environment, on top of this process's own.
    pub env: Vec<(String, String)>,
    /// The file that its log goes to.
    pub log: Option<PathBuf>,
}

impl WorkerOptions {
    /// A worker for the server at `address` with its ledger at `database_url`.
    pub fn new(address: impl Into<String>, database_url: impl Into<String>) -> Self {
        let env = vec![
            ("TEMPORAL_ADDRESS".to_owned(), address.into()),
            ("TEMPORAL_NAMESPACE".to_owned(), "default".to_owned()),
            ("RECOURSE_DATABASE_URL".to_owned(), database_url.into()),
        ];
        Self { env, ..Self::default() }
    }
}

/// A running worker. It ends when this is dropped.
#[derive(Debug)]
pub struct WorkerProcess {
    process: Process,
}

impl WorkerProcess {
    /// Starts the worker and waits until it polls.
    pub async fn start(options: WorkerOptions) -> Result<Self, LocalError> {
        let binary = find_binary(options.binary.as_deref())?;
        let mut process = Process::start(&binary, &[], &options.env, options.log.as_deref(), true)?;
        let mut lines = process.take_output().map(|output| BufReader::new(output).lines());
        match tokio::time::timeout(READY_TIMEOUT, is_ready(&mut lines)).await {
            Ok(true) => {}
            Ok(false) => return Err(process.ended().await),
            Err(_) => return Err(process.not_ready(READY_TIMEOUT)),
        }
        // Reads everything else that it prints, so that it never waits for a reader.
        tokio::spawn(async move { while let Some(Ok(Some(_))) = next(&mut lines).await {} });
        Ok(Self { process })
    }

    /// The worker's process id.
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Waits until the worker ends by itself, and returns how it ended.
    pub async fn ended(&mut self) -> LocalError {
        self.process.ended().await
    }

    /// Asks the worker to end (SIGTERM) and waits for it.
    pub async fn stop(self) -> Result<(), LocalError> {
        self.process.stop().await
    }

    /// Ends the worker at once (SIGKILL), as a crash would.
    pub async fn kill(self) -> Result<(), LocalError> {
        self.process.kill().await
    }
}

type Output = Option<Lines<BufReader<ChildStdout>>>;

async fn next(lines: &mut Output) -> Option<std::io::Result<Option<String>>> {
    Some(lines.as_mut()?.next_line().await)
}

async fn is_ready(lines: &mut Output) -> bool {
    while let Some(Ok(Some(line))) = next(lines).await {
        if line.split_whitespace().any(|word| word == READY) {
            return true;
        }
    }
    false
}

/// Finds the worker: the given one, or the one beside the running program (a test's program is one directory deeper).
fn find_binary(told: Option<&Path>) -> Result<PathBuf, LocalError> {
    if let Some(binary) = told {
        return Ok(binary.to_owned());
    }
    let running = env::current_exe().map_err(LocalError::machine("finding the running program"))?;
    let candidates: Vec<PathBuf> =
        running.ancestors().skip(1).take(2).map(|directory| directory.join("recourse-worker")).collect();
    let looked_for = candidates.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ");
    candidates.into_iter().find(|path| path.is_file()).ok_or(LocalError::NoWorker { looked_for })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> WorkerOptions {
        let directory = tempfile::tempdir().unwrap().keep();
        let binary = directory.join("worker");
        std::fs::write(&binary, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&binary, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        WorkerOptions { binary: Some(binary), ..WorkerOptions::default() }
    }

    #[tokio::test]
    async fn a_worker_has_started_when_it_reports_ready() {
        let options = shell("echo starting; echo recourse-worker ready on queue recourse; exec sleep 600");
        let worker = WorkerProcess::start(options).await.unwrap();
        assert!(worker.pid().is_some());
        worker.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_worker_that_ends_early_shows_its_last_lines() {
        let error = WorkerProcess::start(shell("echo no database >&2; exit 3")).await.unwrap_err();
        assert!(error.to_string().contains("no database"), "{error}");
    }
}
