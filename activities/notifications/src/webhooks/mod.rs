//! Webhooks: programs get signed events of cases, and can read the ones that they missed.
//!
//! [`events`] are stored with the notices, in one transaction. For each event and each endpoint the [`Courier`] starts
//! a `WebhookDelivery` workflow, whose activity sends it; Temporal makes the retries. So an endpoint that is down
//! delays no case and no other endpoint. A delivery may arrive more than once and in any order: receivers use the
//! event's id and its sequence.
//!
//! This module decides nothing about a case. A webhook says only that something happened.

mod address;
mod courier;
mod deliver;
mod deliveries;
mod endpoints;
mod events;
mod signature;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use recourse_domain::ids::Id;

pub use courier::{Courier, StartsDeliveries};
pub use deliver::Deliverer;
pub use deliveries::{Delivery, DeliveryState};
pub use endpoints::Endpoint;
pub(crate) use events::record;
pub use events::{CaseEvent, FeedEntry};
pub use signature::{Secret, SignatureError, SignedHeaders, TOLERANCE, sign, verify};

use recourse_database::Database;

/// How long a replaced secret still signs, so that receivers have time to change.
const OLD_SECRET_VALID: Duration = Duration::from_hours(24);

/// Why a call about webhooks failed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The database failed.
    #[error("the database of webhooks did not do its work")]
    Database(#[from] sqlx::Error),
    /// Nothing may be sent to this URL. It is not shown: it may hold a password.
    #[error("this URL cannot be an endpoint: {reason}")]
    Url {
        /// What is wrong.
        reason: String,
    },
    /// There is no such endpoint.
    #[error("there is no endpoint {id}")]
    NotFound {
        /// The id that the caller gave.
        id: String,
    },
    /// The endpoint did not take a delivery; another try follows.
    #[error("the endpoint did not take it: {reason}")]
    NotTaken {
        /// Its answer, or why the connection failed.
        reason: String,
    },
    /// Temporal did not start a delivery; another try follows.
    #[error("a delivery could not be started: {reason}")]
    NotStarted {
        /// Why.
        reason: String,
    },
    /// The machine gave no random bytes for a secret.
    #[error("the machine has no random numbers")]
    NoSecret(#[from] getrandom::Error),
    /// A secret in the database cannot be used.
    #[error("a webhook cannot be signed")]
    NotSigned(#[from] SignatureError),
    /// This machine cannot send webhooks.
    #[error("no encrypted connections can be made from here")]
    NoClient(#[source] reqwest::Error),
    /// An event cannot be written as JSON.
    #[error("an event cannot be written as JSON")]
    NotWritten(#[from] serde_json::Error),
    /// A row has content that this program never writes.
    #[error("a webhook's row is damaged: {field} is \"{value}\"")]
    Damaged {
        /// Which field.
        field: &'static str,
        /// Its content.
        value: String,
    },
}

impl WebhookError {
    /// The kind of error, as a name in a workflow's history.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Database(_) => "WebhooksUnavailable",
            Self::Url { .. } => "WebhookUrl",
            Self::NotFound { .. } => "WebhookEndpointMissing",
            Self::NotTaken { .. } => "WebhookNotTaken",
            Self::NotStarted { .. } => "WebhookNotStarted",
            Self::NoSecret(_) | Self::NotSigned(_) => "WebhookSecret",
            Self::NoClient(_) => "WebhookClient",
            Self::NotWritten(_) => "WebhookNotWritten",
            Self::Damaged { .. } => "WebhookDamaged",
        }
    }
}

fn damaged(field: &'static str, value: &str) -> WebhookError {
    WebhookError::Damaged { field, value: value.to_owned() }
}

/// Endpoints, events and deliveries. Clones share the database.
#[derive(Debug, Clone)]
pub struct WebhookBook {
    database: Database,
    allow_local: bool,
}

impl WebhookBook {
    /// The webhooks in `database`. [`Database::migrate`] has made its tables. They go only to public addresses, and
    /// encrypted.
    pub const fn new(database: Database) -> Self {
        Self { database, allow_local: false }
    }

    /// The same for a sandbox, if `allow_local`: endpoints may be on this machine and its network, and unencrypted.
    #[must_use]
    pub const fn allow_local(mut self, allow_local: bool) -> Self {
        self.allow_local = allow_local;
        self
    }

    /// Adds an endpoint. It gets the events from now on, signed with the secret, which only this call shows.
    ///
    /// # Errors
    /// [`WebhookError::Url`] if this URL is not allowed.
    pub async fn add(&self, url: &str, description: &str) -> Result<(Endpoint, Secret), WebhookError> {
        let url = address::checked(url, self.allow_local).await?;
        let secret = Secret::draw()?;
        let endpoint = endpoints::add(&self.database, url.as_str(), description, &secret, Timestamp::now()).await?;
        Ok((endpoint, secret))
    }

    /// Every endpoint, oldest first.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn list(&self) -> Result<Vec<Endpoint>, WebhookError> {
        endpoints::list(&self.database).await
    }

    /// Deletes an endpoint, its secrets and its deliveries. A delivery under way is not tried again.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`] if there is none with this id.
    pub async fn remove(&self, id: &str) -> Result<(), WebhookError> {
        endpoints::remove(&self.database, id).await
    }

    /// Gives an endpoint a new secret, which only this call shows. The old one signs beside it for another day.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`] if there is no endpoint with this id.
    pub async fn rotate(&self, id: &str) -> Result<Secret, WebhookError> {
        self.rotate_at(id, Timestamp::now()).await
    }

    async fn rotate_at(&self, id: &str, now: Timestamp) -> Result<Secret, WebhookError> {
        let secret = Secret::draw()?;
        endpoints::rotate(&self.database, id, &secret, now, after(now, OLD_SECRET_VALID)).await?;
        Ok(secret)
    }

    /// Up to `limit` events after the position `after`, oldest first: of one contract or of all. With 0 it begins with
    /// the first event ever.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn feed(&self, after: i64, limit: u32, contract: Option<&Id>) -> Result<Vec<FeedEntry>, WebhookError> {
        events::feed(&self.database, after, limit, contract).await
    }

    /// The deliveries to an endpoint, newest event first, up to `limit`.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`] if there is no endpoint with this id.
    pub async fn deliveries(&self, endpoint: &str, limit: u32) -> Result<Vec<Delivery>, WebhookError> {
        if endpoints::find(&self.database, endpoint).await?.is_none() {
            return Err(WebhookError::NotFound { id: endpoint.to_owned() });
        }
        deliveries::list(&self.database, endpoint, limit).await
    }
}

fn after(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
