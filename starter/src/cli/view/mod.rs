//! How things look: plain aligned text, with a little colour that a pipe does not get.

mod history;
mod positions;
mod status;
mod table;
mod words;

pub use history::{check_report, freed, history};
pub use status::{case, outcome, timeline};
pub use table::{Column, Table, fields, heading};
pub use words::{moment, named, roles, words};
