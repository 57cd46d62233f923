//! The places of recordings, and functions to write them.
//!
//! `tests/histories/<version>/<kind>/<path>.json` is a history as the SDK wrote it, an event to a line; the version is the
//! one that recorded it, and those of earlier versions are never written again. `tests/commands/<kind>/<path>.txt` is what
//! the present code orders on that path.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The version whose histories are written.
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The recording of a path's case of this kind by the present version.
pub fn history_of(kind: &str, path: &str) -> PathBuf {
    tests().join("histories").join(VERSION).join(kind).join(format!("{path}.json"))
}

/// The known orders of the present code on that path.
pub fn commands_of(kind: &str, path: &str) -> PathBuf {
    tests().join("commands").join(kind).join(format!("{path}.txt"))
}

/// Every recorded history, of every version.
pub fn histories() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files_under(&tests().join("histories"), &mut found);
    found.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    found
}

fn files_under(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() { files_under(&path, found) } else { found.push(path) }
    }
}

/// Writes a history as recorded, but replaces a worker's identity, which names the machine, by `worker`.
pub fn write_history(path: &Path, history: &[u8]) {
    let mut history: Value = serde_json::from_slice(history).unwrap();
    let mut text = "{\"events\":[\n".to_owned();
    let events = history["events"].as_array_mut().unwrap();
    let last = events.len() - 1;
    for (index, event) in events.iter_mut().enumerate() {
        without_machine(event);
        text.push_str(&event.to_string());
        text.push_str(if index == last { "\n" } else { ",\n" });
    }
    text.push_str("]}\n");
    write(path, &text);
}

/// Removes absent fields, which are half of the bytes of some events, and replaces every worker identity.
fn without_machine(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_machine);
        }
        Value::Array(items) => items.iter_mut().for_each(without_machine),
        Value::String(text) => {
            let process = text.split_once('@').map(|(process, _)| process);
            if process.is_some_and(|process| !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit())) {
                "worker".clone_into(text);
            }
        }
        _ => {}
    }
}

/// Writes a text, and makes the folders above it.
pub fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Removes the present version's recordings of paths that no longer exist.
pub fn remove_all_but(kept: &[PathBuf]) {
    let mut found = Vec::new();
    files_under(&tests().join("histories").join(VERSION), &mut found);
    files_under(&tests().join("commands"), &mut found);
    for path in found.iter().filter(|path| !kept.contains(path)) {
        fs::remove_file(path).unwrap();
    }
}
