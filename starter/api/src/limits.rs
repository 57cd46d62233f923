//! How many requests a sender may send, so that no sender takes the service from the others.
//!
//! Counts have a kind: a party, a provider and a stranger never share one, whatever their names are. Strangers have a table of
//! their own. So known senders keep their own counts, however many addresses the strangers have.

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, StatusCode};
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    nanos::Nanos,
    state::{StateStore, keyed::ShrinkableKeyedStateStore},
};
use recourse_domain::ids::Id;

use super::{
    peer::{Place, Proxies},
    problem::Problem,
};

/// How many senders each table counts one by one. All others share a count until some of these have been quiet for a while.
const COUNTED_MAX: usize = 100_000;

/// How often Recourse searches a full table for quiet senders.
const SWEPT_EVERY: Duration = Duration::from_secs(1);

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sender {
    /// Somebody with a good token.
    Party(Id),
    /// A payment provider, by a good signature.
    Provider(Provider),
    /// A sender without a valid token or signature, by its place.
    Stranger(Place),
    /// A sender with a forged provider's signature, by its place.
    Forger(Place),
}

/// Which provider calls back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    /// The one that signs by Standard Webhooks.
    Payments,
    /// Stripe.
    Stripe,
}

impl Sender {
    const fn is_known(&self) -> bool {
        matches!(self, Self::Party(_) | Self::Provider(_))
    }

    /// What to do about too many requests.
    const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Party(_) | Self::Provider(_) => None,
            Self::Stranger(_) => Some("who sends a good token is counted apart from everybody else at this address"),
            Self::Forger(_) => Some("sign with the secret of this endpoint; what is signed well is still taken"),
        }
    }
}

/// Limits per sender. Clones share the counts.
#[derive(Debug, Clone)]
pub struct Limits {
    known: Arc<Table>,
    strangers: Arc<Table>,
    proxies: Arc<Proxies>,
}

impl Limits {
    /// This many requests a minute. All of them may come at once.
    pub fn per_minute(requests: NonZeroU32) -> Self {
        Self::with_room(requests, COUNTED_MAX)
    }

    fn with_room(requests: NonZeroU32, room: usize) -> Self {
        let table = || Arc::new(Table::new(Quota::per_minute(requests), room));
        Self { known: table(), strangers: table(), proxies: Arc::default() }
    }

    /// With these proxies, whose `X-Forwarded-For` Recourse trusts.
    #[must_use]
    pub fn behind(self, proxies: Proxies) -> Self {
        Self { proxies: Arc::new(proxies), ..self }
    }

    /// The place of a request that comes from this peer.
    pub fn place_of(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Place {
        peer.map_or_else(Place::default, |peer| Place::of(self.proxies.origin(peer, headers)))
    }

    /// Counts a request of this sender.
    ///
    /// # Errors
    /// A problem of status 429 if it is one too many, with the time to try again.
    pub fn let_in(&self, sender: &Sender) -> Result<(), Problem> {
        let table = if sender.is_known() { &self.known } else { &self.strangers };
        table.count(sender).map_err(|wait| {
            let wait = wait.as_secs() + 1;
            let detail = format!("too many requests; try again in {wait} s");
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "TooMany", "Too many requests", detail);
            Problem { retry_after: u32::try_from(wait).ok(), hint: sender.hint().map(str::to_owned), ..problem }
        })
    }

    /// Forgets senders that were quiet until they had their full share again.
    pub fn sweep(&self) {
        self.known.limiter.retain_recent();
        self.strangers.limiter.retain_recent();
    }
}

/// The counts of senders of one sort.
#[derive(Debug)]
struct Table {
    limiter: RateLimiter<Sender, Counts, DefaultClock>,
    clock: DefaultClock,
    room: usize,
    swept_at: Mutex<Option<Instant>>,
}

impl Table {
    fn new(quota: Quota, room: usize) -> Self {
        let clock = DefaultClock::default();
        let counts = Counts { room, ..Counts::default() };
        Self { limiter: RateLimiter::new(quota, counts, clock.clone()), clock, room, swept_at: Mutex::default() }
    }

    /// Counts a request of this sender, or answers how long the sender has to wait.
    fn count(&self, sender: &Sender) -> Result<(), Duration> {
        if self.limiter.len() >= self.room && self.is_to_be_swept() {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(sender).map_err(|full| full.wait_time_from(self.clock.now()))
    }

    fn is_to_be_swept(&self) -> bool {
        let mut swept_at = self.swept_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = swept_at.is_none_or(|at| at.elapsed() >= SWEPT_EVERY);
        if is_due {
            *swept_at = Some(Instant::now());
        }
        is_due
    }
}

/// Counts up to this many senders one by one, and all others together. So the table does not grow, however many there are.
#[derive(Debug, Default)]
struct Counts {
    room: usize,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    of_each: HashMap<Sender, Nanos>,
    of_all_others: Option<Nanos>,
}

impl Counts {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for Counts {
    type Key = Sender;

    fn measure_and_replace<T, F, E>(&self, sender: &Sender, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut counted = self.lock();
        let before = counted.of_each.get(sender).copied();
        if before.is_none() && counted.of_each.len() >= self.room {
            let (done, after) = measure(counted.of_all_others)?;
            counted.of_all_others = Some(after);
            return Ok(done);
        }
        let (done, after) = measure(before)?;
        counted.of_each.insert(sender.clone(), after);
        Ok(done)
    }
}

impl ShrinkableKeyedStateStore<Sender> for Counts {
    fn retain_recent(&self, drop_below: Nanos) {
        self.lock().of_each.retain(|_, at| *at > drop_below);
    }

    fn shrink_to_fit(&self) {
        self.lock().of_each.shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.lock().of_each.len()
    }

    fn is_empty(&self) -> bool {
        self.lock().of_each.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(requests: u32, room: usize) -> Limits {
        Limits::with_room(NonZeroU32::new(requests).unwrap(), room)
    }

    fn party(id: &str) -> Sender {
        Sender::Party(Id::new(id).unwrap())
    }

    fn place(address: &str) -> Place {
        Place::of(address.parse().unwrap())
    }

    #[test]
    fn senders_never_take_each_others_share() {
        let limits = limits(2, COUNTED_MAX);
        assert!(limits.let_in(&party("a")).is_ok() && limits.let_in(&party("a")).is_ok());
        let problem = limits.let_in(&party("a")).unwrap_err();
        assert_eq!(problem.status, 429);
        assert!(problem.retry_after.is_some_and(|seconds| (1..=31).contains(&seconds)), "{problem:?}");
        assert!(limits.let_in(&party("b")).is_ok());
    }

    /// Senders of different kinds share nothing, whatever their names are.
    #[test]
    fn kinds_of_senders_share_nothing() {
        let limits = limits(1, COUNTED_MAX);
        let here = place("192.0.2.7");
        for sender in [
            party("Stripe"),
            party("Payments"),
            party("192.0.2.7"),
            Sender::Provider(Provider::Stripe),
            Sender::Provider(Provider::Payments),
            Sender::Stranger(here),
            Sender::Forger(here),
        ] {
            assert!(limits.let_in(&sender).is_ok(), "{sender:?}");
            assert_eq!(limits.let_in(&sender).unwrap_err().status, 429, "{sender:?}");
        }
    }

    /// However many addresses strangers have, the table does not grow, the strangers share one count, and known senders have
    /// their own share.
    #[test]
    fn the_tables_of_counts_are_bounded() {
        let limits = limits(3, 10);
        let stranger = |number: u32| Sender::Stranger(Place::of(IpAddr::from(std::net::Ipv4Addr::from(number))));
        for number in 0..10_000 {
            let _ = limits.let_in(&stranger(number));
        }
        assert_eq!(limits.strangers.limiter.len(), 10);
        assert_eq!(limits.let_in(&stranger(20_000)).unwrap_err().status, 429, "they share one count");
        assert!(limits.let_in(&stranger(0)).is_ok(), "an earlier sender keeps its own count");
        assert!(limits.let_in(&party("a")).is_ok());
        assert_eq!(limits.known.limiter.len(), 1);
    }

    /// Quiet senders make room.
    #[test]
    fn quiet_senders_are_forgotten() {
        let quick = Table::new(Quota::per_second(NonZeroU32::new(1_000_000).unwrap()), 2);
        for id in ["a", "b", "c", "d"] {
            // At a million requests a second, a sender has its full share again after a microsecond.
            std::thread::yield_now();
            quick.swept_at.lock().unwrap().take();
            assert!(quick.count(&party(id)).is_ok());
            assert!(quick.limiter.len() <= 2);
        }
        assert!(quick.limiter.into_state_store().lock().of_each.contains_key(&party("d")), "there is room for it");
    }
}
