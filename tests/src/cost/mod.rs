//! The cost of a case: the gate for billed actions and history events, path by path.
//!
//! The table in `docs/operations.md` has the numbers, and is the gate: a path that costs more fails, and one that costs less
//! must be written down, so that the page stays true. It counts what a case causes, without the test's own requests (queries,
//! advancing its clock).

mod allocations;
mod bill;
mod paths;
mod table;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use temporalio_client::{UntypedWorkflow, WorkflowFetchHistoryOptions};

use self::{
    bill::{Actions, Bill},
    paths::{PATHS, Path, Played},
    table::Row,
};
use crate::harness::{World, run, server_metrics};

/// The server publishes its counters about once a second.
const METRIC_TIMEOUT: Duration = Duration::from_secs(20);

async fn bill(world: &World, case: &str) -> Bill {
    let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
    let history = handle.fetch_history(WorkflowFetchHistoryOptions::default()).into_events().await.unwrap();
    Bill::of(&history)
}

/// A path's row, and the billed actions before and in it.
async fn count(world: &World, path: &Path) -> (Row, Actions) {
    let Played { before, cases } = path.play(world).await;
    let bills = join_all(cases.iter().map(|case| bill(world, case))).await;
    let before = join_all(before.iter().map(|case| bill(world, case))).await;
    let actions = bill::sum(bills.iter().map(|bill| &bill.actions));
    let row = Row::new(path.name, &actions, bills.iter().map(|bill| bill.events).collect());
    (row, bill::sum(before.iter().map(|bill| &bill.actions).chain([&actions])))
}

/// The server's own count of a namespace, as soon as it is the expected one; otherwise the last one.
async fn metric(world: &World, expected: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let started = Instant::now();
    loop {
        let metric = bill::read_metric(&server_metrics().await, world.client.namespace());
        if metric == *expected || started.elapsed() > METRIC_TIMEOUT {
            return metric;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// `RECOURSE_WRITE_DOCS=1` writes the correct table.
#[test]
fn a_case_costs_what_the_table_says() {
    run(async {
        let world = World::apart("cost", &[]).await;
        let counted = join_all(PATHS.iter().map(|path| Box::pin(count(&world, path)))).await;
        let (rows, actions): (Vec<Row>, Vec<Actions>) = counted.into_iter().unzip();
        let expected = bill::as_metric(&bill::sum(&actions));
        let billed = metric(&world, &expected).await;
        assert_eq!(billed, expected, "the server bills otherwise than the histories say");
        world.stop_worker().await;

        let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
        let text = fs::read_to_string(&page).unwrap();
        if std::env::var_os("RECOURSE_WRITE_DOCS").is_some() {
            return fs::write(&page, table::write(&text, &rows)).unwrap();
        }
        let differences = table::differences(&table::read(&text), &rows);
        assert!(
            differences.is_empty(),
            "the table in docs/operations.md says otherwise:\n  {}\nIf that is meant, run \
             `RECOURSE_WRITE_DOCS=1 cargo test -p recourse-tests cost::`, look at what changed, and say on the page what \
             each action is for.",
            differences.join("\n  ")
        );
    });
}
