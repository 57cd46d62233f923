//! An API served in this process, an issuer of tokens, and a client that sends requests for a person.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use recourse_api::{
    Front,
    front::{self, Parts},
    identity::{TokenRules, Tokens},
    keys::{KeySource, Keys, LocalIssuer},
    limits::Limits,
    peer::Proxies,
    personas,
    requests::RequestBook,
    serve,
    site::Site,
};
use recourse_database::Database;
use recourse_evidence::{EvidenceStore, IntakeLimits};
use recourse_ledger::Ledger;
use recourse_notifications::{NoticeBook, WebhookBook, webhooks::Secret};
use recourse_payments::{Hidden, SandboxBank, StripeCallbacks};
use recourse_programs::serving;
use recourse_refunds::RefundDesk;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::OnceCell};

use crate::harness::{PATIENCE, World};

/// The issuer of the tokens.
pub const ISSUER: &str = "https://issuer.example";

/// An issuer that signs tokens.
pub struct Issuer {
    keys: Vec<(Algorithm, EncodingKey, Value)>,
    directory: tempfile::TempDir,
}

impl Issuer {
    /// An issuer with a key of each kind.
    pub fn new() -> Self {
        let issuer = Self { keys: vec![ed(), ec(), rsa()], directory: tempfile::tempdir().unwrap() };
        let public: Vec<&Value> = issuer.keys.iter().map(|(.., public)| public).collect();
        std::fs::write(issuer.jwks(), json!({"keys": public}).to_string()).unwrap();
        issuer
    }

    /// The file of the public keys.
    pub fn jwks(&self) -> std::path::PathBuf {
        self.directory.path().join("jwks.json")
    }

    /// The environment of programs that trust it.
    pub fn env(&self) -> [(&'static str, String); 2] {
        [("RECOURSE_JWT_ISSUER", ISSUER.to_owned()), ("RECOURSE_JWKS", self.jwks().display().to_string())]
    }

    /// A token with these claims, signed with this algorithm.
    pub fn sign(&self, algorithm: Algorithm, claims: &Value) -> String {
        let (_, key, public) = self.keys.iter().find(|(known, ..)| *known == algorithm).unwrap();
        let header = Header { kid: public["kid"].as_str().map(str::to_owned), ..Header::new(algorithm) };
        encode(&header, claims, key).unwrap()
    }

    /// A valid token.
    pub fn token(&self, subject: &str, roles: &[&str], parties: &[&str]) -> String {
        self.sign(Algorithm::EdDSA, &claims(subject, roles, parties))
    }
}

/// Valid claims.
pub fn claims(subject: &str, roles: &[&str], parties: &[&str]) -> Value {
    let now = get_current_timestamp();
    json!({"iss": ISSUER, "aud": "recourse", "sub": subject, "iat": now, "exp": now + 600, "roles": roles, "parties": parties})
}

fn ed() -> (Algorithm, EncodingKey, Value) {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let public =
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "ed", "x": base64(pair.public_key().as_ref())});
    (Algorithm::EdDSA, EncodingKey::from_ed_der(document.as_ref()), public)
}

fn ec() -> (Algorithm, EncodingKey, Value) {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
    // An uncompressed point: 4, x, y.
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let public = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "ec", "x": base64(x), "y": base64(y)});
    (Algorithm::ES256, EncodingKey::from_ec_der(document.as_ref()), public)
}

fn rsa() -> (Algorithm, EncodingKey, Value) {
    let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    let key = pair.public_key();
    let (n, e) = (key.modulus().big_endian_without_leading_zero(), key.exponent().big_endian_without_leading_zero());
    let public = json!({"kty": "RSA", "alg": "RS256", "kid": "rsa", "n": base64(n), "e": base64(e)});
    let document: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    (Algorithm::RS256, EncodingKey::from_rsa_pem(pem(document.as_ref()).as_bytes()).unwrap(), public)
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der))
}

fn base64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// An API for a world.
pub struct Served {
    /// The issuer of its tokens.
    pub issuer: Issuer,
    /// Its URL.
    pub url: String,
    /// The folder of its files.
    pub files: tempfile::TempDir,
    /// The front that it serves.
    pub front: Front,
}

/// The secret that Stripe signs with.
pub const STRIPE_SECRET: &str = "whsec_of_these_tests";

/// The secret that the payment provider signs with.
pub const CALLBACK_SECRET: &str = "whsec_bm90IGEgcmVhbCBzZWNyZXQsIGp1c3QgYSB0ZXN0";

fn limited(requests_per_minute: u32) -> Limits {
    Limits::per_minute(NonZeroU32::new(requests_per_minute).unwrap())
}

/// The settings of an API.
struct Made {
    limits: Limits,
    allow_local: bool,
    played: Option<(LocalIssuer, Tokens)>,
    intake: IntakeLimits,
    /// On a busy machine, or while a worker is swapped for another, an answer takes longer than people wait.
    patience: Duration,
}

impl Default for Made {
    fn default() -> Self {
        Self {
            limits: limited(1_000),
            allow_local: false,
            played: None,
            intake: IntakeLimits::default(),
            patience: PATIENCE,
        }
    }
}

fn url_of(folder: &std::path::Path) -> String {
    format!("file://{}", folder.display())
}

/// A person with a token.
pub struct Sender<'a> {
    served: &'a Served,
    token: String,
}

impl Served {
    /// The one for the shared world that most tests use.
    pub async fn shared() -> &'static Self {
        static SERVED: OnceCell<Served> = OnceCell::const_new();
        SERVED.get_or_init(async || Self::of(World::shared().await, 1_000_000).await).await
    }

    /// One for a world, with this limit of requests a minute for each sender.
    pub async fn of(world: &World, requests_per_minute: u32) -> Self {
        Self::made(world, Made { limits: limited(requests_per_minute), ..Made::default() }).await
    }

    /// One that waits for a worker no longer than `recourse serve` does.
    pub async fn hasty(world: &World) -> Self {
        Self::made(world, Made { patience: front::PATIENCE, ..Made::default() }).await
    }

    /// One with these limits for uploads.
    pub async fn taking(world: &World, intake: IntakeLimits) -> Self {
        Self::made(world, Made { intake, ..Made::default() }).await
    }

    /// The same, behind these proxies.
    pub async fn behind(world: &World, requests_per_minute: u32, proxies: &[&str]) -> Self {
        let proxies = Proxies::new(proxies.iter().map(|proxy| Proxies::read(proxy).unwrap()));
        let limits = limited(requests_per_minute).behind(proxies);
        Self::made(world, Made { limits, ..Made::default() }).await
    }

    /// One that may send webhooks to this machine.
    pub async fn sandbox(world: &World) -> Self {
        Self::made(world, Made { allow_local: true, ..Made::default() }).await
    }

    /// One with personas, as `recourse dev` has it.
    pub async fn played(world: &World) -> Self {
        let local = LocalIssuer::new(personas::ISSUER, personas::AUDIENCE).unwrap();
        let tokens = Tokens::new(TokenRules::new(personas::ISSUER, personas::AUDIENCE), local.keys());
        let limits = limited(1_000_000);
        Self::made(world, Made { limits, allow_local: true, played: Some((local, tokens)), ..Made::default() }).await
    }

    async fn made(world: &World, made: Made) -> Self {
        let Made { limits, allow_local, played, intake, patience } = made;
        let issuer = Issuer::new();
        let keys = Keys::read(KeySource::File(issuer.jwks())).await.unwrap();
        let believed = Tokens::new(TokenRules::new(ISSUER, "recourse"), keys);
        let (local, tokens) = played.map_or((None, believed), |(local, tokens)| (Some(local), tokens));
        let database = Database::connect(&world.database_url).await.unwrap();
        let files = tempfile::tempdir().unwrap();
        let bank = Arc::new(SandboxBank::new(database.clone()));
        let desk = RefundDesk::new(Ledger::new(database.clone()), bank, NoticeBook::new(database.clone()));
        let front = Front::new(Parts {
            client: world.client.clone(),
            ledger: Ledger::new(database.clone()),
            notices: NoticeBook::new(database.clone()),
            requests: RequestBook::new(database.clone()),
            evidence: EvidenceStore::open(database.clone(), &url_of(files.path())).unwrap().with_intake(intake),
            webhooks: WebhookBook::new(database.clone()).allow_local(allow_local),
            refunds: desk,
            stripe: Some(StripeCallbacks::new(Hidden::new(STRIPE_SECRET.to_owned()))),
            callback_secret: Some(Arc::new(Secret::new(CALLBACK_SECRET).unwrap())),
            tokens,
            local,
            limits,
            temporal_ui: None,
            site: Site::loopback(),
            patience,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = serve::url(listener.local_addr().unwrap());
        tokio::spawn(serve::serve(
            front.clone(),
            recourse_console::pages(&front),
            listener,
            serving::Limits::default(),
            std::future::pending(),
        ));
        Self { issuer, url, files, front }
    }

    /// A person without a duty.
    pub fn party(&self, id: &str) -> Sender<'_> {
        self.with(self.issuer.token(id, &[], &[]))
    }

    /// A person with a duty.
    pub fn staff(&self, duty: &str) -> Sender<'_> {
        self.with(self.issuer.token(&format!("{duty}-9"), &[duty], &[]))
    }

    /// The person with this token.
    pub fn with(&self, token: String) -> Sender<'_> {
        Sender { served: self, token }
    }
}

impl Sender<'_> {
    /// Reads.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(Method::GET, path, None, &[]).await
    }

    /// Changes something, under a new key.
    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        static KEYS: AtomicU32 = AtomicU32::new(1);
        let key = format!("key-{}", KEYS.fetch_add(1, Ordering::Relaxed));
        self.post_as(path, body, &key).await
    }

    /// Changes something, under this key.
    pub async fn post_as(&self, path: &str, body: &Value, key: &str) -> (StatusCode, Value) {
        self.send(Method::POST, path, Some(body.to_string()), &[("idempotency-key", key)]).await
    }

    /// A request from this sender.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        // One client reuses its connections, as a backend does.
        static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(reqwest::Client::new);
        CLIENT.request(method, format!("{}{path}", self.served.url)).bearer_auth(&self.token)
    }

    /// Reads the head of an answer that does not end.
    pub async fn head(&self, path: &str) -> (StatusCode, Value) {
        (self.request(Method::GET, path).send().await.unwrap().status(), Value::Null)
    }

    /// Sends a request.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        let mut request = self.request(method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

/// The contract's parties as senders.
pub fn as_party<'a>(served: &'a Served, contract: &Value, role: &str) -> Sender<'a> {
    served.party(contract[role]["id"].as_str().unwrap())
}
