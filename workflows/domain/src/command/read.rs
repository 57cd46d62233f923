//! Reading a command's JSON. What cannot be read names its field.

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

use super::{Command, Message, Subject, Unreadable, Verb};
use crate::{
    claim::{Rejection, RejectionReason},
    evidence::Evidence,
    ids::Id,
    money::Amount,
    party::Actor,
};

/// The largest command in bytes of JSON. Ten files of evidence and a full text fit several times over.
pub const COMMAND_BYTES_MAX: usize = 128 * 1024;

/// The longest `key` in characters.
pub const KEY_LENGTH_MAX: usize = 200;

/// How much is shown of where something cannot be read, in characters.
const PATH_LENGTH_MAX: usize = 80;

/// The fields that every command has. Unknown ones are ignored, as everywhere in the wire contract.
#[derive(Deserialize)]
#[serde(expecting = "an object with `by`")]
struct Head {
    by: Actor,
    at: Option<Timestamp>,
    key: Option<String>,
}

impl Message {
    /// Reads the JSON that came in under the name `verb`.
    ///
    /// # Errors
    /// [`Unreadable`] with the field and what was expected there; nothing can have moved.
    pub fn read(verb: Verb, json: &[u8]) -> Result<Self, Unreadable> {
        if json.len() > COMMAND_BYTES_MAX {
            return Err(Unreadable::because(format!(
                "{} bytes are too big; a command has at most {COMMAND_BYTES_MAX}",
                json.len()
            )));
        }
        let head: Head = fields(json)?;
        if head.key.as_ref().is_some_and(|key| key.is_empty() || key.chars().count() > KEY_LENGTH_MAX) {
            return Err(Unreadable::because(format!("key: must have 1 to {KEY_LENGTH_MAX} characters")));
        }
        Ok(Self { by: head.by, at: head.at, key: head.key, command: read_command(verb, json)? })
    }
}

fn read_command(verb: Verb, json: &[u8]) -> Result<Command, Unreadable> {
    Ok(match verb {
        Verb::Submit => Command::Submit(fields(json)?),
        Verb::Approve => {
            let ApproveFields { amount, submission } = fields(json)?;
            Command::Approve { amount, submission }
        }
        Verb::RequestChanges => Command::RequestChanges { message: fields::<MessageFields>(json)?.message },
        Verb::Supersede => Command::Supersede,
        Verb::Dispute => {
            let contacted_client = fields::<ContactFields>(json)?.contacted_client.unwrap_or_default();
            Command::Dispute { claim: fields(json)?, contacted_client }
        }
        Verb::Release => Command::Release,
        Verb::Accept => match fields::<AnswerFields>(json)?.subject()? {
            Subject::Claim => match fields::<SeenFields>(json)?.amount {
                Some(amount) => Command::AcceptClaim { amount },
                None => Command::Accept(Subject::Claim),
            },
            subject => Command::Accept(subject),
        },
        Verb::Reject => match fields::<AnswerFields>(json)?.subject()? {
            Subject::Claim => {
                let fields: RejectClaimFields = fields(json)?;
                Command::RejectClaim(Rejection {
                    reason: fields.reason,
                    details: fields.details,
                    evidence: fields.evidence,
                    amount: fields.amount,
                })
            }
            subject => Command::Reject(subject),
        },
        Verb::Amend => {
            let AmendFields { amount, details } = fields(json)?;
            Command::Amend { amount, details }
        }
        Verb::Withdraw => Command::Withdraw,
        Verb::Offer => {
            let OfferFields { to_freelancer, message } = fields(json)?;
            Command::Offer { to_freelancer, message }
        }
        Verb::Retract => Command::Retract { number: fields::<RetractFields>(json)?.number },
        Verb::Propose => {
            let ProposeFields { to_freelancer, rationale } = fields(json)?;
            Command::Propose { to_freelancer, rationale }
        }
        Verb::Close => Command::Close { reason: fields::<CloseFields>(json)?.reason },
        Verb::DemandArbitration => match fields::<DemandFields>(json)?.source {
            Some(source) => Command::DemandArbitrationFrom { source },
            None => Command::DemandArbitration,
        },
        Verb::Award => {
            let AwardFields { to_freelancer, reference } = fields(json)?;
            Command::Award { to_freelancer, reference }
        }
        Verb::RequestMediation => Command::RequestMediation { message: fields::<MessageFields>(json)?.message },
        Verb::Opinion => Command::Opinion { text: fields::<OpinionFields>(json)?.text },
        Verb::Extend => {
            let ExtendFields { hours, reason } = fields(json)?;
            Command::Extend { hours, reason }
        }
    })
}

/// Reads JSON into `T`, and names the field where it could not. A line and a column are left out: people give fields, and
/// the JSON around them is a program's.
pub fn fields<T: DeserializeOwned>(json: &[u8]) -> Result<T, Unreadable> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        // The names are the sender's: they must not push the reason out of the refusal.
        let path: String = error.path().to_string().chars().take(PATH_LENGTH_MAX).collect();
        let reason = reason_of(error.inner());
        Unreadable::because(if path == "." { reason } else { format!("{path}: {reason}") })
    })?;
    reader.end().map_err(|error| Unreadable::because(reason_of(&error)))?;
    Ok(value)
}

fn reason_of(error: &serde_json::Error) -> String {
    let reason = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason = reason.strip_suffix(&place).unwrap_or(&reason);
    if error.is_data() { reason.to_owned() } else { format!("this is not JSON: {reason}") }
}

/// Fields of `approve`.
#[derive(Deserialize)]
struct ApproveFields {
    amount: Option<Amount>,
    submission: Option<u32>,
}

/// Fields of `request_changes` and `request_mediation`.
#[derive(Deserialize)]
struct MessageFields {
    message: String,
}

/// What `dispute` has besides the claim.
#[derive(Deserialize)]
struct ContactFields {
    contacted_client: Option<bool>,
}

#[derive(Deserialize)]
struct OpinionFields {
    text: String,
}

/// Fields of `accept`, and of `reject` but for a claim.
#[derive(Deserialize)]
struct AnswerFields {
    of: Option<SubjectName>,
    number: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum SubjectName {
    Claim,
    Resolution,
    Offer,
}

impl AnswerFields {
    fn subject(&self) -> Result<Subject, Unreadable> {
        match (&self.of, self.number) {
            (None, _) => Ok(Subject::Request),
            (Some(SubjectName::Claim), _) => Ok(Subject::Claim),
            (Some(SubjectName::Resolution), _) => Ok(Subject::Resolution),
            (Some(SubjectName::Offer), Some(number)) => Ok(Subject::Offer(number)),
            (Some(SubjectName::Offer), None) => Err(Unreadable::because("number: say which offer, by its number")),
        }
    }
}

#[derive(Deserialize)]
struct RejectClaimFields {
    reason: RejectionReason,
    details: String,
    #[serde(default)]
    evidence: Vec<Evidence>,
    amount: Option<Amount>,
}

/// What an acceptance of a claim says of it.
#[derive(Deserialize)]
struct SeenFields {
    amount: Option<Amount>,
}

#[derive(Deserialize)]
struct DemandFields {
    source: Option<Id>,
}

#[derive(Deserialize)]
struct AmendFields {
    amount: Amount,
    details: String,
}

#[derive(Deserialize)]
struct OfferFields {
    to_freelancer: Amount,
    message: Option<String>,
}

#[derive(Deserialize)]
struct RetractFields {
    number: u32,
}

#[derive(Deserialize)]
struct ProposeFields {
    to_freelancer: Amount,
    rationale: String,
}

#[derive(Deserialize)]
struct CloseFields {
    reason: String,
}

#[derive(Deserialize)]
struct AwardFields {
    to_freelancer: Amount,
    reference: String,
}

#[derive(Deserialize)]
struct ExtendFields {
    hours: u32,
    reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(verb: Verb, json: &str) -> Result<Command, String> {
        Message::read(verb, json.as_bytes()).map(|message| message.command).map_err(|error| error.reason)
    }

    #[test]
    fn commands_are_read_with_their_fields_and_unknown_fields_are_ignored() {
        let by = r#""by":{"party":"freelancer","id":"fl-1","more":1},"later":true"#;
        assert_eq!(read(Verb::Approve, &format!("{{{by}}}")), Ok(Command::Approve { amount: None, submission: None }));
        assert_eq!(
            read(Verb::Accept, &format!(r#"{{{by},"of":"offer","number":2}}"#)),
            Ok(Command::Accept(Subject::Offer(2)))
        );
        let reads = |verb, fields: &str| read(verb, &format!("{{{by},{fields}}}")).unwrap();
        assert_eq!(reads(Verb::Accept, r#""of":"claim""#), Command::Accept(Subject::Claim));
        let amount = Amount::new(5).unwrap();
        assert_eq!(reads(Verb::Accept, r#""of":"claim","amount":5"#), Command::AcceptClaim { amount });
        assert_eq!(reads(Verb::Accept, r#""of":"resolution","amount":5"#), Command::Accept(Subject::Resolution));
        assert_eq!(reads(Verb::Approve, r#""submission":2"#), Command::Approve { amount: None, submission: Some(2) });
        let source = Id::new("pm_1").unwrap();
        assert_eq!(reads(Verb::DemandArbitration, r#""source":"pm_1""#), Command::DemandArbitrationFrom { source });
        assert_eq!(reads(Verb::DemandArbitration, r#""source":null"#), Command::DemandArbitration);
        assert_eq!(
            read(Verb::Reject, &format!(r#"{{{by},"of":"resolution"}}"#)),
            Ok(Command::Reject(Subject::Resolution))
        );
        let message =
            Message::read(Verb::Withdraw, format!(r#"{{{by},"at":"2026-12-03T10:00:00Z","key":"k"}}"#).as_bytes())
                .unwrap();
        assert_eq!(message.at, Some("2026-12-03T10:00:00Z".parse().unwrap()));
        assert_eq!(message.key.as_deref(), Some("k"));
    }

    #[test]
    fn what_cannot_be_read_names_the_field() {
        let by = r#""by":{"party":"client","id":"cl-1"}"#;
        for (verb, json, word) in [
            (Verb::Approve, String::new(), "EOF"),
            (Verb::Approve, "null".into(), "an object with `by`"),
            (Verb::Approve, "{}".into(), "by"),
            (Verb::Approve, r#"{"by":{"party":"owner","id":"x"}}"#.into(), "by.party"),
            (Verb::Approve, format!(r#"{{{by},"at":"yesterday"}}"#), "at"),
            (Verb::Approve, format!(r#"{{{by},"key":""}}"#), "key"),
            (Verb::Approve, format!("{{{by}}} trailing"), "trailing"),
            (Verb::Dispute, format!(r#"{{{by},"amount":-1,"reason":"other","details":"x"}}"#), "amount"),
            (Verb::Dispute, format!(r#"{{{by},"amount":"much","reason":"other","details":"x"}}"#), "amount"),
            (Verb::Dispute, format!(r#"{{{by},"amount":1,"reason":"because","details":"x"}}"#), "reason"),
            (Verb::Accept, format!(r#"{{{by},"of":"money"}}"#), "of"),
            (Verb::Accept, format!(r#"{{{by},"of":"offer"}}"#), "number"),
            (Verb::Accept, format!(r#"{{{by},"of":"claim","amount":"150"}}"#), "amount"),
            (Verb::Approve, format!(r#"{{{by},"submission":-1}}"#), "submission"),
            (Verb::DemandArbitration, format!(r#"{{{by},"source":"a b"}}"#), "source"),
            (Verb::Approve, format!(r#"{{{by},"x":"{}"}}"#, "y".repeat(COMMAND_BYTES_MAX)), "too big"),
        ] {
            let error = read(verb, &json).unwrap_err();
            assert!(error.contains(word), "{verb} {json:.80}: {error}");
            assert!(!error.contains("struct") && !error.contains("column"), "{verb} {json:.80}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_in_words_without_types_and_positions() {
        for (json, told) in [
            ("null", "invalid type: null, expected an object with `by`"),
            ("[]", "invalid length 0, expected an object with `by`"),
            ("{}", "missing field `by`"),
            (
                r#"{"by":"client"}"#,
                "by: invalid type: string \"client\", expected an object with a `party` and an `id`",
            ),
            (r#"{"by":{"party":"client"}}"#, "by: missing field `id`"),
            (
                r#"{"by":{"party":"client","id":"a b"}}"#,
                "by.id: \"a b\" is not an id: use 1 to 100 letters, digits, dots, underscores or hyphens",
            ),
            ("", "this is not JSON: EOF while parsing a value"),
            ("{}}", "missing field `by`"),
            (r#"{"by":{"party":"client","id":"cl-1"}}}"#, "this is not JSON: trailing characters"),
        ] {
            assert_eq!(read(Verb::Release, json).unwrap_err(), told, "{json}");
        }
        let deep =
            format!(r#"{{"by":{{"party":"client","id":"cl-1"}},"amount":{}{}}}"#, "[".repeat(500), "]".repeat(500));
        let told = read(Verb::Approve, &deep).unwrap_err();
        assert!(told.ends_with("[0: this is not JSON: recursion limit exceeded"), "{told}");
        let told = read(Verb::Approve, r#"{"by":{"party":"\u001b[2J","id":"x"}}"#).unwrap_err();
        assert!(told.starts_with("by.party: unknown variant `\\u{1b}[2J`"), "{told}");
    }
}
