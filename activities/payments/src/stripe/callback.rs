//! Stripe's events: checks that Stripe signed one, and finds the refund that it is about. It uses nothing else of the
//! event: Recourse asks Stripe itself for the refund's state.

use std::{collections::BTreeMap, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::Sha256;

use super::{super::Hidden, METADATA_KEY};

/// The scheme: HMAC with SHA-256, in hexadecimal digits. Stripe's other schemes are for tests.
const SCHEME: &str = "v1";

/// How far an event's time may be from ours, the same as in Stripe's own libraries.
const TOLERANCE: Duration = Duration::from_mins(5);

/// Why an event is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// The header does not have Stripe's format.
    #[error("the header Stripe-Signature has no time")]
    Timestamp,
    /// A clock is wrong, or somebody repeats an old event.
    #[error("the time in the header Stripe-Signature is too far from the present time")]
    TooFarAway,
    /// It was signed with another secret, or changed on the way.
    #[error("no v1 signature in the header Stripe-Signature fits")]
    Signature,
    /// Stripe signed it, but it is not an event.
    #[error("the event cannot be read")]
    Unreadable,
}

/// Reads Stripe's events.
#[derive(Debug, Clone)]
pub struct StripeCallbacks {
    secret: Hidden,
}

#[derive(Deserialize)]
struct Event {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    object: String,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

impl StripeCallbacks {
    /// Reads events that are signed with `secret`, `whsec_…`.
    pub const fn new(secret: Hidden) -> Self {
        Self { secret }
    }

    /// The key of the refund that an event is about; nothing for every other event. `header` is `Stripe-Signature`;
    /// `body` is the event exactly as it came, byte for byte.
    ///
    /// # Errors
    /// If Stripe did not sign it at about `now`, or if it is not an event.
    pub fn refund_of(&self, header: &str, body: &[u8], now: Timestamp) -> Result<Option<String>, CallbackError> {
        self.verify(header, body, now)?;
        let Event { data: Data { object } } = serde_json::from_slice(body).map_err(|_| CallbackError::Unreadable)?;
        if object.object != "refund" {
            return Ok(None);
        }
        Ok(object.metadata.and_then(|mut metadata| metadata.remove(METADATA_KEY)))
    }

    /// Whether one of the signatures fits: while a secret is being changed, Stripe signs with both. The comparison
    /// takes equally long for every wrong signature.
    fn verify(&self, header: &str, body: &[u8], now: Timestamp) -> Result<(), CallbackError> {
        let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
        let time = parts().find(|(name, _)| *name == "t").map(|(_, time)| time).ok_or(CallbackError::Timestamp)?;
        let seconds: i64 = time.parse().map_err(|_| CallbackError::Timestamp)?;
        if now.as_second().abs_diff(seconds) > TOLERANCE.as_secs() {
            return Err(CallbackError::TooFarAway);
        }
        let mut expected =
            Hmac::<Sha256>::new_from_slice(self.secret.reveal().as_bytes()).map_err(|_| CallbackError::Signature)?;
        for part in [time.as_bytes(), b".", body] {
            expected.update(part);
        }
        let fits = parts()
            .filter(|(scheme, _)| *scheme == SCHEME)
            .filter_map(|(_, digits)| bytes(digits))
            .any(|signature| expected.clone().verify_slice(&signature).is_ok());
        if fits { Ok(()) } else { Err(CallbackError::Signature) }
    }
}

/// The bytes of hexadecimal digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// Made by Python: `hmac.new(secret.encode(), f"{t}.{body}".encode(), hashlib.sha256).hexdigest()`.
    const SIGNATURE: &str = "aa87dcb9e89a1efb59b59388e745c03468c0f5964ba513a7a7e4c3716d17f623";
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SECONDS: i64 = 1_614_265_330;
    const BODY: &str = r#"{"type":"refund.failed","data":{"object":{"object":"refund","id":"re_1","status":"failed","metadata":{"recourse_key":"refund-request:c-1/refund:d-1"}}}}"#;

    fn read(header: &str, body: &str, seconds: i64) -> Result<Option<String>, CallbackError> {
        let callbacks = StripeCallbacks::new(Hidden::new(SECRET.to_owned()));
        callbacks.refund_of(header, body.as_bytes(), Timestamp::from_second(seconds).unwrap())
    }

    /// A header for `body`, as Stripe signs it.
    fn signed(body: &str) -> String {
        let mut hmac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        hmac.update(format!("{SECONDS}.{body}").as_bytes());
        let mut header = format!("t={SECONDS},v1=");
        for byte in hmac.finalize().into_bytes() {
            let _ = write!(header, "{byte:02x}");
        }
        header
    }

    #[test]
    fn an_event_signed_by_stripe_names_its_refund() {
        let header = format!("t={SECONDS},v1={SIGNATURE},v0=abc");
        let refund = Ok(Some("refund-request:c-1/refund:d-1".to_owned()));
        for now in [SECONDS, SECONDS - 300, SECONDS + 300] {
            assert_eq!(read(&header, BODY, now), refund);
        }
        assert_eq!(read(&signed(BODY), BODY, SECONDS), refund, "the other tests sign as Python does");
        // While the secret is being changed.
        let other = "0".repeat(64);
        let header = format!("t={SECONDS}, v1={other}, v1={SIGNATURE}");
        assert_eq!(read(&header, BODY, SECONDS), refund);
    }

    #[test]
    fn forged_and_old_events_are_refused() {
        let header = format!("t={SECONDS},v1={SIGNATURE}");
        for now in [SECONDS - 301, SECONDS + 301] {
            assert_eq!(read(&header, BODY, now), Err(CallbackError::TooFarAway));
        }
        assert_eq!(read(&header, &BODY.replace("d-1", "d-2"), SECONDS), Err(CallbackError::Signature));
        let later = format!("t={},v1={SIGNATURE}", SECONDS + 1);
        assert_eq!(read(&later, BODY, SECONDS), Err(CallbackError::Signature), "the time is signed too");
        for (header, error) in [
            (String::new(), CallbackError::Timestamp),
            (format!("v1={SIGNATURE}"), CallbackError::Timestamp),
            (format!("t=soon,v1={SIGNATURE}"), CallbackError::Timestamp),
            (format!("t={SECONDS}"), CallbackError::Signature),
            (format!("t={SECONDS},v1="), CallbackError::Signature),
            (format!("t={SECONDS},v1=é"), CallbackError::Signature),
            (format!("t={SECONDS},v0={SIGNATURE}"), CallbackError::Signature),
            (format!("t={SECONDS},v1={}", &SIGNATURE[2..]), CallbackError::Signature),
        ] {
            assert_eq!(read(&header, BODY, SECONDS), Err(error), "{header}");
        }
    }

    #[test]
    fn other_events_name_no_refund() {
        for body in [
            r#"{"type":"charge.refunded","data":{"object":{"object":"charge","metadata":{"recourse_key":"k"}}}}"#,
            r#"{"type":"refund.updated","data":{"object":{"object":"refund","metadata":{"other":"k"}}}}"#,
            r#"{"type":"refund.updated","data":{"object":{"object":"refund","metadata":null}}}"#,
            r#"{"type":"new.kind","data":{"object":{}}}"#,
        ] {
            assert_eq!(read(&signed(body), body, SECONDS), Ok(None), "{body}");
        }
        for body in ["", "{}", "[]", r#"{"data":{}}"#] {
            assert_eq!(read(&signed(body), body, SECONDS), Err(CallbackError::Unreadable), "{body}");
        }
    }
}
