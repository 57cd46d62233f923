//! Reads starts and commands. The rules define the types of the wire contract ([`recourse_domain::messages`]).
//!
//! Workflows take raw payloads and read them here: a payload that does not parse must never fail a workflow task.

use recourse_domain::command::{COMMAND_BYTES_MAX, Unreadable, fields};
use serde::de::DeserializeOwned;
use temporalio_common::data_converters::RawValue;

/// The most bytes that the start of a dispute may have. A dispute that a case files carries that case's start and the command
/// that filed it. Recourse has accepted both, so together they must never be too big. The third part is room for defaults
/// that those two left out and this start writes out.
pub const DISPUTE_START_BYTES_MAX: usize = 3 * COMMAND_BYTES_MAX;

/// Reads the one JSON payload that arrived.
///
/// # Errors
/// [`Unreadable`] with the field and what was expected there.
pub fn read<T: DeserializeOwned>(raw: &RawValue) -> Result<T, Unreadable> {
    read_up_to(raw, COMMAND_BYTES_MAX)
}

/// Reads it with another limit of bytes.
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

/// The bytes of the one JSON payload that arrived.
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
