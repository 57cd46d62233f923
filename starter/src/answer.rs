//! The result of a command, and its output: text for people, one JSON document for programs.

use anstream::{eprintln, println};
use anstyle::{AnsiColor, Style};
use recourse_client::ClientError;
use recourse_database::DatabaseError;
use recourse_ledger::LedgerError;
use recourse_local::LocalError;
use recourse_notifications::notices::NoticeError;
use recourse_payments::{PaymentsError, SandboxError};
use recourse_refunds::RefundError;
use serde::Serialize;
use serde_json::{Value, json};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// The answer of a successful command.
#[derive(Debug)]
pub struct Answer {
    /// For programs.
    pub document: Value,
    /// For people.
    pub text: String,
    /// The failure for an accepted command that is not done: a worker tries its money again (L9).
    pub unmoved: Option<Box<Failure>>,
}

impl Answer {
    /// The same content for both.
    pub fn new(document: &impl Serialize, text: impl Into<String>) -> Result<Self, Failure> {
        let document = serde_json::to_value(document)
            .map_err(|error| Failure::new("unexpected", 3, format!("this cannot be written as JSON: {error}")))?;
        Ok(Self { document, text: text.into(), unmoved: None })
    }

    /// An answer that is already printed.
    pub const fn told() -> Self {
        Self { document: Value::Null, text: String::new(), unmoved: None }
    }

    /// Prints it, and returns the exit code.
    pub(super) fn print(&self, json: bool) -> u8 {
        if json {
            if !self.document.is_null() {
                print_json(&self.document);
            }
        } else if !self.text.is_empty() {
            println!("{}", self.text.trim_end());
        }
        match &self.unmoved {
            None => 0,
            Some(unmoved) => {
                unmoved.say(WARNING, "warning");
                unmoved.exit
            }
        }
    }
}

/// Why a command failed, what to do about it, and the exit code.
#[derive(Debug)]
pub struct Failure {
    /// The failure's name for programs.
    pub kind: &'static str,
    /// Why.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The exit code.
    pub exit: u8,
    /// Another field for programs.
    pub details: Option<(&'static str, Value)>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(kind: &'static str, exit: u8, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, exit, details: None }
    }

    /// Arguments or files that cannot be used.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", 2, message)
    }

    /// With what to do about it.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// With another field in the JSON document.
    pub fn details(self, name: &'static str, details: &impl Serialize) -> Self {
        Self { details: serde_json::to_value(details).ok().map(|details| (name, details)), ..self }
    }

    /// The document alone, on stdout.
    pub(super) fn print_json(&self) {
        let mut error = json!({"kind": self.kind, "message": self.message, "hint": self.hint});
        if let Some((name, details)) = &self.details {
            error[*name] = details.clone();
        }
        print_json(&json!({"error": error}));
    }

    pub(super) fn print(&self, json: bool) {
        if json {
            self.print_json();
        }
        self.say(ERROR, "error");
    }

    fn say(&self, style: Style, name: &str) {
        eprintln!("{style}{name}{style:#}: {}", self.message);
        if let Some(hint) = &self.hint {
            eprintln!("{HINT}hint{HINT:#}: {hint}");
        }
    }
}

/// Prints to stderr a note beside the answer.
pub fn note(text: &str) {
    const NOTE: Style = AnsiColor::Yellow.on_default().bold();
    eprintln!("{NOTE}note{NOTE:#}: {text}");
}

fn print_json(document: &Value) {
    println!("{document:#}");
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let failure = Self::new(error.kind(), error.exit_code(), error.to_string());
        Self { hint: error.hint(), ..failure }
    }
}

impl From<LocalError> for Failure {
    fn from(error: LocalError) -> Self {
        let failure = Self::new("local", 3, chain(&error));
        Self { hint: error.hint().map(str::to_owned), ..failure }
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self::new("database", 3, chain(&error)).hint(error.hint())
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::new("database", 3, chain(&error))
    }
}

impl From<NoticeError> for Failure {
    fn from(error: NoticeError) -> Self {
        Self::new("database", 3, chain(&error))
    }
}

impl From<PaymentsError> for Failure {
    fn from(error: PaymentsError) -> Self {
        Self::new("configuration", 2, error.to_string()).hint(error.hint())
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        let (kind, exit) = match &error {
            SandboxError::UnknownRefund { .. } => ("not_found", 1),
            SandboxError::FinalBefore { .. } => ("refused", 1),
            _ => ("database", 3),
        };
        Self::new(kind, exit, chain(&error))
    }
}

impl From<RefundError> for Failure {
    fn from(error: RefundError) -> Self {
        let (kind, exit) = match &error {
            RefundError::Unknown { .. } => ("not_found", 1),
            RefundError::Gateway(_) | RefundError::Ledger(_) | RefundError::Notices(_) => ("database", 3),
            _ => ("refused", 1),
        };
        Self::new(kind, exit, chain(&error)).hint(error.hint())
    }
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
