//! The HTTP API on the real server: who may see and do what, repeated requests, cases from start to end, and the answers when a
//! server is down.

mod bucket;
mod cases;
mod description;
mod evidence;
mod identity;
mod live;
mod matrix;
mod process;
mod refunds;
mod requests;
mod served;
mod strangers;
mod stripe;
mod webhooks;

pub use process::Process;
pub use served::{Issuer, Served, as_party, claims};
