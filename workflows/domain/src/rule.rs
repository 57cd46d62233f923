//! The ids of the rules, so that a decision can only name a rule that exists.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! rules {
    ($($id:ident)+) => {
        /// A rule of the rule book (`docs/policy.md`) by its id.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[allow(missing_docs, reason = "the rule book's text is in docs/policy.md, under the id")]
        pub enum Rule { $($id),+ }

        impl Rule {
            /// Every rule, in the rule book's order.
            pub const ALL: &[Self] = &[$(Self::$id),+];

            /// The id.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$id => stringify!($id)),+ }
            }
        }
    };
}

rules! {
    T1 T2 T3 T4 T5 T6
    E1 E2 E3 E4 E5 E6 E7 E8 E9 E10 E11 E12 E13 E14 E15
    R1 R2 R3 R4 R5 R6 R7 R8 R9 R10
    D1 D2 D3 D4 D5 D6
    M1 M2 M3 M4 M5 M6 M7 M8
    A1 A2 A3 A4 A5 A6
    P1 P2 P3 P4
    N1 N2 N3
    L1 L2 L3 L4 L5 L6 L7 L8 L9
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
