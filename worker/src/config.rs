//! The worker's flags and environment, and the two things that it cannot run without.

use std::{net::SocketAddr, num::NonZeroU64, time::Duration};

use clap::{Args, Parser};
use recourse_database::{Database, DatabaseError};
use recourse_payments::Payments;
use recourse_programs::temporal::{self, ConnectError, ConnectOptions};
use temporalio_client::Client;
use temporalio_common::{
    telemetry::metrics::TemporalMeter,
    worker::{VersioningBehavior, WorkerDeploymentOptions, WorkerDeploymentVersion},
};
use temporalio_sdk::runtime::{
    PollerBehavior,
    worker_tuner::{FixedSizeSlotSupplier, TunerHolder, WorkerTuner},
};

/// How long the server may take to answer before it counts as away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Conducts cases: runs the workflows and their side effects, and sends the notices.
///
/// The Temporal server is found by the standard variables (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, …) or temporal.toml.
/// TLS, API keys and namespaces are there too; `RECOURSE_PAYLOAD_KEYS_FILE` names the keys that payloads are encrypted with.
/// Money moves through the provider that `RECOURSE_PAYMENTS` names: `sandbox` (a fake bank) or `stripe`, which needs
/// `RECOURSE_STRIPE_SECRET_KEY`.
/// Stop it with SIGTERM or Ctrl-C: nothing is lost, another worker goes on where it stopped.
#[derive(Debug, Parser)]
#[command(name = "recourse-worker", version)]
pub struct Config {
    /// The ledger's database; made and migrated if need be.
    #[arg(
        long,
        env = "RECOURSE_DATABASE_URL",
        hide_env_values = true,
        default_value = "sqlite:recourse.db",
        value_name = "URL"
    )]
    pub database: String,
    /// The mail server, such as `smtp://127.0.0.1:25`. Without one, emails are written to the log and marked as not sent.
    #[arg(long, env = "RECOURSE_SMTP_URL", hide_env_values = true, value_name = "URL")]
    pub smtp_url: Option<String>,
    /// Who the emails are from.
    #[arg(long, env = "RECOURSE_MAIL_FROM", default_value = "Recourse <recourse@localhost>", value_name = "ADDRESS")]
    pub mail_from: String,
    /// Let webhook endpoints be on this machine or its network, and unencrypted. Only for a sandbox.
    #[arg(long, env = "RECOURSE_WEBHOOK_ALLOW_LOCAL")]
    pub webhook_allow_local: bool,
    /// Where to serve `/metrics` (Prometheus), `/healthz` and `/readyz`; port 0 is any free one. Without it nothing is served.
    #[arg(long, env = "RECOURSE_WORKER_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// After how many seconds the numbers of cases, money and notices are read again for `/metrics`.
    #[arg(long, env = "RECOURSE_GAUGES_EVERY", default_value = "60", value_name = "SECONDS")]
    pub gauges_every: NonZeroU64,
    /// After how many seconds the whole ledger is checked again for `/metrics`.
    #[arg(long, env = "RECOURSE_CHECK_EVERY", default_value = "3600", value_name = "SECONDS")]
    pub check_every: NonZeroU64,
    #[command(flatten)]
    pub size: Size,
    #[command(flatten)]
    pub version: Version,
}

/// How much a worker does at once.
#[derive(Debug, Args)]
pub struct Size {
    /// How many open cases are kept in memory; the others are replayed when something happens to them.
    #[arg(long, env = "RECOURSE_MAX_CACHED_WORKFLOWS", default_value_t = 1000, value_name = "COUNT")]
    pub max_cached_workflows: usize,
    /// How many workflow tasks are worked on at once.
    #[arg(long, env = "RECOURSE_WORKFLOW_SLOTS", default_value_t = 100, value_name = "COUNT", value_parser = slots)]
    pub workflow_slots: usize,
    /// How many activities run at once: postings, calls to the payment provider, notices, deliveries.
    #[arg(long, env = "RECOURSE_ACTIVITY_SLOTS", default_value_t = 100, value_name = "COUNT", value_parser = slots)]
    pub activity_slots: usize,
    /// How many calls wait for workflow tasks.
    #[arg(long, env = "RECOURSE_WORKFLOW_POLLERS", default_value_t = 5, value_name = "COUNT", value_parser = slots)]
    pub workflow_pollers: usize,
    /// How many calls wait for activities.
    #[arg(long, env = "RECOURSE_ACTIVITY_POLLERS", default_value_t = 5, value_name = "COUNT", value_parser = slots)]
    pub activity_pollers: usize,
    /// How many seconds activities may take to finish after the worker begins to stop. Another worker retries what is
    /// cut off.
    #[arg(long, env = "RECOURSE_GRACE", default_value_t = 10, value_name = "SECONDS")]
    pub grace: u64,
}

/// With only one poller or slot, a worker would wait for itself.
fn slots(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count >= 2 => Ok(count),
        _ => Err("expected a number of at least 2".to_owned()),
    }
}

impl Size {
    /// How long activities may take to finish.
    pub const fn grace(&self) -> Duration {
        Duration::from_secs(self.grace)
    }

    /// The slots.
    pub fn tuner(&self) -> WorkerTuner {
        // Recourse uses neither local activities nor Nexus.
        TunerHolder::builder()
            .workflow_task_slot_supplier(FixedSizeSlotSupplier::new(self.workflow_slots))
            .activity_task_slot_supplier(FixedSizeSlotSupplier::new(self.activity_slots))
            .local_activity_task_slot_supplier(FixedSizeSlotSupplier::new(1))
            .nexus_task_slot_supplier(FixedSizeSlotSupplier::new(1))
            .build()
            .into()
    }

    /// The calls that wait for workflow tasks, and those for activities.
    pub const fn pollers(&self) -> (PollerBehavior, PollerBehavior) {
        (PollerBehavior::SimpleMaximum(self.workflow_pollers), PollerBehavior::SimpleMaximum(self.activity_pollers))
    }
}

/// Which version of the workflows' code a worker is.
#[derive(Debug, Args)]
pub struct Version {
    /// The worker's deployment. With it, a case stays with the build that began it: see `docs/operations.md`, "Deploying".
    #[arg(long, env = "RECOURSE_DEPLOYMENT", requires = "build_id", value_name = "NAME")]
    pub deployment: Option<String>,
    /// This build of it, another for every change of the workflows' code.
    #[arg(long, env = "RECOURSE_BUILD_ID", requires = "deployment", value_name = "ID")]
    pub build_id: Option<String>,
}

impl Version {
    /// What the worker reports to the server; nothing if any worker may take any case.
    pub fn deployment(&self) -> Option<WorkerDeploymentOptions> {
        let (Some(deployment), Some(build_id)) = (&self.deployment, &self.build_id) else { return None };
        let version = WorkerDeploymentVersion::builder().deployment_name(deployment).build_id(build_id).build();
        Some(
            WorkerDeploymentOptions::new(version)
                .use_worker_versioning(true)
                .default_versioning_behavior(VersioningBehavior::Pinned)
                .build(),
        )
    }
}

/// Something that the worker needs is not there.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Unreachable {
    message: String,
    /// What to do about it.
    pub hint: &'static str,
    #[source]
    source: Option<DatabaseError>,
}

/// Opens and migrates the database.
pub async fn database(url: &str) -> Result<Database, Unreachable> {
    let open = async {
        let database = Database::connect(url).await?;
        recourse_ledger::set_up(&database).await?;
        Ok::<_, DatabaseError>(database)
    };
    open.await.map_err(|error| Unreachable {
        message: format!("the database {} cannot be used", Database::shown(url)),
        hint: error.hint(),
        source: Some(error),
    })
}

/// The payment provider that the environment names.
pub fn payments() -> anyhow::Result<Payments> {
    let payments = Payments::from_env().map_err(|error| anyhow::anyhow!("{error}; {}", error.hint()))?;
    if !payments.is_sandbox() {
        tracing::info!("money moves through Stripe");
    }
    Ok(payments)
}

/// Connects to the server that the environment names, counting the calls on `meter`.
pub async fn connect(meter: Option<TemporalMeter>) -> anyhow::Result<Client> {
    let options = ConnectOptions { meter, ..ConnectOptions::patient(CONNECT_TIMEOUT) };
    match temporal::connect(options).await {
        Ok((client, _)) => Ok(client),
        Err(error @ ConnectError::Unreachable { .. }) => Err(Unreachable {
            message: error.to_string(),
            hint: "start one with `make dev` or `temporal server start-dev`, or set TEMPORAL_ADDRESS",
            source: None,
        }
        .into()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deployment_and_build_are_given_together_or_not_at_all() {
        let read = |flags: &[&str]| Config::try_parse_from([&["recourse-worker"], flags].concat());
        assert!(read(&[]).unwrap().version.deployment().is_none());
        let version = read(&["--deployment", "recourse", "--build-id", "b2"]).unwrap().version;
        let version = version.deployment().unwrap();
        assert!(version.use_worker_versioning);
        assert_eq!((version.version.deployment_name.as_str(), version.version.build_id.as_str()), ("recourse", "b2"));
        assert_eq!(version.default_versioning_behavior, Some(VersioningBehavior::Pinned));
        assert!(read(&["--deployment", "recourse"]).is_err() && read(&["--build-id", "b2"]).is_err());
    }

    #[test]
    fn a_worker_needs_at_least_two_slots_and_pollers() {
        let read = |flag: &str, count: &str| Config::try_parse_from(["recourse-worker", flag, count]);
        for flag in ["--workflow-slots", "--activity-slots", "--workflow-pollers", "--activity-pollers"] {
            assert!(read(flag, "2").is_ok(), "{flag}");
            for wrong in ["1", "0", "many"] {
                let error = read(flag, wrong).unwrap_err().to_string();
                assert!(error.contains("at least 2"), "{error}");
            }
        }
        assert!(read("--gauges-every", "0").is_err());
    }

    #[tokio::test]
    async fn a_password_in_the_databases_url_is_not_shown() {
        let Err(error) = database("mysql://me:secret@db.example.com/recourse").await else {
            panic!("there is no such kind of database");
        };
        assert!(!format!("{:#}", anyhow::anyhow!(error)).contains("secret"));
    }
}
