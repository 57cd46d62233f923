//! `recourse codec-server` and `recourse payload-key`: tools for encrypted payloads.

use std::net::SocketAddr;

use anstream::println;
use axum::http::HeaderValue;
use clap::Args;
use jiff::Zoned;
use recourse_api::codec;
use recourse_programs::{
    serving,
    temporal::{KEYS_FILE, PayloadKeys},
};
use serde_json::json;

use super::{
    answer::{Answer, Failure},
    login::Login,
    parts::told_to_stop,
    senders::{Senders, listen},
    values::origin,
};

/// How many connections there may be. Only operators' browsers connect.
const CONNECTIONS: usize = 200;

/// Show operators in Temporal's Web UI what is encrypted, until Ctrl-C or SIGTERM.
///
/// Programs that have payload keys encrypt everything that cases say before it reaches the Temporal server. This server
/// decrypts it for the Web UI (its setting "Codec server", with "Pass access token") and for `temporal --codec-endpoint`. The
/// sender needs a token with the duty `operator`, as for `recourse serve`.
///
/// Example: `RECOURSE_PAYLOAD_KEYS_FILE=payload.keys recourse codec-server --origin https://temporal.example.com --issuer https://id.example.com --jwks https://id.example.com/jwks.json`
#[derive(Debug, Args)]
pub struct CodecServer {
    /// Where to listen; port 0 is any free one.
    #[arg(long, env = "RECOURSE_CODEC_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Where the Web UI is, such as `https://temporal.example.com`; may be given several times, or with commas.
    #[arg(long = "origin", env = "RECOURSE_CODEC_ORIGINS", value_name = "ORIGIN", value_delimiter = ',', required = true, value_parser = origin)]
    origins: Vec<HeaderValue>,
    #[command(flatten)]
    senders: Senders,
    #[command(flatten)]
    login: Login,
}

impl CodecServer {
    pub(super) async fn run(self, json: bool) -> Result<Answer, Failure> {
        let keys = PayloadKeys::of_environment()
            .map_err(|error| Failure::new("configuration", 2, super::answer::chain(&error)))?;
        let keys = keys.ok_or_else(|| {
            Failure::usage(format!("{KEYS_FILE} names no file with payload keys"))
                .hint("make a key with `recourse payload-key`")
        })?;
        let tokens = self.login.tokens().await?;
        let listener = listen(self.listen, "--listen").await?;
        let bound = listener.local_addr().map_err(|error| Failure::new("local", 3, error.to_string()))?;
        let (url, stop) = (format!("http://{bound}"), told_to_stop());
        if json {
            println!("{}", json!({"url": url}));
        } else {
            println!("recourse decrypts for the Web UI at {url}, until Ctrl-C");
        }
        let limits = serving::Limits::default().with_connections(CONNECTIONS);
        let router = codec::router(keys, tokens, self.origins, self.senders.limits());
        serving::serve(router, listener, limits, stop).await;
        Ok(Answer::told())
    }
}

/// Print a new key for payloads, a line for the file of `RECOURSE_PAYLOAD_KEYS_FILE`.
///
/// The first line of that file encrypts, all lines decrypt. To change keys, add the new one as the last line everywhere, start
/// every program again, then move it to the top everywhere. Keep the old key as long as there are cases that use it.
///
/// Example: `recourse payload-key >> payload.keys`
#[derive(Debug, Args)]
pub struct PayloadKey {
    /// The key's id, which is not secret; today's date if absent.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

impl PayloadKey {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let id = self.id.unwrap_or_else(|| Zoned::now().strftime("%Y-%m-%d").to_string());
        let line = PayloadKeys::new_line(&id).map_err(|error| Failure::new("local", 3, error.to_string()))?;
        PayloadKeys::parse(&line, "--id").map_err(|error| Failure::usage(error.to_string()))?;
        Answer::new(&json!({"id": id, "line": line}), format!("{line}\n"))
    }
}
