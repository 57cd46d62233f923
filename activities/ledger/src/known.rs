//! A deposit as it is asked for, and what the ledger knows of it.

use jiff::Timestamp;
use recourse_domain::{ids::Id, money::Amount, party::Contract, rule::Rule};

/// A deposit that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// The id that the client gave it.
    pub id: Id,
    /// Whose escrow it goes to.
    pub contract: Contract,
    /// The milestone that it is for, if there is one.
    pub milestone: Option<Id>,
    /// The billing method.
    pub source: Id,
    /// The payment provider's key of the charge, and the id of the posting.
    pub charge: String,
    /// How much goes in escrow for it, from whichever place.
    pub amount: Amount,
    /// The workflow id.
    pub case: String,
    /// When, in the case's time.
    pub at: Timestamp,
}

/// What the ledger knows of a deposit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It may be made: this much must be charged, and reserved held-over money covers the rest.
    New {
        /// How much to charge.
        to_charge: Amount,
    },
    /// It was made; the escrow held this much right after it.
    Made {
        /// What was charged.
        charged: Amount,
        /// What held-over money covered.
        from_held: Amount,
        /// What the escrow held then.
        held: Amount,
    },
    /// It was for a milestone, and was declined.
    Declined {
        /// Why, in words.
        reason: String,
    },
    /// Its id belongs to another deposit.
    Other {
        /// Why, in words.
        reason: String,
    },
    /// It was not made, and its contract's first deposit named another client, freelancer, agency or currency (E1).
    OtherContract {
        /// Why, in words.
        reason: String,
    },
    /// A rule forbids it, and it was not made (E1, E14, E15).
    Refused {
        /// The rule.
        rule: Rule,
        /// Why, in words.
        reason: String,
    },
}
