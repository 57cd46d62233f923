//! Names of contracts, parties, deposits, milestones and payments, and the workflow ids made of them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::names::names;

/// The longest id in characters. Case ids are built from two of them and must fit a workflow id.
pub const ID_LENGTH_MAX: usize = 100;

/// An id that a program outside chose: 1 to 100 of `A-Z a-z 0-9 . _ -`.
///
/// A colon would make `dispute:{contract}:{milestone}` ambiguous, and a space or a quote would spoil a list filter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Id(#[schemars(length(min = 1, max = 100), regex(pattern = r"^[A-Za-z0-9._-]+$"))] String);

/// Why a text is not an [`Id`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an id: use 1 to {ID_LENGTH_MAX} letters, digits, dots, underscores or hyphens")]
pub struct NotAnId(String);

impl Id {
    /// Takes `text` as an id.
    pub fn new(text: &str) -> Result<Self, NotAnId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if text.is_empty() || text.len() > ID_LENGTH_MAX || !text.bytes().all(allowed) {
            return Err(NotAnId(text.chars().take(ID_LENGTH_MAX).collect()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(D::Error::custom)
    }
}

/// The kind of a case; the workflow id consists of it and the contract's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaseKind {
    /// A charge into escrow.
    EscrowDeposit,
    /// The end of a contract with money in escrow.
    RefundRequest,
    /// A claim on money in escrow.
    Dispute,
    /// A submitted milestone.
    MilestoneReview,
    /// A request for money that was released.
    PaymentRefund,
}

names! {
    CaseKind:
    EscrowDeposit = "escrow_deposit",
    RefundRequest = "refund_request",
    Dispute = "dispute",
    MilestoneReview = "milestone_review",
    PaymentRefund = "payment_refund",
}

impl CaseKind {
    /// The workflow type.
    pub const fn workflow_type(self) -> &'static str {
        match self {
            Self::EscrowDeposit => "EscrowDeposit",
            Self::RefundRequest => "RefundRequest",
            Self::Dispute => "Dispute",
            Self::MilestoneReview => "MilestoneReview",
            Self::PaymentRefund => "PaymentRefund",
        }
    }
}

/// The workflow id of a deposit's case.
pub fn escrow_deposit_id(contract: &Id, deposit: &Id) -> String {
    format!("escrow-deposit:{contract}:{deposit}")
}

/// The workflow id of the case that a contract's end starts.
pub fn refund_request_id(contract: &Id) -> String {
    format!("refund-request:{contract}")
}

/// The workflow id of a dispute: of an ended contract, or of one milestone of an active one.
pub fn dispute_id(contract: &Id, milestone: Option<&Id>) -> String {
    match milestone {
        Some(milestone) => format!("dispute:{contract}:{milestone}"),
        None => format!("dispute:{contract}"),
    }
}

/// The workflow id of a milestone's review.
pub fn milestone_review_id(contract: &Id, milestone: &Id) -> String {
    format!("milestone-review:{contract}:{milestone}")
}

/// The workflow id of the request for a released payment.
pub fn payment_refund_id(payment: &PaymentId) -> String {
    format!("payment-refund:{payment}")
}

/// A case's permanent id: its workflow id, and for a later case of the same workflow id also its number (L8).
pub fn case_id(workflow_id: &str, number: u32) -> String {
    match number {
        0 | 1 => workflow_id.to_owned(),
        number => format!("{workflow_id}#{number}"),
    }
}

/// The case of a posting (L8). The posting's id begins with the case's id: the workflow id, and for a later case its number.
pub fn case_of_posting<'a>(workflow_id: &'a str, posting: &'a str) -> &'a str {
    let numbered = || {
        let rest = posting.strip_prefix(workflow_id)?.strip_prefix('#')?;
        let digits = rest.find('/').filter(|end| rest[..*end].parse::<u32>().is_ok())?;
        posting.get(..workflow_id.len() + 1 + digits)
    };
    numbered().unwrap_or(workflow_id)
}

/// The case number in `case_id`: 1 if it has none.
pub fn case_number(workflow_id: &str, case_id: &str) -> u32 {
    let number = case_id.strip_prefix(workflow_id).and_then(|rest| rest.strip_prefix('#'));
    number.and_then(|number| number.parse().ok()).unwrap_or(1)
}

/// The longest id of a payment in characters.
const PAYMENT_ID_LENGTH_MAX: usize = 400;

/// The id of a payment to a freelancer: that of its posting in the ledger, such as
/// `milestone-review:c-1:m-1/release`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct PaymentId(#[schemars(length(min = 1, max = 400), regex(pattern = r"^[A-Za-z0-9._:/#-]+$"))] String);

/// Why a text is not a [`PaymentId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a payment: give the id of a release in the ledger, as `recourse ledger --contract` shows it")]
pub struct NotAPayment(String);

impl PaymentId {
    /// Takes `text` as the id of a payment.
    pub fn new(text: &str) -> Result<Self, NotAPayment> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/#".contains(&byte);
        if text.is_empty() || text.len() > PAYMENT_ID_LENGTH_MAX || !text.bytes().all(allowed) {
            return Err(NotAPayment(text.chars().take(ID_LENGTH_MAX).collect()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PaymentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L8: a later case has its own postings, and a number within a payment's id is not the number of the request's case.
    #[test]
    fn posting_ids_name_their_case() {
        for (workflow_id, posting, case) in [
            ("dispute:c-1", "dispute:c-1/release", "dispute:c-1"),
            ("dispute:c-1", "dispute:c-1#2/release", "dispute:c-1#2"),
            ("dispute:c-1", "dispute:c-1#12/refund:d-1/retry:1", "dispute:c-1#12"),
            (
                "payment-refund:dispute:c-1#2/release",
                "payment-refund:dispute:c-1#2/release/return",
                "payment-refund:dispute:c-1#2/release",
            ),
            (
                "payment-refund:dispute:c-1/release",
                "payment-refund:dispute:c-1/release#3/return",
                "payment-refund:dispute:c-1/release#3",
            ),
            ("dispute:c-1", "dispute:c-2#2/release", "dispute:c-1"),
            ("dispute:c-1", "dispute:c-1#x/release", "dispute:c-1"),
        ] {
            assert_eq!(case_of_posting(workflow_id, posting), case, "{posting}");
        }
    }

    #[test]
    fn ids_are_short_and_plain() {
        for good in ["c-1", "0198c7f0-55aa-7cc1-8f3e-2b6a51b2c3d4", "a.b_c"] {
            assert_eq!(Id::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a:b", "a b", "a'b", "é", &"x".repeat(101)] {
            assert!(Id::new(bad).is_err(), "{bad}");
        }
    }
}
