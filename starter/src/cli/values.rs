//! How values are typed: actors, commands, times, durations.

use std::{str::FromStr, time::Duration};

use clap::{ValueEnum, builder::PossibleValue};
use jiff::{SignedDuration, Span, SpanRelativeTo};
use recourse_workflows::domain::{
    command::Verb,
    ids::{Id, PaymentId},
    money::{Amount, Currency},
    party::{Actor, Role},
    posting::Account,
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

/// A value of one of the wire contract's enums by its name; otherwise the names there are.
pub fn named<T: DeserializeOwned>(option: &str, text: &str) -> Result<T, Failure> {
    serde_json::from_value(Value::from(text))
        .map_err(|error| Failure::usage(format!("--{option}: {}", shortened(&error.to_string()))))
}

/// An amount as people type it.
pub fn amount(option: &str, text: &str, currency: Currency) -> Result<Amount, Failure> {
    currency.parse(text).map_err(|error| Failure::usage(format!("--{option}: {error}")))
}

/// A command's name, as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerbArg(pub Verb);

impl ValueEnum for VerbArg {
    fn value_variants<'a>() -> &'a [Self] {
        const VARIANTS: [VerbArg; Verb::ALL.len()] = {
            let mut variants = [VerbArg(Verb::Approve); Verb::ALL.len()];
            let mut index = 0;
            while index < variants.len() {
                variants[index] = VerbArg(Verb::ALL[index]);
                index += 1;
            }
            variants
        };
        &VARIANTS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let value = PossibleValue::new(self.0.name()).help(what_it_does(self.0));
        Some(if self.0 == Verb::DemandArbitration { value.alias("demand-arbitration") } else { value })
    }
}

const fn what_it_does(verb: Verb) -> &'static str {
    match verb {
        Verb::Submit => "freelancer: submit the milestone again: --note [--file] (E8)",
        Verb::Approve => {
            "freelancer: agree to the refund (R4) or return a payment [--amount] (P2); client: approve the milestone \
             [--submission] [--amount] (E5-E7)"
        }
        Verb::RequestChanges => "client: request changes: --message (E8)",
        Verb::Supersede => "operator: the contract has ended, its refund request takes over (E11)",
        Verb::RequestMediation => "client: ask a mediator to look at it: --message (P3)",
        Verb::Opinion => "mediator: say what you think of it: --text (P3)",
        Verb::Dispute => {
            "freelancer: dispute the refund (R5), or that a milestone is not released (D1, with --contacted-client): \
             --amount --reason --details [--evidence]"
        }
        Verb::Release => "client: give up the refund request, everything goes to the freelancer (R10)",
        Verb::Accept => "accept --of claim [--amount that you saw], resolution, or offer --number N (D3, M5, M7)",
        Verb::Reject => {
            "reject --of claim (--reason --details [--amount that you saw] [--evidence]), resolution, or offer --number N (D4, M6, M7); \
             freelancer: return nothing of a payment (P2)"
        }
        Verb::Amend => "freelancer: change the claim: --amount --details (D5)",
        Verb::Withdraw => "freelancer: withdraw the claim (D5)",
        Verb::Offer => "client, freelancer: offer a split: --to-freelancer [--message] (M7)",
        Verb::Retract => "client, freelancer: take back your offer: --number (M7)",
        Verb::Propose => "mediator: propose the resolution: --to-freelancer --rationale (M3)",
        Verb::Close => "mediator: give the Notice of Non-Resolution now: --reason (M2)",
        Verb::DemandArbitration => {
            "client, freelancer: demand arbitration and pay your share of the fee: [--source] (A1)"
        }
        Verb::Award => "arbitrator: give the final award: --to-freelancer --reference (A5)",
        Verb::Extend => "mediator, operator: extend the open window: --hours --reason (T6)",
    }
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
        let error = named::<recourse_workflows::domain::claim::ClaimReason>("reason", "because").unwrap_err();
        assert!(error.message.contains("--reason") && error.message.contains("work_delivered"), "{}", error.message);
    }
}
