//! The side effects that workflows declare, as activities.
//!
//! The policy is not here. A case's workflow decides what is done; an activity does it once, however often it is asked
//! (L2, L6, N2). Each effect's ids derive from the case and the step. The crates beside this one have the parts: the
//! ledger, the payment providers, notices and webhooks. [`gauges`] has the numbers that operators watch.

// The SDK's `#[activities]` writes `::futures::…`; the workspace already has `futures_util`, which is enough.
extern crate futures_util as futures;

pub mod escrow;
pub mod gauges;
mod notices;
mod webhooks;

pub use escrow::EscrowActivities;
pub use notices::NoticeActivities;
pub use webhooks::WebhookActivities;
