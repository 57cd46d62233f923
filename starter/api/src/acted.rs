//! What became of a command and of a start.

use jiff::Timestamp;
use recourse_domain::{messages::Status, outcome::Outcome};

use super::seen::SeenCase;

/// A case that somebody has looked at, to give it a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetCase {
    pub(super) seen: SeenCase,
    /// The case's own time then: the receipt time of what it is given. From here on it does not matter how long the rest takes (T2).
    pub(super) at: Timestamp,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted {
    /// It was taken; this is the status after it.
    Taken(Box<Status>),
    /// No worker has answered yet. The command is with the server as a signal, stamped with its receipt time (T2), and is decided as
    /// soon as a worker is there.
    Sent,
}

/// A case that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartOutcome {
    /// Its id.
    pub case: String,
    /// Whether it ran already.
    pub already_running: bool,
    /// Its status, if a worker has opened it by now.
    pub status: Option<Status>,
    /// A deposit's outcome, if there is one by now.
    pub outcome: Option<Outcome>,
}
