//! Why evidence could not be accepted, found or given out.

use std::{error::Error as StdError, path::PathBuf};

use recourse_domain::{ids::Id, party::Role};

/// Why evidence could not be accepted, found or given out.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The database failed.
    #[error("the database of evidence did not do its work")]
    Database(#[from] sqlx::Error),
    /// The folder or bucket failed.
    #[error("the store of evidence did not do its work")]
    Storage(#[from] object_store::Error),
    /// The store's address cannot be used.
    #[error("\"{url}\" is no store of evidence; write it like file:///absolute/folder or s3://bucket/prefix")]
    Location {
        /// The given address.
        url: String,
    },
    /// A folder could not be made or read.
    #[error("the folder {} cannot be used", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file has no content.
    #[error("the file is empty")]
    Empty,
    /// The file is larger than the policy allows.
    #[error("the file is larger than {max_bytes} bytes")]
    TooBig {
        /// The largest allowed size.
        max_bytes: u64,
    },
    /// Without paths and control characters, nothing is left of the name.
    #[error("the file has no name that can be shown")]
    Nameless,
    /// The content has no known type.
    #[error("the file's type cannot be told by its content")]
    Unrecognised,
    /// The policy does not accept such files.
    #[error("files of type {media_type} are not taken; use one of {taken}")]
    NotTaken {
        /// The file's type.
        media_type: String,
        /// The accepted types.
        taken: String,
    },
    /// The name's ending and the content have different types.
    #[error("\"{name}\" should be {said} by its name, and is {found} by its content")]
    Disguised {
        /// The name.
        name: String,
        /// The type by the name.
        said: String,
        /// The type by the content.
        found: String,
    },
    /// The upload was cut off.
    #[error("the upload broke off")]
    Interrupted(#[source] Box<dyn StdError + Send + Sync>),
    /// The same content is being deleted now, because nobody used it for long.
    #[error("an older upload of the same content is just being deleted; upload it again in a moment")]
    BeingDeleted,
    /// There is no memory for another upload, because too many are under way.
    #[error("too many files are being uploaded just now; nothing of this one was kept; upload it again in a moment")]
    Busy,
    /// A party uploads so many files at once that another one waited too long.
    #[error(
        "you are uploading {at_once} files already, which is as many as one party uploads at once; nothing of this one was kept; upload it \
         again when one of them is through"
    )]
    TooManyAtOnce {
        /// How many one party uploads at once.
        at_once: usize,
    },
    /// An upload has stopped, or is too slow.
    #[error(
        "the file came too slowly: the next bytes must come within {stalled} seconds, and {bytes_per_second} bytes a second on the whole; \
         nothing of it was kept; upload it again on a better connection, or a smaller file"
    )]
    TooSlow {
        /// How long the next bytes may take, in seconds.
        stalled: u64,
        /// The lowest average rate, in bytes a second.
        bytes_per_second: u64,
    },
    /// A side of a contract has too many files, or too many bytes, that no command refers to.
    #[error(
        "the {side} of contract {contract} has uploaded {files} files of {bytes} bytes that no command refers to yet, and with this one \
         they would be more than {files_max} files or {bytes_max} bytes; refer to them in a command, or wait until they are deleted, 7 \
         days after their upload"
    )]
    Full {
        /// Of which contract.
        contract: Id,
        /// Which side.
        side: Role,
        /// How many files it has.
        files: u64,
        /// How many bytes they have.
        bytes: u64,
        /// How many files it may have.
        files_max: u64,
        /// How many bytes they may have.
        bytes_max: u64,
    },
    /// There is no such evidence.
    #[error("contract {contract} has no evidence {sha256}")]
    NotFound {
        /// Of which contract.
        contract: Id,
        /// The SHA-256 that the caller gave.
        sha256: String,
    },
    /// A row has content that this program never writes.
    #[error("evidence is damaged: {field} is \"{value}\"")]
    Damaged {
        /// Which field.
        field: &'static str,
        /// Its content.
        value: String,
    },
}
