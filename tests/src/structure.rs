//! The rules' crate stands on nothing that acts: purity by Cargo.

use std::{path::PathBuf, process::Command};

/// What a package may be called that runs, waits or talks. Nothing below the rules begins like one of these.
const ACTING: [&str; 12] = [
    "temporalio",
    "tokio",
    "async",
    "futures",
    "sqlx",
    "reqwest",
    "hyper",
    "axum",
    "tonic",
    "rand",
    "getrandom",
    "chrono",
];

/// How many packages are below the rules at most, themselves included. A new one is a decision, and this number its place.
const PACKAGES_MAX: usize = 30;

#[test]
fn the_rules_depend_on_nothing_that_acts() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "-p", "recourse-domain", "-e", "normal", "--prefix", "none"])
        .current_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let mut packages: Vec<&str> =
        tree.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty()).collect();
    packages.sort_unstable();
    packages.dedup();
    assert!(packages.contains(&"recourse-domain") && packages.contains(&"serde"), "{packages:?}");
    let acting: Vec<_> = packages.iter().filter(|name| ACTING.iter().any(|word| name.starts_with(word))).collect();
    assert!(acting.is_empty(), "{acting:?}");
    assert!(packages.len() <= PACKAGES_MAX, "{} packages: {packages:?}", packages.len());
}
