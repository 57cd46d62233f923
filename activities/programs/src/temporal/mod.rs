//! The connection to the Temporal server, the same for every program: its address, its TLS, and the encryption of
//! payloads.
//!
//! Address and TLS come from the standard variables (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_TLS_…`,
//! `TEMPORAL_API_KEY`, …) or `temporal.toml`; the keys come from the file that `RECOURSE_PAYLOAD_KEYS_FILE` names. This
//! module must not know any workflow: it only connects.

pub mod codec;
pub mod keys;

use std::{error::Error, time::Duration};

use temporalio_client::{
    Client, ClientOptions, Connection, GrpcCompression, RetryOptions, envconfig::LoadClientConfigProfileOptions,
    errors::ClientConnectError,
};
use temporalio_common::{
    data_converters::{DataConverter, DefaultFailureConverter, PayloadConverter},
    telemetry::metrics::TemporalMeter,
};

use crate::telemetry;

pub use codec::PayloadCipher;
pub use keys::{KeysError, PayloadKeys};

/// Names the file with the keys of payloads, for every program.
pub const KEYS_FILE: &str = "RECOURSE_PAYLOAD_KEYS_FILE";

/// The variable that says whether payloads that are not encrypted are refused: `true` or `false`.
pub const SEALED_ONLY: &str = "RECOURSE_PAYLOAD_SEALED_ONLY";

/// How to connect. What is absent comes from the environment.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The server, as `host:port` or as a URL.
    pub address: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The keys that encrypt payloads.
    pub keys: Option<PayloadKeys>,
    /// This program's name for the server; absent, the SDK makes one of process and machine.
    pub identity: Option<&'static str>,
    /// How long the server may take to answer before it counts as away.
    pub patience: Duration,
    /// How long calls to a server in trouble are retried; absent, as long as the SDK does.
    pub retry_for: Option<Duration>,
    /// Where calls are counted.
    pub meter: Option<TemporalMeter>,
}

impl ConnectOptions {
    /// Everything from the environment, with this limit for an answer.
    pub const fn patient(patience: Duration) -> Self {
        Self { address: None, namespace: None, keys: None, identity: None, patience, retry_for: None, meter: None }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The environment has an invalid value. Correct it.
    #[error("{message}")]
    Configuration {
        /// What is wrong.
        message: String,
    },
    /// The payload keys cannot be used. Without them the program must not write plain text.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// No server answers there, or it does not accept this program. Try again when it does.
    #[error("no Temporal server answers at {address}: {reason}")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What came instead.
        reason: String,
    },
}

/// Connects. Returns the client, and the server's address as `host:port`.
///
/// # Errors
/// [`ConnectError`], within the options' patience.
pub async fn connect(options: ConnectOptions) -> Result<(Client, String), ConnectError> {
    let (mut connection, mut client) = ClientOptions::load_from_config(LoadClientConfigProfileOptions::default())
        .map_err(|error| configuration(format!("the connection to Temporal: {error}")))?;
    if let Some(address) = options.address {
        // An address without a scheme keeps the TLS settings of the environment.
        let scheme = connection.target.scheme();
        let url = if address.contains("://") { address.clone() } else { format!("{scheme}://{address}") };
        connection.target = url.parse().map_err(|error| configuration(format!("{address}: {error}")))?;
    }
    if let Some(namespace) = options.namespace {
        client.namespace = namespace;
    }
    let keys = match options.keys {
        Some(keys) => Some(keys),
        None => PayloadKeys::of_environment()?,
    };
    if let Some(keys) = keys {
        client.data_converter = converting(PayloadCipher::new(keys).sealed_only(sealed_only()?));
    } else if sealed_only()? {
        let message = format!("{SEALED_ONLY} is set, and {KEYS_FILE} names no file with payload keys");
        return Err(configuration(message));
    }
    if let Some(identity) = options.identity {
        identity.clone_into(&mut connection.identity);
    }
    connection.connect_timeout = Some(options.patience);
    connection.dns_load_balancing = None;
    connection.metrics_meter = options.meter;
    // Compression takes a twelfth of a worker's processor time, and more of the server's. Without TLS the server is in
    // the same network, where bytes cost less.
    if connection.target.scheme() == "http" {
        connection.grpc_compression = GrpcCompression::None;
    }
    if let Some(retry_for) = options.retry_for {
        connection.retry_options = RetryOptions::builder().max_elapsed_time(Some(retry_for)).build();
    }
    let (host, port) = (connection.target.host_str().unwrap_or("?"), connection.target.port_or_known_default());
    let address = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let unreachable = |reason: String| ConnectError::Unreachable { address: address.clone(), reason };
    let connected = tokio::time::timeout(options.patience, Connection::connect(connection)).await;
    let connection = connected
        .map_err(|_| unreachable(format!("no answer in {} s", options.patience.as_secs())))?
        .map_err(|error| unreachable(why_not_connected(&error)))?;
    if telemetry::exports_traces() {
        let traced = ClientOptions::new(client.namespace).data_converter(client.data_converter);
        client = traced.plugin(telemetry::plugin()).build();
    }
    let client = Client::new(connection, client).map_err(|error| configuration(error.to_string()))?;
    Ok((client, address))
}

/// The converter that encrypts with these keys. It also encrypts the texts of failures.
pub fn encrypting(keys: PayloadKeys) -> DataConverter {
    converting(PayloadCipher::new(keys))
}

fn converting(cipher: PayloadCipher) -> DataConverter {
    DataConverter::new(PayloadConverter::default(), DefaultFailureConverter::new(true), cipher)
}

/// Whether the environment says that plain payloads are refused.
fn sealed_only() -> Result<bool, ConnectError> {
    match std::env::var(SEALED_ONLY).as_deref() {
        Err(_) | Ok("" | "false") => Ok(false),
        Ok("true") => Ok(true),
        Ok(other) => Err(configuration(format!("{SEALED_ONLY} is \"{other}\"; it is true or false"))),
    }
}

const fn configuration(message: String) -> ConnectError {
    ConnectError::Configuration { message }
}

/// Why a connection failed: the innermost of a chain of errors. The outer ones only say that something failed.
fn why_not_connected(error: &ClientConnectError) -> String {
    if let ClientConnectError::SystemInfoCallError(status) = error {
        return status.message().to_owned();
    }
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
