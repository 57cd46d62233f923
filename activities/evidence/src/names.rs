//! File names as they are kept and shown: the name from the uploader's program, without parts that could mislead a
//! person or a file system.

/// The longest name that is kept, in characters.
const LENGTH_MAX: usize = 200;

/// The longest ending that is kept when a name is cut, in characters.
const ENDING_MAX: usize = 16;

/// `name` without folders, drives, control characters, and characters that are invisible or change the direction of
/// writing. It is cut to 200 characters before its ending. Nothing if no characters are left.
pub(super) fn made_safe(name: &str) -> Option<String> {
    let visible: String = name.chars().filter(|letter| !letter.is_control() && !misleads(*letter)).collect();
    let last = visible.rsplit(['/', '\\']).next().unwrap_or_default();
    let without_drive = match last.as_bytes() {
        [drive, b':', ..] if drive.is_ascii_alphabetic() => &last[2..],
        _ => last,
    };
    // A leading dot hides a file, and some systems drop a dot or a space at the end.
    let trimmed = without_drive.trim_matches(|letter: char| letter == '.' || letter.is_whitespace());
    (!trimmed.is_empty()).then(|| cut(trimmed))
}

/// The part after the last dot; nothing if there is no dot.
pub(super) fn ending(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, ending)| ending)
}

fn cut(name: &str) -> String {
    let length = name.chars().count();
    if length <= LENGTH_MAX {
        return name.to_owned();
    }
    let ending = ending(name).filter(|ending| ending.chars().count() <= ENDING_MAX);
    let kept = LENGTH_MAX - ending.map_or(0, |ending| ending.chars().count() + 1);
    let stem: String = name.chars().take(kept).collect();
    match ending {
        Some(ending) => format!("{stem}.{ending}"),
        None => stem,
    }
}

/// Marks that change the direction of writing, line separators, and characters without width.
const fn misleads(letter: char) -> bool {
    matches!(letter,
        '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D6: a name has no other effect.
    #[test]
    fn a_name_has_no_path_and_no_hidden_characters() {
        for (given, kept) in [
            ("chat.pdf", "chat.pdf"),
            ("Ünïcode – 2.pdf", "Ünïcode – 2.pdf"),
            ("../../x", "x"),
            ("/etc/passwd", "passwd"),
            ("C:\\x", "x"),
            ("C:x", "x"),
            ("..\\..\\x.pdf", "x.pdf"),
            ("a\0.pdf", "a.pdf"),
            ("a\r\nb.txt", "ab.txt"),
            ("photo\u{202E}gpj.exe", "photogpj.exe"),
            ("pay\u{200B}ment\u{2066}.txt", "payment.txt"),
            (".htaccess", "htaccess"),
            ("  spaces. ", "spaces"),
        ] {
            assert_eq!(made_safe(given).as_deref(), Some(kept), "{given:?}");
        }
        for nothing in ["", "..", "../", "\0", "C:\\", " . ", "\u{202E}", "x/"] {
            assert_eq!(made_safe(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_ending() {
        let long = made_safe(&format!("{}.pdf", "é".repeat(300))).unwrap();
        assert_eq!((long.chars().count(), ending(&long)), (200, Some("pdf")));
        assert_eq!(made_safe(&"x".repeat(300)).unwrap().len(), 200);
        assert_eq!(made_safe(&format!("a.{}", "x".repeat(300))).unwrap().chars().count(), 200);
    }
}
