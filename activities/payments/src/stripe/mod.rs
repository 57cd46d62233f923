//! Stripe: charges of saved payment methods, refunds to them, and transfers to connected accounts.
//!
//! This module decides nothing, and must never move money twice, however often and however late it is asked (L6).
//! Stripe's own idempotency keys work for a day; a case waits for weeks. So the module stores each request first
//! ([`book`]). A charge is a `PaymentIntent` whose id it stores before it confirms it ([`charge`]). It searches
//! Stripe's lists for refunds and transfers before it makes them ([`back`]). `docs/decisions/0011-stripe.md` explains
//! why.
//!
//! A billing method's id is the id of a Stripe payment method (`pm_…`); a destination's is the id of a connected
//! account (`acct_…`). What Stripe says about a card's holder is neither kept nor logged.

mod back;
mod book;
mod callback;
mod charge;
mod http;
mod minor;

use std::fmt::Write as _;

use async_trait::async_trait;
use recourse_database::Database;
use sha2::{Digest as _, Sha256};
use url::Url;

use self::{
    book::Entry,
    http::{Http, Trouble},
};
use super::{Arrival, Charge, GatewayError, GatewayMovement, Hidden, PayOut, PaymentGateway, Refund, Request};

pub use callback::{CallbackError, StripeCallbacks};

/// The name of our key in the metadata of Stripe's objects.
const METADATA_KEY: &str = "recourse_key";

/// The settings for Stripe.
#[derive(Debug, Clone)]
pub struct StripeSettings {
    /// The secret key, `sk_…` or a restricted `rk_…`.
    pub key: Hidden,
    /// The URL of the API.
    pub url: Url,
    /// The secret that signs events, `whsec_…`, if Stripe sends any.
    pub webhook_secret: Option<Hidden>,
}

/// Why nobody knows what Stripe did, or did before.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// No answer, or only a part of one.
    #[error("Stripe did not answer")]
    NoAnswer(#[source] reqwest::Error),
    /// Not an answer of Stripe's; something else answers in its place.
    #[error("the answer (status {status}, request {request}) is not one of Stripe's")]
    Unreadable {
        /// The HTTP status.
        status: u16,
        /// Stripe's id of the request.
        request: String,
    },
    /// Stripe does not do it now: it is busy, or the secret key may not do this.
    #[error("Stripe does not do it now (status {status}, request {request}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Stripe's words.
        message: String,
        /// Stripe's id of the request.
        request: String,
    },
    /// Stripe does not know the stored object: the secret key belongs to another account, or to its test mode.
    #[error(
        "Stripe does not know {object} ({message}); is the secret key of the account and mode that it was made in?"
    )]
    Lost {
        /// Its id.
        object: String,
        /// Stripe's words.
        message: String,
    },
    /// A payment that takes days, such as a bank debit, or one that somebody changed in Stripe's dashboard.
    #[error("{object} is {status} at Stripe")]
    Undecided {
        /// Its id.
        object: String,
        /// Stripe's word for its state.
        status: String,
    },
    /// Another worker asks Stripe for the same.
    #[error("another worker got further with it at the same moment")]
    Overtaken,
    /// The database failed.
    #[error("what Stripe was asked cannot be read or written down")]
    Database(#[from] sqlx::Error),
    /// A row has content that this program never writes.
    #[error("what Stripe was asked is damaged: {0}")]
    Damaged(String),
}

/// Moves money through Stripe. Clones share everything.
#[derive(Debug, Clone)]
pub struct StripeGateway {
    database: Database,
    http: Http,
}

impl StripeGateway {
    /// Stripe with these `settings`. Requests are stored in `database`.
    ///
    /// # Errors
    /// If this machine cannot make encrypted connections.
    pub fn new(database: Database, settings: &StripeSettings) -> Result<Self, reqwest::Error> {
        Ok(Self { database, http: Http::new(settings, None)? })
    }

    /// Stores the request, or finds its entry; returns the entry and whether it was there before. A declined request
    /// stays declined.
    async fn begin(&self, key: &str, request: &Request) -> Result<(Entry, bool), GatewayError> {
        let (entry, known) = book::begin(&self.database, key, request).await.map_err(|error| unknown(key, error))?;
        if entry.request != *request {
            return Err(GatewayError::KeyReused { key: key.to_owned() });
        }
        match entry.declined {
            Some(reason) => Err(GatewayError::Declined { key: key.to_owned(), reason }),
            None => Ok((entry, known)),
        }
    }

    /// Stores the object that Stripe made, and returns the one that counts.
    async fn made(&self, key: &str, object: &str) -> Result<String, GatewayError> {
        let entry = book::made(&self.database, key, object).await.map_err(|error| unknown(key, error))?;
        match (entry.object, entry.declined) {
            (Some(object), None) => Ok(object),
            _ => Err(unknown(key, StripeError::Overtaken)),
        }
    }

    /// Stores that the request is declined for good, if Stripe made nothing but `object`.
    async fn decline(&self, key: &str, object: Option<&str>, reason: String) -> GatewayError {
        match book::declined(&self.database, key, object, &reason).await {
            Ok(Entry { declined: Some(reason), .. }) => GatewayError::Declined { key: key.to_owned(), reason },
            Ok(_) => unknown(key, StripeError::Overtaken),
            Err(error) => unknown(key, error),
        }
    }

    /// Handles a request that Stripe did not do, if Stripe made nothing but `object`. What Stripe cannot do as asked is
    /// declined too: nothing moved, notices give the reason, and refunds wait for an operator (R8).
    async fn refused(&self, key: &str, object: Option<&str>, trouble: Trouble) -> GatewayError {
        match trouble {
            Trouble::Declined(reason) => self.decline(key, object, reason).await,
            Trouble::Invalid(reason) => {
                tracing::error!(
                    key,
                    reason,
                    rule = "L6",
                    "Stripe cannot do what it was asked; an operator should look"
                );
                self.decline(key, object, reason).await
            }
            Trouble::KeyReused => GatewayError::KeyReused { key: key.to_owned() },
            Trouble::Unknown(error) => unknown(key, error),
        }
    }

    /// The movement under `key`, in its present state.
    fn movement(key: &str, entry: Entry, arrival: Arrival) -> GatewayMovement {
        GatewayMovement { key: key.to_owned(), request: entry.request, declined: entry.declined, arrival }
    }
}

#[async_trait]
impl PaymentGateway for StripeGateway {
    async fn charge(&self, key: &str, charge: &Charge) -> Result<(), GatewayError> {
        let (entry, _) = self.begin(key, &Request::Charge(charge.clone())).await?;
        let intent = match entry.object {
            Some(intent) => intent,
            None => self.draft(key, charge).await?,
        };
        self.confirm(key, &intent).await
    }

    async fn refund(&self, key: &str, refund: &Refund) -> Result<(), GatewayError> {
        let (entry, known) = self.begin(key, &Request::Refund(refund.clone())).await?;
        if entry.object.is_some() || (known && self.find_refund(key, refund).await?.is_some()) {
            return Ok(());
        }
        self.give_back(key, refund).await
    }

    async fn pay_out(&self, key: &str, pay_out: &PayOut) -> Result<(), GatewayError> {
        let (entry, known) = self.begin(key, &Request::PayOut(pay_out.clone())).await?;
        if entry.object.is_some() || (known && self.find_transfer(key, pay_out).await?.is_some()) {
            return Ok(());
        }
        self.transfer(key, pay_out).await
    }

    async fn look_up(&self, key: &str) -> Result<Option<GatewayMovement>, GatewayError> {
        let found = book::find(&self.database, key).await.map_err(|error| unknown(key, error))?;
        let Some(entry) = found else { return Ok(None) };
        if entry.declined.is_some() {
            return Ok(Some(Self::movement(key, entry, Arrival::Settled)));
        }
        let arrival = match (&entry.request, &entry.object) {
            (Request::Charge(_), None) => None,
            (Request::Charge(_), Some(intent)) => match self.look_at(key, intent).await {
                Ok(paid) => paid.then_some(Arrival::Settled),
                Err(GatewayError::Declined { reason, .. }) => {
                    let entry = Entry { declined: Some(reason), ..entry };
                    return Ok(Some(Self::movement(key, entry, Arrival::Settled)));
                }
                Err(error) => return Err(error),
            },
            (Request::Refund(_), Some(refund)) => Some(self.arrival_of(key, refund).await?),
            (Request::Refund(refund), None) => self.find_refund(key, refund).await?,
            (Request::PayOut(_), Some(_)) => Some(Arrival::Settled),
            (Request::PayOut(pay_out), None) => self.find_transfer(key, pay_out).await?,
        };
        Ok(arrival.map(|arrival| Self::movement(key, entry, arrival)))
    }
}

/// Nobody knows whether the money moved.
fn unknown(key: &str, error: StripeError) -> GatewayError {
    GatewayError::Unavailable { key: key.to_owned(), source: Box::new(error) }
}

/// Our key as Stripe's idempotency key: never longer than Stripe allows, and only with letters that it allows.
fn idempotency_key(key: &str) -> String {
    let mut hashed = "recourse-".to_owned();
    for byte in Sha256::digest(key.as_bytes()) {
        let _ = write!(hashed, "{byte:02x}");
    }
    hashed
}

#[cfg(test)]
mod tests;
