//! The issuer's public keys: from a JWKS file or URL, or of the local issuer that only `recourse dev` has.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, JwkSet},
};
use serde_json::json;
use tokio::sync::RwLock;

use super::problem::Problem;

/// After how long keys from a URL are fetched anew, so that one that was withdrawn is no longer believed.
const FRESH: Duration = Duration::from_mins(10);

/// How often an unknown key may make us ask the issuer: a forged key id must not let anybody flood it.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// How long the issuer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The largest set of keys that is read, in bytes.
const BYTES_MAX: usize = 256 * 1024;

/// How long a token of the local issuer holds, in seconds.
const LOCAL_TOKEN_SECONDS: u64 = 12 * 3_600;

/// Where the keys are.
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

    async fn read(&self) -> Result<JwkSet, String> {
        let json = match self {
            Self::File(path) => tokio::fs::read(path).await.map_err(|error| format!("{}: {error}", path.display()))?,
            Self::Url(url) => fetch(url).await.map_err(|error| format!("{url}: {error}"))?,
        };
        serde_json::from_slice(&json).map_err(|error| format!("this is no set of keys (JWKS): {error}"))
    }
}

async fn fetch(url: &str) -> Result<Vec<u8>, String> {
    let client = reqwest::Client::builder().timeout(TIMEOUT).build().map_err(|error| error.to_string())?;
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

/// The keys that tokens are checked with. Clones share them.
#[derive(Debug, Clone)]
pub struct Keys {
    source: Option<KeySource>,
    held: Arc<RwLock<Held>>,
}

#[derive(Debug)]
struct Held {
    keys: JwkSet,
    read_at: Instant,
}

impl Keys {
    /// The keys that are there now.
    ///
    /// # Errors
    /// Why they cannot be had, in words.
    pub async fn read(source: KeySource) -> Result<Self, String> {
        let keys = source.read().await?;
        if keys.keys.is_empty() {
            return Err("there is no key in it".to_owned());
        }
        let held = Arc::new(RwLock::new(Held { keys, read_at: Instant::now() }));
        Ok(Self { source: Some(source), held })
    }

    fn of(key: Jwk) -> Self {
        let held = Arc::new(RwLock::new(Held { keys: JwkSet { keys: vec![key] }, read_at: Instant::now() }));
        Self { source: None, held }
    }

    /// The key that a token says it is signed with.
    ///
    /// # Errors
    /// A problem if there is none, or if it is for another algorithm.
    pub async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Jwk, Problem> {
        let (found, age) = {
            let held = self.held.read().await;
            (held.key(id), held.read_at.elapsed())
        };
        let found = match found {
            Some(key) if age < FRESH || self.source.is_none() => Some(key),
            None if age < ASKED_AGAIN_AFTER => None,
            before => self.refresh(id, before).await,
        };
        let key = found.ok_or_else(|| Problem::unauthenticated("no key of the issuer has the token's key id"))?;
        if key.common.key_algorithm.is_some_and(|stated| stated.to_string() != format!("{algorithm:?}")) {
            return Err(Problem::unauthenticated("the token is signed with another algorithm than its key is for"));
        }
        Ok(key)
    }

    /// Reads the keys anew. If they cannot be had, those from before are believed a little longer.
    async fn refresh(&self, id: Option<&str>, before: Option<Jwk>) -> Option<Jwk> {
        let source = self.source.as_ref()?;
        let mut held = self.held.write().await;
        match source.read().await {
            Ok(keys) => {
                *held = Held { keys, read_at: Instant::now() };
                held.key(id)
            }
            Err(reason) => {
                tracing::warn!(reason, "the issuer's keys cannot be had; those from before are used");
                held.read_at = Instant::now();
                before
            }
        }
    }
}

impl Held {
    /// The key with this id. A token without one can only mean the only key.
    fn key(&self, id: Option<&str>) -> Option<Jwk> {
        match id {
            Some(id) => self.keys.find(id).cloned(),
            None if self.keys.keys.len() == 1 => self.keys.keys.first().cloned(),
            None => None,
        }
    }
}

/// An issuer on this machine, with a key that is made when it starts. Only for playing.
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

    /// What its tokens are checked with.
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
