//! The orders to move or hold money, and their receipts.

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

/// Takes escrow for one case (L3), never money that another open case holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCase {
    /// The workflow id.
    pub case: String,
    /// The run that began this case. It distinguishes this case from an earlier one with the same id, and a reset keeps it.
    pub first_run: String,
    /// The contract with the escrow.
    pub contract: Contract,
    /// What the case is about.
    pub take: HoldRequest,
    /// What the start asks for. The effect judges it with the ledger's facts.
    #[serde(default)]
    pub asked: StartRequest,
    /// When, in the case's time.
    pub at: Timestamp,
}

/// What a case takes of a contract's escrow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "take", rename_all = "snake_case")]
pub enum HoldRequest {
    /// The escrow that no case holds and that is for no milestone: for a dispute of a contract that ended outside Recourse
    /// (D1).
    Free,
    /// At the contract's end: all escrow that no case holds, whatever it is for. Running reviews must give up their holds
    /// (E11).
    AtContractEnd {
        /// The reviews that know that they are superseded, by their [`RunningReview::case_ref`]. The effect waits for
        /// their holds.
        told: Vec<String>,
        /// The reviews without a workflow, which cannot get the command. They keep their holds.
        gone: Vec<String>,
    },
    /// The whole hold of another case: this case takes it over. That closes a refund request's hold. A milestone's review
    /// stays open and holds nothing.
    Over {
        /// The other case's workflow id.
        case: String,
    },
    /// A milestone's amount, for a review: from the milestone's own escrow, then the whole contract's, then money held over
    /// (E13).
    Milestone {
        /// The milestone.
        milestone: Id,
        /// Its place in the contract, from 1.
        ordinal: u32,
        /// Its amount.
        amount: Amount,
    },
    /// The rest of a milestone that was released in part, less what a deposit drew on (E6, D1).
    HeldOver {
        /// The milestone.
        milestone: Id,
    },
    /// The escrow of a milestone that Recourse does not review: the milestone's own escrow, or the claimed amount of the
    /// whole contract's escrow (D1).
    Unreviewed {
        /// The milestone.
        milestone: Id,
        /// What is claimed.
        claim: Amount,
    },
    /// No escrow: the case is about a payment (P1).
    Payment {
        /// The id of its posting.
        payment: PaymentId,
    },
}

/// What a case holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedCase {
    /// The name that begins the ids of this case's postings and charges: the workflow id, or `{workflow id}#2` for a
    /// second case with the same id.
    pub case_ref: String,
    /// How much it holds.
    pub held: Amount,
    /// The contract's deposits in the order in which they were made, with what is left of each.
    pub deposits: Vec<FundedDeposit>,
    /// The other cases that hold more than 0 of the same contract's escrow.
    #[serde(default)]
    pub others: Vec<HeldByOther>,
    /// The payment that the case is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaidOut>,
    /// The generation of the rules under which the case opened. 0 in receipts from before generations were counted.
    #[serde(default)]
    pub rules: u32,
}

/// A payment as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaidOut {
    /// How much was paid.
    pub amount: Amount,
    /// How much of it was returned, or is on its way back.
    pub returned: Amount,
    /// When it was paid, in the time of the case that paid it.
    pub released_at: Timestamp,
}

/// What another case holds of the same contract's escrow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldByOther {
    /// The name that begins the ids of the other case's postings.
    pub case_ref: String,
    /// How much it holds.
    pub amount: Amount,
}

/// A review that has not closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningReview {
    /// The workflow id.
    pub case: String,
    /// The name that distinguishes it from another review with the same id; see [`OpenedCase::case_ref`].
    pub case_ref: String,
}

/// The result of an [`OpenCase`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "open", rename_all = "snake_case")]
pub enum OpenReceipt {
    /// The case holds its part of the escrow.
    Opened(OpenedCase),
    /// Reviews of the contract's milestones are running, and do not know that it ends. The case holds nothing. If the
    /// contract may end, the workflow tells the reviews and orders this again (E11).
    ReviewsRunning {
        /// The reviews.
        reviews: Vec<RunningReview>,
        /// What the contract's end would hold after the reviews give up their holds.
        could_hold: Amount,
        /// The holds that other cases keep.
        others: Vec<HeldByOther>,
    },
    /// The milestone cannot be reviewed. The case holds nothing (E3, E13).
    NotReviewable(NotReviewable),
    /// The contract has no such payment (P1).
    NoSuchPayment,
    /// A rule forbids the start. No case has begun and none holds anything (L8).
    Refused {
        /// The rule.
        rule: Rule,
        /// The reason.
        reason: String,
        /// What the case would have held. It stays in escrow.
        held: Amount,
    },
    /// The contract differs from the one in the ledger: another client, freelancer, agency or currency (E1). The case holds
    /// nothing.
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

/// The result of a [`DepositOrder`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deposit", rename_all = "snake_case")]
pub enum DepositReceipt {
    /// The money is in escrow.
    Deposited {
        /// What was charged.
        charged: Amount,
        /// How much it drew on held-over money (E6).
        from_held: Amount,
        /// The contract's escrow now.
        held: Amount,
    },
    /// The billing method declined; nothing was deposited.
    Declined {
        /// The payment provider's reason.
        reason: String,
    },
    /// An earlier deposit has this id and other content. Nothing was charged.
    Conflict {
        /// What differs.
        reason: String,
    },
    /// A rule forbids it. Nothing was charged, or the charge is on its way back (E14, E15).
    Refused {
        /// The rule.
        rule: Rule,
        /// The reason.
        reason: String,
    },
}

/// Posts the movements of a decision, each once (R7, L2, L6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The workflow id.
    pub case: String,
    /// The name that begins the ids of the case's postings; see [`OpenedCase::case_ref`].
    pub case_ref: String,
    /// The contract whose escrow the money is in.
    pub contract: Contract,
    /// What to move, in this order.
    pub movements: Vec<Movement>,
    /// How the case gives up its hold, if it no longer needs it.
    pub close: Option<Close>,
    /// When it was decided, in the case's time.
    pub at: Timestamp,
}

/// The result of a [`Settlement`].
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
    /// The name that begins the ids of the case's postings; see [`OpenedCase::case_ref`].
    pub case_ref: String,
    /// The contract.
    pub contract: Contract,
    /// Which party pays.
    pub party: Role,
    /// The billing method.
    pub source: Id,
    /// The step: it makes the charge and the posting unique within the case.
    pub step: String,
    /// How much.
    pub amount: Amount,
    /// When it was demanded, in the case's time.
    pub at: Timestamp,
}

/// The result of a [`FeeOrder`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fee", rename_all = "snake_case")]
pub enum FeeReceipt {
    /// The share is paid.
    Paid {
        /// The payment provider's key of the charge, for a refund.
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
    /// The name that begins the ids of the case's postings; see [`OpenedCase::case_ref`].
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

/// The result of a [`BonusOrder`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "bonus", rename_all = "snake_case")]
pub enum BonusReceipt {
    /// The bonus is paid, as the posting `{case_ref}/bonus`.
    Paid,
    /// The bonus could not be charged.
    Declined {
        /// The payment provider's reason.
        reason: String,
    },
}

/// Takes a payment back from the freelancer, and returns it to the billing methods that paid it (P2, P4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnOrder {
    /// The workflow id.
    pub case: String,
    /// The name that begins the ids of the case's postings; see [`OpenedCase::case_ref`].
    pub case_ref: String,
    /// The contract.
    pub contract: Contract,
    /// The id of the payment's posting.
    pub payment: PaymentId,
    /// The step: it makes the postings unique within the case.
    pub step: String,
    /// How much.
    pub amount: Amount,
    /// When it should have settled (R8).
    pub expected_by: Timestamp,
    /// When it was agreed, in the case's time.
    pub at: Timestamp,
}

/// The result of a [`ReturnOrder`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "return", rename_all = "snake_case")]
pub enum ReturnReceipt {
    /// The money is on its way back.
    Returned,
    /// The amount is more than is left of the payment, or more than the freelancer's balance (P4). Nothing has moved.
    NotCovered {
        /// How much could be returned.
        available: Amount,
    },
}
