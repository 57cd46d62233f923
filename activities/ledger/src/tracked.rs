//! What the ledger knows of money that goes back (R8).

use jiff::Timestamp;
use recourse_domain::{
    ids::Id,
    money::{Amount, Currency},
    notice::NoticeEvent,
    party::Contract,
    posting::Close,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of a refund or return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// On its way.
    Issued,
    /// Its source has it.
    Settled,
    /// It came back, and is in suspense.
    Failed,
    /// It should have settled and has not; it is in suspense.
    Overdue,
    /// It failed and was sent again, as another refund.
    Retried,
    /// It failed and was paid to another destination.
    PaidOtherwise,
}

impl RefundState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Issued, Self::Settled, Self::Failed, Self::Overdue, Self::Retried, Self::PaidOtherwise];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Settled => "settled",
            Self::Failed => "failed",
            Self::Overdue => "overdue",
            Self::Retried => "retried",
            Self::PaidOtherwise => "paid_otherwise",
        }
    }

    /// Whether its money is in suspense.
    pub const fn is_parked(self) -> bool {
        matches!(self, Self::Failed | Self::Overdue)
    }

    /// Whether its state can still change.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Issued) || self.is_parked()
    }
}

/// One refund or return, with its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrackedRefund {
    /// The id of its posting, and the payment provider's key.
    pub id: String,
    /// The refund that this one is another try of; its own id for a first one.
    pub origin: String,
    /// What the first one was: `refund`, `fee_return` or `return`.
    pub kind: String,
    /// The contract.
    pub contract: Id,
    /// The workflow id.
    pub case: String,
    /// The currency of `amount`.
    pub currency: Currency,
    /// How much, in minor units.
    pub amount: Amount,
    /// Where it goes back to.
    pub source: Id,
    /// The payment provider's key of the charge.
    pub charge: String,
    /// When it was issued; a first one in its case's time.
    pub issued_at: Timestamp,
    /// When it should have settled.
    pub expected_by: Timestamp,
    /// Its state.
    pub state: RefundState,
    /// Whether it is overdue, even if nobody has parked it yet.
    pub overdue: bool,
    /// Why it failed, or is parked.
    pub reason: Option<String>,
    /// What an operator has begun and the provider has not answered yet: `retry`, or `pay:` and the destination.
    pub under_way: Option<String>,
    /// Which operator handled it.
    pub handled_by: Option<String>,
    /// The operator's own reference.
    pub reference: Option<String>,
    /// The refund that was sent instead, or the destination that was paid.
    pub followed_by: Option<String>,
    /// How often its money was sent again before this, refusals included.
    #[serde(skip)]
    pub retries: i64,
    /// The same for payments elsewhere.
    #[serde(skip)]
    pub payouts: i64,
}

/// What is needed to follow a refund or return, besides its posting.
#[derive(Debug, Clone, Copy)]
pub struct GivenBack<'a> {
    /// Whose money it is.
    pub contract: &'a Contract,
    /// The payment provider's key of the charge that it goes back to.
    pub charge: &'a str,
    /// When it should have arrived.
    pub expected_by: Timestamp,
    /// Why the provider will never do it, if so: then it is parked at once.
    pub declined: Option<&'a str>,
    /// How the case closes its hold, if this is the last movement.
    pub close: Option<&'a Close>,
}

/// An event of a refund that needs notices.
#[derive(Debug, Clone)]
pub struct News {
    /// Its place among all events; later ones are larger.
    pub sequence: i64,
    /// What happened.
    pub event: NoticeEvent,
    /// The refund.
    pub refund: TrackedRefund,
    /// Whose money it is.
    pub contract: Contract,
    /// The reason, if there is one.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}
