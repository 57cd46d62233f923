//! The list of deliberate mistakes in `tests/mutations/` stays true: each can still be made, and its test exists.
//! `tests/mutate` makes them one by one, and checks that a test catches each.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde::Deserialize;

use crate::rulebook;

/// The least number of mistakes.
const MUTATIONS_MIN: usize = 20;

/// The invariants that need a mistake in the list; see `docs/architecture.md`.
const INVARIANTS: [&str; 24] = [
    "E1", "E14", "E15", "D1", "L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8", "L9", "T2", "A6", "E10", "E11", "R8",
    "N2", "N3", "no float", "refusals", "shown", "cost",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutation: Vec<Mutation>,
}

/// A mistake, and the test that must catch it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutation {
    id: String,
    breaks: String,
    what: String,
    file: PathBuf,
    find: String,
    replace: String,
    caught_by: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn mutations() -> Vec<Mutation> {
    let files = fs::read_dir(root().join("tests/mutations")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    let read = |path: PathBuf| {
        let list: List = toml::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        list.mutation
    };
    files.into_iter().flat_map(read).collect()
}

/// A test's name without the modules `tests`, which are files here and inline elsewhere.
fn plain(name: &str) -> String {
    let parts = name.split("::").enumerate().filter(|(place, part)| *place == 0 || *part != "tests");
    parts.map(|(_, part)| part).collect::<Vec<_>>().join("::")
}

#[test]
fn every_mutation_can_be_made_and_its_test_exists() {
    let tests: BTreeSet<String> = rulebook::tests().iter().map(|test| plain(&test.name)).collect();
    let mut wrong = Vec::new();
    for Mutation { id, what, file, find, replace, caught_by, .. } in mutations() {
        let text = fs::read_to_string(root().join(&file)).unwrap_or_default();
        let found = text.matches(&find).count();
        if found != 1 {
            wrong.push(format!("{id}: its text is {found} times in {}", file.display()));
        }
        if find == replace || what.is_empty() {
            wrong.push(format!("{id}: it changes nothing, or does not say what it does"));
        }
        if !tests.contains(&plain(&caught_by)) {
            wrong.push(format!("{id}: there is no test {caught_by}"));
        }
    }
    assert!(wrong.is_empty(), "mend tests/mutations, and run `tests/mutate --only ID`:\n{}", wrong.join("\n"));
}

#[test]
fn every_invariant_has_a_mutation() {
    let mutations = mutations();
    assert!(mutations.len() >= MUTATIONS_MIN, "{}", mutations.len());
    let ids: BTreeSet<_> = mutations.iter().map(|mutation| &mutation.id).collect();
    assert_eq!(ids.len(), mutations.len(), "two have the same id");
    let broken: BTreeSet<_> = mutations.iter().map(|mutation| mutation.breaks.as_str()).collect();
    let without: Vec<_> = INVARIANTS.iter().filter(|invariant| !broken.contains(*invariant)).collect();
    assert!(without.is_empty(), "invariants that nothing breaks: {without:?}");
}

/// The tests in the invariants' table exist.
#[test]
fn every_invariant_names_an_existing_test() {
    let tests: BTreeSet<String> = rulebook::tests().iter().map(|test| plain(&test.name)).collect();
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let (_, rows) = page.split_once("| which test would notice |").expect("the invariants say which test would notice");
    let rows: Vec<&str> = rows.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= INVARIANTS.len(), "{}", rows.len());
    for row in rows {
        let named = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let named: Vec<&str> = named.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
        assert!(!named.is_empty(), "{row}");
        for name in named {
            assert!(tests.contains(&plain(name)), "there is no test {name}");
        }
    }
}
