//! The wire contract's types: a case's starts ([`starts`](crate::starts)) and its status. The JSON Schema is generated from
//! them.
//!
//! Commands are in [`command`](crate::command), outcomes in [`outcome`](crate::outcome).

use std::{collections::BTreeMap, ops::Deref};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    case::{Case, Particulars, TimelineEntry},
    command::CommandKind,
    ids::{CaseKind, Id},
    money::{Amount, Currency},
    notice::IfSilent,
    outcome::Outcome,
    party::Role,
    stage::Stage,
};

pub use crate::starts::{
    DisputeStart, EscrowDepositStart, MilestoneReviewStart, PaymentRefundStart, RefundRequestStart,
};

/// The answer of the `status` query and of every update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Its id: the workflow id, and for a later case of the same workflow id its number, as in `dispute:c-1#2` (L8).
    pub case: String,
    /// The workflow id.
    #[serde(default)]
    pub workflow_id: String,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// What it is about.
    pub kind: CaseKind,
    /// The contract's id.
    pub contract: Id,
    /// The currency of all amounts.
    pub currency: Currency,
    /// Where the case stands.
    pub stage: Stage,
    /// Who must act.
    pub waiting_on: Vec<Role>,
    /// What the case holds of the escrow, in minor units.
    pub held: Amount,
    /// When the stage's window closes.
    pub deadline: Option<Timestamp>,
    /// What silence does at the deadline.
    pub if_silent: Option<IfSilent>,
    /// Whether a target was missed (M1).
    pub overdue: bool,
    /// Who can do what now.
    pub allowed: BTreeMap<Role, Vec<CommandKind>>,
    /// What only cases of this kind show.
    #[serde(flatten)]
    pub particulars: Particulars,
    /// What happened, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// How many refused commands the timeline no longer shows.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refusals_omitted: u32,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// On the wire and in Rust a status is one object.
impl Deref for Status {
    type Target = Particulars;

    fn deref(&self) -> &Particulars {
        &self.particulars
    }
}

impl Status {
    /// Whether the case has just begun and does not know yet what it holds.
    pub fn is_opening(&self) -> bool {
        self.stage == Stage::Settling && self.outcome.is_none()
    }

    /// The status of a case.
    pub fn of<C: Case>(case: &C) -> Self {
        let file = case.file();
        Self {
            case: file.case_id(),
            workflow_id: file.id.clone(),
            run_id: None,
            kind: C::KIND,
            contract: file.contract.id.clone(),
            currency: file.contract.currency,
            stage: case.stage(),
            waiting_on: case.waiting_on(),
            held: case.held(),
            deadline: file.deadline,
            if_silent: case.if_silent(),
            overdue: file.overdue,
            allowed: Role::ALL.into_iter().map(|role| (role, case.allowed(role))).collect(),
            particulars: case.particulars(),
            timeline: file.timeline.clone(),
            refusals_omitted: file.refusals_omitted,
            outcome: case.outcome().cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_of_the_wire_contract_can_be_generated() {
        for schema in [
            schemars::schema_for!(EscrowDepositStart),
            schemars::schema_for!(RefundRequestStart),
            schemars::schema_for!(DisputeStart),
            schemars::schema_for!(MilestoneReviewStart),
            schemars::schema_for!(PaymentRefundStart),
            schemars::schema_for!(Status),
            schemars::schema_for!(Outcome),
        ] {
            assert!(schema.as_object().is_some_and(|schema| schema.contains_key("properties")), "{schema:?}");
        }
    }
}
