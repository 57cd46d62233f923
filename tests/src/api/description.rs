//! The documentation contains the description of the API, and the API does what the description says.

use std::path::PathBuf;

use recourse_api::description;
use serde_json::Value;

use super::Served;
use crate::harness::{Story, World, run};

/// `RECOURSE_WRITE_DOCS=1` writes it anew.
#[test]
fn the_description_is_in_the_documentation() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let description = format!("{:#}\n", description::description());
    if std::env::var_os("RECOURSE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &description).unwrap();
    }
    let documented = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        documented == description,
        "docs/openapi.json is not what the API is: run again with RECOURSE_WRITE_DOCS=1"
    );
}

/// Every reference leads somewhere.
#[test]
fn every_referenced_schema_exists() {
    let description = description::description();
    let text = description.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(description["components"]["schemas"][name].is_object(), "{name}");
    }
    assert_eq!(description["openapi"], "3.1.0");
}

/// How many requests the test generates for each operation in CI; `RECOURSE_API_EXAMPLES` sets more.
const EXAMPLES: &str = "10";

/// No answer is a server error, and the description has each answer's status, type and form.
#[test]
fn the_api_does_what_its_description_says() {
    run(async {
        let served = Served::shared().await;
        let world = World::shared().await;
        let mut story = Story::new(world, "described");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        // A case that is over: the event stream of an open one would not end.
        story.say("freelancer", "approve").await.unwrap();
        story.outcome().await;
        let token = served.issuer.token("all-1", &["service", "operator", "mediator", "arbitrator"], &[]);
        let python = std::env::var("RECOURSE_PYTHON").expect("RECOURSE_PYTHON: run the tests with `make test`");
        let program = PathBuf::from(python).with_file_name("schemathesis");
        let seed = std::env::var("RECOURSE_SEED").unwrap_or_else(|_| "5".to_owned());
        let examples = std::env::var("RECOURSE_API_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
        let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      missing_required_header,unsupported_method,ignored_auth";
        let ran = tokio::process::Command::new(program)
            .args(["run", &format!("{}/openapi.json", served.url), "--checks", checks, "--seed", &seed])
            .args(["--max-examples", &examples, "--phases", "examples,coverage,fuzzing", "--no-color"])
            .args(["--header", &format!("Authorization: Bearer {token}"), "--suppress-health-check", "all"])
            .args(["--generation-database", "none", "--warnings", "off"])
            .output()
            .await
            .expect("schemathesis is installed by `make test`");
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "seed {seed}:\n{said}\n{}", String::from_utf8_lossy(&ran.stderr));
        assert!(said.contains("passed"), "{said}");
    });
}
