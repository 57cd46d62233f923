//! The subjects of `accept` and `reject`. A field names the subject. The other fields are only for a claim or an offer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Unreadable,
    field::{Field, FieldKind, Input, Payload},
    read::fields,
};
use crate::{
    claim::{Rejection, RejectionReason},
    evidence::{Evidence, or_none},
    money::Amount,
    names::names,
};

/// The subjects that a party can accept or reject, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectName {
    /// The freelancer's claim.
    Claim,
    /// The mediator's resolution.
    Resolution,
    /// An offer.
    Offer,
}

names! { SubjectName: Claim = "claim", Resolution = "resolution", Offer = "offer" }

/// What a party accepts (D3, M5, M7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "AcceptFields", try_from = "AcceptFields")]
pub enum Accept {
    /// The freelancer's claim (D3).
    Claim {
        /// The claimed amount that the client saw. If the claim is for another amount by now, the client does not accept it.
        amount: Option<Amount>,
    },
    /// The mediator's resolution (M5).
    Resolution,
    /// The offer with this number (M7).
    Offer(u32),
    /// The case's own question.
    Request,
}

/// What a party rejects (D4, M6, M7). In a request for a payment: the freelancer returns nothing (P2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "RejectFields", try_from = "RejectFields")]
pub enum Reject {
    /// The freelancer's claim, and why (D4).
    Claim(Rejection),
    /// The mediator's resolution (M6).
    Resolution,
    /// The offer with this number (M7).
    Offer(u32),
    /// The case's own question: in a request for a payment it is the only one (P2).
    Request,
}

/// `accept` on the wire.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
struct AcceptFields {
    /// What is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<SubjectName>,
    /// The offer's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u32>,
    /// The claim's amount as you saw it, in minor units; if the claim is for another amount by now, nothing is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Amount>,
}

/// `reject` on the wire.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
struct RejectFields {
    /// What is rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<SubjectName>,
    /// The offer's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u32>,
    /// The claim's amount as you saw it, in minor units; if the claim is for another amount by now, nothing is rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Amount>,
    /// Why the claim is rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<RejectionReason>,
    /// Why, in the client's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<String>,
    /// Files that support it.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<Evidence>,
}

/// The fields that both have.
#[derive(Deserialize)]
struct Subject {
    of: Option<SubjectName>,
    number: Option<u32>,
}

const OF: Field = Field {
    name: "of",
    label: "What",
    about: "What is accepted or rejected.",
    kind: SubjectName::KIND,
    needed: true,
    of: None,
};

const NUMBER: Field = Field {
    name: "number",
    label: "Offer",
    about: "The offer's number.",
    kind: FieldKind::Number,
    needed: true,
    of: Some(SubjectName::Offer),
};

const SEEN: Field = Field {
    name: "amount",
    label: "The amount that you saw",
    about: "The claim's amount as you saw it; if the claim is for another amount by now, nothing is done.",
    kind: FieldKind::Money,
    needed: false,
    of: Some(SubjectName::Claim),
};

impl Payload for Accept {
    const FIELDS: &'static [Field] = &[OF, NUMBER, SEEN];

    fn read(json: &[u8]) -> Result<Self, Unreadable> {
        let Subject { of, number } = fields(json)?;
        // Ignore the fields of other subjects, whatever they contain.
        if of == Some(SubjectName::Claim) { fields(json) } else { AcceptFields { of, number, amount: None }.try_into() }
    }
}

impl Payload for Reject {
    const FIELDS: &'static [Field] = &[
        OF,
        NUMBER,
        SEEN,
        Field {
            name: "reason",
            label: "Why",
            about: "Why the claim is rejected.",
            kind: RejectionReason::KIND,
            needed: true,
            of: Some(SubjectName::Claim),
        },
        Field {
            name: "details",
            label: "In your words",
            about: "Why, in the client's words.",
            kind: FieldKind::Text,
            needed: true,
            of: Some(SubjectName::Claim),
        },
        Field {
            name: "evidence",
            label: "Files that support it",
            about: "Files that support it.",
            kind: FieldKind::Files,
            needed: false,
            of: Some(SubjectName::Claim),
        },
    ];

    fn read(json: &[u8]) -> Result<Self, Unreadable> {
        let Subject { of, number } = fields(json)?;
        if of == Some(SubjectName::Claim) {
            fields(json)
        } else {
            RejectFields { of, number, ..RejectFields::default() }.try_into()
        }
    }
}

fn which(number: Option<u32>) -> Result<u32, Unreadable> {
    number.ok_or_else(|| Unreadable::because("number: say which offer, by its number"))
}

impl TryFrom<AcceptFields> for Accept {
    type Error = Unreadable;

    fn try_from(AcceptFields { of, number, amount }: AcceptFields) -> Result<Self, Unreadable> {
        Ok(match of {
            None => Self::Request,
            Some(SubjectName::Claim) => Self::Claim { amount },
            Some(SubjectName::Resolution) => Self::Resolution,
            Some(SubjectName::Offer) => Self::Offer(which(number)?),
        })
    }
}

impl From<Accept> for AcceptFields {
    fn from(accept: Accept) -> Self {
        match accept {
            Accept::Claim { amount } => Self { of: Some(SubjectName::Claim), amount, ..Self::default() },
            Accept::Resolution => Self { of: Some(SubjectName::Resolution), ..Self::default() },
            Accept::Offer(number) => Self { of: Some(SubjectName::Offer), number: Some(number), ..Self::default() },
            Accept::Request => Self::default(),
        }
    }
}

impl TryFrom<RejectFields> for Reject {
    type Error = Unreadable;

    fn try_from(fields: RejectFields) -> Result<Self, Unreadable> {
        let RejectFields { of, number, amount, reason, details, evidence } = fields;
        let missing = |name: &str| Unreadable::because(format!("missing field `{name}`"));
        Ok(match of {
            None => Self::Request,
            Some(SubjectName::Claim) => Self::Claim(Rejection {
                reason: reason.ok_or_else(|| missing("reason"))?,
                details: details.ok_or_else(|| missing("details"))?,
                evidence,
                amount,
            }),
            Some(SubjectName::Resolution) => Self::Resolution,
            Some(SubjectName::Offer) => Self::Offer(which(number)?),
        })
    }
}

impl From<Reject> for RejectFields {
    fn from(reject: Reject) -> Self {
        match reject {
            Reject::Claim(Rejection { reason, details, evidence, amount }) => Self {
                of: Some(SubjectName::Claim),
                number: None,
                amount,
                reason: Some(reason),
                details: Some(details),
                evidence,
            },
            Reject::Resolution => Self { of: Some(SubjectName::Resolution), ..Self::default() },
            Reject::Offer(number) => Self { of: Some(SubjectName::Offer), number: Some(number), ..Self::default() },
            Reject::Request => Self::default(),
        }
    }
}
