//! Evidence from files: only the references to them leave this machine (D6).

use std::path::{Path, PathBuf};

use recourse_client::hex;
use recourse_domain::evidence::Evidence;
use sha2::{Digest as _, Sha256};

use super::answer::Failure;

/// Refers to these files, which this option named.
pub fn of_files(option: &str, paths: &[PathBuf]) -> Result<Vec<Evidence>, Failure> {
    paths.iter().map(|path| of_file(option, path)).collect()
}

fn of_file(option: &str, path: &Path) -> Result<Evidence, Failure> {
    let failed = |error: std::io::Error| Failure::usage(format!("--{option}: {}: {error}", path.display()));
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut hash = Hashing(Sha256::new());
    let size = std::io::copy(&mut file, &mut hash).map_err(failed)?;
    let sha256 = hex::encode(&hash.0.finalize());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let media_type = mime_guess::from_path(path).first_or_octet_stream().essence_str().to_owned();
    Ok(Evidence { sha256, name, size, media_type })
}

struct Hashing(Sha256);

impl std::io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_has_hash_name_size_and_type() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat.pdf");
        std::fs::write(&path, "abc").unwrap();
        let evidence = of_file("evidence", &path).unwrap();
        assert_eq!(evidence.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((evidence.name.as_str(), evidence.size), ("chat.pdf", 3));
        assert_eq!(evidence.media_type, "application/pdf");
        let error = of_file("file", &directory.path().join("missing")).unwrap_err();
        assert!(error.message.starts_with("--file: ") && error.message.contains("missing"), "{}", error.message);
        assert_eq!(error.exit, 2);
    }
}
