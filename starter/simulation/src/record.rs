//! The record of a contract while it is played.

use std::fmt;

use recourse_client::ClientError;
use recourse_domain::{ids::CaseKind, messages::Status, outcome::Outcome};
use recourse_ledger::{History, LedgerError};
use serde::Serialize;
use serde_json::Value;

use super::money::{Money, Told, leaves_it_to_the_dispute};

/// The end of a case, as the summary counts it, with the wire names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct End {
    /// The kind of case.
    pub kind: &'static str,
    /// The result.
    pub result: &'static str,
    /// Whose act or silence decided.
    pub decided_by: String,
    /// The rule.
    pub rule: String,
}

/// All results of a contract.
#[derive(Debug)]
pub struct Record {
    /// Its number in the run.
    pub number: u64,
    /// Its id.
    pub contract: String,
    /// Its currency, by its ISO 4217 code.
    pub currency: &'static str,
    /// How its cases ended.
    pub ends: Vec<End>,
    /// How long those of its cases took that waited for somebody, in quarters of a virtual day.
    pub quarter_days: Vec<u32>,
    /// Whether those depend on the day of the week.
    pub counts_working_days: bool,
    /// How many commands were given.
    pub given: u64,
    /// How many of them were refused.
    pub refused: u64,
    /// Where its money is.
    pub money: Option<Money>,
    /// The cases that left their money to an operator.
    on_hold: Vec<String>,
    /// The movements that its cases report.
    pub told: Told,
    /// What went wrong, if anything.
    pub trouble: Option<Trouble>,
    /// All details of a contract that is played alone.
    pub details: Option<Details>,
}

/// Everything that can be shown of a contract.
#[derive(Debug, Default, Serialize)]
pub struct Details {
    /// The actions, in words.
    pub told: Vec<String>,
    /// The last status of each of its cases.
    pub cases: Vec<Status>,
    /// Its ledger.
    pub history: Option<History>,
}

/// What went wrong, and where to look.
#[derive(Debug, Clone, Serialize)]
pub struct Trouble {
    /// The problem.
    pub problem: String,
    /// The case, if it is about one.
    pub case: Option<String>,
    /// The case's last status.
    pub status: Option<Box<Status>>,
}

impl Trouble {
    /// A problem of no case in particular.
    pub fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), case: None, status: None }
    }

    /// A problem of this case.
    pub fn of(status: &Status, problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), case: Some(status.case.clone()), status: Some(Box::new(status.clone())) }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        match (&self.case, &self.status) {
            (Some(case), Some(status)) => write!(f, " ({case}, {})", status.stage),
            (Some(case), None) => write!(f, " ({case})"),
            _ => Ok(()),
        }
    }
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<LedgerError> for Trouble {
    fn from(error: LedgerError) -> Self {
        Self::new(error.to_string())
    }
}

impl Record {
    /// An empty record.
    pub fn new(number: u64, contract: String) -> Self {
        Self {
            number,
            contract,
            currency: "",
            ends: Vec::new(),
            quarter_days: Vec::new(),
            counts_working_days: false,
            given: 0,
            refused: 0,
            money: None,
            on_hold: Vec::new(),
            told: Told::default(),
            trouble: None,
            details: None,
        }
    }

    /// A case has ended.
    pub fn end(&mut self, kind: CaseKind, outcome: &Outcome) {
        let decided_by = serde_json::to_value(outcome.decided_by).ok();
        self.ends.push(End {
            kind: kind.name(),
            result: outcome.result.name(),
            decided_by: decided_by.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(),
            rule: outcome.rule.to_string(),
        });
    }

    /// A case that is not part of another one has ended. Its money counts.
    pub fn tell(&mut self, kind: CaseKind, outcome: &Outcome, disputes: &[Outcome]) {
        if leaves_it_to_the_dispute(outcome) {
            for dispute in disputes {
                self.told.add(CaseKind::Dispute, dispute);
            }
        }
        self.told.add(kind, outcome);
    }

    /// Records an action, if somebody wants to read it.
    pub fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(details) = &mut self.details {
            details.told.push(what());
        }
    }

    /// Keeps the last status of a case, if somebody wants to read it.
    pub fn show(&mut self, status: &Status) {
        if let Some(details) = &mut self.details {
            details.cases.push(status.clone());
        }
    }

    /// A case has left its money on hold, and no operator has decided yet (A2).
    pub fn left_on_hold(&mut self, case: &str) {
        self.on_hold.push(case.to_owned());
    }

    /// Whether this case left its money to an operator.
    pub fn is_on_hold(&self, case: &str) -> bool {
        self.on_hold.iter().any(|held| held == case)
    }
}
