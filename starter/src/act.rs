//! `recourse act`: a command of a party, mediator, arbitrator or operator.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};
use jiff::Timestamp;
use recourse_client::{CaseId, check_command};
use recourse_domain::{
    command::{CommandKind, Field, FieldKind, SubjectName},
    ids::CaseKind,
    money::Currency,
    party::Actor,
    text::shortened,
};
use serde_json::{Map, Value, json};

use super::{
    DatabaseArg,
    answer::{Answer, Failure},
    connect, evidence, money,
    progress::waiting,
    values::{self, CommandArg},
};

/// Give a case a command as somebody who may act in it.
///
/// Prints the status after the command, or why the case refused it and what the sender can do now (exit code 1). The fields of
/// each command are listed below; amounts are in the contract's currency. If the case took the command, but Recourse is still
/// trying to move its money, the exit code is 4.
///
/// Example: `recourse act refund-request:c-1 approve --as freelancer:fl-1`
///
/// Example:
/// `recourse act refund-request:c-1 dispute --as freelancer:fl-1 --amount 150.00 --reason work_delivered --details "…"`
///
/// Example: `recourse act dispute:c-1 accept --of resolution --as client:cl-1`
///
/// Example: `recourse act milestone-review:c-1:m-1 approve --as client:cl-1 --submission 1 --amount 200.00`
///
/// Next: `recourse show <case>` says whose turn it is; `recourse advance <case> 3d` moves a sandbox case's clock.
#[derive(Debug, Args)]
pub struct Act {
    /// The case, such as refund-request:c-1 or milestone-review:c-1:m-1.
    case: String,
    /// What to do.
    #[arg(value_enum, value_name = "COMMAND", hide_possible_values = false)]
    command: CommandArg,
    /// Who acts: client, freelancer, mediator, arbitrator or operator, and the id.
    #[arg(long = "as", value_name = "ROLE:ID", value_parser = values::actor)]
    by: Actor,
    #[command(flatten)]
    fields: Fields,
    /// Makes the command idempotent: the same key acts once, and a repetition gets the first answer.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// When the command was received, if not now (RFC 3339).
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    #[command(flatten)]
    database: DatabaseArg,
}

/// The values of the commands' fields, by option.
#[derive(Debug, Default)]
struct Fields(BTreeMap<String, Given>);

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Given {
    Text(String),
    Flag,
    Files(Vec<PathBuf>),
}

impl Act {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let command_kind = self.command.0;
        check_command(&self.case, command_kind)?;
        let kind = CaseId::read(&self.case)?.kind;
        let asked = self.fields.check(kind, command_kind)?;
        let client = connect().await?;
        let mut body = Map::new();
        body.insert("by".to_owned(), json!(self.by));
        body.extend(self.key.map(|key| ("key".to_owned(), Value::from(key))));
        body.extend(self.at.map(|at| ("at".to_owned(), json!(at))));
        let currency = if self.fields.have_amounts(&asked) {
            let status = waiting(format!("reading {}", self.case), client.status(&self.case)).await?;
            Some(status.currency)
        } else {
            None
        };
        self.fields.add_to(&mut body, &asked, currency)?;
        let command = client.command(&self.case, command_kind, body);
        let status = waiting(format!("{command_kind} on {}", self.case), command).await?;
        money::settled(&client, &self.database, status).await
    }
}

impl Args for Fields {
    fn augment_args(command: clap::Command) -> clap::Command {
        let options = options();
        options.into_iter().fold(command, |command, (name, fields)| command.arg(argument(name, &fields)))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Fields {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut fields = Self::default();
        fields.update_from_arg_matches(matches)?;
        Ok(fields)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for (name, fields) in options() {
            let given = match fields[0].1.kind {
                FieldKind::Flag => matches.get_flag(&name).then_some(Given::Flag),
                FieldKind::Files => {
                    let files: Option<Vec<PathBuf>> = matches.get_many(&name).map(|paths| paths.cloned().collect());
                    files.map(Given::Files)
                }
                _ => matches.get_one::<String>(&name).cloned().map(Given::Text),
            };
            self.0.extend(given.map(|given| (name, given)));
        }
        Ok(())
    }
}

/// Every option, with the commands that have it and what it means for each of them.
fn options() -> BTreeMap<String, Vec<(CommandKind, &'static Field)>> {
    let mut options: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for command_kind in CommandKind::ALL {
        for field in command_kind.fields() {
            options.entry(values::option_of(field)).or_default().push((command_kind, field));
        }
    }
    options
}

/// An option for the command line, with its help.
fn argument(name: String, fields: &[(CommandKind, &Field)]) -> Arg {
    let argument = Arg::new(name.clone()).long(name).help(help_of(fields));
    match fields[0].1.kind {
        FieldKind::Flag => argument.action(ArgAction::SetTrue),
        FieldKind::Files => {
            let files = argument.value_name("FILE").num_args(1..).action(ArgAction::Append);
            files.value_parser(clap::value_parser!(PathBuf))
        }
        FieldKind::Money => argument.value_name("AMOUNT"),
        FieldKind::Number => argument.value_name("NUMBER"),
        FieldKind::Text | FieldKind::Line => argument.value_name("TEXT"),
        FieldKind::Id => argument.value_name("ID"),
        FieldKind::OneOf(_) => argument.value_name("WHAT"),
    }
}

/// The help of an option, for each command that has it.
fn help_of(fields: &[(CommandKind, &Field)]) -> String {
    let mut said: Vec<(String, Vec<&str>)> = Vec::new();
    for (command_kind, field) in fields {
        let about = field.about.trim().replace("in minor units", "such as 150.00");
        let about = match field.kind {
            FieldKind::OneOf(names) => format!("{about} One of {}.", names.join(", ")),
            FieldKind::Files => format!("{about} Only its hash, name, size and type are sent. May be repeated."),
            _ => about,
        };
        match said.iter_mut().find(|(before, _)| *before == about) {
            Some((_, command_kinds)) => command_kinds.push(command_kind.name()),
            None => said.push((about, vec![command_kind.name()])),
        }
    }
    said.into_iter()
        .map(|(about, command_kinds)| format!("{}: {about}", command_kinds.join(", ")))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The failure that names missing or surplus options.
fn wrong(command_kind: CommandKind, how: &str, names: &[String]) -> Failure {
    let options = names.iter().map(|name| format!("--{name}")).collect::<Vec<_>>().join(", ");
    Failure::usage(format!("{command_kind} {how} {options}")).hint("see `recourse act --help`")
}

impl Fields {
    /// The fields that the command has in such a case. Fails if a needed one is missing or another one is given.
    fn check(&self, kind: CaseKind, command_kind: CommandKind) -> Result<Vec<&'static Field>, Failure> {
        let of = match self.0.get("of") {
            Some(Given::Text(of)) if command_kind.asks(kind, None).any(|field| field.name == "of") => {
                let subject = SubjectName::ALL.into_iter().find(|subject| subject.name() == of);
                Some(subject.ok_or_else(|| none_of("of", of, &SubjectName::NAMES))?)
            }
            _ => None,
        };
        let asked: Vec<&Field> = command_kind.asks(kind, of).collect();
        // A flag that is not given states nothing, and this field must be stated.
        let is_needed = |field: &&&Field| field.needed || field.kind == FieldKind::Flag;
        let missing = asked.iter().filter(is_needed).map(|field| values::option_of(field));
        let missing: Vec<String> = missing.filter(|name| !self.0.contains_key(name)).collect();
        if !missing.is_empty() {
            return Err(wrong(command_kind, "needs", &missing));
        }
        let is_taken = |name: &&String| asked.iter().any(|field| values::option_of(field) == **name);
        let surplus: Vec<String> = self.0.keys().filter(|name| !is_taken(name)).cloned().collect();
        if !surplus.is_empty() {
            return Err(wrong(command_kind, "takes no", &surplus));
        }
        Ok(asked)
    }

    fn have_amounts(&self, asked: &[&Field]) -> bool {
        asked.iter().any(|field| field.kind == FieldKind::Money && self.0.contains_key(&values::option_of(field)))
    }

    /// Adds the fields by their wire names.
    fn add_to(
        self,
        body: &mut Map<String, Value>,
        asked: &[&Field],
        currency: Option<Currency>,
    ) -> Result<(), Failure> {
        for field in asked {
            let option = values::option_of(field);
            if let Some(given) = self.0.get(&option) {
                body.insert(field.name.to_owned(), value_of(field, &option, given, currency)?);
            }
        }
        Ok(())
    }
}

/// The typed value in its wire form.
fn value_of(field: &Field, option: &str, given: &Given, currency: Option<Currency>) -> Result<Value, Failure> {
    let text = match given {
        Given::Flag => return Ok(Value::Bool(true)),
        Given::Files(paths) => return Ok(json!(evidence::of_files(option, paths)?)),
        Given::Text(text) => text,
    };
    Ok(match (field.kind, currency) {
        (FieldKind::Money, Some(currency)) => json!(values::amount(option, text, currency)?),
        (FieldKind::Number, _) => {
            let number: Result<u32, _> = text.parse();
            json!(number.map_err(|error| Failure::usage(format!("--{option}: {error}")))?)
        }
        (FieldKind::OneOf(names), _) if !names.contains(&text.as_str()) => return Err(none_of(option, text, names)),
        (FieldKind::Id, _) => json!(values::id(text).map_err(|error| Failure::usage(format!("--{option}: {error}")))?),
        _ => Value::from(text.as_str()),
    })
}

fn none_of(option: &str, text: &str, names: &[&str]) -> Failure {
    Failure::usage(format!("--{option}: \"{}\" is none of {}", shortened(text), names.join(", ")))
}

#[cfg(test)]
mod tests;
