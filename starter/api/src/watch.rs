//! Tells viewers of a case when it changes.
//!
//! However many people watch, Recourse follows a case's history once, with the server's own long poll, and asks for its status
//! once per change. If nobody watches, it follows nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use recourse_client::{Client, ClientError};
use recourse_domain::{messages::Status, stage::Stage};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::live::Looks;

/// How long to wait after an error before the case is followed again.
const PAUSE: Duration = Duration::from_secs(2);

/// The shortest time between two questions for a case's status, whatever happens in it.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How many cases Recourse follows at once. A viewer of one more asks again later.
const FOLLOWED_MAX: usize = 1_000;

/// The latest status of a case, for everybody who watches it.
type Latest = watch::Sender<Option<Arc<Status>>>;

/// Who watches which case. Clones share it.
#[derive(Debug, Clone)]
pub struct Watchers {
    client: Client,
    followed: Arc<Mutex<HashMap<String, Latest>>>,
    looks: Looks,
}

impl Watchers {
    /// Nobody watches anything yet.
    pub fn new(client: Client) -> Self {
        Self { client, followed: Arc::default(), looks: Looks::default() }
    }

    /// Who watches now.
    pub const fn looks(&self) -> &Looks {
        &self.looks
    }

    /// Watches a case: its latest status now and after every change. None if people watch too many cases.
    pub fn look(&self, case: &str) -> Option<watch::Receiver<Option<Arc<Status>>>> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = followed.get(case) {
            return Some(sender.subscribe());
        }
        if followed.len() >= FOLLOWED_MAX {
            return None;
        }
        let (sender, receiver) = watch::channel(None);
        followed.insert(case.to_owned(), sender.clone());
        let (watchers, case) = (self.clone(), case.to_owned());
        tokio::spawn(async move { watchers.follow(case, sender).await });
        Some(receiver)
    }

    /// Follows a case until its workflow has ended, in whatever way, or nobody watches it any more.
    async fn follow(&self, case: String, sender: watch::Sender<Option<Arc<Status>>>) {
        let mut changes = self.client.changes(&case);
        let mut is_over = false;
        loop {
            let asked_at = Instant::now();
            let pause = match self.client.status(&case).await {
                Ok(status) => {
                    let status = Arc::new(status);
                    let is_last = is_over || (status.stage == Stage::Closed && status.outcome.is_some());
                    sender.send_if_modified(|last| {
                        let is_new = last.as_ref() != Some(&status);
                        *last = Some(status);
                        is_new
                    });
                    if is_last {
                        break;
                    }
                    ASKED_AGAIN_AFTER
                }
                Err(ClientError::NotFound { .. } | ClientError::Stopped { .. }) => break,
                Err(error) => {
                    tracing::debug!(%error, case, "a case cannot be followed now");
                    PAUSE
                }
            };
            sleep_until(asked_at + pause).await;
            if !is_over {
                tokio::select! {
                    () = sender.closed() => {}
                    next = changes.next() => match next {
                        Ok(change) => is_over = change.is_last,
                        Err(_) => sleep(PAUSE).await,
                    }
                }
            }
            if self.leave(&case, &sender) {
                return;
            }
        }
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).remove(&case);
    }

    /// Stops following a case that nobody watches any more.
    fn leave(&self, case: &str, sender: &watch::Sender<Option<Arc<Status>>>) -> bool {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let nobody = sender.receiver_count() == 0;
        if nobody {
            followed.remove(case);
        }
        nobody
    }
}
