//! Evidence files (D4, D6): received from an uploader, checked, kept, and given out again.
//!
//! The content is in a folder or a bucket, under `evidence/{contract}/{sha256}`; a row of the database says who
//! uploaded it and makes it evidence. A file is served only after it was received completely, checked and moved to its
//! place. The policy decides which files a command may refer to. A file that a case referred to is sealed, and stays.
//!
//! An upload goes to `uploads/` first, gets its row, and is then moved. If a crash comes in between,
//! [`EvidenceStore::sweep`] deletes the rest, and nobody is ever served it.

mod error;
mod intake;
mod kind;
mod names;
mod rows;
mod sweep;

use std::{error::Error as StdError, path::PathBuf, pin::pin, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream::BoxStream};
use jiff::Timestamp;
use object_store::{
    ObjectStore, ObjectStoreExt as _, aws::AmazonS3Builder, buffered::BufWriter, local::LocalFileSystem, path::Path,
    prefix::PrefixStore,
};
use recourse_domain::{
    evidence::{Evidence, EvidenceLimits},
    ids::Id,
    party::{Actor, Role},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::AsyncWriteExt as _,
    time::{Instant, timeout_at},
};
use uuid::Uuid;

pub use error::EvidenceError;
pub use intake::IntakeLimits;
pub use sweep::Swept;

use recourse_database::{Database, private};

use self::{intake::Intake, kind::Inspection};

/// How many bytes of an upload are collected before they are sent on: the smallest part that S3 accepts.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// How many parts of one upload are sent at once. With the part that is being filled, this limits its memory.
const PARTS_UNDER_WAY: usize = 2;

const UPLOADS: &str = "uploads";

/// A file that is kept. As JSON it has the fields of [`Evidence`], and more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEvidence {
    /// What a command refers to it by.
    #[serde(flatten)]
    pub evidence: Evidence,
    /// Of which contract.
    pub contract: Id,
    /// Who uploaded it.
    pub uploaded_by: Actor,
    /// When it was first uploaded.
    pub at: Timestamp,
    /// The first case that referred to it, by its workflow id.
    pub sealed_by_case: Option<String>,
    /// Since when it is sealed.
    pub sealed_at: Option<Timestamp>,
}

/// The content of a file, piece by piece.
pub type Content = BoxStream<'static, Result<Bytes, EvidenceError>>;

/// The evidence of all contracts. Clones share it.
#[derive(Debug, Clone)]
pub struct EvidenceStore {
    database: Database,
    objects: Arc<dyn ObjectStore>,
    /// The folder of the objects, if they are files.
    folder: Option<PathBuf>,
    intake: Intake,
}

/// An upload that was received completely.
struct Received {
    sha256: String,
    size: u64,
    media_type: String,
}

impl EvidenceStore {
    /// Opens the store at `url`: `file:///absolute/folder`, which is made if it is missing, or `s3://bucket/prefix`,
    /// with credentials, region and endpoint from the usual `AWS_…` variables. `database` has the rows;
    /// [`Database::migrate`] has made its tables.
    ///
    /// # Errors
    /// [`EvidenceError::Location`] for other URLs, [`EvidenceError::Folder`] and [`EvidenceError::Storage`] if it cannot
    /// be used.
    pub fn open(database: Database, url: &str) -> Result<Self, EvidenceError> {
        let elsewhere = || EvidenceError::Location { url: url.to_owned() };
        let intake = Intake::new(IntakeLimits::default());
        let location = url::Url::parse(url).map_err(|_| elsewhere())?;
        match location.scheme() {
            "file" => {
                let folder = location.to_file_path().map_err(|()| elsewhere())?;
                private::folder(&folder).map_err(|source| EvidenceError::Folder { folder: folder.clone(), source })?;
                let files = LocalFileSystem::new_with_prefix(&folder)?.with_fsync(true);
                Ok(Self { database, objects: Arc::new(files), folder: Some(folder), intake })
            }
            "s3" => {
                let bucket = location.host_str().filter(|bucket| !bucket.is_empty()).ok_or_else(elsewhere)?;
                let bucket = AmazonS3Builder::from_env().with_bucket_name(bucket).build()?;
                let prefix = Path::from_url_path(location.path()).map_err(|_| elsewhere())?;
                Ok(Self { database, objects: Arc::new(PrefixStore::new(bucket, prefix)), folder: None, intake })
            }
            _ => Err(elsewhere()),
        }
    }

    /// The same store with other limits for uploads.
    #[must_use]
    pub fn with_intake(mut self, limits: IntakeLimits) -> Self {
        self.intake = Intake::new(limits);
        self
    }

    /// Receives a file, with limited memory. The same content from the same uploader for the same contract is the same
    /// evidence, under its first name.
    ///
    /// # Errors
    /// All but [`EvidenceError::NotFound`]. After any error, nothing of the file is served.
    pub async fn put<S, E>(
        &self,
        contract: &Id,
        by: &Actor,
        name: &str,
        limits: &EvidenceLimits,
        bytes: S,
    ) -> Result<StoredEvidence, EvidenceError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let name = names::made_safe(name).ok_or(EvidenceError::Nameless)?;
        let drafts = (self.intake.limits.draft_files, self.intake.limits.draft_bytes);
        // Before anything is received. A second check follows when the content is known.
        rows::check_room(self.database.pool(), contract, by, None, drafts).await?;
        let _place = self.intake.place(&by.id).await?;
        let upload = Path::from_iter([UPLOADS.to_owned(), Uuid::now_v7().to_string()]);
        let received = self.receive(&upload, &name, limits, bytes).await?;
        let stored = self.keep(&upload, contract, by, name, received).await;
        if stored.is_err() {
            self.discard(&upload).await;
        }
        stored
    }

    /// Streams a file to its temporary place. After a failure nothing is left there.
    async fn receive<S, E>(
        &self,
        upload: &Path,
        name: &str,
        limits: &EvidenceLimits,
        bytes: S,
    ) -> Result<Received, EvidenceError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let mut writer = BufWriter::with_capacity(self.objects.clone(), upload.clone(), PART_BYTES)
            .with_max_concurrency(PARTS_UNDER_WAY);
        let received = match write_all(&mut writer, name, limits, &self.intake, bytes).await {
            Ok(received) => received,
            Err(error) => {
                if let Err(left) = writer.abort().await {
                    tracing::warn!(error = &left as &dyn StdError, %upload, "a refused upload is deleted later");
                }
                return Err(error);
            }
        };
        if let Err(error) = writer.shutdown().await {
            self.discard(upload).await;
            return Err(object_store::Error::Generic { store: "evidence", source: Box::new(error) }.into());
        }
        Ok(received)
    }

    /// Gives a received file its row and its place.
    async fn keep(
        &self,
        upload: &Path,
        contract: &Id,
        by: &Actor,
        name: String,
        received: Received,
    ) -> Result<StoredEvidence, EvidenceError> {
        let Received { sha256, size, media_type } = received;
        let evidence = Evidence { sha256, name, size, media_type };
        // The row comes first: from now on no sweep deletes what is moved to this place.
        let drafts = (self.intake.limits.draft_files, self.intake.limits.draft_bytes);
        rows::begin(&self.database, contract, by, &evidence, drafts, Timestamp::now()).await?;
        self.objects.rename(upload, &place(contract, &evidence.sha256)).await?;
        rows::placed(&self.database, contract, by, &evidence.sha256).await
    }

    /// Deletes a failed upload, or leaves it to the sweep.
    async fn discard(&self, upload: &Path) {
        match self.objects.delete(upload).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn StdError, %upload, "an unfinished upload is deleted later");
            }
        }
    }

    /// The evidence of a contract with this content, as its first uploader named it.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn find(&self, contract: &Id, sha256: &str) -> Result<Option<StoredEvidence>, EvidenceError> {
        rows::find(&self.database, contract, sha256).await
    }

    /// All evidence of a contract, oldest first; the same content once for each uploader.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn list(&self, contract: &Id) -> Result<Vec<StoredEvidence>, EvidenceError> {
        rows::list(&self.database, contract).await
    }

    /// A file's details and its content.
    ///
    /// # Errors
    /// [`EvidenceError::NotFound`] if the contract has no such evidence.
    pub async fn read(&self, contract: &Id, sha256: &str) -> Result<(StoredEvidence, Content), EvidenceError> {
        let missing = || EvidenceError::NotFound { contract: contract.clone(), sha256: sha256.to_owned() };
        let stored = self.find(contract, sha256).await?.ok_or_else(missing)?;
        let content = self.objects.get(&place(contract, &stored.evidence.sha256)).await?.into_stream();
        Ok((stored, content.map_err(EvidenceError::from).boxed()))
    }

    /// Seals what a command of this side referred to (D4). It stays for good. What is sealed already stays as it is,
    /// which is success.
    ///
    /// # Errors
    /// [`EvidenceError::NotFound`] if the side has no such evidence. Then nothing is sealed.
    pub async fn seal(&self, contract: &Id, side: Role, sha256s: &[String], case: &str) -> Result<(), EvidenceError> {
        rows::seal(&self.database, contract, side, sha256s, case, Timestamp::now()).await
    }
}

/// Sends a file on as it arrives, and stops as soon as it is clear that the file cannot be accepted.
async fn write_all<S, E>(
    writer: &mut BufWriter,
    name: &str,
    limits: &EvidenceLimits,
    intake: &Intake,
    bytes: S,
) -> Result<Received, EvidenceError>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let began = Instant::now();
    let too_slow = || EvidenceError::TooSlow {
        stalled: intake.limits.stalled.as_secs(),
        bytes_per_second: intake.limits.bytes_per_second,
    };
    let mut bytes = pin!(bytes);
    let mut inspection = Inspection::new();
    let mut looked_at = false;
    while let Some(piece) =
        timeout_at(intake.more_by(began, inspection.size()), bytes.next()).await.map_err(|_| too_slow())?
    {
        let piece = piece.map_err(|error| EvidenceError::Interrupted(error.into()))?;
        inspection.see(&piece);
        if inspection.size() > limits.max_bytes {
            return Err(EvidenceError::TooBig { max_bytes: limits.max_bytes });
        }
        if inspection.has_head() && !looked_at {
            inspection.media_type(name, limits)?;
            looked_at = true;
        }
        writer.put(piece).await?;
    }
    let size = inspection.size();
    if size == 0 {
        return Err(EvidenceError::Empty);
    }
    // A second check at the end: a file that began as text may not have continued as text.
    let media_type = inspection.media_type(name, limits)?;
    Ok(Received { sha256: inspection.finish(&media_type)?, size, media_type })
}

/// The place of a content. No contract id leads out of its folder: the store encodes dots.
fn place(contract: &Id, sha256: &str) -> Path {
    Path::from_iter(["evidence", contract.as_str(), sha256])
}

#[cfg(test)]
mod tests;
