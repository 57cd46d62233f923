//! Bytes as hexadecimal digits.

use std::fmt::Write as _;

/// Two digits a byte, in lower case.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes, or nothing if that is not an even number of digits.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    digits.len().is_multiple_of(2).then(|| pairs.collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hexadecimal_text_is_decoded() {
        let bytes = [0, 1, 127, 255];
        assert_eq!(encode(&bytes), "00017fff");
        assert_eq!(decode(&encode(&bytes)), Some(bytes.to_vec()));
        assert_eq!((decode("0g"), decode("abc")), (None, None));
    }
}
