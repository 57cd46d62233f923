//! Contracts with parties that act by chance, on a real server with a real worker.
//!
//! A client like any other: it knows only what a case's status says. [`plan`] draws a contract, and [`decide`] what somebody
//! does next; both are pure. [`play`], `starts` and `case` do it. [`money`] proves that nothing was lost. All decisions depend
//! only on the seed and the contract's number.
//!
//! `recourse sim` plays the contracts; the chaos test lets the parts fail while the same parties act.

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
