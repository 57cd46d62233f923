//! What was answered to requests under an idempotency key, so that a request that comes again is not done again.
//!
//! It knows keys and answers, not what a request is about. A request that was begun and never answered (a crash) may be begun
//! again after [`LEASE`]: what it does must be harmless twice by itself, which everything here is (L2, L7).

use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row as _;

use crate::database::{Database, DatabaseError};

/// How long a request may be under way before the same one is let in again.
pub const LEASE: Duration = Duration::from_mins(1);

/// How long answers are kept.
pub const KEPT: Duration = Duration::from_hours(24 * 30);

/// What a request is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// Whose keys these are.
    pub sender: String,
    /// The sender's key.
    pub key: String,
}

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers that belong to it, as a JSON object.
    pub headers: String,
    /// The body.
    pub body: String,
}

/// What becomes of a request that comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is new, and has to be done. Then [`RequestBook::answered`] or [`RequestBook::abandoned`] must be told.
    New,
    /// It was answered before.
    Answered(GivenAnswer),
    /// The same one is under way.
    UnderWay,
    /// Another request was sent under this key.
    Other,
}

/// The requests in a database. Clones share it.
#[derive(Debug, Clone)]
pub struct RequestBook {
    database: Database,
}

impl RequestBook {
    /// The requests in `database`, whose tables [`Database::migrate`] made.
    pub const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Takes note of a request, whose content `fingerprint` stands for.
    ///
    /// # Errors
    /// Only if the database cannot be written.
    pub async fn begin(&self, key: &RequestKey, fingerprint: &str, now: Timestamp) -> Result<Begun, DatabaseError> {
        let mut write = self.database.write().await?;
        let found = sqlx::query(
            "SELECT fingerprint, began_at, status, headers, body FROM requests WHERE sender = $1 AND key = $2",
        )
        .bind(&key.sender)
        .bind(&key.key)
        .fetch_optional(&mut *write)
        .await?;
        if let Some(found) = found {
            if found.try_get::<String, _>("fingerprint")? != fingerprint {
                return Ok(Begun::Other);
            }
            if let Some(status) = found.try_get::<Option<i64>, _>("status")? {
                let status = u16::try_from(status).unwrap_or(500);
                let headers = found.try_get::<Option<String>, _>("headers")?.unwrap_or_default();
                return Ok(Begun::Answered(GivenAnswer { status, headers, body: found.try_get("body")? }));
            }
            let began_at: Timestamp = found.try_get::<String, _>("began_at")?.parse().unwrap_or(Timestamp::UNIX_EPOCH);
            if now.duration_since(began_at).unsigned_abs() < LEASE {
                return Ok(Begun::UnderWay);
            }
        }
        sqlx::query(
            "INSERT INTO requests (sender, key, fingerprint, began_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (sender, key) DO UPDATE SET began_at = excluded.began_at",
        )
        .bind(&key.sender)
        .bind(&key.key)
        .bind(fingerprint)
        .bind(now.to_string())
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(Begun::New)
    }

    /// Keeps the answer.
    ///
    /// # Errors
    /// Only if the database cannot be written. The request may then be done once more, after [`LEASE`].
    pub async fn answered(&self, key: &RequestKey, answer: &GivenAnswer) -> Result<(), DatabaseError> {
        sqlx::query("UPDATE requests SET status = $3, headers = $4, body = $5 WHERE sender = $1 AND key = $2")
            .bind(&key.sender)
            .bind(&key.key)
            .bind(i64::from(answer.status))
            .bind(&answer.headers)
            .bind(&answer.body)
            .execute(self.database.pool())
            .await?;
        Ok(())
    }

    /// Forgets a request that could not be done, so that it can be sent again at once.
    ///
    /// # Errors
    /// Only if the database cannot be written. It can then be sent again after [`LEASE`].
    pub async fn abandoned(&self, key: &RequestKey) -> Result<(), DatabaseError> {
        sqlx::query("DELETE FROM requests WHERE sender = $1 AND key = $2 AND status IS NULL")
            .bind(&key.sender)
            .bind(&key.key)
            .execute(self.database.pool())
            .await?;
        Ok(())
    }

    /// Forgets what is older than [`KEPT`].
    ///
    /// # Errors
    /// Only if the database cannot be written.
    pub async fn prune(&self, now: Timestamp) -> Result<u64, DatabaseError> {
        let before = now.checked_sub(KEPT).unwrap_or(Timestamp::UNIX_EPOCH);
        let done = sqlx::query("DELETE FROM requests WHERE began_at < $1")
            .bind(before.to_string())
            .execute(self.database.pool())
            .await?;
        Ok(done.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestDatabase, at};

    fn key(name: &str) -> RequestKey {
        RequestKey { sender: "cl-1".into(), key: name.into() }
    }

    #[tokio::test]
    async fn a_request_is_done_once_and_answered_as_often_as_it_comes() {
        let test = TestDatabase::new().await;
        let book = RequestBook::new(test.database.clone());
        assert_eq!(book.begin(&key("a"), "x", at()).await.unwrap(), Begun::New);
        assert_eq!(book.begin(&key("a"), "x", at()).await.unwrap(), Begun::UnderWay);
        assert_eq!(book.begin(&key("a"), "y", at()).await.unwrap(), Begun::Other);
        let other = RequestKey { sender: "cl-2".into(), ..key("a") };
        assert_eq!(book.begin(&other, "y", at()).await.unwrap(), Begun::New, "somebody else's key");
        let answer = GivenAnswer { status: 201, headers: "{}".into(), body: "done".into() };
        book.answered(&key("a"), &answer).await.unwrap();
        assert_eq!(book.begin(&key("a"), "x", at()).await.unwrap(), Begun::Answered(answer));
        assert_eq!(book.begin(&key("a"), "y", at()).await.unwrap(), Begun::Other);
    }

    #[tokio::test]
    async fn a_request_that_was_never_answered_can_come_again() {
        let test = TestDatabase::new().await;
        let book = RequestBook::new(test.database.clone());
        assert_eq!(book.begin(&key("a"), "x", at()).await.unwrap(), Begun::New);
        assert_eq!(book.begin(&key("a"), "x", at() + LEASE).await.unwrap(), Begun::New, "after a crash");
        book.abandoned(&key("a")).await.unwrap();
        assert_eq!(book.begin(&key("a"), "x", at() + LEASE).await.unwrap(), Begun::New, "after a failure");
        assert_eq!(book.prune(at() + KEPT).await.unwrap(), 0);
        assert_eq!(book.prune(at() + LEASE + KEPT + Duration::from_secs(1)).await.unwrap(), 1);
        assert_eq!(book.begin(&key("a"), "y", at() + KEPT).await.unwrap(), Begun::New, "forgotten");
    }
}
