//! The bank's tables, read and written. This module makes no faults, and only one decision: whether a refund fits its
//! charge.

use std::time::Duration;

use recourse_database::{Database, Write};
use recourse_domain::{
    ids::Id,
    money::{Amount, Currency},
};
use sqlx::{Any, Executor, Row as _, any::AnyRow};

use super::{
    super::{Arrival, Charge, GatewayMovement, PayOut, Refund, Request},
    Fault, SandboxError,
};

/// `sandbox_faults.source` has this value for every billing method.
pub(super) const EVERY_SOURCE: &str = "*";

const COLUMNS: &str = "key, kind, source, currency, amount, charge, declined, arrival, failed";

/// The movement under a key, inside or outside of a transaction.
pub(super) async fn find<'e>(
    there: impl Executor<'e, Database = Any>,
    key: &str,
) -> Result<Option<GatewayMovement>, SandboxError> {
    let sql = format!("SELECT {COLUMNS} FROM sandbox_movements WHERE key = $1");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(key.to_owned()).fetch_optional(there).await?;
    row.as_ref().map(read_movement).transpose()
}

/// The movements that fit `condition`, which is SQL, oldest first.
pub(super) async fn list(database: &Database, condition: &'static str) -> Result<Vec<GatewayMovement>, SandboxError> {
    let sql = format!("SELECT {COLUMNS} FROM sandbox_movements {condition} ORDER BY sequence");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(database.pool()).await?;
    rows.iter().map(read_movement).collect()
}

/// Takes the first planned fault for `source`.
pub(super) async fn next_fault(write: &mut Write, source: &Id) -> Result<Option<Fault>, SandboxError> {
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

/// Why the bank would decline this even without a fault: a refund goes back to its own charge, and never exceeds it. A
/// failed refund came back, so its charge may be refunded again.
pub(super) async fn refusal(write: &mut Write, request: &Request) -> Result<Option<String>, SandboxError> {
    let Request::Refund(refund) = request else { return Ok(None) };
    let charge = Charge { source: refund.source.clone(), currency: refund.currency, amount: Amount::ZERO };
    let charged = match find(&mut **write, &refund.charge).await? {
        Some(GatewayMovement { request: Request::Charge(found), declined: None, .. })
            if (Charge { amount: Amount::ZERO, ..found.clone() }) == charge =>
        {
            found.amount
        }
        _ => return Ok(Some(format!("there is no charge {} of {}", refund.charge, refund.source))),
    };
    let refunded: i64 = sqlx::query_scalar(
        "SELECT COALESCE(CAST(SUM(amount) AS BIGINT), 0) FROM sandbox_movements
         WHERE charge = $1 AND declined IS NULL AND arrival <> 'failed'",
    )
    .bind(&refund.charge)
    .fetch_one(&mut **write)
    .await?;
    let left = charged.minor() - refunded;
    Ok((refund.amount.minor() > left).then(|| format!("only {left} minor units of {} are left", refund.charge)))
}

pub(super) async fn book(write: &mut Write, movement: &GatewayMovement) -> Result<(), SandboxError> {
    let (kind, charge) = match &movement.request {
        Request::Charge(_) => ("charge", None),
        Request::Refund(refund) => ("refund", Some(refund.charge.clone())),
        Request::PayOut(_) => ("pay_out", None),
    };
    let (arrival, failed) = columns_of(&movement.arrival);
    sqlx::query(
        "INSERT INTO sandbox_movements (key, kind, source, currency, amount, charge, declined, arrival, failed)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&movement.key)
    .bind(kind)
    .bind(movement.request.source().as_str())
    .bind(movement.request.currency().code())
    .bind(movement.request.amount().minor())
    .bind(charge)
    .bind(movement.declined.clone())
    .bind(arrival)
    .bind(failed)
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Stores a refund's state.
pub(super) async fn arrive(write: &mut Write, key: &str, arrival: &Arrival) -> Result<(), SandboxError> {
    let (arrival, failed) = columns_of(arrival);
    sqlx::query("UPDATE sandbox_movements SET arrival = $1, failed = $2 WHERE key = $3")
        .bind(arrival)
        .bind(failed)
        .bind(key)
        .execute(&mut **write)
        .await?;
    Ok(())
}

fn columns_of(arrival: &Arrival) -> (&'static str, Option<String>) {
    match arrival {
        Arrival::Pending => ("pending", None),
        Arrival::Settled => ("settled", None),
        Arrival::Failed { reason } => ("failed", Some(reason.clone())),
    }
}

fn read_movement(row: &AnyRow) -> Result<GatewayMovement, SandboxError> {
    let source = read_id(row.try_get("source")?)?;
    let damaged = |error: &dyn std::error::Error| SandboxError::Damaged(error.to_string());
    let currency = Currency::from_code(row.try_get("currency")?).map_err(|error| damaged(&error))?;
    let amount = Amount::new(row.try_get("amount")?).map_err(|error| damaged(&error))?;
    let charge: Option<String> = row.try_get("charge")?;
    let request = match (row.try_get("kind")?, charge) {
        ("charge", None) => Request::Charge(Charge { source, currency, amount }),
        ("refund", Some(charge)) => Request::Refund(Refund { charge, source, currency, amount }),
        ("pay_out", None) => Request::PayOut(PayOut { to: source, currency, amount }),
        (kind, _) => return Err(SandboxError::Damaged(format!("there is no movement of kind {kind}"))),
    };
    let failed: Option<String> = row.try_get("failed")?;
    let arrival = match (row.try_get("arrival")?, failed) {
        ("pending", None) => Arrival::Pending,
        ("settled", None) => Arrival::Settled,
        ("failed", Some(reason)) => Arrival::Failed { reason },
        (arrival, _) => return Err(SandboxError::Damaged(format!("no movement is {arrival}"))),
    };
    Ok(GatewayMovement { key: row.try_get("key")?, request, declined: row.try_get("declined")?, arrival })
}

pub(super) fn read_fault(row: &AnyRow) -> Result<Fault, SandboxError> {
    let name: &str = row.try_get("fault")?;
    let milliseconds: i64 = row.try_get("milliseconds")?;
    Fault::from_name(name, Duration::from_millis(milliseconds.unsigned_abs()))
        .ok_or_else(|| SandboxError::Damaged(format!("no fault is called {name}")))
}

pub(super) fn read_id(text: &str) -> Result<Id, SandboxError> {
    Id::new(text).map_err(|error| SandboxError::Damaged(error.to_string()))
}
