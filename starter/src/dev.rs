//! `recourse dev`: everything on this machine, to play by hand, with the console and people to play.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anstream::println;
use clap::Args;
use recourse_api::{
    Front, front,
    identity::{TokenRules, Tokens},
    keys::LocalIssuer,
    limits::Limits,
    personas,
    requests::RequestBook,
    serve::{self, PER_MINUTE},
    site::Site,
};
use recourse_ledger::Ledger;
use recourse_local::ServerOptions;
use recourse_notifications::{NoticeBook, WebhookBook};
use recourse_programs::serving;
use serde_json::json;

use super::{
    answer::{Answer, Failure},
    parts::{Parts, told_to_stop},
    progress::waiting,
    refunds::desk,
    senders::listen,
    serve::evidence,
    view,
};

/// Start a Temporal server with its Web UI, the database, the worker and the console on this machine, until Ctrl-C.
///
/// The server lets `recourse advance` fast-forward a case's clock. Everything is gone afterwards unless --data says where
/// to keep it.
///
/// Example: `recourse dev --data ./sandbox`
///
/// Next: it prints what to export and what to try in another terminal.
#[derive(Debug, Args)]
pub struct Dev {
    /// Where to keep the data and logs; in a temporary directory without it.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The server's port; any free one without it.
    #[arg(long)]
    port: Option<u16>,
    /// The Web UI's port; any free one without it.
    #[arg(long, value_name = "PORT")]
    ui_port: Option<u16>,
    /// The console's and the API's port; any free one without it.
    #[arg(long, value_name = "PORT")]
    console_port: Option<u16>,
}

impl Dev {
    pub(super) async fn run(self, json: bool) -> Result<Answer, Failure> {
        // In a sandbox anybody can be anybody. With a real issuer that must never be possible.
        if std::env::var_os("RECOURSE_JWT_ISSUER").is_some() {
            let failure = Failure::usage("RECOURSE_JWT_ISSUER is set, and `recourse dev` lets anybody be anybody");
            return Err(failure.hint("use `recourse serve`, or unset RECOURSE_JWT_ISSUER to play"));
        }
        let temporary = tempfile::tempdir().map_err(|error| Failure::new("local", 3, error.to_string()))?;
        let directory = match &self.data {
            Some(data) => keep_in(data)?,
            None => temporary.path().to_owned(),
        };
        let server = ServerOptions {
            port: self.port,
            ui: true,
            ui_port: self.ui_port,
            database: self.data.as_ref().map(|_| directory.join("temporal.db")),
            ..ServerOptions::default()
        };
        let start = waiting("starting a Temporal server and the worker", Parts::start(&directory, server));
        let mut parts = tokio::select! {
            started = start => started?,
            () = told_to_stop() => return Ok(Answer::told()),
        };
        let listener =
            listen(SocketAddr::from(([127, 0, 0, 1], self.console_port.unwrap_or(0))), "--console-port").await?;
        let console = serve::url(listener.local_addr().map_err(|error| Failure::new("local", 3, error.to_string()))?);
        let front = front(&parts, &directory)?;
        let pages = recourse_console::pages(&front);
        let serving = serve::serve(front, pages, listener, serving::Limits::default(), told_to_stop());
        tell(&parts, &directory, &console, json);
        tokio::select! {
            () = serving => {}
            ended = parts.server.ended() => return Err(ended.into()),
            ended = parts.worker.ended() => return Err(ended.into()),
        }
        parts.stop().await?;
        Ok(Answer::told())
    }
}

/// The front of the console and the API, for personas.
fn front(parts: &Parts, directory: &Path) -> Result<Front, Failure> {
    let local = LocalIssuer::new(personas::ISSUER, personas::AUDIENCE);
    let local = local.map_err(|reason| Failure::new("local", 3, reason))?;
    Ok(Front::new(front::Parts {
        client: parts.client.clone(),
        ledger: Ledger::new(parts.database.clone()),
        notices: NoticeBook::new(parts.database.clone()),
        refunds: desk(&parts.database)?,
        requests: RequestBook::new(parts.database.clone()),
        evidence: evidence(&parts.database, &format!("file://{}", directory.join("evidence").display()))?,
        webhooks: WebhookBook::new(parts.database.clone()).allow_local(true),
        callback_secret: None,
        stripe: None,
        tokens: Tokens::new(TokenRules::new(personas::ISSUER, personas::AUDIENCE), local.keys()),
        local: Some(local),
        limits: Limits::per_minute(PER_MINUTE),
        temporal_ui: parts.server.ui_url(),
        site: Site::loopback(),
        patience: front::PATIENCE,
    }))
}

fn keep_in(data: &Path) -> Result<PathBuf, Failure> {
    let made = std::fs::create_dir_all(data).and_then(|()| data.canonicalize());
    made.map_err(|error| Failure::usage(format!("--data: {}: {error}", data.display())))
}

fn tell(parts: &Parts, directory: &Path, console: &str, json: bool) {
    let (address, ui) = (parts.server.address(), parts.server.ui_url().unwrap_or_default());
    let (url, data) = (&parts.database_url, directory.display().to_string());
    if json {
        println!("{}", json!({"console": console, "address": address, "ui": ui, "database": url, "data": data}));
        return;
    }
    println!("{}", view::heading("running until Ctrl-C").trim_end());
    print_fields(&[("console", console), ("server", &address), ("Web UI", &ui), ("data", &data)]);
    println!("\nin another terminal:\n");
    println!("  export TEMPORAL_ADDRESS={address} RECOURSE_DATABASE_URL={url}");
    println!("{}", PLAY.trim_end());
}

fn print_fields(fields: &[(&str, &str)]) {
    let text = view::fields(fields.iter().map(|(name, value)| (*name, (*value).to_owned())));
    println!("{}", text.trim_end());
}

const PLAY: &str = r#"  cat > c.json <<'END'
  {"id": "c-1", "title": "Logo", "kind": "fixed_price", "currency": "USD",
   "client": {"id": "cl-1", "name": "Ada"}, "freelancer": {"id": "fl-1", "name": "Ben"}}
  END
  recourse deposit --contract-file c.json --deposit d-1 --amount 300.00 --source card-1
  recourse end --contract-file c.json --pay 100.00
  recourse act refund-request:c-1 dispute --as freelancer:fl-1 --amount 150.00 --reason work_delivered --details "Done"
  recourse show dispute:c-1
  recourse advance dispute:c-1 5d        # the client says nothing
  recourse ledger --contract c-1
"#;
