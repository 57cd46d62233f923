//! The rules, pure: no Temporal type, no clock, no I/O. Everything that decides is here.
//!
//! Read in this order: what money and time are ([`money`], [`window`], [`policy`]), who is who ([`party`]), what can be
//! said ([`text`], [`command`], [`milestone`], [`claim`], [`resolution`], [`payment`], [`split`], [`evidence`], [`fee`]), where it leads ([`stage`], [`posting`], [`notice`], [`outcome`]), and
//! then the cases: what they share ([`case`]), what they ask for outside ([`order`]), [`milestone_review`], [`refund_request`], [`dispute`], [`payment_refund`]. What starts a case is in [`starts`], what it shows in [`messages`].

pub mod case;
pub mod claim;
pub mod command;
pub mod deposit;
pub mod dispute;
pub mod evidence;
pub mod fee;
pub mod ids;
pub mod messages;
pub mod milestone;
pub mod milestone_review;
pub mod money;
mod names;
pub mod notice;
pub mod offers;
pub mod opening;
pub mod order;
pub mod outcome;
pub mod party;
pub mod payment;
pub mod payment_refund;
pub mod policy;
pub mod posting;
pub mod refund_request;
pub mod resolution;
pub mod rule;
pub mod split;
pub mod stage;
pub mod starts;
pub mod text;
pub mod window;

#[cfg(test)]
mod tests;
