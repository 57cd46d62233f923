//! A fake bank with a state. It keeps its own books, apart from the ledger's, respects idempotency keys, and can fail
//! on demand in every way that a real provider can.

mod arrivals;
mod books;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use recourse_database::Database;
use recourse_domain::ids::Id;
use sqlx::Row as _;

use self::books::{EVERY_SOURCE, book, find, next_fault, read_fault, read_id, refusal};
use super::{Arrival, Charge, GatewayError, GatewayMovement, PayOut, PaymentGateway, Refund, Request};

/// A planned fault of the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It declines for good.
    Decline,
    /// It fails before it acts.
    FailBefore,
    /// It acts, and then fails.
    FailAfter,
    /// It acts, and then answers after this time.
    Late(Duration),
}

impl Fault {
    /// The name, as in the bank's books.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decline => "decline",
            Self::FailBefore => "fail_before",
            Self::FailAfter => "fail_after",
            Self::Late(_) => "late",
        }
    }

    /// The fault with this name; only `late` uses `delay`.
    pub fn from_name(name: &str, delay: Duration) -> Option<Self> {
        Some(match name {
            "decline" => Self::Decline,
            "fail_before" => Self::FailBefore,
            "fail_after" => Self::FailAfter,
            "late" => Self::Late(delay),
            _ => return None,
        })
    }
}

/// A fault that is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFault {
    /// The billing method that it is for; nothing for every one.
    pub source: Option<Id>,
    /// The fault.
    pub fault: Fault,
    /// How many more times.
    pub times_left: u32,
}

/// Why the bank's books cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The database failed.
    #[error("the sandbox bank's database did not do its work")]
    Database(#[from] sqlx::Error),
    /// A row has content that the bank never writes.
    #[error("the sandbox bank's books are damaged: {0}")]
    Damaged(String),
    /// A planned fault stopped it.
    #[error("the sandbox bank broke off, as it was told to")]
    BrokeOff,
    /// The bank accepted no refund under this key.
    #[error("the sandbox bank has taken on no refund {key}")]
    UnknownRefund {
        /// The idempotency key.
        key: String,
    },
    /// The refund has settled or failed before, and that is final.
    #[error("the sandbox bank's refund {key} {before}, and that is final")]
    FinalBefore {
        /// The idempotency key.
        key: String,
        /// How it ended, in words.
        before: &'static str,
    },
}

/// The fake bank. Clones share its books.
#[derive(Debug, Clone)]
pub struct SandboxBank {
    database: Database,
    /// The known billing methods; nothing if every id is one.
    sources: Option<Arc<BTreeSet<Id>>>,
}

impl SandboxBank {
    /// The bank whose books are in `database`, in tables of their own.
    pub const fn new(database: Database) -> Self {
        Self { database, sources: None }
    }

    /// The same bank, as strict as a real one: other billing methods than these do not exist, and it declines a charge
    /// to one.
    #[must_use]
    pub fn with_sources(self, sources: BTreeSet<Id>) -> Self {
        Self { sources: Some(Arc::new(sources)), ..self }
    }

    /// Why the bank declines a charge, if its billing method does not exist.
    fn unknown_source(&self, request: &Request) -> Option<String> {
        let Request::Charge(Charge { source, .. }) = request else { return None };
        let known = self.sources.as_ref().is_none_or(|sources| sources.contains(source));
        (!known).then(|| format!("there is no billing method {source}"))
    }

    /// Plans `fault` for the next `times` new movements of `source`, or of every billing method. Earlier plans come
    /// first.
    ///
    /// # Errors
    /// Only if the database cannot be written.
    pub async fn set_fault(&self, source: Option<&Id>, fault: Fault, times: u32) -> Result<(), SandboxError> {
        let delay = if let Fault::Late(delay) = fault { delay } else { Duration::ZERO };
        sqlx::query("INSERT INTO sandbox_faults (source, fault, milliseconds, times_left) VALUES ($1, $2, $3, $4)")
            .bind(source.map_or(EVERY_SOURCE, Id::as_str))
            .bind(fault.name())
            .bind(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
            .bind(i64::from(times))
            .execute(self.database.writers())
            .await?;
        Ok(())
    }

    /// Deletes every planned fault.
    ///
    /// # Errors
    /// Only if the database cannot be written.
    pub async fn clear_faults(&self) -> Result<(), SandboxError> {
        sqlx::query("DELETE FROM sandbox_faults").execute(self.database.writers()).await?;
        Ok(())
    }

    /// The planned faults, in the order in which they will occur.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn faults(&self) -> Result<Vec<PlannedFault>, SandboxError> {
        let rows = sqlx::query(
            "SELECT source, fault, milliseconds, times_left FROM sandbox_faults WHERE times_left > 0 ORDER BY sequence",
        )
        .fetch_all(self.database.pool())
        .await?;
        rows.iter()
            .map(|row| {
                let source: &str = row.try_get("source")?;
                let source = if source == EVERY_SOURCE { None } else { Some(read_id(source)?) };
                let times_left: i64 = row.try_get("times_left")?;
                Ok(PlannedFault {
                    source,
                    fault: read_fault(row)?,
                    times_left: u32::try_from(times_left).unwrap_or(u32::MAX),
                })
            })
            .collect()
    }

    /// Everything that the bank decided, oldest first, to compare its books with the ledger.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn movements(&self) -> Result<Vec<GatewayMovement>, SandboxError> {
        books::list(&self.database, "").await
    }

    /// Decides about `request`, once, and answers as the planned fault says.
    async fn act(&self, key: &str, request: Request) -> Result<(), GatewayError> {
        let unavailable =
            |source: SandboxError| GatewayError::Unavailable { key: key.to_owned(), source: Box::new(source) };
        let decided = self.decide(key, &request).await.map_err(unavailable)?;
        match decided.fault {
            Some(Fault::FailBefore | Fault::FailAfter) => return Err(unavailable(SandboxError::BrokeOff)),
            Some(Fault::Late(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::Decline) | None => {}
        }
        if decided.movement.as_ref().is_some_and(|movement| movement.request != request) {
            return Err(GatewayError::KeyReused { key: key.to_owned() });
        }
        match decided.movement.and_then(|movement| movement.declined) {
            Some(reason) => Err(GatewayError::Declined { key: key.to_owned(), reason }),
            None => Ok(()),
        }
    }

    async fn decide(&self, key: &str, request: &Request) -> Result<Decided, SandboxError> {
        let mut write = self.database.write().await?;
        if let Some(movement) = find(&mut *write, key).await? {
            return Ok(Decided { movement: Some(movement), fault: None });
        }
        let fault = next_fault(&mut write, request.source()).await?;
        let movement = if fault == Some(Fault::FailBefore) {
            None
        } else {
            let declined = match fault {
                Some(Fault::Decline) => Some("declined, as it was told to".to_owned()),
                _ => match self.unknown_source(request) {
                    Some(reason) => Some(reason),
                    None => refusal(&mut write, request).await?,
                },
            };
            let arrival = match request {
                Request::Refund(_) if declined.is_none() => Arrival::Pending,
                _ => Arrival::Settled,
            };
            let movement = GatewayMovement { key: key.to_owned(), request: request.clone(), declined, arrival };
            book(&mut write, &movement).await?;
            Some(movement)
        };
        write.commit().await?;
        Ok(Decided { movement, fault })
    }
}

/// What the bank decided about a request, and the fault of its answer.
struct Decided {
    /// Nothing if the bank failed before it acted.
    movement: Option<GatewayMovement>,
    fault: Option<Fault>,
}

#[async_trait]
impl PaymentGateway for SandboxBank {
    async fn charge(&self, key: &str, charge: &Charge) -> Result<(), GatewayError> {
        self.act(key, Request::Charge(charge.clone())).await
    }

    async fn refund(&self, key: &str, refund: &Refund) -> Result<(), GatewayError> {
        self.act(key, Request::Refund(refund.clone())).await
    }

    async fn pay_out(&self, key: &str, pay_out: &PayOut) -> Result<(), GatewayError> {
        self.act(key, Request::PayOut(pay_out.clone())).await
    }

    async fn look_up(&self, key: &str) -> Result<Option<GatewayMovement>, GatewayError> {
        let found = find(self.database.pool(), key).await;
        found.map_err(|source| GatewayError::Unavailable { key: key.to_owned(), source: Box::new(source) })
    }
}

#[cfg(test)]
mod tests;
