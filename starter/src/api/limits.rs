//! How many requests a sender may send, so that one of them never takes the service from the others.

use std::{num::NonZeroU32, sync::Arc};

use axum::http::StatusCode;
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DefaultKeyedStateStore,
};

use super::problem::Problem;

/// Limits per sender. Clones share what was counted.
#[derive(Debug, Clone)]
pub struct Limits {
    limiter: Arc<RateLimiter<String, DefaultKeyedStateStore<String>, DefaultClock>>,
    clock: DefaultClock,
}

impl Limits {
    /// So many requests a minute, all of which may come at once.
    pub fn per_minute(requests: NonZeroU32) -> Self {
        Self { limiter: Arc::new(RateLimiter::keyed(Quota::per_minute(requests))), clock: DefaultClock::default() }
    }

    /// Counts a request of this sender.
    ///
    /// # Errors
    /// A problem of status 429 if it is one too many, with when to try again.
    pub fn let_in(&self, sender: &str) -> Result<(), Problem> {
        self.limiter.check_key(&sender.to_owned()).map_err(|full| {
            let wait = full.wait_time_from(self.clock.now()).as_secs() + 1;
            let detail = format!("too many requests; try again in {wait} s");
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "TooMany", "Too many requests", detail);
            Problem { retry_after: u32::try_from(wait).ok(), ..problem }
        })
    }

    /// Forgets senders that were quiet for long enough to have their full share again.
    pub fn sweep(&self) {
        self.limiter.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sender_never_takes_the_share_of_another() {
        let limits = Limits::per_minute(NonZeroU32::new(2).unwrap());
        assert!(limits.let_in("a").is_ok() && limits.let_in("a").is_ok());
        let problem = limits.let_in("a").unwrap_err();
        assert_eq!(problem.status, 429);
        assert!(problem.retry_after.is_some_and(|seconds| (1..=31).contains(&seconds)), "{problem:?}");
        assert!(limits.let_in("b").is_ok());
    }
}
