//! The ledger and Temporal's own database, restored to one moment: cases have their earlier state, and continue from it.

use std::path::Path;

use recourse_client::{Client, Config};
use recourse_database::Database;
use recourse_domain::{
    messages::{EscrowDepositStart, RefundRequestStart},
    stage::Stage,
};
use recourse_ledger::Ledger;
use recourse_local::{LocalServer, ServerOptions, WorkerOptions, WorkerProcess};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, command_of, program, run};

const FILES: [&str; 2] = ["temporal.db", "recourse.db"];

/// An installation whose two databases are files in this folder.
struct Installation {
    client: Client,
    database: Database,
    ledger: Ledger,
    worker: WorkerProcess,
    server: LocalServer,
}

impl Installation {
    async fn start(folder: &Path) -> Self {
        let options = ServerOptions { database: Some(folder.join(FILES[0])), ..ServerOptions::default() };
        let server = LocalServer::start(options).await.unwrap();
        let config = Config { address: Some(server.address()), ..Config::default() };
        let client = Client::connect(config).await.unwrap();
        let url = format!("sqlite:{}", folder.join(FILES[1]).display());
        let database = Database::connect(&url).await.unwrap();
        recourse_ledger::set_up(&database).await.unwrap();
        let options =
            WorkerOptions { binary: Some(program("recourse-worker")), ..WorkerOptions::new(server.address(), url) };
        let worker = WorkerProcess::start(options).await.unwrap();
        Self { client, ledger: Ledger::new(database.clone()), database, worker, server }
    }

    /// Stops it in good order, so that nothing is in memory alone. A program that still has the files open when they are
    /// replaced would write into the new ones, or remove them, when it closes them.
    async fn stop(self) {
        self.worker.stop().await.unwrap();
        self.server.stop().await.unwrap();
        self.database.close().await;
    }

    async fn say(&self, contract: &Value, case: &str, who: &str, words: &str) {
        let (command_kind, body) = command_of(contract, who, words);
        self.client.command(case, command_kind, body).await.unwrap_or_else(|error| panic!("{words}: {error}"));
    }

    /// What the freelancer and the client got, from the ledger, which is sound and complete.
    async fn paid(&self, contract: &Value) -> (i64, i64) {
        let (report, chain) = (self.ledger.check().await.unwrap(), self.ledger.verify(&[]).await.unwrap());
        assert!(report.is_sound() && chain.is_whole(), "{report:?} {chain:?}");
        let id = serde_json::from_value(contract["id"].clone()).unwrap();
        let history = self.ledger.history(&id, jiff::Timestamp::now()).await.unwrap().unwrap();
        let balances = serde_json::to_value(history.balances).unwrap();
        let of = |name: &str| balances[name].as_i64().unwrap();
        (of("freelancer_pending"), of("client"))
    }
}

fn copy(from: &Path, to: &Path) {
    for file in FILES {
        for end in ["", "-wal", "-shm"] {
            let (from, to) = (from.join(format!("{file}{end}")), to.join(format!("{file}{end}")));
            let _ = std::fs::remove_file(&to);
            if from.exists() {
                std::fs::copy(from, to).unwrap();
            }
        }
    }
}

/// A case that was open at the backup, and decided and paid after it, is open again after the restoration; with another
/// decision the money goes another way, once. A case that began after the backup does not exist, and can begin again.
#[test]
fn cases_continue_from_a_backup() {
    run(async {
        let (live, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let contract = |id: &str| {
            json!({"id": id, "title": "Logo", "kind": "fixed_price", "currency": "USD",
                   "client": {"id": "cl-1"}, "freelancer": {"id": "fl-1"}})
        };
        let (first, later) = (contract("c-1"), contract("c-2"));
        let end = async |at: &Installation, contract: &Value| {
            let deposit = json!({"contract": contract, "deposit": "d-1", "amount": 20_000,
                                 "source": {"id": "card-1", "verified": true}});
            let deposit: EscrowDepositStart = serde_json::from_value(deposit).unwrap();
            let case = at.client.start(deposit).await.unwrap();
            at.client.result(&case).await.unwrap();
            let end: RefundRequestStart = serde_json::from_value(json!({"contract": contract, "pay_now": 0})).unwrap();
            let case = at.client.start(end).await.unwrap();
            at.client.wait_for(&case, PATIENCE, |status| !status.is_opening()).await.unwrap();
            case
        };
        let before = Installation::start(live.path()).await;
        let case = end(&before, &first).await;
        before.stop().await;
        copy(live.path(), backup.path());

        let after = Installation::start(live.path()).await;
        after.say(&first, &case, "freelancer", "approve").await;
        after.client.result(&case).await.unwrap();
        assert_eq!(after.paid(&first).await, (0, 20_000));
        end(&after, &later).await;
        after.stop().await;
        copy(backup.path(), live.path());

        let restored = Installation::start(live.path()).await;
        let status = restored.client.status(&case).await.unwrap();
        assert_eq!(status.stage, Stage::AwaitingFreelancer);
        restored.say(&first, &case, "client", "release").await;
        restored.client.result(&case).await.unwrap();
        assert_eq!(restored.paid(&first).await, (20_000, 0), "paid once, and otherwise");
        let again = end(&restored, &later).await;
        restored.say(&later, &again, "freelancer", "approve").await;
        restored.client.result(&again).await.unwrap();
        assert_eq!(restored.paid(&later).await, (0, 20_000));
        restored.stop().await;
    });
}
