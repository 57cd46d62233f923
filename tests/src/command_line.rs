//! The command line as people and scripts use it: the README's tour, exit codes, and error messages.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{World, free_port, program, run};

const README: &str = include_str!("../../README.md");

/// The output and exit code of a run of `recourse`.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.err))
    }
}

async fn finish(command: &mut Command) -> Run {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

pub async fn recourse(world: &World, directory: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(program("recourse"));
    command.args(arguments).envs(world.env().iter().cloned()).current_dir(directory);
    finish(&mut command).await
}

/// The README's tour runs from the top as written, and the money ends where it says.
#[test]
fn the_tour_of_the_readme_works() {
    run(async {
        let world = World::apart("tour", &[]).await;
        let directory = tempfile::tempdir().unwrap();
        let blocks: Vec<_> = README.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(blocks.len() > 5, "the tour's commands are the README's sh blocks");
        let path = format!("{}:{}", program("recourse").parent().unwrap().display(), std::env::var("PATH").unwrap());
        let mut script = Command::new("bash");
        script.args(["-euo", "pipefail", "-c", &blocks.concat()]).env("PATH", path).envs(world.env().iter().cloned());
        let tour = finish(script.current_dir(directory.path())).await;
        assert_eq!(tour.code, 0, "{}\n{}", tour.out, tour.err);
        assert!(tour.out.contains("refused, as it should be"));
        assert!(tour.err.contains("NotAllowed"), "{}", tour.err);
        assert!(!tour.out.contains('\u{1b}') && !tour.err.contains('\u{1b}'), "no colours in a pipe");

        for (contract, moved, escrow) in [
            ("c-1", "deposit 30000, release 10000, release 9000, refund 11000", 0),
            ("c-2", "deposit 8000, refund 8000", 0),
            ("c-3", "deposit 20000, release 15000, deposit 5000, return 2000", 10_000),
        ] {
            let ledger = recourse(&world, directory.path(), &["ledger", "--contract", contract, "--json"]).await.json();
            let entries = ledger["entries"].as_array().unwrap();
            let shown: Vec<_> = entries
                .iter()
                .map(|entry| format!("{} {}", entry["kind"].as_str().unwrap(), entry["amount"]))
                .collect();
            assert_eq!(shown.join(", "), moved);
            assert_eq!(ledger["balances"]["escrow"], escrow);
        }
        let list = recourse(&world, directory.path(), &["list", "--contract", "c-1", "--json"]).await;
        assert_eq!(list.code, 0, "{}", list.err);
    });
}

/// A dozen contracts whose parties act at random, on a server, a worker and a database that the command starts.
#[test]
fn the_simulation_plays_contracts_to_their_ends() {
    run(async {
        let world = World::shared().await;
        let directory = tempfile::tempdir().unwrap();
        let seed = "11";
        let ran = recourse(world, directory.path(), &["sim", "--contracts", "12", "--seed", seed, "--json"]).await;
        assert_eq!(ran.code, 0, "seed {seed}: {}{}", ran.out, ran.err);
        let summary = &ran.json()["summary"];
        assert_eq!((&summary["contracts"], &summary["check"]["findings"]), (&12.into(), &Value::Array(vec![])));
        assert!(summary["commands"]["given"].as_u64().unwrap() > 20, "{summary}");
        assert!(summary["outcomes"].as_array().unwrap().len() > 10, "{summary}");
    });
}

/// The meaning of each exit code; every error says what to do.
#[test]
fn errors_say_what_happened_why_and_what_to_do() {
    run(async {
        let world = World::shared().await;
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write(
            "good.json",
            r#"{"id":"cli-1","kind":"fixed_price","currency":"USD","client":{"id":"cl-1"},"freelancer":{"id":"fl-1"}}"#,
        );
        write(
            "hourly.json",
            r#"{"id":"cli-2","kind":"hourly","currency":"USD","client":{"id":"cl-1"},"freelancer":{"id":"fl-1"}}"#,
        );
        write("bad.json", "{\"id\": \"cli-3\", \"kind\": \"fixed_price\",\n \"currency\": \"DOLLAR\"}");
        write("cut.json", "{\"id\": \"cli-3\",\n");
        let deposit = |file: &'static str, amount: &'static str| {
            vec!["deposit", "--contract-file", file, "--deposit", "d-1", "--amount", amount, "--source", "card-1"]
        };
        for (arguments, code, words) in [
            (vec!["show", "refund-request:nobody"], 1, &["no case", "refund-request:nobody"][..]),
            (vec!["act", "refund-request:nobody", "approve", "--as", "freelancer:fl-1"], 1, &["no case"]),
            (vec!["act", "refund-request:nobody", "approve"], 2, &["--as"]),
            (vec!["act", "dispute:x", "propose", "--as", "mediator:m"], 2, &["to-freelancer"]),
            (vec!["act", "dispute:x", "sell", "--as", "mediator:m"], 2, &["sell"]),
            (vec!["nonsense"], 2, &["nonsense"]),
            (vec!["advance", "refund-request:nobody", "3 fortnights"], 2, &["fortnights"]),
            (vec!["ledger", "--contract", "nobody"], 1, &["nobody"]),
            (deposit("good.json", "1.234"), 2, &["1.234", "300.00"]),
            (deposit("good.json", "-5"), 2, &["-5"]),
            (deposit("good.json", "0"), 1, &["E2"]),
            (deposit("hourly.json", "5"), 1, &["E1", "hourly"]),
            (deposit("missing.json", "5"), 2, &["missing.json"]),
            (deposit("bad.json", "5"), 2, &["bad.json", "line 2", "currency", "DOLLAR"]),
            (deposit("cut.json", "5"), 2, &["cut.json", "line"]),
            (vec!["end", "--contract-file", "good.json", "--pay", "1.00"], 1, &["R2", "0.00 USD"]),
        ] {
            let ended = recourse(world, directory.path(), &arguments).await;
            assert_eq!(ended.code, code, "{arguments:?}: {}{}", ended.out, ended.err);
            for word in words {
                assert!(ended.err.contains(word), "{arguments:?} says {word}: {}{}", ended.out, ended.err);
            }
            let told = recourse(world, directory.path(), &[&arguments[..], &["--json"]].concat()).await;
            assert_eq!(told.code, code, "{arguments:?} --json");
            assert!(told.json().is_object(), "{arguments:?} --json: one document: {}", told.out);
        }
    });
}

/// Exit 3 and what to do when the server or the database is down.
#[test]
fn errors_name_what_is_down_and_how_to_start_it() {
    run(async {
        let world = World::shared().await;
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        for arguments in [&["show", "refund-request:c-1"][..], &["list"], &["setup"]] {
            let mut command = Command::new(program("recourse"));
            command.args(arguments).current_dir(directory.path()).env("TEMPORAL_ADDRESS", &address);
            let ended = finish(command.env("RECOURSE_DATABASE_URL", "sqlite:own.db")).await;
            assert_eq!(ended.code, 3, "{arguments:?}: {}", ended.err);
            assert!(ended.err.contains(&address) && ended.err.contains("make dev"), "{arguments:?}: {}", ended.err);
        }
        let mut worker = Command::new(program("recourse-worker"));
        worker
            .current_dir(directory.path())
            .env("TEMPORAL_ADDRESS", &address)
            .env("RECOURSE_DATABASE_URL", "sqlite:own.db");
        let ended = finish(&mut worker).await;
        assert_eq!(ended.code, 3, "{}", ended.err);
        assert!(ended.err.contains(&address), "{}", ended.err);

        for (url, word) in
            [("sqlite:missing.db", "recourse setup"), ("sqlite:/no/such/folder/r.db", "r.db"), ("oracle:x", "oracle")]
        {
            let mut command = Command::new(program("recourse"));
            command.args(["ledger", "--check"]).envs(world.env().iter().cloned()).current_dir(directory.path());
            let ended = finish(command.env("RECOURSE_DATABASE_URL", url)).await;
            assert_eq!(ended.code, 3, "{url}: {}", ended.err);
            assert!(ended.err.contains(word), "{url}: {}", ended.err);
        }
        assert!(!directory.path().join("missing.db").exists(), "reading makes no database");
        std::fs::write(directory.path().join("empty.db"), "").unwrap();
        let mut command = Command::new(program("recourse"));
        command.args(["ledger", "--check"]).current_dir(directory.path());
        let ended = finish(command.env("RECOURSE_DATABASE_URL", "sqlite:empty.db")).await;
        assert_eq!(ended.code, 3, "an old schema: {}", ended.err);
        assert!(ended.err.contains("recourse setup"), "{}", ended.err);
    });
}

/// `ledger --check` exits with 1 and names the fault.
#[test]
fn ledger_check_names_what_is_unsound() {
    run(async {
        let world = World::apart("unsound", &[]).await;
        let directory = tempfile::tempdir().unwrap();
        let contract =
            r#"{"id":"c-9","kind":"fixed_price","currency":"USD","client":{"id":"cl-1"},"freelancer":{"id":"fl-1"}}"#;
        std::fs::write(directory.path().join("c.json"), contract).unwrap();
        let deposit =
            ["deposit", "--contract-file", "c.json", "--deposit", "d-1", "--amount", "5", "--source", "card-1"];
        assert_eq!(recourse(&world, directory.path(), &deposit).await.code, 0);
        assert_eq!(recourse(&world, directory.path(), &["ledger", "--check"]).await.code, 0);
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(&world.database_url).await.unwrap();
        sqlx::query("UPDATE balances SET balance = balance + 1 WHERE account = 'escrow:c-9'")
            .execute(&pool)
            .await
            .unwrap();
        let checked = recourse(&world, directory.path(), &["ledger", "--check"]).await;
        assert_eq!(checked.code, 1, "{}", checked.out);
        assert!(format!("{}{}", checked.out, checked.err).contains("escrow:c-9"), "{}{}", checked.out, checked.err);
    });
}

/// L4: `ledger verify` shows a head to keep, and reports when the journal has another; `ledger export` writes the whole
/// journal.
#[test]
fn a_journal_is_exported_and_verified() {
    run(async {
        let world = World::apart("chained", &[]).await;
        let directory = tempfile::tempdir().unwrap();
        let ledger =
            async |arguments: &[&str]| recourse(&world, directory.path(), &[&["ledger"], arguments].concat()).await;
        let empty = ledger(&["export"]).await;
        assert!(
            empty.code == 0 && empty.out.starts_with("sequence,id,at,") && empty.out.lines().count() == 1,
            "{}",
            empty.out
        );
        assert_eq!(ledger(&["export", "--format", "json"]).await.out.trim(), "[]");
        let contract =
            r#"{"id":"c-9","kind":"fixed_price","currency":"USD","client":{"id":"cl-1"},"freelancer":{"id":"fl-1"}}"#;
        std::fs::write(directory.path().join("c.json"), contract).unwrap();
        for deposit in ["d-1", "d-2"] {
            let arguments =
                ["deposit", "--contract-file", "c.json", "--deposit", deposit, "--amount", "5", "--source", "card-1"];
            assert_eq!(recourse(&world, directory.path(), &arguments).await.code, 0);
        }
        let verified = ledger(&["verify", "--json"]).await.json();
        assert_eq!((&verified["postings"], &verified["findings"]), (&json!(2), &json!([])));
        let hash = verified["head"]["hash"].as_str().unwrap();
        let head = format!("{}:{hash}", verified["head"]["sequence"]);

        let csv = ledger(&["export"]).await.out;
        let rows: Vec<_> = csv.lines().collect();
        assert_eq!(rows[0], empty.out.trim(), "the same columns with rows and without");
        assert!(rows.len() == 3 && rows[2].contains("source:card-1,escrow:c-9,USD,500,c-9,"), "{csv}");
        assert!(rows[2].ends_with(hash), "{csv}");
        let exported = ledger(&["export", "--json", "--contract", "c-9"]).await.json();
        assert_eq!((exported.as_array().unwrap().len(), &exported[1]["hash"]), (2, &json!(hash)));
        assert_eq!(ledger(&["export", "--json", "--contract", "c-8"]).await.json(), json!([]));

        let told = ledger(&["verify", "--expect", &head]).await;
        assert!(told.code == 0 && told.out.contains(&format!("head {head}")), "{}", told.out);
        let other = ledger(&["verify", "--expect", &head.replace(hash, &"0".repeat(64))]).await;
        assert!(other.code == 1 && other.err.contains("kept head"), "{}{}", other.out, other.err);
        assert_eq!(ledger(&["verify", "--expect", "2:x"]).await.code, 2);
    });
}
