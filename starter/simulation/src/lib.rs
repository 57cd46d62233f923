//! Contracts with parties that act by chance, on a real server with a real worker.
//!
//! A client like any other: it knows of a case what its status says. [`plan`] draws what a contract is like, [`decide`] what
//! somebody does next, both pure; [`play`], `starts` and `case` do it; [`money`] proves that nothing was lost. Whatever is decided
//! depends on the seed and the contract's number alone.
//!
//! `recourse sim` plays them; the chaos test lets the parts fail while the same parties act.

mod bank;
mod case;
pub mod decide;
pub mod dice;
mod fields;
pub mod money;
pub mod moves;
pub mod plan;
mod play;
mod player;
mod record;
mod starts;
#[cfg(test)]
mod tests;
mod world;
mod wrong;

pub use play::{Ticket, play};
pub use record::{Details, End, Record, Trouble};
pub use world::World;
