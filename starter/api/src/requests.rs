//! Answers to requests with an idempotency key, so that a repeated request is not carried out again.
//!
//! This module knows keys and answers, not what a request is about. After a crash a request may have begun and have no answer;
//! it may begin again after [`LEASE`]. So its work must be harmless if it happens twice, as all work here is (L2, L7).

mod note;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use recourse_database::{Database, DatabaseError, WriteQueue};

use self::note::Note;

/// How long a request may be under way before the same request may begin again.
pub const LEASE: Duration = Duration::from_mins(1);

/// How long Recourse keeps answers.
pub const KEPT: Duration = Duration::from_hours(24 * 30);

/// What identifies a request.
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
    /// The answer's headers, as a JSON object.
    pub headers: String,
    /// The body.
    pub body: String,
}

/// The state of a request when it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestState {
    /// It is new, and must be carried out. Afterwards call [`RequestBook::answered`] or [`RequestBook::abandoned`].
    New,
    /// It has an answer already.
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
    queue: WriteQueue<Note>,
}

impl RequestBook {
    /// The requests in `database`, whose tables [`Database::migrate`] made.
    pub fn new(database: Database) -> Self {
        Self { database, queue: WriteQueue::default() }
    }

    /// Notes a request. `fingerprint` stands for its content.
    ///
    /// # Errors
    /// Only if the database cannot be written.
    pub async fn begin(
        &self,
        key: &RequestKey,
        fingerprint: &str,
        now: Timestamp,
    ) -> Result<RequestState, DatabaseError> {
        let note = Note::Begin { key: key.clone(), fingerprint: fingerprint.to_owned(), now };
        self.write(note).await
    }

    /// Keeps the answer.
    ///
    /// # Errors
    /// Only if the database cannot be written. The request may then be carried out again, after [`LEASE`].
    pub async fn answered(&self, key: &RequestKey, answer: &GivenAnswer) -> Result<(), DatabaseError> {
        let note = Note::Answered { key: key.clone(), answer: answer.clone() };
        self.write(note).await.map(drop)
    }

    /// Forgets a request that failed, so that its sender can repeat it at once.
    ///
    /// # Errors
    /// Only if the database cannot be written. The sender can then repeat it after [`LEASE`].
    pub async fn abandoned(&self, key: &RequestKey) -> Result<(), DatabaseError> {
        self.write(Note::Abandoned { key: key.clone() }).await.map(drop)
    }

    async fn write(&self, note: Note) -> Result<RequestState, DatabaseError> {
        let note = Arc::new(note);
        if let Some(begun) = self.queue.written(&self.database, &note).await {
            return Ok(begun);
        }
        // One of a group of notes cannot be written. Each writes its own, to find out whether it is the one.
        let mut write = self.database.write().await?;
        let begun = note.write_down(&mut write).await?;
        write.commit().await?;
        Ok(begun)
    }

    /// Forgets everything older than [`KEPT`].
    ///
    /// # Errors
    /// Only if the database cannot be written.
    pub async fn prune(&self, now: Timestamp) -> Result<u64, DatabaseError> {
        let before = now.checked_sub(KEPT).unwrap_or(Timestamp::UNIX_EPOCH);
        let done = sqlx::query("DELETE FROM requests WHERE began_at < $1")
            .bind(before.to_string())
            .execute(self.database.writers())
            .await?;
        Ok(done.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use recourse_database::testing::{TestDatabase, at};

    use super::*;

    fn key(name: &str) -> RequestKey {
        RequestKey { sender: "cl-1".into(), key: name.into() }
    }

    #[tokio::test]
    async fn a_repeated_request_acts_once_and_gets_the_same_answer() {
        let test = TestDatabase::new().await;
        let book = RequestBook::new(test.database.clone());
        assert_eq!(book.begin(&key("a"), "x", at()).await.unwrap(), RequestState::New);
        assert_eq!(book.begin(&key("a"), "x", at()).await.unwrap(), RequestState::UnderWay);
        assert_eq!(book.begin(&key("a"), "y", at()).await.unwrap(), RequestState::Other);
        let other = RequestKey { sender: "cl-2".into(), ..key("a") };
        assert_eq!(book.begin(&other, "y", at()).await.unwrap(), RequestState::New, "somebody else's key");
        let answer = GivenAnswer { status: 201, headers: "{}".into(), body: "done".into() };
        book.answered(&key("a"), &answer).await.unwrap();
        assert_eq!(book.begin(&key("a"), "x", at()).await.unwrap(), RequestState::Answered(answer));
        assert_eq!(book.begin(&key("a"), "y", at()).await.unwrap(), RequestState::Other);
    }

    /// A cancelled request does not stop the others, and each request gets its own result.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn concurrent_requests_each_get_their_own_result() {
        let test = TestDatabase::new().await;
        let book = RequestBook::new(test.database.clone());
        let come = |name: String, fingerprint: &'static str| {
            let book = book.clone();
            tokio::spawn(async move { book.begin(&key(&name), fingerprint, at()).await })
        };
        let (mut first, mut gone) = (Vec::new(), Vec::new());
        for number in 0..200 {
            first.push(come(format!("k-{number}"), "x"));
            gone.push(come(format!("g-{number}"), "x"));
        }
        for leaves in gone.iter().step_by(3) {
            leaves.abort();
        }
        for first in first {
            assert_eq!(first.await.unwrap().unwrap(), RequestState::New);
        }
        for stays in gone.into_iter().skip(1).step_by(3) {
            assert_eq!(stays.await.unwrap().unwrap(), RequestState::New);
        }
        let answer = |number: u32| GivenAnswer { status: 200, headers: "{}".into(), body: number.to_string() };
        let again = futures_util::future::join_all((0..200).map(|number| {
            let (book, key) = (book.clone(), key(&format!("k-{number}")));
            async move {
                assert_eq!(book.begin(&key, "x", at()).await.unwrap(), RequestState::UnderWay);
                assert_eq!(book.begin(&key, "y", at()).await.unwrap(), RequestState::Other);
                book.answered(&key, &answer(number)).await.unwrap();
                assert_eq!(book.begin(&key, "x", at()).await.unwrap(), RequestState::Answered(answer(number)));
            }
        }));
        again.await;
    }

    #[tokio::test]
    async fn an_unanswered_request_can_be_repeated() {
        let test = TestDatabase::new().await;
        let book = RequestBook::new(test.database.clone());
        assert_eq!(book.begin(&key("a"), "x", at()).await.unwrap(), RequestState::New);
        assert_eq!(book.begin(&key("a"), "x", at() + LEASE).await.unwrap(), RequestState::New, "after a crash");
        book.abandoned(&key("a")).await.unwrap();
        assert_eq!(book.begin(&key("a"), "x", at() + LEASE).await.unwrap(), RequestState::New, "after a failure");
        assert_eq!(book.prune(at() + KEPT).await.unwrap(), 0);
        assert_eq!(book.prune(at() + LEASE + KEPT + Duration::from_secs(1)).await.unwrap(), 1);
        assert_eq!(book.begin(&key("a"), "y", at() + KEPT).await.unwrap(), RequestState::New, "forgotten");
    }
}
