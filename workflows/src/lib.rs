//! The workflows that conduct a case of escrow refunds and disputes by the rules.
//!
//! Read `recourse_domain` first: everything that decides is there, without a Temporal type. Then a workflow a file:
//! [`escrow_deposit`], [`milestone_review`], [`refund_request`], [`dispute`], [`payment_refund`]; what a case asks for next is done in
//! `drive`, how it waits and tells is in [`conduct`], how a case outlives a run's history is in `continuing`, how commands come in is in [`handlers`]. [`webhook_delivery`] is no case: it
//! brings programs the news of one. [`effects`] is the only door to the world, [`messages`] and
//! [`attributes`] are what programs outside see.
//!
//! Nothing in this crate reads a clock, draws a random number, or performs I/O: see `clippy.toml` beside it.

pub mod attributes;
pub mod case_state;
mod child;
pub mod conduct;
mod continuing;
pub mod describe;
#[allow(missing_docs, reason = "the SDK's macro makes undocumented constants of a workflow's handlers")]
pub mod dispute;
mod drive;
pub mod effects;
#[allow(missing_docs, reason = "as above")]
pub mod escrow_deposit;
pub mod handlers;
pub mod messages;
#[allow(missing_docs, reason = "as above")]
pub mod milestone_review;
mod ordering;
#[allow(missing_docs, reason = "as above")]
pub mod payment_refund;
#[allow(missing_docs, reason = "as above")]
pub mod refund_request;
#[allow(missing_docs, reason = "as above")]
pub mod webhook_delivery;

pub use dispute::Dispute;
pub use escrow_deposit::EscrowDeposit;
pub use milestone_review::MilestoneReview;
pub use payment_refund::PaymentRefund;
pub use refund_request::RefundRequest;
pub use webhook_delivery::WebhookDelivery;

/// The task queue of all workflows and activities.
pub const TASK_QUEUE: &str = "recourse";
