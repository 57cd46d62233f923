//! `recourse serve`: the HTTP API and the console.

use std::{net::SocketAddr, num::NonZeroU32, sync::Arc};

use anstream::println;
use clap::Args;
use recourse_api::{
    Front,
    front::{PATIENCE, Parts},
    requests::RequestBook,
    serve,
    site::Site,
};
use recourse_database::Database;
use recourse_evidence::EvidenceStore;
use recourse_ledger::Ledger;
use recourse_notifications::{NoticeBook, WebhookBook, webhooks::Secret};
use recourse_payments::Payments;
use recourse_programs::{serving, telemetry::Telemetry};
use serde_json::json;

use super::{
    DatabaseArg,
    answer::{Answer, Failure, chain},
    connect,
    database::existing_database,
    login::Login,
    parts::told_to_stop,
    refunds::desk,
    senders::{Senders, listen},
    values::origin,
};

/// How many connections there may be by default: enough room within the usual limit of 1,024 file descriptors.
const CONNECTIONS: NonZeroU32 = NonZeroU32::new(800).unwrap();

/// Serve the HTTP API and the console, until Ctrl-C or SIGTERM.
///
/// Bearer tokens (JWT) of one issuer identify people and backends. A token's `sub` is the id of a party, or of a person of the
/// platform with duties: `service`, `mediator`, `arbitrator`, `operator`.
///
/// `RECOURSE_PAYMENTS=stripe` and `RECOURSE_STRIPE_WEBHOOK_SECRET` take Stripe's events at `/v1/callbacks/stripe`.
///
/// Example: `recourse serve --issuer https://id.example.com --audience recourse --jwks https://id.example.com/jwks.json --evidence file:///var/lib/recourse/evidence`
///
/// Next: open `/` for the console, `/openapi.json` for the API's description.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen; port 0 is any free one.
    #[arg(long, env = "RECOURSE_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    #[command(flatten)]
    senders: Senders,
    /// Where people open the console, such as `https://disputes.example.com`: TLS, unless it is on this machine. Without it,
    /// Recourse assumes TLS.
    #[arg(long, env = "RECOURSE_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// An origin whose pages may sign people in here, such as `https://platform.example.com`: the platform's sign-in. May be
    /// given several times, or with commas.
    #[arg(long = "sign-in-origin", env = "RECOURSE_SIGN_IN_ORIGINS", value_name = "ORIGIN", value_delimiter = ',', value_parser = sign_in_origin)]
    sign_in_origins: Vec<String>,
    /// How many connections there may be at once. If one more comes, the server closes the one that has been silent for
    /// longest. Each needs a file descriptor (`ulimit -n`), and the server itself some 200.
    #[arg(long, env = "RECOURSE_CONNECTIONS", default_value_t = CONNECTIONS, value_name = "N")]
    connections: NonZeroU32,
    /// Temporal's Web UI, for links from the operators' pages.
    #[arg(long, env = "RECOURSE_TEMPORAL_UI", value_name = "URL")]
    temporal_ui: Option<String>,
    /// Where evidence files are kept: `file:///folder` or `s3://bucket/prefix`.
    #[arg(long, env = "RECOURSE_EVIDENCE_URL", value_name = "URL")]
    evidence: String,
    /// The secret with which the payment provider signs its calls (`whsec_…`, Standard Webhooks). Without it the server takes
    /// none.
    #[arg(long, env = "RECOURSE_PAYMENT_CALLBACK_SECRET", hide_env_values = true, value_name = "SECRET")]
    payment_callback_secret: Option<String>,
    /// Where to serve `/metrics` for Prometheus; port 0 is any free one. Without it the server has no metrics.
    #[arg(long, env = "RECOURSE_METRICS_LISTEN", value_name = "ADDRESS:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// Let webhook endpoints be on this machine or its network, and unencrypted. Only for a sandbox.
    #[arg(long, env = "RECOURSE_WEBHOOK_ALLOW_LOCAL")]
    webhook_allow_local: bool,
    #[command(flatten)]
    login: Login,
    #[command(flatten)]
    database: DatabaseArg,
}

impl Serve {
    pub(super) async fn run(self, json: bool) -> Result<Answer, Failure> {
        let telemetry =
            Telemetry::start("recourse-serve").map_err(|error| Failure::new("configuration", 2, chain(&error)))?;
        let served = self.serve(json).await;
        telemetry.stop().await;
        served
    }

    async fn serve(self, json: bool) -> Result<Answer, Failure> {
        let database = existing_database(&self.database).await?;
        let tokens = self.login.tokens().await?;
        let front = Front::new(Parts {
            client: connect().await?,
            ledger: Ledger::new(database.clone()),
            notices: NoticeBook::new(database.clone()),
            refunds: desk(&database)?,
            requests: RequestBook::new(database.clone()),
            evidence: evidence(&database, &self.evidence)?,
            webhooks: WebhookBook::new(database.clone()).allow_local(self.webhook_allow_local),
            callback_secret: self.callback_secret()?,
            stripe: Payments::from_env()?.stripe_callbacks(),
            tokens,
            local: None,
            limits: self.senders.limits(),
            temporal_ui: self.temporal_ui.clone(),
            site: self.site()?,
            patience: PATIENCE,
        });
        if let Some(address) = self.metrics_listen {
            let bound = front.metrics().serve(listen(address, "--metrics-listen").await?);
            let bound = bound.map_err(|error| Failure::new("local", 3, error.to_string()))?;
            tracing::info!("serving /metrics at http://{bound}");
        }
        let listener = listen(self.listen, "--listen").await?;
        let url = serve::url(listener.local_addr().map_err(|error| Failure::new("local", 3, error.to_string()))?);
        let stop = told_to_stop();
        tell(&url, json);
        let limits = serving::Limits::default().with_connections(self.connections.get() as usize);
        let pages = recourse_console::pages(&front);
        serve::serve(front, pages, listener, limits, stop).await;
        database.close().await;
        Ok(Answer::told())
    }

    fn site(&self) -> Result<Site, Failure> {
        let site = Site::at(self.public_url.as_deref());
        let site = site.map_err(|reason| Failure::new("configuration", 2, format!("--public-url: {reason}")))?;
        Ok(site.with_sign_in_from(self.sign_in_origins.clone()))
    }

    fn callback_secret(&self) -> Result<Option<Arc<Secret>>, Failure> {
        let Some(secret) = &self.payment_callback_secret else { return Ok(None) };
        let secret = Secret::new(secret).map_err(|error| {
            Failure::new("configuration", 2, format!("--payment-callback-secret: {error}"))
                .hint("it is `whsec_` and at least 24 bytes in base64")
        })?;
        Ok(Some(Arc::new(secret)))
    }
}

fn sign_in_origin(text: &str) -> Result<String, String> {
    let value = origin(text)?;
    value.to_str().map(str::to_owned).map_err(|error| error.to_string())
}

/// The evidence store at this URL.
pub fn evidence(database: &Database, url: &str) -> Result<EvidenceStore, Failure> {
    EvidenceStore::open(database.clone(), url).map_err(|error| Failure::new("configuration", 2, error.to_string()))
}

fn tell(url: &str, json: bool) {
    if json {
        println!("{}", json!({"url": url}));
    } else {
        println!("recourse serves {url}, until Ctrl-C");
    }
}
