//! Places with many open cases that are kept for the next run: the files of a server and of a ledger, and which cases are open.
//!
//! Opening 100,000 cases takes most of an hour, and what waits for a week waits as well tomorrow. A place is used again with the
//! worker that made it and no other, and only while all its windows are far from their end. It is in `target/bench`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use recourse_starter::local::ServerOptions;
use serde::{Deserialize, Serialize};
use temporalio_client::{grpc::WorkflowService as _, tonic::IntoRequest as _};
use temporalio_common::protos::temporal::api::workflowservice::v1::CountWorkflowExecutionsRequest;

use crate::{
    contract::Contract,
    parts::{Parts, program},
};

/// For how long a place is used: its cases wait for seven days.
const USED: SignedDuration = SignedDuration::from_hours(5 * 24);

/// How many cases are begun at once.
const AT_ONCE: usize = 64;

/// How many are begun between two looks at how many wait.
const BATCH: usize = 250;

/// How many may have begun that do not wait yet.
const AHEAD: usize = 500;

/// After how many it is said how many there are.
const SAID: usize = 5_000;

/// A server, a ledger and workers, with open cases.
pub struct Kept {
    /// What runs.
    pub parts: Parts,
    folder: PathBuf,
    list: List,
}

/// What is known of a place without asking it.
#[derive(Serialize, Deserialize)]
struct List {
    /// The worker's digest.
    made_by: String,
    opened: Timestamp,
    cases: Vec<Open>,
}

/// An open case.
#[derive(Serialize, Deserialize)]
pub struct Open {
    /// Its id.
    pub case: String,
    /// Whose end it is about.
    pub contract: Contract,
}

impl Kept {
    /// A place with this many refund requests that wait for the freelancer.
    pub async fn with(count: usize) -> anyhow::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/bench/open-{count}"));
        let made_by = worker_digest()?;
        let is_good = |list: &List| list.made_by == made_by && list.opened.duration_until(Timestamp::now()) < USED;
        let list = List::read(&folder).filter(is_good);
        if list.is_none() && folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let list = list.unwrap_or_else(|| List { made_by, opened: Timestamp::now(), cases: Vec::new() });
        // What grows is to be the number of cases, and not a disk's work.
        let server =
            ServerOptions { database: Some(folder.join("temporal.db")), hasty: true, ..ServerOptions::default() };
        let mut place = Self { parts: Parts::start_in(&folder, server).await?, folder, list };
        place.open(count.saturating_sub(place.list.cases.len())).await?;
        Ok(place)
    }

    /// The open cases.
    pub fn cases(&self) -> &[Open] {
        &self.list.cases
    }

    /// Some of the open cases, which will not be open any more. Not the first one.
    pub fn take(&mut self, count: usize) -> anyhow::Result<Vec<Open>> {
        let first = self.list.cases.len().saturating_sub(count).max(1);
        let taken = self.list.cases.split_off(first);
        // Before anything happens to them: the next run must not be told of them if this one is cut off.
        self.list.write(&self.folder)?;
        Ok(taken)
    }

    /// Opens this many more cases, and waits until all wait.
    async fn open(&mut self, count: usize) -> anyhow::Result<()> {
        let parts = &self.parts;
        let waited_before = waiting(parts).await?;
        let mut begun = Vec::with_capacity(count);
        while begun.len() < count {
            let some = stream::iter(begun.len()..count.min(begun.len() + BATCH)).map(|_| begin(parts));
            begun.extend(some.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?);
            // Asking each of them would cost the server as much as they do.
            let wait = if begun.len() < count { begun.len().saturating_sub(AHEAD) } else { count };
            while waiting(parts).await? < waited_before + wait {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            if begun.len().is_multiple_of(SAID) {
                eprintln!("open: {} of {count} cases", begun.len());
            }
        }
        self.list.cases.extend(begun);
        self.list.write(&self.folder)
    }
}

impl List {
    /// Absent if there is none, or one that cannot be read.
    fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join("cases.json")).ok()?).ok()
    }

    fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let (next, file) = (folder.join("cases.json.next"), folder.join("cases.json"));
        fs::write(&next, serde_json::to_vec(self)?)?;
        Ok(fs::rename(next, file)?)
    }
}

fn worker_digest() -> anyhow::Result<String> {
    let digest = digest(&SHA256, &fs::read(program("recourse-worker")?)?);
    Ok(BASE64_URL_SAFE_NO_PAD.encode(digest))
}

/// How many refund requests wait for the freelancer.
async fn waiting(parts: &Parts) -> anyhow::Result<usize> {
    let query = r#"CaseKind = "refund_request" AND CaseStage = "awaiting_freelancer""#.to_owned();
    let request = CountWorkflowExecutionsRequest { namespace: parts.client.namespace().to_owned(), query };
    let mut service = parts.client.temporal().connection().clone();
    let counted = service.count_workflow_executions(request.into_request()).await?.into_inner().count;
    Ok(usize::try_from(counted)?)
}

async fn begin(parts: &Parts) -> anyhow::Result<Open> {
    let contract = Contract::paid_for(parts, false).await?;
    Ok(Open { case: contract.begin_end(parts).await?, contract })
}
