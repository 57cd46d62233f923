//! The deliveries: the state of each event at each endpoint.
//!
//! | from | to | when |
//! |---|---|---|
//! | | `waiting` | the courier starts its workflow |
//! | `waiting` | `waiting` | a try failed; it is tried again |
//! | | `delivered` | the endpoint took it |
//! | | `given_up` | the endpoint is gone, or did not take it for days |

use jiff::Timestamp;
use recourse_database::Database;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, any::AnyRow};

use super::{WebhookError, damaged, endpoints::read_instant, events::type_of};

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// The endpoint has not taken it yet; tries go on.
    Waiting,
    /// The endpoint took it.
    Delivered,
    /// There are no more tries. The event stays in the feed.
    GivenUp,
}

impl DeliveryState {
    const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::GivenUp];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
        }
    }
}

/// An event on its way to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delivery {
    /// The event.
    pub event: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its place in the feed.
    pub position: i64,
    /// Its state.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i64,
    /// What the endpoint answered last, as an HTTP status.
    pub status: Option<i64>,
    /// Why it was not taken.
    pub reason: Option<String>,
    /// When that was.
    pub changed_at: Timestamp,
}

/// The result of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Try {
    pub state: DeliveryState,
    pub status: Option<u16>,
    pub reason: Option<String>,
}

/// Records that these events are on their way to an endpoint. An endpoint that was removed meanwhile gets nothing.
pub(super) async fn begin(
    database: &Database,
    endpoint: &str,
    positions: &[i64],
    now: Timestamp,
) -> Result<(), WebhookError> {
    let mut write = database.write().await?;
    for position in positions {
        sqlx::query(
            "INSERT INTO webhook_deliveries (endpoint, position, changed_at)
             SELECT id, CAST($1 AS BIGINT), CAST($2 AS BIGINT) FROM webhook_endpoints WHERE id = $3
             ON CONFLICT (endpoint, position) DO NOTHING",
        )
        .bind(*position)
        .bind(now.as_millisecond())
        .bind(endpoint.to_owned())
        .execute(&mut *write)
        .await?;
    }
    write.commit().await?;
    Ok(())
}

/// The delivery of one event to one endpoint; nothing if it was never on its way, or the endpoint was removed.
pub(super) async fn state(
    database: &Database,
    endpoint: &str,
    position: i64,
) -> Result<Option<DeliveryState>, WebhookError> {
    let state: Option<String> =
        sqlx::query_scalar("SELECT state FROM webhook_deliveries WHERE endpoint = $1 AND position = $2")
            .bind(endpoint.to_owned())
            .bind(position)
            .fetch_optional(database.pool())
            .await?;
    state.as_deref().map(read_state).transpose()
}

/// Records a try of a waiting delivery.
pub(super) async fn tried(
    database: &Database,
    endpoint: &str,
    position: i64,
    done: &Try,
    now: Timestamp,
) -> Result<(), WebhookError> {
    sqlx::query(
        "UPDATE webhook_deliveries
         SET state = $1, attempts = attempts + 1, status = $2, reason = $3, changed_at = $4
         WHERE endpoint = $5 AND position = $6 AND state = 'waiting'",
    )
    .bind(done.state.name())
    .bind(done.status.map(i64::from))
    .bind(done.reason.clone())
    .bind(now.as_millisecond())
    .bind(endpoint.to_owned())
    .bind(position)
    .execute(database.writers())
    .await?;
    Ok(())
}

/// Ends a waiting delivery without another try. The result of the last try stays visible.
pub(super) async fn give_up(
    database: &Database,
    endpoint: &str,
    position: i64,
    now: Timestamp,
) -> Result<(), WebhookError> {
    sqlx::query(
        "UPDATE webhook_deliveries SET state = 'given_up', changed_at = $1
         WHERE endpoint = $2 AND position = $3 AND state = 'waiting'",
    )
    .bind(now.as_millisecond())
    .bind(endpoint.to_owned())
    .bind(position)
    .execute(database.writers())
    .await?;
    Ok(())
}

pub(super) async fn list(database: &Database, endpoint: &str, limit: u32) -> Result<Vec<Delivery>, WebhookError> {
    let rows = sqlx::query(
        "SELECT events.id AS event_id, events.event AS event, webhook_deliveries.position AS position, state, attempts,
                status, reason, changed_at
         FROM webhook_deliveries JOIN events ON events.position = webhook_deliveries.position
         WHERE endpoint = $1 ORDER BY webhook_deliveries.position DESC LIMIT $2",
    )
    .bind(endpoint.to_owned())
    .bind(i64::from(limit))
    .fetch_all(database.pool())
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<Delivery, WebhookError> {
    let event: &str = row.try_get("event")?;
    Ok(Delivery {
        event: row.try_get("event_id")?,
        kind: type_of(event),
        position: row.try_get("position")?,
        state: read_state(row.try_get("state")?)?,
        attempts: row.try_get("attempts")?,
        status: row.try_get("status")?,
        reason: row.try_get("reason")?,
        changed_at: read_instant("changed_at", row.try_get("changed_at")?)?,
    })
}

fn read_state(name: &str) -> Result<DeliveryState, WebhookError> {
    DeliveryState::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| damaged("state", name))
}
