//! What goes wrong: in an order and of a length that the seed decides, several at a time, each kind about as often as others.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use recourse_activities::payments::Fault as BankFault;
use recourse_starter::{
    cli::sim::dice::Dice,
    local::{LocalServer, WorkerProcess},
};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AnyConnection, Connection as _};

use super::{
    proxy::{Proxy, Weather},
    supervisor::{Parts, WORKERS},
};

/// A kind of fault, with what it happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `kill -9` of a worker, and after a while another one.
    KillWorker(usize),
    /// A worker stands still (SIGSTOP) and goes on (SIGCONT), as if nothing had happened.
    FreezeWorker(usize),
    /// `kill -9` of the server, which starts again with its database file.
    KillServer,
    /// The server stands still and goes on.
    FreezeServer,
    /// A line breaks, with whatever is under way in it.
    Cut(Line),
    /// A line breaks and takes no new connections for a while.
    Close(Line),
    /// A line is slow for a while, and not equally so in both directions.
    Slow(Line),
    /// `kill -9` of the mail server, and after a while another one.
    KillMail,
    /// Somebody else has the database.
    LockDatabase,
    /// The database's disk is full.
    FillDisk,
    /// The bank does something wrong with the next movements.
    Bank,
}

/// A line between two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// Between the parties and the server.
    Clients,
    /// Between a worker and the server.
    Worker(usize),
    /// Between the workers and the mail server.
    Mail,
}

/// One fault.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// What happens to what.
    pub kind: Kind,
    /// For how long.
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

impl Line {
    fn of(self, parts: &Parts) -> &Proxy {
        match self {
            Self::Clients => &parts.clients_line,
            Self::Worker(which) => &parts.worker_lines[which],
            Self::Mail => &parts.mail_line,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clients => f.write_str("the parties' line"),
            Self::Worker(which) => write!(f, "worker {}'s line", which + 1),
            Self::Mail => f.write_str("the mail's line"),
        }
    }
}

impl Kind {
    /// The kinds that can happen here.
    fn all(has_mount: bool) -> Vec<Self> {
        let mut all = vec![Self::KillServer, Self::FreezeServer, Self::KillMail, Self::LockDatabase, Self::Bank];
        // Money is what it is about.
        all.extend([Self::LockDatabase, Self::Bank]);
        for which in 0..WORKERS {
            all.extend([Self::KillWorker(which), Self::FreezeWorker(which)]);
        }
        for line in [Line::Clients, Line::Worker(0), Line::Worker(1), Line::Mail] {
            all.extend([Self::Cut(line), Self::Close(line), Self::Slow(line)]);
        }
        if has_mount {
            all.push(Self::FillDisk);
        }
        all
    }

    /// What it is called in a count.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KillWorker(_) => "worker killed",
            Self::FreezeWorker(_) => "worker frozen",
            Self::KillServer => "server killed",
            Self::FreezeServer => "server frozen",
            Self::Cut(_) => "line cut",
            Self::Close(_) => "line closed",
            Self::Slow(_) => "line slow",
            Self::KillMail => "mail server killed",
            Self::LockDatabase => "database locked",
            Self::FillDisk => "disk full",
            Self::Bank => "bank wrong",
        }
    }

    /// Whether two faults would get in each other's way.
    fn meets(self, other: Self) -> bool {
        use Kind::{
            Bank, Close, Cut, FillDisk, FreezeServer, FreezeWorker, KillServer, KillWorker, LockDatabase, Slow,
        };
        match (self, other) {
            (KillWorker(one) | FreezeWorker(one), KillWorker(two) | FreezeWorker(two)) => one == two,
            (Cut(one) | Close(one) | Slow(one), Cut(two) | Close(two) | Slow(two)) => one == two,
            (KillServer | FreezeServer, KillServer | FreezeServer)
            | (LockDatabase | FillDisk | Bank, LockDatabase | FillDisk | Bank) => true,
            (one, two) => one == two,
        }
    }
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
            Kind::Close(line) => write!(f, "{line} is closed {seconds}"),
            Kind::Slow(line) => {
                write!(f, "{line} is slow {seconds} ({}/{} ms)", self.there.as_millis(), self.back.as_millis())
            }
            Kind::KillMail => write!(f, "the mail server is killed, away {seconds}"),
            Kind::LockDatabase => write!(f, "the database is locked {seconds}"),
            Kind::FillDisk => write!(f, "the database's disk is full {seconds}"),
            Kind::Bank => write!(f, "the bank: {:?} × {}", self.bank.0, self.bank.1),
        }
    }
}

impl Deck {
    /// The deck of this seed.
    pub fn new(seed: u64, has_mount: bool) -> Self {
        // Contracts have the numbers from 1 on.
        Self { dice: Dice::new(seed, 0), all: Kind::all(has_mount), left: Vec::new() }
    }

    /// The faults of the next round: one, two or three that do not get in each other's way.
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
            Kind::KillWorker(_) | Kind::KillServer => (0, 3_000),
            // Longer than an effect may take (10 s), now and then: then somebody else does it, and the frozen one wakes up late.
            Kind::FreezeWorker(_) => (2_000, 14_000),
            Kind::FreezeServer => (1_000, 5_000),
            // Longer than a connection waits for the lock (10 s), now and then.
            Kind::LockDatabase => (2_000, 12_500),
            _ => (1_000, 6_000),
        };
        // The shorter of two: the parties are to get on in between.
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

/// Lets everything go wrong that the seed holds until the time is up. Says how often each kind did.
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

/// Undoes what a fault might have left: everything passes, and the bank does nothing wrong any more.
pub async fn heal(parts: &Parts) {
    for line in [Line::Clients, Line::Worker(0), Line::Worker(1), Line::Mail] {
        line.of(parts).set(Weather::default());
    }
    if let Some(mount) = &parts.mount {
        mount.free();
    }
    while parts.bank.clear_faults().await.is_err() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

impl Fault {
    /// Happens, and is over when this is done.
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
            Kind::Cut(line) => line.of(parts).cut(),
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
            Kind::LockDatabase => {
                if let Err(error) = lock(&parts.database_url, wait).await {
                    parts.tell(&format!("the database could not be locked: {error}"));
                }
            }
            Kind::FillDisk => {
                let Some(mount) = &parts.mount else { return };
                mount.fill();
                wait.await;
                mount.free();
            }
            Kind::Bank => {
                let (fault, times) = self.bank;
                // It cannot be told while its database is locked or full; then it is well.
                let _ = parts.bank.set_fault(None, fault, times).await;
            }
        }
    }

    async fn weather(&self, line: &Proxy, weather: Weather) {
        line.set(weather);
        if weather.refuses {
            line.cut();
        }
        tokio::time::sleep(self.length).await;
        line.set(Weather::default());
    }
}

/// Stops the very process and lets it go on.
async fn freeze(pid: Option<u32>, wait: impl Future<Output = ()>) {
    let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) else { return };
    // An error means that it has just ended by itself, which is noticed elsewhere.
    let _ = kill_process(pid, Signal::STOP);
    wait.await;
    let _ = kill_process(pid, Signal::CONT);
}

/// Keeps everybody else from writing.
async fn lock(url: &str, wait: impl Future<Output = ()>) -> Result<(), sqlx::Error> {
    let mut connection = AnyConnection::connect(url).await?;
    for statement in ["PRAGMA busy_timeout = 10000", "BEGIN EXCLUSIVE"] {
        sqlx::query(statement).execute(&mut connection).await?;
    }
    wait.await;
    sqlx::query("ROLLBACK").execute(&mut connection).await?;
    connection.close().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_deals_the_same_faults_and_every_kind_comes() {
        let deal = |seed| {
            let mut deck = Deck::new(seed, true);
            (0..60).flat_map(|_| deck.deal()).map(|fault| (fault.kind, fault.length)).collect::<Vec<_>>()
        };
        assert_eq!(deal(1), deal(1));
        assert_ne!(deal(1), deal(2));
        let dealt: std::collections::BTreeSet<_> = deal(1).into_iter().map(|(kind, _)| kind).collect();
        assert!(Kind::all(true).iter().all(|kind| dealt.contains(kind)), "{dealt:?}");
    }

    /// A minute is little: the short run's seed is one with which it is enough for every kind.
    #[test]
    fn the_short_run_has_every_kind_of_fault_in_its_minute() {
        let mut deck = Deck::new(super::super::SEED, true);
        let (mut clock, mut dealt) = (Duration::ZERO, std::collections::BTreeSet::new());
        while clock < super::super::SHORT {
            let round = deck.deal();
            let length = |fault: &Fault| match fault.kind {
                Kind::Cut(_) | Kind::Bank => Duration::ZERO,
                // It also has to start again.
                Kind::KillServer => fault.length + Duration::from_secs(4),
                _ => fault.length,
            };
            clock += round.iter().map(length).max().unwrap_or_default() + deck.pause();
            dealt.extend(round.iter().map(|fault| fault.kind.name()));
        }
        let all: std::collections::BTreeSet<_> = Kind::all(true).into_iter().map(Kind::name).collect();
        assert_eq!(dealt, all);
    }
}
