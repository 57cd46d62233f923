//! A small file system for the database alone, so that a full disk harms nothing else.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Mounts, reports it, waits until the owner is gone however it ended, and unmounts.
const GUARDED: &str = r#"trap '' INT TERM; mount -t tmpfs -o size=192m,mode=700 recourse-chaos "$1" || exit 1
echo mounted; read -r _; umount -l "$1""#;

/// A mounted file system in memory. It is unmounted when this is dropped, or its process ends.
pub struct Mount {
    folder: PathBuf,
    guard: Child,
}

impl Mount {
    /// Mounts one here, if this machine lets us.
    pub fn make(folder: &Path) -> Option<Self> {
        let mut guard = Command::new("/bin/sh")
            .args(["-c", GUARDED, "sh"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut said = String::new();
        let read = BufReader::new(guard.stdout.take()?).read_line(&mut said);
        if read.is_err() || said.trim() != "mounted" {
            let _ = guard.wait();
            return None;
        }
        Some(Self { folder: folder.to_owned(), guard })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    /// Takes the free space. After that only existing bytes can be overwritten.
    pub fn fill(&self) {
        let Ok(mut file) = File::create(self.ballast()) else { return };
        for block in [1 << 20, 1 << 12] {
            let bytes = vec![0_u8; block];
            while file.write_all(&bytes).is_ok() {}
        }
    }

    /// Frees the space.
    pub fn free(&self) {
        let _ = std::fs::remove_file(self.ballast());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}
