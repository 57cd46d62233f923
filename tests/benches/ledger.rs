//! Postings per second compared with a bare insert that is as durable, a hot contract compared with many, and the cost of a
//! large journal.
//!
//! The bench uses the ledger like a worker: it carries out a settlement, which is stored when the call returns. The yardstick
//! is one insert of an equally wide row with a commit of its own, in another database of the same kind, in the same run.

mod books;
mod large;
mod place;

use std::time::Instant;

use futures_util::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};

use self::{
    books::{Books, Case},
    place::{Kind, Place, Raw},
};
use crate::figure::{Figure, Target, Unit};

/// The number of measured postings in a run.
const POSTINGS: usize = 1_000;

/// How many settlements run at once, where it is more than one.
const AT_ONCE: usize = 8;

/// How many contracts share the postings.
const CONTRACTS: usize = 1_000;

/// Measures everything.
pub async fn measure(runs: usize) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for kind in Kind::there().await? {
        figures.push(postings(kind, 1, runs).await?);
        figures.push(postings(kind, AT_ONCE, runs).await?);
        figures.push(hot(kind, runs).await?);
    }
    figures.extend(large::measure(runs).await?);
    Ok(figures)
}

/// Settlements of one posting each, compared with bare inserts.
async fn postings(kind: Kind, callers: usize, runs: usize) -> anyhow::Result<Figure> {
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let place = Place::new(kind).await?;
        let books = Books::open(&place).await?;
        let cases = books.cases(callers, 2 * POSTINGS).await?;
        // The first are slower on both sides: they prepare statements, and files grow until the database overwrites its log.
        settle(&books, &cases, POSTINGS, 0).await?;
        here.push(settle(&books, &cases, POSTINGS, POSTINGS).await?);
        books.close().await;
        let place = Place::new(kind).await?;
        let raw = Raw::open(&place, callers).await?;
        insert(&raw, callers, POSTINGS).await?;
        there.push(insert(&raw, callers, POSTINGS).await?);
    }
    let how = if callers == 1 { "one after the other".to_owned() } else { format!("{callers} at once") };
    let name = format!("{}: postings, {how}", kind.name());
    // A posting without others at the same time is six statements in sequence, and an insert is one.
    let least = match (kind, callers) {
        (Kind::Sqlite, 1) => 0.15,
        (Kind::Sqlite, _) => 0.5,
        (Kind::Postgres, _) => 0.08,
    };
    Ok(Figure::beside("ledger", name, Unit::PerSecond, here, ("inserts", there)).aiming(Target::AtLeast(least)))
}

/// Settlements of one contract, compared with as many that are spread over many contracts.
async fn hot(kind: Kind, runs: usize) -> anyhow::Result<Figure> {
    let place = Place::new(kind).await?;
    let books = Books::open(&place).await?;
    let money = POSTINGS * (runs + 1);
    let hot = books.cases(1, money).await?;
    let many: Vec<Case> =
        stream::iter(0..CONTRACTS).map(|_| books.case(money)).buffer_unordered(AT_ONCE).try_collect().await?;
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for run in 0..runs {
        let first = run * POSTINGS;
        here.push(at_once(POSTINGS, AT_ONCE, |number| books.release(&hot[0], first + number)).await?);
        there
            .push(at_once(POSTINGS, AT_ONCE, |number| books.release(&many[number % CONTRACTS], first + number)).await?);
    }
    books.close().await;
    let name = format!("{}: postings of one contract, {AT_ONCE} at once", kind.name());
    let beside = ("of 1,000", there);
    Ok(Figure::beside("ledger", name, Unit::PerSecond, here, beside).aiming(Target::AtLeast(0.8)))
}

/// Carries out this many settlements, each caller in a case of its own, from the step `first` on.
async fn settle(books: &Books, cases: &[Case], count: usize, first: usize) -> anyhow::Result<f64> {
    at_once(count, cases.len(), |number| books.release(&cases[number % cases.len()], first + number)).await
}

async fn insert(raw: &Raw, callers: usize, count: usize) -> anyhow::Result<f64> {
    at_once(count, callers, |number| raw.insert(number % callers)).await
}

/// Calls `act` this many times, with this many callers at once; each calls again after its last answer. Returns calls per second.
#[allow(clippy::cast_precision_loss, reason = "there are thousands")]
async fn at_once<F>(count: usize, callers: usize, act: impl Fn(usize) -> F) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let started = Instant::now();
    try_join_all((0..callers).map(|caller| {
        let act = &act;
        async move {
            for number in (caller..count).step_by(callers) {
                act(number).await?;
            }
            Ok::<(), anyhow::Error>(())
        }
    }))
    .await?;
    Ok(count as f64 / started.elapsed().as_secs_f64())
}
