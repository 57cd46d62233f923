//! The HTTP API on the real server: who may see and do what, requests that come twice, cases from start to end, and what is
//! answered when something is away.

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
