//! Opening the database, and the real parts on this machine that `dev` and `demo` share.

use std::path::{Path, PathBuf};

use recourse_activities::Database;
use tokio::signal::unix::{SignalKind, signal};

use super::{DatabaseArg, answer::Failure, refunds::only_sandbox};
use crate::{
    client::{Client, Config},
    local::{LocalServer, ServerOptions, WorkerOptions, WorkerProcess},
};

/// Opens a database that is there; none is made.
pub async fn existing_database(argument: &DatabaseArg) -> Result<Database, Failure> {
    if let Some(path) = sqlite_path(&argument.url)
        && !path.exists()
    {
        let failure = Failure::new("database", 3, format!("there is no ledger at {}", argument.url));
        return Err(failure.hint("make it with `recourse setup`, or set RECOURSE_DATABASE_URL to where it is"));
    }
    let database = Database::connect(&argument.url).await?;
    database.check_schema().await?;
    Ok(database)
}

/// The file of `sqlite:path` and `sqlite://path?mode=…`.
fn sqlite_path(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    Some(PathBuf::from(path.split('?').next().unwrap_or(path)))
}

/// A server, a worker, their database and a client. All end with this value.
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
        // The worker would take the environment's provider, too.
        only_sandbox("what is started on this machine")?;
        let database_url = format!("sqlite:{}", directory.join("recourse.db").display());
        let database = Database::connect(&database_url).await?;
        database.migrate().await?;
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

    /// Stops them in good order.
    pub async fn stop(self) -> Result<(), Failure> {
        let Self { server, worker, client, database, .. } = self;
        drop(client);
        worker.stop().await?;
        server.stop().await?;
        database.close().await;
        Ok(())
    }
}

/// Waits for Ctrl-C or SIGTERM, which count from now on: who says where it listens is asked to stop from then.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_database_is_found_in_its_url() {
        for (url, path) in [
            ("sqlite:recourse.db", Some("recourse.db")),
            ("sqlite:///var/lib/r.db?mode=rw", Some("/var/lib/r.db")),
            ("sqlite:/var/lib/r.db", Some("/var/lib/r.db")),
            ("postgres://host/db", None),
        ] {
            assert_eq!(sqlite_path(url), path.map(PathBuf::from), "{url}");
        }
    }

    #[tokio::test]
    async fn reading_a_ledger_that_is_not_there_makes_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("none.db");
        let argument = DatabaseArg { url: format!("sqlite:{}", path.display()) };
        let Err(failure) = existing_database(&argument).await else { panic!("opened") };
        assert_eq!(failure.exit, 3);
        assert!(failure.hint.is_some_and(|hint| hint.contains("recourse setup")));
        assert!(!path.exists());
    }
}
