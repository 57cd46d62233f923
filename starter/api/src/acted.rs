//! The results of a command and of a start.

use jiff::Timestamp;
use recourse_domain::{messages::Status, outcome::Outcome};

use super::seen::SeenCase;

/// A case that somebody has read in order to give it a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetCase {
    pub(super) seen: SeenCase,
    /// The case's own time at that point: the command's receipt time. How long the rest takes does not matter (T2).
    pub(super) at: Timestamp,
}

/// The result of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted {
    /// The case took it. This is the status after it.
    Taken(Box<Status>),
    /// No worker has answered yet. The server has the command as a signal, with its receipt time (T2). The case decides on it
    /// as soon as a worker runs.
    Sent,
}

/// A case that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartOutcome {
    /// Its id.
    pub case: String,
    /// Whether it already ran.
    pub already_running: bool,
    /// Its status, if a worker has already opened it.
    pub status: Option<Status>,
    /// A deposit's outcome, if it already has one.
    pub outcome: Option<Outcome>,
}
