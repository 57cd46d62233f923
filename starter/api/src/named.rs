//! A party accepts what it saw: a command that pays names it, so that the command does nothing if it has changed.
//!
//! The case refuses a command that names something that has changed. Through Temporal a command need not name anything. Over
//! HTTP it must.

use recourse_domain::{command::CommandKind, ids::CaseKind, messages::Status};
use serde_json::{Map, Value};

use super::problem::Problem;

/// What a command should have named, but did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The amount of the claim that is accepted.
    Amount,
    /// The number of the submission that is approved.
    Submission,
}

impl Missing {
    /// What this command does not name, but must name in a case of this kind.
    pub fn of(kind: CaseKind, command_kind: CommandKind, fields: &Map<String, Value>) -> Option<Self> {
        let is_of_claim = fields.get("of").and_then(Value::as_str) == Some("claim");
        match (kind, command_kind) {
            (CaseKind::Dispute, CommandKind::Accept) if is_of_claim && !fields.contains_key("amount") => {
                Some(Self::Amount)
            }
            (CaseKind::MilestoneReview, CommandKind::Approve) if !fields.contains_key("submission") => {
                Some(Self::Submission)
            }
            _ => None,
        }
    }

    /// The problem that it is missing, with the present value if the case answers.
    pub fn problem(self, status: Option<&Status>) -> Problem {
        let (field, what) = match self {
            Self::Amount => ("amount", "the amount of the claim that you accept, in minor units"),
            Self::Submission => ("submission", "the number of the submission that you approve"),
        };
        let now = match self {
            Self::Amount => {
                let claim = status.and_then(|status| status.claim.as_ref());
                claim.map(|claim| claim.amount.minor().to_string())
            }
            Self::Submission => {
                status.and_then(|status| status.review.as_ref()).map(|review| review.submissions.to_string())
            }
        };
        let now = now.map(|now| format!("; it is {now} now")).unwrap_or_default();
        Problem::invalid(format!("{field}: missing; say {what}, as you saw it{now}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn commands_that_pay_must_name_what_they_pay() {
        use CaseKind::{Dispute, MilestoneReview, PaymentRefund, RefundRequest};
        for (kind, command_kind, fields, missing) in [
            (Dispute, CommandKind::Accept, json!({"of": "claim"}), Some(Missing::Amount)),
            (Dispute, CommandKind::Accept, json!({"of": "claim", "amount": 5}), None),
            (Dispute, CommandKind::Accept, json!({"of": "resolution"}), None),
            (Dispute, CommandKind::Accept, json!({"of": "offer", "number": 1}), None),
            (Dispute, CommandKind::Reject, json!({"of": "claim"}), None),
            (MilestoneReview, CommandKind::Approve, json!({}), Some(Missing::Submission)),
            (MilestoneReview, CommandKind::Approve, json!({"amount": 5}), Some(Missing::Submission)),
            (MilestoneReview, CommandKind::Approve, json!({"submission": 1}), None),
            (RefundRequest, CommandKind::Approve, json!({}), None),
            (PaymentRefund, CommandKind::Approve, json!({}), None),
        ] {
            let Value::Object(map) = fields.clone() else { unreachable!() };
            assert_eq!(Missing::of(kind, command_kind, &map), missing, "{kind:?} {command_kind} {fields}");
        }
    }
}
