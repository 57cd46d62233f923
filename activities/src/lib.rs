//! The side effects that workflows declare, as activities.
//!
//! Policy is not here. What is done was decided by a case's workflow; an activity does it once, however often it is asked (L2, L6,
//! N2), and each effect's ids derive from the case and the step. What an effect is made of is in the crates beside this one: the
//! ledger, the payment providers, notices and webhooks. [`gauges`] is what operators watch of all of it.

// The SDK's `#[activities]` writes `::futures::…`; this is the part of it that the workspace already has.
extern crate futures_util as futures;

pub mod escrow;
pub mod gauges;
mod notices;
mod webhooks;

pub use escrow::EscrowActivities;
pub use notices::NoticeActivities;
pub use webhooks::WebhookActivities;
