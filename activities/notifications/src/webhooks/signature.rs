//! Signatures of webhooks, as Standard Webhooks describes them (<https://www.standardwebhooks.com>): of outgoing
//! webhooks, and of incoming ones from a payment provider that uses the same scheme.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

/// How long a new secret is, in bytes.
const SECRET_BYTES: usize = 24;

/// The prefix of every secret.
const PREFIX: &str = "whsec_";

/// The scheme: HMAC with SHA-256.
const VERSION: &str = "v1";

/// How far a webhook's time may be from the receiver's, as Standard Webhooks recommends.
pub const TOLERANCE: Duration = Duration::from_mins(5);

/// A secret that signs webhooks: `whsec_` and Base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The headers with a webhook's signature. Incoming ones may have any content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeaders {
    /// `webhook-id`: the same for every try.
    pub id: String,
    /// `webhook-timestamp`: when this try was made, in seconds since 1970.
    pub timestamp: String,
    /// `webhook-signature`: one or more of `v1,{Base64}`, with spaces between.
    pub signature: String,
}

/// Why a webhook is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The secret cannot be used.
    #[error("the secret is not `whsec_` and Base64")]
    Secret,
    /// The time is no number.
    #[error("the header webhook-timestamp is not a number of seconds")]
    Timestamp,
    /// The time is too far from now: a clock is wrong, or somebody repeats an old webhook.
    #[error("the header webhook-timestamp is too far from the present time")]
    TooFarAway,
    /// No signature fits.
    #[error("no signature in the header webhook-signature fits")]
    Signature,
}

impl Secret {
    /// Makes a new secret from random bytes.
    ///
    /// # Errors
    /// Only if the machine has no random numbers.
    pub fn draw() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("{PREFIX}{}", STANDARD.encode(bytes))))
    }

    /// Reads an existing secret.
    ///
    /// # Errors
    /// [`SignatureError::Secret`] if it does not have the form of a secret, or is empty.
    pub fn new(text: &str) -> Result<Self, SignatureError> {
        let secret = Self(text.to_owned());
        match secret.key() {
            Ok(key) if !key.is_empty() => Ok(secret),
            _ => Err(SignatureError::Secret),
        }
    }

    /// The secret itself. Show it once, to its owner.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn key(&self) -> Result<Vec<u8>, SignatureError> {
        let encoded = self.0.strip_prefix(PREFIX).ok_or(SignatureError::Secret)?;
        STANDARD.decode(encoded).map_err(|_| SignatureError::Secret)
    }

    fn hmac(&self, id: &str, timestamp: &str, body: &[u8]) -> Result<Hmac<Sha256>, SignatureError> {
        let mut hmac = Hmac::<Sha256>::new_from_slice(&self.key()?).map_err(|_| SignatureError::Secret)?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            hmac.update(part);
        }
        Ok(hmac)
    }
}

/// Signs with every valid secret, so that a receiver needs to know only one of them.
///
/// # Errors
/// [`SignatureError::Secret`] if one cannot be used.
pub fn sign(secrets: &[Secret], id: &str, at: Timestamp, body: &[u8]) -> Result<SignedHeaders, SignatureError> {
    let timestamp = at.as_second().to_string();
    let signatures = secrets
        .iter()
        .map(|secret| {
            let signature = secret.hmac(id, &timestamp, body)?.finalize().into_bytes();
            Ok(format!("{VERSION},{}", STANDARD.encode(signature)))
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(SignedHeaders { id: id.to_owned(), timestamp, signature: signatures.join(" ") })
}

/// Checks that an incoming webhook was signed with this secret, at most `tolerance` from `now`. The comparison takes
/// equally long for every wrong signature.
///
/// # Errors
/// Why it is refused.
pub fn verify(
    secret: &Secret,
    headers: &SignedHeaders,
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), SignatureError> {
    let seconds: i64 = headers.timestamp.parse().map_err(|_| SignatureError::Timestamp)?;
    if now.as_second().abs_diff(seconds) > tolerance.as_secs() {
        return Err(SignatureError::TooFarAway);
    }
    let expected = secret.hmac(&headers.id, &headers.timestamp, body)?;
    let fits = headers
        .signature
        .split(' ')
        .filter_map(|signature| signature.strip_prefix(VERSION)?.strip_prefix(','))
        .filter_map(|encoded| STANDARD.decode(encoded).ok())
        .any(|signature| expected.clone().verify_slice(&signature).is_ok());
    if fits { Ok(()) } else { Err(SignatureError::Signature) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by Python: `base64.b64encode(hmac.new(base64.b64decode(secret[6:]), f"{id}.{timestamp}.{body}".encode(),
    /// hashlib.sha256).digest())`.
    const SIGNATURE: &str = "v1,YSEIk0K1b0WxMrooP1FWBscWfFO7eQCoi3FDcbrSIpA=";
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "evt_0197f3c0a1b2";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SECONDS: i64 = 1_614_265_330;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn signatures_match_those_of_another_program() {
        let secret = Secret::new(SECRET).unwrap();
        let headers = sign(std::slice::from_ref(&secret), ID, at(SECONDS), BODY).unwrap();
        assert_eq!((headers.timestamp.as_str(), headers.signature.as_str()), ("1614265330", SIGNATURE));
        let check = |headers: &SignedHeaders, body, now| verify(&secret, headers, body, at(now), TOLERANCE);
        assert_eq!(check(&headers, BODY, SECONDS + 300), Ok(()));
        assert_eq!(check(&headers, BODY, SECONDS - 300), Ok(()));
        assert_eq!(check(&headers, BODY, SECONDS + 301), Err(SignatureError::TooFarAway));
        assert_eq!(check(&headers, BODY, SECONDS - 301), Err(SignatureError::TooFarAway));
        assert_eq!(check(&headers, br#"{"test": 2432232315}"#, SECONDS), Err(SignatureError::Signature));
        let changed = |change: &dyn Fn(&mut SignedHeaders)| {
            let mut headers = headers.clone();
            change(&mut headers);
            check(&headers, BODY, SECONDS)
        };
        assert_eq!(changed(&|headers| headers.id.push('x')), Err(SignatureError::Signature));
        assert_eq!(changed(&|headers| headers.timestamp = "1614265331".into()), Err(SignatureError::Signature));
        assert_eq!(changed(&|headers| headers.timestamp = "soon".into()), Err(SignatureError::Timestamp));
        for wrong in ["", "v1,", "v1", "v2,xxxx", "v1,====", &SIGNATURE[3..], "v1,AAAA"] {
            assert_eq!(changed(&|headers| headers.signature = wrong.into()), Err(SignatureError::Signature), "{wrong}");
        }
        let several = format!("v1a,xyz v1,AAAA {SIGNATURE}");
        assert_eq!(changed(&|headers| headers.signature.clone_from(&several)), Ok(()));
    }

    #[test]
    fn one_of_several_secrets_is_enough_for_a_receiver() {
        let (old, new, other) = (Secret::draw().unwrap(), Secret::draw().unwrap(), Secret::draw().unwrap());
        assert_ne!(old, new);
        let headers = sign(&[new.clone(), old.clone()], ID, at(SECONDS), BODY).unwrap();
        for (secret, result) in [(old, Ok(())), (new, Ok(())), (other, Err(SignatureError::Signature))] {
            assert_eq!(verify(&secret, &headers, BODY, at(SECONDS), TOLERANCE), result);
        }
    }

    #[test]
    fn a_secret_is_not_shown_by_accident() {
        let secret = Secret::draw().unwrap();
        assert!(!format!("{secret:?}").contains(secret.reveal()));
        assert_eq!(Secret::new(secret.reveal()), Ok(secret));
        for wrong in ["", "whsec_", "whsec_!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert_eq!(Secret::new(wrong), Err(SignatureError::Secret), "{wrong}");
        }
    }
}
