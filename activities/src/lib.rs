//! The side effects of escrow refunds and disputes: money through a payment provider and a ledger, and notices.
//!
//! Policy is not here. What is done was decided by a case's workflow; this crate does it once, however often it is
//! asked (L2, L6, N2), and each effect's ids derive from the case and the step.
//!
//! Read in this order: [`escrow`] carries out what moves money, [`ledger`] writes it down, [`payments`] is the provider,
//! [`refunds`] follows what was given back to its end, [`notices`] tells people, [`webhooks`] tells programs, [`evidence`] keeps
//! their files, [`requests`] remembers what was answered, [`database`] is what they share, [`temporal`] is how every program
//! is connected to the server, [`gauges`] is what operators watch,
//! [`telemetry`] what the programs say of themselves, [`serving`] how they serve HTTP.

#![cfg_attr(test, allow(clippy::unwrap_used))]

// The SDK's `#[activities]` writes `::futures::…`; this is the part of it that the workspace already has.
extern crate futures_util as futures;

pub mod database;
pub mod escrow;
pub mod evidence;
pub mod gauges;
pub mod ledger;
pub mod notices;
pub mod payments;
mod private;
pub mod refunds;
pub mod requests;
pub mod serving;
pub mod telemetry;
pub mod temporal;
pub mod webhooks;

pub use database::{Database, DatabaseError};
pub use escrow::EscrowActivities;
pub use evidence::EvidenceStore;
pub use ledger::{Ledger, LedgerError};
pub use notices::{NoticeActivities, NoticeBook, Postman};
pub use payments::{PaymentGateway, Payments, SandboxBank};
pub use refunds::RefundDesk;
pub use requests::RequestBook;
pub use webhooks::{WebhookActivities, WebhookBook};

#[cfg(test)]
mod testing;
