//! The real parts on this machine that `dev` and `demo` share.

use std::path::Path;

use recourse_client::{Client, Config};
use recourse_database::Database;
use recourse_local::{LocalServer, ServerOptions, WorkerOptions, WorkerProcess};
use tokio::signal::unix::{SignalKind, signal};

use super::{answer::Failure, refunds::only_sandbox};

/// A server, a worker, their database and a client. All end when this value is dropped.
pub struct Parts {
    /// The server.
    pub server: LocalServer,
    /// The worker.
    pub worker: WorkerProcess,
    /// A client of the server.
    pub client: Client,
    /// The ledger's database.
    pub database: Database,
    /// Its URL.
    pub database_url: String,
}

impl Parts {
    /// Starts them with their data and logs in `directory`.
    pub async fn start(directory: &Path, server: ServerOptions) -> Result<Self, Failure> {
        // The worker would also use the payment provider of the environment.
        only_sandbox("what is started on this machine")?;
        let database_url = format!("sqlite:{}", directory.join("recourse.db").display());
        let database = Database::connect(&database_url).await?;
        recourse_ledger::set_up(&database).await?;
        let server = ServerOptions { log: Some(directory.join("temporal.log")), ..server };
        let server = LocalServer::start(server).await?;
        let worker = WorkerOptions {
            log: Some(directory.join("worker.log")),
            ..WorkerOptions::new(server.address(), database_url.clone())
        };
        let worker = WorkerProcess::start(worker).await?;
        let config =
            Config { address: Some(server.address()), namespace: Some("default".to_owned()), ..Config::default() };
        let client = Client::connect(config).await?;
        Ok(Self { server, worker, client, database, database_url })
    }

    /// Stops them in the right order.
    pub async fn stop(self) -> Result<(), Failure> {
        let Self { server, worker, client, database, .. } = self;
        drop(client);
        worker.stop().await?;
        server.stop().await?;
        database.close().await;
        Ok(())
    }
}

/// Waits for Ctrl-C or SIGTERM. The signals count as soon as this is called, because a program that prints its address may get
/// one at any time after that.
pub fn told_to_stop() -> impl Future<Output = ()> + Send {
    let signals =
        signal(SignalKind::terminate()).and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
    async {
        let Ok((mut terminate, mut interrupt)) = signals else { return std::future::pending().await };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
