//! The kinds of faults.

use std::fmt;

use super::{
    proxy::Proxy,
    supervisor::{Parts, WORKERS},
};

/// A kind of fault, with its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `kill -9` of a worker; another one starts after a while.
    KillWorker(usize),
    /// A worker is stopped (SIGSTOP) and resumed (SIGCONT).
    FreezeWorker(usize),
    /// `kill -9` of the server, which starts again with its database file.
    KillServer,
    /// The server is stopped and resumed.
    FreezeServer,
    /// A line breaks with everything in it.
    Cut(Line),
    /// A line breaks and takes no new connections for a while.
    Close(Line),
    /// A line is slow for a while, differently in the two directions.
    Slow(Line),
    /// Existing connections pass nothing and do not end; new connections work.
    Lose(Line),
    /// `kill -9` of the mail server; another one starts after a while.
    KillMail,
    /// Another process locks the database's file.
    LockDatabase,
    /// Another process holds the database server's lock for writers.
    LockWriters,
    /// Another process locks tables of the database's server, for readers too.
    LockTables,
    /// The database's server ends all sessions, again and again.
    EndSessions,
    /// The whole database's server ends at once, and starts again after a while.
    RestartDatabase,
    /// The database's disk is full.
    FillDisk,
    /// The bank handles the next movements wrongly.
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
    /// Between a worker and the database's server.
    Database(usize),
}

impl Line {
    /// Every line; a database in a file has none.
    pub const ALL: [Self; 6] =
        [Self::Clients, Self::Worker(0), Self::Worker(1), Self::Mail, Self::Database(0), Self::Database(1)];

    /// The proxy of this line.
    pub fn of(self, parts: &Parts) -> Option<&Proxy> {
        match self {
            Self::Clients => Some(&parts.clients_line),
            Self::Worker(which) => Some(&parts.worker_lines[which]),
            Self::Mail => Some(&parts.mail_line),
            Self::Database(which) => parts.books.line(which),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clients => f.write_str("the parties' line"),
            Self::Worker(which) => write!(f, "worker {}'s line", which + 1),
            Self::Mail => f.write_str("the mail's line"),
            Self::Database(which) => write!(f, "worker {}'s line to the database", which + 1),
        }
    }
}

impl Kind {
    /// The faults that can happen where the database is a file.
    pub fn on_a_file(has_mount: bool) -> Vec<Self> {
        let mut all = Self::anywhere([Self::LockDatabase; 2]);
        if has_mount {
            all.push(Self::FillDisk);
        }
        all
    }

    /// The faults that can happen where the database has a server.
    pub fn on_a_server() -> Vec<Self> {
        let mut all = Self::anywhere([Self::LockWriters, Self::LockTables]);
        all.extend([Self::EndSessions, Self::RestartDatabase]);
        for line in (0..WORKERS).map(Line::Database) {
            all.extend(Self::on_the_line(line));
            all.push(Self::Lose(line));
        }
        all
    }

    fn anywhere([one_lock, other_lock]: [Self; 2]) -> Vec<Self> {
        let mut all = vec![Self::KillServer, Self::FreezeServer, Self::KillMail, one_lock, Self::Bank];
        // Money matters most.
        all.extend([other_lock, Self::Bank]);
        for which in 0..WORKERS {
            all.extend([Self::KillWorker(which), Self::FreezeWorker(which)]);
        }
        all.extend(
            [Line::Clients, Line::Worker(0), Line::Worker(1), Line::Mail].into_iter().flat_map(Self::on_the_line),
        );
        all
    }

    const fn on_the_line(line: Line) -> [Self; 3] {
        [Self::Cut(line), Self::Close(line), Self::Slow(line)]
    }

    /// Its name in a count.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KillWorker(_) => "worker killed",
            Self::FreezeWorker(_) => "worker frozen",
            Self::KillServer => "server killed",
            Self::FreezeServer => "server frozen",
            Self::Cut(Line::Database(_)) => "database cut off",
            Self::Close(Line::Database(_)) => "database closed off",
            Self::Slow(Line::Database(_)) => "database far away",
            Self::Lose(_) => "database lost",
            Self::Cut(_) => "line cut",
            Self::Close(_) => "line closed",
            Self::Slow(_) => "line slow",
            Self::KillMail => "mail server killed",
            Self::LockDatabase => "database locked",
            Self::LockWriters => "writers locked out",
            Self::LockTables => "tables locked",
            Self::EndSessions => "sessions ended",
            Self::RestartDatabase => "database killed",
            Self::FillDisk => "disk full",
            Self::Bank => "bank wrong",
        }
    }

    /// Whether it happens to the database, or the bank gets it through the database.
    const fn is_at_the_database(self) -> bool {
        use Kind::{Bank, EndSessions, FillDisk, LockDatabase, LockTables, LockWriters, RestartDatabase};
        matches!(self, LockDatabase | LockWriters | LockTables | EndSessions | RestartDatabase | FillDisk | Bank)
    }

    /// Whether two faults would disturb each other.
    pub fn meets(self, other: Self) -> bool {
        use Kind::{Close, Cut, FreezeServer, FreezeWorker, KillServer, KillWorker, Lose, Slow};
        match (self, other) {
            (KillWorker(one) | FreezeWorker(one), KillWorker(two) | FreezeWorker(two)) => one == two,
            (Cut(one) | Close(one) | Slow(one) | Lose(one), Cut(two) | Close(two) | Slow(two) | Lose(two)) => {
                one == two
            }
            (KillServer | FreezeServer, KillServer | FreezeServer) => true,
            (one, two) => one == two || (one.is_at_the_database() && two.is_at_the_database()),
        }
    }
}
