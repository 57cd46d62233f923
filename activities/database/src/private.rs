//! Files and folders that only their owner may read: the ledger has names, addresses and secrets, and evidence has what
//! people wrote.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

/// Only the owner may read a file and enter a folder.
const FILE: u32 = 0o600;
const FOLDER: u32 = 0o700;

/// Makes a folder that only its owner may enter, with its parents, or corrects one that others may enter.
pub fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)?;
    mend(path, FOLDER);
    Ok(())
}

/// Makes a file that only its owner may read, if there is none, or corrects one that others may read.
pub fn file(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(FILE).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            mend(path, FILE);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Takes away the permissions of others. If we may not change them, the log says so.
pub fn mend(path: &Path, mode: u32) {
    let Ok(found) = fs::metadata(path) else { return };
    if found.permissions().mode().trailing_zeros() >= 6 {
        return;
    }
    match fs::set_permissions(path, Permissions::from_mode(mode)) {
        Ok(()) => {
            tracing::warn!(path = %path.display(), "others on this machine could read it; now only its owner can");
        }
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "others on this machine can read it; take that from them with chmod");
        }
    }
}

/// A `SQLite` database and the files beside it. `SQLite` gives new files beside a database the database's permissions.
pub fn database(path: &Path) -> io::Result<()> {
    file(path)?;
    for beside in ["-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(beside);
        mend(Path::new(&name), FILE);
    }
    Ok(())
}
