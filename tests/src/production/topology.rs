//! Our own services of `docker-compose.yml`, run without containers: the same commands, variables and secrets, through the
//! image's entrypoint, with a `PostgreSQL` server, Temporal, a mail server and a collector.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
};

use reqwest::{Client, Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
};

use super::{delivery, traces::Collector};
use crate::harness::{Mailbox, World, free_port, program, run};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A `PostgreSQL` server for this test. It ends when its input does.
struct Postgres {
    url: String,
    _input: ChildStdin,
    _server: Child,
}

impl Postgres {
    async fn start() -> Self {
        let mut server = Command::new(root().join(".ci/with-postgres"))
            .args(["bash", "-c", "echo \"$RECOURSE_TEST_POSTGRES\"; read -r _ || true"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = server.stdin.take().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        loop {
            let line = lines.next_line().await.unwrap().expect("PostgreSQL starts");
            if line.starts_with("postgres://") {
                return Self { url: line, _input: input, _server: server };
            }
        }
    }
}

/// The compose file, with this machine's paths and addresses instead of the containers'.
struct Compose {
    services: Value,
    folder: PathBuf,
    places: Vec<(String, String)>,
}

impl Compose {
    /// Reads it as docker compose does, and makes its secrets with `.compose/prepare`.
    async fn read(folder: &Path, places: Vec<(String, String)>) -> Self {
        let config = Command::new(delivery("docker-compose"))
            .args(["--file", "docker-compose.yml", "config", "--format", "json"])
            .current_dir(root())
            .output()
            .await
            .unwrap();
        assert!(config.status.success(), "{}", String::from_utf8_lossy(&config.stderr));
        let config: Value = serde_json::from_slice(&config.stdout).unwrap();
        let copied =
            Command::new("cp").args(["-r", ".compose"]).arg(folder).current_dir(root()).status().await.unwrap();
        // This test does not use the files of a trial on this machine.
        for made in ["secrets", "identity"] {
            let _ = std::fs::remove_dir_all(folder.join(".compose").join(made));
        }
        let prepared = Command::new(folder.join(".compose/prepare")).stdout(Stdio::null()).status().await.unwrap();
        assert!(copied.success() && prepared.success());
        Self { services: config["services"].clone(), folder: folder.to_owned(), places }
    }

    fn secret(&self, name: &str, content: &str) {
        std::fs::write(self.folder.join(".compose/secrets").join(name), content).unwrap();
    }

    /// Starts a service's process. It listens on free ports; returns them by the compose file's ports.
    fn start(&self, service: &str) -> (Child, BTreeMap<String, u16>) {
        let service = &self.services[service];
        let mut ports = BTreeMap::new();
        let mut command = Command::new(root().join(".compose/entrypoint"));
        command.args(service["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()));
        let programs = program("recourse").parent().unwrap().display().to_string();
        command.env_clear().env("PATH", format!("{programs}:/usr/bin:/bin")).current_dir(&self.folder);
        for (name, value) in service["environment"].as_object().unwrap() {
            let mut value = value.as_str().unwrap().to_owned();
            if let Some(port) = value.strip_prefix("0.0.0.0:") {
                let free = *ports.entry(port.to_owned()).or_insert_with(free_port);
                value = format!("127.0.0.1:{free}");
            }
            for (from, to) in &self.places {
                value = value.replace(from, to);
            }
            command.env(name, value);
        }
        (
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .unwrap(),
            ports,
        )
    }

    /// Waits until the service's own health check passes.
    async fn healthy(&self, service: &str, ports: &BTreeMap<String, u16>) {
        let test = self.services[service]["healthcheck"]["test"].as_array().unwrap();
        let [_, script, port, path] = test.as_slice() else { panic!("{test:?}") };
        let port = ports[port.as_str().unwrap()].to_string();
        for _ in 0..200 {
            let mut check = Command::new(root().join(".compose").join(script.as_str().unwrap()));
            let checked = check.args([&port, path.as_str().unwrap()]).output().await.unwrap();
            if checked.status.success() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{service} never gets healthy");
    }

    /// A token like that of a trial.
    async fn token(&self, who: &[&str]) -> String {
        let token = Command::new(self.folder.join(".compose/token")).args(who).output().await.unwrap();
        String::from_utf8(token.stdout).unwrap().trim().to_owned()
    }
}

/// Asks a service to stop, and checks that it ends in good order.
async fn stop(mut service: Child) {
    kill_process(Pid::from_raw(service.id().unwrap().cast_signed()).unwrap(), Signal::TERM).unwrap();
    assert!(service.wait().await.unwrap().success());
}

/// The services start and become healthy as the compose file says: set-up, two workers, the API and the codec server. A case
/// ends although one worker stops in the middle, mail and spans arrive, and all services end in good order.
#[test]
fn the_compose_files_services_work_together() {
    run(async {
        let world = World::apart("topology", &[]).await;
        world.stop_worker().await;
        let (postgres, mailbox, (collector, endpoint)) =
            (Postgres::start().await, Mailbox::start(0).await, Collector::start().await);
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display().to_string();
        let places = [
            ("temporal:7233", world.client.address().to_owned()),
            ("/run/secrets", format!("{here}/.compose/secrets")),
            ("/etc/recourse", format!("{here}/.compose/identity")),
            ("/var/lib/recourse", here.clone()),
            ("http://collector:4317", endpoint),
        ];
        let places = places.map(|(from, to)| (from.to_owned(), to)).to_vec();
        let mut compose = Compose::read(folder.path(), places).await;
        for service in ["setup", "worker", "serve"] {
            let environment = compose.services[service]["environment"].as_object_mut().unwrap();
            environment.insert("TEMPORAL_NAMESPACE".to_owned(), json!(world.client.namespace()));
        }
        compose.secret("ledger_url", &postgres.url);
        compose.secret("smtp_url", &mailbox.url());

        let (mut setup, _) = compose.start("setup");
        assert!(setup.wait().await.unwrap().success());
        let mut running = Vec::new();
        for service in ["worker", "worker", "serve", "codec"] {
            let (process, ports) = compose.start(service);
            compose.healthy(service, &ports).await;
            running.push((process, ports));
        }
        let api = format!("http://127.0.0.1:{}", running[2].1["8080"]);
        let send = async |token: &str, path: &str, body: Value| {
            let request = Client::new().request(Method::POST, format!("{api}{path}")).bearer_auth(token);
            let answer = request.header("idempotency-key", path.replace('/', ".")).json(&body).send().await.unwrap();
            let status = answer.status();
            (status, answer.json::<Value>().await.unwrap())
        };
        let contract = json!({"id": "c-1", "title": "Logo", "kind": "fixed_price", "currency": "USD",
                              "client": {"id": "cl-1", "email": "cl-1@example.org"}, "freelancer": {"id": "fl-1"}});
        let deposit = json!({"deposit": "d-1", "amount": 30_000, "contract": contract,
                             "source": {"id": "card-1", "verified": true}});
        let backend = compose.token(&["backend", "service"]).await;
        let (status, made) = send(&backend, "/v1/contracts/c-1/deposits", deposit).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let (client, freelancer) = (compose.token(&["cl-1"]).await, compose.token(&["fl-1"]).await);
        let (status, ended) = send(&client, "/v1/contracts/c-1/end", json!({"pay_now": 10_000})).await;
        assert_eq!(status, StatusCode::CREATED, "{ended}");

        // One of the two workers stops, and nothing waits.
        stop(running.remove(0).0).await;
        let (status, approved) = send(&freelancer, "/v1/cases/refund-request:c-1/commands/approve", json!({})).await;
        assert_eq!(status, StatusCode::OK, "{approved}");
        assert!(!mailbox.to("cl-1@example.org", 1).await.is_empty());
        collector.until(|spans| spans.iter().any(|(_, span)| span.name == "ledger: post")).await;
        for (process, _) in running {
            stop(process).await;
        }
    });
}
