//! A split of held escrow between freelancer and client (M3, M7, A5).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::money::{Amount, Currency};

/// Two parts that add up to what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Split {
    /// The freelancer's part.
    pub to_freelancer: Amount,
    /// The client's part.
    pub to_client: Amount,
}

/// Why this split is impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("to_freelancer: {} is more than the {} held", currency.show(*to_freelancer), currency.show(*held))]
pub struct ExceedsHeld {
    to_freelancer: Amount,
    held: Amount,
    currency: Currency,
}

impl Split {
    /// Splits `held`: the freelancer gets `to_freelancer` and the client the remainder, so the parts always add up.
    ///
    /// # Errors
    /// [`ExceedsHeld`] if `to_freelancer` is more than `held`. Nothing has moved; ask for another split.
    pub fn of(held: Amount, to_freelancer: Amount, currency: Currency) -> Result<Self, ExceedsHeld> {
        match held.minus(to_freelancer) {
            Some(to_client) => Ok(Self { to_freelancer, to_client }),
            None => Err(ExceedsHeld { to_freelancer, held, currency }),
        }
    }

    /// Everything to the freelancer.
    pub const fn all_to_freelancer(held: Amount) -> Self {
        Self { to_freelancer: held, to_client: Amount::ZERO }
    }

    /// Everything back to the client.
    pub const fn all_to_client(held: Amount) -> Self {
        Self { to_freelancer: Amount::ZERO, to_client: held }
    }
}
