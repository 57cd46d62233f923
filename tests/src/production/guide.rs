//! Runs `docs/production.md` as written: a database server, Temporal behind TLS with certificates and an API key, two workers
//! and the API, a trial, a second build, a backup and the way back.

use std::process::Stdio;

use tokio::process::Command;

use super::front::{API_KEY, Front, authority, certificate};
use crate::{
    api::Issuer,
    harness::{free_port, program, run, server_address, unique},
};

const GUIDE: &str = include_str!("../../../docs/production.md");

/// Before the backup: a case that is open after the restoration.
const OPEN_CASE: &str = "
sed -e s/trial/second/ -e s/trial-/second-/g contract.json > second.json
recourse deposit --contract-file second.json --deposit d-1 --amount 50.00 --source card-2
recourse end --contract-file second.json --pay 0
echo everything before the backup was done
";

/// After the backup: something that the restored ledger lacks. In the end the open case continues.
const LOST: &str = "
recourse deposit --contract-file second.json --deposit d-2 --amount 70.00 --source card-2
";

const GOES_ON: &str = "
RECOURSE_BUILD_ID=2 RECOURSE_WORKER_LISTEN=127.0.0.1:9467 recourse-worker 2>> worker-3.log &
until curl -fsS http://127.0.0.1:9467/readyz; do sleep 1; done
recourse ledger --contract second-1
recourse act refund-request:second-1 approve --as freelancer:second-freelancer
recourse show refund-request:second-1
recourse ledger --check
echo everything after the way back was done
";

/// A new operator gets a running installation, moves to a new build, and goes back to a backup, with this page alone.
#[test]
fn a_new_operator_can_follow_the_guide() {
    run(async {
        let blocks: Vec<_> = GUIDE.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        let [settings, setup, workers, api, trial, build, backup, restore] = blocks.as_slice() else {
            panic!("the guide has {} blocks of commands", blocks.len())
        };
        let script = [settings, setup, workers, api, trial, build, OPEN_CASE, backup, LOST, restore, GOES_ON].concat();

        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("etc");
        std::fs::create_dir(&home).unwrap();
        let ours = authority();
        let front = Front::start(&server_address().await, &ours, folder.path()).await;
        let (client, key) = certificate(&ours, "client", folder.path());
        let issuer = Issuer::new();
        std::fs::write(home.join("temporal-ca.pem"), ours.pem()).unwrap();
        for (file, name) in [(client, "client.pem"), (key, "client.key"), (issuer.jwks(), "jwks.json")] {
            std::fs::copy(file, home.join(name)).unwrap();
        }
        let mut script = script
            .replace("<<'END'\nRECOURSE_DATABASE_URL", "<<END\nRECOURSE_DATABASE_URL")
            .replace("postgres://recourse:secret@db.example.com/recourse", "$GUIDE_DATABASE")
            .replace("temporal.example.com:7233", &front.address)
            .replace("TEMPORAL_NAMESPACE=recourse", "TEMPORAL_NAMESPACE=$GUIDE_NAMESPACE")
            .replace("--namespace recourse ", "--namespace $GUIDE_NAMESPACE ")
            .replace("temporal-api-key", API_KEY)
            .replace("/etc/recourse", &home.display().to_string());
        for port in ["9464", "9465", "9466", "9467", "8080"] {
            script = script.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{}", free_port()));
        }
        let begin = "export GUIDE_DATABASE=${RECOURSE_TEST_POSTGRES%/*}/guide\n\
                     psql --quiet \"$RECOURSE_TEST_POSTGRES\" -c 'CREATE DATABASE guide'\n\
                     trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n";
        let programs = program("recourse").parent().unwrap().display().to_string();
        let cli = std::env::var("RECOURSE_TEMPORAL_CLI").unwrap();
        let cli = std::path::Path::new(&cli).parent().unwrap().display().to_string();
        let path = format!("{programs}:{cli}:{}", std::env::var("PATH").unwrap());
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/with-postgres"));
        command
            .args([
                "timeout",
                "180",
                "bash",
                "-euo",
                "pipefail",
                "-c",
                &format!("{begin}cd {}\n{script}", folder.path().display()),
            ])
            .env("PATH", path)
            .env("GUIDE_NAMESPACE", unique("guide"))
            .stdin(Stdio::null());
        let ended = command.output().await.unwrap();
        let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "{out}\n{err}");
        for said in ["everything before the backup was done", "everything after the way back was done"] {
            assert!(out.contains(said), "{out}\n{err}");
        }
        assert!(out.contains("recourse_ledger_check_passed 1"), "{out}");
        assert!(out.contains("refunded"), "{out}");
        assert!(front.calls() > 50, "everything went through the front");
    });
}
