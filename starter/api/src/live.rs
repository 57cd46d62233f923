//! A case as it changes, told over a connection that stays open: who may hold one for how long, and how many.
//!
//! Whoever looks may look for as long as a request of theirs would be answered. So the token is read again before each event, and
//! every now and then without one: a stream ends with its token, with the key that signed it, and with the session that it is of.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    http::StatusCode,
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt as _, stream};
use recourse_domain::{ids::Id, messages::Status};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval, sleep},
};

use super::{Front, problem::Problem};

/// How many connections one sender may look through at once.
pub const LOOKS_MAX: usize = 20;

/// How often a quiet connection is written to, so that nobody takes it for dead, and its token is read again.
const BEAT: Duration = Duration::from_secs(15);

/// After how long a browser asks again for a case that is over. It would do so every few seconds.
const ASKED_AGAIN_AFTER: Duration = Duration::from_hours(24);

/// Who looks at cases now. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Looks(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    of: HashMap<Id, HashMap<u64, Session>>,
}

/// What a look is ended by.
#[derive(Debug)]
struct Session {
    token: [u8; 32],
    ended: Arc<Notify>,
}

/// One look, which counts until it is dropped.
#[derive(Debug)]
pub struct Look {
    looks: Looks,
    sender: Id,
    number: u64,
    ended: Arc<Notify>,
}

impl Looks {
    /// Begins a look of this sender.
    ///
    /// # Errors
    /// 429 if they have [`LOOKS_MAX`].
    pub fn begin(&self, sender: &Id, token: &str) -> Result<Look, Problem> {
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        let of_sender = open.of.entry(sender.clone()).or_default();
        if of_sender.len() >= LOOKS_MAX {
            let detail = format!("you look at {LOOKS_MAX} cases at once already");
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "TooMany", "Too many live connections", detail);
            let problem = Problem { retry_after: Some(15), ..problem };
            return Err(problem.hint("close one of those connections; a backend reads /v1/events or has a webhook"));
        }
        let ended = Arc::new(Notify::new());
        of_sender.insert(number, Session { token: fingerprint(token), ended: ended.clone() });
        drop(open);
        Ok(Look { looks: self.clone(), sender: sender.clone(), number, ended })
    }

    /// Ends all looks with this token: its session is over.
    pub fn end(&self, sender: &Id, token: &str) {
        let token = fingerprint(token);
        if let Some(of_sender) = self.open().of.get(sender) {
            of_sender.values().filter(|session| session.token == token).for_each(|session| session.ended.notify_one());
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        let mut open = self.looks.open();
        if let Some(of_sender) = open.of.get_mut(&self.sender) {
            of_sender.remove(&self.number);
            if of_sender.is_empty() {
                open.of.remove(&self.sender);
            }
        }
    }
}

fn fingerprint(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Front {
    /// What changes in a case, shown by `show`, as server-sent events to whoever has this token. Whether they may see the case is
    /// checked before.
    ///
    /// # Errors
    /// 401 if the token is not believed, 429 if they look at too many cases, 503 if too many are looked at.
    pub async fn live(
        &self,
        token: &str,
        case: &str,
        show: impl Fn(&Status) -> String + Send + 'static,
    ) -> Result<Response, Problem> {
        let (who, believed_for) = self.tokens().read_for(token).await?;
        let look = self.watchers().looks().begin(&who.subject, token)?;
        let looking = self.watchers().look(case);
        let looking = looking.ok_or_else(|| Problem::unavailable("too many cases are looked at"))?;
        let (front, token) = (self.clone(), token.to_owned());
        let still_believed = async move || front.tokens().read(&token).await.is_ok();
        let told = told(looking, sleep(believed_for), look, BEAT, still_believed);
        let events = told.map(move |told| {
            Ok::<_, Infallible>(match told {
                LiveEvent::Status(status) => Event::default().event("status").data(show(&status)),
                // No event of its own: a browser that connects again would be told the same again.
                LiveEvent::Over => Event::default().retry(ASKED_AGAIN_AFTER),
            })
        });
        Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(BEAT)).into_response())
    }
}

/// What is told to whoever looks.
#[derive(Debug, Clone, PartialEq)]
enum LiveEvent<T> {
    /// How the case stands.
    Status(Arc<T>),
    /// Nothing will change any more.
    Over,
}

/// What is told, until the case is over, the time of the token is, the look is ended, or `still` says no.
fn told<T: PartialEq>(
    mut looking: watch::Receiver<Option<Arc<T>>>,
    until: impl Future<Output = ()> + Send + 'static,
    look: Look,
    beat: Duration,
    still: impl AsyncFn() -> bool + Send + 'static,
) -> impl Stream<Item = LiveEvent<T>> {
    looking.mark_changed();
    let mut beats = interval(beat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let state = (looking, Box::pin(until), look, beats, still, false);
    stream::unfold(state, async |(mut looking, mut until, look, mut beats, still, is_over)| {
        if is_over {
            return None;
        }
        loop {
            let changed = tokio::select! {
                biased;
                () = &mut until => return None,
                () = look.ended.notified() => return None,
                changed = looking.changed() => Some(changed.is_ok()),
                _ = beats.tick() => None,
            };
            if !still().await {
                return None;
            }
            let told = match changed {
                None => continue,
                Some(false) => LiveEvent::Over,
                Some(true) => match looking.borrow_and_update().clone() {
                    None => continue,
                    Some(status) => LiveEvent::Status(status),
                },
            };
            let is_over = told == LiveEvent::Over;
            return Some((told, (looking, until, look, beats, still, is_over)));
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt as _;
    use recourse_domain::stage::Stage;
    use tokio::sync::oneshot;

    use super::*;

    /// A status, for as much as matters here.
    fn status(stage: Stage) -> Arc<String> {
        Arc::new(stage.to_string())
    }

    struct Looked {
        looks: Looks,
        who: Id,
        case: watch::Sender<Option<Arc<String>>>,
        time_is_up: oneshot::Sender<()>,
        is_believed: Arc<AtomicBool>,
        told: std::pin::Pin<Box<dyn Stream<Item = LiveEvent<String>>>>,
    }

    fn looked(beat: Duration) -> Looked {
        let (looks, who) = (Looks::default(), Id::new("cl-1").unwrap());
        let (case, looking) = watch::channel(None);
        let (time_is_up, time) = oneshot::channel();
        let is_believed = Arc::new(AtomicBool::new(true));
        let still = is_believed.clone();
        let look = looks.begin(&who, "t").unwrap();
        let still = async move || still.load(Ordering::Relaxed);
        let told = Box::pin(told(looking, async { drop(time.await) }, look, beat, still));
        Looked { looks, who, case, time_is_up, is_believed, told }
    }

    const NEVER: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn every_change_is_told_and_then_that_nothing_changes_any_more() {
        let Looked { case, mut told, looks, time_is_up: _time, .. } = looked(NEVER);
        assert_eq!(told.next().now_or_never(), None, "nothing is known yet");
        for stage in [Stage::AwaitingClient, Stage::Closed] {
            case.send_replace(Some(status(stage)));
            assert_eq!(told.next().await, Some(LiveEvent::Status(status(stage))));
        }
        drop(case);
        assert_eq!((told.next().await, told.next().await), (Some(LiveEvent::Over), None));
        drop(told);
        assert!(looks.open().of.is_empty(), "the look counts no more");
    }

    /// Nothing is told after the token's time, to a session that is over, or when the token would not be taken any more.
    #[tokio::test]
    async fn nothing_is_told_to_whoever_would_not_be_answered() {
        let Looked { case, mut told, time_is_up, .. } = looked(NEVER);
        time_is_up.send(()).unwrap();
        case.send_replace(Some(status(Stage::Closed)));
        assert_eq!(told.next().await, None, "its time is up");

        let Looked { case, mut told, looks, who, time_is_up: _time, .. } = looked(NEVER);
        looks.end(&who, "another");
        case.send_replace(Some(status(Stage::AwaitingClient)));
        assert!(matches!(told.next().await, Some(LiveEvent::Status(_))), "another session's end");
        looks.end(&who, "t");
        case.send_replace(Some(status(Stage::Closed)));
        assert_eq!(told.next().await, None, "the session is over");

        let Looked { case, mut told, is_believed, time_is_up: _time, .. } = looked(NEVER);
        is_believed.store(false, Ordering::Relaxed);
        case.send_replace(Some(status(Stage::Closed)));
        assert_eq!(told.next().await, None, "the token is not believed any more");

        let Looked { case: _quiet, mut told, is_believed, time_is_up: _time, .. } = looked(Duration::from_millis(1));
        is_believed.store(false, Ordering::Relaxed);
        assert_eq!(told.next().await, None, "also while nothing happens");
    }

    #[test]
    fn one_sender_has_so_many_looks() {
        let (looks, who) = (Looks::default(), Id::new("cl-1").unwrap());
        let mut held: Vec<Look> = (0..LOOKS_MAX).map(|_| looks.begin(&who, "t").unwrap()).collect();
        let problem = looks.begin(&who, "another").unwrap_err();
        assert_eq!(problem.status, 429);
        assert!(problem.hint.is_some_and(|hint| hint.contains("close one")));
        assert!(looks.begin(&Id::new("cl-2").unwrap(), "t").is_ok());
        held.pop();
        assert!(looks.begin(&who, "t").is_ok());
        drop(held);
        assert!(looks.open().of.is_empty());
    }
}
