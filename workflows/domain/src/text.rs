//! Texts that people write: how long they may be, and how they are shown.

/// The longest text that a party may write into a command, in bytes of UTF-8. A server stores every command and every
/// answer, and ends a case whose history outgrows its limits: so a case's texts are bounded, by what they weigh.
pub const TEXT_BYTES_MAX: usize = 20_000;

/// The longest text of a command that may come many times: an offer's message, a reason.
pub const SHORT_TEXT_BYTES_MAX: usize = 1_000;

/// The longest reason or note in bytes. What a sender wrote comes back in the message that refuses it, and must not fill
/// a timeline.
pub const NOTE_BYTES_MAX: usize = 400;

/// A text that is at most [`NOTE_BYTES_MAX`] long, cut where it is longer, and on one line: it goes to logs and terminals,
/// and a control character that a sender wrote is shown there (`\u{1b}`), not obeyed.
pub fn shortened(text: &str) -> String {
    // What is cut off anyway is not looked at.
    let mut shown = String::new();
    for letter in text.chars() {
        if shown.len() > NOTE_BYTES_MAX {
            break;
        }
        if letter.is_control() { shown.extend(letter.escape_default()) } else { shown.push(letter) }
    }
    if shown.len() <= NOTE_BYTES_MAX {
        return shown;
    }
    let mut end = NOTE_BYTES_MAX - '…'.len_utf8();
    while !shown.is_char_boundary(end) {
        end -= 1;
    }
    shown.truncate(end);
    shown.push('…');
    shown
}

/// Whether a required text is there and not too long.
pub fn check_text(field: &str, text: &str) -> Result<(), String> {
    check_required(field, text, TEXT_BYTES_MAX)
}

/// Whether a required text is there and short.
pub fn check_short_text(field: &str, text: &str) -> Result<(), String> {
    check_required(field, text, SHORT_TEXT_BYTES_MAX)
}

/// Whether a text, if there is one, is short.
pub fn check_optional_text(field: &str, text: &str) -> Result<(), String> {
    check_length(field, text, SHORT_TEXT_BYTES_MAX)
}

/// Whether a required text is there and at most `bytes_max` long.
pub(crate) fn check_required(field: &str, text: &str, bytes_max: usize) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("{field}: is empty; say it in words"));
    }
    check_length(field, text, bytes_max)
}

/// Whether a text is at most `bytes_max` long.
pub(crate) fn check_length(field: &str, text: &str, bytes_max: usize) -> Result<(), String> {
    if text.len() > bytes_max {
        return Err(format!("{field}: {} bytes; at most {bytes_max}", text.len()));
    }
    Ok(())
}
