//! What an operator does with parked money: sends it again, or to another destination. Before that, if the provider
//! cannot say anything about an overdue refund any more, the operator states that it has failed.
//!
//! The desk asks the provider first and posts afterwards (L6). Before that, it records on the refund what it begins, so
//! that nobody can begin anything else until the answer is known: neither a crash in between nor a second operator
//! sends the money twice.

use jiff::Timestamp;
use recourse_database::Write;
use recourse_domain::{
    ids::Id,
    notice::NoticeEvent,
    party::{Actor, Role},
    policy::Policy,
};
use recourse_ledger::LedgerError;
use recourse_payments::{Arrival, GatewayError, PayOut, Refund, Request};

use super::{RefundDesk, RefundError, RefundState, Report, TrackedRefund, find, rows};

/// Where the parked money goes.
#[derive(Debug, Clone)]
enum Way {
    /// To the same source again.
    Again,
    /// To another destination.
    Elsewhere {
        to: Id,
        /// The operator's own reference.
        reference: String,
    },
}

impl Way {
    fn name(&self) -> String {
        match self {
            Self::Again => "retry".to_owned(),
            Self::Elsewhere { to, .. } => format!("pay:{to}"),
        }
    }

    /// The key of the next try. It is new after each refusal, because a provider's refusal is final for its key.
    fn key(&self, refund: &TrackedRefund) -> String {
        match self {
            Self::Again => format!("{}/retry:{}", refund.origin, refund.retries + 1),
            Self::Elsewhere { .. } if refund.payouts == 0 => format!("{}/paid_otherwise", refund.id),
            Self::Elsewhere { .. } => format!("{}/paid_otherwise:{}", refund.id, refund.payouts + 1),
        }
    }

    fn request(&self, refund: &TrackedRefund) -> Request {
        let TrackedRefund { currency, amount, .. } = *refund;
        match self {
            Self::Again => {
                let (charge, source) = (refund.charge.clone(), refund.source.clone());
                Request::Refund(Refund { charge, source, currency, amount })
            }
            Self::Elsewhere { to, .. } => Request::PayOut(PayOut { to: to.clone(), currency, amount }),
        }
    }
}

/// The state of sending a refund's money on.
enum PayOutState {
    /// It was done before, with this result.
    Done(TrackedRefund),
    /// The desk must ask the provider.
    Now(TrackedRefund),
}

impl RefundDesk {
    /// Sends a failed refund to its billing method again, once, and returns the new refund, which is due within the
    /// default policy's settlement time. Asked again, it returns the same one.
    ///
    /// # Errors
    /// [`RefundError::NotAllowed`] or [`RefundError::OwnMoney`] if `by` may not do it; [`RefundError::NotParked`],
    /// [`RefundError::StillPending`], [`RefundError::SettledAfterAll`] or [`RefundError::Busy`] if it cannot be sent
    /// now; [`RefundError::Declined`] if the provider declines: then it is still parked, and the next try has a key of
    /// its own.
    pub async fn retry(&self, id: &str, by: &Actor, now: Timestamp) -> Result<TrackedRefund, RefundError> {
        self.send_on(id, &Way::Again, by, now).await
    }

    /// Pays a failed refund to another destination, once, and returns it.
    ///
    /// # Errors
    /// As [`RefundDesk::retry`].
    pub async fn pay_otherwise(
        &self,
        id: &str,
        to: Id,
        by: &Actor,
        reference: &str,
        now: Timestamp,
    ) -> Result<TrackedRefund, RefundError> {
        self.send_on(id, &Way::Elsewhere { to, reference: reference.to_owned() }, by, now).await
    }

    /// Records an operator's word that an overdue refund has failed. The provider told the operator by other means: it
    /// has forgotten the refund, or never reports its end. No money moves, since it is parked already; an operator can
    /// then send it again or elsewhere. A refund that has failed before stays as it is.
    ///
    /// `reference` says where the provider's word can be found. The refund's reason keeps the reference and the
    /// operator, whatever happens to the refund later.
    ///
    /// # Errors
    /// [`RefundError::SettledAfterAll`] if the provider says so: its word counts more. [`RefundError::Gateway`] if it
    /// gives no answer now. [`RefundError::NotOverdue`], [`RefundError::NoReference`].
    pub async fn give_up(
        &self,
        id: &str,
        by: &Actor,
        reference: &str,
        now: Timestamp,
    ) -> Result<TrackedRefund, RefundError> {
        self.check_operator(id, by).await?;
        let reference = reference.trim();
        if reference.is_empty() {
            return Err(RefundError::NoReference { id: id.to_owned() });
        }
        match self.settle_doubts(id, now).await {
            Ok(()) | Err(RefundError::StillPending { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut write = self.ledger.database().write().await.map_err(LedgerError::from)?;
        let refund = find(&mut write, id).await?;
        match refund.state {
            RefundState::Overdue => {}
            RefundState::Failed => return Ok(refund),
            state => return Err(RefundError::NotOverdue { id: id.to_owned(), state }),
        }
        // Other columns keep who sends it on later, and with which reference; they do not replace this.
        let reason = format!("given up by {by}: {reference}");
        rows::set_state(&mut write, &refund, RefundState::Failed, Some(&reason)).await?;
        // A notice's reason comes from the provider, and the client must not see an operator's reference.
        rows::announce(&mut write, &refund, NoticeEvent::RefundFailed, None, now).await?;
        let after = find(&mut write, id).await?;
        write.commit().await.map_err(LedgerError::from)?;
        tracing::warn!(refund = id, by = %by, reference, rule = "R8", "an overdue refund was given up");
        self.tell_or_warn().await;
        Ok(after)
    }

    async fn send_on(&self, id: &str, way: &Way, by: &Actor, now: Timestamp) -> Result<TrackedRefund, RefundError> {
        self.check_operator(id, by).await?;
        self.settle_doubts(id, now).await?;
        let refund = match self.begin(id, way).await? {
            PayOutState::Done(refund) => return Ok(refund),
            PayOutState::Now(refund) => refund,
        };
        let key = way.key(&refund);
        match recourse_payments::once(self.gateway.as_ref(), &key, &way.request(&refund)).await {
            Ok(_) => self.sent(&refund, &key, way, by, now).await,
            Err(GatewayError::Declined { reason, .. }) => {
                self.declined(&refund, way).await?;
                Err(RefundError::Declined { id: id.to_owned(), reason })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether `by` is an operator, and on neither side of the contract whose money it is (E14).
    async fn check_operator(&self, id: &str, by: &Actor) -> Result<(), RefundError> {
        if by.party != Role::Operator {
            return Err(RefundError::NotAllowed { role: by.party });
        }
        let contract = {
            let mut read = self.ledger.database().read().await.map_err(LedgerError::from)?;
            find(&mut read, id).await?.contract
        };
        let pinned = self.ledger.contract(&contract).await?;
        if pinned.is_some_and(|pinned| pinned.has_party(&by.id)) {
            return Err(RefundError::OwnMoney { by: by.id.clone(), contract });
        }
        Ok(())
    }

    /// Asks the provider about an overdue refund: while the provider may still complete it, its money must not go out
    /// again.
    async fn settle_doubts(&self, id: &str, now: Timestamp) -> Result<(), RefundError> {
        let refund = {
            let mut read = self.ledger.database().read().await.map_err(LedgerError::from)?;
            find(&mut read, id).await?
        };
        if refund.state != RefundState::Overdue {
            return Ok(());
        }
        let id = id.to_owned();
        match self.arrival_of(&id).await? {
            Some(Arrival::Settled) => {
                self.take_report(&id, &Report::Settled, now).await?;
                self.tell_or_warn().await;
                Err(RefundError::SettledAfterAll { id })
            }
            Some(Arrival::Failed { reason }) => {
                self.take_report(&id, &Report::Failed { reason }, now).await?;
                self.tell_or_warn().await;
                Ok(())
            }
            Some(Arrival::Pending) | None => Err(RefundError::StillPending { id }),
        }
    }

    async fn begin(&self, id: &str, way: &Way) -> Result<PayOutState, RefundError> {
        let mut write = self.ledger.database().write().await.map_err(LedgerError::from)?;
        let refund = find(&mut write, id).await?;
        if let Some(done) = done_before(&mut write, &refund, way).await? {
            return Ok(PayOutState::Done(done));
        }
        if refund.state != RefundState::Failed {
            return Err(RefundError::NotParked { id: id.to_owned(), state: refund.state });
        }
        match &refund.under_way {
            Some(under_way) if *under_way != way.name() => {
                return Err(RefundError::Busy { id: id.to_owned(), under_way: under_way.clone() });
            }
            Some(_) => {}
            None => {
                sqlx::query("UPDATE refunds SET under_way = $1 WHERE id = $2")
                    .bind(way.name())
                    .bind(id)
                    .execute(&mut *write)
                    .await
                    .map_err(LedgerError::from)?;
                write.commit().await.map_err(LedgerError::from)?;
            }
        }
        Ok(PayOutState::Now(refund))
    }

    /// The provider accepted it: the money leaves suspense, and the desk follows a refund that was sent again as a new
    /// one.
    async fn sent(
        &self,
        refund: &TrackedRefund,
        key: &str,
        way: &Way,
        by: &Actor,
        now: Timestamp,
    ) -> Result<TrackedRefund, RefundError> {
        let mut write = self.ledger.database().write().await.map_err(LedgerError::from)?;
        let before = find(&mut write, &refund.id).await?;
        if let Some(done) = done_before(&mut write, &before, way).await? {
            return Ok(done);
        }
        let (state, to, followed_by, reference) = match way {
            Way::Again => (RefundState::Retried, &refund.source, key, None),
            Way::Elsewhere { to, reference } => (RefundState::PaidOtherwise, to, to.as_str(), Some(reference.clone())),
        };
        rows::unpark(&mut write, refund, key.to_owned(), to, now).await?;
        sqlx::query(
            "UPDATE refunds SET state = $1, under_way = NULL, handled_by = $2, reference = $3, followed_by = $4
             WHERE id = $5",
        )
        .bind(state.name())
        .bind(by.to_string())
        .bind(reference)
        .bind(followed_by)
        .bind(&refund.id)
        .execute(&mut *write)
        .await
        .map_err(LedgerError::from)?;
        if let Way::Again = way {
            follow_anew(&mut write, refund, key, now).await?;
        }
        let after = find(&mut write, if let Way::Again = way { key } else { &refund.id }).await?;
        write.commit().await.map_err(LedgerError::from)?;
        Ok(after)
    }

    /// The provider declined it: the key is used up, and an operator may begin something else. Does nothing if another
    /// program has recorded that already.
    async fn declined(&self, refund: &TrackedRefund, way: &Way) -> Result<(), RefundError> {
        let (retries, payouts) = match way {
            Way::Again => (refund.retries + 1, refund.payouts),
            Way::Elsewhere { .. } => (refund.retries, refund.payouts + 1),
        };
        sqlx::query(
            "UPDATE refunds SET under_way = NULL, retries = $1, payouts = $2
             WHERE id = $3 AND under_way = $4 AND retries = $5 AND payouts = $6",
        )
        .bind(retries)
        .bind(payouts)
        .bind(&refund.id)
        .bind(way.name())
        .bind(refund.retries)
        .bind(refund.payouts)
        .execute(self.ledger.database().writers())
        .await
        .map_err(LedgerError::from)?;
        Ok(())
    }
}

/// The result, if exactly this was done before.
async fn done_before(
    write: &mut Write,
    refund: &TrackedRefund,
    way: &Way,
) -> Result<Option<TrackedRefund>, RefundError> {
    match (refund.state, &refund.followed_by, way) {
        (RefundState::Retried, Some(next), Way::Again) => Ok(Some(find(write, next).await?)),
        (RefundState::PaidOtherwise, Some(paid), Way::Elsewhere { to, .. }) if paid == to.as_str() => {
            Ok(Some(refund.clone()))
        }
        _ => Ok(None),
    }
}

/// The new row of a refund that was sent again. Its key is used, so later tries count from there.
async fn follow_anew(write: &mut Write, refund: &TrackedRefund, key: &str, now: Timestamp) -> Result<(), RefundError> {
    let policy = Policy::default();
    let expected_by = policy.deadline(policy.refund_settlement, now);
    sqlx::query(
        "INSERT INTO refunds (id, origin, contract, contract_json, case_id, currency, amount, source, charge, issued_at,
                              expected_by, state, retries)
         SELECT $1, origin, contract, contract_json, case_id, currency, amount, source, charge, $2, $3, 'issued', $4
         FROM refunds WHERE id = $5",
    )
    .bind(key)
    .bind(now.as_millisecond())
    .bind(expected_by.as_millisecond())
    .bind(refund.retries + 1)
    .bind(&refund.id)
    .execute(&mut **write)
    .await
    .map_err(LedgerError::from)?;
    Ok(())
}
