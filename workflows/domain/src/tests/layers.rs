//! What the cases share does not know the cases.

use std::{fs, path::Path};

/// The cases, and what knows all of them.
const CASES: [&str; 5] = ["dispute", "milestone_review", "payment_refund", "refund_request", "messages"];

/// An import of a case from below would be a circle: whatever changes a case would change what all others stand on.
#[test]
fn the_base_does_not_import_the_cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().with_extension("").to_string_lossy().into_owned();
            if name == "lib" || name.starts_with("tests") || CASES.iter().any(|case| name.starts_with(case)) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let code = fs::read_to_string(&path).unwrap();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            let imported = CASES.iter().filter(|case| code.contains(&format!("{case}::")));
            wrong.extend(imported.map(|case| format!("{name} imports {case}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
