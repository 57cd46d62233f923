//! Which deposits may be charged (E1, E2, E12).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ids::Id, money::Amount, outcome::Outcome, party::Contract, rule::Rule};

/// A billing method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// Its id at the payment provider.
    pub id: Id,
    /// Whether the platform has verified it. Money from an unverified one would not be protected.
    pub verified: bool,
}

/// Whether `amount` may be charged to `source` for this contract.
///
/// # Errors
/// The refused outcome, with the rule. Nothing was charged.
pub fn check(contract: &Contract, amount: Amount, source: &Source) -> Result<(), Outcome> {
    contract.check().map_err(|(rule, reason)| Outcome::refused(rule, format!("contract: {reason}")))?;
    if amount.is_zero() {
        return Err(Outcome::refused(Rule::E2, "amount: a deposit is more than 0"));
    }
    if !source.verified {
        let reason =
            format!("source: {} is not verified, so the deposit would not be protected; verify it first", source.id);
        return Err(Outcome::refused(Rule::E2, reason));
    }
    Ok(())
}
