//! The dependencies of the crates and their modules: see the map in `docs/architecture.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Beginnings of names of packages that run, wait or talk. The rules depend on no such package.
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

/// The most packages that the rules may depend on, including themselves. Whoever adds one decides it here.
const PACKAGES_MAX: usize = 30;

/// Packages that a crate must build without.
const WITHOUT: [(&str, &[&str]); 4] = [
    ("recourse-client", &["lettre", "recourse-payments", "recourse-notifications", "object_store"]),
    ("recourse-ledger", &["reqwest", "lettre", "temporalio-sdk"]),
    ("recourse-notifications", &["temporalio-sdk"]),
    ("recourse-console", &["clap"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folders of our crates, each after those that it depends on.
fn members() -> Vec<PathBuf> {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    members.iter().map(|member| root().join(member.as_str().unwrap())).collect()
}

/// The packages that a package depends on, and itself.
fn tree(package: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "-p", package, "-e", "normal", "--prefix", "none"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let packages = tree.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty());
    let packages: BTreeSet<String> = packages.map(str::to_owned).collect();
    assert!(packages.contains(package) && packages.contains("serde"), "{packages:?}");
    packages
}

#[test]
fn the_rules_depend_on_no_package_that_acts() {
    let packages = tree("recourse-domain");
    let acting: Vec<_> = packages.iter().filter(|name| ACTING.iter().any(|word| name.starts_with(word))).collect();
    assert!(acting.is_empty(), "{acting:?}");
    assert!(packages.len() <= PACKAGES_MAX, "{} packages: {packages:?}", packages.len());
}

#[test]
fn crates_build_without_unneeded_packages() {
    let all = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for (package, without) in WITHOUT {
        let packages = tree(package);
        let unknown: Vec<_> = without.iter().filter(|name| !all.contains(&format!("\nname = \"{name}\"\n"))).collect();
        assert!(unknown.is_empty(), "nothing is called {unknown:?} any more");
        let found: Vec<_> = without.iter().filter(|name| packages.contains(**name)).collect();
        assert!(found.is_empty(), "{package} is built with {found:?}");
    }
}

/// Cargo refuses circles of crates; the order of the members is stricter: no crate depends on a later one, not even for its
/// tests.
#[test]
fn no_crate_depends_on_one_above_it() {
    let mut before = BTreeSet::new();
    for folder in members() {
        let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
        for table in ["dependencies", "dev-dependencies"] {
            let needed = manifest.get(table).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
            let above: Vec<_> =
                needed.filter(|name| name.starts_with("recourse-") && !before.contains(name.as_str())).collect();
            let is_itself = |name: &&String| manifest["package"]["name"].as_str() == Some(name.as_str());
            assert!(above.iter().all(is_itself), "{} depends on {above:?}, which come later", folder.display());
        }
        before.insert(manifest["package"]["name"].as_str().unwrap().to_owned());
    }
    assert!(before.len() > 10, "{before:?}");
}

/// The modules of a crate by name, and what each imports from other modules of that crate.
fn modules(folder: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut paths = vec![folder.to_owned()];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let place = path.strip_prefix(folder).unwrap().with_extension("");
        let parts: Vec<_> = place.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let is_code = path.extension().is_some_and(|extension| extension == "rs");
        if !is_code || parts.iter().any(|part| part == "tests") || ["lib", "main"].contains(&parts[0].as_str()) {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        // Above a module in a folder is the folder's module.
        let above = if parts.len() == 1 || parts[1] == "mod" { "super::" } else { "super::super::" };
        let named = ["crate::", above].iter().flat_map(|root| named_after(&code.join("\n"), root)).collect::<Vec<_>>();
        found.entry(parts[0].clone()).or_default().extend(named);
    }
    let known: BTreeSet<String> = found.keys().cloned().collect();
    for (module, named) in &mut found {
        named.retain(|name| name != module && known.contains(name));
    }
    found
}

/// The names after a path's root in code: `a` and `b` of `crate::{a::X, b}`.
fn named_after(code: &str, root: &str) -> Vec<String> {
    let name = |text: &str| {
        text.trim_start().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
    };
    let mut found = Vec::new();
    for (place, _) in code.match_indices(root) {
        if code[..place].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':') {
            continue;
        }
        let rest = &code[place + root.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push(name(rest));
            continue;
        };
        let (mut depth, mut begins) = (0, 0);
        for (at, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    found.push(name(&group[begins..at]));
                    begins = at + 1;
                    if letter == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    found
}

/// The modules that a module depends on, directly or through others.
fn reached(modules: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(module) = open.pop() {
        for next in &modules[&module] {
            if reached.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    reached
}

#[test]
fn modules_do_not_depend_on_each_other_in_circles() {
    let mut circles = Vec::new();
    for folder in members() {
        let modules = modules(&folder.join("src"));
        let in_circle = modules.keys().filter(|module| reached(&modules, module).contains(*module));
        circles.extend(in_circle.map(|module| format!("{}: {module} -> {:?}", folder.display(), modules[module])));
    }
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn the_imports_of_a_module_are_found() {
    let code = "use crate::{a::{X, y}, b, c::Z};\nuse super::d::E;\nlet f = crate::f::g();\nother::crate::h";
    assert_eq!(named_after(code, "crate::"), ["a", "b", "c", "f"]);
    assert_eq!(named_after(code, "super::"), ["d"]);
}
