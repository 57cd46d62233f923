//! What is noted of requests that come at the same time is written down together, in one transaction with one commit.
//!
//! A commit waits for the disk, and only one transaction writes at a time; `SQLite` lets those who wait look again and again, with
//! pauses of up to 100 ms. So whoever comes while another one writes waits here, and the first of those who wait writes for all
//! of them. Nobody waits longer for that: there is no pause in which more might come.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use sqlx::Row as _;
use tokio::sync::{Mutex as Turn, oneshot};

use super::{Begun, GivenAnswer, LEASE, RequestKey};
use crate::database::{Database, DatabaseError, Write};

/// How many notes are written together at most.
const NOTES_MAX: usize = 64;

/// What is to be noted.
#[derive(Debug)]
pub(super) enum Note {
    /// A request has come.
    Begin { key: RequestKey, fingerprint: String, now: Timestamp },
    /// It was answered.
    Answered { key: RequestKey, answer: GivenAnswer },
    /// It could not be done.
    Abandoned { key: RequestKey },
}

/// A note that waits.
#[derive(Debug)]
struct Waiting {
    note: Arc<Note>,
    /// What became of it. Nobody listens any more if the sender has gone.
    done: oneshot::Sender<Begun>,
}

/// Where notes wait.
#[derive(Debug, Default)]
pub(super) struct Desk {
    waiting: Mutex<VecDeque<Waiting>>,
    turn: Turn<()>,
}

impl Desk {
    /// Writes a note down, and says what was there; [`Begun::New`] for what is no beginning.
    pub async fn write(&self, database: &Database, note: Note) -> Result<Begun, DatabaseError> {
        let note = Arc::new(note);
        let (done, mut answer) = oneshot::channel();
        let waiting = Waiting { note: Arc::clone(&note), done };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(waiting);
        loop {
            tokio::select! {
                biased;
                done = &mut answer => match done {
                    Ok(begun) => return Ok(begun),
                    // One of them cannot be written; each finds out whether it is its own.
                    Err(_) => return write_all(database, &[&note]).await.map(|begun| begun.into_iter().next().unwrap_or(Begun::New)),
                },
                _turn = self.turn.lock() => {
                    // A task of its own: whoever's turn it is may go away in the middle, and the others have not.
                    let _ = tokio::spawn(write_together(database.clone(), self.next())).await;
                }
            }
        }
    }

    /// Those that have waited longest, as many as are written at once.
    fn next(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(NOTES_MAX);
        waiting.drain(..count).collect()
    }
}

/// Writes all of these, and tells each what was there. If it cannot, nothing is written and nobody is told.
async fn write_together(database: Database, together: Vec<Waiting>) {
    let notes: Vec<&Note> = together.iter().map(|waiting| &*waiting.note).collect();
    match write_all(&database, &notes).await {
        Ok(begun) => {
            for (waiting, begun) in together.into_iter().zip(begun) {
                let _ = waiting.done.send(begun);
            }
        }
        Err(error) => tracing::debug!(%error, notes = notes.len(), "notes of requests are written one by one"),
    }
}

/// Writes all of these in their order, and says of each what was there.
async fn write_all(database: &Database, notes: &[&Note]) -> Result<Vec<Begun>, DatabaseError> {
    let mut begun = Vec::with_capacity(notes.len());
    let mut write = database.write().await?;
    for note in notes {
        begun.push(write_down(&mut write, note).await?);
    }
    write.commit().await?;
    Ok(begun)
}

async fn write_down(write: &mut Write, note: &Note) -> Result<Begun, DatabaseError> {
    match note {
        Note::Begin { key, fingerprint, now } => return begin(write, key, fingerprint, *now).await,
        Note::Answered { key, answer } => {
            sqlx::query("UPDATE requests SET status = $3, headers = $4, body = $5 WHERE sender = $1 AND key = $2")
                .bind(&key.sender)
                .bind(&key.key)
                .bind(i64::from(answer.status))
                .bind(&answer.headers)
                .bind(&answer.body)
                .execute(&mut **write)
                .await?;
        }
        Note::Abandoned { key } => {
            sqlx::query("DELETE FROM requests WHERE sender = $1 AND key = $2 AND status IS NULL")
                .bind(&key.sender)
                .bind(&key.key)
                .execute(&mut **write)
                .await?;
        }
    }
    Ok(Begun::New)
}

async fn begin(write: &mut Write, key: &RequestKey, fingerprint: &str, now: Timestamp) -> Result<Begun, DatabaseError> {
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
        return Ok(Begun::New);
    }
    let found =
        sqlx::query("SELECT fingerprint, began_at, status, headers, body FROM requests WHERE sender = $1 AND key = $2")
            .bind(&key.sender)
            .bind(&key.key)
            .fetch_one(&mut **write)
            .await?;
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
    sqlx::query("UPDATE requests SET began_at = $3 WHERE sender = $1 AND key = $2")
        .bind(&key.sender)
        .bind(&key.key)
        .bind(now.to_string())
        .execute(&mut **write)
        .await?;
    Ok(Begun::New)
}
