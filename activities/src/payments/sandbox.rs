//! A stateful fake bank. It keeps its own books, apart from the ledger's, honours idempotency keys, and can be told to
//! fail in each way that a real provider can.

use std::time::Duration;

use async_trait::async_trait;
use recourse_workflows::domain::{
    ids::Id,
    money::{Amount, Currency},
};
use sqlx::{Row as _, any::AnyRow};

use super::{Charge, GatewayError, GatewayMovement, PaymentGateway, Refund, Request};
use crate::database::{Database, Write};

/// What `sandbox_faults.source` says for every source.
const EVERY_SOURCE: &str = "*";

/// What the bank does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It declines, for good.
    Decline,
    /// It breaks off before it acts.
    FailBefore,
    /// It acts, and then breaks off.
    FailAfter,
    /// It acts, and then answers this much later.
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

    /// The fault with this name; `delay` is for `late` alone.
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
    /// The source that it is for; nothing for every source.
    pub source: Option<Id>,
    /// What goes wrong.
    pub fault: Fault,
    /// How many more times.
    pub times_left: u32,
}

/// Why the bank's books cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The database could not be asked.
    #[error("the sandbox bank's database did not do its work")]
    Database(#[from] sqlx::Error),
    /// A row says what the bank never wrote.
    #[error("the sandbox bank's books are damaged: {0}")]
    Damaged(String),
    /// It was told to break off.
    #[error("the sandbox bank broke off, as it was told to")]
    BrokeOff,
}

/// The fake bank. Clones share its books.
#[derive(Debug, Clone)]
pub struct SandboxBank {
    database: Database,
}

impl SandboxBank {
    /// The bank whose books are in `database`, in tables of their own.
    pub const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Plans `fault` for the next `times` new movements of `source`, or of every source. Earlier plans come first.
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
            .execute(self.database.pool())
            .await?;
        Ok(())
    }

    /// Forgets every planned fault.
    ///
    /// # Errors
    /// Only if the database cannot be written.
    pub async fn clear_faults(&self) -> Result<(), SandboxError> {
        sqlx::query("DELETE FROM sandbox_faults").execute(self.database.pool()).await?;
        Ok(())
    }

    /// The faults still to come, in the order in which they will.
    ///
    /// # Errors
    /// Only if the database cannot be read, or was damaged.
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
    /// Only if the database cannot be read, or was damaged.
    pub async fn movements(&self) -> Result<Vec<GatewayMovement>, SandboxError> {
        let rows = sqlx::query(
            "SELECT key, kind, source, currency, amount, charge, declined FROM sandbox_movements ORDER BY sequence",
        )
        .fetch_all(self.database.pool())
        .await?;
        rows.iter().map(read_movement).collect()
    }

    /// Decides about `request`, once, and answers as its fault says.
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
        if let Some(movement) = find(&mut write, key).await? {
            return Ok(Decided { movement: Some(movement), fault: None });
        }
        let fault = next_fault(&mut write, request.source()).await?;
        let movement = if fault == Some(Fault::FailBefore) {
            None
        } else {
            let declined = match fault {
                Some(Fault::Decline) => Some("declined, as it was told to".to_owned()),
                _ => refusal(&mut write, request).await?,
            };
            let movement = GatewayMovement { key: key.to_owned(), request: request.clone(), declined };
            book(&mut write, &movement).await?;
            Some(movement)
        };
        write.commit().await?;
        Ok(Decided { movement, fault })
    }
}

/// What the bank decided about a request, and what is to go wrong with the answer.
struct Decided {
    /// Nothing if the bank broke off before.
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

    async fn look_up(&self, key: &str) -> Result<Option<GatewayMovement>, GatewayError> {
        let found = async {
            let mut read = self.database.read().await?;
            find(&mut read, key).await
        };
        found.await.map_err(|source| GatewayError::Unavailable { key: key.to_owned(), source: Box::new(source) })
    }
}

impl Request {
    const fn source(&self) -> &Id {
        match self {
            Self::Charge(charge) => &charge.source,
            Self::Refund(refund) => &refund.source,
        }
    }

    const fn currency(&self) -> Currency {
        match self {
            Self::Charge(charge) => charge.currency,
            Self::Refund(refund) => refund.currency,
        }
    }

    const fn amount(&self) -> Amount {
        match self {
            Self::Charge(charge) => charge.amount,
            Self::Refund(refund) => refund.amount,
        }
    }
}

async fn find(write: &mut Write, key: &str) -> Result<Option<GatewayMovement>, SandboxError> {
    let row = sqlx::query(
        "SELECT key, kind, source, currency, amount, charge, declined FROM sandbox_movements WHERE key = $1",
    )
    .bind(key)
    .fetch_optional(&mut **write)
    .await?;
    row.as_ref().map(read_movement).transpose()
}

/// Takes the first planned fault for `source`.
async fn next_fault(write: &mut Write, source: &Id) -> Result<Option<Fault>, SandboxError> {
    let row = sqlx::query(
        "SELECT sequence, fault, milliseconds FROM sandbox_faults
         WHERE times_left > 0 AND (source = $1 OR source = $2) ORDER BY sequence LIMIT 1",
    )
    .bind(source.as_str())
    .bind(EVERY_SOURCE)
    .fetch_optional(&mut **write)
    .await?;
    let Some(row) = row else { return Ok(None) };
    sqlx::query("UPDATE sandbox_faults SET times_left = times_left - 1 WHERE sequence = $1")
        .bind(row.try_get::<i64, _>("sequence")?)
        .execute(&mut **write)
        .await?;
    read_fault(&row).map(Some)
}

/// Why the bank would not do this even in good health: a refund goes back to its own charge, and never exceeds it.
async fn refusal(write: &mut Write, request: &Request) -> Result<Option<String>, SandboxError> {
    let Request::Refund(refund) = request else { return Ok(None) };
    let charge = Charge { source: refund.source.clone(), currency: refund.currency, amount: Amount::ZERO };
    let charged = match find(write, &refund.charge).await? {
        Some(GatewayMovement { request: Request::Charge(found), declined: None, .. })
            if (Charge { amount: Amount::ZERO, ..found.clone() }) == charge =>
        {
            found.amount
        }
        _ => return Ok(Some(format!("there is no charge {} of {}", refund.charge, refund.source))),
    };
    let refunded: i64 = sqlx::query_scalar(
        "SELECT COALESCE(CAST(SUM(amount) AS BIGINT), 0) FROM sandbox_movements
         WHERE charge = $1 AND declined IS NULL",
    )
    .bind(&refund.charge)
    .fetch_one(&mut **write)
    .await?;
    let left = charged.minor() - refunded;
    Ok((refund.amount.minor() > left).then(|| format!("only {left} minor units of {} are left", refund.charge)))
}

async fn book(write: &mut Write, movement: &GatewayMovement) -> Result<(), SandboxError> {
    let (kind, charge) = match &movement.request {
        Request::Charge(_) => ("charge", None),
        Request::Refund(refund) => ("refund", Some(refund.charge.clone())),
    };
    sqlx::query(
        "INSERT INTO sandbox_movements (key, kind, source, currency, amount, charge, declined)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&movement.key)
    .bind(kind)
    .bind(movement.request.source().as_str())
    .bind(movement.request.currency().code())
    .bind(movement.request.amount().minor())
    .bind(charge)
    .bind(movement.declined.clone())
    .execute(&mut **write)
    .await?;
    Ok(())
}

fn read_movement(row: &AnyRow) -> Result<GatewayMovement, SandboxError> {
    let source = read_id(row.try_get("source")?)?;
    let damaged = |error: &dyn std::error::Error| SandboxError::Damaged(error.to_string());
    let currency = Currency::from_code(row.try_get("currency")?).map_err(|error| damaged(&error))?;
    let amount = Amount::new(row.try_get("amount")?).map_err(|error| damaged(&error))?;
    let charge: Option<String> = row.try_get("charge")?;
    Ok(GatewayMovement {
        key: row.try_get("key")?,
        request: match charge {
            Some(charge) => Request::Refund(Refund { charge, source, currency, amount }),
            None => Request::Charge(Charge { source, currency, amount }),
        },
        declined: row.try_get("declined")?,
    })
}

fn read_fault(row: &AnyRow) -> Result<Fault, SandboxError> {
    let name: &str = row.try_get("fault")?;
    let milliseconds: i64 = row.try_get("milliseconds")?;
    Fault::from_name(name, Duration::from_millis(milliseconds.unsigned_abs()))
        .ok_or_else(|| SandboxError::Damaged(format!("no fault is called {name}")))
}

fn read_id(text: &str) -> Result<Id, SandboxError> {
    Id::new(text).map_err(|error| SandboxError::Damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing::{TestDatabase, amount, contract, id};

    #[tokio::test]
    async fn the_bank_honours_its_keys_and_refunds_no_more_than_it_charged() {
        let test = TestDatabase::new().await;
        let bank = SandboxBank::new(test.database.clone());
        let usd = contract("c-1").currency;
        let charge = |minor| Charge { source: id("card-1"), currency: usd, amount: amount(minor) };
        bank.charge("k", &charge(100)).await.unwrap();
        bank.charge("k", &charge(100)).await.unwrap();
        assert!(matches!(bank.charge("k", &charge(101)).await, Err(GatewayError::KeyReused { .. })));
        let give_back = |source: &str, minor| Refund {
            charge: "k".into(),
            source: id(source),
            currency: usd,
            amount: amount(minor),
        };
        bank.refund("r-1", &give_back("card-1", 60)).await.unwrap();
        let mut declined = BTreeSet::new();
        for (key, refund) in [("r-2", give_back("card-1", 41)), ("r-3", give_back("card-2", 1))] {
            let Err(GatewayError::Declined { reason, .. }) = bank.refund(key, &refund).await else {
                unreachable!("{key}")
            };
            declined.insert(reason);
        }
        assert_eq!(declined.len(), 2, "{declined:?}");
        bank.refund("r-4", &give_back("card-1", 40)).await.unwrap();
        assert_eq!(bank.movements().await.unwrap().len(), 5);
        bank.set_fault(Some(&id("card-2")), Fault::Decline, 1).await.unwrap();
        bank.charge("k-2", &charge(1)).await.unwrap();
        assert_eq!(bank.faults().await.unwrap().len(), 1, "a fault of another source stays");
        bank.clear_faults().await.unwrap();
        assert_eq!(bank.faults().await.unwrap(), []);
    }
}
