//! What a command's fields are, for whoever writes or asks for them: names, kinds and words.
//!
//! A field is declared once, in the [`catalogue`](super::catalogue). Its type says what it is and whether it is needed.

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
    /// What a form calls it.
    pub label: &'static str,
    /// What it is for, in a sentence or two.
    pub about: &'static str,
    /// What is written there.
    pub kind: FieldKind,
    /// Whether the command cannot be given without it.
    pub needed: bool,
    /// Of what it speaks, if the command has it only for that: the number of an offer, the reasons of a claim's rejection.
    pub of: Option<SubjectName>,
}

/// What is written into a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// An amount in minor units of the contract's currency.
    Money,
    /// A whole number.
    Number,
    /// Words.
    Text,
    /// A few words on one line.
    Line,
    /// An id.
    Id,
    /// A statement that is true if it is made.
    Flag,
    /// Files that were uploaded.
    Files,
    /// One of these names.
    OneOf(&'static [&'static str]),
}

/// A type that a field can have.
pub trait Input {
    /// What is written there.
    const KIND: FieldKind;
    /// Whether it has to be there.
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

/// What a command says beside its name and its sender.
pub trait Payload: Serialize + DeserializeOwned + JsonSchema {
    /// Its fields, in the order in which people are asked for them.
    const FIELDS: &'static [Field];

    /// Reads it from a command's JSON. Fields that it does not have are ignored.
    ///
    /// # Errors
    /// [`Unreadable`] with the field and what was expected there.
    fn read(json: &[u8]) -> Result<Self, Unreadable> {
        fields(json)
    }
}

/// Declares what a command says: the type and its [fields](Payload::FIELDS). After a field's label its kind may stand, where
/// the type alone does not say it.
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

/// The kind of a field: the one that is named, or that of its type.
macro_rules! kind {
    ($type:ty) => {
        <$type as $crate::command::field::Input>::KIND
    };
    ($type:ty, $kind:ident) => {
        $crate::command::field::FieldKind::$kind
    };
}

pub(crate) use {kind, payload};
