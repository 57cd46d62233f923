//! What a case needs from outside, and in which order: the one place that says it.
//!
//! Whoever drives a case asks it what comes [`Next`], does it, hands back what was [`Done`] and asks again, until the case is over. The
//! workflows do so with activities and child workflows, the model on paper with a small book.

use jiff::Timestamp;

use crate::{
    fee::FeeDue,
    ids::PaymentId,
    milestone::BonusDue,
    money::Amount,
    outcome::Outcome,
    party::Role,
    posting::{Close, Movement},
    starts::DisputeStart,
};

/// What a case needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A command, silence or an alarm.
    Wait,
    /// That this money moves while the case goes on (R2). Nothing is handed back of it.
    PayBeside(Movement),
    /// That these are done, all at once.
    Do(Vec<Order>),
    /// Nothing: the case is over.
    Over,
}

/// Something that is to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Move the money as decided, and let go of what is held (L3).
    Settle {
        /// What moves.
        movements: Vec<Movement>,
        /// How the case lets go, if it has something to let go of.
        close: Option<Close>,
    },
    /// Charge a party's share of the arbitration fee (A1).
    ChargeFee(FeeDue),
    /// Charge a bonus and pay it on (E7).
    PayBonus(BonusDue),
    /// Take so much of a payment back from the freelancer (P2, P4).
    ReturnPayment {
        /// The payment.
        payment: PaymentId,
        /// How much.
        amount: Amount,
        /// When it should have reached the client (R8).
        expected_by: Timestamp,
    },
    /// Conduct the dispute as a case of its own (R6, D1).
    Dispute(Box<DisputeStart>),
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The money has moved.
    Settled,
    /// A share of the fee was charged under this key of the payment provider, or declined with its reason (A1).
    Fee {
        /// Whose.
        party: Role,
        /// What came of it.
        charged: Result<String, String>,
    },
    /// The bonus was charged and paid on, or declined with the payment provider's reason (E7).
    Bonus {
        /// How much.
        amount: Amount,
        /// What came of it.
        charged: Result<(), String>,
    },
    /// So much is on its way back (P2).
    Returned(Amount),
    /// The freelancer's balance does not cover the return: this much of it is available (P4).
    NotCovered(Amount),
    /// How the dispute ended, or why it has no outcome.
    Disputed(Result<Outcome, String>),
}

impl Next {
    /// What moves money as decided, if there is anything to move or to let go of.
    pub(crate) fn settle(movements: Vec<Movement>, close: Option<Close>) -> Option<Self> {
        (!movements.is_empty() || close.is_some()).then(|| Self::Do(vec![Order::Settle { movements, close }]))
    }
}
