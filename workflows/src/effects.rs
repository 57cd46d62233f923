//! The declared side effects: the only door from a case to the world.
//!
//! Each is an activity that the `activities` crate implements; a type that differs there does not compile. Every
//! effect may be run any number of times and acts once: its ids derive from the case and the step (L2, L6, N2).
//! Nothing here decides anything: an effect gets what was decided, or reads what is there.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{
    ids::Id,
    money::Amount,
    notice::Notice,
    party::{Contract, Role},
    posting::{FundedDeposit, Movement},
};

/// Takes the contract's free escrow for one case (L3): what no other open case holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCase {
    /// The workflow id.
    pub case: String,
    /// What tells this case from an earlier one with the same id: the run that began it, the same after a reset.
    pub first_run: String,
    /// The contract whose escrow it is.
    pub contract: Contract,
    /// The case whose hold passes on to this one: a dispute takes over from its refund request.
    pub take_over: Option<String>,
    /// When, in the case's time.
    pub at: Timestamp,
}

/// What a case holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedCase {
    /// What this case's postings and charges are named by: the workflow id, or `{workflow id}#2` for a second case
    /// with the same id.
    pub case_ref: String,
    /// How much it holds.
    pub held: Amount,
    /// The contract's deposits in the order in which they were made, with what is left of each.
    pub deposits: Vec<FundedDeposit>,
    /// What other cases hold of the same contract's escrow, where it is more than nothing.
    #[serde(default)]
    pub others: Vec<HeldByOther>,
}

/// What another case holds of the same contract's escrow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldByOther {
    /// What the other case's postings are named by.
    pub case_ref: String,
    /// How much it holds.
    pub amount: Amount,
}

/// What came of an [`OpenCase`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "open", rename_all = "snake_case")]
pub enum OpenReceipt {
    /// The case holds its part of the escrow.
    Opened(OpenedCase),
    /// The contract is not the one that the money was deposited for: another client, freelancer, agency or currency (E1).
    /// Nothing is held.
    Conflict {
        /// What differs.
        reason: String,
    },
}

/// Charges a billing method and puts the money in escrow (E2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositOrder {
    /// The workflow id.
    pub case: String,
    /// The contract.
    pub contract: Contract,
    /// The deposit.
    pub deposit: Id,
    /// The milestone it is for; nothing for the whole contract.
    pub milestone: Option<Id>,
    /// How much.
    pub amount: Amount,
    /// The billing method.
    pub source: Id,
    /// When, in the case's time.
    pub at: Timestamp,
}

/// What came of a [`DepositOrder`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deposit", rename_all = "snake_case")]
pub enum DepositReceipt {
    /// The money is in escrow.
    Deposited {
        /// What was charged.
        charged: Amount,
        /// What held-over money paid for (E6).
        from_held: Amount,
        /// The contract's escrow now.
        held: Amount,
    },
    /// The billing method declined; nothing was deposited.
    Declined {
        /// The payment provider's reason.
        reason: String,
    },
    /// A deposit with this id was made before, with other content. Nothing was charged.
    Conflict {
        /// What differs.
        reason: String,
    },
}

/// Moves money as decided, each movement once (R7, L2, L6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The workflow id.
    pub case: String,
    /// What the case's postings are named by; see [`OpenedCase::case_ref`].
    pub case_ref: String,
    /// The contract whose escrow the money is in.
    pub contract: Contract,
    /// What to move, in this order.
    pub movements: Vec<Movement>,
    /// Whether the case needs its hold no longer. What is left of it becomes free escrow.
    pub close: bool,
    /// When it was decided, in the case's time.
    pub at: Timestamp,
}

/// What came of a [`Settlement`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The ids of the postings.
    pub postings: Vec<String>,
}

/// Charges a party's share of the arbitration fee (A1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeOrder {
    /// The workflow id.
    pub case: String,
    /// What the case's postings are named by; see [`OpenedCase::case_ref`].
    pub case_ref: String,
    /// The contract.
    pub contract: Contract,
    /// Which party pays.
    pub party: Role,
    /// The billing method.
    pub source: Id,
    /// What makes the charge and the posting unique within the case.
    pub step: String,
    /// How much.
    pub amount: Amount,
    /// When it was demanded, in the case's time.
    pub at: Timestamp,
}

/// What came of a [`FeeOrder`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fee", rename_all = "snake_case")]
pub enum FeeReceipt {
    /// The share is paid.
    Paid {
        /// The payment provider's key of the charge, to refund against.
        charge: String,
    },
    /// The share could not be charged; it counts as not paid (A1).
    Declined {
        /// The payment provider's reason.
        reason: String,
    },
}

/// Tells people (N1–N3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tell {
    /// The workflow id.
    pub case: String,
    /// What the notices are named by; see [`OpenedCase::case_ref`].
    pub case_ref: String,
    /// The contract and with it names and addresses.
    pub contract: Contract,
    /// What to tell whom.
    pub notices: Vec<Notice>,
    /// When it happened, in the case's time.
    pub at: Timestamp,
}

/// What came of a [`Tell`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// How many notices are stored; emails among them are queued and sent when their channel is up (N3).
    pub stored: u32,
}

pub use declared::{ChargeFeeDef, DepositDef, Escrow, Notices, OpenDef, SettleDef, TellDef};

/// The declarations that the SDK's macro makes activity types of. What runs is in the `activities` crate.
mod declared {
    #![allow(
        missing_docs,
        clippy::unimplemented,
        clippy::needless_pass_by_value,
        reason = "the macro wants exactly this form"
    )]

    use temporalio_common::ActivityError;
    use temporalio_macros::activity_definitions;

    use super::{
        DepositOrder, DepositReceipt, FeeOrder, FeeReceipt, OpenCase, OpenReceipt, Settled, Settlement, Tell, Told,
    };

    /// The money's side.
    pub struct Escrow;

    #[activity_definitions]
    impl Escrow {
        #[activity(name = "Escrow.open")]
        pub fn open(_: OpenCase) -> Result<OpenReceipt, ActivityError> {
            unimplemented!()
        }

        #[activity(name = "Escrow.deposit")]
        pub fn deposit(_: DepositOrder) -> Result<DepositReceipt, ActivityError> {
            unimplemented!()
        }

        #[activity(name = "Escrow.settle")]
        pub fn settle(_: Settlement) -> Result<Settled, ActivityError> {
            unimplemented!()
        }

        #[activity(name = "Escrow.charge_fee")]
        pub fn charge_fee(_: FeeOrder) -> Result<FeeReceipt, ActivityError> {
            unimplemented!()
        }
    }

    /// The people's side.
    pub struct Notices;

    #[activity_definitions]
    impl Notices {
        #[activity(name = "Notices.tell")]
        pub fn tell(_: Tell) -> Result<Told, ActivityError> {
            unimplemented!()
        }
    }

    pub use escrow::{ChargeFee as ChargeFeeDef, Deposit as DepositDef, Open as OpenDef, Settle as SettleDef};
    pub use notices::Tell as TellDef;
}
