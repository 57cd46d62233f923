//! Webhooks: programs are told what happened in cases, signed, and can read what they missed.
//!
//! [`events`] are written with the notices, in one transaction. For each event and each endpoint the [`Courier`] starts a
//! `WebhookDelivery` workflow, whose activity sends it; Temporal keeps the retries. So an endpoint that is down holds up no
//! case, and no other endpoint. A delivery may arrive more than once and in any order: receivers go by the event's id and its
//! sequence.
//!
//! Nothing here decides anything about a case, and nothing that is sent says more than that something happened.

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

/// How long a secret still signs after it was replaced, so that receivers can change over.
const OLD_SECRET_VALID: Duration = Duration::from_hours(24);

/// Why something about webhooks could not be done.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The database could not be asked.
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
        /// What was looked for.
        id: String,
    },
    /// The endpoint did not take a delivery, which is tried again.
    #[error("the endpoint did not take it: {reason}")]
    NotTaken {
        /// What it answered, or why it was not reached.
        reason: String,
    },
    /// The server could not be asked to deliver, which is tried again.
    #[error("a delivery could not be started: {reason}")]
    NotStarted {
        /// Why.
        reason: String,
    },
    /// No secret could be drawn.
    #[error("the machine has no random numbers")]
    NoSecret(#[from] getrandom::Error),
    /// A secret in the database cannot be used.
    #[error("a webhook cannot be signed")]
    NotSigned(#[from] SignatureError),
    /// Webhooks cannot be sent from this machine.
    #[error("no encrypted connections can be made from here")]
    NoClient(#[source] reqwest::Error),
    /// An event cannot be written as JSON.
    #[error("an event cannot be written as JSON")]
    NotWritten(#[from] serde_json::Error),
    /// A row says what this program never wrote.
    #[error("a webhook's row is damaged: {field} is \"{value}\"")]
    Damaged {
        /// Which field.
        field: &'static str,
        /// What it says.
        value: String,
    },
}

impl WebhookError {
    /// What kind of error, as a name in a workflow's history.
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
    /// The webhooks in `database`, whose tables [`Database::migrate`] made. Only to public addresses, and encrypted.
    pub const fn new(database: Database) -> Self {
        Self { database, allow_local: false }
    }

    /// The same for a sandbox, if `allow_local`: endpoints may be on this machine and its network, and unencrypted.
    #[must_use]
    pub const fn allow_local(mut self, allow_local: bool) -> Self {
        self.allow_local = allow_local;
        self
    }

    /// Adds an endpoint. It is sent what happens from now on, signed with the secret, which is shown only here.
    ///
    /// # Errors
    /// [`WebhookError::Url`] if nothing may be sent there.
    pub async fn add(&self, url: &str, description: &str) -> Result<(Endpoint, Secret), WebhookError> {
        let url = address::checked(url, self.allow_local).await?;
        let secret = Secret::draw()?;
        let endpoint = endpoints::add(&self.database, url.as_str(), description, &secret, Timestamp::now()).await?;
        Ok((endpoint, secret))
    }

    /// Every endpoint, oldest first.
    ///
    /// # Errors
    /// Only if the database cannot be read, or was damaged.
    pub async fn list(&self) -> Result<Vec<Endpoint>, WebhookError> {
        endpoints::list(&self.database).await
    }

    /// Forgets an endpoint, its secrets and its deliveries. What is being delivered is not tried again.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`] if there is none with this id.
    pub async fn remove(&self, id: &str) -> Result<(), WebhookError> {
        endpoints::remove(&self.database, id).await
    }

    /// Gives an endpoint a new secret, which is shown only here. The one before signs beside it for another day.
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

    /// Up to `limit` events after the position `after`, oldest first: of one contract or of all. From 0 it begins with the
    /// first event ever.
    ///
    /// # Errors
    /// Only if the database cannot be read, or was damaged.
    pub async fn feed(&self, after: i64, limit: u32, contract: Option<&Id>) -> Result<Vec<FeedEntry>, WebhookError> {
        events::feed(&self.database, after, limit, contract).await
    }

    /// What became of the deliveries to an endpoint, newest event first, up to `limit`.
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
