//! The issuer's public keys: from a JWKS file or URL, or of the local issuer that only `recourse dev` has.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, JwkSet},
};
use serde_json::json;
use tokio::{sync::watch, time::timeout};

use super::problem::Problem;

/// The largest set of keys that Recourse reads, in bytes.
const BYTES_MAX: usize = 256 * 1024;

/// How long a token of the local issuer holds, in seconds.
const LOCAL_TOKEN_SECONDS: u64 = 12 * 3_600;

/// How long keys are valid, and how often Recourse fetches them.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// After this time Recourse fetches the keys again, to stop accepting a withdrawn key. The old keys stay valid until the
    /// answer comes.
    fresh: Duration,
    /// How long keys stay valid if Recourse cannot fetch them again. After that it accepts no token until a fetch succeeds.
    held: Duration,
    /// The shortest time between two fetches. Forged key ids must not let anybody flood the issuer.
    asked_again_after: Duration,
    /// How long the issuer may take to answer, and so how long a token with an unknown key waits.
    fetch: Duration,
}

const TIMES: Times = Times {
    fresh: Duration::from_mins(10),
    held: Duration::from_hours(1),
    asked_again_after: Duration::from_secs(30),
    fetch: Duration::from_secs(5),
};

/// The place of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A JWKS file.
    File(PathBuf),
    /// A JWKS URL.
    Url(String),
}

impl KeySource {
    /// A URL if it has a scheme, a file otherwise.
    pub fn new(text: &str) -> Self {
        if text.starts_with("http://") || text.starts_with("https://") {
            Self::Url(text.to_owned())
        } else {
            Self::File(PathBuf::from(text))
        }
    }

    async fn read(&self, within: Duration) -> Result<JwkSet, String> {
        let read = async {
            match self {
                Self::File(path) => tokio::fs::read(path).await.map_err(|error| error.to_string()),
                Self::Url(url) => fetch(url).await,
            }
        };
        let read = timeout(within, read).await.unwrap_or_else(|_| Err(format!("no answer within {within:?}")));
        let json = read.map_err(|reason| format!("{self}: {reason}"))?;
        let keys: JwkSet =
            serde_json::from_slice(&json).map_err(|error| format!("this is no set of keys (JWKS): {error}"))?;
        if keys.keys.is_empty() { Err("there is no key in it".to_owned()) } else { Ok(keys) }
    }
}

impl std::fmt::Display for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(url),
        }
    }
}

async fn fetch(url: &str) -> Result<Vec<u8>, String> {
    let client = reqwest::Client::builder().build().map_err(|error| error.to_string())?;
    let mut response = client.get(url).send().await.map_err(|error| error.to_string())?;
    if !response.status().is_success() {
        return Err(format!("the answer was {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
        if body.len() + chunk.len() > BYTES_MAX {
            return Err(format!("more than {BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The keys with which Recourse checks tokens. Clones share them.
///
/// A token with a known key never waits for the issuer: a separate task fetches the set. A token with an unknown key waits for
/// the fetch that is under way, if one may start.
#[derive(Debug, Clone)]
pub struct Keys(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// None for this program's own keys, which stay valid for ever.
    source: Option<KeySource>,
    times: Times,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    keys: JwkSet,
    /// When the last successful fetch was.
    read_at: Instant,
    /// When the last fetch began.
    asked_at: Instant,
    /// How many fetches in a row have failed.
    failed: u64,
    /// The fetch that is under way. Its task drops the sender when the fetch ends.
    fetch: Option<watch::Receiver<()>>,
}

impl Keys {
    /// Reads the keys now.
    ///
    /// # Errors
    /// Why they cannot be read, in words.
    pub async fn read(source: KeySource) -> Result<Self, String> {
        Self::read_at_pace(source, TIMES).await
    }

    async fn read_at_pace(source: KeySource, times: Times) -> Result<Self, String> {
        let keys = source.read(times.fetch).await?;
        Ok(Self::holding(keys, Some(source), times))
    }

    fn of(key: Jwk) -> Self {
        Self::holding(JwkSet { keys: vec![key] }, None, TIMES)
    }

    fn holding(keys: JwkSet, source: Option<KeySource>, times: Times) -> Self {
        let now = Instant::now();
        let held = Mutex::new(Held { keys, read_at: now, asked_at: now, failed: 0, fetch: None });
        Self(Arc::new(Shared { source, times, held }))
    }

    /// The key that a token says it is signed with.
    ///
    /// # Errors
    /// A problem if there is none, or if it is for another algorithm; of status 503 if Recourse does not know because the
    /// issuer does not give its keys.
    pub async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Jwk, Problem> {
        let found = match self.known(id) {
            Ok(key) => Some(key),
            // Every fetch ends within its time limit.
            Err(Some(mut fetch)) => {
                let _ = fetch.changed().await;
                self.known(id).ok()
            }
            Err(None) => None,
        };
        let key = found.ok_or_else(|| self.missing())?;
        if key.common.key_algorithm.is_some_and(|stated| stated.to_string() != format!("{algorithm:?}")) {
            return Err(Problem::unauthenticated("the token is signed with another algorithm than its key is for"));
        }
        Ok(key)
    }

    /// How old the keys are, and how many fetches in a row have failed. None for keys that Recourse does not fetch.
    pub fn state(&self) -> Option<(Duration, u64)> {
        self.0.source.as_ref()?;
        let held = self.0.held();
        Some((held.read_at.elapsed(), held.failed))
    }

    /// A known and valid key; otherwise the fetch that may bring it, if one is under way or due. Starts a fetch that is due.
    fn known(&self, id: Option<&str>) -> Result<Jwk, Option<watch::Receiver<()>>> {
        let mut held = self.0.held();
        let key = held.key(id);
        let Some(source) = &self.0.source else { return key.ok_or(None) };
        let (times, age) = (self.0.times, held.read_at.elapsed());
        let wanted = key.is_none() || age >= times.fresh;
        if wanted && held.fetch.is_none() && held.asked_at.elapsed() >= times.asked_again_after {
            held.asked_at = Instant::now();
            let (over, fetch) = watch::channel(());
            held.fetch = Some(fetch);
            let (shared, source) = (self.0.clone(), source.clone());
            // A waiting sender may disconnect. The others still get the result.
            tokio::spawn(async move {
                let read = source.read(times.fetch).await;
                shared.held().take_in(read, times.held);
                drop(over);
            });
        }
        key.filter(|_| age < times.held).ok_or_else(|| held.fetch.clone())
    }

    fn missing(&self) -> Problem {
        let held = self.0.held();
        let is_stale = self.0.source.is_some() && held.read_at.elapsed() >= self.0.times.held;
        if is_stale || held.failed > 0 {
            let problem =
                Problem::unavailable("the issuer's keys cannot be had now, so that this token cannot be checked");
            return problem.hint("try again in a minute; operators find the reason in the server's log");
        }
        Problem::unauthenticated("no key of the issuer has the token's key id")
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// The key with this id. A token without an id can only mean the only key.
    fn key(&self, id: Option<&str>) -> Option<Jwk> {
        match id {
            Some(id) => self.keys.find(id).cloned(),
            None if self.keys.keys.len() == 1 => self.keys.keys.first().cloned(),
            None => None,
        }
    }

    /// Takes the result of a fetch. If it failed, the old keys stay valid until they are `hold` old.
    fn take_in(&mut self, read: Result<JwkSet, String>, hold: Duration) {
        self.fetch = None;
        match read {
            Ok(keys) => (self.keys, self.read_at, self.failed) = (keys, Instant::now(), 0),
            Err(reason) => {
                self.failed += 1;
                let (age, hold) = (self.read_at.elapsed().as_secs(), hold.as_secs());
                if age < hold {
                    tracing::warn!(reason, age, hold, "the issuer's keys cannot be had; those from before are used");
                } else {
                    tracing::error!(
                        reason,
                        age,
                        hold,
                        "the issuer's keys cannot be had, and are too old: no token is believed"
                    );
                }
            }
        }
    }
}

/// An issuer on this machine, with a key that it makes when it starts. Only for a sandbox.
#[derive(Clone)]
pub struct LocalIssuer {
    key: Arc<EncodingKey>,
    public: Jwk,
    issuer: String,
    audience: String,
}

impl std::fmt::Debug for LocalIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalIssuer").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl LocalIssuer {
    /// The key id of its only key.
    const KEY_ID: &'static str = "local";

    /// An issuer with a new key.
    ///
    /// # Errors
    /// If this machine has no randomness.
    pub fn new(issuer: &str, audience: &str) -> Result<Self, String> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let document =
            Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| "no key can be made on this machine".to_owned())?;
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|error| error.to_string())?;
        let public = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let public = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": Self::KEY_ID, "x": public});
        let public = serde_json::from_value(public).map_err(|error| error.to_string())?;
        let key = EncodingKey::from_ed_der(document.as_ref());
        Ok(Self { key: Arc::new(key), public, issuer: issuer.to_owned(), audience: audience.to_owned() })
    }

    /// The keys that check its tokens.
    pub fn keys(&self) -> Keys {
        Keys::of(self.public.clone())
    }

    /// A token for somebody.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn token(&self, subject: &str, duties: &[&str], parties: &[&str]) -> Result<String, String> {
        let now = jsonwebtoken::get_current_timestamp();
        let claims = json!({
            "iss": self.issuer, "aud": self.audience, "sub": subject, "iat": now, "exp": now + LOCAL_TOKEN_SECONDS,
            "roles": duties, "parties": parties,
        });
        let header = Header { kid: Some(Self::KEY_ID.to_owned()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, &self.key).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
