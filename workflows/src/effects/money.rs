//! What is ordered of the escrow, and what comes back.

use jiff::Timestamp;
use recourse_domain::{
    ids::{Id, PaymentId},
    milestone::NotReviewable,
    money::Amount,
    opening::StartRequest,
    party::{Contract, Role},
    posting::{Close, FundedDeposit, Movement},
    rule::Rule,
};
use serde::{Deserialize, Serialize};

/// Takes escrow for one case (L3): never what another open case holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCase {
    /// The workflow id.
    pub case: String,
    /// What tells this case from an earlier one with the same id: the run that began it, the same after a reset.
    pub first_run: String,
    /// The contract whose escrow it is.
    pub contract: Contract,
    /// What the case is about.
    pub take: HoldRequest,
    /// What the start asks for, to be judged with what the ledger knows.
    #[serde(default)]
    pub asked: StartRequest,
    /// When, in the case's time.
    pub at: Timestamp,
}

/// What a case takes of a contract's escrow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "take", rename_all = "snake_case")]
pub enum HoldRequest {
    /// What no case holds and no milestone was funded with: a dispute of a contract whose end is conducted elsewhere (D1).
    Free,
    /// Everything that no case holds, whatever it is for, at the contract's end, which running reviews have to let go for
    /// (E11).
    AtContractEnd {
        /// The reviews that were told that they are superseded, by their [`RunningReview::case_ref`]: what they hold is
        /// waited for.
        told: Vec<String>,
        /// The reviews that could not be told, because their workflow is gone: what they hold is left to them.
        gone: Vec<String>,
    },
    /// The whole hold of another case, which this one takes over from. A refund request is over with that; a review stays
    /// under review and holds nothing.
    Over {
        /// The other case's workflow id.
        case: String,
    },
    /// A milestone's amount, to be reviewed: of what is there for it, then for the whole contract, then held over (E13).
    Milestone {
        /// The milestone.
        milestone: Id,
        /// Its place in the contract, from 1.
        ordinal: u32,
        /// Its amount.
        amount: Amount,
    },
    /// What is left of a milestone that was released in part, as far as nobody drew on it (E6, D1).
    HeldOver {
        /// The milestone.
        milestone: Id,
    },
    /// The escrow of a milestone that is not reviewed here: what is there for it, or the claimed amount of what is there
    /// for the whole contract (D1).
    Unreviewed {
        /// The milestone.
        milestone: Id,
        /// What is claimed.
        claim: Amount,
    },
    /// No escrow: the case is about a payment that was released (P1).
    Payment {
        /// The id of its posting.
        payment: PaymentId,
    },
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
    /// The payment that the case is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaidOut>,
    /// The generation of the rules that the case is opened under; nothing in what was answered before they were counted.
    #[serde(default)]
    pub rules: u32,
}

/// A payment as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaidOut {
    /// How much was paid.
    pub amount: Amount,
    /// What of it was returned, or is on its way back.
    pub returned: Amount,
    /// When it was paid, in the time of the case that paid it.
    pub released_at: Timestamp,
}

/// What another case holds of the same contract's escrow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldByOther {
    /// What the other case's postings are named by.
    pub case_ref: String,
    /// How much it holds.
    pub amount: Amount,
}

/// A review that has not closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningReview {
    /// The workflow id.
    pub case: String,
    /// What tells it from another review with the same id; see [`OpenedCase::case_ref`].
    pub case_ref: String,
}

/// What came of an [`OpenCase`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "open", rename_all = "snake_case")]
pub enum OpenReceipt {
    /// The case holds its part of the escrow.
    Opened(OpenedCase),
    /// Reviews of the contract's milestones are running, and have not been told that it ends. Nothing is held; if the
    /// contract may end, tell them, and ask again (E11).
    ReviewsRunning {
        /// Which.
        reviews: Vec<RunningReview>,
        /// What the contract's end would hold, once they have let go.
        could_hold: Amount,
        /// What other cases hold, which they keep.
        others: Vec<HeldByOther>,
    },
    /// The milestone cannot be reviewed. Nothing is held (E3, E13).
    NotReviewable(NotReviewable),
    /// The contract has no such payment (P1).
    NoSuchPayment,
    /// A rule forbids the start. Nothing is held, and no case has begun (L8).
    Refused {
        /// Which rule.
        rule: Rule,
        /// Why.
        reason: String,
        /// What the case would have held; it stays in escrow.
        held: Amount,
    },
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
    /// A rule forbids it. Nothing was charged, or what was is on its way back (E14, E15).
    Refused {
        /// Which rule.
        rule: Rule,
        /// Why.
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
    /// How the case lets go of what it holds, if it needs its hold no longer.
    pub close: Option<Close>,
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

/// Charges a bonus and pays it on (E7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BonusOrder {
    /// The workflow id.
    pub case: String,
    /// What the case's postings are named by; see [`OpenedCase::case_ref`].
    pub case_ref: String,
    /// The contract.
    pub contract: Contract,
    /// The billing method.
    pub source: Id,
    /// How much.
    pub amount: Amount,
    /// When the security period is over (E9).
    pub available_at: Timestamp,
    /// When it was approved, in the case's time.
    pub at: Timestamp,
}

/// What came of a [`BonusOrder`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "bonus", rename_all = "snake_case")]
pub enum BonusReceipt {
    /// It is paid, as the posting `{case_ref}/bonus`.
    Paid,
    /// It could not be charged.
    Declined {
        /// The payment provider's reason.
        reason: String,
    },
}

/// Takes a payment back from the freelancer, and gives it to where it was charged (P2, P4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnOrder {
    /// The workflow id.
    pub case: String,
    /// What the case's postings are named by; see [`OpenedCase::case_ref`].
    pub case_ref: String,
    /// The contract.
    pub contract: Contract,
    /// The id of the payment's posting.
    pub payment: PaymentId,
    /// What makes the postings unique within the case.
    pub step: String,
    /// How much.
    pub amount: Amount,
    /// When it should have settled (R8).
    pub expected_by: Timestamp,
    /// When it was agreed, in the case's time.
    pub at: Timestamp,
}

/// What came of a [`ReturnOrder`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "return", rename_all = "snake_case")]
pub enum ReturnReceipt {
    /// The money is on its way back.
    Returned,
    /// It is more than is left of the payment, or than the freelancer has (P4). Nothing has moved.
    NotCovered {
        /// How much could be returned.
        available: Amount,
    },
}
