//! `recourse serve`: the HTTP API and the console.

use std::{net::SocketAddr, num::NonZeroU32, sync::Arc};

use anstream::{eprintln, println};
use clap::Args;
use recourse_activities::{
    Database, EvidenceStore, Ledger, NoticeBook, Payments, RequestBook, WebhookBook, webhooks::Secret,
};
use serde_json::json;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use super::{
    DatabaseArg,
    answer::{Answer, Failure},
    connect,
    parts::{existing_database, told_to_stop},
    refunds::desk,
};
use crate::api::{
    Front,
    front::Parts,
    identity::{Duty, TokenRules, Tokens},
    keys::{KeySource, Keys},
    limits::Limits,
    serve::{self, PER_MINUTE},
};

/// Serve the HTTP API and the console, until Ctrl-C or SIGTERM.
///
/// People and backends are known by bearer tokens (JWT) of one issuer. A token's `sub` is the id of a party, or of a colleague
/// with duties: `service`, `mediator`, `arbitrator`, `operator`.
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
    /// Who issues tokens: their `iss`.
    #[arg(long, env = "RECOURSE_JWT_ISSUER", value_name = "ISSUER")]
    issuer: String,
    /// Whom tokens are for: their `aud`.
    #[arg(long, env = "RECOURSE_JWT_AUDIENCE", default_value = "recourse", value_name = "AUDIENCE")]
    audience: String,
    /// The issuer's public keys: the URL or the file of a JWKS.
    #[arg(long, env = "RECOURSE_JWKS", value_name = "URL|FILE")]
    jwks: String,
    /// The claim with somebody's duties.
    #[arg(long, env = "RECOURSE_JWT_ROLES_CLAIM", default_value = "roles", value_name = "CLAIM")]
    roles_claim: String,
    /// What the issuer calls a duty, such as `dispute-team=mediator`; may be given several times, or with commas.
    #[arg(long = "role", env = "RECOURSE_JWT_ROLES", value_name = "NAME=DUTY", value_delimiter = ',', value_parser = duty_name)]
    roles: Vec<(String, Duty)>,
    /// The claim with the ids of further parties that somebody acts as, such as agencies that they own.
    #[arg(long, env = "RECOURSE_JWT_PARTIES_CLAIM", default_value = "parties", value_name = "CLAIM")]
    parties_claim: String,
    /// How many requests a sender may send in a minute.
    #[arg(long, env = "RECOURSE_REQUESTS_PER_MINUTE", default_value_t = PER_MINUTE, value_name = "N")]
    requests_per_minute: NonZeroU32,
    /// Temporal's Web UI, for links from the operators' pages.
    #[arg(long, env = "RECOURSE_TEMPORAL_UI", value_name = "URL")]
    temporal_ui: Option<String>,
    /// Where evidence files are kept: `file:///folder` or `s3://bucket/prefix`.
    #[arg(long, env = "RECOURSE_EVIDENCE_URL", value_name = "URL")]
    evidence: String,
    /// What the payment provider signs its calls with (`whsec_…`, Standard Webhooks). Without it none are taken.
    #[arg(long, env = "RECOURSE_PAYMENT_CALLBACK_SECRET", hide_env_values = true, value_name = "SECRET")]
    payment_callback_secret: Option<String>,
    /// Let webhook endpoints be on this machine or its network, and unencrypted. Only for a sandbox.
    #[arg(long, env = "RECOURSE_WEBHOOK_ALLOW_LOCAL")]
    webhook_allow_local: bool,
    #[command(flatten)]
    database: DatabaseArg,
}

fn duty_name(text: &str) -> Result<(String, Duty), String> {
    let (name, duty) = text.split_once('=').ok_or("expected NAME=DUTY")?;
    let known = Duty::ALL.into_iter().find(|known| known.name() == duty.trim());
    let duty = known.ok_or_else(|| format!("{duty} is none of service, mediator, arbitrator, operator"))?;
    Ok((name.trim().to_owned(), duty))
}

impl Serve {
    pub(super) async fn run(self, json: bool) -> Result<Answer, Failure> {
        log();
        let database = existing_database(&self.database).await?;
        let keys = Keys::read(KeySource::new(&self.jwks)).await.map_err(|reason| {
            Failure::new("configuration", 2, format!("--jwks: {reason}"))
                .hint("give the URL or the file of the issuer's public keys, a JSON document with `keys`")
        })?;
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
            tokens: Tokens::new(self.rules(), keys),
            local: None,
            limits: Limits::per_minute(self.requests_per_minute),
            temporal_ui: self.temporal_ui.clone(),
        });
        let listener = listen(self.listen).await?;
        let url = serve::url(listener.local_addr().map_err(|error| Failure::new("local", 3, error.to_string()))?);
        tell(&url, json);
        serve::serve(front, listener, told_to_stop()).await;
        database.close().await;
        Ok(Answer::told())
    }

    fn callback_secret(&self) -> Result<Option<Arc<Secret>>, Failure> {
        let Some(secret) = &self.payment_callback_secret else { return Ok(None) };
        let secret = Secret::new(secret).map_err(|error| {
            Failure::new("configuration", 2, format!("--payment-callback-secret: {error}"))
                .hint("it is `whsec_` and at least 24 bytes in base64")
        })?;
        Ok(Some(Arc::new(secret)))
    }

    fn rules(&self) -> TokenRules {
        let rules = TokenRules::new(&self.issuer, &self.audience);
        TokenRules {
            duties_claim: self.roles_claim.clone(),
            duty_names: if self.roles.is_empty() { rules.duty_names.clone() } else { self.roles.clone() },
            parties_claim: self.parties_claim.clone(),
            ..rules
        }
    }
}

/// The store of evidence at this URL.
pub fn evidence(database: &Database, url: &str) -> Result<EvidenceStore, Failure> {
    EvidenceStore::open(database.clone(), url).map_err(|error| Failure::new("configuration", 2, error.to_string()))
}

/// Listens at an address.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new("local", 3, format!("{address} cannot be listened at: {error}"))
            .hint("choose another with --listen")
    })
}

fn tell(url: &str, json: bool) {
    if json {
        println!("{}", json!({"url": url}));
    } else {
        println!("recourse serves {url}, until Ctrl-C");
    }
}

fn log() {
    let filter = EnvFilter::try_from_env("RECOURSE_LOG").unwrap_or_else(|_| "info,temporalio=warn".into());
    if tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init().is_err() {
        eprintln!("note: a log is kept already");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuers_names_of_duties_are_read() {
        assert_eq!(duty_name("dispute-team=mediator"), Ok(("dispute-team".to_owned(), Duty::Mediator)));
        assert!(duty_name("ops").is_err() && duty_name("ops=boss").is_err());
    }
}
