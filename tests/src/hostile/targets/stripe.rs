//! Requests to the address of Stripe's events. Anybody can send there; even what Stripe signed may be anything.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use jiff::Timestamp;
use recourse_payments::{CallbackError, Hidden, StripeCallbacks};
use serde_json::Value;

use super::{Bytes, plain};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SECONDS: i64 = 1_793_534_400;

/// The first byte says whether Stripe signed it; the rest is the header, up to a line's end, and the event.
pub fn events(data: &[u8]) {
    let mut bytes = Bytes(data);
    let is_signed = bytes.byte() & 1 == 1;
    let at = bytes.0.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.0.len());
    let (header, body) = (String::from_utf8_lossy(bytes.take(at)).into_owned(), bytes.0);
    let callbacks = StripeCallbacks::new(Hidden::new(SECRET.to_owned()));
    let read = |header: &str, body: &[u8], seconds: i64| {
        let read = callbacks.refund_of(header, body, Timestamp::from_second(seconds).expect("an instant"));
        if let Err(error) = &read {
            plain(&error.to_string());
        }
        read
    };
    if !is_signed {
        assert!(read(&header, body, SECONDS).is_err(), "nobody but Stripe has the secret");
        return;
    }
    let signature = signature(body);
    let signed = format!("t={SECONDS},v1={signature}");
    let named = read(&signed, body, SECONDS);
    match &named {
        Ok(None) | Err(CallbackError::Unreadable) => {}
        Ok(Some(key)) => {
            // An event that we ignore may have half of a letter (`\\ud800`), which is no text.
            if let Ok(event) = serde_json::from_slice(body) {
                assert!(says(&event, "refund") && says(&event, key), "{key} is not in the event");
            }
        }
        Err(error) => panic!("it was signed: {error}"),
    }
    // While the secret is changed there are more signatures, and a later version of Stripe may add anything.
    assert_eq!(read(&format!("{signed},{header}"), body, SECONDS), named);
    assert_eq!(read(&signed, body, SECONDS + 301), Err(CallbackError::TooFarAway));
    let later = format!("t={},v1={signature}", SECONDS + 1);
    assert_eq!(read(&later, body, SECONDS), Err(CallbackError::Signature), "the time is signed too");
    let longer = [body, b" "].concat();
    assert_eq!(read(&signed, &longer, SECONDS), Err(CallbackError::Signature), "and all of the event");
}

/// Stripe's signature.
fn signature(body: &[u8]) -> String {
    let signed = [format!("{SECONDS}.").as_bytes(), body].concat();
    let tag = sign(&Key::new(HMAC_SHA256, SECRET.as_bytes()), &signed);
    tag.as_ref().iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"))
}

/// Whether one of an event's texts is this.
fn says(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found == text,
        Value::Array(values) => values.iter().any(|value| says(value, text)),
        Value::Object(fields) => fields.values().any(|value| says(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
