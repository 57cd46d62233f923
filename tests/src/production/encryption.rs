//! Encrypted payloads: what the Temporal server stores reveals nothing, and programs with the keys read everything.

use std::{path::Path, process::Stdio, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use recourse_domain::{case::What, stage::Stage};
use recourse_programs::temporal::{KEYS_FILE, PayloadKeys};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use temporalio_client::{UntypedSignal, UntypedWorkflow, WorkflowSignalOptions};
use temporalio_common::{data_converters::RawValue, protos::temporal::api::common::v1::Payload};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::{
    api::Issuer,
    command_line::recourse,
    harness::{Story, World, program, run},
};

/// The texts that people wrote in the case, each in words that occur nowhere else.
const WRITTEN: [&str; 9] = [
    "Quartermain",
    "zebulon@example.org",
    "emerald",
    "crooked",
    "turnip",
    "lighthouse",
    "pelican",
    "marzipan",
    "obsidian",
];

/// Plays a dispute in which people say each of these words. The last is in a refused command.
async fn dispute(world: &World, story: &Story<'_>) {
    story.deposit("d-1", 30_000, "card-1").await;
    let body = |said: Value| said.as_object().unwrap().clone();
    let freelancer = json!({"party": "freelancer", "id": story.contract["freelancer"]["id"]});
    let client = json!({"party": "client", "id": story.contract["client"]["id"]});
    let mediator = json!({"party": "mediator", "id": "me-1"});
    let start = json!({"contract": story.contract, "pay_now": 0, "reason": "The turnip is missing."});
    let start: recourse_domain::messages::RefundRequestStart = serde_json::from_value(start).unwrap();
    world.client.start(start).await.unwrap();
    story.opened(&story.refund_request).await;
    let say = async |case: &str, command_kind: &str, fields: Value| {
        world.client.command(case, serde_json::from_value(json!(command_kind)).unwrap(), body(fields)).await
    };
    let claim = json!({"by": freelancer, "amount": 15_000, "reason": "work_delivered", "details": "The emerald logo."});
    say(&story.refund_request, "dispute", claim).await.unwrap();
    world.opened(&story.dispute).await;
    let offer = json!({"by": client, "to_freelancer": 5_000, "message": "For the lighthouse."});
    say(&story.dispute, "offer", offer).await.unwrap();
    let reject = json!({"by": client, "of": "claim", "reason": "incomplete", "details": "It is crooked."});
    say(&story.dispute, "reject", reject).await.unwrap();
    let propose = json!({"by": mediator, "to_freelancer": 9_000, "rationale": "As with the pelican."});
    say(&story.dispute, "propose", propose).await.unwrap();
    let refused = json!({"by": mediator, "to_freelancer": 9_000, "rationale": "Again, with obsidian."});
    let refused = say(&story.dispute, "propose", refused).await.unwrap_err();
    assert!(refused.to_string().contains("propose"), "{refused}");
    let signal = json!({"by": client, "of": "resolution", "reason": "marzipan"}).to_string();
    world.client.signal(&story.dispute, "reject", signal.into_bytes()).await.unwrap();
    story.wait(&story.dispute, |status| status.stage == Stage::AwaitingArbitrationDemand).await;
}

fn named<'world>(world: &'world World, name: &str) -> Story<'world> {
    Story::new(world, name).with(&json!({
        "client": {"id": format!("cl-{name}"), "name": "Zebulon Quartermain", "email": "zebulon@example.org"},
    }))
}

/// All bytes in the files of the server's database.
fn kept(database: &Path) -> Vec<u8> {
    let folder = std::fs::read_dir(database.parent().unwrap()).unwrap();
    let files = folder.map(|entry| entry.unwrap().path());
    let ours = files.filter(|file| file.file_name().unwrap().to_string_lossy().starts_with("temporal.db"));
    ours.flat_map(|file| std::fs::read(file).unwrap()).collect()
}

fn found(kept: &[u8], word: &str) -> bool {
    kept.windows(word.len()).any(|bytes| bytes == word.as_bytes())
}

/// The server's database has no word that people wrote, and no names and addresses. The same search finds a start by a program
/// without the keys, in the same file.
#[test]
fn the_server_keeps_nothing_that_people_wrote() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("temporal.db");
        let mut world = World::encrypted(&database).await;
        let plain = Story::new(&world, "plain").with(&json!({"client": {"id": "cl-plain", "name": "Plainspoken"}}));
        let contract = directory.path().join("plain.json");
        std::fs::write(&contract, plain.contract.to_string()).unwrap();
        let mut deposit = Command::new(program("recourse"));
        deposit.args(["deposit", "--deposit", "d-1", "--amount", "10.00", "--source", "card-1", "--contract-file"]);
        let started = deposit.arg(&contract).envs(world.env().iter().cloned()).env_remove(KEYS_FILE).output().await;
        let said = String::from_utf8(started.unwrap().stderr).unwrap();
        assert!(said.contains("is encrypted"), "its answer is encrypted: {said}");

        let mut story = named(&world, "secret");
        dispute(&world, &story).await;
        let status = world.status(&story.dispute).await;
        assert_eq!(status.particulars.claim.unwrap().details, "The emerald logo.", "those with the keys see it");
        story.on(&story.dispute.clone());
        story.play("1 client demand_arbitration; 25").await;
        story.outcome().await;
        let id = story.id();
        world.stop_worker().await;
        world.stop_server().await;
        let kept = kept(&database);
        for word in [id.as_str(), "Plainspoken"] {
            assert!(found(&kept, word), "{word} is in the server's database, and not found");
        }
        for word in WRITTEN {
            assert!(!found(&kept, word), "{word} is in the server's database");
        }
    });
}

/// A program without the key, or with another, says so; a new key takes over while cases are open; and a case refuses a payload
/// that only looks encrypted like any unreadable one.
#[test]
fn keys_can_be_missing_new_or_forged() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let world = World::encrypted(&directory.path().join("temporal.db")).await;
        let mut story = named(&world, "keys");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let case = story.refund_request.clone();

        let with = async |keys: &str| {
            let mut show = Command::new(program("recourse"));
            let shown = show.args(["show", &case]).envs(world.env().iter().cloned()).env(KEYS_FILE, keys).output();
            let shown = shown.await.unwrap();
            (shown.status.code().unwrap(), String::from_utf8(shown.stderr).unwrap())
        };
        let file = directory.path().join("other.keys");
        let (code, said) = with("").await;
        assert!(code == 2 && said.contains("is encrypted") && said.contains(KEYS_FILE), "{code} {said}");
        let (code, said) = with(&file.display().to_string()).await;
        assert!(code == 2 && said.contains("cannot be read"), "{code} {said}");
        std::fs::write(&file, PayloadKeys::new_line("second").unwrap()).unwrap();
        let (code, said) = with(&file.display().to_string()).await;
        assert!(code == 2 && said.contains("the key first"), "{code} {said}");

        // As the operations guide says: the new key comes first in the file, the old one stays in it.
        let first = world.env().iter().find(|(name, _)| name == KEYS_FILE).unwrap().1.clone();
        let both =
            format!("{}\n{}\n", std::fs::read_to_string(&file).unwrap(), std::fs::read_to_string(&first).unwrap());
        std::fs::write(&file, both).unwrap();
        world.stop_worker().await;
        let rotated = world.another_worker(&[(KEYS_FILE, &file.display().to_string())]).await;
        let (code, said) = with(&file.display().to_string()).await;
        assert_eq!(code, 0, "{said}");
        rotated.stop().await.unwrap();
        world.start_worker().await;

        let metadata = [
            ("encoding".to_owned(), b"binary/encrypted".to_vec()),
            ("encryption-key-id".to_owned(), b"first".to_vec()),
        ];
        let forged = Payload { metadata: metadata.into(), data: vec![7; 64], ..Payload::default() };
        // A client without keys sends it unencrypted.
        let config = recourse_client::Config {
            address: Some(world.client.address().to_owned()),
            ..recourse_client::Config::default()
        };
        let outsider = recourse_client::Client::connect(config).await.unwrap();
        let handle = outsider.temporal().get_workflow_handle::<UntypedWorkflow>(&case);
        let signal = UntypedSignal::new("approve");
        handle.signal(signal, RawValue::new(vec![forged]), WorkflowSignalOptions::default()).await.unwrap();
        let status =
            story.wait(&case, |status| status.timeline.iter().any(|entry| entry.what == What::Unreadable)).await;
        assert_eq!(status.stage, Stage::AwaitingFreelancer, "{status:?}");
        story.play("1 freelancer approve").await;
        story.outcome().await;
        world.check_money().await;
    });
}

/// The codec server as a process. It ends when this is dropped.
struct CodecServer {
    url: String,
    _child: Child,
}

const UI: &str = "https://temporal.example.com";

impl CodecServer {
    async fn start(world: &World, issuer: &Issuer) -> Self {
        let mut child = Command::new(program("recourse"))
            .args(["codec-server", "--json", "--listen", "127.0.0.1:0", "--origin", UI])
            .envs(world.env().iter().cloned())
            .envs(issuer.env())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await;
        let said = said.expect("it starts").unwrap().expect("its address");
        let said: Value = serde_json::from_str(&said).unwrap();
        Self { url: said["url"].as_str().unwrap().to_owned(), _child: child }
    }
}

/// Operators see what a case says, in the Web UI and in `temporal`; other people and other pages do not.
#[test]
fn the_codec_server_shows_operators_what_is_encrypted() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let world = World::encrypted(&directory.path().join("temporal.db")).await;
        let story = named(&world, "codec");
        dispute(&world, &story).await;
        let issuer = Issuer::new();
        let server = CodecServer::start(&world, &issuer).await;
        let operator = issuer.token("op-1", &["operator"], &[]);

        let cli = std::env::var("RECOURSE_TEMPORAL_CLI").unwrap();
        let show = async |more: &[&str]| {
            let mut show = Command::new(&cli);
            show.args(["workflow", "show", "--output", "json", "--workflow-id", &story.dispute]);
            show.args(["--address", world.client.address()]).args(more);
            let shown = show.output().await.unwrap();
            let lines = String::from_utf8(shown.stdout).unwrap();
            let data = lines.lines().filter_map(|line| line.trim().strip_prefix("\"data\": \"")?.strip_suffix('"'));
            data.map(|data| String::from_utf8_lossy(&BASE64_STANDARD.decode(data).unwrap()).into_owned())
                .collect::<String>()
        };
        let bearer = format!("Bearer {operator}");
        let shown = show(&["--codec-endpoint", &server.url, "--codec-auth", &bearer]).await;
        assert!(shown.contains("The emerald logo.") && shown.contains("As with the pelican."), "{shown}");
        assert!(!show(&[]).await.contains("emerald"));

        let ask = async |token: Option<&str>, body: Value| {
            let request = Client::new().post(format!("{}/decode", server.url)).header("origin", UI).json(&body);
            let request = token.iter().fold(request, reqwest::RequestBuilder::bearer_auth);
            request.send().await.unwrap()
        };
        let nothing = json!({"payloads": []});
        let client = issuer.token("cl-codec", &["mediator"], &[]);
        assert_eq!(ask(None, nothing.clone()).await.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(ask(Some(&client), nothing.clone()).await.status(), StatusCode::FORBIDDEN);
        let answer = ask(Some(&operator), nothing).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["access-control-allow-origin"], UI);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let unknown =
            json!({"payloads": [{"metadata": {"encoding": "YmluYXJ5L2VuY3J5cHRlZA==", "encryption-key-id": "b2xk"}}]});
        let answer = ask(Some(&operator), unknown).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.text().await.unwrap().contains("the key old"));
        assert_eq!(ask(Some(&operator), json!({"payloads": [{"data": "!"}]})).await.status(), StatusCode::BAD_REQUEST);
        // The browser first asks whether the page may.
        for (origin, allowed) in [(UI, true), ("https://elsewhere.example", false)] {
            let request = Client::new().request(Method::OPTIONS, format!("{}/decode", server.url));
            let request = request.header("origin", origin).header("access-control-request-method", "POST");
            let asked = "authorization,content-type,x-namespace";
            let answer = request.header("access-control-request-headers", asked).send().await.unwrap();
            let headers = answer.headers();
            assert_eq!(headers.contains_key("access-control-allow-origin"), allowed, "{origin}: {headers:?}");
            let named = headers["access-control-allow-headers"].to_str().unwrap();
            assert!(asked.split(',').all(|header| named.contains(header)), "{named}");
        }
        // Without keys it refuses to start.
        let refused = recourse(
            World::shared().await,
            directory.path(),
            &["codec-server", "--origin", UI, "--issuer", "i", "--jwks", "none"],
        )
        .await;
        assert!(refused.code == 2 && refused.err.contains("payload keys"), "{}", refused.err);
    });
}
