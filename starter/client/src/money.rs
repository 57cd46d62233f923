//! What is known of a case's money, and the words for it (L9): one reading for the API, the console and the command line.
//!
//! The ledger has the movements, and the state of refunds and returns. The server has the orders that have not moved yet, and
//! how often a worker tried them ([`orders`](super::orders)). A case's status has only the decisions.

use jiff::Timestamp;
use recourse_domain::{
    messages::Status,
    money::{Amount, Currency},
    party::Role,
    posting::PostingKind,
};
use recourse_ledger::{Entry, Moved, RefundState, TrackedRefund};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::orders::{Order, Ordered, share_of};

/// What money in suspense is, in one sentence.
pub const SUSPENSE: &str = "It did not arrive, so it is in suspense: it is kept safe until an operator has it sent again or \
                            paid in another way, and nobody else has to do anything.";

/// A case's status, with what is known of its money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseStatus {
    /// The status, which says what was decided.
    #[serde(flatten)]
    pub status: Status,
    /// What is known of its money.
    pub money: Money,
}

/// What is known of a case's or a contract's money (L9).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Money {
    /// Whether the ledger was read. If not, only what is ordered is known.
    pub ledger_read: bool,
    /// Whether the server was asked what is ordered. If not, only what has moved is known.
    pub orders_read: bool,
    /// Whether some of it is being tried again.
    pub retried: bool,
    /// What has moved in the order in which it was posted, then what is ordered.
    pub movements: Vec<Movement>,
}

/// One movement of money, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Movement {
    /// The workflow id of the case that ordered it.
    pub case: String,
    /// The id of its posting in the ledger.
    pub posting: String,
    /// What it is for.
    pub kind: PostingKind,
    /// How much, in minor units.
    pub amount: Amount,
    /// The currency of `amount`.
    pub currency: Currency,
    /// Whose share of the arbitration fee it is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Role>,
    /// What is known of it.
    pub state: MovementState,
    /// When it was posted, or ordered if it has not moved; in the case's time.
    pub at: Timestamp,
    /// When it should arrive, or should have, if it goes back to where it was charged (R8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_by: Option<Timestamp>,
    /// From when the payee can use it (E9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_at: Option<Timestamp>,
    /// Whether it waits in suspense for an operator (R8).
    #[serde(default, skip_serializing_if = "is_false")]
    pub in_suspense: bool,
    /// Whether an operator had it paid in another way than it was first sent (R8).
    #[serde(default, skip_serializing_if = "is_false")]
    pub paid_otherwise: bool,
    /// How it is tried again, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

/// What is known of a movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MovementState {
    /// It is decided and ordered, and has not moved.
    Ordered,
    /// It has left, and is expected by `expected_by`.
    OnItsWay,
    /// It is where it should be.
    Arrived,
    /// It came back, or did not arrive in time.
    Failed,
}

/// How a movement is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retry {
    /// Which try it is in, or waits for; the first is 1.
    pub attempt: u32,
    /// When it was ordered, in the case's time.
    pub since: Timestamp,
    /// When it is tried next, if it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// Why the last try failed. Only operators see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A part of a sentence. The caller formats instants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Words.
    Words(String),
    /// An instant, and how far it is away.
    At(Timestamp),
}

impl Money {
    /// The money of a status's case, and of the dispute in which it continued.
    pub fn of_case(status: &Status, orders: &[Order], moved: Option<&Moved>) -> Self {
        let cases: Vec<String> =
            std::iter::once(&status.case).chain(&status.dispute).map(|case| format!("{case}/")).collect();
        Self::of(orders, moved, |posting| cases.iter().any(|case| posting.starts_with(case)))
    }

    /// The money of one case without a status: a deposit.
    pub fn of_deposit(case: &str, orders: &[Order], moved: Option<&Moved>) -> Self {
        let case = format!("{case}/");
        Self::of(orders, moved, |posting| posting.starts_with(&case))
    }

    /// The money of a whole contract.
    pub fn of_contract(orders: &[Order], moved: &Moved) -> Self {
        Self::of(orders, Some(moved), |_| true)
    }

    fn of(orders: &[Order], moved: Option<&Moved>, is_theirs: impl Fn(&str) -> bool) -> Self {
        let history = moved.and_then(|moved| moved.history.as_ref());
        let refunds = moved.map(|moved| moved.refunds.as_slice()).unwrap_or_default();
        let entries = history.map(|history| history.entries.as_slice()).unwrap_or_default();
        let entries: Vec<&Entry> = entries.iter().filter(|entry| is_theirs(&entry.id)).collect();
        let currency = history.and_then(|history| Currency::from_code(&history.currency).ok());
        let posted = currency.into_iter().flat_map(|currency| {
            let moved = |entry: &&Entry| Movement::posted(entry, currency, refunds);
            entries.iter().filter_map(moved).collect::<Vec<_>>()
        });
        let ordered = orders.iter().flat_map(|order| {
            let left = |ordered: &Ordered| Movement::ordered(order, ordered, &entries);
            order.movements.iter().filter_map(left).collect::<Vec<_>>()
        });
        let movements: Vec<Movement> = posted.chain(ordered).collect();
        let retried = movements.iter().any(|movement| movement.retry.is_some());
        Self { ledger_read: moved.is_some(), orders_read: true, retried, movements }
    }

    /// Removes the parts that only operators may see.
    #[must_use]
    pub fn for_others(mut self) -> Self {
        for retry in self.movements.iter_mut().filter_map(|movement| movement.retry.as_mut()) {
            retry.error = None;
        }
        self
    }

    /// The movements that have not happened yet.
    pub fn not_moved(&self) -> impl Iterator<Item = &Movement> {
        self.movements.iter().filter(|movement| movement.state == MovementState::Ordered)
    }

    /// The movements that a worker tries again.
    pub fn tried_again(&self) -> impl Iterator<Item = &Movement> {
        self.movements.iter().filter(|movement| movement.retry.is_some())
    }

    /// Whether some of it waits in suspense.
    pub fn is_in_suspense(&self) -> bool {
        self.movements.iter().any(|movement| movement.in_suspense)
    }
}

impl Movement {
    /// The movement of a posting. None for postings that only put money into suspense or take it out again: the refund, return
    /// or fee itself shows that.
    fn posted(entry: &Entry, currency: Currency, refunds: &[TrackedRefund]) -> Option<Self> {
        let kind: PostingKind = serde_json::from_value(serde_json::Value::String(entry.kind.clone())).ok()?;
        if matches!(kind, PostingKind::ToSuspense | PostingKind::FromSuspense) {
            return None;
        }
        let arrived = Self {
            case: entry.case.clone(),
            posting: entry.id.clone(),
            kind,
            amount: Amount::new(entry.amount).ok()?,
            currency,
            party: share_of(&entry.id),
            state: MovementState::Arrived,
            at: entry.at.parse().ok()?,
            expected_by: None,
            available_at: entry.available_at.as_deref().and_then(|at| at.parse().ok()),
            in_suspense: false,
            paid_otherwise: false,
            retry: None,
        };
        Some(match last_of(refunds, &entry.id) {
            None => arrived,
            Some(refund) => Self {
                state: match refund.state {
                    RefundState::Issued | RefundState::Retried => MovementState::OnItsWay,
                    RefundState::Settled | RefundState::PaidOtherwise => MovementState::Arrived,
                    RefundState::Failed | RefundState::Overdue => MovementState::Failed,
                },
                expected_by: Some(refund.expected_by),
                in_suspense: refund.state.is_parked(),
                paid_otherwise: refund.state == RefundState::PaidOtherwise,
                ..arrived
            },
        })
    }

    /// The part of an order that has not moved yet; none if the ledger has it all.
    fn ordered(order: &Order, ordered: &Ordered, entries: &[&Entry]) -> Option<Self> {
        let is_part = |entry: &&&Entry| {
            let rest = entry.id.strip_prefix(&ordered.posting);
            entry.kind == ordered.kind.name() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        let left = if ordered.kind == PostingKind::Return {
            let returned: i64 = entries.iter().filter(is_part).map(|entry| entry.amount).sum();
            ordered.amount.minus(Amount::new(returned).ok()?).filter(|left| !left.is_zero())?
        } else if entries.iter().any(|entry| entry.id == ordered.posting) {
            return None;
        } else {
            ordered.amount
        };
        let retry =
            Retry { attempt: order.attempt, since: order.since, next_at: order.next_at, error: order.failure.clone() };
        Some(Self {
            case: order.case.clone(),
            posting: ordered.posting.clone(),
            kind: ordered.kind,
            amount: left,
            currency: ordered.currency,
            party: ordered.party,
            state: MovementState::Ordered,
            at: order.since,
            expected_by: ordered.expected_by,
            available_at: None,
            in_suspense: false,
            paid_otherwise: false,
            retry: order.is_retried().then_some(retry),
        })
    }

    /// Whether it goes back to where it was charged.
    pub const fn goes_back(&self) -> bool {
        matches!(self.kind, PostingKind::Refund | PostingKind::Return | PostingKind::FeeReturn)
    }

    /// The amount, from whom and to whom.
    pub fn what(&self, client: &str, payee: &str) -> String {
        let amount = self.currency.show(self.amount);
        let whose = match self.party {
            Some(Role::Client) => format!("{client}'s share"),
            Some(Role::Freelancer) => format!("{payee}'s share"),
            _ => "a share".to_owned(),
        };
        match self.kind {
            PostingKind::Deposit => format!("{amount} into escrow"),
            PostingKind::Release => format!("{amount} to {payee}"),
            PostingKind::Bonus => format!("{amount} to {payee} as a bonus"),
            PostingKind::Refund => format!("{amount} back to {client}"),
            PostingKind::Return => format!("{amount} from {payee} back to {client}"),
            PostingKind::Fee => format!("{amount}, {whose} of the arbitration fee"),
            PostingKind::FeeReturn => format!("{amount}, {whose} of the arbitration fee, back to who paid it"),
            PostingKind::ToSuspense | PostingKind::FromSuspense => amount,
        }
    }

    /// What is known of it at `now`.
    pub fn known(&self, now: Timestamp) -> Vec<Said> {
        let words = |text: &str| Said::Words(text.to_owned());
        match self.state {
            MovementState::Ordered => match &self.retry {
                None => vec![words("ordered, and has not moved yet")],
                Some(retry) => retry.said(),
            },
            MovementState::OnItsWay => match self.expected_by {
                Some(by) if by <= now => vec![words("on its way; it should have arrived by "), Said::At(by)],
                Some(by) => vec![words("on its way, expected by "), Said::At(by)],
                None => vec![words("on its way")],
            },
            MovementState::Failed => match self.expected_by {
                Some(by) if self.in_suspense && by <= now => {
                    vec![words("did not arrive, and is in suspense; it should have arrived by "), Said::At(by)]
                }
                _ if self.in_suspense => vec![words("did not arrive, and is in suspense")],
                _ => vec![words("did not arrive")],
            },
            MovementState::Arrived => match (self.kind, self.available_at) {
                (PostingKind::Deposit, _) => vec![words("in escrow")],
                (PostingKind::Fee, _) => vec![words("charged")],
                (_, Some(at)) if at > now => vec![words("paid, and available from "), Said::At(at)],
                (PostingKind::Release | PostingKind::Bonus, _) => vec![words("paid")],
                _ if self.paid_otherwise => vec![words("paid by an operator in another way, and arrived")],
                _ => vec![words("arrived")],
            },
        }
    }
}

impl Retry {
    fn said(&self) -> Vec<Said> {
        let begin = format!("has not moved yet: it is being tried again, now in attempt {}, since ", self.attempt);
        let error = self.error.as_ref().map(|error| Said::Words(format!("; the last one failed: {error}")));
        [Said::Words(begin), Said::At(self.since)].into_iter().chain(error).collect()
    }
}

/// A sentence, with its instants formatted by `show`.
pub fn sentence(said: &[Said], show: impl Fn(Timestamp) -> String) -> String {
    said.iter()
        .map(|part| match part {
            Said::Words(words) => words.clone(),
            Said::At(at) => show(*at),
        })
        .collect()
}

/// The last of the refunds that replaced this one.
fn last_of<'a>(refunds: &'a [TrackedRefund], id: &str) -> Option<&'a TrackedRefund> {
    let find = |id: &str| refunds.iter().find(|refund| refund.id == id);
    let mut last = find(id)?;
    // Each refund has a later replacement, so this ends.
    for _ in refunds {
        match last.followed_by.as_deref().filter(|_| last.state == RefundState::Retried).and_then(find) {
            Some(next) => last = next,
            None => break,
        }
    }
    Some(last)
}

#[cfg(test)]
mod tests;
