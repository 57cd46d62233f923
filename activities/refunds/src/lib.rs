//! The refund desk: follows money after it was given back (R8). The payment provider reports a refund's end, or the
//! desk asks for it when the refund should have settled. The desk parks failed and overdue refunds in suspense and
//! sends notices. An operator then sends the money again or elsewhere.
//!
//! The desk does not decide whose money it is: it moves a refund's money to its billing method, to suspense, or to
//! where an operator says. Everything here may run any number of times, in several programs at once, and acts once: a
//! state changes in the same transaction as its posting.

mod operator;
mod sweep;

use std::sync::Arc;

use jiff::Timestamp;
use recourse_domain::{ids::Id, notice::NoticeEvent, party::Role};

pub use recourse_ledger::{RefundState, TrackedRefund};
pub use sweep::Swept;

use recourse_ledger::{Ledger, LedgerError, refunds as rows};
use recourse_notifications::notices::{NoticeBook, NoticeError};
use recourse_payments::{GatewayError, PaymentGateway};

/// Follows refunds to their end. Clones share everything.
#[derive(Debug, Clone)]
pub struct RefundDesk {
    ledger: Ledger,
    gateway: Arc<dyn PaymentGateway>,
    book: NoticeBook,
}

/// What a payment provider reports about a refund that it accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It arrived at the billing method.
    Settled,
    /// It came back.
    Failed {
        /// The provider's reason.
        reason: String,
    },
}

impl Report {
    const fn name(&self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Which refunds to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RefundFilter {
    /// Of this contract; absent, of every contract.
    pub contract: Option<Id>,
    /// In which states.
    pub only: Only,
    /// The id of the last refund of the previous page; absent, from the beginning.
    pub after: Option<String>,
    /// How many at most; absent, all.
    pub limit: Option<u32>,
}

/// The states of the listed refunds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Only {
    /// In any state.
    #[default]
    All,
    /// On their way, or parked.
    Open,
    /// Parked, so that an operator must act; and overdue ones that the desk is about to park.
    Parked,
}

/// Why the desk did not do what the caller asked. Unless a variant says otherwise, nothing has moved.
#[derive(Debug, thiserror::Error)]
pub enum RefundError {
    /// There is no such refund.
    #[error("there is no refund {id}")]
    Unknown {
        /// The id that the caller gave.
        id: String,
    },
    /// The report contradicts an earlier one. An operator must look.
    #[error("refund {id} is reported as {reported}, and is {} already", state.name())]
    Contradiction {
        /// The refund.
        id: String,
        /// Its state.
        state: RefundState,
        /// What the provider reports now.
        reported: &'static str,
    },
    /// Only a parked refund can be sent again or elsewhere.
    #[error("refund {id} is not parked: it is {}", state.name())]
    NotParked {
        /// The refund.
        id: String,
        /// Its state.
        state: RefundState,
    },
    /// The provider may still complete an overdue refund, so sending its money again could pay it twice. An operator
    /// who has asked the provider by other means can [give it up](RefundDesk::give_up).
    #[error("refund {id} is overdue, and the payment provider may still complete it")]
    StillPending {
        /// The refund.
        id: String,
    },
    /// Only an overdue refund can be given up.
    #[error("refund {id} is not overdue: it is {}", state.name())]
    NotOverdue {
        /// The refund.
        id: String,
        /// Its state.
        state: RefundState,
    },
    /// Who gives a refund up must say where the provider's word can be found.
    #[error("it is not said where the payment provider's word on refund {id} can be found")]
    NoReference {
        /// The refund.
        id: String,
    },
    /// An overdue refund has settled. The desk took its money out of suspense.
    #[error("refund {id} has settled after all")]
    SettledAfterAll {
        /// The refund.
        id: String,
    },
    /// An operator has begun something else with it, and nobody knows yet how that ended. Ask for the same again, to
    /// finish that first.
    #[error("refund {id} is being sent on already ({under_way}), and it is not known yet how that ended")]
    Busy {
        /// The refund.
        id: String,
        /// What an operator has begun: `retry`, or `pay:` and the destination.
        under_way: String,
    },
    /// The provider declined it. The money is still parked.
    #[error("the payment provider declined it: {reason}")]
    Declined {
        /// The refund.
        id: String,
        /// The provider's reason.
        reason: String,
    },
    /// Only an operator may send parked money on.
    #[error("a {role} cannot see to parked money; only an operator can")]
    NotAllowed {
        /// Who tried.
        role: Role,
    },
    /// Nobody may send their own money on (E14).
    #[error("{by} is a party of contract {contract}, and nobody sees to their own money (E14)")]
    OwnMoney {
        /// Who tried.
        by: Id,
        /// The contract.
        contract: Id,
    },
    /// The provider gave no answer. Ask for the same again: the provider recognises what it did.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The ledger refused, or did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The notices could not be stored. The next sweep stores them.
    #[error(transparent)]
    Notices(#[from] NoticeError),
}

impl RefundError {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "list the refunds to see their ids; a refund is known once its posting is made",
            Self::Contradiction { .. } => "ask the payment provider which of the two is true, and correct it by hand",
            Self::NotParked { .. } => "nothing has to be done for it",
            Self::StillPending { .. } => {
                "ask the payment provider to cancel it or to complete it, and try again when it has reported that; if it \
                 says by other means that the refund has failed, say so with `recourse refunds failed`"
            }
            Self::NotOverdue { state: RefundState::Issued, .. } => {
                "wait until it should have settled; the worker then asks the payment provider, and parks it"
            }
            Self::NotOverdue { .. } => "nothing has to be said about it any more",
            Self::NoReference { .. } => "give the letter or the ticket in which the provider says so as the reference",
            Self::SettledAfterAll { .. } => "nothing has to be done for it any more",
            Self::Busy { .. } => "ask for the same again until it is done or declined",
            Self::Declined { .. } => "try again later, or pay it to another destination",
            Self::NotAllowed { .. } => "act as an operator",
            Self::OwnMoney { .. } => "ask another operator",
            Self::Gateway(_) => "ask for the same again; it is done once",
            Self::Ledger(_) | Self::Notices(_) => "see the cause, and try again",
        }
    }
}

impl RefundDesk {
    /// A desk that follows the refunds in `ledger`, asks `gateway` about them, and stores notices in `book`.
    pub const fn new(ledger: Ledger, gateway: Arc<dyn PaymentGateway>, book: NoticeBook) -> Self {
        Self { ledger, gateway, book }
    }

    /// Takes a report of the payment provider about the refund with this key, and returns the refund. The same report
    /// again changes nothing.
    ///
    /// # Errors
    /// [`RefundError::Unknown`]: report it again later, because the posting may not be made yet.
    /// [`RefundError::Contradiction`] if the refund has another final state already.
    pub async fn report(&self, key: &str, report: &Report) -> Result<TrackedRefund, RefundError> {
        let refund = self.take_report(key, report, Timestamp::now()).await?;
        self.tell_or_warn().await;
        Ok(refund)
    }

    /// The refund with this id, overdue or not at `now`.
    ///
    /// # Errors
    /// [`RefundError::Unknown`]; otherwise only if the database cannot be read, or is damaged.
    pub async fn refund(&self, id: &str, now: Timestamp) -> Result<TrackedRefund, RefundError> {
        let mut read = self.ledger.database().read().await.map_err(LedgerError::from)?;
        Ok(looked_at(find(&mut read, id).await?, now))
    }

    /// The refunds that fit `filter`, oldest first, with what is overdue at `now`.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn list(&self, filter: &RefundFilter, now: Timestamp) -> Result<Vec<TrackedRefund>, RefundError> {
        let is_wanted = |state: &RefundState| match filter.only {
            Only::All => true,
            Only::Open => state.is_open(),
            Only::Parked => state.is_parked(),
        };
        let states: Vec<RefundState> = RefundState::ALL.into_iter().filter(is_wanted).collect();
        let which = rows::Which {
            contract: filter.contract.as_ref(),
            states: &states,
            overdue_by: (filter.only == Only::Parked).then_some(now),
            after: filter.after.as_deref(),
            limit: filter.limit,
        };
        let refunds = rows::list(self.ledger.database(), &which).await?;
        Ok(refunds.into_iter().map(|refund| looked_at(refund, now)).collect())
    }

    /// Records a report, without notices.
    async fn take_report(&self, id: &str, report: &Report, now: Timestamp) -> Result<TrackedRefund, RefundError> {
        use RefundState::{Failed, Issued, Overdue, PaidOtherwise, Retried, Settled};
        let mut write = self.ledger.database().write().await.map_err(LedgerError::from)?;
        let refund = find(&mut write, id).await?;
        match (refund.state, report) {
            (Issued, Report::Settled) => rows::set_state(&mut write, &refund, Settled, None).await?,
            (Issued, Report::Failed { reason }) => rows::park(&mut write, &refund, Failed, reason, now).await?,
            (Overdue, Report::Settled) => {
                let posting = format!("{id}/from_suspense");
                rows::unpark(&mut write, &refund, posting, &refund.source, now).await?;
                rows::set_state(&mut write, &refund, Settled, None).await?;
                rows::announce(&mut write, &refund, NoticeEvent::RefundSettledAfterAll, None, now).await?;
            }
            (Overdue, Report::Failed { reason }) => {
                rows::set_state(&mut write, &refund, Failed, Some(reason)).await?;
                rows::announce(&mut write, &refund, NoticeEvent::RefundFailed, Some(reason), now).await?;
            }
            // A refund that was sent again or elsewhere has failed before.
            (Settled, Report::Settled) | (Failed | Retried | PaidOtherwise, Report::Failed { .. }) => {
                return Ok(refund);
            }
            (Settled, Report::Failed { .. }) | (Failed | Retried | PaidOtherwise, Report::Settled) => {
                let (state, reported) = (refund.state, report.name());
                tracing::error!(
                    refund = id,
                    state = state.name(),
                    reported,
                    rule = "R8",
                    "reports contradict each other"
                );
                return Err(RefundError::Contradiction { id: id.to_owned(), state, reported });
            }
        }
        let after = find(&mut write, id).await?;
        write.commit().await.map_err(LedgerError::from)?;
        Ok(after)
    }
}

/// Sets whether a refund is overdue at `now`, even if nobody has parked it yet.
fn looked_at(mut refund: TrackedRefund, now: Timestamp) -> TrackedRefund {
    refund.overdue |= refund.state == RefundState::Issued && refund.expected_by <= now;
    refund
}

async fn find(write: &mut recourse_database::Write, id: &str) -> Result<TrackedRefund, RefundError> {
    rows::find(write, id).await?.ok_or_else(|| RefundError::Unknown { id: id.to_owned() })
}

#[cfg(test)]
mod tests;
