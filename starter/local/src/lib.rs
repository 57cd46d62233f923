//! The real parts on this machine: a Temporal development server and the worker, for `recourse dev`, `recourse demo` and
//! the integration tests.
//!
//! Neither outlives its owner: both end when the value is dropped, and also when somebody kills the owning process.

mod process;
mod server;
mod worker;

pub use server::{LocalServer, ServerOptions};
pub use worker::{WorkerOptions, WorkerProcess};

/// Why a part could not start here. It leaves nothing running.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// There is no Temporal command line of the right version.
    #[error("no Temporal server was found to start: {reason}")]
    NoServer {
        /// Where it looked.
        reason: String,
    },
    /// There is no worker program.
    #[error("no recourse-worker was found to start: looked for {looked_for}")]
    NoWorker {
        /// Where it looked.
        looked_for: String,
    },
    /// The program could not be started at all.
    #[error("{program} cannot be started")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The program ended by itself.
    #[error("{program} ended by itself ({status}){log}")]
    Ended {
        /// The program.
        program: String,
        /// Its exit status.
        status: String,
        /// The end of its log, on lines of its own.
        log: String,
    },
    /// The program is not ready within the time limit.
    #[error("{program} is not ready after {seconds} s{log}")]
    NotReady {
        /// The program.
        program: String,
        /// How long this program waited.
        seconds: u64,
        /// The end of its log, on lines of its own.
        log: String,
    },
    /// Another program listens on the port.
    #[error("port {port} is taken by another program")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// A file or a port of this machine failed.
    #[error("{what} failed")]
    Machine {
        /// What this program tried.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

impl LocalError {
    /// What to do about it, if there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoServer { .. } => {
                Some("install the Temporal CLI 1.9 or newer, or set RECOURSE_TEMPORAL_CLI to its path")
            }
            Self::NoWorker { .. } => Some("build it with `cargo build -p recourse-worker`"),
            _ => None,
        }
    }

    fn machine(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        |source| Self::Machine { what, source }
    }
}
