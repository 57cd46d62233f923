//! Output as plain aligned text, with a little colour on a terminal, and none in a pipe.

mod history;
mod money;
mod positions;
mod status;
mod table;

pub use history::{chain_report, check_report, freed, history};
pub use money::{known, money};
pub use status::{case, outcome, timeline};
pub use table::{Column, Table, fields, heading};
