//! Loads: as much as can be done, and so much each second.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{runtime::Handle, task};

/// How many callers make up the highest load.
pub const CALLERS: usize = 32;

/// A call: something that is answered, or fails.
pub trait Call: Future<Output = anyhow::Result<()>> + Send + 'static {}

impl<C: Future<Output = anyhow::Result<()>> + Send + 'static> Call for C {}

/// The highest load: [`CALLERS`] callers, each of which makes its next call when the one before is answered. Calls per second.
pub async fn highest(calls: impl IntoIterator<Item = impl Call>) -> anyhow::Result<f64> {
    let started = Instant::now();
    // Each has a task of its own, as a call of `steady` has.
    let answered = stream::iter(calls).map(|call| async { task::spawn(call).await? }).buffer_unordered(CALLERS);
    let count = answered.try_fold(0_u32, |count, ()| async move { Ok(count + 1) }).await?;
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}

/// Starts calls at a rate, whether or not those before are answered. How long each took in seconds, shortest first, counted from
/// when it should have started: what a busy machine starts late is late.
pub async fn steady<C: Call>(per_second: f64, calls: Vec<C>) -> anyhow::Result<Vec<f64>> {
    let runtime = Handle::current();
    // The runtime's own timers are exact to a millisecond, which is about what is measured here.
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

/// What so many of a hundred take at most, of latencies with the shortest first.
pub fn percentile(latencies: &[f64], percent: usize) -> anyhow::Result<f64> {
    let index = (latencies.len() * percent).div_ceil(100).max(1) - 1;
    latencies.get(index).copied().context("nothing was measured")
}
