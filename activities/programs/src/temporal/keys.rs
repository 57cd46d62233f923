//! The keys that encrypt payloads: a file with one key a line. The first key encrypts, and all of them decrypt.
//!
//! A line is a key's id, blanks, and 32 bytes in base64. Blank lines and lines that begin with `#` are skipped. To
//! rotate, add a new key at the end everywhere, then move it to the top; keep an old key as long as there are histories
//! written with it.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::aead::{AES_256_GCM, RandomizedNonceKey};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::KEYS_FILE;

/// How many bytes a key has.
const KEY_BYTES: usize = 32;

/// How long a key's id may be.
const ID_BYTES_MAX: usize = 64;

/// What is wrong with the keys. Nothing was encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file does not exist, or this program may not read it.
    #[error("the payload keys in {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no key in it.
    #[error("there is no payload key in {origin}")]
    Empty {
        /// The file.
        origin: String,
    },
    /// A line is not a key.
    #[error("line {line} of {origin} is no payload key: {reason}")]
    Malformed {
        /// The file.
        origin: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it. The key itself is never shown.
        reason: String,
    },
    /// This machine gives no random bytes for a key.
    #[error("this machine gives no random bytes")]
    NoRandomness,
}

struct Key {
    id: String,
    cipher: RandomizedNonceKey,
}

/// Keys, of which the first encrypts. Clones share them.
#[derive(Clone)]
pub struct PayloadKeys(Arc<[Key]>);

impl fmt::Debug for PayloadKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PayloadKeys").field(&self.ids()).finish()
    }
}

impl PayloadKeys {
    /// The keys of the file that the environment names; nothing if it names none.
    ///
    /// # Errors
    /// [`KeysError`] if it names one that cannot be used.
    pub fn of_environment() -> Result<Option<Self>, KeysError> {
        match std::env::var_os(KEYS_FILE) {
            Some(path) if !path.is_empty() => Self::read(Path::new(&path)).map(Some),
            _ => Ok(None),
        }
    }

    /// The keys of a file.
    ///
    /// # Errors
    /// [`KeysError`], which names the line.
    pub fn read(path: &Path) -> Result<Self, KeysError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| KeysError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// The keys in a text. Errors call the text `origin`.
    ///
    /// # Errors
    /// [`KeysError`], which names the line.
    pub fn parse(text: &str, origin: &str) -> Result<Self, KeysError> {
        let mut keys: Vec<Key> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |reason: String| KeysError::Malformed { origin: origin.to_owned(), line: at + 1, reason };
            let key = read_line(line).map_err(wrong)?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(wrong(format!("there is another key {}", key.id)));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(KeysError::Empty { origin: origin.to_owned() });
        }
        Ok(Self(keys.into()))
    }

    /// A line with a new key.
    ///
    /// # Errors
    /// [`KeysError::NoRandomness`].
    pub fn new_line(id: &str) -> Result<String, KeysError> {
        let mut bytes = [0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| KeysError::NoRandomness)?;
        Ok(format!("{id} {}", BASE64_STANDARD.encode(bytes)))
    }

    /// The ids, beginning with the key that encrypts.
    pub fn ids(&self) -> Vec<&str> {
        self.0.iter().map(|key| key.id.as_str()).collect()
    }

    /// The key that encrypts.
    pub(super) fn first(&self) -> (&str, &RandomizedNonceKey) {
        (&self.0[0].id, &self.0[0].cipher)
    }

    /// The key with this id.
    pub(super) fn find(&self, id: &str) -> Option<&RandomizedNonceKey> {
        self.0.iter().find(|key| key.id == id).map(|key| &key.cipher)
    }
}

/// Whether a key can have this id.
pub(super) fn may_be_an_id(id: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.iter().all(plain)
}

fn read_line(line: &str) -> Result<Key, String> {
    let mut words = line.split_whitespace();
    let (Some(id), Some(key), None) = (words.next(), words.next(), words.next()) else {
        return Err("expected an id and a key".to_owned());
    };
    if !may_be_an_id(id.as_bytes()) {
        return Err(format!("an id is at most {ID_BYTES_MAX} letters, digits, hyphens, dots and underscores"));
    }
    let bytes = BASE64_STANDARD.decode(key).map_err(|_| "the key is not base64".to_owned())?;
    if bytes.len() != KEY_BYTES {
        return Err(format!("a key has {KEY_BYTES} bytes, this one has {}", bytes.len()));
    }
    let cipher = RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| "the key cannot be used".to_owned())?;
    Ok(Key { id: id.to_owned(), cipher })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_encrypts_and_an_error_names_the_line_without_the_key() {
        let (one, two) = (PayloadKeys::new_line("2026-11").unwrap(), PayloadKeys::new_line("2026-10").unwrap());
        let keys = PayloadKeys::parse(&format!("# ours\n\n{one}\n  {two}  \n"), "keys").unwrap();
        assert_eq!(keys.ids(), ["2026-11", "2026-10"]);
        assert_eq!(keys.first().0, "2026-11");
        assert!(keys.find("2026-10").is_some() && keys.find("2026-09").is_none());
        assert_eq!(format!("{keys:?}"), r#"PayloadKeys(["2026-11", "2026-10"])"#);
        for (text, said) in [
            (String::new(), "there is no payload key in keys"),
            ("# none\n".to_owned(), "there is no payload key in keys"),
            ("one".to_owned(), "line 1 of keys is no payload key: expected an id and a key"),
            (format!("{one} more"), "line 1 of keys is no payload key: expected an id and a key"),
            (format!("{one}\n{one}"), "line 2 of keys is no payload key: there is another key 2026-11"),
            ("k c2hvcnQ=".to_owned(), "line 1 of keys is no payload key: a key has 32 bytes, this one has 5"),
            ("k !!!".to_owned(), "line 1 of keys is no payload key: the key is not base64"),
        ] {
            assert_eq!(PayloadKeys::parse(&text, "keys").unwrap_err().to_string(), said);
        }
        assert!(PayloadKeys::parse(&one.replace("2026-11", "a:b"), "keys").is_err());
        assert!(matches!(PayloadKeys::read(Path::new("/no/such/file")), Err(KeysError::Unreadable { .. })));
    }
}
