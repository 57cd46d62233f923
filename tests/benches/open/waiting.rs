//! Places with many open cases that later runs use again: the files of a server and of a ledger, and the list of open cases.
//!
//! Opening 100,000 cases takes an hour or more, and a case that waits for a week still waits tomorrow.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use recourse_local::ServerOptions;
use serde::{Deserialize, Serialize};
use temporalio_client::{grpc::WorkflowService as _, tonic::IntoRequest as _};
use temporalio_common::protos::temporal::api::workflowservice::v1::CountWorkflowExecutionsRequest;

use crate::{contract::Contract, kept::Folder, parts::Parts};

/// How many cases start at once.
const AT_ONCE: usize = 64;

/// How many start between two counts of the waiting ones.
const BATCH: usize = 250;

/// The most cases that have started and do not wait yet.
const AHEAD: usize = 500;

/// After this many the program stores the list and prints the count. A run that is cut off loses no more than these.
const SAID: usize = 5_000;

/// A server, a ledger and workers, with open cases.
pub struct Waiting {
    /// The running programs.
    pub parts: Parts,
    folder: Folder<Vec<Open>>,
}

/// An open case.
#[derive(Serialize, Deserialize)]
pub struct Open {
    /// Its id.
    pub case: String,
    /// The contract that ended.
    pub contract: Contract,
}

impl Waiting {
    /// A place with this many refund requests that wait for the freelancer.
    pub async fn with(count: usize) -> anyhow::Result<Self> {
        let folder = Folder::of(&format!("open-{count}"))?;
        // Only the number of cases should grow, and not a disk's work.
        let database = Some(folder.path().join("temporal.db"));
        let server = ServerOptions { database, hasty: true, ..ServerOptions::default() };
        let mut place = Self { parts: Parts::start_in(folder.path(), server).await?, folder };
        place.open(count.saturating_sub(place.cases().len())).await?;
        Ok(place)
    }

    /// The open cases.
    pub fn cases(&self) -> &[Open] {
        self.folder.content()
    }

    /// Takes some of the open cases, which will not stay open. Never the first one.
    pub fn take(&mut self, count: usize) -> anyhow::Result<Vec<Open>> {
        // The list is stored before the cases change: if this run is cut off, the next one must not use them.
        self.folder.change(|cases| cases.split_off(cases.len().saturating_sub(count).max(1)))
    }

    /// Opens this many more cases, and waits until all wait.
    async fn open(&mut self, count: usize) -> anyhow::Result<()> {
        let parts = &self.parts;
        let waited_before = waiting(parts).await?;
        let (mut begun, mut fresh) = (0, Vec::new());
        while begun < count {
            let some = stream::iter(begun..count.min(begun + BATCH)).map(|_| begin(parts));
            fresh.extend(some.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?);
            begun = count.min(begun + BATCH);
            // Querying each case would cost the server as much as the case itself, and counting them takes longer the more
            // there are.
            let wait = if begun < count { begun.saturating_sub(AHEAD) } else { count };
            while waiting(parts).await? < waited_before + wait {
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            if begun.is_multiple_of(SAID) {
                eprintln!("open: {begun} of {count} cases");
                // Some may not wait yet, but will after the server's next start.
                self.folder.change(|cases| cases.append(&mut fresh))?;
            }
        }
        self.folder.change(|cases| cases.append(&mut fresh))
    }
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
