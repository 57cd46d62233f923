//! The rules, pure: no Temporal type, no clock, no I/O. This crate makes all decisions.
//!
//! Read in this order:
//! 1. money and time: [`money`], [`window`], [`policy`];
//! 2. people: [`party`];
//! 3. what people submit: [`text`], [`command`], [`milestone`], [`claim`], [`resolution`], [`payment`], [`split`],
//!    [`evidence`], [`fee`];
//! 4. results: [`stage`], [`posting`], [`notice`], [`outcome`];
//! 5. cases: their common part ([`case`]), their orders ([`order`]), and each kind: [`milestone_review`],
//!    [`refund_request`], [`dispute`], [`payment_refund`];
//! 6. the wire: starts in [`starts`], statuses in [`messages`].

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
