//! The time from the API call with a command to its durable answer, compared with an empty update of a bare workflow.
//!
//! Both are measured at the same shares of their highest loads. The command is the freelancer's `approve` of a refund request:
//! it decides the case, and the money moves while other calls are answered. The bare workflow only takes the update.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    bare::Shape,
    figure::{Figure, Target, Unit},
    load::{Call, highest, percentile, steady},
    parts::{BareCase, Parts},
    served::{Caller, FREELANCER, Served, open_request},
};

/// The number of measured calls at each load, in a run.
const CALLS: usize = 200;

/// How many cases are prepared at once.
const AT_ONCE: usize = 16;

/// The loads, in percent of the highest.
const LOADS: [u32; 2] = [50, 90];

/// The median call, and one of the slowest. The goals, 1.3 and 1.5 times bare, are not reached (docs/performance.md).
const PERCENTILES: [(usize, Target); 2] = [(50, Target::AtMost(3.5)), (99, Target::AtMost(5.0))];

/// Up to this load, in percent of the highest, there are targets. Above it a figure from two cores means little.
const AIMED_UP_TO: u32 = 50;

/// The results of one side in a run.
#[derive(Default)]
struct Side {
    /// Calls per second of the highest load.
    highest: f64,
    /// The percentiles of each load.
    latencies: Vec<Vec<f64>>,
    /// The processor time of `recourse serve` for a call at the highest load.
    processor: f64,
}

/// Measures both.
pub async fn measure(runs: usize) -> anyhow::Result<Vec<Figure>> {
    let parts = Parts::start().await?;
    let (serve, token) = Served::recourse(&parts, FREELANCER).await?;
    let caller = serve.caller(&token);
    let workflows = bare_workflows(&parts).await?;
    // The first calls warm up.
    let requests = open_requests(&parts).await?;
    highest(approved(&caller, &requests)).await?;
    settled(&parts, &requests).await?;
    highest(acted(&workflows)).await?;
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        here.push(ours(&parts, &serve, &caller).await?);
        there.push(bare(&workflows).await?);
    }
    let beside = |name: String, unit, read: &dyn Fn(&Side) -> f64| {
        let of = |sides: &[Side]| sides.iter().map(read).collect::<Vec<f64>>();
        Figure::beside("answers", name, unit, of(&here), ("bare", of(&there)))
    };
    let mut figures = vec![beside("approve: highest load".to_owned(), Unit::PerSecond, &|side| side.highest)];
    for (load, share) in LOADS.into_iter().enumerate() {
        for (place, (percent, target)) in PERCENTILES.into_iter().enumerate() {
            let name = format!("approve at {share} % of it: p{percent}");
            let figure = beside(name, Unit::Seconds, &|side| side.latencies[load][place]);
            figures.push(if share <= AIMED_UP_TO { figure.aiming(target) } else { figure });
        }
    }
    let processor = here.iter().map(|side| side.processor).collect();
    figures.push(Figure::alone("answers", "approve: serve CPU a call", Unit::Seconds, processor));
    Ok(figures)
}

async fn ours(parts: &Parts, serve: &Served, caller: &Caller) -> anyhow::Result<Side> {
    let mut side = Side::default();
    let requests = open_requests(parts).await?;
    let before = serve.processor()?;
    side.highest = highest(approved(caller, &requests)).await?;
    #[allow(clippy::cast_precision_loss, reason = "there are hundreds")]
    let calls = CALLS as f64;
    side.processor = (serve.processor()? - before) / calls;
    settled(parts, &requests).await?;
    for share in LOADS {
        let requests = open_requests(parts).await?;
        let calls = approved(caller, &requests).collect();
        side.latencies.push(at_share(side.highest, share, calls).await?);
        settled(parts, &requests).await?;
    }
    Ok(side)
}

async fn bare(workflows: &[Arc<BareCase>]) -> anyhow::Result<Side> {
    let mut side = Side { highest: highest(acted(workflows)).await?, ..Side::default() };
    for share in LOADS {
        side.latencies.push(at_share(side.highest, share, acted(workflows).collect()).await?);
    }
    Ok(side)
}

/// The percentiles at a share of the highest load.
async fn at_share<C: Call>(highest: f64, share: u32, calls: Vec<C>) -> anyhow::Result<Vec<f64>> {
    let latencies = steady(highest * f64::from(share) / 100.0, calls).await?;
    PERCENTILES.iter().map(|(percent, _)| percentile(&latencies, *percent)).collect()
}

fn approved<'a>(caller: &Caller, requests: &'a [String]) -> impl Iterator<Item = impl Call + use<>> + use<'a> {
    let caller = caller.clone();
    requests.iter().map(move |case| caller.clone().command(case.clone(), "approve"))
}

fn acted(workflows: &[Arc<BareCase>]) -> impl Iterator<Item = impl Call + use<>> + use<'_> {
    workflows.iter().map(|workflow| {
        let workflow = Arc::clone(workflow);
        async move { workflow.act().await }
    })
}

/// Refund requests that wait for the freelancer.
async fn open_requests(parts: &Parts) -> anyhow::Result<Vec<String>> {
    stream::iter(0..CALLS).map(|_| open_request(parts)).buffer_unordered(AT_ONCE).try_collect().await
}

/// Waits until all money has moved, so that none of this work disturbs the next measurement.
async fn settled(parts: &Parts, requests: &[String]) -> anyhow::Result<()> {
    let ended = stream::iter(requests).map(|case| parts.client.result(case)).buffer_unordered(AT_ONCE);
    ended.try_for_each(|_| async { Ok(()) }).await?;
    Ok(())
}

/// Bare workflows that wait for a day, and take updates meanwhile: as many as there are cases, so that no two calls go to the
/// same one.
async fn bare_workflows(parts: &Parts) -> anyhow::Result<Vec<Arc<BareCase>>> {
    let shape = Shape { silences: 1, ..Shape::default() };
    let begun = stream::iter(0..CALLS).map(|_| async move {
        let workflow = parts.begin_bare(shape).await?;
        parts.waits(&workflow.id, 1).await?;
        anyhow::Ok(Arc::new(workflow))
    });
    begun.buffer_unordered(AT_ONCE).try_collect().await
}
