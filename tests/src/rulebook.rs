//! The proof of the rule book: which test proves which rule. The tests name the rules in the first words of their doc comments
//! (`/// E3, E13: …`), and `docs/policy.md` shows the tests under each rule.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use recourse_domain::{command::CommandKind, ids::CaseKind, rule::Rule};

/// How many tests a rule's proof names. Tests on the real server come first, then the rest.
const NAMED_MAX: usize = 4;

/// The beginning of the line under a rule that names its tests.
const PROOF: &str = "Proved by ";

/// A test, and the rules that it names.
pub struct Test {
    /// Its package, modules and function.
    pub name: String,
    on_the_server: bool,
    rules: Vec<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every test of the workspace.
pub fn tests() -> Vec<Test> {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let mut found = Vec::new();
    for member in members.iter().map(|member| member.as_str().unwrap()) {
        let package = member.rsplit('/').next().unwrap_or(member);
        let folder = root().join(member).join("src");
        let mut paths = Vec::new();
        sources(&folder, &mut paths);
        paths.sort();
        for path in paths {
            let module = path.strip_prefix(&folder).unwrap().with_extension("");
            let module = module.iter().map(|part| part.to_string_lossy()).filter(|part| part != "mod" && part != "lib");
            let module = std::iter::once(package.into()).chain(module).collect::<Vec<_>>().join("::");
            found.extend(tests_of(&fs::read_to_string(&path).unwrap(), &module, package == "tests"));
        }
    }
    found
}

fn tests_of(source: &str, module: &str, on_the_server: bool) -> Vec<Test> {
    let (mut found, mut said, mut is_test) = (Vec::new(), String::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("///") {
            said.push_str(words);
        } else if line.starts_with("#[") {
            is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
        } else {
            let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            if let (true, Some(name)) = (is_test, name) {
                let name = format!("{module}::{}", name.split('(').next().unwrap_or_default());
                found.push(Test { name, on_the_server, rules: rules_in(&said) });
            }
            said.clear();
            is_test = false;
        }
    }
    found
}

/// The ids that a doc comment begins with, up to its colon: `T2, E4–E6: …`.
fn rules_in(said: &str) -> Vec<String> {
    let Some((ids, _)) = said.split_once(':') else { return Vec::new() };
    let mut found = Vec::new();
    for part in ids.split(',').map(str::trim) {
        let ends: Vec<_> = part.split(['–', '-']).map(id_of).collect();
        match ends.as_slice() {
            [Some((letter, number))] => found.push(format!("{letter}{number}")),
            [Some((letter, first)), Some((other, last))] if letter == other => {
                found.extend((*first..=*last).map(|number| format!("{letter}{number}")));
            }
            // A sentence with a colon, not a list of rules.
            _ => return Vec::new(),
        }
    }
    found
}

fn id_of(text: &str) -> Option<(char, u32)> {
    let mut letters = text.trim().chars();
    let letter = letters.next().filter(char::is_ascii_uppercase)?;
    Some((letter, letters.as_str().parse().ok()?))
}

/// The rules and the names of the tests that prove each.
fn proofs() -> BTreeMap<String, Vec<String>> {
    let mut proofs: BTreeMap<String, Vec<(bool, String)>> = BTreeMap::new();
    for test in tests() {
        for rule in test.rules {
            proofs.entry(rule).or_default().push((!test.on_the_server, test.name.clone()));
        }
    }
    let nearest = |mut tests: Vec<(bool, String)>| {
        tests.sort_by_key(|(far, _)| *far);
        tests.into_iter().map(|(_, name)| name).collect()
    };
    proofs.into_iter().map(|(rule, tests)| (rule, nearest(tests))).collect()
}

fn proof_of(tests: &[String]) -> String {
    let named: Vec<_> = tests.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
    let more = tests.len().saturating_sub(NAMED_MAX);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{PROOF}{}{more}.", named.join(", "))
}

/// The policy page with each rule's present proof under it.
fn with_proofs(page: &str, proofs: &BTreeMap<String, Vec<String>>) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut open: Option<String> = None;
    let end = |lines: &mut Vec<String>, open: &mut Option<String>| {
        if let Some(tests) = open.take().and_then(|rule| proofs.get(&rule)) {
            while lines.last().is_some_and(String::is_empty) {
                lines.pop();
            }
            lines.extend([String::new(), proof_of(tests), String::new()]);
        }
    };
    for line in page.lines().filter(|line| !line.starts_with(PROOF)) {
        if line.starts_with('#') {
            end(&mut lines, &mut open);
            open = line.strip_prefix("### ").map(str::to_owned);
        }
        lines.push(line.to_owned());
    }
    end(&mut lines, &mut open);
    let mut page = lines.join("\n");
    page.push('\n');
    page
}

/// The table of who may do what, from the catalogue.
fn with_commands(page: &str) -> String {
    const HEAD: &str = "| case | command | who | fields | what it does |";
    let Some((before, table)) = page.split_once(HEAD) else { panic!("docs/policy.md has a table of commands: {HEAD}") };
    let after = table.split_once("\n\n").map(|(_, after)| after).unwrap_or_default();
    let mut rows = vec![HEAD.to_owned(), "|---|---|---|---|---|".to_owned()];
    for kind in [CaseKind::MilestoneReview, CaseKind::RefundRequest, CaseKind::Dispute, CaseKind::PaymentRefund] {
        let name = kind.name().replace('_', " ");
        let uses = CommandKind::of_case(kind)
            .filter_map(|command_kind| command_kind.in_case(kind).map(|used| (command_kind, used)));
        rows.extend(uses.enumerate().map(|(index, (command_kind, used))| {
            let case = if index == 0 { name.as_str() } else { "" };
            let who = used.by.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ");
            let fields = command_kind.fields().iter().filter(|field| used.takes.contains(&field.name));
            let fields = fields.map(|field| {
                let of = field.of.map(|of| format!(" ({})", of.name())).unwrap_or_default();
                format!("`{}{}`{of}", field.name, if field.needed { "" } else { "?" })
            });
            let fields = fields.collect::<Vec<_>>().join(", ");
            format!("| {case} | `{command_kind}` | {who} | {fields} | {} |", command_kind.does(kind))
        }));
    }
    format!("{before}{}\n\n{after}", rows.join("\n"))
}

#[test]
fn every_rule_has_a_test_and_no_test_names_an_unknown_rule() {
    let known: BTreeSet<String> = Rule::ALL.iter().map(ToString::to_string).collect();
    let proved: BTreeSet<String> = proofs().into_keys().collect();
    let without: Vec<_> = known.difference(&proved).collect();
    assert!(without.is_empty(), "rules without a test: {without:?}");
    let unknown: Vec<_> =
        tests().into_iter().filter(|test| test.rules.iter().any(|rule| !known.contains(rule))).collect();
    let unknown: Vec<_> = unknown.iter().map(|test| (&test.name, &test.rules)).collect();
    assert!(unknown.is_empty(), "tests that name a rule which is not in the rule book: {unknown:?}");
}

/// `RECOURSE_WRITE_DOCS=1` writes the correct page.
#[test]
fn the_policy_page_has_every_rule_and_its_proof() {
    let path = root().join("docs/policy.md");
    let page = fs::read_to_string(&path).unwrap();
    let headings: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let known: Vec<String> = Rule::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(headings, known, "docs/policy.md has a heading for every rule, in the rule book's order");
    let should_be = with_proofs(&with_commands(&page), &proofs());
    if std::env::var_os("RECOURSE_WRITE_DOCS").is_some() {
        fs::write(&path, &should_be).unwrap();
        return;
    }
    let differs = page.lines().zip(should_be.lines()).find(|(is, should)| is != should);
    assert_eq!(
        page, should_be,
        "run the test with RECOURSE_WRITE_DOCS=1, and look at what changed; first: {differs:?}"
    );
}

#[test]
fn a_description_begins_with_the_rules_it_proves() {
    let found = |said| rules_in(said).join(" ");
    assert_eq!(found(" E3, E13: in order"), "E3 E13");
    assert_eq!(found(" R1–R4, R10: its ends"), "R1 R2 R3 R4 R10");
    assert_eq!(found(" M2-M3: its ends"), "M2 M3");
    for sentence in [" Every command: who is refused", " In words", " E3 and E4: both"] {
        assert_eq!(found(sentence), "", "{sentence}");
    }
    let source =
        "/// E3: words\n#[test]\nfn one() {}\n/// E4: no test\nfn two() {}\n#[tokio::test]\nasync fn three() {}";
    let tests = tests_of(source, "m", true);
    assert_eq!(tests.iter().map(|test| test.name.as_str()).collect::<Vec<_>>(), ["m::one", "m::three"]);
}
