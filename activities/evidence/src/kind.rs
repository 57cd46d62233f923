//! A file's type, by its content. Its name only has to agree: a file whose name says another type is refused (D6).

use std::{fmt::Write as _, str};

use recourse_domain::evidence::EvidenceLimits;
use sha2::{Digest as _, Sha256};

use super::{EvidenceError, names};

/// How many bytes of a file's beginning are kept to find its type.
const HEAD_BYTES: usize = 8192;

const PLAIN: &str = "text/plain";

/// Reads a file while it streams: its size, its hash, its beginning, and whether it is text.
#[derive(Debug)]
pub(super) struct Inspection {
    head: Vec<u8>,
    size: u64,
    hash: Sha256,
    text: Text,
}

impl Inspection {
    pub fn new() -> Self {
        Self { head: Vec::new(), size: 0, hash: Sha256::new(), text: Text::default() }
    }

    /// Takes the next bytes.
    pub fn see(&mut self, bytes: &[u8]) {
        let missing = HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(missing)]);
        self.size += bytes.len() as u64;
        self.hash.update(bytes);
        self.text.see(bytes);
    }

    /// How many bytes were read.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Whether enough was read to find the type.
    pub fn has_head(&self) -> bool {
        self.head.len() == HEAD_BYTES
    }

    /// The media type, by what was read until now.
    ///
    /// # Errors
    /// [`EvidenceError::Unrecognised`], [`EvidenceError::Disguised`] or [`EvidenceError::NotTaken`].
    pub fn media_type(&self, name: &str, limits: &EvidenceLimits) -> Result<String, EvidenceError> {
        let found = sniffed(&self.head, self.text.is_text()).ok_or(EvidenceError::Unrecognised)?;
        let media_type = agreed(found, name)?;
        if limits.allows(&media_type) {
            Ok(media_type)
        } else {
            Err(EvidenceError::NotTaken { media_type, taken: limits.media_types.join(", ") })
        }
    }

    /// The SHA-256 of everything that was read, in lower case.
    ///
    /// # Errors
    /// [`EvidenceError::Unrecognised`] if a file that began as text ended within a character.
    pub fn finish(self, media_type: &str) -> Result<String, EvidenceError> {
        if is_textual(media_type) && !self.text.is_whole() {
            return Err(EvidenceError::Unrecognised);
        }
        let mut hexadecimal = String::with_capacity(64);
        for byte in self.hash.finalize() {
            // Writing to a string never fails.
            let _ = write!(hexadecimal, "{byte:02x}");
        }
        Ok(hexadecimal)
    }
}

/// The type by the content. For text, types whose mark can also begin a text do not count, such as a picture that
/// begins with `BM`.
fn sniffed(head: &[u8], is_text: bool) -> Option<&'static str> {
    let found = infer::Infer::new().get(head).map(|kind| kind.mime_type());
    match found {
        Some(found) if is_text && !is_textual(found) && !IN_TEXT.contains(&found) => Some(PLAIN),
        None => is_text.then_some(PLAIN),
        found => found,
    }
}

/// Formats that may consist only of text.
const IN_TEXT: [&str; 3] = ["application/pdf", "application/rtf", "application/postscript"];

fn is_textual(media_type: &str) -> bool {
    media_type.starts_with("text/") || media_type == "application/json"
}

/// The type that the content and the name's ending agree on. For text, the ending decides, if it names a kind of text.
/// An unknown ending agrees with everything.
fn agreed(found: &str, name: &str) -> Result<String, EvidenceError> {
    let said: Vec<String> = match names::ending(name) {
        Some(ending) => mime_guess::from_ext(ending).iter().map(|said| said.essence_str().to_owned()).collect(),
        None => Vec::new(),
    };
    let same = |said: &&String| unprefixed(said) == unprefixed(found);
    if said.is_empty() || said.iter().any(|said| same(&said)) {
        return Ok(found.to_owned());
    }
    match said.iter().find(|said| found == PLAIN && is_textual(said)) {
        Some(said) => Ok(said.clone()),
        None => Err(EvidenceError::Disguised { name: name.to_owned(), said: said.join(", "), found: found.to_owned() }),
    }
}

/// `audio/x-wav` and `audio/wav` are the same.
fn unprefixed(media_type: &str) -> String {
    media_type.replacen("/x-", "/", 1)
}

/// Whether bytes are UTF-8 without control characters, wherever the pieces are cut.
#[derive(Debug, Default)]
struct Text {
    /// The beginning of a character whose end has not come yet.
    begun: Vec<u8>,
    broken: bool,
}

impl Text {
    fn see(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        let mut rest = bytes;
        // One byte at a time until the cut character is complete: at most three.
        while let ([first, others @ ..], false) = (rest, self.begun.is_empty()) {
            self.begun.push(*first);
            rest = others;
            match str::from_utf8(&self.begun) {
                Ok(letter) => {
                    self.broken = !is_plain(letter);
                    self.begun.clear();
                }
                Err(error) if error.error_len().is_some() => {
                    self.broken = true;
                    return;
                }
                Err(_) => {}
            }
        }
        let text = match str::from_utf8(rest) {
            Ok(text) => text,
            Err(error) => {
                let (whole, begun) = rest.split_at(error.valid_up_to());
                self.broken = error.error_len().is_some();
                begun.clone_into(&mut self.begun);
                str::from_utf8(whole).unwrap_or_default()
            }
        };
        self.broken |= !is_plain(text);
    }

    const fn is_text(&self) -> bool {
        !self.broken
    }

    const fn is_whole(&self) -> bool {
        !self.broken && self.begun.is_empty()
    }
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|letter| !letter.is_control() || matches!(letter, '\t' | '\n' | '\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(content: &[u8], name: &str) -> Result<String, EvidenceError> {
        let mut inspection = Inspection::new();
        inspection.see(content);
        inspection.media_type(name, &EvidenceLimits::default())
    }

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    #[test]
    fn content_and_ending_must_agree_on_the_type() {
        for (content, name, media_type) in [
            (&b"%PDF-1.7\n"[..], "a.pdf", "application/pdf"),
            (PNG, "a.PNG", "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "a.jpeg", "image/jpeg"),
            (b"PK\x03\x04\x14\0\0\0", "a.zip", "application/zip"),
            (PNG, "no ending", "image/png"),
            ("Grüße".as_bytes(), "a.txt", "text/plain"),
            (b"BMW, invoice 7", "a.txt", "text/plain"),
            (b"no ending", "a", "text/plain"),
        ] {
            assert_eq!(told(content, name).unwrap(), media_type, "{name}");
        }
        for (content, name) in [
            (&b"<html><script>alert(1)</script></html>"[..], "a.pdf"),
            (b"<!DOCTYPE html><p>hello", "a.txt"),
            (b"MZ\x90\0\x03\0\0\0", "a.pdf"),
            (PNG, "a.jpg"),
            (PNG, "a.exe"),
            (b"only words", "a.pdf"),
            (b"%PDF-1.7\n", "a.txt"),
        ] {
            let error = told(content, name).unwrap_err();
            assert!(matches!(error, EvidenceError::Disguised { .. }), "{name}: {error}");
        }
        for (content, name) in [(&b"MZ\x90\0\x03\0\0\0"[..], "a"), (b"<html><p>x", "a.html"), (b"a,b", "a.csv")] {
            let error = told(content, name).unwrap_err();
            assert!(matches!(error, EvidenceError::NotTaken { .. }), "{name}: {error}");
        }
        for content in [&b"\x01\x02\x03"[..], b"bell\x07", b"\xff\xfe\xfd"] {
            assert!(matches!(told(content, "a.txt"), Err(EvidenceError::Unrecognised)), "{content:?}");
        }
        let csv = EvidenceLimits { media_types: vec!["text/*".into()], ..EvidenceLimits::default() };
        let mut inspection = Inspection::new();
        inspection.see(b"a,b");
        assert_eq!(inspection.media_type("a.csv", &csv).unwrap(), "text/csv");
    }

    #[test]
    fn text_is_recognised_wherever_it_is_cut() {
        let words = "aé€𝄞\n".as_bytes();
        for cut in 0..=words.len() {
            let mut text = Text::default();
            text.see(&words[..cut]);
            text.see(&words[cut..]);
            assert!(text.is_whole(), "cut at {cut}");
        }
        let mut bytewise = Text::default();
        words.chunks(1).for_each(|byte| bytewise.see(byte));
        assert!(bytewise.is_whole());
        for bad in [&b"\xe2\x28\xa1"[..], b"\xc3\x28", b"\0", b"\x1b[31m", b"\xc2\x85"] {
            let mut text = Text::default();
            bad.chunks(1).for_each(|byte| text.see(byte));
            assert!(!text.is_text(), "{bad:?}");
        }
        let mut cut_off = Text::default();
        cut_off.see(b"\xe2\x82");
        assert!(cut_off.is_text() && !cut_off.is_whole());
    }
}
