//! The requests to Stripe by key, and the object that Stripe made for each. A request is stored before Stripe gets it.
//! The object, or the decline, is stored once and then never changes; a trigger ensures that.

use recourse_database::Database;
use recourse_domain::{
    ids::Id,
    money::{Amount, Currency},
};
use sqlx::{Row as _, any::AnyRow};

use super::{
    super::{Charge, PayOut, Refund, Request},
    StripeError,
};

/// What is stored under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The request.
    pub request: Request,
    /// The id of the object that Stripe made for it: `pi_…`, `re_…`, `tr_…`.
    pub object: Option<String>,
    /// Why it was declined.
    pub declined: Option<String>,
}

/// Finds the entry of a key.
///
/// # Errors
/// Only if the database cannot be read, or is damaged.
pub async fn find(database: &Database, key: &str) -> Result<Option<Entry>, StripeError> {
    let sql = "SELECT kind, source, currency, amount, charge, object, declined FROM stripe_movements WHERE key = $1";
    let row = sqlx::query(sql).bind(key).fetch_optional(database.pool()).await?;
    row.as_ref().map(entry).transpose()
}

/// Stores a request, unless the key has an entry. Returns the entry, and whether it was there before.
///
/// # Errors
/// Only if the database cannot be used.
pub async fn begin(database: &Database, key: &str, request: &Request) -> Result<(Entry, bool), StripeError> {
    let (kind, charge) = match request {
        Request::Charge(_) => ("charge", None),
        Request::Refund(refund) => ("refund", Some(refund.charge.as_str())),
        Request::PayOut(_) => ("pay_out", None),
    };
    let made = sqlx::query(
        "INSERT INTO stripe_movements (key, kind, source, currency, amount, charge) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (key) DO NOTHING",
    )
    .bind(key)
    .bind(kind)
    .bind(request.source().as_str())
    .bind(request.currency().code())
    .bind(request.amount().minor())
    .bind(charge)
    .execute(database.writers())
    .await?;
    Ok((known(database, key).await?, made.rows_affected() == 0))
}

/// Stores the object that Stripe made, unless the entry has one. Returns the entry that counts.
///
/// # Errors
/// Only if the database cannot be used.
pub async fn made(database: &Database, key: &str, object: &str) -> Result<Entry, StripeError> {
    let sql = "UPDATE stripe_movements SET object = $1 WHERE key = $2 AND object IS NULL AND declined IS NULL";
    sqlx::query(sql).bind(object).bind(key).execute(database.writers()).await?;
    known(database, key).await
}

/// Stores that Stripe declined, if Stripe made nothing but `object`. Returns the entry that counts: another worker may
/// be ahead.
///
/// # Errors
/// Only if the database cannot be used.
pub async fn declined(
    database: &Database,
    key: &str,
    object: Option<&str>,
    reason: &str,
) -> Result<Entry, StripeError> {
    sqlx::query(
        "UPDATE stripe_movements SET declined = $1 WHERE key = $2 AND declined IS NULL AND COALESCE(object, '') = $3",
    )
    .bind(reason)
    .bind(key)
    .bind(object.unwrap_or_default())
    .execute(database.writers())
    .await?;
    known(database, key).await
}

async fn known(database: &Database, key: &str) -> Result<Entry, StripeError> {
    find(database, key).await?.ok_or_else(|| StripeError::Damaged(format!("{key} is not there")))
}

fn entry(row: &AnyRow) -> Result<Entry, StripeError> {
    let damaged = |error: &dyn std::error::Error| StripeError::Damaged(error.to_string());
    let source = Id::new(row.try_get("source")?).map_err(|error| damaged(&error))?;
    let currency = Currency::from_code(row.try_get("currency")?).map_err(|error| damaged(&error))?;
    let amount = Amount::new(row.try_get("amount")?).map_err(|error| damaged(&error))?;
    let charge: Option<String> = row.try_get("charge")?;
    let request = match (row.try_get("kind")?, charge) {
        ("charge", None) => Request::Charge(Charge { source, currency, amount }),
        ("refund", Some(charge)) => Request::Refund(Refund { charge, source, currency, amount }),
        ("pay_out", None) => Request::PayOut(PayOut { to: source, currency, amount }),
        (kind, _) => return Err(StripeError::Damaged(format!("nothing of kind {kind} is asked"))),
    };
    Ok(Entry { request, object: row.try_get("object")?, declined: row.try_get("declined")? })
}
