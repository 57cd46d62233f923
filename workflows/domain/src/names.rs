//! Enums by their names on the wire.

/// Gives an enum the list of its values and their wire names. A test compares the names with the JSON.
macro_rules! names {
    ($type:ident: $($variant:ident = $name:literal),+ $(,)?) => {
        impl $type {
            /// Every one, in the order of the rule book.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// Their names on the wire.
            pub const NAMES: [&'static str; Self::ALL.len()] = [$($name),+];

            /// The name on the wire.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }
    };
}

pub(crate) use names;

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::{Serialize, de::DeserializeOwned};

    use crate::{
        claim::{ClaimReason, RejectionReason},
        command::{CommandKind, SubjectName},
        ids::CaseKind,
        stage::Stage,
    };

    fn are_written<T: Copy + PartialEq + Debug + Serialize + DeserializeOwned>(
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) {
        for value in all {
            assert_eq!(serde_json::to_value(value).unwrap(), name(*value));
            assert_eq!(serde_json::from_value::<T>(name(*value).into()).unwrap(), *value);
        }
    }

    /// Forms, filters and metrics use the same names as the wire.
    #[test]
    fn names_are_the_wire_names() {
        are_written(&ClaimReason::ALL, ClaimReason::name);
        are_written(&RejectionReason::ALL, RejectionReason::name);
        are_written(&SubjectName::ALL, SubjectName::name);
        are_written(&CaseKind::ALL, CaseKind::name);
        are_written(&Stage::ALL, Stage::name);
        are_written(&CommandKind::ALL, CommandKind::name);
    }
}
