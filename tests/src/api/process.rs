//! `recourse serve` as a process of its own, configured by environment variables.

use std::{process::Stdio, time::Duration};

use jsonwebtoken::Algorithm;
use recourse_api::{keys::LocalIssuer, personas};
use reqwest::{Client, StatusCode, redirect::Policy};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::served::{ISSUER, Issuer, claims};
use crate::{
    command_line::recourse,
    harness::{World, program, run},
};

/// A server whose platform has its own issuer and its own names for duties. It stops when this is dropped.
pub struct Process {
    pub url: String,
    _child: Child,
}

impl Process {
    /// Starts one that keeps evidence there, with these settings added to its own.
    pub async fn start(world: &World, issuer: &Issuer, evidence: &str, settings: &[(&str, &str)]) -> Self {
        let mut child = Command::new(program("recourse"))
            .args(["serve", "--json"])
            .envs(world.env().iter().cloned())
            .env("RECOURSE_LISTEN", "127.0.0.1:0")
            .env("RECOURSE_JWT_ISSUER", ISSUER)
            .env("RECOURSE_JWT_AUDIENCE", "recourse")
            .env("RECOURSE_JWKS", issuer.jwks())
            .env("RECOURSE_JWT_ROLES", "dispute-team=mediator,ops=operator")
            .env("RECOURSE_EVIDENCE_URL", evidence)
            .env("RECOURSE_LOG", "error")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines.next_line().await.unwrap().expect("the server's address");
        let said: Value = serde_json::from_str(&said).unwrap();
        Self { url: said["url"].as_str().unwrap().to_owned(), _child: child }
    }

    /// The status of a read with this token.
    async fn get(&self, path: &str, token: &str) -> StatusCode {
        let request = Client::new().get(format!("{}{path}", self.url)).bearer_auth(token);
        request.send().await.unwrap().status()
    }

    /// The status of a form to sign in.
    async fn sign_in(&self, form: String) -> StatusCode {
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        let request = client.post(format!("{}/session", self.url)).body(form);
        request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap().status()
    }
}

/// The server accepts tokens of the issuer that its environment names, in each algorithm, and no others; and there are no
/// personas.
#[test]
fn a_server_accepts_tokens_only_from_its_issuer() {
    run(async {
        let (world, issuer, files) = (World::shared().await, Issuer::new(), tempfile::tempdir().unwrap());
        let evidence = format!("file://{}", files.path().display());
        let process = Process::start(world, &issuer, &evidence, &[]).await;
        for algorithm in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256] {
            let token = issuer.sign(algorithm, &claims("cl-1", &[], &[]));
            assert_eq!(process.get("/v1/contracts", &token).await, StatusCode::OK, "{algorithm:?}");
        }
        let with = |name: &str, value: Value| {
            let mut claims = claims("cl-1", &[], &[]);
            claims[name] = value;
            issuer.sign(Algorithm::ES256, &claims)
        };
        let played = LocalIssuer::new(personas::ISSUER, personas::AUDIENCE).unwrap();
        for (why, token) in [
            ("another's key", Issuer::new().token("cl-1", &[], &[])),
            ("another issuer", with("iss", json!("https://elsewhere.example"))),
            ("another audience", with("aud", json!("other"))),
            ("expired", with("exp", json!(1_000_000))),
            ("the sandbox's own issuer", played.token("ops-1", &["operator"], &[]).unwrap()),
        ] {
            assert_eq!(process.get("/v1/contracts", &token).await, StatusCode::UNAUTHORIZED, "{why}");
        }
        // Duties have the names that this issuer gives them.
        let operator = |duty: &str| issuer.token("o-1", &[duty], &[]);
        assert_eq!(process.get("/v1/refunds", &operator("ops")).await, StatusCode::OK);
        assert_eq!(process.get("/v1/refunds", &operator("operator")).await, StatusCode::FORBIDDEN);

        assert_eq!(process.get("/dev/personas", &operator("ops")).await, StatusCode::NOT_FOUND);
        let token = Client::new().post(format!("{}/dev/tokens/ops-1", process.url)).send().await.unwrap();
        assert_eq!(token.status(), StatusCode::NOT_FOUND);
        assert_eq!(process.sign_in("persona=ops-1".to_owned()).await, StatusCode::NOT_FOUND);
        assert_eq!(process.sign_in(format!("token={}", operator("ops"))).await, StatusCode::OK);
        let page = reqwest::get(format!("{}/sign-in", process.url)).await.unwrap().text().await.unwrap();
        assert!(page.contains("name=\"token\"") && !page.contains("Olga"), "{page}");
    });
}

/// Where a real issuer is set nobody can sign in as a persona, and a server without one does not start.
#[test]
fn no_persona_signs_in_where_an_issuer_is_set() {
    run(async {
        let world = World::shared().await;
        let directory = tempfile::tempdir().unwrap();
        let mut dev = Command::new(program("recourse"));
        dev.arg("dev").env("RECOURSE_JWT_ISSUER", ISSUER).current_dir(directory.path()).kill_on_drop(true);
        let ended = tokio::time::timeout(Duration::from_secs(30), dev.output()).await;
        let refused = ended.expect("the server exits").unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("RECOURSE_JWT_ISSUER is set"), "{said}");
        let serve = recourse(world, directory.path(), &["serve", "--evidence", "file:///nowhere"]).await;
        assert_eq!(serve.code, 2, "{}", serve.err);
        assert!(serve.err.contains("--issuer") && serve.err.contains("--jwks"), "{}", serve.err);
    });
}
