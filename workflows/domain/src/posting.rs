//! Movements of money: accounts, kinds, and the ids that make each movement happen once (L1–L3, R7).

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ids::Id, money::Amount, party::Contract, rule::Rule};

/// A place that money is in. Money leaves the debited account and reaches the credited one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// A billing method outside: money comes from it and goes back to it, so its balance is at most 0.
    Source(Id),
    /// A contract's escrow. Never negative (L3).
    Escrow(Id),
    /// What a freelancer was paid.
    Freelancer(Id),
    /// What an agency was paid for its freelancers.
    Agency(Id),
    /// The platform's and the arbitration provider's fees.
    Fees,
    /// A contract's money that did not reach its billing method.
    Suspense(Id),
}

impl Account {
    /// The account of the contract's payee: the agency's, if there is one (E1).
    pub fn payee(contract: &Contract) -> Self {
        match &contract.freelancer.agency {
            Some(agency) => Self::Agency(agency.id.clone()),
            None => Self::Freelancer(contract.freelancer.id.clone()),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(id) => write!(f, "source:{id}"),
            Self::Escrow(id) => write!(f, "escrow:{id}"),
            Self::Freelancer(id) => write!(f, "freelancer:{id}"),
            Self::Agency(id) => write!(f, "agency:{id}"),
            Self::Fees => f.write_str("fees"),
            Self::Suspense(id) => write!(f, "suspense:{id}"),
        }
    }
}

/// The kind of a posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PostingKind {
    /// Charged into escrow.
    Deposit,
    /// From escrow to the freelancer.
    Release,
    /// Charged and paid on to the freelancer.
    Bonus,
    /// From escrow back to where it was charged.
    Refund,
    /// From the freelancer back to the client.
    Return,
    /// A share of the arbitration fee.
    Fee,
    /// A share of the arbitration fee, given back.
    FeeReturn,
    /// Moved to suspense, because it did not reach its billing method.
    ToSuspense,
    /// Taken out of suspense.
    FromSuspense,
}

impl PostingKind {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Release => "release",
            Self::Bonus => "bonus",
            Self::Refund => "refund",
            Self::Return => "return",
            Self::Fee => "fee",
            Self::FeeReturn => "fee_return",
            Self::ToSuspense => "to_suspense",
            Self::FromSuspense => "from_suspense",
        }
    }
}

/// A deposit with money that has not gone back yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FundedDeposit {
    /// The deposit.
    pub deposit: Id,
    /// The billing method that was charged.
    pub source: Id,
    /// The payment provider's key of the charge, to refund against.
    pub charge: String,
    /// How much of it was not refunded yet.
    pub left: Amount,
}

/// One movement that a decision orders. Its posting id is `{case}/{step}` (L2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "movement", rename_all = "snake_case")]
pub enum Movement {
    /// From escrow to the payee.
    Release {
        /// The step: it makes the posting's id unique within the case.
        step: String,
        /// How much.
        amount: Amount,
        /// By which rule.
        rule: Rule,
        /// When the security period is over (E9).
        available_at: Timestamp,
    },
    /// From escrow back to the billing method of one deposit (R7).
    Refund {
        /// The step: it makes the posting's id unique within the case.
        step: String,
        /// How much.
        amount: Amount,
        /// By which rule.
        rule: Rule,
        /// The deposit that charged it.
        deposit: Id,
        /// The billing method.
        source: Id,
        /// The payment provider's key of the charge.
        charge: String,
        /// When it should have settled (R8).
        expected_by: Timestamp,
    },
    /// A paid share of the arbitration fee, back to the billing method that paid it (A3).
    FeeReturn {
        /// The step: it makes the posting's id unique within the case.
        step: String,
        /// How much.
        amount: Amount,
        /// By which rule.
        rule: Rule,
        /// The billing method.
        source: Id,
        /// The payment provider's key of the charge.
        charge: String,
        /// When it should have settled (R8).
        expected_by: Timestamp,
    },
}

/// Where the rest of a case's hold goes when the case gives up the hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "remainder", rename_all = "snake_case")]
pub enum Remainder {
    /// It has the same purpose as before the case took it: its milestone, the whole contract, or held over.
    AsItWas,
    /// As it was, and the reviewed submission is superseded: it is no longer a ground for a dispute (E11, D1).
    Superseded,
    /// It is held over for the next milestone's deposit (E6).
    HeldOver {
        /// The milestone that it comes from, if the freelancer may still dispute it (D1).
        milestone: Option<Id>,
    },
    /// As it was, and as if the case had never opened: its start was refused, so the contract has not ended.
    Undone,
    /// It goes back to the case from which this case took it: a review whose dispute did not move it.
    Back {
        /// That case's workflow id.
        case: String,
    },
}

/// How a case gives up its hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Close {
    /// Where the rest of the hold goes.
    pub remainder: Remainder,
    /// Whether the case's milestone is decided, so that the freelancer may submit the next one (E3).
    pub milestone_done: bool,
}

/// A part of a returned payment, and the charge that it goes back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnLeg {
    /// The deposit that charged it; none for a bonus, which has its own charge.
    pub deposit: Option<Id>,
    /// The billing method.
    pub source: Id,
    /// The payment provider's key of the charge.
    pub charge: String,
    /// How much.
    pub amount: Amount,
}

/// The deposits that a returned payment goes back to: the oldest first, each at most what is left of it (P4).
///
/// A refund begins with the newest deposit instead (R7). Released money and escrow add up to what is left of all deposits.
/// So a return and a refund never need the same money, in any order. None if the deposits hold less than `amount`.
pub fn return_legs(deposits: &[FundedDeposit], amount: Amount) -> Option<Vec<ReturnLeg>> {
    let mut rest = amount;
    let mut legs = Vec::new();
    for from in deposits {
        let amount = from.left.min(rest);
        if amount.is_zero() {
            continue;
        }
        rest = rest.minus(amount)?;
        let FundedDeposit { deposit, source, charge, .. } = from.clone();
        legs.push(ReturnLeg { deposit: Some(deposit), source, charge, amount });
    }
    rest.is_zero().then_some(legs)
}

/// The deposits that a refund of `amount` goes back to: the newest first, each at most what is left of it (R7).
///
/// `deposits` are in the order in which they were made. None if they hold less than `amount`.
pub fn refund_legs(
    deposits: &[FundedDeposit],
    amount: Amount,
    rule: Rule,
    expected_by: Timestamp,
) -> Option<Vec<Movement>> {
    let mut rest = amount;
    let mut legs = Vec::new();
    for from in deposits.iter().rev() {
        let amount = from.left.min(rest);
        if amount.is_zero() {
            continue;
        }
        rest = rest.minus(amount)?;
        legs.push(Movement::Refund {
            step: format!("refund:{}", from.deposit),
            amount,
            rule,
            deposit: from.deposit.clone(),
            source: from.source.clone(),
            charge: from.charge.clone(),
            expected_by,
        });
    }
    rest.is_zero().then_some(legs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn funded(left: &[i64]) -> Vec<FundedDeposit> {
        left.iter()
            .enumerate()
            .map(|(index, left)| FundedDeposit {
                deposit: Id::new(&format!("d-{}", index + 1)).unwrap(),
                source: Id::new("card-1").unwrap(),
                charge: format!("charge-{}", index + 1),
                left: Amount::new(*left).unwrap(),
            })
            .collect()
    }

    fn legs(left: &[i64], amount: i64) -> Option<String> {
        let deposits = funded(left);
        let legs = refund_legs(&deposits, Amount::new(amount).unwrap(), Rule::R4, Timestamp::UNIX_EPOCH)?;
        let shown = legs.iter().map(|leg| match leg {
            Movement::Refund { deposit, amount, charge, .. } => format!("{deposit} {} of {charge}", amount.minor()),
            other => format!("{other:?}"),
        });
        Some(shown.collect::<Vec<_>>().join(", "))
    }

    /// R7: a refund uses the newest deposit first, and each leg is its own movement.
    #[test]
    fn a_refund_goes_back_to_the_newest_deposits_first() {
        assert_eq!(legs(&[100, 200], 150).as_deref(), Some("d-2 150 of charge-2"));
        assert_eq!(legs(&[100, 200], 250).as_deref(), Some("d-2 200 of charge-2, d-1 50 of charge-1"));
        assert_eq!(legs(&[100, 0, 200], 300).as_deref(), Some("d-3 200 of charge-3, d-1 100 of charge-1"));
        assert_eq!(legs(&[100], 0).as_deref(), Some(""));
        assert_eq!(legs(&[100, 200], 301), None);
    }
    /// P4: a return uses the oldest deposit first, unlike a refund, so that the two never need the same money.
    #[test]
    fn a_return_goes_back_to_the_oldest_deposits_first() {
        let legs = |left: &[i64], amount: i64| {
            let legs = return_legs(&funded(left), Amount::new(amount).unwrap())?;
            let shown = legs.iter().map(|leg| format!("{} {}", leg.charge, leg.amount.minor()));
            Some(shown.collect::<Vec<_>>().join(", "))
        };
        assert_eq!(legs(&[100, 200], 150).as_deref(), Some("charge-1 100, charge-2 50"));
        assert_eq!(legs(&[0, 200], 1).as_deref(), Some("charge-2 1"));
        assert_eq!(legs(&[100, 200], 301), None);
    }
}
