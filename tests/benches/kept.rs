//! Folders in `target/bench` that later runs use again, each with a list of its content.
//!
//! A folder that takes long to fill is filled once. Later runs use it as long as cases have not changed since, which the
//! recorded histories show (the ledger's tables are migrated, as everywhere), and only for a limited time; and not at all
//! without a list of its content.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::replay::recorded_files;

/// How long a folder is used: the cases in it wait for seven days.
const USED: SignedDuration = SignedDuration::from_hours(5 * 24);

/// A folder that later runs use again.
pub struct Folder<T> {
    path: PathBuf,
    list: List<T>,
}

/// The list of a folder's content.
#[derive(Serialize, Deserialize)]
struct List<T> {
    /// The digest of the recorded histories.
    histories: String,
    made: Timestamp,
    content: T,
}

impl<T: Default + Serialize + DeserializeOwned> Folder<T> {
    /// The folder of this name: as the last run left it, or empty.
    pub fn of(name: &str) -> anyhow::Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench").join(name);
        let histories = histories()?;
        let is_good = |list: &List<T>| list.histories == histories && list.made.duration_until(Timestamp::now()) < USED;
        let list = read(&path).filter(is_good);
        if list.is_none() && path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        let list = list.unwrap_or_else(|| List { histories, made: Timestamp::now(), content: T::default() });
        Ok(Self { path, list })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its content.
    pub fn content(&self) -> &T {
        &self.list.content
    }

    /// Changes the list of its content.
    pub fn change<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> anyhow::Result<R> {
        let result = change(&mut self.list.content);
        let (next, file) = (self.path.join("list.json.next"), self.path.join("list.json"));
        fs::write(&next, serde_json::to_vec(&self.list)?)?;
        fs::rename(next, file)?;
        Ok(result)
    }
}

/// The list; none if it is missing or unreadable.
fn read<T: DeserializeOwned>(folder: &Path) -> Option<List<T>> {
    serde_json::from_slice(&fs::read(folder.join("list.json")).ok()?).ok()
}

fn histories() -> anyhow::Result<String> {
    let content: Vec<u8> = recorded_files()?.into_values().flatten().collect();
    Ok(BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &content)))
}
