//! Reading what comes in: the wire contract's types are the rules' ([`recourse_domain::messages`]).
//!
//! Whatever arrives is taken as raw payloads and read here: a payload that does not parse must never fail a workflow task.

use recourse_domain::command::{COMMAND_BYTES_MAX, Unreadable, fields};
use serde::de::DeserializeOwned;
use temporalio_common::data_converters::RawValue;

/// The most bytes that the start of a dispute may have. One that grows out of a case carries that case's contract and policy and the
/// command that filed it, and both were taken already: together they must never be too big. The third part is for what was left
/// out there and is written out here.
pub const DISPUTE_START_BYTES_MAX: usize = 3 * COMMAND_BYTES_MAX;

/// Reads the one JSON payload that came in.
///
/// # Errors
/// [`Unreadable`] with the field and what was expected there.
pub fn read<T: DeserializeOwned>(raw: &RawValue) -> Result<T, Unreadable> {
    read_up_to(raw, COMMAND_BYTES_MAX)
}

/// The same, with another limit of its bytes.
///
/// # Errors
/// As [`read`].
pub fn read_up_to<T: DeserializeOwned>(raw: &RawValue, bytes_max: usize) -> Result<T, Unreadable> {
    let json = json_of(raw)?;
    if json.len() > bytes_max {
        let reason = format!("{} bytes are too big; at most {bytes_max} are taken", json.len());
        return Err(Unreadable::because(reason));
    }
    fields(json)
}

/// The bytes of the one JSON payload that came in.
///
/// # Errors
/// [`Unreadable`] if there is no payload, more than one, or one that is not `json/plain`.
pub fn json_of(raw: &RawValue) -> Result<&[u8], Unreadable> {
    match raw.payloads.as_slice() {
        [payload] => {
            let encoding = payload.metadata.get("encoding").map(Vec::as_slice);
            if encoding == Some(b"json/plain") {
                Ok(&payload.data)
            } else {
                let encoding =
                    String::from_utf8_lossy(encoding.unwrap_or(b"none")).chars().take(40).collect::<String>();
                Err(Unreadable::because(format!(
                    "expected one JSON object (json/plain), not a payload encoded as {encoding}"
                )))
            }
        }
        payloads => Err(Unreadable::because(format!("expected one JSON object, not {} payloads", payloads.len()))),
    }
}
