//! `recourse ledger`.

use clap::Args;
use jiff::Timestamp;
use recourse_activities::{
    Ledger as Books,
    ledger::{History, OpenHold},
};
use recourse_workflows::domain::ids::Id;
use serde::Serialize;

use super::{
    DatabaseArg,
    answer::{Answer, Failure},
    parts::existing_database,
    values, view,
};

/// Show where a contract's money is, which cases hold it, and every movement; or check the whole ledger.
///
/// The ledger is double entry: every movement leaves one account and reaches another. A check proves that nothing was
/// lost or made (L1-L3); it exits with 1 and names the offending account if it was.
///
/// Example: `recourse ledger --contract c-1`
///
/// Example: `recourse ledger --check`
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["contract", "check"])]
pub struct Ledger {
    /// The contract whose money to show.
    #[arg(long, value_name = "ID", value_parser = values::id)]
    contract: Option<Id>,
    /// Check the whole ledger.
    #[arg(long)]
    check: bool,
    /// What counts as now for what is still pending, if not now (RFC 3339); for cases whose clock was advanced.
    #[arg(long, value_name = "TIME", conflicts_with = "check")]
    at: Option<Timestamp>,
    #[command(flatten)]
    database: DatabaseArg,
}

/// What is shown of a contract.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    history: &'a History,
    /// What cases hold of its escrow.
    holds: &'a [OpenHold],
}

impl Ledger {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let database = existing_database(&self.database).await?;
        let books = Books::new(database.clone());
        let answer = match self.contract {
            Some(contract) => history(&books, &contract, self.at.unwrap_or_else(Timestamp::now)).await,
            None => check(&books).await,
        };
        database.close().await;
        answer
    }
}

async fn history(books: &Books, contract: &Id, now: Timestamp) -> Result<Answer, Failure> {
    let Some(history) = books.history(contract, now).await? else {
        let failure = Failure::new("not_found", 1, format!("no money of contract {contract} was ever here"));
        return Err(failure.hint("put some in escrow with `recourse deposit`"));
    };
    let holds = books.holds(contract).await?;
    Answer::new(&Shown { history: &history, holds: &holds }, view::history(&history, &holds))
}

async fn check(books: &Books) -> Result<Answer, Failure> {
    let report = books.check().await?;
    let text = view::check_report(&report);
    if !report.is_sound() {
        return Err(Failure::new("unsound", 1, text.trim_end()).details("report", &report));
    }
    Answer::new(&report, text)
}
