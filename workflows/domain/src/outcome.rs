//! How a case ended: the result of every workflow.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{money::Amount, rule::Rule, text::shortened};

/// How a case ended. Amounts count what this case moved; a parent's include its child's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// What happened.
    pub result: ResultKind,
    /// Whose act, or whose silence, decided.
    pub decided_by: DecidedBy,
    /// The rule that decided.
    pub rule: Rule,
    /// What the freelancer or agency got, in minor units.
    pub to_freelancer: Amount,
    /// What went back to the client, in minor units.
    pub to_client: Amount,
    /// What this case left in escrow, in minor units.
    pub kept_in_escrow: Amount,
    /// What the client paid on top of the escrow, in minor units.
    #[serde(default)]
    pub bonus: Amount,
    /// Whether a bonus could not be charged.
    #[serde(default)]
    pub bonus_failed: bool,
    /// Why, if the result alone does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What a deposit charged, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged: Option<Amount>,
    /// What a deposit drew from held-over money, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_held: Option<Amount>,
    /// The contract's escrow after a deposit, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Amount>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResultKind {
    /// Charged into escrow.
    Deposited,
    /// All of it went to the freelancer.
    Released,
    /// All of it went back to the client.
    Refunded,
    /// Both got a part.
    Settled,
    /// There was nothing in escrow.
    NothingHeld,
    /// The client paid everything that was held.
    PaidInFull,
    /// Another case took over.
    Superseded,
    /// The freelancer withdrew the claim.
    Withdrawn,
    /// The charge was declined, the freelancer returned nothing of a payment, or a claim on an active contract's escrow
    /// came to nothing.
    Declined,
    /// It stays in escrow for an operator.
    OnHold,
    /// A rule forbids the start.
    Refused,
}

impl ResultKind {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deposited => "deposited",
            Self::Released => "released",
            Self::Refunded => "refunded",
            Self::Settled => "settled",
            Self::NothingHeld => "nothing_held",
            Self::PaidInFull => "paid_in_full",
            Self::Superseded => "superseded",
            Self::Withdrawn => "withdrawn",
            Self::Declined => "declined",
            Self::OnHold => "on_hold",
            Self::Refused => "refused",
        }
    }
}

/// Whose act, or whose silence, decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it; each is explained at its rule in docs/policy.md")]
pub enum DecidedBy {
    ClientApproval,
    ClientSilence,
    ClientRelease,
    ClientAcceptance,
    FreelancerApproval,
    FreelancerSilence,
    FreelancerRejection,
    FreelancerWithdrawal,
    Agreement,
    ResolutionAccepted,
    ArbitrationDefault,
    ArbitrationSoleDemand,
    ArbitrationAward,
    ContractEnd,
    Rule,
}

impl Outcome {
    /// An outcome in which nothing moved.
    pub const fn without_money(result: ResultKind, decided_by: DecidedBy, rule: Rule) -> Self {
        Self {
            result,
            decided_by,
            rule,
            to_freelancer: Amount::ZERO,
            to_client: Amount::ZERO,
            kept_in_escrow: Amount::ZERO,
            bonus: Amount::ZERO,
            bonus_failed: false,
            message: None,
            charged: None,
            from_held: None,
            held: None,
        }
    }

    /// A start that `rule` forbids, and why. Nothing has moved.
    pub fn refused(rule: Rule, message: impl Into<String>) -> Self {
        let message = Some(shortened(&message.into()));
        Self { message, ..Self::without_money(ResultKind::Refused, DecidedBy::Rule, rule) }
    }

    /// The result that follows from the amounts: both got a part, one got everything, or the money stays.
    pub fn result_of(to_freelancer: Amount, to_client: Amount) -> ResultKind {
        match (to_freelancer.is_zero(), to_client.is_zero()) {
            (false, false) => ResultKind::Settled,
            (false, true) => ResultKind::Released,
            (true, false) => ResultKind::Refunded,
            (true, true) => ResultKind::NothingHeld,
        }
    }
}
