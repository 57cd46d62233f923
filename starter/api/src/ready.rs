//! Whether requests can be served. Anybody may ask, as often as they like; the server and the database are asked once a second.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use recourse_client::Filters;
use recourse_domain::ids::Id;
use tokio::sync::Mutex;

use super::{Front, problem::Problem};

/// For how long an answer holds.
const HOLDS: Duration = Duration::from_secs(1);

/// What was found, and when.
type Found = (Instant, Result<(), Problem>);

/// What was last found. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<Option<Found>>>);

impl Readiness {
    /// Whether requests can be served: the database and the Temporal server answer, or did a moment ago.
    ///
    /// # Errors
    /// What is away.
    pub async fn ask(&self, front: &Front) -> Result<(), Problem> {
        self.found(|| async {
            let listed = front.client().list(&Filters { limit: Some(1), ..Filters::default() }, None).await;
            listed.map_err(Problem::from)?;
            front.ledger().contract(&Id::new("ready").expect("an id")).await?;
            Ok(())
        })
        .await
    }

    /// What was found a moment ago, or is found now. Whoever asks meanwhile waits for the same.
    async fn found<F: Future<Output = Result<(), Problem>>>(&self, find: impl FnOnce() -> F) -> Result<(), Problem> {
        let mut found = self.0.lock().await;
        if let Some((at, was)) = &*found
            && at.elapsed() < HOLDS
        {
            return was.clone();
        }
        let is = find().await;
        *found = Some((Instant::now(), is.clone()));
        is
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn however_many_ask_it_is_found_out_once() {
        let (readiness, asked) = (Readiness::default(), AtomicU32::new(0));
        let find = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(())
        };
        let all = (0..100).map(|_| readiness.found(find));
        assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // What was found long ago is found anew.
        *readiness.0.lock().await = Instant::now().checked_sub(HOLDS).map(|at| (at, Ok(())));
        assert!(readiness.found(find).await.is_ok());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
