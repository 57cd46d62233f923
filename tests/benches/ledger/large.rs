//! A large journal: reading a contract's history in it, and the two scans of the whole journal. Later runs use it again; it is
//! only read.

use std::{fs, time::Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    books::{Books, Case},
    place::Place,
};
use crate::{
    figure::{Figure, Spread, Target, Unit},
    kept::Folder,
};

/// The number of postings in the large journal, unless `BENCH_ENTRIES` sets it.
const ENTRIES: usize = 1_000_000;

/// The same for the small journal.
const SMALL: usize = 10_000;

/// The number of postings of each contract, with its deposit. A hot contract has a tenth of the journal.
const OF_A_CONTRACT: usize = 100;

/// The number of postings in one settlement.
const AT_ONCE: usize = 1_000;

/// After this many contracts the program prints the count.
const SAID: usize = 1_000;

/// The number of histories that a run reads, in each of the two journals.
const READS: usize = 1_000;

/// A filled journal.
struct Filled {
    books: Books,
    cases: Cases,
}

/// The cases whose histories are read.
#[derive(Clone, Serialize, Deserialize)]
struct Cases {
    /// Contracts with an ordinary number of postings.
    some: Vec<Case>,
    /// A contract with very many.
    hot: Case,
}

/// Measures both journals.
pub async fn measure(runs: usize) -> anyhow::Result<Vec<Figure>> {
    let entries = std::env::var("BENCH_ENTRIES").ok().and_then(|entries| entries.parse().ok()).unwrap_or(ENTRIES);
    let small = Filled::with(SMALL.min(entries)).await?;
    let started = Instant::now();
    let large = Filled::with(entries).await?;
    eprintln!("ledger: {} postings are there after {:.0} s", thousands(entries), started.elapsed().as_secs_f64());
    let mut figures = Vec::new();
    let (mut here, mut there) = (Vec::new(), Vec::new());
    // The first round loads the data into memory.
    read(&large, &small).await?;
    for _ in 0..runs {
        let (in_large, in_small) = read(&large, &small).await?;
        here.push(in_large);
        there.push(in_small);
    }
    let name = format!("SQLite: a contract's history, one of {} postings", thousands(entries));
    let beside = ("of 10,000", there);
    figures.push(Figure::beside("ledger", name, Unit::Seconds, here, beside).aiming(Target::AtMost(1.2)));
    let (mut checked, mut verified, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let before = highest_memory_from_now_on()?;
        checked.push(large.check().await?);
        memory.push(highest_memory()? - before);
        verified.push(large.verify().await?);
    }
    // The process uses freed memory again, so only the first value counts.
    memory.truncate(1);
    let alone = |name: &str, unit, runs| Figure::alone("ledger", format!("SQLite: {name}"), unit, runs);
    figures.push(alone("ledger --check, postings", Unit::PerSecond, checked));
    figures.push(alone("ledger --check, memory", Unit::Bytes, memory));
    figures.push(alone("ledger verify, postings", Unit::PerSecond, verified));
    // Last, because the check would use the memory that this leaves behind.
    let mut hot = Vec::new();
    for _ in 0..runs {
        hot.push(large.read_hot().await?);
    }
    figures.push(alone(&format!("a history of {} postings, each", thousands(entries / 10)), Unit::Seconds, hot));
    Ok(figures)
}

/// The median time of reading a contract's history in each of two journals. They take turns, so that other load on the machine
/// affects both.
async fn read(one: &Filled, other: &Filled) -> anyhow::Result<(f64, f64)> {
    let (mut here, mut there) = (Vec::with_capacity(READS), Vec::with_capacity(READS));
    for number in 0..READS {
        here.push(one.read(number).await?);
        there.push(other.read(number).await?);
    }
    Ok((Spread::of(&here).median, Spread::of(&there).median))
}

impl Filled {
    /// A journal with this many postings.
    async fn with(entries: usize) -> anyhow::Result<Self> {
        let mut folder: Folder<Option<Cases>> = Folder::of(&format!("journal-{entries}"))?;
        let books = Books::open(&Place::in_file(&folder.path().join("recourse.db"))).await?;
        let cases = if let Some(cases) = folder.content().clone() {
            cases
        } else {
            let cases = Cases::with(&books, entries).await?;
            folder.change(|known| known.insert(cases).clone())?
        };
        Ok(Self { books, cases })
    }

    /// The time of reading the history of one of its contracts.
    async fn read(&self, number: usize) -> anyhow::Result<f64> {
        let started = Instant::now();
        let case = &self.cases.some[number % self.cases.some.len()];
        let entries = self.entries(case).await?;
        anyhow::ensure!(entries == OF_A_CONTRACT, "{entries} postings of {}", case.contract.id);
        Ok(started.elapsed().as_secs_f64())
    }

    /// The time of reading a very long history, for each posting: it is read as a whole.
    #[allow(clippy::cast_precision_loss, reason = "there are thousands")]
    async fn read_hot(&self) -> anyhow::Result<f64> {
        let started = Instant::now();
        let entries = self.entries(&self.cases.hot).await?;
        Ok(started.elapsed().as_secs_f64() / entries as f64)
    }

    async fn entries(&self, case: &Case) -> anyhow::Result<usize> {
        let history = self.books.ledger.history(&case.contract.id, Timestamp::now()).await?;
        Ok(history.map_or(0, |history| history.entries.len()))
    }

    #[allow(clippy::cast_precision_loss, reason = "there are millions")]
    async fn check(&self) -> anyhow::Result<f64> {
        let started = Instant::now();
        let report = self.books.ledger.check().await?;
        anyhow::ensure!(report.is_sound(), "{:?}", report.findings);
        Ok(report.postings as f64 / started.elapsed().as_secs_f64())
    }

    #[allow(clippy::cast_precision_loss, reason = "there are millions")]
    async fn verify(&self) -> anyhow::Result<f64> {
        let started = Instant::now();
        let report = self.books.ledger.verify(&[]).await?;
        anyhow::ensure!(report.is_whole(), "{:?}", report.findings);
        Ok(report.postings as f64 / started.elapsed().as_secs_f64())
    }
}

impl Cases {
    /// Fills a journal with their postings, and others'.
    async fn with(books: &Books, entries: usize) -> anyhow::Result<Self> {
        let hot_entries = entries / 10;
        let contracts = (entries - hot_entries) / OF_A_CONTRACT;
        let hot = books.case(hot_entries).await?;
        let mut some = Vec::new();
        for number in 0..contracts {
            let case = books.case(OF_A_CONTRACT - 1).await?;
            books.releases(&case, 0..OF_A_CONTRACT - 1).await?;
            // Spread over the whole journal, because readers ask for any contract.
            if number % (contracts / 50).max(1) == 0 {
                some.push(case);
            }
            if number > 0 && number % SAID == 0 {
                eprintln!("ledger: {number} of {contracts} contracts");
            }
        }
        for first in (0..hot_entries - 1).step_by(AT_ONCE) {
            books.releases(&hot, first..(first + AT_ONCE).min(hot_entries - 1)).await?;
        }
        Ok(Self { some, hot })
    }
}

/// Resets the process's peak of memory, and returns its present memory.
fn highest_memory_from_now_on() -> anyhow::Result<f64> {
    fs::write("/proc/self/clear_refs", "5")?;
    highest_memory()
}

/// The peak of memory of this process since the reset, in bytes.
fn highest_memory() -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    Ok(line.split_whitespace().next().unwrap_or_default().parse::<f64>()? * 1024.0)
}

/// A number with commas.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
