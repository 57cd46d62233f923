//! The stages of cases, by the names that statuses, lists and gauges show.
//!
//! Each kind of case has its own states. Some of them have the same stage, such as a case that opens and one whose money is
//! on its way.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ids::CaseKind, names::names};

/// A stage of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Money moves: the case opens, or it was decided.
    Settling,
    /// The freelancer must answer.
    AwaitingFreelancer,
    /// The client must answer.
    AwaitingClient,
    /// The freelancer must submit the milestone again.
    ChangesRequested,
    /// A dispute runs in a case of its own.
    Disputed,
    /// A mediator must propose a resolution.
    InMediation,
    /// Both parties must answer the resolution.
    AwaitingParties,
    /// Both parties may demand arbitration.
    AwaitingArbitrationDemand,
    /// An arbitrator must give the award.
    InArbitration,
    /// The case is over, and an operator must decide about the money.
    OnHold,
    /// The case is over.
    Closed,
}

names! {
    Stage:
    Settling = "settling",
    AwaitingFreelancer = "awaiting_freelancer",
    AwaitingClient = "awaiting_client",
    ChangesRequested = "changes_requested",
    Disputed = "disputed",
    InMediation = "in_mediation",
    AwaitingParties = "awaiting_parties",
    AwaitingArbitrationDemand = "awaiting_arbitration_demand",
    InArbitration = "in_arbitration",
    OnHold = "on_hold",
    Closed = "closed",
}

impl Stage {
    /// The stages that an open case of this kind can be in.
    pub const fn of_open(kind: CaseKind) -> &'static [Self] {
        match kind {
            CaseKind::EscrowDeposit => &[Self::Settling],
            CaseKind::MilestoneReview => {
                &[Self::AwaitingClient, Self::ChangesRequested, Self::Disputed, Self::Settling]
            }
            CaseKind::RefundRequest => &[Self::AwaitingFreelancer, Self::Disputed, Self::Settling],
            CaseKind::Dispute => &[
                Self::AwaitingClient,
                Self::InMediation,
                Self::AwaitingParties,
                Self::AwaitingArbitrationDemand,
                Self::InArbitration,
                Self::OnHold,
                Self::Settling,
            ],
            CaseKind::PaymentRefund => &[Self::AwaitingFreelancer, Self::Settling],
        }
    }

    /// The stage of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
