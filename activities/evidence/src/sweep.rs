//! Deletes what never became evidence: uploads that were cut off when the program ended, and files that no command
//! referred to.

use std::{io::ErrorKind, path::PathBuf, time::Duration};

use futures_util::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use object_store::{ObjectStoreExt as _, path::Path};

use super::{EvidenceError, EvidenceStore, UPLOADS, place, rows};

/// After this time an unfinished upload counts as cut off.
const UPLOAD_MAX: Duration = Duration::from_hours(24);

/// What a sweep deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// How many uploads that were cut off.
    pub broken_off: u64,
    /// How many files that were not sealed.
    pub unsealed: u64,
}

impl EvidenceStore {
    /// Deletes files that were uploaded longer than `older_than` ago and that nobody has sealed since. It also deletes
    /// the rest of uploads that were cut off a day ago, or `older_than` ago if that is shorter. Several sweeps may run
    /// at once.
    ///
    /// A bucket hides the parts of an unfinished upload; a lifecycle rule of the bucket deletes them.
    ///
    /// # Errors
    /// Only if the database or the store cannot be used. What was deleted before stays deleted, and the next sweep
    /// continues.
    pub async fn sweep(&self, older_than: Duration) -> Result<Swept, EvidenceError> {
        let now = Timestamp::now();
        let broken_off = self.sweep_uploads(before(now, older_than.min(UPLOAD_MAX))).await?;
        let mut unsealed = 0;
        let stale_before = before(now, older_than);
        for (contract, sha256) in rows::stale(&self.database, stale_before).await? {
            if !rows::let_go(&self.database, &contract, &sha256, stale_before).await? {
                continue;
            }
            match self.objects.delete(&place(&contract, &sha256)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            rows::forget(&self.database, &contract, &sha256).await?;
            unsealed += 1;
        }
        Ok(Swept { broken_off, unsealed })
    }

    async fn sweep_uploads(&self, before: Timestamp) -> Result<u64, EvidenceError> {
        if let Some(folder) = &self.folder {
            return sweep_folder(folder.join(UPLOADS), before).await;
        }
        let mut deleted = 0;
        let mut uploads = self.objects.list(Some(&Path::from(UPLOADS)));
        while let Some(upload) = uploads.try_next().await? {
            if upload.last_modified.timestamp_millis() < before.as_millisecond() {
                self.objects.delete(&upload.location).await?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }
}

/// The store does not list files that were unfinished when their program ended, so this reads the folder itself.
async fn sweep_folder(folder: PathBuf, before: Timestamp) -> Result<u64, EvidenceError> {
    let unusable = |source| EvidenceError::Folder { folder: folder.clone(), source };
    let mut entries = match tokio::fs::read_dir(&folder).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(unusable(error)),
    };
    let mut deleted = 0;
    while let Some(entry) = entries.next_entry().await.map_err(unusable)? {
        let modified = match entry.metadata().await.and_then(|metadata| metadata.modified()) {
            Ok(modified) => Timestamp::try_from(modified).unwrap_or(Timestamp::MAX),
            // It was finished or swept meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(unusable(error)),
        };
        if modified >= before {
            continue;
        }
        match tokio::fs::remove_file(entry.path()).await {
            Ok(()) => deleted += 1,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(error)),
        }
    }
    Ok(deleted)
}

fn before(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_sub(by).ok()).unwrap_or(Timestamp::MIN)
}
