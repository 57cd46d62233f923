//! Texts that people write: how long they may be, and how to show them.

/// The longest text that a party may write into a command, in bytes of UTF-8. A server stores every command and every
/// answer, and ends a case when its history exceeds the server's limits. So the bytes of a case's texts have limits.
pub const TEXT_BYTES_MAX: usize = 20_000;

/// The longest text of a command that may come many times: an offer's message, a reason.
pub const SHORT_TEXT_BYTES_MAX: usize = 1_000;

/// The longest reason or note in bytes. A refusal repeats the sender's words, and they must not fill a timeline.
pub const NOTE_BYTES_MAX: usize = 400;

/// The text on one line, cut to at most [`NOTE_BYTES_MAX`] bytes. It goes to logs and terminals, so the sender's control
/// characters are escaped (`\u{1b}`): a terminal shows them and does not obey them.
pub fn shortened(text: &str) -> String {
    // Escape only the part that can remain.
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

/// Whether a required text is present and not too long.
pub fn check_text(field: &str, text: &str) -> Result<(), String> {
    check_required(field, text, TEXT_BYTES_MAX)
}

/// Whether a required text is present and short.
pub fn check_short_text(field: &str, text: &str) -> Result<(), String> {
    check_required(field, text, SHORT_TEXT_BYTES_MAX)
}

/// Whether a text, if there is one, is short.
pub fn check_optional_text(field: &str, text: &str) -> Result<(), String> {
    check_length(field, text, SHORT_TEXT_BYTES_MAX)
}

/// Whether a required text is present and at most `bytes_max` long.
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
