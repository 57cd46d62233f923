//! Whether a start opens a case, by facts that only the ledger knows (E1, E14, R1, R2, R5, R6, D1, P1, P4).
//!
//! The effect judges the start in the transaction that takes the escrow: a refused start takes nothing, gets no number
//! (L8), and leaves nothing in the ledger.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    claim::{Grounds, check_claimed},
    ids::{Id, PaymentId},
    money::{Amount, Currency},
    party::{Actor, Contract, Role},
    policy::Policy,
    rule::Rule,
};

/// The parts of a start that the ledger's facts can refuse.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "asked", rename_all = "snake_case")]
pub enum StartRequest {
    /// Nothing to judge: the order is from a build that judged starts in the workflow.
    #[default]
    Nothing,
    /// The freelancer submits a milestone. The code that takes its escrow judges whether it can be reviewed (E3, E13).
    Review,
    /// The contract ends.
    End {
        /// What the client pays at once.
        pay_now: Amount,
    },
    /// The freelancer claims.
    Claim(ClaimRequest),
    /// The client asks for a payment back.
    Return {
        /// The payment.
        payment: PaymentId,
        /// How much.
        amount: Amount,
        /// When it was released, as far as the client knows.
        released_at: Timestamp,
        /// The policy of the case.
        policy: Box<Policy>,
    },
}

/// A claim that a start files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// The grounds of the dispute.
    pub grounds: Grounds,
    /// The milestone, on an active contract.
    pub milestone: Option<Id>,
    /// How much.
    pub amount: Amount,
    /// The person of the platform who attests that the milestone was submitted, though the ledger does not know it (D1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested_by: Option<Actor>,
    /// What else is wrong with the claim, independent of the held amount (R5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfit: Option<String>,
}

/// The ledger's facts for a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<'a> {
    /// What the case would hold.
    pub held: Amount,
    /// The other cases that hold a part of the same escrow, in words.
    pub elsewhere: Option<&'a str>,
    /// Whether the claim has its ground, or a case with that ground filed the claim (D1).
    pub grounded: bool,
    /// For a request for a payment: how much of the payment is left, and when it was released.
    pub payment: Option<(Amount, Timestamp)>,
}

impl StartRequest {
    /// Why this start does not open a case, with the rule.
    pub fn refusal(&self, contract: &Contract, known: Known<'_>, now: Timestamp) -> Option<(Rule, String)> {
        match self {
            Self::Nothing | Self::Review => None,
            Self::End { pay_now } => refusal_of_end(contract, *pay_now, known.held, known.elsewhere),
            Self::Claim(claim) => claim.refusal(contract, known),
            Self::Return { payment, amount, released_at, policy } => {
                let (left, released) = known.payment?;
                let asked = Asking { payment, amount: *amount, policy };
                asked.refusal(left, released.min(*released_at), contract.currency, now)
            }
        }
    }
}

impl ClaimRequest {
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
            return Some((Rule::D1, no_ground(self.grounds, contract, self.milestone.as_ref())));
        }
        refusal_of_claim(self.grounds, self.milestone.as_ref(), known.held, known.elsewhere).or_else(|| {
            let fits = check_claimed(self.amount, known.held, contract.currency);
            let unfit = fits.err().or_else(|| self.unfit.clone())?;
            Some((Rule::R5, format!("claim.{unfit}")))
        })
    }
}

/// Why a contract's end is refused: no escrow is free (R1), or less than the client wants to pay (R2).
pub(super) fn refusal_of_end(
    contract: &Contract,
    pay_now: Amount,
    held: Amount,
    elsewhere: Option<&str>,
) -> Option<(Rule, String)> {
    if let (true, Some(elsewhere)) = (held.is_zero(), elsewhere) {
        let reason = format!("nothing of the escrow is free: {elsewhere}, and what is held there is decided there");
        return Some((Rule::R1, reason));
    }
    let currency = contract.currency;
    (pay_now > held).then(|| {
        let reason = format!(
            "pay_now: {} is more than the {} held for contract {}",
            currency.show(pay_now),
            currency.show(held),
            contract.id
        );
        (Rule::R2, reason)
    })
}

/// Why a claim with its ground still opens no case: another case holds the money (R6), or there is no money (D1).
pub(super) fn refusal_of_claim(
    grounds: Grounds,
    milestone: Option<&Id>,
    held: Amount,
    elsewhere: Option<&str>,
) -> Option<(Rule, String)> {
    if let (Some(elsewhere), Grounds::RefundRequest) = (elsewhere, grounds) {
        return Some((Rule::R6, format!("{elsewhere}; dispute what is held there in that case")));
    }
    if !held.is_zero() || !grounds.is_active() {
        return None;
    }
    let milestone = milestone.map(ToString::to_string).unwrap_or_default();
    let nothing = match grounds {
        Grounds::PartialRelease => format!("nothing that was held over from milestone {milestone} is there any more"),
        _ => format!("nothing is in escrow for milestone {milestone} outside a case"),
    };
    let reason = match elsewhere {
        Some(elsewhere) => format!("{nothing} ({elsewhere}); dispute what is held in a case there"),
        None => nothing,
    };
    Some((Rule::D1, reason))
}

/// What a dispute on these grounds lacks, and what to do (D1).
pub(super) fn no_ground(grounds: Grounds, contract: &Contract, milestone: Option<&Id>) -> String {
    let (contract, milestone) = (&contract.id, milestone.map(ToString::to_string).unwrap_or_default());
    match grounds {
        Grounds::RefundRequest => format!(
            "grounds: contract {contract} has not ended, so no refund was requested that could be disputed; \
             submit the milestone, and dispute if it is not released"
        ),
        Grounds::NonRelease => format!(
            "grounds: no submission of milestone {milestone} is known, or it was superseded; submit it first. If it was \
             submitted elsewhere, the platform files the dispute and attests that (`attested_by`)"
        ),
        Grounds::PartialRelease => {
            format!("grounds: nothing of milestone {milestone} was released in part and held over")
        }
    }
}

/// A request for a payment, with the facts about the payment that can refuse it.
pub(super) struct Asking<'a> {
    pub payment: &'a PaymentId,
    pub amount: Amount,
    pub policy: &'a Policy,
}

impl Asking<'_> {
    /// Why the request is refused: it is too late (P1), or for more than is left (P4).
    pub fn refusal(
        &self,
        left: Amount,
        released_at: Timestamp,
        currency: Currency,
        now: Timestamp,
    ) -> Option<(Rule, String)> {
        let limit = self.policy.deadline(self.policy.payment_refund, released_at);
        if now >= limit {
            let reason = format!(
                "payment {} was released at {released_at}, and money could be asked back for {} (until {limit})",
                self.payment, self.policy.payment_refund
            );
            return Some((Rule::P1, reason));
        }
        (self.amount > left).then(|| {
            let (asked, left) = (currency.show(self.amount), currency.show(left));
            (Rule::P4, format!("amount: {asked} is more than the {left} that is left of payment {}", self.payment))
        })
    }
}
