//! Encrypts what the Temporal server keeps: payloads, and the words of failures (AES-256-GCM).
//!
//! The format is that of other SDKs' samples: a payload of encoding `binary/encrypted` with the key's id beside it. Its
//! data are the nonce and the sealed bytes of the whole payload. The id is sealed with them. Nonces are random, so a
//! key should not seal more than about 2^32 payloads.
//!
//! Plain payloads are read as they are: they come from old cases, and from programs without the keys. A payload with an
//! unknown key id is an error, and the reader retries until the key is there. If its key does not open a payload, or if
//! no key can have its id, somebody else made it. The codec passes it on unchanged, so that a case refuses a command in
//! it like any other unreadable one, instead of waiting for ever.

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use prost::Message as _;
use temporalio_common::{
    data_converters::{PayloadCodec, PayloadConversionError, SerializationContextData},
    protos::temporal::api::common::v1::Payload,
};

use super::keys::{PayloadKeys, may_be_an_id};

const ENCODING: &str = "encoding";
const ENCRYPTED: &[u8] = b"binary/encrypted";
const KEY_ID: &str = "encryption-key-id";

/// Why a payload was not encrypted or decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// No key has this id. Add the key to read the payload.
    #[error("a payload is encrypted with the key {id}, which is not among the keys here")]
    UnknownKey {
        /// The key's id.
        id: String,
    },
    /// It could not be sealed.
    #[error("a payload cannot be encrypted")]
    NotSealed,
}

/// Encrypts and decrypts payloads.
#[derive(Debug, Clone)]
pub struct PayloadCipher {
    keys: PayloadKeys,
    sealed_only: bool,
}

impl PayloadCipher {
    /// A codec with these keys.
    pub const fn new(keys: PayloadKeys) -> Self {
        Self { keys, sealed_only: false }
    }

    /// The same codec; if `true`, it accepts only encrypted payloads.
    #[must_use]
    pub const fn sealed_only(mut self, sealed_only: bool) -> Self {
        self.sealed_only = sealed_only;
        self
    }

    /// Encrypts with the first key.
    ///
    /// # Errors
    /// [`CodecError::NotSealed`].
    pub fn seal(&self, payload: &Payload) -> Result<Payload, CodecError> {
        let (id, key) = self.keys.first();
        let mut sealed = payload.encode_to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(id), &mut sealed).map_err(|_| CodecError::NotSealed)?;
        let mut data = nonce.as_ref().to_vec();
        data.append(&mut sealed);
        let metadata = [(ENCODING.to_owned(), ENCRYPTED.to_vec()), (KEY_ID.to_owned(), id.as_bytes().to_vec())].into();
        Ok(Payload { metadata, data, ..Payload::default() })
    }

    /// Decrypts an encrypted payload. It passes a plain one on, unless it accepts only encrypted ones.
    ///
    /// # Errors
    /// [`CodecError::UnknownKey`].
    pub fn open(&self, payload: Payload) -> Result<Payload, CodecError> {
        if !is_encrypted(&payload) {
            return Ok(if self.sealed_only { unreadable() } else { payload });
        }
        let id = payload.metadata.get(KEY_ID).map(|id| String::from_utf8_lossy(id).into_owned()).unwrap_or_default();
        if !may_be_an_id(id.as_bytes()) {
            return Ok(payload);
        }
        let key = self.keys.find(&id).ok_or_else(|| CodecError::UnknownKey { id: id.clone() })?;
        Ok(opened(key, &id, &payload.data).unwrap_or(payload))
    }
}

/// Replaces a payload that the codec does not accept. An error of the codec would be retried for ever and block the
/// case; the reader refuses this like any other unreadable payload.
fn unreadable() -> Payload {
    Payload { metadata: [(ENCODING.to_owned(), b"binary/not-sealed".to_vec())].into(), ..Payload::default() }
}

/// Whether a payload is encrypted.
pub fn is_encrypted(payload: &Payload) -> bool {
    payload.metadata.get(ENCODING).is_some_and(|encoding| encoding == ENCRYPTED)
}

fn opened(key: &RandomizedNonceKey, id: &str, data: &[u8]) -> Option<Payload> {
    let (nonce, sealed) = data.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut sealed = sealed.to_vec();
    let plain = key.open_in_place(nonce, Aad::from(id), &mut sealed).ok()?;
    Payload::decode(&*plain).ok()
}

impl PayloadCodec for PayloadCipher {
    fn encode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        done(payloads.iter().map(|payload| self.seal(payload)).collect())
    }

    fn decode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        done(payloads.into_iter().map(|payload| self.open(payload)).collect())
    }
}

fn done(
    payloads: Result<Vec<Payload>, CodecError>,
) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
    ready(payloads.map_err(|error| PayloadConversionError::EncodingError(error.into()))).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(lines: &[&str]) -> PayloadCipher {
        PayloadCipher::new(PayloadKeys::parse(&lines.join("\n"), "keys").unwrap())
    }

    fn claim() -> Payload {
        let metadata = [("encoding".to_owned(), b"json/plain".to_vec())].into();
        Payload { metadata, data: br#"{"details":"the logo was delivered"}"#.to_vec(), ..Payload::default() }
    }

    #[test]
    fn sealed_payloads_are_unreadable_and_open_with_their_key_after_a_rotation() {
        let (old, new) = (PayloadKeys::new_line("old").unwrap(), PayloadKeys::new_line("new").unwrap());
        let before = keys(&[&old]);
        let sealed = before.seal(&claim()).unwrap();
        let text = String::from_utf8_lossy(&sealed.data);
        assert!(!text.contains("logo") && !text.contains("json"), "{text}");
        assert_ne!(sealed.data, before.seal(&claim()).unwrap().data, "equal payloads look different");
        let rotated = keys(&[&new, &old]);
        assert_eq!(rotated.open(sealed.clone()).unwrap(), claim());
        assert_eq!(rotated.seal(&claim()).unwrap().metadata[KEY_ID], b"new");
        let without = keys(&[&new]);
        assert_eq!(without.open(sealed), Err(CodecError::UnknownKey { id: "old".to_owned() }));
    }

    #[test]
    fn a_sealed_only_codec_makes_plain_payloads_unreadable() {
        let cipher = keys(&[&PayloadKeys::new_line("k").unwrap()]).sealed_only(true);
        let taken = cipher.open(claim()).unwrap();
        assert!(taken.data.is_empty() && taken.metadata[ENCODING] != b"json/plain", "{taken:?}");
        assert_eq!(cipher.open(cipher.seal(&claim()).unwrap()).unwrap(), claim());
    }

    #[test]
    fn foreign_payloads_pass_unchanged() {
        let cipher = keys(&[&PayloadKeys::new_line("k").unwrap()]);
        assert_eq!(cipher.open(claim()).unwrap(), claim(), "plain");
        let sealed = cipher.seal(&claim()).unwrap();
        for data in [vec![], vec![0; 11], vec![0; 60], [&sealed.data[..], &[0]].concat()] {
            let forged = Payload { data, ..sealed.clone() };
            assert_eq!(cipher.open(forged.clone()).unwrap(), forged);
        }
        for id in [vec![], b"a key".to_vec(), b"\x1b[2J".to_vec(), vec![0xff], vec![b'k'; 65]] {
            let mut nobodys = sealed.clone();
            nobodys.metadata.insert(KEY_ID.to_owned(), id);
            assert_eq!(cipher.open(nobodys.clone()), Ok(nobodys), "no key will ever have this id");
        }
        // The id is sealed too: nobody can pass a payload of one key off as another's.
        let line = PayloadKeys::new_line("k").unwrap();
        let same_key = keys(&[&line, &line.replacen("k ", "other ", 1)]);
        let mut renamed = same_key.seal(&claim()).unwrap();
        renamed.metadata.insert(KEY_ID.to_owned(), b"other".to_vec());
        assert_eq!(same_key.open(renamed.clone()).unwrap(), renamed);
    }
}
