//! The form in which people type values: actors, commands, times, durations.

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use axum::http::HeaderValue;
use clap::{ValueEnum, builder::PossibleValue};
use jiff::{SignedDuration, Span, SpanRelativeTo};
use recourse_domain::{
    command::{CommandKind, Field, FieldKind},
    ids::{Id, PaymentId},
    money::{Amount, Currency},
    party::{Actor, Role},
    posting::Account,
    stage::Stage,
    text::shortened,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::Failure;

/// Who acts, as `client:cl-1`.
pub fn actor(text: &str) -> Result<Actor, String> {
    let (party, id) = text.split_once(':').ok_or("write it as role:id, such as client:cl-1")?;
    Ok(Actor { party: role(party)?, id: Id::new(id).map_err(|error| error.to_string())? })
}

/// A role by its name.
pub fn role(text: &str) -> Result<Role, String> {
    let known = Role::ALL.into_iter().find(|role| role.name() == text);
    known.ok_or_else(|| format!("\"{}\" is no role; use {}", shortened(text), Role::ALL.map(Role::name).join(", ")))
}

/// A stage by its name.
pub fn stage(text: &str) -> Result<Stage, String> {
    Stage::named(text).ok_or_else(|| format!("\"{}\" is no stage; use {}", shortened(text), Stage::NAMES.join(", ")))
}

/// An id.
pub fn id(text: &str) -> Result<Id, String> {
    Id::new(text).map_err(|error| error.to_string())
}

/// The id of a payment, as the ledger shows it.
pub fn payment(text: &str) -> Result<PaymentId, String> {
    PaymentId::new(text).map_err(|error| error.to_string())
}

/// Who is paid for work, as `freelancer:fl-1` or `agency:ag-1`.
pub fn payee(text: &str) -> Result<Account, String> {
    match text.split_once(':') {
        Some(("freelancer", freelancer)) => Ok(Account::Freelancer(id(freelancer)?)),
        Some(("agency", agency)) => Ok(Account::Agency(id(agency)?)),
        _ => Err("write it as freelancer:id or agency:id, such as freelancer:fl-1".to_owned()),
    }
}

/// A length of time, as `3d`, `12h` or `1d 6h 30m`; days have 24 hours.
pub fn length(text: &str) -> Result<Duration, String> {
    let refuse = || format!("\"{}\" is no length of time; write it like 3d, 12h or 1d 6h 30m", shortened(text));
    let span = Span::from_str(text).map_err(|_| refuse())?;
    let length: SignedDuration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| refuse())?;
    Duration::try_from(length).ok().filter(|length| !length.is_zero()).ok_or_else(refuse)
}

/// A value of one of the wire contract's enums, by its name; otherwise an error with the possible names.
pub fn named<T: DeserializeOwned>(option: &str, text: &str) -> Result<T, Failure> {
    serde_json::from_value(Value::from(text))
        .map_err(|error| Failure::usage(format!("--{option}: {}", shortened(&error.to_string()))))
}

/// An amount in the form that people type.
pub fn amount(option: &str, text: &str, currency: Currency) -> Result<Amount, Failure> {
    currency.parse(text).map_err(|error| Failure::usage(format!("--{option}: {error}")))
}

/// A command's name, as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandArg(pub CommandKind);

impl ValueEnum for CommandArg {
    fn value_variants<'a>() -> &'a [Self] {
        const VARIANTS: [CommandArg; CommandKind::ALL.len()] = {
            let mut variants = [CommandArg(CommandKind::Approve); CommandKind::ALL.len()];
            let mut index = 0;
            while index < variants.len() {
                variants[index] = CommandArg(CommandKind::ALL[index]);
                index += 1;
            }
            variants
        };
        &VARIANTS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let name = self.0.name();
        Some(PossibleValue::new(name).help(what_it_does(self.0)).alias(name.replace('_', "-")))
    }
}

/// Who gives a command, what it does, and its options. Options that only some commands of this kind need are in brackets.
fn what_it_does(command_kind: CommandKind) -> String {
    let by: BTreeSet<Role> = command_kind.uses().iter().flat_map(|used| used.by).copied().collect();
    let by = by.into_iter().map(Role::name).collect::<Vec<_>>().join(", ");
    let option = |field: &Field| {
        let name = option_of(field);
        let always = field.needed
            && field.of.is_none()
            && command_kind.uses().iter().all(|used| used.takes.contains(&field.name));
        if always { format!("--{name}") } else { format!("[--{name}]") }
    };
    let options = command_kind.fields().iter().map(option).collect::<Vec<_>>().join(" ");
    let about = in_a_sentence(command_kind.about());
    if options.is_empty() { format!("{by}: {about}") } else { format!("{by}: {about}: {options}") }
}

/// A description as a part of a sentence.
fn in_a_sentence(about: &str) -> String {
    let about = about.trim().trim_end_matches('.');
    let mut letters = about.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// The option for a field. Each file needs its own option.
pub fn option_of(field: &Field) -> String {
    let name = if field.kind == FieldKind::Files { field.name.trim_end_matches('s') } else { field.name };
    name.replace('_', "-")
}

/// An origin has a scheme and a host, and no path.
pub fn origin(text: &str) -> Result<HeaderValue, String> {
    let plain = url::Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text.trim());
    let value = HeaderValue::from_str(text.trim()).ok().filter(|_| plain);
    value.ok_or_else(|| "expected an origin such as https://temporal.example.com, without a path".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_are_a_role_and_an_id() {
        assert_eq!(actor("client:cl-1").unwrap().to_string(), "client cl-1");
        for (text, word) in [("client", "role:id"), ("owner:x", "freelancer"), ("client:", "is not an id")] {
            let error = actor(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn payees_are_freelancers_and_agencies() {
        for text in ["freelancer:fl-1", "agency:ag-1"] {
            assert_eq!(payee(text).unwrap().to_string(), text);
        }
        for (text, word) in [("client:cl-1", "freelancer:id"), ("fl-1", "agency:id"), ("agency:", "is not an id")] {
            let error = payee(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn lengths_are_days_hours_and_minutes() {
        let hour = 3_600;
        for (text, seconds) in [("3d", 72 * hour), ("12h", 12 * hour), ("1d 6h 30m", 30 * hour + 1_800), ("90m", 5_400)]
        {
            assert_eq!(length(text).map(|length| length.as_secs()), Ok(seconds), "{text}");
        }
        for text in ["", "3", "-3d", "soon", "0h"] {
            assert!(length(text).is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_and_names_are_refused_with_the_option() {
        let currency = Currency::from_code("USD").unwrap();
        assert_eq!(amount("amount", "300.00", currency).unwrap().minor(), 30_000);
        assert!(amount("pay", "300,00", currency).unwrap_err().message.contains("--pay"));
        let error = named::<recourse_domain::claim::ClaimReason>("reason", "because").unwrap_err();
        assert!(error.message.contains("--reason") && error.message.contains("work_delivered"), "{}", error.message);
    }

    #[test]
    fn origins_are_a_scheme_and_a_host() {
        for good in ["https://temporal.example.com", "http://127.0.0.1:8233", "http://localhost:8233"] {
            assert!(origin(good).is_ok(), "{good}");
        }
        for bad in
            ["*", "temporal.example.com", "https://temporal.example.com/", "https://temporal.example.com/ui", "null"]
        {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
