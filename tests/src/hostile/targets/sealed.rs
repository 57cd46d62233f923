//! Files of payload keys, and payloads from the Temporal server that claim to be encrypted.

use std::collections::BTreeSet;

use recourse_programs::temporal::{PayloadCipher, PayloadKeys, codec::is_encrypted};
use temporalio_common::protos::temporal::api::common::v1::Payload;

use super::{Bytes, plain};

/// The keys for payloads here; a fuzzer soon knows their ids.
const KEYS: &str = "new AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nold Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

/// All bytes are the text of a file of keys.
pub fn keys(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match PayloadKeys::parse(text, "keys") {
        Ok(keys) => {
            let ids = keys.ids();
            assert!(!ids.is_empty());
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "each id once: {ids:?}");
            let plain = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            assert!(ids.iter().all(|id| (1..=64).contains(&id.len()) && plain(id)), "{ids:?}");
            let cipher = PayloadCipher::new(keys.clone());
            let payload = Payload { data: data.to_vec(), ..Payload::default() };
            let sealed = cipher.seal(&payload).expect("the first key encrypts");
            assert_eq!(sealed.metadata["encryption-key-id"], keys.ids()[0].as_bytes());
            assert_eq!(cipher.open(sealed), Ok(payload));
        }
        Err(error) => {
            let told = error.to_string();
            plain(&told);
            // Every key ends like this in base64, and no id has that sign.
            let mut keys = text.split_whitespace().filter(|word| word.len() > 20 && word.ends_with('='));
            assert!(!keys.any(|key| told.contains(key)), "a key is shown: {told}");
        }
    }
}

/// The first byte chooses what happens to a payload; then come its metadata and its data.
pub fn payloads(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (choice, at, bits) = (bytes.byte(), bytes.number(), bytes.byte() | 1);
    let payload = payload(&mut bytes);
    let cipher = PayloadCipher::new(PayloadKeys::parse(KEYS, "keys").expect("valid keys"));
    if choice & 1 == 0 {
        as_it_came(&cipher, &payload);
        return;
    }
    let sealed = cipher.seal(&payload).expect("a key encrypts");
    assert!(is_encrypted(&sealed));
    assert_eq!(cipher.open(sealed.clone()), Ok(payload), "it is what was sealed");
    let at = usize::try_from(at).unwrap_or_default() % sealed.data.len();
    let mut changed = sealed.clone();
    changed.data[at] ^= bits;
    as_it_came(&cipher, &changed);
    as_it_came(&cipher, &Payload { data: sealed.data[..at].to_vec(), ..sealed.clone() });
    let mut renamed = sealed;
    renamed.metadata.insert("encryption-key-id".to_owned(), b"old".to_vec());
    as_it_came(&cipher, &renamed);
}

/// A payload that our keys did not encrypt stays as it is: it is passed on, or waits for a key that may come.
fn as_it_came(cipher: &PayloadCipher, payload: &Payload) {
    match cipher.open(payload.clone()) {
        Ok(opened) => assert_eq!(opened, *payload),
        Err(error) => {
            assert!(is_encrypted(payload), "what is not encrypted is read as it is");
            plain(&error.to_string());
        }
    }
}

fn payload(bytes: &mut Bytes<'_>) -> Payload {
    let mut payload = Payload::default();
    for _ in 0..bytes.byte() % 4 {
        let name = ["encoding", "encryption-key-id", "messageType"][usize::from(bytes.byte() % 3)];
        let length = usize::from(bytes.byte());
        let value = match length {
            0..200 => bytes.take(length).to_vec(),
            200..210 => b"new".to_vec(),
            210..220 => b"gone".to_vec(),
            _ => b"binary/encrypted".to_vec(),
        };
        payload.metadata.insert(name.to_owned(), value);
    }
    payload.data = bytes.0.to_vec();
    payload
}
