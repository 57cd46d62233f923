//! Sends an event to an endpoint: one try. Temporal makes the others.

use std::{error::Error as StdError, time::Duration};

use jiff::Timestamp;
use recourse_workflows::effects::{DeliveryOrder, DeliveryReceipt};
use reqwest::{Client, Response, StatusCode, header, redirect::Policy};

use super::{
    Endpoint, FeedEntry, WebhookBook, WebhookError,
    address::{self, PublicOnly},
    deliveries::{self, DeliveryState, Try},
    endpoints, events,
    signature::sign,
};

/// How long a try may take. The activity's own limit is longer, so that there is time to record the result.
const TRY_MAX: Duration = Duration::from_secs(15);

/// How much of that connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How much of an answer is read at most, in bytes.
const ANSWER_BYTES_MAX: usize = 4096;

/// How many characters of an answer are kept, to show why an event was not taken.
const ANSWER_SHOWN_MAX: usize = 200;

/// Sends events to endpoints.
#[derive(Debug, Clone)]
pub struct Deliverer {
    book: WebhookBook,
    http: Client,
}

impl Deliverer {
    /// Sends the events of `book`.
    ///
    /// # Errors
    /// [`WebhookError::NoClient`] if this machine cannot make encrypted connections.
    pub fn new(book: WebhookBook) -> Result<Self, WebhookError> {
        let mut http = Client::builder()
            .user_agent(concat!("recourse/", env!("CARGO_PKG_VERSION")))
            .timeout(TRY_MAX)
            .connect_timeout(CONNECT_MAX)
            // A redirect, a proxy or an old connection would lead to an address that this try has not checked.
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0);
        if !book.allow_local {
            http = http.https_only(true).dns_resolver(PublicOnly);
        }
        Ok(Self { http: http.build().map_err(WebhookError::NoClient)?, book })
    }

    /// Tries once. A delivered event is not sent again.
    ///
    /// # Errors
    /// [`WebhookError::NotTaken`] if the endpoint did not take it and another try must follow; other errors if the
    /// database cannot be used.
    pub async fn deliver(&self, order: &DeliveryOrder) -> Result<DeliveryReceipt, WebhookError> {
        let database = &self.book.database;
        let Some(event) = events::find(database, &order.event).await? else { return Ok(DeliveryReceipt::Refused) };
        let Some(endpoint) = endpoints::find(database, &order.endpoint).await? else {
            return Ok(DeliveryReceipt::Gone);
        };
        match deliveries::state(database, &endpoint.id, event.position).await? {
            Some(DeliveryState::Delivered) => return Ok(DeliveryReceipt::Delivered),
            Some(DeliveryState::GivenUp) => return Ok(DeliveryReceipt::GivenUp),
            Some(DeliveryState::Waiting) => {}
            None => deliveries::begin(database, &endpoint.id, &[event.position], Timestamp::now()).await?,
        }
        if endpoint.disabled_at.is_some() {
            deliveries::give_up(database, &endpoint.id, event.position, Timestamp::now()).await?;
            return Ok(DeliveryReceipt::Gone);
        }
        let done = self.send(&endpoint, &event).await?;
        let is_gone = done.status == Some(StatusCode::GONE.as_u16());
        if is_gone {
            endpoints::disable(database, &endpoint.id, Timestamp::now()).await?;
            tracing::warn!(endpoint = %endpoint.id, "a webhook endpoint is gone (410) and is sent nothing any more");
        }
        deliveries::tried(database, &endpoint.id, event.position, &done, Timestamp::now()).await?;
        match (done.state, done.reason) {
            (DeliveryState::Delivered, _) => Ok(DeliveryReceipt::Delivered),
            _ if is_gone => Ok(DeliveryReceipt::Gone),
            (_, reason) => Err(WebhookError::NotTaken { reason: reason.unwrap_or_default() }),
        }
    }

    /// Ends a delivery whose time for tries is over.
    ///
    /// # Errors
    /// Only if the database cannot be used.
    pub async fn give_up(&self, order: &DeliveryOrder) -> Result<DeliveryReceipt, WebhookError> {
        let Some(event) = events::find(&self.book.database, &order.event).await? else {
            return Ok(DeliveryReceipt::Refused);
        };
        deliveries::give_up(&self.book.database, &order.endpoint, event.position, Timestamp::now()).await?;
        tracing::warn!(endpoint = %order.endpoint, event = %order.event,
            "an event was not taken for days and is not sent any more; it stays in the feed");
        Ok(DeliveryReceipt::GivenUp)
    }

    async fn send(&self, endpoint: &Endpoint, event: &FeedEntry) -> Result<Try, WebhookError> {
        let not_taken = |status, reason: String| Try { state: DeliveryState::Waiting, status, reason: Some(reason) };
        let url = match address::readable(&endpoint.url, self.book.allow_local) {
            Ok(url) => url,
            Err(reason) => return Ok(not_taken(None, reason.to_owned())),
        };
        let body = serde_json::to_vec(&event.event)?;
        let now = Timestamp::now();
        let secrets = endpoints::secrets(&self.book.database, &endpoint.id, now).await?;
        let signed = sign(&secrets, &event.event.id, now, &body)?;
        let answer = self
            .http
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", signed.id)
            .header("webhook-timestamp", signed.timestamp)
            .header("webhook-signature", signed.signature)
            .body(body)
            .send()
            .await;
        Ok(match answer {
            Ok(answer) => {
                let status = answer.status();
                match status {
                    taken if taken.is_success() => {
                        Try { state: DeliveryState::Delivered, status: Some(taken.as_u16()), reason: None }
                    }
                    StatusCode::GONE => Try {
                        state: DeliveryState::GivenUp,
                        status: Some(status.as_u16()),
                        reason: Some("the endpoint says that it is gone".to_owned()),
                    },
                    _ => not_taken(Some(status.as_u16()), format!("it answered {status}{}", beginning(answer).await)),
                }
            }
            // Without the URL, because the part after the host may be a secret.
            Err(error) => not_taken(None, in_full(&error.without_url())),
        })
    }
}

/// The beginning of an answer, to show what the endpoint refused; empty if it has no readable text.
async fn beginning(mut answer: Response) -> String {
    let mut read = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        let missing = ANSWER_BYTES_MAX - read.len();
        read.extend_from_slice(&piece[..piece.len().min(missing)]);
        if read.len() == ANSWER_BYTES_MAX {
            break;
        }
    }
    let text: String = String::from_utf8_lossy(&read)
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(ANSWER_SHOWN_MAX)
        .collect();
    if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
}

/// An error with its causes.
fn in_full(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        text = format!("{text}: {error}");
        behind = error.source();
    }
    text
}
