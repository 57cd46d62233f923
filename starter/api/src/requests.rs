//! What was answered to requests under an idempotency key, so that a request that comes again is not done again.
//!
//! It knows keys and answers, not what a request is about. A request that was begun and never answered (a crash) may be begun
//! again after [`LEASE`]: what it does must be harmless twice by itself, which everything here is (L2, L7).

mod note;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use recourse_database::{Database, DatabaseError, WriteQueue};

use self::note::Note;

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
pub enum RequestState {
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
    queue: WriteQueue<Note>,
}

impl RequestBook {
    /// The requests in `database`, whose tables [`Database::migrate`] made.
    pub fn new(database: Database) -> Self {
        Self { database, queue: WriteQueue::default() }
    }

    /// Takes note of a request, whose content `fingerprint` stands for.
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
    /// Only if the database cannot be written. The request may then be done once more, after [`LEASE`].
    pub async fn answered(&self, key: &RequestKey, answer: &GivenAnswer) -> Result<(), DatabaseError> {
        let note = Note::Answered { key: key.clone(), answer: answer.clone() };
        self.write(note).await.map(drop)
    }

    /// Forgets a request that could not be done, so that it can be sent again at once.
    ///
    /// # Errors
    /// Only if the database cannot be written. It can then be sent again after [`LEASE`].
    pub async fn abandoned(&self, key: &RequestKey) -> Result<(), DatabaseError> {
        self.write(Note::Abandoned { key: key.clone() }).await.map(drop)
    }

    async fn write(&self, note: Note) -> Result<RequestState, DatabaseError> {
        let note = Arc::new(note);
        if let Some(begun) = self.queue.written(&self.database, &note).await {
            return Ok(begun);
        }
        // One of those that came together cannot be written; each finds out whether it is its own.
        let mut write = self.database.write().await?;
        let begun = note.write_down(&mut write).await?;
        write.commit().await?;
        Ok(begun)
    }

    /// Forgets what is older than [`KEPT`].
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
    async fn a_request_is_done_once_and_answered_as_often_as_it_comes() {
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

    /// Whoever goes away in the middle takes nobody with them, and each is told what is so of their own.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn requests_that_come_at_once_are_each_told_their_own() {
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
    async fn a_request_that_was_never_answered_can_come_again() {
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
