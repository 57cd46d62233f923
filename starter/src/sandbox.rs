//! `recourse sandbox`: makes the fake bank fail, and lets it report on a refund.

use std::time::Duration;

use clap::{Args, Subcommand};
use recourse_database::Database;
use recourse_domain::ids::Id;
use recourse_payments::{Fault, PlannedFault, SandboxBank};
use recourse_refunds::Report;
use serde_json::{Value, json};

use super::{
    DatabaseArg,
    answer::{Answer, Failure},
    database::existing_database,
    refunds::{desk, only_sandbox},
    values,
    view::{Column, Table},
};

/// Make the sandbox's fake bank fail, and check that no money is lost; or let it report on a refund.
#[derive(Debug, Args)]
pub struct Sandbox {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    database: DatabaseArg,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the bank's next movements go wrong.
    ///
    /// Example: `recourse sandbox fault decline --source card-1`
    Fault {
        /// What goes wrong.
        #[arg(value_enum)]
        fault: Kind,
        /// Only for this source; for every source without one.
        #[arg(long, value_name = "ID", value_parser = values::id)]
        source: Option<Id>,
        /// How many times.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        times: u32,
        /// How late, for late.
        #[arg(long, default_value_t = 2_000, value_name = "MILLISECONDS")]
        delay_ms: u64,
    },
    /// List what is still to go wrong.
    ///
    /// Example: `recourse sandbox faults`
    Faults,
    /// Let the bank work as it should.
    ///
    /// Example: `recourse sandbox clear`
    Clear,
    /// Let the bank report that a refund has reached its source.
    ///
    /// Example: `recourse sandbox settle refund-request:c-1/refund:d-1`
    ///
    /// Next: `recourse refunds --contract c-1`.
    Settle {
        /// The refund: its posting's id, with which the bank was asked.
        key: String,
    },
    /// Let the bank report that a refund did not reach its billing method. The refund is then in suspense (R8).
    ///
    /// Example: `recourse sandbox fail refund-request:c-1/refund:d-1 --reason "the card was closed"`
    ///
    /// Next: `recourse refunds --open`, then `recourse refunds retry` or `recourse refunds pay`.
    Fail {
        /// The refund: its posting's id, with which the bank was asked.
        key: String,
        /// Why, in the bank's words.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// It declines, finally.
    Decline,
    /// It breaks off before it acts.
    #[value(alias = "fail_before")]
    FailBefore,
    /// It acts, and then breaks off.
    #[value(alias = "fail_after")]
    FailAfter,
    /// It acts, and answers late.
    Late,
}

impl Sandbox {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        only_sandbox("`recourse sandbox`")?;
        let database = existing_database(&self.database).await?;
        let answer = self.command.run(&database).await;
        database.close().await;
        answer
    }
}

impl Command {
    async fn run(self, database: &Database) -> Result<Answer, Failure> {
        let bank = SandboxBank::new(database.clone());
        match self {
            Self::Fault { fault, source, times, delay_ms } => {
                let fault = match fault {
                    Kind::Decline => Fault::Decline,
                    Kind::FailBefore => Fault::FailBefore,
                    Kind::FailAfter => Fault::FailAfter,
                    Kind::Late => Fault::Late(Duration::from_millis(delay_ms)),
                };
                bank.set_fault(source.as_ref(), fault, times).await?;
            }
            Self::Faults => {}
            Self::Clear => bank.clear_faults().await?,
            Self::Settle { key } => return report(database, &key, Report::Settled).await,
            Self::Fail { key, reason } => return report(database, &key, Report::Failed { reason }).await,
        }
        let faults = bank.faults().await?;
        let document: Vec<Value> = faults.iter().map(document).collect();
        Answer::new(&json!({"faults": document}), show(&faults))
    }
}

/// Reports the result of a refund.
async fn report(database: &Database, key: &str, report: Report) -> Result<Answer, Failure> {
    let bank = SandboxBank::new(database.clone());
    match &report {
        Report::Settled => bank.settle(key).await?,
        Report::Failed { reason } => bank.fail(key, reason).await?,
    }
    desk(database)?.report(key, &report).await?;
    reported(key, &report)
}

fn reported(key: &str, report: &Report) -> Result<Answer, Failure> {
    let (state, reason, text) = match report {
        Report::Settled => ("settled", None, format!("the bank says that {key} has reached its source\n")),
        Report::Failed { reason } => {
            ("failed", Some(reason), format!("the bank says that {key} did not reach its source: {reason}\n"))
        }
    };
    Answer::new(&json!({"refund": key, "state": state, "reason": reason}), text)
}

fn document(planned: &PlannedFault) -> Value {
    json!({"source": planned.source, "fault": planned.fault.name(), "times_left": planned.times_left})
}

fn show(faults: &[PlannedFault]) -> String {
    if faults.is_empty() {
        return "the bank works as it should\n".to_owned();
    }
    let mut table = Table::new([Column::Left("source"), Column::Left("fault"), Column::Right("times left")]);
    for planned in faults {
        let source = planned.source.as_ref().map_or_else(|| "every source".to_owned(), ToString::to_string);
        table.row([source, planned.fault.name().to_owned(), planned.times_left.to_string()]);
    }
    table.show()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_shows_the_refunds_new_state() {
        let settled = reported("dispute:c-1/refund:d-1", &Report::Settled).unwrap();
        assert_eq!(settled.document, json!({"refund": "dispute:c-1/refund:d-1", "state": "settled", "reason": null}));
        assert!(settled.text.contains("dispute:c-1/refund:d-1 has reached its source"), "{}", settled.text);
        let failed = reported("x/refund:d-1", &Report::Failed { reason: "card closed".into() }).unwrap();
        assert_eq!((&failed.document["state"], &failed.document["reason"]), (&json!("failed"), &json!("card closed")));
        assert!(failed.text.contains("did not reach its source: card closed"), "{}", failed.text);
    }
}
