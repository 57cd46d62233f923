//! What comes to be written at the same time is written in one transaction with one commit.
//!
//! A commit waits for the disk, and only one transaction writes at a time. So whoever comes while another one writes waits at
//! a queue, and the first of those who wait writes for all of them. Nobody waits longer for that: there is no pause in which more
//! might come, only the wait for the turn to write, which each would have had.
//!
//! A queue knows nothing of what is written. It may not be told what cannot be undone with the transaction.

use std::{
    collections::VecDeque,
    fmt::{Debug, Display},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as Turn, oneshot};

use super::{Database, Write, in_time};

/// Something that may be written together with others of its kind.
pub trait Together: Debug + Send + Sync + Sized + 'static {
    /// What each is told.
    type Done: Debug + Send + 'static;
    /// Why they cannot be written.
    type Error: From<sqlx::Error> + Display + Send;

    /// How much is written together at most, in [`Together::weight`]s.
    const MAX: usize;

    /// How much this one is.
    fn weight(&self) -> usize {
        1
    }

    /// Writes all of these, in their order, and says what each is told. Nothing, if they do not fit together: then what was
    /// written of them is undone.
    fn write_all(
        write: &mut Write,
        all: &[&Self],
    ) -> impl Future<Output = Result<Option<Vec<Self::Done>>, Self::Error>> + Send;
}

/// Somebody at the queue.
#[derive(Debug)]
struct Waiting<T: Together> {
    what: Arc<T>,
    /// Nobody listens any more if it was given up.
    done: oneshot::Sender<T::Done>,
}

/// Where those wait who want to write. Clones are the same queue.
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
    /// Has it written with others, and says what became of it. Nothing, if it was not written so, or that is not known: then it
    /// is to be written by itself.
    pub async fn written(&self, database: &Database, what: &Arc<T>) -> Option<T::Done> {
        let (done, mut answer) = oneshot::channel();
        self.0.put(Waiting { what: Arc::clone(what), done });
        loop {
            tokio::select! {
                biased;
                done = &mut answer => return done.ok(),
                _turn = self.0.turn.lock() => {
                    // A task of its own: whoever's turn it is may go away in the middle, and the others have not. It ends also on
                    // a connection that has fallen silent, and gives that back.
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

    /// Those who have waited longest, as many as are written at once.
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

    /// Writes for those who wait, and tells each. Who is not told finds that nobody will any more.
    async fn write(self: Arc<Self>, database: Database) {
        let write = database.write().await;
        // Whoever has come until now is in time.
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
