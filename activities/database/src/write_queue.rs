//! Writes requests that arrive at the same time in one transaction with one commit.
//!
//! A commit waits for the disk, and only one transaction writes at a time. So requests that come while another one
//! writes wait in a queue, and the first of them writes for all. Nobody waits longer for that: the queue adds no pause
//! to collect more requests, and each request would have waited for the write lock anyway.
//!
//! A queue does not know what it writes. Its requests must have no effect that a rollback of the transaction cannot
//! undo.

use std::{
    collections::VecDeque,
    fmt::{Debug, Display},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as Turn, oneshot};

use super::{Database, Write, in_time};

/// A request that can share a transaction with others of its kind.
pub trait Together: Debug + Send + Sync + Sized + 'static {
    /// The answer to each request.
    type Done: Debug + Send + 'static;
    /// Why the requests cannot be written.
    type Error: From<sqlx::Error> + Display + Send;

    /// The most that one transaction writes, in [`Together::weight`]s.
    const MAX: usize;

    /// The weight of this request.
    fn weight(&self) -> usize {
        1
    }

    /// Writes all of these, in their order, and returns the answer to each. Returns nothing if they do not fit
    /// together: the caller then rolls back what was written of them.
    fn write_all(
        write: &mut Write,
        all: &[&Self],
    ) -> impl Future<Output = Result<Option<Vec<Self::Done>>, Self::Error>> + Send;
}

/// A waiting request.
#[derive(Debug)]
struct Waiting<T: Together> {
    what: Arc<T>,
    /// Nobody receives the answer if the caller was cancelled.
    done: oneshot::Sender<T::Done>,
}

/// A queue of requests to write. Clones are the same queue.
#[derive(Debug)]
pub struct WriteQueue<T: Together>(Arc<Inside<T>>);

#[derive(Debug)]
struct Inside<T: Together> {
    waiting: Mutex<VecDeque<Waiting<T>>>,
    turn: Turn<()>,
}

impl<T: Together> Clone for WriteQueue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Together> Default for WriteQueue<T> {
    fn default() -> Self {
        Self(Arc::new(Inside { waiting: Mutex::default(), turn: Turn::default() }))
    }
}

impl<T: Together> WriteQueue<T> {
    /// Writes this request together with others, and returns the answer. Returns nothing if it was not written this
    /// way, or if that is not known: then the caller must write it alone.
    pub async fn written(&self, database: &Database, what: &Arc<T>) -> Option<T::Done> {
        let (done, mut answer) = oneshot::channel();
        self.0.put(Waiting { what: Arc::clone(what), done });
        loop {
            tokio::select! {
                biased;
                done = &mut answer => return done.ok(),
                _turn = self.0.turn.lock() => {
                    // A task of its own: if the caller whose turn it is gets cancelled, the other requests are still
                    // written. The task also ends on a silent connection, and gives that back.
                    let (queue, database) = (Arc::clone(&self.0), database.clone());
                    let work = async move {
                        queue.write(database).await;
                        Ok::<(), sqlx::Error>(())
                    };
                    let _ = tokio::spawn(in_time(work, |late| late)).await;
                }
            }
        }
    }
}

impl<T: Together> Inside<T> {
    fn put(&self, waiting: Waiting<T>) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(waiting);
    }

    /// The requests that have waited longest, as many as fit into one transaction.
    fn next(&self) -> Vec<Waiting<T>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut together, mut weight) = (Vec::new(), 0);
        while let Some(next) = waiting.front() {
            weight += next.what.weight();
            if !together.is_empty() && weight > T::MAX {
                break;
            }
            together.extend(waiting.pop_front().filter(|next| !next.done.is_closed()));
        }
        together
    }

    /// Writes the waiting requests, and answers each. Without an answer, a caller sees that its channel is closed.
    async fn write(self: Arc<Self>, database: Database) {
        let write = database.write().await;
        // All requests that have come until now are included.
        let together = self.next();
        let written = match write {
            Ok(write) => write_down(write, &together).await,
            Err(error) => Err(error.into()),
        };
        match written {
            Ok(Some(done)) => {
                for (waiting, done) in together.into_iter().zip(done) {
                    let _ = waiting.done.send(done);
                }
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, count = together.len(), "what waited together is written one by one"),
        }
    }
}

async fn write_down<T: Together>(mut write: Write, together: &[Waiting<T>]) -> Result<Option<Vec<T::Done>>, T::Error> {
    let all: Vec<&T> = together.iter().map(|waiting| &*waiting.what).collect();
    if all.is_empty() {
        return Ok(None);
    }
    let done = T::write_all(&mut write, &all).await?;
    if done.is_some() {
        write.commit().await?;
    }
    Ok(done)
}
