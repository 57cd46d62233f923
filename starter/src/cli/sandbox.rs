//! `recourse sandbox`: telling the fake bank to misbehave.

use std::time::Duration;

use clap::{Args, Subcommand};
use recourse_activities::{
    SandboxBank,
    payments::{Fault, PlannedFault},
};
use recourse_workflows::domain::ids::Id;
use serde_json::{Value, json};

use super::{
    DatabaseArg,
    answer::{Answer, Failure},
    parts::existing_database,
    values,
    view::{Column, Table},
};

/// Tell the sandbox's fake bank to fail, and see that no money is lost.
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
    Faults,
    /// Let the bank work as it should.
    Clear,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// It declines, for good.
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
        let database = existing_database(&self.database).await?;
        let bank = SandboxBank::new(database.clone());
        match self.command {
            Command::Fault { fault, source, times, delay_ms } => {
                let fault = match fault {
                    Kind::Decline => Fault::Decline,
                    Kind::FailBefore => Fault::FailBefore,
                    Kind::FailAfter => Fault::FailAfter,
                    Kind::Late => Fault::Late(Duration::from_millis(delay_ms)),
                };
                bank.set_fault(source.as_ref(), fault, times).await?;
            }
            Command::Faults => {}
            Command::Clear => bank.clear_faults().await?,
        }
        let faults = bank.faults().await?;
        database.close().await;
        let document: Vec<Value> = faults.iter().map(document).collect();
        Answer::new(&json!({"faults": document}), show(&faults))
    }
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
