//! Enums by their names on the wire.

/// Gives an enum all its values and their names on the wire; a test compares them with what is written.
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
