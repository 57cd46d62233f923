//! References to evidence files. The files themselves are not in the case (D6).

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// A file that a party refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a file: an object with `sha256`, `name`, `size` and `media_type`")]
pub struct Evidence {
    /// SHA-256 of its content, 64 hexadecimal digits in lower case.
    pub sha256: String,
    /// File name, without a path.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Media type, such as `application/pdf`.
    pub media_type: String,
}

/// Reads a list of files. Many clients write `null` for an empty list.
///
/// # Errors
/// The value is not a list of files.
pub fn or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Evidence>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// How much evidence one command may have, and of which types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EvidenceLimits {
    /// How many files.
    pub max_files: u32,
    /// How large each may be, in bytes.
    pub max_bytes: u64,
    /// Which media types; a type ending in `/*` allows the family.
    pub media_types: Vec<String>,
}

impl Default for EvidenceLimits {
    fn default() -> Self {
        let types =
            ["application/pdf", "image/jpeg", "image/png", "image/webp", "text/plain", "application/zip", "video/mp4"];
        Self { max_files: 10, max_bytes: 26_214_400, media_types: types.map(str::to_owned).to_vec() }
    }
}

impl EvidenceLimits {
    /// Whether the limits allow files of this media type (D6).
    pub fn allows(&self, media_type: &str) -> bool {
        self.media_types.iter().any(|allowed| allows(allowed, media_type))
    }

    /// Whether one command may have these files (D6). The error says which file breaks which limit.
    pub fn check(&self, files: &[Evidence]) -> Result<(), String> {
        if files.len() > self.max_files as usize {
            return Err(format!("{} files of evidence; at most {} are taken", files.len(), self.max_files));
        }
        for (index, file) in files.iter().enumerate() {
            let named = || format!("file {} ({})", index + 1, file.name.chars().take(60).collect::<String>());
            let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            if file.sha256.len() != 64 || !file.sha256.bytes().all(hexadecimal) {
                return Err(format!("{}: sha256 is 64 hexadecimal digits in lower case", named()));
            }
            let length = file.name.chars().count();
            if !(1..=255).contains(&length)
                || file.name.contains(['/', '\\'])
                || file.name.chars().any(char::is_control)
            {
                return Err(format!("{}: a file name is 1 to 255 characters, without a path", named()));
            }
            if file.size == 0 || file.size > self.max_bytes {
                return Err(format!("{}: {} bytes; a file has 1 to {} bytes", named(), file.size, self.max_bytes));
            }
            if !self.allows(&file.media_type) {
                return Err(format!(
                    "{}: type {} is not taken; use one of {}",
                    named(),
                    file.media_type,
                    self.media_types.join(", ")
                ));
            }
            if files[..index].iter().any(|earlier| earlier.sha256 == file.sha256) {
                return Err(format!("{}: the same file is given twice", named()));
            }
        }
        Ok(())
    }
}

fn allows(allowed: &str, media_type: &str) -> bool {
    match allowed.strip_suffix("/*") {
        Some(family) => media_type.split_once('/').is_some_and(|(kind, _)| kind == family),
        None => allowed == media_type,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Evidence {
        Evidence {
            sha256: "ab".repeat(32),
            name: "chat.pdf".into(),
            size: 12_345,
            media_type: "application/pdf".into(),
        }
    }

    /// D6: the check covers number, size, types and form, and its message names the file.
    #[test]
    fn evidence_is_checked_before_the_command_is_taken() {
        let limits = EvidenceLimits { max_files: 2, ..EvidenceLimits::default() };
        let wildcard = EvidenceLimits { media_types: vec!["audio/*".into()], ..EvidenceLimits::default() };
        let other = Evidence { sha256: "cd".repeat(32), ..file() };
        assert_eq!(limits.check(&[file(), other.clone()]), Ok(()));
        assert_eq!(wildcard.check(&[Evidence { media_type: "audio/ogg".into(), ..file() }]), Ok(()));
        for (files, word) in [
            (vec![file(), other, file()], "at most 2"),
            (vec![file(), file()], "twice"),
            (vec![Evidence { sha256: "AB".repeat(32), ..file() }], "sha256"),
            (vec![Evidence { sha256: "ab".into(), ..file() }], "sha256"),
            (vec![Evidence { name: String::new(), ..file() }], "name"),
            (vec![Evidence { name: "../etc/passwd".into(), ..file() }], "path"),
            (vec![Evidence { size: 0, ..file() }], "bytes"),
            (vec![Evidence { size: 26_214_401, ..file() }], "26214400"),
            (vec![Evidence { media_type: "application/x-sh".into(), ..file() }], "application/x-sh"),
        ] {
            let error = limits.check(&files).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
