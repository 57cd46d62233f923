//! A server that requires TLS with certificates on both sides, an API key and a namespace, all from the standard variables or
//! `temporal.toml`.

use std::path::Path;

use tokio::process::Command;

use super::front::{API_KEY, Front, authority, certificate};
use crate::harness::{Story, World, program, run};

/// A program's environment variables.
type Env = Vec<(String, String)>;

/// How a program ended.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

/// Runs `recourse` with only these variables about Temporal.
async fn recourse(folder: &Path, database: &str, env: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let mut command = Command::new(program("recourse"));
    command.args(arguments).current_dir(folder).env("RECOURSE_DATABASE_URL", database).envs(env.iter().copied());
    let output = command.output().await.unwrap();
    Ended {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A worker and the command line reach the server through such a front, and conduct a case over it; without the certificate,
/// with another authority, or without the key they are refused, and say so.
#[test]
fn programs_reach_a_server_with_certificates_and_an_api_key() {
    run(async {
        let world = World::apart("trust", &[]).await;
        world.stop_worker().await;
        let folder = tempfile::tempdir().unwrap();
        let (ours, others) = (authority(), authority());
        let front = Front::start(world.client.address(), &ours, folder.path()).await;
        let file = |name: &str| folder.path().join(name).display().to_string();
        for (name, authority) in [("ours.ca", &ours), ("others.ca", &others)] {
            std::fs::write(file(name), authority.pem()).unwrap();
        }
        certificate(&ours, "client", folder.path());
        let (ca, other_ca, client, key) = (file("ours.ca"), file("others.ca"), file("client.pem"), file("client.key"));
        let namespace = world.client.namespace();
        let env = [
            ("TEMPORAL_ADDRESS", &*front.address),
            ("TEMPORAL_NAMESPACE", namespace),
            ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", &*ca),
            ("TEMPORAL_TLS_CLIENT_CERT_PATH", &*client),
            ("TEMPORAL_TLS_CLIENT_KEY_PATH", &*key),
            ("TEMPORAL_API_KEY", API_KEY),
        ];
        let worker = world.another_worker(&env).await;
        let story = Story::new(&world, "trust");
        std::fs::write(file("c.json"), story.contract.to_string()).unwrap();
        let say = async |env: &[(&str, &str)], words: &str| {
            recourse(folder.path(), &world.database_url, env, &words.split(' ').collect::<Vec<_>>()).await
        };
        let deposit = "deposit --contract-file c.json --deposit d-1 --amount 300.00 --source card-1";
        for words in [deposit, "end --contract-file c.json --pay 100.00"] {
            let ended = say(&env, words).await;
            assert_eq!(ended.code, 0, "{words}: {}", ended.err);
        }
        // The same from a file, as a profile.
        let profile = format!(
            "[profile.default]\naddress = \"{}\"\nnamespace = \"{namespace}\"\napi_key = \"{API_KEY}\"\n\
             [profile.default.tls]\nserver_ca_cert_path = \"{ca}\"\nclient_cert_path = \"{client}\"\nclient_key_path = \"{key}\"\n",
            front.address
        );
        std::fs::write(file("temporal.toml"), profile).unwrap();
        let config = file("temporal.toml");
        let shown = say(&[("TEMPORAL_CONFIG_FILE", &config)], &format!("show {} --json", story.refund_request)).await;
        assert!(shown.code == 0 && shown.out.contains("awaiting_freelancer"), "{} {}", shown.out, shown.err);
        assert!(front.calls() > 10, "they went through the front");

        let instead = |name: &str, value: &str| -> Env {
            let env = env.iter().map(|(known, was)| (*known, if *known == name { value } else { was }));
            env.filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        };
        let no_certificate: Env = instead("TEMPORAL_TLS_CLIENT_CERT_PATH", "");
        let cases = [
            ("no key to the certificate", no_certificate, 2, "certificate"),
            ("another authority", instead("TEMPORAL_TLS_SERVER_CA_CERT_PATH", &other_ca), 3, "cannot be reached"),
            ("another API key", instead("TEMPORAL_API_KEY", "guessed"), 3, "the API key is not known"),
            ("no such file", instead("TEMPORAL_TLS_CLIENT_KEY_PATH", "/no/such.key"), 2, "No such file"),
            ("no TLS", vec![("TEMPORAL_ADDRESS".to_owned(), front.address.clone())], 3, "cannot be reached"),
        ];
        for (why, env, code, said) in cases {
            let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (&**name, &**value)).collect();
            let ended = say(&env, "list").await;
            assert!(ended.code == code && ended.err.contains(said), "{why}: {} {}", ended.code, ended.err);
            assert!(ended.err.contains("hint:"), "{why}: {}", ended.err);
        }
        let both: Vec<(&str, &str)> = env.iter().copied().filter(|(name, _)| !name.contains("CLIENT")).collect();
        let ended = say(&both, "list").await;
        assert!(ended.code == 3 && ended.err.contains("cannot be reached"), "no certificate: {}", ended.err);
        worker.stop().await.unwrap();
    });
}
