//! Faults: the seed decides their order and length; several happen at a time, and each kind about as often as the others.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use recourse_local::{LocalServer, WorkerProcess};
use recourse_payments::Fault as BankFault;
use recourse_simulation::dice::Dice;
use rustix::process::{Pid, Signal, kill_process};

use super::{
    kinds::{Kind, Line},
    proxy::{Proxy, Weather},
    supervisor::Parts,
};

/// One fault.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Its kind and target.
    pub kind: Kind,
    /// How long it lasts.
    pub length: Duration,
    there: Duration,
    back: Duration,
    bank: (BankFault, u32),
}

/// Deals the kinds like a deck of cards: each once before any comes again.
pub struct Deck {
    dice: Dice,
    all: Vec<Kind>,
    left: Vec<Kind>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = format!("for {:.1} s", self.length.as_secs_f64());
        match self.kind {
            Kind::KillWorker(which) => write!(f, "worker {} is killed, away {seconds}", which + 1),
            Kind::FreezeWorker(which) => write!(f, "worker {} stands still {seconds}", which + 1),
            Kind::KillServer => write!(f, "the server is killed, away {seconds}"),
            Kind::FreezeServer => write!(f, "the server stands still {seconds}"),
            Kind::Cut(line) => write!(f, "{line} is cut"),
            Kind::Lose(line) => write!(f, "{line} loses its connections without a word"),
            Kind::Close(line) => write!(f, "{line} is closed {seconds}"),
            Kind::Slow(line) => {
                write!(f, "{line} is slow {seconds} ({}/{} ms)", self.there.as_millis(), self.back.as_millis())
            }
            Kind::KillMail => write!(f, "the mail server is killed, away {seconds}"),
            Kind::LockDatabase => write!(f, "the database is locked {seconds}"),
            Kind::LockWriters => write!(f, "somebody else is the database's writer {seconds}"),
            Kind::LockTables => write!(f, "the database's tables are locked {seconds}"),
            Kind::EndSessions => write!(f, "all sessions at the database are ended, again and again {seconds}"),
            Kind::RestartDatabase => write!(f, "the database's server is killed, away {seconds}"),
            Kind::FillDisk => write!(f, "the database's disk is full {seconds}"),
            Kind::Bank => write!(f, "the bank: {:?} × {}", self.bank.0, self.bank.1),
        }
    }
}

impl Deck {
    /// The deck of this seed, with all these faults.
    pub fn new(seed: u64, all: Vec<Kind>) -> Self {
        // Contracts have the numbers from 1 on.
        Self { dice: Dice::new(seed, 0), all, left: Vec::new() }
    }

    /// The faults of the next round: one, two or three that do not disturb each other.
    pub fn deal(&mut self) -> Vec<Fault> {
        let count = 1 + self.dice.below(3);
        let mut round: Vec<Fault> = Vec::new();
        for _ in 0..count {
            if self.left.is_empty() {
                self.left.clone_from(&self.all);
            }
            let chosen = usize::try_from(self.dice.below(self.left.len() as u64)).unwrap();
            if round.iter().all(|fault| !fault.kind.meets(self.left[chosen])) {
                let kind = self.left.swap_remove(chosen);
                round.push(self.fault(kind));
            }
        }
        round
    }

    /// The pause until the next round.
    pub fn pause(&mut self) -> Duration {
        Duration::from_millis(500 + self.dice.below(3_000))
    }

    fn fault(&mut self, kind: Kind) -> Fault {
        let (from, to) = match kind {
            Kind::KillWorker(_) | Kind::KillServer | Kind::RestartDatabase => (0, 3_000),
            // Sometimes longer than an effect may take (10 s): then another worker does it, and the frozen one wakes up late.
            Kind::FreezeWorker(_) => (2_000, 14_000),
            Kind::FreezeServer => (1_000, 5_000),
            // Sometimes longer than a connection waits for the lock (10 s).
            Kind::LockDatabase | Kind::LockWriters | Kind::LockTables => (2_000, 12_500),
            _ => (1_000, 6_000),
        };
        // The shorter of two, so that the parties make progress in between.
        let length = self.dice.below(to - from).min(self.dice.below(to - from));
        let length = Duration::from_millis(from + length);
        let (there, back) = (self.dice.below(700), self.dice.below(700));
        let late = BankFault::Late(Duration::from_millis(200 + self.dice.below(12_000)));
        let wrong = *self.dice.pick(&BankFault::FailAfter, &[BankFault::FailBefore, late, BankFault::Decline]);
        let times = 1 + u32::try_from(self.dice.below(4)).unwrap();
        let (there, back) = (Duration::from_millis(there), Duration::from_millis(back));
        Fault { kind, length, there, back, bank: (wrong, times) }
    }
}

/// Applies the seed's faults until the time is up. Returns how often each kind happened.
pub async fn rage(parts: &Parts, deck: &mut Deck, until: Instant) -> BTreeMap<&'static str, u32> {
    let mut counts = BTreeMap::new();
    while Instant::now() < until {
        let round = deck.deal();
        for fault in &round {
            *counts.entry(fault.kind.name()).or_default() += 1;
            parts.tell(&fault.to_string());
        }
        join_all(round.iter().map(|fault| fault.happen(parts))).await;
        tokio::time::sleep(deck.pause()).await;
    }
    counts
}

/// Undoes the effects of faults: all connections work, and the bank makes no more mistakes.
pub async fn heal(parts: &Parts) {
    for line in Line::ALL.into_iter().filter_map(|line| line.of(parts)) {
        line.set(Weather::default());
    }
    parts.books.heal().await;
    while parts.bank.clear_faults().await.is_err() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

impl Fault {
    /// Applies the fault, and returns when it is over.
    async fn happen(&self, parts: &Parts) {
        let wait = tokio::time::sleep(self.length);
        match self.kind {
            Kind::KillWorker(which) => {
                let mut worker = parts.workers[which].lock().await;
                if let Some(running) = worker.take() {
                    running.kill().await.unwrap();
                }
                wait.await;
                *worker = parts.start_worker(which).await;
            }
            Kind::FreezeWorker(which) => {
                let worker = parts.workers[which].lock().await;
                freeze(worker.as_ref().and_then(WorkerProcess::pid), wait).await;
            }
            Kind::KillServer => {
                let mut server = parts.server.lock().await;
                if let Some(running) = server.take() {
                    running.kill().await.unwrap();
                }
                wait.await;
                *server = parts.start_server().await;
            }
            Kind::FreezeServer => {
                let server = parts.server.lock().await;
                freeze(server.as_ref().and_then(LocalServer::pid), wait).await;
            }
            Kind::Cut(line) => line.of(parts).into_iter().for_each(Proxy::cut),
            Kind::Lose(line) => line.of(parts).into_iter().for_each(Proxy::lose),
            Kind::Close(line) => self.weather(line.of(parts), Weather { refuses: true, ..Weather::default() }).await,
            Kind::Slow(line) => {
                let (there, back) = (self.there, self.back);
                self.weather(line.of(parts), Weather { there, back, refuses: false }).await;
            }
            Kind::KillMail => {
                let mut mail = parts.mail.lock().await;
                drop(mail.take());
                wait.await;
                *mail = Some(parts.start_mail().await);
            }
            Kind::LockDatabase
            | Kind::LockWriters
            | Kind::LockTables
            | Kind::EndSessions
            | Kind::RestartDatabase
            | Kind::FillDisk => {
                if let Err(error) = parts.books.suffer(self.kind, wait).await {
                    parts.tell(&format!("{}, or not for so long: {error}", self.kind.name()));
                }
            }
            Kind::Bank => {
                let (fault, times) = self.bank;
                // The bank cannot get the fault while its database is locked or full; that does not matter.
                let _ = parts.bank.set_fault(None, fault, times).await;
            }
        }
    }

    async fn weather(&self, line: Option<&Proxy>, weather: Weather) {
        let Some(line) = line else { return };
        line.set(weather);
        if weather.refuses {
            line.cut();
        }
        tokio::time::sleep(self.length).await;
        line.set(Weather::default());
    }
}

/// Stops the process and resumes it.
async fn freeze(pid: Option<u32>, wait: impl Future<Output = ()>) {
    let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) else { return };
    // An error means that it has just ended by itself; other code notices that.
    let _ = kill_process(pid, Signal::STOP);
    wait.await;
    let _ = kill_process(pid, Signal::CONT);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::chaos::{POSTGRES_SEED, SEED, SHORT};

    #[test]
    fn the_same_seed_deals_the_same_faults_and_every_kind_comes() {
        for all in [Kind::on_a_file(true), Kind::on_a_server()] {
            let deal = |seed| {
                let mut deck = Deck::new(seed, all.clone());
                (0..60).flat_map(|_| deck.deal()).map(|fault| (fault.kind, fault.length)).collect::<Vec<_>>()
            };
            assert_eq!(deal(1), deal(1));
            assert_ne!(deal(1), deal(2));
            let dealt: BTreeSet<_> = deal(1).into_iter().map(|(kind, _)| kind).collect();
            assert!(all.iter().all(|kind| dealt.contains(kind)), "{dealt:?}");
        }
    }

    /// The kinds of faults that this seed applies in a minute.
    fn in_a_minute(seed: u64, all: &[Kind]) -> BTreeSet<&'static str> {
        let mut deck = Deck::new(seed, all.to_vec());
        let (mut clock, mut dealt) = (Duration::ZERO, BTreeSet::new());
        while clock < SHORT {
            let round = deck.deal();
            let length = |fault: &Fault| match fault.kind {
                Kind::Cut(_) | Kind::Lose(_) | Kind::Bank => Duration::ZERO,
                // These also need time to start again.
                Kind::KillServer | Kind::RestartDatabase => fault.length + Duration::from_secs(4),
                _ => fault.length,
            };
            clock += round.iter().map(length).max().unwrap_or_default() + deck.pause();
            dealt.extend(round.iter().map(|fault| fault.kind.name()));
        }
        dealt
    }

    /// A minute is short: the seeds of the short runs are chosen so that every kind happens.
    #[test]
    fn the_short_run_has_every_kind_of_fault_in_its_minute() {
        for (seed, all) in [(SEED, Kind::on_a_file(true)), (POSTGRES_SEED, Kind::on_a_server())] {
            let names: BTreeSet<_> = all.iter().map(|kind| kind.name()).collect();
            let found = (0..20_000).find(|seed| in_a_minute(*seed, &all) == names);
            assert_eq!(in_a_minute(seed, &all), names, "the first seed that has all is {found:?}");
        }
    }
}
