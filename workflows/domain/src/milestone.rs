//! Milestones and their submissions (E1, E3, E8, E13).

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    evidence::Evidence,
    ids::Id,
    money::{Amount, Currency},
    outcome::Outcome,
    policy::Policy,
    rule::Rule,
    text::{check_length, check_required},
};

/// The longest note of a submission, in bytes of UTF-8. It is short because a milestone may be submitted many times.
const NOTE_BYTES_MAX: usize = 5_000;

/// A step of a contract that the client pays separately (E1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a milestone: an object with `id`, `ordinal`, `name` and `amount`")]
pub struct Milestone {
    /// Its id.
    pub id: Id,
    /// Its place in the contract, from 1 (E3).
    pub ordinal: u32,
    /// What people call it.
    pub name: String,
    /// What is paid for it, in minor units.
    pub amount: Amount,
    /// What is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What the freelancer hands in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Submission {
    /// In the freelancer's words.
    pub note: String,
    /// The work, or proof of it.
    #[serde(default)]
    pub files: Vec<Evidence>,
}

/// Why a milestone cannot be reviewed now. The ledger knows which milestones were decided, and this one's escrow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum NotReviewable {
    /// Another milestone of the contract is under review, or this one is disputed.
    UnderReview {
        /// The case with the review or dispute.
        case: String,
    },
    /// The contract has ended, and nothing was deposited since (E11).
    ContractEnded {
        /// The case that ended it.
        case: String,
    },
    /// This milestone was decided before.
    Done,
    /// An earlier milestone was not decided yet.
    OutOfOrder {
        /// The ordinal of the oldest one.
        unpaid: u32,
    },
    /// Another milestone had this ordinal.
    OrdinalTaken {
        /// The other milestone.
        milestone: Id,
    },
    /// Less than its whole amount is free in escrow.
    NotFunded {
        /// How much is free for it.
        available: Amount,
    },
}

/// Why the freelancer cannot submit this milestone next, if so: the oldest unpaid milestone comes first (E3).
///
/// `done` are the contract's decided milestones with their ordinals. A milestone that was disputed without a review in
/// Recourse has no ordinal, and counts as one of the earlier ones.
pub fn out_of_order(done: &[(Id, Option<u32>)], ordinal: u32) -> Option<NotReviewable> {
    if let Some((milestone, _)) = done.iter().find(|(_, number)| *number == Some(ordinal)) {
        return Some(NotReviewable::OrdinalTaken { milestone: milestone.clone() });
    }
    let without_number = done.iter().filter(|(_, number)| number.is_none()).count();
    let mut missing = (1..ordinal).filter(|before| !done.iter().any(|(_, number)| *number == Some(*before)));
    missing.nth(without_number).map(|unpaid| NotReviewable::OutOfOrder { unpaid })
}

impl Milestone {
    /// The name, or the id if there is none.
    pub fn label(&self) -> &str {
        if self.name.is_empty() { self.id.as_str() } else { &self.name }
    }

    /// Whether this milestone can be submitted (E1).
    ///
    /// # Errors
    /// Which field is wrong, and how.
    pub fn check(&self) -> Result<(), String> {
        if self.ordinal == 0 {
            return Err("ordinal: the first milestone has 1".to_owned());
        }
        if self.amount.is_zero() {
            return Err("amount: a milestone is for more than 0".to_owned());
        }
        check_length("name", &self.name, 200)?;
        check_length("description", self.description.as_deref().unwrap_or_default(), NOTE_BYTES_MAX)
    }
}

impl Submission {
    /// Whether this can be submitted (D6): the note is not too long, and the policy allows the files.
    ///
    /// # Errors
    /// Which field is wrong, and how.
    pub fn check(&self, policy: &Policy) -> Result<(), String> {
        check_length("note", &self.note, NOTE_BYTES_MAX)?;
        policy.evidence.check(&self.files).map_err(|reason| format!("files: {reason}"))
    }
}

/// Whether a request for changes has a fit text (E8).
///
/// # Errors
/// The text is empty or too long. It must be short because it may come many times.
pub fn check_changes(message: &str) -> Result<(), String> {
    check_required("message", message, NOTE_BYTES_MAX)
}

impl NotReviewable {
    /// The refused start (E3, E13). Nothing has moved.
    pub fn refusal(&self, milestone: &Milestone, currency: Currency) -> Outcome {
        let id = &milestone.id;
        match self {
            Self::UnderReview { case } => {
                let reason = format!("{case} is not over; milestones are submitted one at a time");
                Outcome::refused(Rule::E3, reason)
            }
            Self::ContractEnded { case } => {
                let reason = format!("the contract has ended ({case}); it goes on once the client makes a deposit");
                Outcome::refused(Rule::E11, reason)
            }
            Self::Done => Outcome::refused(Rule::E3, format!("milestone {id} was decided before")),
            Self::OutOfOrder { unpaid } => {
                let reason = format!(
                    "milestone {id} is number {}, and number {unpaid} is not paid yet; submit the oldest unpaid one first",
                    milestone.ordinal
                );
                Outcome::refused(Rule::E3, reason)
            }
            Self::OrdinalTaken { milestone: other } => {
                let reason = format!("milestone {id} is number {}, and so was milestone {other}", milestone.ordinal);
                Outcome::refused(Rule::E3, reason)
            }
            Self::NotFunded { available } => {
                let reason = format!(
                    "milestone {id} was not funded: {} of its {} are in escrow and free; deposit the rest first",
                    currency.show(*available),
                    currency.show(milestone.amount)
                );
                Outcome::refused(Rule::E13, reason)
            }
        }
    }
}

/// The milestone in a review's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Review {
    /// The milestone.
    pub milestone: Milestone,
    /// How often the freelancer submitted it.
    pub submissions: u32,
    /// The latest submission.
    pub latest: Submission,
    /// The changes that the client asked for last.
    pub changes: Option<String>,
}

/// A bonus that the workflow must charge (E7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BonusDue {
    /// The billing method: that of the contract's newest deposit when the milestone was submitted.
    pub source: Id,
    /// How much.
    pub amount: Amount,
    /// When it is available to the freelancer (E9).
    pub available_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E3: the oldest unpaid milestone comes first. `-` is a milestone that was decided without a review in Recourse.
    #[test]
    fn milestones_are_submitted_in_order() {
        for (done, ordinal, expected) in [
            ("", 1, ""),
            ("", 2, "unpaid 1"),
            ("1", 1, "taken by m-1"),
            ("1", 2, ""),
            ("1", 3, "unpaid 2"),
            ("1 2", 3, ""),
            ("1 3", 4, "unpaid 2"),
            ("-", 1, ""),
            ("-", 2, ""),
            ("-", 3, "unpaid 2"),
            ("1 -", 3, ""),
            ("1 -", 4, "unpaid 3"),
            ("2 -", 2, "taken by m-1"),
        ] {
            let done: Vec<(Id, Option<u32>)> = done
                .split_whitespace()
                .enumerate()
                .map(|(index, number)| (Id::new(&format!("m-{}", index + 1)).unwrap(), number.parse().ok()))
                .collect();
            let shown = match out_of_order(&done, ordinal) {
                None => String::new(),
                Some(NotReviewable::OutOfOrder { unpaid }) => format!("unpaid {unpaid}"),
                Some(NotReviewable::OrdinalTaken { milestone }) => format!("taken by {milestone}"),
                Some(other) => format!("{other:?}"),
            };
            assert_eq!(shown, expected, "{done:?}, then {ordinal}");
        }
    }
}
