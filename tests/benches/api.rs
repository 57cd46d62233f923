//! Requests per second of the API for a case's status and for a list, compared with an empty handler of the same HTTP stack,
//! and with the requests to Temporal that each needs.
//!
//! This program serves the empty handler, started with [`ROLE`] in its environment, in the same way as `recourse serve`.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderName, HeaderValue, StatusCode, header},
    routing::get,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use recourse_client::{Client, Filters};
use recourse_domain::ids::Id;
use recourse_programs::serving;
use serde_json::json;
use tokio::{net::TcpListener, process::Command};
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
    timeout::TimeoutLayer,
    trace::TraceLayer,
};

use crate::{
    bare::Shape,
    figure::{Figure, Target, Unit},
    load::{Call, highest},
    parts::{BareCase, Parts},
    served::{Caller, FREELANCER, Served, open_request},
};

/// With this variable this program becomes a server with an empty handler.
pub const ROLE: &str = "RECOURSE_BENCH_EMPTY_SERVER";

/// How many cases there are, all of one freelancer: two pages.
const CASES: usize = 100;

/// The number of measured requests of each kind in a run.
const EMPTY: usize = 8_000;
const STATUSES: usize = 1_500;
const LISTS: usize = 200;

/// How many cases are prepared at once.
const AT_ONCE: usize = 16;

/// The size of a list's page, the API's default.
const PAGE: u32 = 50;

/// The results of requests of one kind in a run.
struct Rate {
    per_second: f64,
    /// The server's processor time for each, if known.
    processor: f64,
}

/// The results of a run.
struct Run {
    empty: Rate,
    status: Rate,
    list: Rate,
    bare_query: f64,
    same_query: f64,
    same_list: f64,
}

/// All requests.
struct Asked {
    parts: Parts,
    serve: Served,
    caller: Caller,
    empty: Served,
    empty_caller: Caller,
    cases: Vec<String>,
    workflows: Vec<Arc<BareCase>>,
}

/// Measures all of them.
pub async fn measure(runs: usize) -> anyhow::Result<Vec<Figure>> {
    let asked = Asked::start().await?;
    // The first round warms up.
    asked.run().await?;
    let mut measured = Vec::new();
    for _ in 0..runs {
        measured.push(asked.run().await?);
    }
    let of = |read: fn(&Run) -> f64| measured.iter().map(read).collect::<Vec<f64>>();
    let beside = |name: &str, unit, ours, (yardstick, theirs): (&'static str, fn(&Run) -> f64)| {
        Figure::beside("api", name, unit, of(ours), (yardstick, of(theirs)))
    };
    let (rate, time) = (Unit::PerSecond, Unit::Seconds);
    let status: fn(&Run) -> f64 = |run| run.status.per_second;
    let list: fn(&Run) -> f64 = |run| run.list.per_second;
    Ok(vec![
        beside("status", rate, status, ("bare query", |run| run.bare_query)).aiming(Target::AtLeast(0.3)),
        beside("status", rate, status, ("same query without the API", |run| run.same_query))
            .aiming(Target::AtLeast(0.7)),
        beside("status", rate, status, ("empty handler", |run| run.empty.per_second)),
        beside("list", rate, list, ("same list without the API", |run| run.same_list)).aiming(Target::AtLeast(0.7)),
        beside("list", rate, list, ("empty handler", |run| run.empty.per_second)),
        beside("serve CPU a status", time, |run| run.status.processor, ("empty handler", |run| run.empty.processor)),
        beside("serve CPU a list", time, |run| run.list.processor, ("empty handler", |run| run.empty.processor)),
    ])
}

impl Asked {
    async fn start() -> anyhow::Result<Self> {
        let parts = Parts::start().await?;
        let (serve, token) = Served::recourse(&parts, FREELANCER).await?;
        let mut command = Command::new(std::env::current_exe()?);
        command.env(ROLE, "1");
        let empty = Served::start(command).await?;
        let begun = stream::iter(0..CASES).map(|_| open_request(&parts)).buffer_unordered(AT_ONCE);
        let cases = begun.try_collect().await?;
        let shape = Shape { silences: 1, ..Shape::default() };
        let begun = stream::iter(0..CASES).map(|_| async {
            let workflow = parts.begin_bare(shape).await?;
            parts.waits(&workflow.id, 1).await?;
            anyhow::Ok(Arc::new(workflow))
        });
        let workflows = begun.buffer_unordered(AT_ONCE).try_collect().await?;
        let (caller, empty_caller) = (serve.caller(&token), empty.caller(&token));
        Ok(Self { parts, serve, caller, empty, empty_caller, cases, workflows })
    }

    async fn run(&self) -> anyhow::Result<Run> {
        let status_of = |case: &String| format!("/v1/cases/{case}");
        let paths = |count| self.cases.iter().map(status_of).cycle().take(count);
        let gets = |caller: &Caller, count| {
            let caller = caller.clone();
            paths(count).map(move |path| caller.clone().get(path))
        };
        let lists = (0..LISTS).map(|_| self.caller.clone().get("/v1/cases".to_owned()));
        let client = &self.parts.client;
        Ok(Run {
            empty: rate(&self.empty, EMPTY, gets(&self.empty_caller, EMPTY)).await?,
            status: rate(&self.serve, STATUSES, gets(&self.caller, STATUSES)).await?,
            list: rate(&self.serve, LISTS, lists).await?,
            bare_query: highest(self.workflows.iter().cycle().take(STATUSES).map(bare_query)).await?,
            same_query: highest(self.cases.iter().cycle().take(STATUSES).map(|case| query(client, case))).await?,
            same_list: highest((0..LISTS).map(|_| list(client))).await?,
        })
    }
}

#[allow(clippy::cast_precision_loss, reason = "there are thousands")]
async fn rate(served: &Served, count: usize, calls: impl Iterator<Item = impl Call>) -> anyhow::Result<Rate> {
    let before = served.processor()?;
    let per_second = highest(calls).await?;
    Ok(Rate { per_second, processor: (served.processor()? - before) / count as f64 })
}

fn bare_query(workflow: &Arc<BareCase>) -> impl Call + use<> {
    let workflow = Arc::clone(workflow);
    async move { workflow.ask().await }
}

fn query(client: &Client, case: &str) -> impl Call + use<> {
    let (client, case) = (client.clone(), case.to_owned());
    async move {
        client.status(&case).await?;
        Ok(())
    }
}

fn list(client: &Client) -> impl Call + use<> {
    let client = client.clone();
    async move {
        let parties = Some(vec![Id::new(FREELANCER)?]);
        let page = client.list(&Filters { parties, limit: Some(PAGE), ..Filters::default() }, None).await?;
        anyhow::ensure!(page.cases.len() == PAGE as usize, "the page has {} cases", page.cases.len());
        Ok(())
    }
}

/// Serves an empty handler until it is killed, with the layers and connections of `recourse serve`.
pub async fn serve() -> anyhow::Result<Infallible> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", json!({"url": format!("http://{}", listener.local_addr()?)}));
    let router = router();
    serving::serve(router, listener, serving::Limits::default(), std::future::pending()).await;
    unreachable!("nobody stops it")
}

fn router() -> Router {
    let request_id = HeaderName::from_static("x-request-id");
    let always = |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    Router::new()
        .route("/v1/cases/{case}", get(|| async { StatusCode::OK }))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(30)))
        .layer(CatchPanicLayer::new())
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(TraceLayer::new_for_http())
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
        .layer(always(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(always(header::REFERRER_POLICY, "no-referrer"))
        .layer(always(header::CACHE_CONTROL, "no-store"))
        .layer(always(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
}
