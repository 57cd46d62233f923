//! The endpoints and their secrets.

use jiff::Timestamp;
use recourse_database::Database;
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, any::AnyRow};
use uuid::Uuid;

use super::{Secret, WebhookError, damaged};

/// A URL that gets events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// `we_…`.
    pub id: String,
    /// The URL.
    pub url: String,
    /// A description by the person who added it.
    pub description: String,
    /// When it was added.
    pub added_at: Timestamp,
    /// Since when nothing is sent to it, because it answered that it is gone (410).
    pub disabled_at: Option<Timestamp>,
    /// Up to which position of the feed deliveries were started.
    pub handed_over: i64,
}

const COLUMNS: &str = "id, url, description, added_at, disabled_at, handed_over";

pub(super) async fn add(
    database: &Database,
    url: &str,
    description: &str,
    secret: &Secret,
    now: Timestamp,
) -> Result<Endpoint, WebhookError> {
    let mut write = database.write().await?;
    let sql = format!(
        "INSERT INTO webhook_endpoints (id, url, description, added_at, handed_over)
         VALUES ($1, $2, $3, $4, (SELECT COALESCE(MAX(position), 0) FROM events))
         RETURNING {COLUMNS}"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(format!("we_{}", Uuid::now_v7().simple()))
        .bind(url.to_owned())
        .bind(description.to_owned())
        .bind(now.as_millisecond())
        .fetch_one(&mut *write)
        .await?;
    let endpoint = read(&row)?;
    sqlx::query("INSERT INTO webhook_secrets (endpoint, secret) VALUES ($1, $2)")
        .bind(&endpoint.id)
        .bind(secret.reveal())
        .execute(&mut *write)
        .await?;
    write.commit().await?;
    Ok(endpoint)
}

pub(super) async fn list(database: &Database) -> Result<Vec<Endpoint>, WebhookError> {
    // The ids sort by time.
    let sql = format!("SELECT {COLUMNS} FROM webhook_endpoints ORDER BY id");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(database.pool()).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn find(database: &Database, id: &str) -> Result<Option<Endpoint>, WebhookError> {
    let sql = format!("SELECT {COLUMNS} FROM webhook_endpoints WHERE id = $1");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(database.pool()).await?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn remove(database: &Database, id: &str) -> Result<(), WebhookError> {
    let removed = sqlx::query("DELETE FROM webhook_endpoints WHERE id = $1")
        .bind(id.to_owned())
        .execute(database.writers())
        .await?;
    if removed.rows_affected() == 0 {
        return Err(WebhookError::NotFound { id: id.to_owned() });
    }
    Ok(())
}

/// Replaces the current secret, which stays valid until `old_valid_until`, and deletes expired ones.
pub(super) async fn rotate(
    database: &Database,
    id: &str,
    secret: &Secret,
    now: Timestamp,
    old_valid_until: Timestamp,
) -> Result<(), WebhookError> {
    let mut write = database.write().await?;
    sqlx::query("DELETE FROM webhook_secrets WHERE endpoint = $1 AND valid_until <= $2")
        .bind(id.to_owned())
        .bind(now.as_millisecond())
        .execute(&mut *write)
        .await?;
    let replaced =
        sqlx::query("UPDATE webhook_secrets SET valid_until = $1 WHERE endpoint = $2 AND valid_until IS NULL")
            .bind(old_valid_until.as_millisecond())
            .bind(id.to_owned())
            .execute(&mut *write)
            .await?;
    if replaced.rows_affected() == 0 {
        return Err(WebhookError::NotFound { id: id.to_owned() });
    }
    sqlx::query("INSERT INTO webhook_secrets (endpoint, secret) VALUES ($1, $2)")
        .bind(id.to_owned())
        .bind(secret.reveal())
        .execute(&mut *write)
        .await?;
    write.commit().await?;
    Ok(())
}

/// The secrets that are valid at `now`, newest first.
pub(super) async fn secrets(database: &Database, id: &str, now: Timestamp) -> Result<Vec<Secret>, WebhookError> {
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT secret FROM webhook_secrets
         WHERE endpoint = $1 AND (valid_until IS NULL OR valid_until > $2) ORDER BY sequence DESC",
    )
    .bind(id.to_owned())
    .bind(now.as_millisecond())
    .fetch_all(database.pool())
    .await?;
    rows.iter().map(|secret| Ok(Secret::new(secret)?)).collect()
}

/// Stops all sending to this endpoint.
pub(super) async fn disable(database: &Database, id: &str, now: Timestamp) -> Result<(), WebhookError> {
    sqlx::query("UPDATE webhook_endpoints SET disabled_at = $1 WHERE id = $2 AND disabled_at IS NULL")
        .bind(now.as_millisecond())
        .bind(id.to_owned())
        .execute(database.writers())
        .await?;
    Ok(())
}

/// Endpoints that lack a delivery for some events.
pub(super) async fn behind(database: &Database) -> Result<Vec<Endpoint>, WebhookError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM webhook_endpoints
         WHERE disabled_at IS NULL AND handed_over < (SELECT COALESCE(MAX(position), 0) FROM events)
         ORDER BY id"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(database.pool()).await?;
    rows.iter().map(read).collect()
}

/// Records the position up to which deliveries were started. It never goes back, also with several couriers.
pub(super) async fn handed_over(database: &Database, id: &str, position: i64) -> Result<(), WebhookError> {
    sqlx::query("UPDATE webhook_endpoints SET handed_over = $1 WHERE id = $2 AND handed_over < $1")
        .bind(position)
        .bind(id.to_owned())
        .execute(database.writers())
        .await?;
    Ok(())
}

fn read(row: &AnyRow) -> Result<Endpoint, WebhookError> {
    let disabled_at: Option<i64> = row.try_get("disabled_at")?;
    Ok(Endpoint {
        id: row.try_get("id")?,
        url: row.try_get("url")?,
        description: row.try_get("description")?,
        added_at: read_instant("added_at", row.try_get("added_at")?)?,
        disabled_at: disabled_at.map(|at| read_instant("disabled_at", at)).transpose()?,
        handed_over: row.try_get("handed_over")?,
    })
}

pub(super) fn read_instant(field: &'static str, milliseconds: i64) -> Result<Timestamp, WebhookError> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| damaged(field, &milliseconds.to_string()))
}
