//! The wire contract's types: what starts a case, and what its status shows. JSON Schema is generated from them.
//!
//! Commands are read in [`command`](crate::command), outcomes are [`outcome`](crate::outcome).

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    case::{Case, Particulars, TimelineEntry},
    claim::{Claim, Grounds, Rejection},
    command::Verb,
    deposit::Source,
    dispute::Filing,
    fee::Arbitration,
    ids::{CaseKind, Id, PaymentId},
    milestone::{Milestone, Review, Submission},
    milestone_review::FirstSubmission,
    money::{Amount, Currency},
    notice::IfSilent,
    offers::Offer,
    outcome::Outcome,
    party::{Actor, Contract, Role},
    payment::PaymentRequest,
    payment_refund::AskedBack,
    policy::Policy,
    refund_request::ContractEnd,
    resolution::{Answer, Resolution},
    stage::Stage,
};

/// Starts `EscrowDeposit`: charges a billing method and puts the money in escrow (E2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `contract`, `deposit`, `amount` and `source`")]
pub struct EscrowDepositStart {
    /// The contract.
    pub contract: Contract,
    /// The deposit's id.
    pub deposit: Id,
    /// How much, in minor units.
    pub amount: Amount,
    /// The milestone it is for; without one, the whole contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<Id>,
    /// The billing method.
    pub source: Source,
}

/// Starts `RefundRequest`: the contract has ended (R1, R2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `contract` and `pay_now`")]
pub struct RefundRequestStart {
    /// The contract.
    pub contract: Contract,
    /// What the client pays at once, in minor units; 0 to pay nothing.
    pub pay_now: Amount,
    /// Why, in the client's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The policy of the case; the default policy if there is none (T3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// Starts `Dispute`: the freelancer claims money in escrow (D1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `contract`, `grounds` and `claim`")]
pub struct DisputeStart {
    /// The contract.
    pub contract: Contract,
    /// What it is about.
    pub grounds: Grounds,
    /// The milestone, on an active contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<Id>,
    /// What the freelancer claims.
    pub claim: Claim,
    /// Whether the freelancer says that they contacted the client and it did not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contacted_client: Option<bool>,
    /// Who of the platform attests that the milestone was submitted, where the ledger does not know it (D1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested_by: Option<Actor>,
    /// The policy of the case; the default policy if there is none (T3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// Starts `MilestoneReview`: the freelancer submits a milestone for the first time (E3, E4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `contract`, `milestone` and `note`")]
pub struct MilestoneReviewStart {
    /// The contract.
    pub contract: Contract,
    /// The milestone.
    pub milestone: Milestone,
    /// What is submitted: its `note` and `files`.
    #[serde(flatten)]
    pub submission: Submission,
    /// The policy of the case; the default policy if there is none (T3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// Starts `PaymentRefund`: the client asks for released money back (P1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `contract`, `payment`, `released_at` and `amount`")]
pub struct PaymentRefundStart {
    /// The contract.
    pub contract: Contract,
    /// The payment: the id of a release in the ledger.
    pub payment: PaymentId,
    /// When it was released, as far as the client knows. The ledger's own time counts if it is earlier.
    pub released_at: Timestamp,
    /// How much is asked for, in minor units.
    pub amount: Amount,
    /// Why, in the client's words.
    #[serde(default)]
    pub message: String,
    /// The policy of the case; the default policy if there is none (T3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

impl RefundRequestStart {
    /// The contract's end that it says.
    pub fn end(self) -> ContractEnd {
        let Self { contract, pay_now, reason, policy } = self;
        ContractEnd { contract, pay_now, reason, policy: policy.unwrap_or_default() }
    }
}

impl DisputeStart {
    /// The filing that it says.
    pub fn filing(self) -> Filing {
        let Self { contract, grounds, milestone, claim, contacted_client, attested_by, policy } = self;
        let (contacted_client, policy) = (contacted_client.unwrap_or_default(), policy.unwrap_or_default());
        Filing { contract, grounds, milestone, claim, contacted_client, attested_by, policy }
    }
}

impl MilestoneReviewStart {
    /// The submission that it says.
    pub fn first(self) -> FirstSubmission {
        let Self { contract, milestone, submission, policy } = self;
        FirstSubmission { contract, milestone, submission, policy: policy.unwrap_or_default() }
    }
}

impl PaymentRefundStart {
    /// What it asks back.
    pub fn asked_back(self) -> AskedBack {
        let Self { contract, payment, released_at, amount, message, policy } = self;
        AskedBack { contract, payment, released_at, amount, message, policy: policy.unwrap_or_default() }
    }
}

/// What the `status` query and every update answer.
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
    /// Who is awaited.
    pub waiting_on: Vec<Role>,
    /// What the case holds of the escrow, in minor units.
    pub held: Amount,
    /// When the stage's window closes.
    pub deadline: Option<Timestamp>,
    /// What silence does then.
    pub if_silent: Option<IfSilent>,
    /// Whether a target was missed (M1).
    pub overdue: bool,
    /// Who can do what now.
    pub allowed: BTreeMap<Role, Vec<Verb>>,
    /// The claim.
    pub claim: Option<Claim>,
    /// The client's rejection of it.
    pub rejection: Option<Rejection>,
    /// The parties' offers, oldest first.
    pub offers: Vec<Offer>,
    /// The mediator's resolution.
    pub resolution: Option<Resolution>,
    /// The parties' answers to the resolution.
    pub answers: BTreeMap<Role, Answer>,
    /// What arbitration costs each party, and who has paid: in a dispute (A1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arbitration: Option<Arbitration>,
    /// The workflow id of the dispute that took over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispute: Option<String>,
    /// The milestone under review, and what was submitted and asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// The payment that is asked back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentRequest>,
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

impl Status {
    /// Whether the case has just begun and does not know yet what is held.
    pub fn is_opening(&self) -> bool {
        self.stage == Stage::Settling && self.outcome.is_none()
    }

    /// The status of a case.
    pub fn of<C: Case>(case: &C) -> Self {
        let file = case.file();
        let Particulars { claim, rejection, offers, resolution, answers, arbitration, dispute, review, payment } =
            case.particulars();
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
            claim,
            rejection,
            offers,
            resolution,
            answers,
            arbitration,
            dispute,
            review,
            payment,
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
