//! Sends a case's changes over a connection that stays open: who may have one, how long, and how many.
//!
//! A viewer may watch as long as Recourse would answer their requests. So it reads the token again before each event, and at
//! intervals without one. A stream ends with its token, with the key that signed the token, and with its session.

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

/// How many connections one sender may have at once.
pub const LOOKS_MAX: usize = 20;

/// How often Recourse writes to a quiet connection, so that nothing closes it, and reads its token again.
const BEAT: Duration = Duration::from_secs(15);

/// After how long a browser asks again for a case that is over. By default it would do so every few seconds.
const ASKED_AGAIN_AFTER: Duration = Duration::from_hours(24);

/// Who watches cases now. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Looks(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    of: HashMap<Id, HashMap<u64, Session>>,
}

/// What ends a look.
#[derive(Debug)]
struct Session {
    token: [u8; 32],
    ended: Arc<Notify>,
}

/// One look. It counts until it is dropped.
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
    /// The changes of a case, shown by `show`, as server-sent events for the owner of this token. The caller has checked
    /// whether they may see the case.
    ///
    /// # Errors
    /// 401 if the token is not valid, 429 if they watch too many cases, 503 if all viewers together watch too many.
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
                // No event of its own: a browser that connects again would get the same event again.
                LiveEvent::Over => Event::default().retry(ASKED_AGAIN_AFTER),
            })
        });
        Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(BEAT)).into_response())
    }
}

/// What a viewer gets.
#[derive(Debug, Clone, PartialEq)]
enum LiveEvent<T> {
    /// The case's status.
    Status(Arc<T>),
    /// Nothing will change any more.
    Over,
}

/// The updates until the case is over, the token's time is up, the look has ended, or `still` says no.
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

    /// A status. These tests need only its stage.
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
    async fn viewers_get_every_change_and_then_the_end() {
        let Looked { case, mut told, looks, time_is_up: _time, .. } = looked(NEVER);
        assert_eq!(told.next().now_or_never(), None, "there is no status yet");
        for stage in [Stage::AwaitingClient, Stage::Closed] {
            case.send_replace(Some(status(stage)));
            assert_eq!(told.next().await, Some(LiveEvent::Status(status(stage))));
        }
        drop(case);
        assert_eq!((told.next().await, told.next().await), (Some(LiveEvent::Over), None));
        drop(told);
        assert!(looks.open().of.is_empty(), "the look no longer counts");
    }

    /// A viewer gets nothing after the token's time, after the session's end, or once the token is no longer valid.
    #[tokio::test]
    async fn viewers_get_nothing_once_their_token_or_session_is_over() {
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
        assert_eq!(told.next().await, None, "the token is no longer valid");

        let Looked { case: _quiet, mut told, is_believed, time_is_up: _time, .. } = looked(Duration::from_millis(1));
        is_believed.store(false, Ordering::Relaxed);
        assert_eq!(told.next().await, None, "also without any change");
    }

    #[test]
    fn one_sender_has_a_limited_number_of_looks() {
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
