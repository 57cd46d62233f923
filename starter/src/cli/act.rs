//! `recourse act`: a command of a party, mediator, arbitrator or operator.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use recourse_workflows::domain::{
    claim::{ClaimReason, RejectionReason},
    command::Verb,
    ids::{CaseKind, Id},
    money::{Amount, Currency},
    party::Actor,
};
use serde_json::{Map, Value, json};

use super::{
    DatabaseArg,
    answer::{Answer, Failure},
    connect, evidence, money,
    progress::waiting,
    values::{self, VerbArg},
};
use crate::client::{CaseId, check_command};

/// Give a case a command as one of those who may act in it.
///
/// Prints the status after the command, or why it was refused and what the sender can do now (exit code 1). What each
/// command needs is listed below; amounts are in the contract's currency. If it was taken, and the money that it moves is
/// being tried again, the exit code is 4.
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
    #[command(flatten)]
    database: DatabaseArg,
}

/// The fields of the commands.
#[derive(Debug, Default, Args)]
struct Fields {
    /// How much is claimed, approved or returned, such as 150.00; an approval without it is for all of it. Of a claim that is
    /// accepted or rejected: what you saw it to be for; if it is for another amount by now nothing is done.
    #[arg(long)]
    amount: Option<String>,
    /// Why: for `dispute` and `reject --of claim` one of a list, for `close` and `extend` in words.
    #[arg(long)]
    reason: Option<String>,
    /// The claim's or the rejection's details, in words.
    #[arg(long, value_name = "TEXT")]
    details: Option<String>,
    /// What is accepted or rejected: claim, resolution or offer.
    #[arg(long, value_name = "WHAT")]
    of: Option<String>,
    /// The offer's number.
    #[arg(long)]
    number: Option<u32>,
    /// The number of the submission that you looked at; if there is a newer one by now nothing is approved.
    #[arg(long, value_name = "NUMBER")]
    submission: Option<u32>,
    /// The billing method that pays your share of the arbitration fee, which `recourse show` says (A1). Without one a client's is
    /// that of the newest deposit, and a freelancer's is their own id, which no real payment provider takes.
    #[arg(long, value_name = "ID", value_parser = values::id)]
    source: Option<Id>,
    /// The freelancer's part of what is held, such as 90.00; the client gets the rest.
    #[arg(long, value_name = "AMOUNT")]
    to_freelancer: Option<String>,
    /// Why the mediator proposes this split.
    #[arg(long, value_name = "TEXT")]
    rationale: Option<String>,
    /// A message with an offer, which changes are requested, or why mediation is asked for.
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// What is submitted, in words.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// A file that is submitted; only its hash, name, size and type are sent. May be repeated.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    file: Vec<PathBuf>,
    /// The mediator's opinion, in words.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// The freelancer has contacted the client and it did not help (D1).
    #[arg(long)]
    contacted_client: bool,
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
        let kind = CaseId::read(&self.case)?.kind;
        let (needed, optional) = fields_of(kind, verb, self.fields.of.as_deref())?;
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
        money::settled(&client, &self.database, status).await
    }
}

type Names = &'static [&'static str];

/// Which options a command needs in such a case, and which it may have.
fn fields_of(kind: CaseKind, verb: Verb, of: Option<&str>) -> Result<(Names, Names), Failure> {
    Ok(match verb {
        Verb::DemandArbitration => (&[], &["source"]),
        Verb::Release | Verb::Supersede | Verb::Withdraw => (&[], &[]),
        // There is no part of a refund to approve, and one thing to answer when a payment is asked back.
        Verb::Approve if kind == CaseKind::RefundRequest => (&[], &[]),
        Verb::Reject if kind == CaseKind::PaymentRefund => (&[], &[]),
        Verb::Approve if kind == CaseKind::MilestoneReview => (&[], &["amount", "submission"]),
        Verb::Approve => (&[], &["amount"]),
        Verb::RequestChanges | Verb::RequestMediation => (&["message"], &[]),
        Verb::Submit => (&["note"], &["file"]),
        Verb::Opinion => (&["text"], &[]),
        Verb::Dispute if kind == CaseKind::MilestoneReview => {
            (&["amount", "reason", "details", "contacted-client"], &["evidence"])
        }
        Verb::Dispute => (&["amount", "reason", "details"], &["evidence"]),
        Verb::Accept | Verb::Reject => match (verb, of) {
            (Verb::Reject, Some("claim")) => (&["of", "reason", "details"], &["amount", "evidence"]),
            (Verb::Accept, Some("claim")) => (&["of"], &["amount"]),
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
    fn given(&self) -> [(&'static str, bool); 17] {
        [
            ("amount", self.amount.is_some()),
            ("reason", self.reason.is_some()),
            ("details", self.details.is_some()),
            ("of", self.of.is_some()),
            ("number", self.number.is_some()),
            ("submission", self.submission.is_some()),
            ("source", self.source.is_some()),
            ("to-freelancer", self.to_freelancer.is_some()),
            ("rationale", self.rationale.is_some()),
            ("message", self.message.is_some()),
            ("note", self.note.is_some()),
            ("file", !self.file.is_empty()),
            ("text", self.text.is_some()),
            ("contacted-client", self.contacted_client),
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
        let evidence = evidence::of_files("evidence", &self.evidence)?;
        let files = evidence::of_files("file", &self.file)?;
        let fields = [
            ("amount", money("amount", self.amount)?.map(|amount| json!(amount))),
            ("reason", self.reason.map(Value::from)),
            ("details", self.details.map(Value::from)),
            ("of", self.of.map(Value::from)),
            ("number", self.number.map(Value::from)),
            ("submission", self.submission.map(Value::from)),
            ("source", self.source.map(|source| json!(source))),
            ("to_freelancer", money("to-freelancer", self.to_freelancer)?.map(|amount| json!(amount))),
            ("rationale", self.rationale.map(Value::from)),
            ("message", self.message.map(Value::from)),
            ("note", self.note.map(Value::from)),
            ("files", Some(files).filter(|files| !files.is_empty()).map(|files| json!(files))),
            ("text", self.text.map(Value::from)),
            ("contacted_client", self.contacted_client.then_some(Value::Bool(true))),
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
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    /// The options as people type them.
    fn typed(options: &str) -> Fields {
        let matches = Fields::augment_args(clap::Command::new("act").no_binary_name(true))
            .try_get_matches_from(options.split_whitespace())
            .unwrap_or_else(|error| panic!("{options}: {error}"));
        Fields::from_arg_matches(&matches).unwrap()
    }

    fn check(kind: CaseKind, verb: Verb, options: &str) -> Result<(), Failure> {
        let fields = typed(options);
        let (needed, optional) = fields_of(kind, verb, fields.of.as_deref())?;
        fields.check(verb, needed, optional)
    }

    #[test]
    fn a_missing_or_surplus_option_is_named() {
        use CaseKind::{Dispute, MilestoneReview, PaymentRefund, RefundRequest};
        for (kind, verb, options, expected) in [
            (RefundRequest, Verb::Dispute, "--amount 1", "dispute needs --reason, --details"),
            (RefundRequest, Verb::Approve, "--amount 1", "approve takes no --amount"),
            (RefundRequest, Verb::Approve, "--hours 1", "approve takes no --hours"),
            (Dispute, Verb::Accept, "", "accept needs --of"),
            (Dispute, Verb::Accept, "--of offer", "accept needs --number"),
            (Dispute, Verb::Accept, "--of money", "--of: \"money\" is none of"),
            (Dispute, Verb::Reject, "", "reject needs --of"),
            (Dispute, Verb::Reject, "--of claim", "reject needs --reason, --details"),
            (MilestoneReview, Verb::Submit, "--file a.pdf", "submit needs --note"),
            (MilestoneReview, Verb::RequestChanges, "", "request_changes needs --message"),
            (MilestoneReview, Verb::Approve, "--text Fine", "approve takes no --text"),
            (
                MilestoneReview,
                Verb::Dispute,
                "--amount 1 --reason other --details x",
                "dispute needs --contacted-client",
            ),
            (
                RefundRequest,
                Verb::Dispute,
                "--amount 1 --reason other --details x --contacted-client",
                "dispute takes no --contacted-client",
            ),
            (Dispute, Verb::Accept, "--of resolution --amount 1", "accept takes no --amount"),
            (RefundRequest, Verb::Approve, "--submission 1", "approve takes no --submission"),
            (Dispute, Verb::Withdraw, "--source card-1", "withdraw takes no --source"),
            (PaymentRefund, Verb::Reject, "--of claim", "reject takes no --of"),
            (PaymentRefund, Verb::RequestMediation, "", "request_mediation needs --message"),
            (PaymentRefund, Verb::Opinion, "--message x", "opinion needs --text"),
        ] {
            let failure = check(kind, verb, options).unwrap_err();
            assert!(failure.message.starts_with(expected), "{}", failure.message);
            assert_eq!(failure.exit, 2);
        }
        for (kind, verb, options) in [
            (Dispute, Verb::Reject, "--of resolution"),
            (PaymentRefund, Verb::Reject, ""),
            (PaymentRefund, Verb::Approve, "--amount 50.00"),
            (MilestoneReview, Verb::Approve, ""),
            (MilestoneReview, Verb::Approve, "--submission 2"),
            (Dispute, Verb::Accept, "--of claim"),
            (Dispute, Verb::Accept, "--of claim --amount 150.00"),
            (Dispute, Verb::Reject, "--of claim --amount 150.00 --reason late --details x"),
            (Dispute, Verb::DemandArbitration, "--source card-9"),
            (MilestoneReview, Verb::Supersede, ""),
        ] {
            assert!(check(kind, verb, options).is_ok(), "{verb} {options}");
        }
    }

    #[test]
    fn options_become_the_wire_contracts_fields() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.pdf");
        std::fs::write(&path, "abc").unwrap();
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let file = json!([{"sha256": sha256, "name": "a.pdf", "size": 3, "media_type": "application/pdf"}]);
        let submit = format!("--note Again --file {}", path.display());
        for (verb, options, expected) in [
            (Verb::Offer, "--to-freelancer 90.00 --message Half?", json!({"to_freelancer": 9_000, "message": "Half?"})),
            (Verb::Approve, "--amount 200.00", json!({"amount": 20_000})),
            (Verb::Approve, "", json!({})),
            (Verb::Approve, "--submission 2", json!({"submission": 2})),
            (Verb::Accept, "--of claim --amount 150.00", json!({"of": "claim", "amount": 15_000})),
            (Verb::DemandArbitration, "--source pm_1", json!({"source": "pm_1"})),
            (Verb::Submit, &submit, json!({"note": "Again", "files": file})),
            (Verb::RequestChanges, "--message Bluer", json!({"message": "Bluer"})),
            (Verb::Opinion, "--text Half", json!({"text": "Half"})),
            (
                Verb::Dispute,
                "--amount 1 --reason work_delivered --details x --contacted-client",
                json!({"amount": 100, "reason": "work_delivered", "details": "x", "contacted_client": true}),
            ),
        ] {
            let mut body = Map::new();
            typed(options).add_to(&mut body, verb, Some(Currency::from_code("USD").unwrap())).unwrap();
            assert_eq!(Value::from(body), expected, "{verb} {options}");
        }
    }

    /// The help of a command names each option that it can need, whatever the case is about.
    #[test]
    fn the_help_of_a_command_names_its_options() {
        use clap::ValueEnum as _;

        for value in VerbArg::value_variants() {
            let shown = value.to_possible_value().unwrap();
            let help = shown.get_help().map(ToString::to_string).unwrap_or_default();
            let kinds =
                [CaseKind::MilestoneReview, CaseKind::RefundRequest, CaseKind::Dispute, CaseKind::PaymentRefund];
            for (kind, of) in
                kinds.into_iter().flat_map(|kind| [(kind, None), (kind, Some("claim")), (kind, Some("offer"))])
            {
                let (needed, optional) = fields_of(kind, value.0, of).unwrap();
                for name in needed.iter().chain(optional) {
                    assert!(help.contains(&format!("--{name}")), "{} has no --{name}: {help}", shown.get_name());
                }
            }
        }
    }
}
