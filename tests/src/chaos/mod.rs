//! A seed decides the order of many faults, and nothing may be lost: the test kills and freezes the real processes and cuts
//! their connections, locks the database and fills its disk, or kills its server and ends its sessions, and the bank and the
//! mail server fail, while the parties of many contracts continue. Then the faults end, every story is brought to its end, and the
//! test counts everything.
//!
//! | part | what it does |
//! |---|---|
//! | [`supervisor`], [`proxy`] | the processes and the proxies between them |
//! | [`books`], [`mount`], [`postgres`] | where the ledger is, and the faults that happen to it |
//! | [`load`], [`diary`] | what the parties do, and the answers they got |
//! | [`kinds`], [`faults`] | the faults |
//! | [`gather`], [`verdict`] | the evidence at the end, and the check of it |
//!
//! `make chaos` runs it for ten minutes with a new seed (`CHAOS_MINUTES`, `CHAOS_SEED`); `make test` runs it for one minute,
//! always with the same seed. Under `.ci/with-postgres` the ledger is on a `PostgreSQL` server of the run's own. The seed
//! decides the faults and the moves; timing decides how the processes meet them.

mod books;
mod diary;
mod faults;
mod gather;
mod kinds;
mod load;
mod mount;
mod postgres;
mod proxy;
mod supervisor;
mod verdict;

use std::{
    collections::BTreeMap,
    env,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use recourse_notifications::notices::{EmailState, MailConfig, Pace};

use self::{
    diary::{Diary, Pages},
    faults::{Deck, heal, rage},
    supervisor::Parts,
    verdict::Evidence,
};
use crate::harness::{program, run_beyond};

/// The seed of a run without settings: always the same, and short.
const SEED: u64 = 11;
const POSTGRES_SEED: u64 = 3;
const SHORT: Duration = Duration::from_mins(1);

/// How long the stories may take to end after the faults. Nothing may hang.
const PATIENCE: Duration = Duration::from_mins(4);

/// How often progress is shown.
const PROGRESS: Duration = Duration::from_secs(5);

/// L5, L6, L7, N2, N3: no fault and no repetition loses an acknowledged command; the ledger and the bank have each movement
/// once, each notice goes out once, and every case closes.
#[test]
fn no_fault_loses_or_repeats_anything() {
    let minutes = env::var("CHAOS_MINUTES").ok().map(|text| text.parse::<f64>().expect("CHAOS_MINUTES is a number"));
    let seed = env::var("CHAOS_SEED").ok().map(|text| text.parse().expect("CHAOS_SEED is a whole number"));
    let seed = seed.unwrap_or_else(|| if minutes.is_some() { drawn() } else { fixed() });
    let length = minutes.map_or(SHORT, |minutes| Duration::from_secs_f64(minutes * 60.0));
    run_beyond(length, async move {
        let folder = tempfile::Builder::new().prefix("recourse-chaos-").tempdir().unwrap();
        let place = if on_postgres() { "on PostgreSQL" } else { "in a file" };
        println!(
            "chaos: seed {seed}, {} s of faults, the ledger {place}, in {}",
            length.as_secs(),
            folder.path().display()
        );
        let parts = Parts::start(folder.path()).await;
        let (findings, events) = play(&parts, seed, length).await;
        if findings.is_empty() {
            return;
        }
        for event in &events {
            println!("{event}");
        }
        parts.books.keep(folder.path()).await;
        drop(parts);
        let kept = folder.keep();
        panic!(
            "seed {seed}: {} findings:\n  {}\nthe logs and the databases are in {}",
            findings.len(),
            findings.join("\n  "),
            kept.display()
        );
    });
}

/// Whether the ledger is on `PostgreSQL`.
fn on_postgres() -> bool {
    env::var_os("RECOURSE_TEST_POSTGRES").is_some()
}

/// The seed of a run without settings.
fn fixed() -> u64 {
    if on_postgres() { POSTGRES_SEED } else { SEED }
}

/// A random seed.
fn drawn() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() % 1_000_000)
}

async fn play(parts: &Arc<Parts>, seed: u64, length: Duration) -> (Vec<String>, Vec<String>) {
    if !on_postgres() && parts.books.mount().is_none() {
        parts.tell("this machine lets us mount nothing: the disk is never full");
    }
    let diary = Arc::new(Diary::default());
    let showing = tokio::spawn(show(parts.clone(), diary.clone()));
    let mut playing = tokio::spawn(load::drive(parts.clone(), diary.clone(), seed));
    let mut deck = Deck::new(seed, parts.books.kinds());
    let faults = rage(parts, &mut deck, Instant::now() + length).await;
    let healing = Instant::now();
    heal(parts).await;
    parts.healed.store(true, Ordering::Relaxed);
    parts.tell("everything is mended; the stories are brought to their end");
    let in_time = tokio::time::timeout(PATIENCE, &mut playing).await;
    let mut findings = Vec::new();
    if let Ok(Err(error)) = &in_time {
        findings.push(format!("the parties: {error}"));
    }
    playing.abort();
    settle(parts, healing).await;
    let took = healing.elapsed();
    parts.tell(&format!("at rest after {:.1} s", took.as_secs_f64()));
    let runs = gather::runs(parts).await;
    parts.stop_workers().await;
    give_up_lost_emails(parts).await;
    showing.abort();
    let pages = std::mem::take(&mut *diary.pages());
    if in_time.is_err() {
        findings.push(format!("close: after {} s still open: {:?}", PATIENCE.as_secs(), pages.open));
    }
    let evidence = gather::evidence(parts, &pages, runs).await;
    findings.extend(verdict::judge(&pages, &evidence));
    findings.extend(check_as_a_program(parts).await);
    summary(parts, &Summed { seed, length, took, faults: &faults, pages: &pages, evidence: &evidence }, &findings);
    (findings, parts.events())
}

/// Waits until every process is up, no case is open and no email waits; the verdict reports what is missing.
async fn settle(parts: &Parts, since: Instant) {
    while since.elapsed() < PATIENCE {
        let waiting = parts
            .book
            .emails()
            .await
            .map_or(1, |emails| emails.iter().filter(|email| email.state == EmailState::Queued).count());
        if parts.is_up().await && waiting == 0 && gather::open_cases(parts).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Gives up an email that a killed worker was sending. Workers wait two minutes for that; now that none sends, it can be at
/// once.
async fn give_up_lost_emails(parts: &Parts) {
    let url = format!("smtp://{}", parts.mail_line.address());
    let config = MailConfig { url: Some(url), from: "Recourse <recourse@localhost>".to_owned(), sandbox: true };
    let pace = Pace { lease: Duration::ZERO, poll: Duration::from_millis(100), ..Pace::default() };
    let postman = parts.book.postman(&config).unwrap().at_pace(pace);
    postman.run(tokio::time::sleep(Duration::from_secs(1))).await;
}

/// Runs `recourse ledger --check` and `recourse ledger verify`, as an operator would.
async fn check_as_a_program(parts: &Parts) -> Option<String> {
    for what in ["--check", "verify"] {
        let arguments = ["ledger", what, "--database", &parts.books.url()];
        let output = tokio::process::Command::new(program("recourse")).args(arguments).output().await.unwrap();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stdout);
            return Some(format!("ledger: `recourse ledger {what}`: {} {said}", output.status));
        }
    }
    None
}

/// Prints the progress every few seconds.
async fn show(parts: Arc<Parts>, diary: Arc<Diary>) {
    loop {
        tokio::time::sleep(PROGRESS).await;
        let line = {
            let pages = diary.pages();
            let (taken, refused, unanswered) = pages.counts();
            let (contracts, cases, open) = (pages.contracts.len(), pages.starts.len(), pages.open.len());
            format!(
                "{contracts} contracts, {cases} cases started, {open} open; commands: {taken} acknowledged, {refused} \
                 refused, {unanswered} unanswered"
            )
        };
        println!("{} {line}", parts.clock());
    }
}

/// The report at the end.
struct Summed<'a> {
    seed: u64,
    length: Duration,
    took: Duration,
    faults: &'a BTreeMap<&'static str, u32>,
    pages: &'a Pages,
    evidence: &'a Evidence,
}

fn summary(parts: &Parts, summed: &Summed<'_>, findings: &[String]) {
    let Summed { seed, length, took, faults, pages, evidence } = summed;
    let (taken, refused, unanswered) = pages.counts();
    let mut emails: BTreeMap<&str, usize> = BTreeMap::new();
    for email in &evidence.emails {
        *emails.entry(email.state.name()).or_default() += 1;
    }
    let listed = |counts: Vec<String>| counts.join(", ");
    let faults = listed(faults.iter().map(|(name, count)| format!("{name} {count}")).collect());
    let emails = listed(emails.iter().map(|(state, count)| format!("{count} {state}")).collect());
    println!("\nseed {seed}, {:.1} minutes of faults", length.as_secs_f64() / 60.0);
    println!("contracts        {}", pages.contracts.len());
    println!("cases            {}", evidence.runs.len());
    println!("commands         {taken} acknowledged, {refused} refused, {unanswered} unanswered");
    println!("faults           {faults}");
    println!("ended themselves {}", parts.ended_by_themselves().len());
    println!("postings         {}", evidence.check.postings);
    println!("bank movements   {}", evidence.movements.len());
    println!("notices          {}", evidence.notices.len());
    println!("emails           {emails}");
    for early in verdict::shown_too_early(pages, &evidence.runs) {
        println!("shown too early  {early}");
    }
    println!("healed in        {:.1} s", took.as_secs_f64());
    println!("verdict          {}\n", if findings.is_empty() { "nothing lost, nothing twice" } else { "NOT SOUND" });
}
