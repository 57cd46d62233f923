//! The workflows that conduct a case of escrow refunds and disputes by the rules.
//!
//! Read `recourse_domain` first: it makes all decisions, without a Temporal type. Then read the workflows, one per file:
//! [`escrow_deposit`], [`milestone_review`], [`refund_request`], [`dispute`], [`payment_refund`]. `drive` carries out a case's
//! orders. [`conduct`] waits for commands and sends notices. `continuing` hands a case on to a new run. [`handlers`] receive
//! commands. [`webhook_delivery`] is not a case: it sends a case's events to programs. Only [`effects`] reach outside.
//! Programs outside see [`messages`] and [`attributes`].
//!
//! Nothing in this crate reads a clock, draws a random number, or performs I/O: see `clippy.toml` in this folder.

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
