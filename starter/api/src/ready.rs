//! Whether this server can serve requests. Anybody may ask, as often as they like. It asks the Temporal server and the database
//! at most once a second.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use recourse_client::Filters;
use recourse_domain::ids::Id;
use tokio::sync::Mutex;

use super::{Front, problem::Problem};

/// How long an answer is valid.
const HOLDS: Duration = Duration::from_secs(1);

/// The result of a check, and its time.
type Found = (Instant, Result<(), Problem>);

/// The last result. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<Option<Found>>>);

impl Readiness {
    /// Whether this server can serve requests: the database and the Temporal server answer, or answered within the last second.
    ///
    /// # Errors
    /// Which part does not answer.
    pub async fn ask(&self, front: &Front) -> Result<(), Problem> {
        self.found(|| async {
            let listed = front.client().list(&Filters { limit: Some(1), ..Filters::default() }, None).await;
            listed.map_err(Problem::from)?;
            front.ledger().contract(&Id::new("ready").expect("an id")).await?;
            Ok(())
        })
        .await
    }

    /// The last result while it is valid, or a new one. Callers that ask in between wait for the same result.
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
    async fn many_readiness_questions_cause_one_check() {
        let (readiness, asked) = (Readiness::default(), AtomicU32::new(0));
        let find = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(())
        };
        let all = (0..100).map(|_| readiness.found(find));
        assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // An old result is not valid: it checks again.
        *readiness.0.lock().await = Instant::now().checked_sub(HOLDS).map(|at| (at, Ok(())));
        assert!(readiness.found(find).await.is_ok());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
