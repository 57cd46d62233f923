//! What a case orders outside, and in which sequence. No other place says this.
//!
//! A driver asks the case what comes [`Next`], carries it out, gives the case what was [`Done`], and asks again until the case
//! is over. The workflows use activities and child workflows for this; the model in the tests uses a small ledger.

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
    /// The case waits for a command, silence or an alarm.
    Wait,
    /// Move this money while the case continues (R2). The case gets no result of it.
    PayBeside(Movement),
    /// Carry out these orders at the same time.
    Do(Vec<Order>),
    /// Nothing: the case is over.
    Over,
}

/// A case's request for something outside the case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Post the decided movements, and give up the hold (L3).
    Settle {
        /// The movements.
        movements: Vec<Movement>,
        /// How the case gives up its hold, if it has one.
        close: Option<Close>,
    },
    /// Charge a party's share of the arbitration fee (A1).
    ChargeFee(FeeDue),
    /// Charge a bonus and pay it on (E7).
    PayBonus(BonusDue),
    /// Take this amount of a payment back from the freelancer (P2, P4).
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

/// The result of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The money has moved.
    Settled,
    /// A share of the fee was charged under this key of the payment provider, or declined with its reason (A1).
    Fee {
        /// The party.
        party: Role,
        /// The result.
        charged: Result<String, String>,
    },
    /// The bonus was charged and paid on, or declined with the payment provider's reason (E7).
    Bonus {
        /// How much.
        amount: Amount,
        /// The result.
        charged: Result<(), String>,
    },
    /// This amount is on its way back (P2).
    Returned(Amount),
    /// The freelancer's balance does not cover the return: this much of it is available (P4).
    NotCovered(Amount),
    /// How the dispute ended, or why it has no outcome.
    Disputed(Result<Outcome, String>),
}

impl Next {
    /// The order that settles the case, if there is money to move or a hold to give up.
    pub(crate) fn settle(movements: Vec<Movement>, close: Option<Close>) -> Option<Self> {
        (!movements.is_empty() || close.is_some()).then(|| Self::Do(vec![Order::Settle { movements, close }]))
    }
}
