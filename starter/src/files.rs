//! Reads contracts and policies from files, in JSON or TOML. An error names the line, the field and what was expected.

use std::{ops::Range, path::Path};

use recourse_domain::text::shortened;
use serde::de::DeserializeOwned;

use super::answer::Failure;

/// Reads `path` by its extension: `.toml` is TOML, anything else JSON.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    Text::of(path)?.parse()
}

/// The text of a file. This program reads it once, because it may be a pipe.
#[derive(Debug)]
pub struct Text<'a> {
    path: &'a Path,
    text: String,
}

impl<'a> Text<'a> {
    /// Reads all of `path`.
    pub fn of(path: &'a Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        Ok(Self::new(path, text))
    }

    /// A text in place of the text of `path`.
    pub const fn new(path: &'a Path, text: String) -> Self {
        Self { path, text }
    }

    /// The path of the text.
    pub const fn path(&self) -> &Path {
        self.path
    }

    /// The value of the text, by the file's extension: `.toml` is TOML, anything else JSON.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let is_toml = self.path.extension().is_some_and(|extension| extension == "toml");
        let read = if is_toml { from_toml(&self.text) } else { from_json(&self.text) };
        read.map_err(|mistake| {
            let line = mistake.line.map(|line| format!(", line {line}")).unwrap_or_default();
            let is_whole = matches!(mistake.field.as_str(), "." | "?");
            let field = if is_whole { String::new() } else { format!(", {}", mistake.field) };
            Failure::usage(format!(
                "{}{line}{}: {}",
                self.path.display(),
                shortened(&field),
                shortened(&mistake.message)
            ))
        })
    }
}

struct Mistake {
    line: Option<usize>,
    field: String,
    message: String,
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, Mistake> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| json_mistake(error.path().to_string(), error.inner()))?;
    reader.end().map_err(|error| json_mistake(".".to_owned(), &error))?;
    Ok(value)
}

fn json_mistake(field: String, error: &serde_json::Error) -> Mistake {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
    Mistake { line: Some(error.line()).filter(|line| *line > 0), field, message }
}

fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, Mistake> {
    let mistake = |field: String, error: &toml::de::Error| Mistake {
        line: error.span().map(|span| line_of(text, &span)),
        field,
        message: error.message().to_owned(),
    };
    let reader = toml::Deserializer::parse(text).map_err(|error| mistake(".".to_owned(), &error))?;
    serde_path_to_error::deserialize(reader).map_err(|error| mistake(error.path().to_string(), error.inner()))
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use recourse_domain::{party::Contract, policy::Policy};

    use super::*;

    fn read_text<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|failure| failure.message)
    }

    const CONTRACT: &str = "{\n \"id\": \"c-1\",\n \"title\": \"Logo\",\n \"kind\": \"fixed_price\",\n \
                            \"currency\": \"USD\",\n \"client\": {\"id\": \"cl-1\"},\n \"freelancer\": {\"id\": \"fl-1\"}\n}\n";

    #[test]
    fn a_contract_is_read_from_json_and_from_toml() {
        let json: Contract = read_text("c.json", CONTRACT).unwrap();
        let toml = "id = 'c-1'\ntitle = 'Logo'\nkind = 'fixed_price'\ncurrency = 'USD'\nclient.id = 'cl-1'\n\
                    freelancer.id = 'fl-1'\n";
        assert_eq!(read_text::<Contract>("c.toml", toml).unwrap(), json);
    }

    #[test]
    fn mistakes_show_line_field_and_expected_value() {
        for (name, text, words) in [
            ("c.json", CONTRACT.replace("USD", "USX"), ["line 5", "currency", "USX"]),
            ("c.json", CONTRACT.replace("cl-1", "cl 1"), ["line 6", "client.id", "letters"]),
            ("c.json", CONTRACT.replace("fixed_price", "fixed"), ["line 4", "kind", "expected one of"]),
            ("c.json", CONTRACT.replace("}\n}", "}"), ["line 8: EOF", "EOF", "c.json"]),
            ("c.toml", "id = 'c-1'\nkind = 'fixed'\n".into(), ["line 2", "kind", "expected one of"]),
            ("c.toml", "id = 'c-1\n".into(), ["line 1", "c.toml", "literal string"]),
        ] {
            let error = read_text::<Contract>(name, &text).unwrap_err();
            for word in words {
                assert!(error.contains(word), "{word}: {error}");
            }
        }
        let error = read_text::<Policy>("p.toml", "[claim_response]\ndays = 'five'\nunit = 'calendar'\n").unwrap_err();
        assert!(error.contains("line 2") && error.contains("claim_response.days"), "{error}");
        assert!(read::<Policy>(Path::new("/nowhere/p.json")).unwrap_err().message.contains("/nowhere/p.json"));
    }
}
