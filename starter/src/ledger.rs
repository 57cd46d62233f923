//! `recourse ledger`.

use std::io::{self, BufWriter};

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use recourse_domain::ids::Id;
use recourse_ledger::{Head, History, Ledger as Books, LedgerError, OpenHold};
use serde::Serialize;

use super::{
    DatabaseArg,
    answer::{Answer, Failure},
    database::existing_database,
    values, view,
};

/// Show where a contract's money is, which cases hold it, and every movement; check, verify or export the whole ledger.
///
/// The ledger is double entry: every movement leaves one account and reaches another. A check proves that nothing was
/// lost or made (L1-L3); it exits with 1 and names the offending account if it was.
///
/// Example: `recourse ledger --contract c-1`
///
/// Example: `recourse ledger --check`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[group(id = "what", required = true, multiple = false, args = ["contract", "check"])]
pub struct Ledger {
    #[command(subcommand)]
    command: Option<Command>,
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

#[derive(Debug, Subcommand)]
enum Command {
    Verify(Verify),
    Export(Export),
}

/// Verify that the journal is what was posted (L4): each posting is chained to the one before by a hash.
///
/// It exits with 1 and names what was changed, removed or put in from outside. Somebody who rewrites the journal can
/// rewrite the hashes after it too, so keep the head that is shown elsewhere, and give it with --expect later.
///
/// Example: `recourse ledger verify --head > head.txt`
///
/// Example: `recourse ledger verify --expect 120:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
#[derive(Debug, Args)]
struct Verify {
    /// A head that an earlier verification showed; may be given more than once.
    #[arg(long, value_name = "HEAD")]
    expect: Vec<Head>,
    /// Print the head alone, to be kept and given with --expect.
    #[arg(long)]
    head: bool,
    #[command(flatten)]
    database: DatabaseArg,
}

/// Write the journal to standard output, oldest first: every posting, or a contract's. Amounts are in minor units.
///
/// Example: `recourse ledger export --format csv > journal.csv`
#[derive(Debug, Args)]
struct Export {
    /// Only this contract's postings.
    #[arg(long, value_name = "ID", value_parser = values::id)]
    contract: Option<Id>,
    /// A table for a spreadsheet, or one JSON array.
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    #[command(flatten)]
    database: DatabaseArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Json,
}

/// The document about a contract.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    history: &'a History,
    /// The cases' holds on its escrow.
    holds: &'a [OpenHold],
}

impl Ledger {
    pub(super) async fn run(self, json: bool) -> Result<Answer, Failure> {
        let database = match &self.command {
            Some(Command::Verify(verify)) => &verify.database,
            Some(Command::Export(export)) => &export.database,
            None => &self.database,
        };
        let database = existing_database(database).await?;
        let books = Books::new(database.clone());
        let answer = match (self.command, self.contract) {
            (Some(Command::Verify(verify)), _) => verified(&books, &verify).await,
            (Some(Command::Export(export)), _) => exported(&books, &export, json).await,
            (None, Some(contract)) => history(&books, &contract, self.at.unwrap_or_else(Timestamp::now)).await,
            (None, None) => check(&books).await,
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

async fn verified(books: &Books, verify: &Verify) -> Result<Answer, Failure> {
    let report = books.verify(&verify.expect).await?;
    let text = view::chain_report(&report);
    if !report.is_whole() {
        return Err(Failure::new("unsound", 1, text.trim_end()).details("report", &report));
    }
    match &report.head {
        Some(head) if verify.head => Answer::new(&report, format!("{head}\n")),
        _ => Answer::new(&report, text),
    }
}

/// Why an export ended early.
enum Stopped {
    Ledger(LedgerError),
    /// The reader has stopped reading, or the disk is full.
    Output(io::Error),
}

impl From<LedgerError> for Stopped {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Ledger(error) => error.into(),
            Stopped::Output(error) => Self::new("output", 3, format!("the export could not be written: {error}"))
                .hint("nothing was changed; run it again where there is room for it"),
        }
    }
}

async fn exported(books: &Books, export: &Export, json: bool) -> Result<Answer, Failure> {
    let output = BufWriter::new(io::stdout());
    if json || export.format == Format::Json {
        as_json(books, export.contract.as_ref(), output).await?;
    } else {
        as_csv(books, export.contract.as_ref(), output).await?;
    }
    Ok(Answer::told())
}

async fn as_csv(books: &Books, contract: Option<&Id>, output: impl io::Write + Send) -> Result<(), Stopped> {
    let mut table = csv::Writer::from_writer(output);
    let count = books
        .export(contract, |posting| table.serialize(posting).map_err(|error| Stopped::Output(error.into())))
        .await?;
    if count == 0 {
        table.write_record(COLUMNS).map_err(io::Error::from)?;
    }
    Ok(table.flush()?)
}

/// The columns, which a table without rows also has.
const COLUMNS: [&str; 16] = [
    "sequence",
    "id",
    "at",
    "recorded_at",
    "kind",
    "debit",
    "credit",
    "currency",
    "amount",
    "contract",
    "case",
    "rule",
    "deposit",
    "available_at",
    "payment",
    "hash",
];

async fn as_json(books: &Books, contract: Option<&Id>, mut output: impl io::Write + Send) -> Result<(), Stopped> {
    let mut before = "[\n";
    let count = books
        .export(contract, |posting| {
            output.write_all(before.as_bytes())?;
            before = ",\n";
            serde_json::to_writer(&mut output, &posting).map_err(io::Error::from)?;
            Ok::<(), Stopped>(())
        })
        .await?;
    output.write_all(if count == 0 { b"[]\n" } else { b"\n]\n" })?;
    Ok(output.flush()?)
}
