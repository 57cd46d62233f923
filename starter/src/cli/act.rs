//! `recourse act`: a command of a party, mediator, arbitrator or operator.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use recourse_workflows::domain::{
    claim::{ClaimReason, RejectionReason},
    command::Verb,
    money::{Amount, Currency},
    party::Actor,
};
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Failure},
    connect, evidence,
    progress::waiting,
    values::{self, VerbArg},
    view,
};
use crate::client::check_command;

/// Give a case a command as one of those who may act in it.
///
/// Prints the status after the command, or why it was refused and what the sender can do now (exit code 1). What each
/// command needs is listed below; amounts are in the contract's currency.
///
/// Example: `recourse act refund-request:c-1 approve --as freelancer:fl-1`
///
/// Example:
/// `recourse act refund-request:c-1 dispute --as freelancer:fl-1 --amount 150.00 --reason work_delivered --details "…"`
///
/// Example: `recourse act dispute:c-1 accept --of resolution --as client:cl-1`
///
/// Next: `recourse show <case>` says whose turn it is; `recourse advance <case> 3d` moves a sandbox case's clock.
#[derive(Debug, Args)]
pub struct Act {
    /// The case, such as refund-request:c-1.
    case: String,
    /// What to do.
    #[arg(value_enum, value_name = "COMMAND", hide_possible_values = false)]
    command: VerbArg,
    /// Who acts: client, freelancer, mediator, arbitrator or operator, and the id.
    #[arg(long = "as", value_name = "ROLE:ID", value_parser = values::actor)]
    by: Actor,
    #[command(flatten)]
    fields: Fields,
    /// What makes the command idempotent: repeated under the same key it acts once, and gets the first answer.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// When the command was received, if not now (RFC 3339).
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

/// The fields of the commands.
#[derive(Debug, Default, Args)]
struct Fields {
    /// How much is claimed, such as 150.00.
    #[arg(long)]
    amount: Option<String>,
    /// Why: for `dispute` and `reject --of claim` one of a list, for `close` and `extend` in words.
    #[arg(long)]
    reason: Option<String>,
    /// In words.
    #[arg(long, value_name = "TEXT")]
    details: Option<String>,
    /// What is accepted or rejected: claim, resolution or offer.
    #[arg(long, value_name = "WHAT")]
    of: Option<String>,
    /// The offer's number.
    #[arg(long)]
    number: Option<u32>,
    /// The freelancer's part of what is held, such as 90.00; the client gets the rest.
    #[arg(long, value_name = "AMOUNT")]
    to_freelancer: Option<String>,
    /// Why the mediator proposes this split.
    #[arg(long, value_name = "TEXT")]
    rationale: Option<String>,
    /// A message with an offer.
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// The arbitration provider's reference.
    #[arg(long)]
    reference: Option<String>,
    /// By how many hours the window is extended.
    #[arg(long)]
    hours: Option<u32>,
    /// A file that supports it; only its hash, name, size and type are sent. May be repeated.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    evidence: Vec<PathBuf>,
}

impl Act {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let verb = self.command.0;
        check_command(&self.case, verb)?;
        let (needed, optional) = fields_of(verb, self.fields.of.as_deref())?;
        self.fields.check(verb, needed, optional)?;
        let client = connect().await?;
        let mut body = Map::new();
        body.insert("by".to_owned(), json!(self.by));
        body.extend(self.key.map(|key| ("key".to_owned(), Value::from(key))));
        body.extend(self.at.map(|at| ("at".to_owned(), json!(at))));
        let currency = if self.fields.has_amounts() {
            let status = waiting(format!("reading {}", self.case), client.status(&self.case)).await?;
            Some(status.currency)
        } else {
            None
        };
        self.fields.add_to(&mut body, verb, currency)?;
        let command = client.command(&self.case, verb, body);
        let status = waiting(format!("{verb} on {}", self.case), command).await?;
        let now = client.virtual_now(&self.case).await?;
        Answer::new(&status, view::case(&status, now))
    }
}

type Names = &'static [&'static str];

/// Which options a command needs, and which it may have.
fn fields_of(verb: Verb, of: Option<&str>) -> Result<(Names, Names), Failure> {
    Ok(match verb {
        Verb::Approve | Verb::Release | Verb::Withdraw | Verb::DemandArbitration => (&[], &[]),
        Verb::Dispute => (&["amount", "reason", "details"], &["evidence"]),
        Verb::Accept | Verb::Reject => match (verb, of) {
            (Verb::Reject, Some("claim")) => (&["of", "reason", "details"], &["evidence"]),
            (_, Some("claim" | "resolution") | None) => (&["of"], &[]),
            (_, Some("offer")) => (&["of", "number"], &[]),
            (_, Some(other)) => {
                return Err(Failure::usage(format!("--of: \"{other}\" is none of claim, resolution, offer")));
            }
        },
        Verb::Amend => (&["amount", "details"], &[]),
        Verb::Offer => (&["to-freelancer"], &["message"]),
        Verb::Retract => (&["number"], &[]),
        Verb::Propose => (&["to-freelancer", "rationale"], &[]),
        Verb::Close => (&["reason"], &[]),
        Verb::Award => (&["to-freelancer", "reference"], &[]),
        Verb::Extend => (&["hours", "reason"], &[]),
    })
}

impl Fields {
    fn given(&self) -> [(&'static str, bool); 11] {
        [
            ("amount", self.amount.is_some()),
            ("reason", self.reason.is_some()),
            ("details", self.details.is_some()),
            ("of", self.of.is_some()),
            ("number", self.number.is_some()),
            ("to-freelancer", self.to_freelancer.is_some()),
            ("rationale", self.rationale.is_some()),
            ("message", self.message.is_some()),
            ("reference", self.reference.is_some()),
            ("hours", self.hours.is_some()),
            ("evidence", !self.evidence.is_empty()),
        ]
    }

    fn check(&self, verb: Verb, needed: Names, optional: Names) -> Result<(), Failure> {
        let given = self.given();
        let options = |names: Vec<&str>| names.iter().map(|name| format!("--{name}")).collect::<Vec<_>>().join(", ");
        let missing: Vec<&str> = needed.iter().copied().filter(|name| !given.contains(&(name, true))).collect();
        if !missing.is_empty() {
            return Err(Failure::usage(format!("{verb} needs {}", options(missing))).hint("see `recourse act --help`"));
        }
        let taken = |name: &&str| needed.contains(name) || optional.contains(name);
        let surplus: Vec<&str> =
            given.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| *name).filter(|name| !taken(name)).collect();
        if !surplus.is_empty() {
            return Err(
                Failure::usage(format!("{verb} takes no {}", options(surplus))).hint("see `recourse act --help`")
            );
        }
        Ok(())
    }

    const fn has_amounts(&self) -> bool {
        self.amount.is_some() || self.to_freelancer.is_some()
    }

    /// Adds the fields by their names on the wire.
    fn add_to(self, body: &mut Map<String, Value>, verb: Verb, currency: Option<Currency>) -> Result<(), Failure> {
        let money = |option: &str, text: Option<String>| match (text, currency) {
            (Some(text), Some(currency)) => values::amount(option, &text, currency).map(Some),
            _ => Ok(None::<Amount>),
        };
        if let Some(reason) = &self.reason {
            match verb {
                Verb::Dispute => drop(values::named::<ClaimReason>("reason", reason)?),
                Verb::Reject => drop(values::named::<RejectionReason>("reason", reason)?),
                _ => {}
            }
        }
        let evidence = evidence::of_files(&self.evidence)?;
        let fields = [
            ("amount", money("amount", self.amount)?.map(|amount| json!(amount))),
            ("reason", self.reason.map(Value::from)),
            ("details", self.details.map(Value::from)),
            ("of", self.of.map(Value::from)),
            ("number", self.number.map(Value::from)),
            ("to_freelancer", money("to-freelancer", self.to_freelancer)?.map(|amount| json!(amount))),
            ("rationale", self.rationale.map(Value::from)),
            ("message", self.message.map(Value::from)),
            ("reference", self.reference.map(Value::from)),
            ("hours", self.hours.map(Value::from)),
            ("evidence", Some(evidence).filter(|files| !files.is_empty()).map(|files| json!(files))),
        ];
        body.extend(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_surplus_option_is_named() {
        let check = |verb, fields: Fields| {
            let (needed, optional) = fields_of(verb, fields.of.as_deref())?;
            fields.check(verb, needed, optional)
        };
        let text = |text: &str| Some(text.to_owned());
        for (verb, fields, expected) in [
            (Verb::Dispute, Fields { amount: text("1"), ..Fields::default() }, "dispute needs --reason, --details"),
            (Verb::Accept, Fields::default(), "accept needs --of"),
            (Verb::Accept, Fields { of: text("offer"), ..Fields::default() }, "accept needs --number"),
            (Verb::Accept, Fields { of: text("money"), ..Fields::default() }, "--of: \"money\" is none of"),
            (Verb::Reject, Fields { of: text("claim"), ..Fields::default() }, "reject needs --reason, --details"),
            (Verb::Approve, Fields { hours: Some(1), ..Fields::default() }, "approve takes no --hours"),
        ] {
            let failure = check(verb, fields).unwrap_err();
            assert!(failure.message.starts_with(expected), "{}", failure.message);
            assert_eq!(failure.exit, 2);
        }
        assert!(check(Verb::Reject, Fields { of: text("resolution"), ..Fields::default() }).is_ok());
    }

    #[test]
    fn options_become_the_wire_contracts_fields() {
        let fields = Fields { to_freelancer: Some("90.00".into()), message: Some("Half?".into()), ..Fields::default() };
        let mut body = Map::new();
        fields.add_to(&mut body, Verb::Offer, Some(Currency::from_code("USD").unwrap())).unwrap();
        assert_eq!(Value::from(body), json!({"to_freelancer": 9000, "message": "Half?"}));
    }
}
