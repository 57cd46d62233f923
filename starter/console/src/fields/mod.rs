//! The fields that people fill in for a command: which fields there are, how they look, and how the typed values become the
//! command's.
//!
//! This module only reads typed values. The case decides whether it takes them.

mod inputs;

use maud::{Markup, html};
use recourse_client::words::words;
use recourse_domain::{
    claim::ClaimReason,
    command::{CommandKind, Field as Asked, FieldKind},
    evidence::Evidence,
    messages::Status,
    money::{Amount, Currency},
    party::Role,
};
use serde_json::{Map, Value};

use super::{
    acts::{self, Act},
    files::uploads_for,
    forms::Fields,
    parts::People,
};

pub use inputs::show;

/// A field of a form.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name in the command.
    pub name: &'static str,
    label: String,
    hint: String,
    kind: Kind,
    /// What happens to the rest, if an amount divides something.
    rest: String,
    /// The files to tick, if the field asks for files.
    files: Vec<Evidence>,
    /// The path for uploading files.
    uploads: String,
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An amount. If `of` is given, the amount divides it.
    Money { required: bool, of: Option<Amount> },
    /// A text.
    Text { required: bool },
    /// A short text on one line.
    Line,
    /// The same, but optional.
    OptionalLine,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A confirmation.
    Check,
    /// A whole number.
    Number,
    /// Uploaded files.
    Files,
}

/// A field with a mistake, and the mistake.
pub type Wrong = (&'static str, String);

fn field(name: &'static str, label: impl Into<String>, hint: impl Into<String>, kind: Kind) -> Field {
    Field {
        name,
        label: label.into(),
        hint: hint.into(),
        kind,
        rest: String::new(),
        files: Vec::new(),
        uploads: String::new(),
    }
}

/// An amount that divides `of`; `rest` says what happens to the rest.
pub fn amount(name: &'static str, label: String, hint: String, of: Amount, rest: String) -> Field {
    Field {
        name,
        label,
        hint,
        kind: Kind::Money { required: true, of: Some(of) },
        rest,
        ..field(name, "", "", Kind::Line)
    }
}

/// An optional text.
pub fn text(name: &'static str, label: impl Into<String>) -> Field {
    field(name, label, "Optional.", Kind::Text { required: false })
}

/// A short text on one line.
pub fn line(name: &'static str, label: impl Into<String>, hint: impl Into<String>) -> Field {
    field(name, label, hint, Kind::Line)
}

/// Uploaded files to tick; `uploads` is the path for uploading more.
pub fn files(name: &'static str, label: &str, uploaded: Vec<Evidence>, uploads: String) -> Field {
    let hint = "Optional. They are sealed: both sides and the mediator see them.";
    Field { files: uploaded, uploads, ..field(name, label, hint, Kind::Files) }
}

/// The label of a claimed amount.
pub const CLAIMED: &str = "How much you claim";

/// The label of the files of a claim or a rejection.
pub const FILES: &str = "Files that support it";

/// The possible range of a claimed amount.
pub fn up_to(held: Amount, currency: Currency) -> String {
    format!("More than 0, at most the {} held.", currency.show(held))
}

/// The fields of a claim. On an active contract the freelancer says that they contacted the client, whose name is `client`.
pub fn claim(amount: Field, client: Option<String>, files: Field) -> Vec<Field> {
    let client = client.map(|client| contacted(&client));
    let reason = field("reason", "Why", "", Kind::Choice(&ClaimReason::NAMES));
    let details = field("details", "In your words", "", Kind::Text { required: true });
    [amount, reason, details].into_iter().chain(client).chain([files]).collect()
}

/// The fields of an act: those of the catalogue that neither its button nor its form already gives.
pub fn of(act: &Act, status: &Status, people: &People, uploaded: &[Evidence]) -> Vec<Field> {
    let asked = act.command_kind.asks(status.kind, act.of.name());
    asked.filter_map(|field| asked_for(field, act, status, people, uploaded)).collect()
}

fn asked_for(asked: &Asked, act: &Act, status: &Status, people: &People, uploaded: &[Evidence]) -> Option<Field> {
    let (held, name) = (status.held, asked.name);
    let part = |label: String| {
        let hint = format!("Of the {} held.", status.currency.show(held));
        amount(name, label, hint, held, acts::rest(status, people))
    };
    let another = |hint: String| field(name, asked.label, hint, Kind::Money { required: false, of: None });
    let shown = match (act.command_kind, name) {
        // The button names the subject, and the form carries what the page showed.
        (_, "of" | "number" | "submission") | (CommandKind::Accept | CommandKind::Reject, "amount") => return None,
        (CommandKind::Approve, "amount") => another(match &status.payment {
            Some(payment) => format!("Leave it empty to return all of the {}.", status.currency.show(payment.asked)),
            None => {
                "Leave it empty to pay the whole milestone. Less stays in escrow; more is charged as a bonus.".into()
            }
        }),
        (CommandKind::Dispute, "amount") => {
            amount(name, CLAIMED.to_owned(), up_to(held, status.currency), held, acts::rest(status, people))
        }
        (CommandKind::Dispute, "contacted_client") => contacted(&people.name(Role::Client)),
        (CommandKind::DemandArbitration, "source") => return source(act.role, status),
        (_, "to_freelancer") => part(format!("To {}", people.payee())),
        _ => match asked.kind {
            FieldKind::Money => part(asked.label.to_owned()),
            FieldKind::Number => field(name, asked.label, "", Kind::Number),
            FieldKind::Text if !asked.needed => text(name, asked.label),
            FieldKind::Text => field(name, asked.label, "", Kind::Text { required: true }),
            FieldKind::Line | FieldKind::Id if asked.needed => line(name, asked.label, ""),
            FieldKind::Line | FieldKind::Id => field(name, asked.label, "Optional.", Kind::OptionalLine),
            FieldKind::Flag => field(name, asked.label, "", Kind::Check),
            FieldKind::OneOf(names) => field(name, asked.label, "", Kind::Choice(names)),
            FieldKind::Files => {
                files(name, asked.label, uploaded.to_vec(), uploads_for(&status.contract, &status.case))
            }
        },
    };
    Some(match (act.command_kind, name) {
        (CommandKind::Extend, "hours") => Field { hint: "At most the window's own length.".to_owned(), ..shown },
        (CommandKind::Extend, "reason") => Field { hint: "Both parties are told.".to_owned(), ..shown },
        _ => shown,
    })
}

/// The confirmation that the freelancer contacted the client with this name.
fn contacted(client: &str) -> Field {
    field("contacted_client", format!("I contacted {client}, and it did not help"), "", Kind::Check)
}

/// The field for the billing method that pays a share of the arbitration fee, if there is a fee (A1).
fn source(role: Role, status: &Status) -> Option<Field> {
    let share = status.arbitration.as_ref()?.fee_share;
    let label = format!("Billing method that pays your share of {}", status.currency.show(share));
    let field = match role {
        Role::Client => field("source", label, "Leave it empty for that of the newest deposit.", Kind::OptionalLine),
        _ => field("source", label, "As the payment provider calls it, such as a card's id.", Kind::Line),
    };
    (!share.is_zero()).then_some(field)
}

/// The typed amount, which determines the effect on the money.
pub fn amount_in(read: &Map<String, Value>) -> Option<Amount> {
    let value = read.get("amount").or_else(|| read.get("to_freelancer"))?;
    Amount::new(value.as_i64()?).ok()
}

/// Whether these fields have an amount. If so, the sender must see its effect before they confirm it.
pub fn have_money(fields: &[Field]) -> bool {
    fields.iter().any(|field| matches!(field.kind, Kind::Money { .. }))
}

/// The typed values: as hidden fields, and shown once more before the sender confirms them.
pub fn typed(fields: &[Field], typed: &Fields) -> Markup {
    let filled = fields.iter().map(|field| (field, typed.lines(field.name))).filter(|(_, text)| !text.is_empty());
    html! {
        @for (field, text) in filled.clone() { input type="hidden" name=(field.name) value=(text); }
        dl.facts {
            @for (field, text) in filled {
                div {
                    dt { (field.label) }
                    dd.written {
                        @match field.kind {
                            Kind::Choice(_) => (words(&text)),
                            Kind::Files => (names(&text)),
                            _ => (text),
                        }
                    }
                }
            }
        }
    }
}

/// Turns the typed values into the command's fields.
///
/// # Errors
/// The fields with mistakes.
pub fn read(fields: &[Field], typed: &Fields, currency: Currency) -> Result<Map<String, Value>, Vec<Wrong>> {
    let mut read = Map::new();
    let mut wrong = Vec::new();
    for field in fields {
        let ticked = typed.lines(field.name);
        let text = ticked.as_str();
        let value = match field.kind {
            Kind::Money { required: false, .. } | Kind::Text { required: false } | Kind::Files | Kind::OptionalLine
                if text.is_empty() =>
            {
                continue;
            }
            Kind::Check => Ok(Value::Bool(!text.is_empty())),
            _ if text.is_empty() => Err("This has to be filled in.".to_owned()),
            Kind::Money { .. } => {
                currency.parse(text).map(|amount| amount.minor().into()).map_err(|error| format!("{error}."))
            }
            Kind::Text { .. } | Kind::Line | Kind::OptionalLine => Ok(Value::from(text)),
            Kind::Choice(choices) if choices.contains(&text) => Ok(Value::from(text)),
            Kind::Choice(_) => Err("Choose one of these.".to_owned()),
            Kind::Number => text.parse::<u32>().map(Value::from).map_err(|_| "This is a whole number.".to_owned()),
            Kind::Files => files_in(text),
        };
        match value {
            Ok(value) => drop(read.insert(field.name.to_owned(), value)),
            Err(reason) => wrong.push((field.name, reason)),
        }
    }
    if wrong.is_empty() { Ok(read) } else { Err(wrong) }
}

/// The mistake if somebody typed more than there is to divide. The page says so before it gives the command; the case says so
/// too.
pub fn too_much(fields: &[Field], read: &Map<String, Value>, currency: Currency) -> Option<Wrong> {
    fields.iter().find_map(|field| match field.kind {
        Kind::Money { of: Some(of), .. } if read.get(field.name)?.as_i64()? > of.minor() => {
            Some((field.name, format!("This is more than {}.", currency.show(of))))
        }
        _ => None,
    })
}

/// The value of a file's tick box: `SHA-256 bytes type name`.
fn ticked_by(file: &Evidence) -> String {
    format!("{} {} {} {}", file.sha256, file.size, file.media_type, file.name)
}

/// The names of ticked files.
fn names(lines: &str) -> String {
    lines.lines().filter_map(|line| line.splitn(4, ' ').nth(3)).collect::<Vec<_>>().join(", ")
}

/// Files, one per line.
fn files_in(text: &str) -> Result<Value, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let read = lines.map(|line| {
        let mut parts = line.splitn(4, ' ');
        let mut next = || parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
        let (sha256, size, media_type, name) = (next()?, next()?.parse().ok()?, next()?, next()?);
        Some(Evidence { sha256, name, size, media_type })
    });
    let files: Option<Vec<Evidence>> = read.collect();
    let files = files.ok_or("A file is a line with its SHA-256, its size in bytes, its media type and its name.")?;
    serde_json::to_value(files).map_err(|error| error.to_string())
}

/// The field that a refusal names: a refusal begins with the field's name, as in `amount: 3.00 USD is more than …`.
pub fn named_in(fields: &[Field], refusal: &str) -> Option<&'static str> {
    let reason = refusal.strip_prefix("Invalid: ").unwrap_or(refusal);
    let (name, _) = reason.split_once(':')?;
    fields.iter().map(|field| field.name).find(|known| *known == name)
}
