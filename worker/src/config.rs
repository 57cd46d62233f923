//! What a worker is told by its flags and environment, and the two things it cannot run without.

use std::time::Duration;

use clap::Parser;
use recourse_activities::{Database, DatabaseError, Payments};
use temporalio_client::{Client, ClientOptions, Connection, envconfig::LoadClientConfigProfileOptions};

/// How long the server may take to answer before it counts as away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Conducts cases: runs the workflows and their side effects, and sends the notices.
///
/// The Temporal server is found by the standard variables (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, …) or temporal.toml.
/// Money moves through the provider that `RECOURSE_PAYMENTS` names: `sandbox` (a fake bank) or `stripe`, which needs
/// `RECOURSE_STRIPE_SECRET_KEY`.
/// Stop it with SIGTERM or Ctrl-C: nothing is lost, another worker goes on where it stopped.
#[derive(Debug, Parser)]
#[command(name = "recourse-worker", version)]
pub struct Config {
    /// The ledger's database; made and migrated if need be.
    #[arg(long, env = "RECOURSE_DATABASE_URL", default_value = "sqlite:recourse.db", value_name = "URL")]
    pub database: String,
    /// The mail server, such as `smtp://127.0.0.1:25`. Without one, emails are written to the log and marked as not sent.
    #[arg(long, env = "RECOURSE_SMTP_URL", value_name = "URL")]
    pub smtp_url: Option<String>,
    /// Who the emails are from.
    #[arg(long, env = "RECOURSE_MAIL_FROM", default_value = "Recourse <recourse@localhost>", value_name = "ADDRESS")]
    pub mail_from: String,
    /// Let webhook endpoints be on this machine or its network, and unencrypted. Only for a sandbox.
    #[arg(long, env = "RECOURSE_WEBHOOK_ALLOW_LOCAL")]
    pub webhook_allow_local: bool,
    /// How many open cases are kept in memory; the others are replayed when something happens to them.
    #[arg(long, env = "RECOURSE_MAX_CACHED_WORKFLOWS", default_value_t = 1000, value_name = "COUNT")]
    pub max_cached_workflows: usize,
}

/// Something that the worker cannot run without is not there.
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
        database.migrate().await?;
        Ok::<_, DatabaseError>(database)
    };
    open.await.map_err(|error| Unreachable {
        message: format!("the database {url} cannot be used"),
        hint: error.hint(),
        source: Some(error),
    })
}

/// The payment provider of the environment.
pub fn payments() -> anyhow::Result<Payments> {
    let payments = Payments::from_env().map_err(|error| anyhow::anyhow!("{error}; {}", error.hint()))?;
    if !payments.is_sandbox() {
        tracing::info!("money moves through Stripe");
    }
    Ok(payments)
}

/// Connects to the server of the environment.
pub async fn connect() -> anyhow::Result<Client> {
    let (connection, client) = ClientOptions::load_from_config(LoadClientConfigProfileOptions::default())
        .map_err(|error| anyhow::anyhow!("the connection's configuration cannot be used: {error}"))?;
    let address = connection.target.to_string();
    let unreachable = |why: String| Unreachable {
        message: format!("no Temporal server answers at {address}: {why}"),
        hint: "start one with `make dev` or `temporal server start-dev`, or set TEMPORAL_ADDRESS",
        source: None,
    };
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, Connection::connect(connection)).await;
    let connection = connected
        .map_err(|_| unreachable(format!("no answer in {} s", CONNECT_TIMEOUT.as_secs())))?
        .map_err(|error| unreachable(error.to_string()))?;
    Ok(Client::new(connection, client)?)
}
