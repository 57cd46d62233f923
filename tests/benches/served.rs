//! Programs that serve HTTP, and a caller with a token.
//!
//! They are processes of their own, so that their processor time can be measured apart from that of their callers.

use std::{fs, process::Stdio, sync::Arc};

use anyhow::Context as _;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::{
    contract::Contract,
    parts::{Parts, processor_time, program, unique},
};

/// The freelancer of every contract of the bench.
pub const FREELANCER: &str = "fl-1";

const ISSUER: &str = "https://issuer.example";

/// How long the token is valid, in seconds: longer than a part of the bench takes.
const TOKEN_SECONDS: u64 = 3 * 3_600;

/// The limit of a sender's requests in a minute: more than any machine can answer, so that the limit is not measured.
const REQUESTS_PER_MINUTE: &str = "100000000";

/// A program that serves HTTP. It stops when this is dropped.
pub struct Served {
    url: String,
    child: Child,
    /// The folder that it uses.
    _folder: Option<tempfile::TempDir>,
}

impl Served {
    /// `recourse serve` for these parts, and a party's token that it accepts.
    pub async fn recourse(parts: &Parts, who: &str) -> anyhow::Result<(Self, String)> {
        let folder = tempfile::tempdir()?;
        let keys = folder.path().join("jwks.json");
        let (public, token) = signed(who)?;
        fs::write(&keys, json!({"keys": [public]}).to_string())?;
        let mut command = Command::new(program("recourse")?);
        command
            .args(["serve", "--json"])
            .env("TEMPORAL_ADDRESS", parts.server.address())
            .env("TEMPORAL_NAMESPACE", parts.client.namespace())
            .env("RECOURSE_DATABASE_URL", &parts.database_url)
            .env("RECOURSE_LISTEN", "127.0.0.1:0")
            .env("RECOURSE_JWT_ISSUER", ISSUER)
            .env("RECOURSE_JWT_AUDIENCE", "recourse")
            .env("RECOURSE_JWKS", keys)
            .env("RECOURSE_EVIDENCE_URL", format!("file://{}", folder.path().display()))
            .env("RECOURSE_REQUESTS_PER_MINUTE", REQUESTS_PER_MINUTE);
        Ok((Self { _folder: Some(folder), ..Self::start(command).await? }, token))
    }

    /// Any program whose first line is a JSON object with its `url`.
    pub async fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let output = child.stdout.take().context("its output is a pipe")?;
        let said = BufReader::new(output).lines().next_line().await?.context("it ended before it served")?;
        let said: Value = serde_json::from_str(&said)?;
        let url = said["url"].as_str().context("it does not say where it is")?.to_owned();
        Ok(Self { url, child, _folder: None })
    }

    /// Its processor time up to now, in seconds.
    pub fn processor(&self) -> anyhow::Result<f64> {
        processor_time(self.child.id())
    }

    /// A caller with this token.
    pub fn caller(&self, token: &str) -> Caller {
        Caller(Arc::new(Calling { client: Client::new(), url: self.url.clone(), token: token.to_owned() }))
    }
}

/// A caller that keeps its connections. Clones share them.
#[derive(Clone)]
pub struct Caller(Arc<Calling>);

struct Calling {
    client: Client,
    url: String,
    token: String,
}

impl Caller {
    /// Sends a request to read.
    pub async fn get(self, path: String) -> anyhow::Result<()> {
        let request = self.0.client.get(format!("{}{path}", self.0.url));
        self.send(request).await
    }

    /// Sends a command without fields, under a new key. The answer comes when the case has taken it.
    pub async fn command(self, case: String, command_kind: &'static str) -> anyhow::Result<()> {
        let request = self.0.client.post(format!("{}/v1/cases/{case}/commands/{command_kind}", self.0.url));
        let request = request.header("idempotency-key", unique("key")).header("content-type", "application/json");
        self.send(request.body("{}")).await
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<()> {
        let answer = request.bearer_auth(&self.0.token).send().await?;
        let status = answer.status();
        // Read to the end, so that the connection can be used again.
        let body = answer.bytes().await?;
        // 202 is not an answer of the case.
        anyhow::ensure!(status == StatusCode::OK, "{status}: {}", String::from_utf8_lossy(&body));
        Ok(())
    }
}

/// A refund request, with a contract of its own, that waits for the freelancer.
pub async fn open_request(parts: &Parts) -> anyhow::Result<String> {
    Contract::paid_for(parts, false).await?.end(parts).await
}

/// A new key as its issuer publishes it, and a party's token that is signed with it.
fn signed(party: &str) -> anyhow::Result<(Value, String)> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())?;
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref())?;
    let public = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let public = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "bench", "x": public});
    let now = get_current_timestamp();
    let claims = json!({"iss": ISSUER, "aud": "recourse", "sub": party, "iat": now, "exp": now + TOKEN_SECONDS});
    let header = Header { kid: Some("bench".to_owned()), ..Header::new(Algorithm::EdDSA) };
    Ok((public, encode(&header, &claims, &EncodingKey::from_ed_der(document.as_ref()))?))
}
