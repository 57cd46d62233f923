//! Notes about requests. The database takes those that come together in one write
//! ([`WriteQueue`](recourse_database::WriteQueue)).

use jiff::Timestamp;
use recourse_database::{DatabaseError, Together, Write};
use sqlx::Row as _;

use super::{GivenAnswer, LEASE, RequestKey, RequestState};

/// A note.
#[derive(Debug)]
pub(super) enum Note {
    /// A request has arrived.
    Begin { key: RequestKey, fingerprint: String, now: Timestamp },
    /// It has an answer.
    Answered { key: RequestKey, answer: GivenAnswer },
    /// It failed.
    Abandoned { key: RequestKey },
}

impl Together for Note {
    /// What was there before; [`RequestState::New`] for a note that is not `Begin`.
    type Done = RequestState;
    type Error = DatabaseError;

    const MAX: usize = 64;

    async fn write_all(write: &mut Write, notes: &[&Self]) -> Result<Option<Vec<RequestState>>, DatabaseError> {
        let mut begun = Vec::with_capacity(notes.len());
        for note in notes {
            begun.push(note.write_down(write).await?);
        }
        Ok(Some(begun))
    }
}

impl Note {
    /// Writes the note, and returns what was there before.
    pub async fn write_down(&self, write: &mut Write) -> Result<RequestState, DatabaseError> {
        match self {
            Self::Begin { key, fingerprint, now } => return begin(write, key, fingerprint, *now).await,
            Self::Answered { key, answer } => {
                sqlx::query("UPDATE requests SET status = $3, headers = $4, body = $5 WHERE sender = $1 AND key = $2")
                    .bind(&key.sender)
                    .bind(&key.key)
                    .bind(i64::from(answer.status))
                    .bind(&answer.headers)
                    .bind(&answer.body)
                    .execute(&mut **write)
                    .await?;
            }
            Self::Abandoned { key } => {
                sqlx::query("DELETE FROM requests WHERE sender = $1 AND key = $2 AND status IS NULL")
                    .bind(&key.sender)
                    .bind(&key.key)
                    .execute(&mut **write)
                    .await?;
            }
        }
        Ok(RequestState::New)
    }
}

async fn begin(
    write: &mut Write,
    key: &RequestKey,
    fingerprint: &str,
    now: Timestamp,
) -> Result<RequestState, DatabaseError> {
    // Nearly every request is new.
    let inserted = sqlx::query(
        "INSERT INTO requests (sender, key, fingerprint, began_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (sender, key) DO NOTHING",
    )
    .bind(&key.sender)
    .bind(&key.key)
    .bind(fingerprint)
    .bind(now.to_string())
    .execute(&mut **write)
    .await?;
    if inserted.rows_affected() == 1 {
        return Ok(RequestState::New);
    }
    let found =
        sqlx::query("SELECT fingerprint, began_at, status, headers, body FROM requests WHERE sender = $1 AND key = $2")
            .bind(&key.sender)
            .bind(&key.key)
            .fetch_one(&mut **write)
            .await?;
    if found.try_get::<String, _>("fingerprint")? != fingerprint {
        return Ok(RequestState::Other);
    }
    if let Some(status) = found.try_get::<Option<i64>, _>("status")? {
        let status = u16::try_from(status).unwrap_or(500);
        let headers = found.try_get::<Option<String>, _>("headers")?.unwrap_or_default();
        return Ok(RequestState::Answered(GivenAnswer { status, headers, body: found.try_get("body")? }));
    }
    let began_at: Timestamp = found.try_get::<String, _>("began_at")?.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    if now.duration_since(began_at).unsigned_abs() < LEASE {
        return Ok(RequestState::UnderWay);
    }
    sqlx::query("UPDATE requests SET began_at = $3 WHERE sender = $1 AND key = $2")
        .bind(&key.sender)
        .bind(&key.key)
        .bind(now.to_string())
        .execute(&mut **write)
        .await?;
    Ok(RequestState::New)
}
