//! `recourse policy check`: explains a policy file, before any case starts with it.

use std::{collections::BTreeSet, path::PathBuf};

use clap::{Args, Subcommand};
use recourse_domain::{
    fee::FeeShare,
    money::Currency,
    policy::{ClientSilence, NoArbitration, Policy},
    text::shortened,
};
use serde_json::Value;

use super::{
    answer::{Answer, Failure},
    files,
    view::{Column, Table, fields, heading},
};

/// Look at policies: the numbers that a case is started with.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    Check(Check),
}

/// Check a policy file and print the policy that a case started with it has.
///
/// A number that the file leaves out is the rule book's. Exits with 1 if no case can be conducted by the policy (rule T3), or
/// if the file has an unknown field, which would otherwise have no effect.
///
/// Example: `recourse policy check policy.toml`
///
/// Next: `recourse end --contract-file c.json --pay 0 --policy policy.toml` starts a case by it.
#[derive(Debug, Args)]
struct Check {
    /// The policy, as TOML (`.toml`) or JSON.
    file: PathBuf,
}

impl PolicyArgs {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let PolicyCommand::Check(Check { file }) = self.command;
        let policy = checked(&files::Text::of(&file)?)?;
        Answer::new(&policy, shown(&policy))
    }
}

/// The policy of a file, if a case can be conducted by it and it has no unknown field (T3).
pub fn checked(text: &files::Text<'_>) -> Result<Policy, Failure> {
    let policy: Policy = text.parse()?;
    let refuse =
        |reason: String| Failure::new("refused", 1, format!("{}: {}", text.path().display(), shortened(&reason)));
    let unknown = unknown_fields(&text.parse()?)?;
    if let Some(field) = unknown.first() {
        let known = known_fields()?.into_iter().collect::<Vec<_>>().join(", ");
        return Err(refuse(format!("{field}: no policy has this field")).hint(format!("the fields are {known}")));
    }
    policy.check().map_err(|reason| refuse(reason).hint("rule T3; see docs/policy.md"))?;
    Ok(policy)
}

fn known_fields() -> Result<BTreeSet<String>, Failure> {
    let default = serde_json::to_value(Policy::default())
        .map_err(|error| Failure::new("unexpected", 3, format!("the default policy cannot be written: {error}")))?;
    Ok(names(&default, ""))
}

/// A field whose value may be an object with currencies as keys.
const BY_CURRENCY: &str = "arbitration_fee_share";

/// Every field of an object, with nested fields as `evidence.max_files`.
fn names(value: &Value, prefix: &str) -> BTreeSet<String> {
    let Value::Object(object) = value else { return BTreeSet::new() };
    let inner = object.iter().flat_map(|(name, value)| {
        let name = format!("{prefix}{name}");
        let inner = if name == BY_CURRENCY { BTreeSet::new() } else { names(value, &format!("{name}.")) };
        if inner.is_empty() { BTreeSet::from([name]) } else { inner }
    });
    inner.collect()
}

fn unknown_fields(given: &Value) -> Result<Vec<String>, Failure> {
    let known = known_fields()?;
    Ok(names(given, "").into_iter().filter(|name| !known.contains(name)).collect())
}

/// The purpose of each window, in words.
const fn meaning(window: &str) -> &str {
    match window.as_bytes() {
        b"milestone_review" => "the client reviews a submission (E4)",
        b"refund_response" => "the freelancer answers a refund request (R3)",
        b"claim_response" => "the client answers a claim (D2)",
        b"resolution_target" => "a resolution should be there (M1)",
        b"mediation_limit" => "mediation lasts at most, from the filing (M2)",
        b"resolution_response" => "the parties answer a resolution (M4)",
        b"arbitration_answer" => "the other party has to demand it too, at least (A6)",
        b"arbitration_demand" => "arbitration can be demanded (A1)",
        b"security_period" => "released money is pending (E9)",
        b"refund_settlement" => "a refund should have settled (R8)",
        b"payment_refund" => "released money can be asked for (P1)",
        b"payment_mediation" => "mediation help for released money (P3)",
        _ => "",
    }
}

fn shown(policy: &Policy) -> String {
    let mut windows = Table::new([Column::Left("window"), Column::Left("length"), Column::Left("what for")]);
    for (name, window) in policy.windows() {
        windows.row([name.to_owned(), window.to_string(), meaning(name).to_owned()]);
    }
    let list = |values: Vec<String>| if values.is_empty() { "none".to_owned() } else { values.join(", ") };
    let silence = match policy.client_silence {
        ClientSilence::ClaimedAmount => "releases the claimed amount (D3)",
        ClientSilence::AllHeld => "releases everything that is held (D3)",
    };
    let no_arbitration = match policy.no_arbitration {
        NoArbitration::RefundClient => "the client is refunded (A2)",
        NoArbitration::ReleaseFreelancer => "everything is released to the freelancer (A2)",
        NoArbitration::FollowResolution => "the money moves as the mediator proposed (A2)",
        NoArbitration::Hold => "the money stays in escrow for an operator (A2)",
    };
    let evidence = &policy.evidence;
    let settings = [
        ("holidays", list(policy.holidays.iter().map(ToString::to_string).collect())),
        ("reminders, hours before", list(policy.reminder_hours.iter().map(ToString::to_string).collect())),
        ("client's silence", silence.to_owned()),
        ("nobody demands arbitration", no_arbitration.to_owned()),
        ("arbitration fee share", fee(&policy.arbitration_fee_share)),
        ("evidence", format!("{} files of at most {} bytes each", evidence.max_files, evidence.max_bytes)),
        ("evidence types", evidence.media_types.join(", ")),
    ];
    format!("{}{}\n{}", heading("the policy is sound"), windows.show(), fields(settings))
}

/// A single number is in minor units of the case's currency. Most currencies have two decimals.
fn fee(share: &FeeShare) -> String {
    match share {
        FeeShare::InAny(share) => {
            let dollars = Currency::from_code("USD").map(|usd| format!(" ({} in a USD case)", usd.show(*share)));
            format!("{} minor units of any currency{}", share.minor(), dollars.unwrap_or_default())
        }
        FeeShare::ByCurrency(shares) => {
            let charged = shares.iter().map(|(currency, share)| currency.show(*share)).collect::<Vec<_>>().join(", ");
            if charged.is_empty() { "nothing".to_owned() } else { format!("{charged}; nothing in other currencies") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str) -> Result<Answer, Failure> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        PolicyArgs { command: PolicyCommand::Check(Check { file }) }.run()
    }

    /// T3: the program shows the effective policy, and refuses an impossible one with the field.
    #[test]
    fn a_policy_file_is_checked() {
        let answer =
            check("p.toml", "claim_response = { days = 5, unit = 'business' }\n[evidence]\nmax_files = 3\n").unwrap();
        for words in ["claim_response", "5 business days", "refund_response", "7 days", "3 files", "337.50 USD"] {
            assert!(answer.text.contains(words), "{words}: {}", answer.text);
        }
        assert_eq!(answer.document["evidence"]["max_files"], 3);
        for (name, text, exit, words) in [
            ("p.json", r#"{"refund_response":{"days":0,"unit":"calendar"}}"#, 1, "refund_response: 0 days"),
            ("p.json", r#"{"refund_respond":{"days":7,"unit":"calendar"}}"#, 1, "refund_respond"),
            ("p.json", r#"{"evidence":{"max_file":1}}"#, 1, "evidence.max_file"),
            ("p.toml", "claim_response = { days = 5, unit = 'weeks' }", 2, "line 1"),
            ("p.toml", "holidays = ['2026-12-25', '2026-12-25']", 1, "given twice"),
        ] {
            let failure = check(name, text).unwrap_err();
            assert_eq!(failure.exit, exit, "{text}");
            assert!(failure.message.contains(words), "{text}: {}", failure.message);
        }
    }

    /// A1: the share of the arbitration fee is one number, or one number per currency.
    #[test]
    fn the_fee_share_may_differ_by_currency() {
        for (name, text, shown) in [
            ("p.toml", "", "337.50 USD; nothing in other currencies"),
            (
                "p.toml",
                "[arbitration_fee_share]\nUSD = 10000\nJPY = 15000\n",
                "15,000 JPY, 100.00 USD; nothing in other",
            ),
            ("p.toml", "arbitration_fee_share = 5000", "5000 minor units of any currency (50.00 USD in a USD case)"),
            ("p.json", r#"{"arbitration_fee_share":{}}"#, "nothing"),
        ] {
            let answer = check(name, text).unwrap();
            assert!(answer.text.contains(shown), "{text}: {}", answer.text);
        }
        for (text, words) in [
            (r#"{"arbitration_fee_share":{"dollars":1}}"#, "\"dollars\" is not a currency"),
            (r#"{"arbitration_fee_share":{"USD":1.5}}"#, "whole number"),
        ] {
            let failure = check("p.json", text).unwrap_err();
            assert!(failure.message.contains(words), "{text}: {}", failure.message);
        }
    }

    /// The content of a shell's `<(…)` can be read only once.
    #[test]
    fn a_policy_may_come_from_a_pipe() {
        use std::{io::Write as _, os::fd::AsRawFd as _};
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(br#"{"refund_response":{"days":9,"unit":"calendar"}}"#).unwrap();
        drop(writer);
        let file = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        let answer = PolicyArgs { command: PolicyCommand::Check(Check { file }) }.run().unwrap();
        assert!(answer.text.contains("9 days"), "{}", answer.text);
    }

    /// The presets in the policy's page are valid policies, and the first is the default.
    #[test]
    fn the_documented_presets_are_valid() {
        let page = include_str!("../../docs/policy.md");
        let presets: Vec<_> = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        let read = |text: &str| serde_json::from_value::<Policy>(check("p.toml", text).unwrap().document).unwrap();
        assert_eq!(presets.len(), 2);
        assert_eq!(read(presets[0]), Policy::default());
        assert_eq!(read(presets[1]).claim_response.to_string(), "5 business days");
    }
}
