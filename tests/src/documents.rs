//! What the pages say is true: the links, files, variables and targets that they name exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Generated folders.
const MADE: [&str; 5] = ["target", ".tools", ".git", ".schemathesis", ".compose"];

/// Endings of files that belong to this project if a page names one.
const OURS: [&str; 4] = [".rs", ".md", ".sql", ".toml"];

/// A file that pages name and that belongs to the reader.
const OTHERS: [&str; 1] = ["temporal.toml"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        let is_made = MADE.iter().any(|made| name == *made);
        if entry.file_type().unwrap().is_dir() {
            if !is_made {
                walk(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

/// Every file of the project, by its path from the root.
fn files() -> Vec<String> {
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found.iter().map(|path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()).collect()
}

fn is_text(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|ending| ending == "md")
}

/// The pages: their paths and texts. Decisions are history, and may name files that no longer exist.
fn pages() -> Vec<(String, String)> {
    let is_page = |path: &String| is_text(path) && (path.starts_with("docs/") || !path.contains('/'));
    let pages = files().into_iter().filter(is_page);
    pages.map(|path| (path.clone(), fs::read_to_string(root().join(&path)).unwrap())).collect()
}

fn is_history(path: &str) -> bool {
    path.starts_with("docs/decisions/") || path == "CHANGELOG.md"
}

/// The texts between backticks, within a line.
fn quoted(text: &str) -> Vec<&str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// A heading's anchor in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for (path, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.starts_with('<') {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { root().join(&path) } else { root().join(&path).parent().unwrap().join(file) };
            let found = fs::read_to_string(&target);
            let has_heading = |text: &str| text.lines().any(|line| line.starts_with('#') && anchor(line) == heading);
            match found {
                Ok(text) if heading.is_empty() || has_heading(&text) => {}
                Err(_) if heading.is_empty() && target.exists() => {}
                _ => wrong.push(format!("{path}: {link}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_that_a_page_names_exists() {
    let files = files();
    let is_there = |name: &str| files.iter().any(|file| file == name || file.ends_with(&format!("/{name}")));
    let mut wrong = Vec::new();
    for (path, text) in pages().into_iter().filter(|(path, _)| !is_history(path)) {
        for name in quoted(&text) {
            let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./_-".contains(&byte));
            if is_name && OURS.iter().any(|ending| name.ends_with(ending)) && !OTHERS.contains(&name) && !is_there(name)
            {
                wrong.push(format!("{path}: {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Words that begin like this and continue in capitals.
fn variables<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let is_part = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let places = text.match_indices(prefix).map(|(place, _)| place);
    let words = places.map(|place| {
        let length = text[place..].bytes().take_while(|byte| is_part(*byte)).count();
        text[place..place + length].trim_end_matches('_')
    });
    words.collect()
}

#[test]
fn every_variable_that_a_page_names_is_read() {
    let is_code = |path: &String| {
        !is_text(path) && !path.starts_with("tests/histories") && !path.starts_with("tests/fuzz/corpus")
    };
    let code: Vec<String> =
        files().into_iter().filter(is_code).filter_map(|path| fs::read_to_string(root().join(path)).ok()).collect();
    let known: BTreeSet<&str> = code.iter().flat_map(|text| variables(text, "RECOURSE_")).collect();
    let mut wrong = Vec::new();
    for (path, text) in pages().into_iter().filter(|(path, _)| !is_history(path)) {
        wrong.extend(variables(&text, "RECOURSE_").difference(&known).map(|name| format!("{path}: {name}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(known.len() > 30, "{known:?}");
}

#[test]
fn every_target_that_a_page_names_can_be_made() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let targets: BTreeSet<&str> =
        makefile.lines().filter_map(|line| line.split_once(':').map(|(target, _)| target)).collect();
    let mut wrong = Vec::new();
    for (path, text) in pages().into_iter().filter(|(path, _)| !is_history(path)) {
        let named = quoted(&text).into_iter().filter_map(|code| code.strip_prefix("make "));
        let named = named.filter_map(|code| code.split(' ').next().map(str::to_owned));
        wrong.extend(
            named.filter(|target| !targets.contains(target.as_str())).map(|target| format!("{path}: make {target}")),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
