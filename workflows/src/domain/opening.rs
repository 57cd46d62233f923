//! Whether a start opens a case, by what only the ledger knows (E1, E14, R1, R2, R5, R6, D1, P1, P4).
//!
//! It is judged where the escrow is taken, in the same transaction: a start that is refused takes nothing, gets no number
//! (L8), and leaves nothing behind.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    claim::check_claimed,
    dispute::{self, Grounds},
    ids::{Id, PaymentId},
    money::Amount,
    party::{Actor, Contract, Role},
    payment_refund,
    policy::Policy,
    refund_request,
    rule::Rule,
};

/// What a start asks for, as far as the ledger's knowledge decides about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "asked", rename_all = "snake_case")]
pub enum Asked {
    /// Nothing is judged: it was ordered by a build that judged starts in the workflow.
    #[default]
    Nothing,
    /// The freelancer submits a milestone. Whether it can be reviewed is judged where it is taken (E3, E13).
    Review,
    /// The contract ends.
    End {
        /// What the client pays at once.
        pay_now: Amount,
    },
    /// The freelancer claims.
    Claim(AskedClaim),
    /// The client asks a payment back.
    Return {
        /// Which.
        payment: PaymentId,
        /// How much.
        amount: Amount,
        /// When it was released, as far as the client knows.
        released_at: Timestamp,
        /// The policy of the case.
        policy: Box<Policy>,
    },
}

/// A claim that is to be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedClaim {
    /// What it is about.
    pub grounds: Grounds,
    /// The milestone, on an active contract.
    pub milestone: Option<Id>,
    /// How much.
    pub amount: Amount,
    /// Who of the platform says that the milestone was submitted, though the ledger does not know it (D1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested_by: Option<Actor>,
    /// What else is wrong with the claim, whatever is held (R5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfit: Option<String>,
}

/// What the ledger knows of what a start asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<'a> {
    /// What the case would hold.
    pub held: Amount,
    /// Which other cases hold something of the same escrow, in words.
    pub elsewhere: Option<&'a str>,
    /// Whether a claim has its ground, or grew out of a case that had it (D1).
    pub grounded: bool,
    /// Of a payment that is asked back: how much is left of it, and when it was released.
    pub payment: Option<(Amount, Timestamp)>,
}

impl Asked {
    /// Why this start does not open a case, with the rule.
    pub fn refusal(&self, contract: &Contract, known: Known<'_>, now: Timestamp) -> Option<(Rule, String)> {
        match self {
            Self::Nothing | Self::Review => None,
            Self::End { pay_now } => refund_request::refusal_of_end(contract, *pay_now, known.held, known.elsewhere),
            Self::Claim(claim) => claim.refusal(contract, known),
            Self::Return { payment, amount, released_at, policy } => {
                let (left, released) = known.payment?;
                let asked = payment_refund::Asking { payment, amount: *amount, policy };
                asked.refusal(left, released.min(*released_at), contract.currency, now)
            }
        }
    }
}

impl AskedClaim {
    fn refusal(&self, contract: &Contract, known: Known<'_>) -> Option<(Rule, String)> {
        if let Some(by) = &self.attested_by {
            if by.party != Role::Operator {
                let reason =
                    format!("attested_by: only the platform attests a submission, as operator, not a {}", by.party);
                return Some((Rule::D1, reason));
            }
            if contract.has_party(&by.id) {
                return Some((Rule::E14, format!("attested_by: {} is a party of contract {}", by.id, contract.id)));
            }
        }
        if !known.grounded && self.attested_by.is_none() {
            return Some((Rule::D1, dispute::no_ground(self.grounds, contract, self.milestone.as_ref())));
        }
        dispute::refusal_of_claim(self.grounds, self.milestone.as_ref(), known.held, known.elsewhere).or_else(|| {
            let fits = check_claimed(self.amount, known.held, contract.currency);
            let unfit = fits.err().or_else(|| self.unfit.clone())?;
            Some((Rule::R5, format!("claim.{unfit}")))
        })
    }
}
