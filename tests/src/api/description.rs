//! The description of the API is what is in the documentation, and the API does what it says.

use std::path::PathBuf;

use recourse_starter::api::serve;

/// `RECOURSE_WRITE_DOCS=1` writes it anew.
#[test]
fn the_description_is_in_the_documentation() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let description = format!("{:#}\n", serve::description());
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
fn every_schema_that_is_referred_to_is_there() {
    let description = serve::description();
    let text = description.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(description["components"]["schemas"][name].is_object(), "{name}");
    }
    assert_eq!(description["openapi"], "3.1.0");
}
