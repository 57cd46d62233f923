//! `recourse advance`.

use std::time::Duration;

use clap::Args;
use recourse_workflows::describe;
use serde_json::json;

use super::{
    answer::{Answer, Failure},
    connect,
    progress::waiting,
    values,
};

/// Fast-forward a case's clock. For sandboxes only.
///
/// Only this case's clock moves, and only on a server that allows time skipping, such as the one of `recourse dev`. Everything
/// that falls due on the way happens: reminders, silence, refunds. A dispute has its own clock.
///
/// Example: `recourse advance refund-request:c-1 7d`
///
/// Next: `recourse show <case>`.
#[derive(Debug, Args)]
pub struct Advance {
    /// The case.
    case: String,
    /// By how much: 3d, 12h or "1d 6h 30m".
    #[arg(value_parser = values::length)]
    by: Duration,
}

impl Advance {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let client = connect().await?;
        let advanced = waiting(format!("advancing {}", self.case), client.advance(&self.case, self.by)).await?;
        let now = describe::instant(advanced.now);
        let seen =
            advanced.closed || waiting(format!("{} looks", self.case), client.catch_up(&self.case)).await.is_ok();
        let text = if !seen {
            format!("for {} it is now {now}, but no worker has looked yet", self.case)
        } else if advanced.closed {
            format!("{} closed on the way, at {now}; see `recourse show {}`", self.case, self.case)
        } else {
            format!("for {} it is now {now}", self.case)
        };
        Answer::new(&json!({"case": self.case, "now": advanced.now, "closed": advanced.closed}), text)
    }
}
