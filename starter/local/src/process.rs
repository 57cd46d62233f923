//! A child process that never outlives its owner.

use std::{
    fs::File,
    io::{PipeWriter, Write as _},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;
use tokio::process::{Child, ChildStdout, Command};

use super::LocalError;

/// How long a process may take to end after the request to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How much of a log's end is shown when a program fails.
const LAST_LINES: usize = 12;

/// Runs a program beside a guard. The guard kills the program as soon as the pipe to the owner breaks, in whatever way the
/// owner ended. A line on the pipe ends the guard. The program replaces the shell, so that its id is the child's id.
const GUARDED: &str = r#"exec 3<&0; (read -r _ <&3 || kill -9 $$) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null"#;

/// A running program.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    child: Child,
    guard: PipeWriter,
    log: Log,
}

/// Where a program's messages go.
#[derive(Debug)]
enum Log {
    Kept(PathBuf),
    Temporary(NamedTempFile),
}

impl Log {
    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(file) => file.path(),
        }
    }
}

impl Process {
    /// Starts `program` with its messages (and its output, unless it is `piped`) in `log`, or in a temporary file.
    pub(super) fn start(
        program: &Path,
        arguments: &[String],
        env: &[(String, String)],
        log: Option<&Path>,
        piped: bool,
    ) -> Result<Self, LocalError> {
        let name = program.file_name().map_or_else(|| program.display().to_string(), |name| name.display().to_string());
        let (log, file) = open_log(log)?;
        let (guarded, guard) = std::io::pipe().map_err(LocalError::machine("making a pipe"))?;
        let output = file.try_clone().map_err(LocalError::machine("opening a log"))?;
        let child = Command::new("/bin/sh")
            .args(["-c", GUARDED, "sh"])
            .arg(program)
            .args(arguments)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(guarded)
            .stdout(if piped { Stdio::piped() } else { Stdio::from(output) })
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| LocalError::Start { program: name.clone(), source })?;
        Ok(Self { name, child, guard, log })
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    pub(super) fn take_output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Fails if the program has ended.
    pub(super) fn check_running(&mut self) -> Result<(), LocalError> {
        match self.child.try_wait().map_err(LocalError::machine("looking after a process"))? {
            Some(status) => Err(self.told(status)),
            None => Ok(()),
        }
    }

    /// Waits until the program ends by itself, and says how.
    pub(super) async fn ended(&mut self) -> LocalError {
        match self.child.wait().await {
            Ok(status) => self.told(status),
            Err(source) => LocalError::Machine { what: "waiting for a process".to_owned(), source },
        }
    }

    fn told(&self, status: ExitStatus) -> LocalError {
        LocalError::Ended { program: self.name.clone(), status: status.to_string(), log: self.last_lines() }
    }

    pub(super) fn not_ready(&self, waited: Duration) -> LocalError {
        LocalError::NotReady { program: self.name.clone(), seconds: waited.as_secs(), log: self.last_lines() }
    }

    /// Asks the program to end, waits for it, and kills it if it does not.
    pub(super) async fn stop(mut self) -> Result<(), LocalError> {
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            // An error means that it has just ended by itself.
            let _ = kill_process(id, Signal::TERM);
        }
        match tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await {
            Ok(ended) => ended.map(|_| ()).map_err(LocalError::machine("waiting for a process")),
            Err(_) => self.kill().await,
        }
    }

    /// Ends the program at once (SIGKILL).
    pub(super) async fn kill(mut self) -> Result<(), LocalError> {
        self.child.kill().await.map_err(LocalError::machine("killing a process"))
    }

    fn last_lines(&self) -> String {
        let text = std::fs::read(self.log.path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].iter().flat_map(|line| ["\n  ", line]).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // First the child, then the guard: otherwise the guard could kill another process that has the same id by then.
        let _ = self.child.start_kill();
        let _ = self.guard.write_all(b"ended\n");
    }
}

fn open_log(path: Option<&Path>) -> Result<(Log, File), LocalError> {
    if let Some(path) = path {
        let file = File::options().create(true).append(true).open(path);
        let file = file.map_err(LocalError::machine(format!("opening the log {}", path.display())))?;
        return Ok((Log::Kept(path.to_owned()), file));
    }
    let file = NamedTempFile::new().map_err(LocalError::machine("making a temporary log"))?;
    let handle = file.reopen().map_err(LocalError::machine("opening a temporary log"))?;
    Ok((Log::Temporary(file), handle))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Process {
        Process::start(Path::new("/bin/sleep"), &["600".into()], &[], None, false).unwrap()
    }

    fn is_running(id: u32) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        state.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z') && !rest.is_empty())
    }

    async fn gone(id: u32) -> bool {
        for _ in 0..200 {
            if !is_running(id) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    #[tokio::test]
    async fn a_process_ends_when_stopped_killed_dropped_or_orphaned() {
        let process = sleeper();
        let id = process.id().unwrap();
        assert!(is_running(id));
        process.stop().await.unwrap();
        assert!(gone(id).await, "stopped");

        let process = sleeper();
        let id = process.id().unwrap();
        process.kill().await.unwrap();
        assert!(gone(id).await, "killed");

        let process = sleeper();
        let id = process.id().unwrap();
        drop(process);
        assert!(gone(id).await, "dropped");

        // A killed owner leaves only a broken pipe.
        let (broken, end) = std::io::pipe().unwrap();
        let mut child =
            Command::new("/bin/sh").args(["-c", GUARDED, "sh", "/bin/sleep", "600"]).stdin(broken).spawn().unwrap();
        let id = child.id().unwrap();
        assert!(is_running(id));
        drop(end);
        child.wait().await.unwrap();
        assert!(gone(id).await, "orphaned");
    }

    #[tokio::test]
    async fn a_failed_programs_error_shows_its_last_lines() {
        let arguments = ["-c".to_owned(), "echo no port is free >&2; exit 3".to_owned()];
        let mut process = Process::start(Path::new("/bin/sh"), &arguments, &[], None, false).unwrap();
        let error = process.ended().await.to_string();
        assert_eq!(process.check_running().unwrap_err().to_string(), error);
        assert!(error.contains("exit status: 3") && error.contains("no port is free"), "{error}");
    }
}
