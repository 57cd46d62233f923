//! The HTTP API: what backends and user interfaces use over the network. `recourse serve` runs it, with the console beside it.
//!
//! It decides nothing and keeps no state of cases. [`front`] checks who may see and do what. Everything else goes through the
//! typed client to the case, or comes from the ledger. It stores only which answer each request got. Read [`identity`] for who
//! sends a request, [`strangers`], [`peer`] and [`limits`] for how often they may, [`extract`] for how it reads a request, and
//! [`once`] for repeated requests. Then read the resources: [`contracts`], [`cases`], [`evidence`], [`refunds`], [`webhooks`],
//! [`stripe`], [`reading`]. [`openapi`] describes all of them; a test compares the description with `docs/openapi.json`.

pub mod acted;
pub mod cases;
pub mod codec;
pub mod commands;
pub mod contracts;
pub mod description;
pub mod evidence;
pub mod extract;
pub mod front;
pub mod identity;
pub mod keys;
pub mod limits;
pub mod lists;
pub mod live;
pub mod metrics;
pub mod money;
mod named;
pub mod once;
pub mod openapi;
pub mod peer;
pub mod personas;
pub mod problem;
pub mod reading;
pub mod ready;
pub mod refunds;
pub mod requests;
pub mod seen;
pub mod serve;
pub mod site;
pub mod strangers;
pub mod stripe;
pub mod watch;
pub mod webhooks;

pub use front::Front;

/// The problems that every operation may answer with, for the API's description.
pub struct Problems;

impl utoipa::IntoResponses for Problems {
    fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::response::Response>> {
        openapi::problem_responses()
    }
}
