//! The fields of commands, for programs that write them or ask people for them: names, kinds and texts.
//!
//! The [`catalogue`](super::catalogue) declares each field once. The field's type gives its kind and whether it is required.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use super::{Unreadable, answer::SubjectName, read::fields};
use crate::{
    claim::{ClaimReason, RejectionReason},
    evidence::Evidence,
    ids::Id,
    money::Amount,
};

/// A field of a command.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its label in a form.
    pub label: &'static str,
    /// Its purpose, in a sentence or two.
    pub about: &'static str,
    /// The kind of its value.
    pub kind: FieldKind,
    /// Whether the command requires it.
    pub needed: bool,
    /// The subject, if the command has the field only for one: the number of an offer, the reasons of a claim's rejection.
    pub of: Option<SubjectName>,
}

/// The kind of value that a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// An amount in minor units of the contract's currency.
    Money,
    /// A whole number.
    Number,
    /// A text.
    Text,
    /// A short text on one line.
    Line,
    /// An id.
    Id,
    /// A statement: present means true.
    Flag,
    /// Files that were uploaded.
    Files,
    /// One of these names.
    OneOf(&'static [&'static str]),
}

/// A type that a field can have.
pub trait Input {
    /// The kind of its value.
    const KIND: FieldKind;
    /// Whether it is required.
    const NEEDED: bool = true;
}

/// Gives types their kind of field.
macro_rules! inputs {
    ($($type:ty: $kind:expr;)+) => {
        $(impl Input for $type {
            const KIND: FieldKind = $kind;
        })+
    };
}

inputs! {
    Amount: FieldKind::Money;
    u32: FieldKind::Number;
    String: FieldKind::Text;
    Id: FieldKind::Id;
    bool: FieldKind::Flag;
    ClaimReason: FieldKind::OneOf(&ClaimReason::NAMES);
    RejectionReason: FieldKind::OneOf(&RejectionReason::NAMES);
    SubjectName: FieldKind::OneOf(&SubjectName::NAMES);
}

impl Input for Vec<Evidence> {
    const KIND: FieldKind = FieldKind::Files;
    const NEEDED: bool = false;
}

impl<T: Input> Input for Option<T> {
    const KIND: FieldKind = T::KIND;
    const NEEDED: bool = false;
}

/// A command's content besides its name and its sender.
pub trait Payload: Serialize + DeserializeOwned + JsonSchema {
    /// Its fields, in the order in which programs ask people for them.
    const FIELDS: &'static [Field];

    /// Reads it from a command's JSON. Ignores unknown fields.
    ///
    /// # Errors
    /// [`Unreadable`] with the field and what was expected there.
    fn read(json: &[u8]) -> Result<Self, Unreadable> {
        fields(json)
    }
}

/// Declares a command's content: the type and its [fields](Payload::FIELDS). A kind may follow a field's label, if the type
/// alone does not give it.
macro_rules! payload {
    ([$($docs:tt)*] $name:ident own) => {};
    ([$($docs:tt)*] $name:ident {
        $(
            $(#[doc = $about:literal])+
            $(#[serde($($serde:tt)*)])?
            $field:ident: $type:ty = $label:literal $(as $kind:ident)?
        ),* $(,)?
    }) => {
        $($docs)*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub struct $name {
            $(
                $(#[doc = $about])+
                $(#[serde($($serde)*)])?
                pub $field: $type,
            )*
        }

        impl $crate::command::field::Payload for $name {
            const FIELDS: &'static [$crate::command::field::Field] = &[$($crate::command::field::Field {
                name: stringify!($field),
                label: $label,
                about: concat!($($about),+),
                kind: $crate::command::field::kind!($type $(, $kind)?),
                needed: <$type as $crate::command::field::Input>::NEEDED,
                of: None,
            }),*];
        }
    };
}

/// The kind of a field: the named one, or that of its type.
macro_rules! kind {
    ($type:ty) => {
        <$type as $crate::command::field::Input>::KIND
    };
    ($type:ty, $kind:ident) => {
        $crate::command::field::FieldKind::$kind
    };
}

pub(crate) use {kind, payload};
