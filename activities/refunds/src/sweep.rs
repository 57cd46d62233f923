//! What the desk does without a request: it asks about refunds that should have settled, parks those that have not, and
//! sends notices of changes. One sweep serves all refunds, instead of a timer for each.

use std::{future::Future, pin::pin, time::Duration};

use jiff::Timestamp;
use recourse_database::in_time;
use recourse_domain::{
    notice::{Facts, Notice},
    party::{Contract, Role},
    rule::Rule,
};
use recourse_ledger::{LedgerError, News, TrackedRefund};
use recourse_payments::{Arrival, GatewayError};
use recourse_workflows::effects::Tell;
use tokio::time::sleep;

use super::{RefundDesk, RefundError, RefundState, Report, find, rows};

/// How often the desk sweeps.
const EVERY: Duration = Duration::from_mins(1);

fn late(error: sqlx::Error) -> RefundError {
    LedgerError::from(error).into()
}

/// What a sweep did with the refunds that should have settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// How many had settled without a report.
    pub settled: u32,
    /// How many had failed without a report, and are parked now.
    pub failed: u32,
    /// How many are still on their way, and are parked now.
    pub overdue: u32,
    /// How many the provider gave no answer about, or whose answer could not be stored. The next sweep asks again.
    pub unanswered: u32,
}

impl RefundDesk {
    /// Sweeps at once and then every minute, until `shutdown` is done. Several desks may work on the same database.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        self.run_every(EVERY, shutdown).await;
    }

    /// [`RefundDesk::run`] at another interval.
    pub(super) async fn run_every(self, every: Duration, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        loop {
            // If a sweep is cut off, the next one repeats it.
            let swept = tokio::select! {
                biased;
                () = &mut shutdown => return,
                swept = self.park_overdue(Timestamp::now()) => swept,
            };
            match swept {
                Ok(Swept { settled: 0, failed: 0, overdue: 0, unanswered: 0 }) => {}
                Ok(swept) => tracing::info!(?swept, "refunds that should have settled were asked about"),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "refunds cannot be swept; trying again");
                }
            }
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = sleep(every) => {}
            }
        }
    }

    /// Asks the provider about every refund that should have settled by `now`, parks those that have not, and stores
    /// the missing notices. If the provider gives no answer about a refund, it stays as it is, since nobody guesses
    /// (L6). A refund with a problem delays neither the others nor the notices.
    ///
    /// # Errors
    /// Only if the database cannot be used, or a notice could not be stored. What was done before stays done.
    pub async fn park_overdue(&self, now: Timestamp) -> Result<Swept, RefundError> {
        let mut swept = Swept::default();
        for id in in_time(rows::due(self.ledger.database(), now), LedgerError::from).await? {
            match in_time(self.ask_about(&id, now), late).await {
                Ok(Some(RefundState::Settled)) => swept.settled += 1,
                Ok(Some(RefundState::Failed)) => swept.failed += 1,
                Ok(Some(_)) => swept.overdue += 1,
                Ok(None) => {}
                Err(error) => {
                    swept.unanswered += 1;
                    tracing::warn!(refund = %id, error = &error as &dyn std::error::Error, rule = "R8",
                        "a refund is overdue, and it is not known or cannot be written down what became of it");
                }
            }
        }
        in_time(self.tell(), late).await?;
        Ok(swept)
    }

    /// Asks the provider about a refund that should have settled, and acts on the answer: it settles, fails, or is
    /// parked as overdue. Returns nothing if another program parked it before.
    async fn ask_about(&self, id: &str, now: Timestamp) -> Result<Option<RefundState>, RefundError> {
        let report = match self.arrival_of(id).await? {
            Some(Arrival::Settled) => Report::Settled,
            Some(Arrival::Failed { reason }) => Report::Failed { reason },
            Some(Arrival::Pending) | None => {
                return Ok(self.park(id, now).await?.then_some(RefundState::Overdue));
            }
        };
        self.take_report(id, &report, now).await?;
        Ok(Some(if report == Report::Settled { RefundState::Settled } else { RefundState::Failed }))
    }

    /// Asks the provider about one refund at once, because something hints that its state has changed, and does what
    /// cannot wait for the next sweep: it parks a failed refund, and takes a parked one that has settled after all out
    /// of suspense.
    ///
    /// It does not record yet that a refund on its way has settled; the sweep does that at the date when it should
    /// have. A provider says `settled` when it has passed the money on, and the bank behind it may still send it back
    /// in the days after. Returns nothing if nobody asked the provider for such a refund, as when somebody else uses
    /// the same account.
    ///
    /// # Errors
    /// [`RefundError::Unknown`] if the provider was asked and the posting is not made yet: ask again later.
    /// [`RefundError::Gateway`] if it gives no answer. [`RefundError::Contradiction`] if its answer contradicts an
    /// earlier one.
    pub async fn look_now(&self, id: &str, now: Timestamp) -> Result<Option<TrackedRefund>, RefundError> {
        let Some(arrival) = self.arrival_of(id).await? else { return Ok(None) };
        let refund = self.refund(id, now).await?;
        let report = match arrival {
            Arrival::Failed { reason } => Report::Failed { reason },
            Arrival::Settled if refund.state == RefundState::Overdue => Report::Settled,
            Arrival::Settled | Arrival::Pending => return Ok(Some(refund)),
        };
        let refund = self.take_report(id, &report, now).await?;
        self.tell_or_warn().await;
        Ok(Some(refund))
    }

    /// The provider's state of a refund; nothing if the provider does not know it, as after it forgot the key.
    pub(super) async fn arrival_of(&self, id: &str) -> Result<Option<Arrival>, GatewayError> {
        let found = self.gateway.look_up(id).await?;
        Ok(found.map(|found| match found.declined {
            Some(reason) => Arrival::Failed { reason },
            None => found.arrival,
        }))
    }

    /// Parks an overdue refund. False if another program was faster.
    async fn park(&self, id: &str, now: Timestamp) -> Result<bool, RefundError> {
        let mut write = self.ledger.database().write().await.map_err(LedgerError::from)?;
        let refund = find(&mut write, id).await?;
        if refund.state != RefundState::Issued {
            return Ok(false);
        }
        rows::park(&mut write, &refund, RefundState::Overdue, "it should have settled, and has not", now).await?;
        write.commit().await.map_err(LedgerError::from)?;
        tracing::error!(refund = id, rule = "R8", "a refund is overdue and is parked; see to it");
        Ok(true)
    }

    /// Stores the missing notices. One that fails does not delay the rest.
    async fn tell(&self) -> Result<(), RefundError> {
        let mut failure = None;
        for news in rows::news(self.ledger.database()).await? {
            match self.book.tell(&told(&news)).await {
                Ok(_) => rows::mark_told(self.ledger.database(), news.sequence).await?,
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// [`RefundDesk::tell`] after something that stays done even if the notices come only with the next sweep (N3).
    pub(super) async fn tell_or_warn(&self) {
        if let Err(error) = self.tell().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "what became of a refund is told later");
        }
    }
}

/// The notices for an operator and the party whose money it is. They belong to the refund and not to its case, which
/// may have closed long ago.
fn told(news: &News) -> Tell {
    let News { event, refund, contract, reason, at, .. } = news;
    let notice = |to| Notice {
        number: 1,
        event: *event,
        to,
        by: None,
        rule: Rule::R8,
        email: event.by_email(),
        can: Vec::new(),
        deadline: None,
        if_silent: None,
        facts: Facts {
            amount: Some(refund.amount),
            text: reason.clone(),
            expected_by: Some(refund.expected_by),
            ..Facts::default()
        },
    };
    Tell {
        case: refund.case.clone(),
        case_ref: refund.id.clone(),
        contract: contract.clone(),
        notices: vec![notice(Role::Operator), notice(owner(refund, contract))],
        at: *at,
    }
}

/// Whose money it is: the client's, unless the freelancer or agency paid the fee that goes back (A3).
fn owner(refund: &TrackedRefund, contract: &Contract) -> Role {
    let freelancer = &contract.freelancer;
    let agency = freelancer.agency.as_ref().map(|agency| &agency.id);
    if refund.kind == "fee_return" && (refund.source == freelancer.id || Some(&refund.source) == agency) {
        Role::Freelancer
    } else {
        Role::Client
    }
}
