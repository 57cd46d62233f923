//! What each party pays for arbitration (A1), and whether it has.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use super::{
    ids::Id,
    money::{Amount, Currency},
    party::{Contract, Role},
};

/// The rule book's share, in US dollars (A1).
const USD_MINOR: i64 = 33_750;

/// Each party's share of the arbitration fee, as a policy gives it (A1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum FeeShare {
    /// In minor units of any case's currency.
    InAny(Amount),
    /// By currency, in minor units; in another currency the share is 0.
    ByCurrency(BTreeMap<Currency, Amount>),
}

impl FeeShare {
    /// What a party pays in a case of this currency; 0 if the policy has no share for it.
    pub fn of(&self, currency: Currency) -> Amount {
        match self {
            Self::InAny(amount) => *amount,
            Self::ByCurrency(shares) => shares.get(&currency).copied().unwrap_or_default(),
        }
    }

    /// The share in a case of this [generation](super::case::RULES). A case that began before shares had currencies keeps the
    /// default's number, in its own currency (T3).
    pub fn of_case(&self, currency: Currency, rules: u32) -> Amount {
        if rules == 0 && *self == Self::default() { default_amount() } else { self.of(currency) }
    }
}

fn default_amount() -> Amount {
    Amount::new(USD_MINOR).unwrap_or_default()
}

impl Default for FeeShare {
    fn default() -> Self {
        let usd = Currency::from_code("USD").map(|usd| (usd, default_amount()));
        Self::ByCurrency(usd.into_iter().collect())
    }
}

impl From<Amount> for FeeShare {
    fn from(amount: Amount) -> Self {
        Self::InAny(amount)
    }
}

impl<'de> Deserialize<'de> for FeeShare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = match Value::deserialize(deserializer)? {
            Value::Object(shares) => serde_json::from_value(Value::Object(shares)).map(Self::ByCurrency),
            Value::Number(number) => serde_json::from_value(Value::Number(number)).map(Self::InAny),
            other => {
                let expected = "an amount, or amounts by currency such as {\"USD\":33750}";
                return Err(D::Error::custom(format!("expected {expected}, not {other}")));
            }
        };
        read.map_err(D::Error::custom)
    }
}

/// Whether a billing method belongs to somebody else than this party (A1): others have used it, and this party never has. If
/// nobody has used it, Recourse accepts it as the party's own.
pub fn is_anothers(used_by: &BTreeSet<Id>, party: Role, contract: &Contract) -> bool {
    !used_by.is_empty() && contract.ids_of(party).all(|id| !used_by.contains(id))
}

/// The arbitration fee in a status: what each party would pay, and who has paid (A1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Arbitration {
    /// Each party's share of the fee, in minor units of the case's currency: what a demand charges.
    pub fee_share: Amount,
    /// The state of each share, for the parties that demanded arbitration.
    pub shares: BTreeMap<Role, ShareState>,
}

/// The state of a party's share of the arbitration fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShareState {
    /// It is being charged.
    Charging,
    /// It is paid.
    Paid,
    /// It could not be charged, which counts as not paid; the party may demand again.
    Declined,
}

/// The step of a share's charge, unique within its case. The posting's id is `{case}/fee:client:1`.
pub fn charge_step(party: Role, attempt: u32) -> String {
    format!("fee:{party}:{attempt}")
}

/// The step of a share's return, unique within its case.
pub fn return_step(party: Role) -> String {
    format!("fee_return:{party}")
}

/// The party whose share of the arbitration fee a posting charged or returned, by the posting's id. None for other postings.
pub fn share_of(posting: &str) -> Option<Role> {
    let (_, step) = posting.rsplit_once('/')?;
    let party = step.strip_prefix("fee:").or_else(|| step.strip_prefix("fee_return:"))?;
    let name = party.split(':').next()?;
    Role::PARTIES.into_iter().find(|role| role.name() == name)
}

/// A share of the arbitration fee that the workflow must charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeDue {
    /// Which party pays.
    pub party: Role,
    /// The billing method.
    pub source: Id,
    /// How much.
    pub amount: Amount,
    /// The step: it makes the charge unique within the case.
    pub step: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<FeeShare, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    fn currency(code: &str) -> Currency {
        Currency::from_code(code).unwrap()
    }

    /// A1: a share has a currency, and a policy without a share for the case's currency charges nothing. T3: an older case
    /// keeps the number that it began with.
    #[test]
    fn each_share_has_a_currency() {
        for (json, in_usd, in_jpy, before_in_jpy) in [
            (r#"{"USD":33750}"#, 33_750, 0, 33_750),
            (r#"{"USD":33750,"JPY":50000}"#, 33_750, 50_000, 50_000),
            (r#"{"EUR":31000}"#, 0, 0, 0),
            ("{}", 0, 0, 0),
            ("0", 0, 0, 0),
            ("5000", 5_000, 5_000, 5_000),
        ] {
            let share = read(json).unwrap();
            assert_eq!(share.of(currency("USD")).minor(), in_usd, "{json}");
            assert_eq!(share.of_case(currency("JPY"), 1).minor(), in_jpy, "{json}");
            assert_eq!(share.of_case(currency("JPY"), 0).minor(), before_in_jpy, "{json}");
            assert_eq!(serde_json::to_string(&share).unwrap().len(), json.len(), "{json} is written as it was read");
        }
        assert_eq!(read(r#"{"USD":33750}"#).unwrap(), FeeShare::default());
    }

    #[test]
    fn invalid_shares_are_refused_in_words() {
        for (json, words) in [
            ("-1", "at least 0"),
            ("1.5", "whole number"),
            ("\"much\"", "an amount, or amounts by currency"),
            ("[33750]", "an amount, or amounts by currency"),
            (r#"{"USD":-1}"#, "at least 0"),
            (r#"{"USD":"33750"}"#, "whole number"),
            (r#"{"dollars":1}"#, "\"dollars\" is not a currency"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(words), "{json}: {error}");
        }
    }

    #[test]
    fn posting_ids_name_the_party_of_a_share() {
        for (id, party) in [
            (format!("dispute:c-1/{}", charge_step(Role::Client, 1)), Some(Role::Client)),
            (format!("dispute:c-1:m-1#2/{}", charge_step(Role::Freelancer, 20)), Some(Role::Freelancer)),
            (format!("dispute:c-1/{}", return_step(Role::Freelancer)), Some(Role::Freelancer)),
            ("dispute:c-1/release".to_owned(), None),
            ("dispute:c-1/refund:fee".to_owned(), None),
            ("fee:client:1".to_owned(), None),
        ] {
            assert_eq!(share_of(&id), party, "{id}");
        }
    }
}
