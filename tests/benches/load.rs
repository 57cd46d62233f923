//! Loads: the highest one, and a fixed number of calls each second.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{runtime::Handle, task};

/// How many callers make up the highest load.
pub const CALLERS: usize = 32;

/// A call: it gets an answer, or fails.
pub trait Call: Future<Output = anyhow::Result<()>> + Send + 'static {}

impl<C: Future<Output = anyhow::Result<()>> + Send + 'static> Call for C {}

/// The highest load: [`CALLERS`] callers, each of which makes its next call after the answer to the one before. Calls per
/// second.
pub async fn highest(calls: impl IntoIterator<Item = impl Call>) -> anyhow::Result<f64> {
    let started = Instant::now();
    // Each has a task of its own, like a call of `steady`.
    let answered = stream::iter(calls).map(|call| async { task::spawn(call).await? }).buffer_unordered(CALLERS);
    let count = answered.try_fold(0_u32, |count, ()| async move { Ok(count + 1) }).await?;
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}

/// Starts calls at a rate, whether or not earlier ones are answered. Returns how long each took in seconds, shortest first,
/// counted from its planned start: a start that a busy machine delays counts as late.
pub async fn steady<C: Call>(per_second: f64, calls: Vec<C>) -> anyhow::Result<Vec<f64>> {
    let runtime = Handle::current();
    // The runtime's own timers are exact to a millisecond, which is about the time that is measured here.
    let started = task::spawn_blocking(move || {
        let began = Instant::now();
        let start = |(number, call): (u32, C)| {
            let due = began + Duration::from_secs_f64(f64::from(number) / per_second);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            runtime.spawn(async move {
                call.await?;
                anyhow::Ok(due.elapsed().as_secs_f64())
            })
        };
        (0..).zip(calls).map(start).collect::<Vec<_>>()
    });
    let mut latencies = Vec::new();
    for call in started.await? {
        latencies.push(call.await??);
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}

/// The longest among this many percent of the latencies, which are sorted, shortest first.
pub fn percentile(latencies: &[f64], percent: usize) -> anyhow::Result<f64> {
    let index = (latencies.len() * percent).div_ceil(100).max(1) - 1;
    latencies.get(index).copied().context("nothing was measured")
}
