//! `recourse show`.

use std::time::Duration;

use clap::Args;

use super::{
    DatabaseArg,
    answer::{Answer, Failure},
    connect, money,
    progress::waiting,
    start,
};

/// How long to wait for a new case to open.
const OPENING: Duration = Duration::from_secs(3);

/// Show where a case stands.
///
/// Whose turn it is and by when, what silence does then, who can do what, what each side has put forward, and everything
/// that happened, by which rule; and of its money what is ordered, on its way, arrived or failed (L9). If some of it is being
/// tried again the exit code is 4. A worker has to run.
///
/// Example: `recourse show refund-request:c-1`
///
/// Next: `recourse act <case> <command> --as <role:id>` with one of the commands shown.
#[derive(Debug, Args)]
pub struct Show {
    /// The case: its workflow id, such as milestone-review:c-1:m-1, refund-request:c-1, dispute:c-1,
    /// payment-refund:milestone-review:c-1:m-1/release or escrow-deposit:c-1:d-1.
    case: String,
    #[command(flatten)]
    database: DatabaseArg,
}

impl Show {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let client = connect().await?;
        if self.case.starts_with("escrow-deposit:") {
            return start::show_deposit(&client, &self.database, &self.case).await;
        }
        // A new case learns its hold within milliseconds. Before that there is nothing to show.
        let opened = client.wait_for(&self.case, OPENING, |status| !status.is_opening());
        let status = waiting(format!("asking for {}", self.case), opened).await?;
        money::shown(&client, &self.database, status).await
    }
}
