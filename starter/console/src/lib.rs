//! The console: pages for parties, mediators and operators. This program renders them, without a build step.
//!
//! It decides nothing. Every read and every command goes through [`Front`] with the person's identity, as in the API. A case's
//! status decides which buttons there are, and the case decides whether it takes a command. Pages work without their script,
//! which only adds the viewer's local time, sums while typing, and the case's live changes.
//!
//! Read [`session`] for the visitor, [`forms`] for posted forms and why they act once, and [`page`] for a page's frame. Then
//! read the pages: [`home`], [`contract`], [`case`], [`command`], [`desk`], [`operator`], [`refunds`], [`sandbox`]. [`acts`]
//! says what a person can do in a case and what that does to the money.

mod acts;
mod ask_back;
mod assets;
mod case;
mod case_view;
mod command;
mod command_form;
mod contract;
mod contract_view;
mod desk;
mod dispute;
mod end;
mod fields;
mod files;
mod forms;
mod guard;
mod home;
mod lists;
mod operator;
mod page;
mod pages;
mod parts;
mod place;
mod query;
mod refunds;
mod sandbox;
mod session;
mod sign_in;
#[cfg(test)]
mod tests;
mod told;
mod visits;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, header},
    middleware,
    routing::{get, post},
};
use recourse_api::{Front, extract::BODY_BYTES_MAX, serve::Pages};
use tower_http::set_header::SetResponseHeaderLayer;

/// What a page may load and where it may post: only this site. Browsers execute no script inside a page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                                       connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The console's pages, served beside the API.
pub fn pages(front: &Front) -> Pages {
    Pages { pages: routes(front.clone()), uploads: uploads(front.clone()) }
}

fn routes(front: Front) -> Router<Front> {
    let pages = Router::new()
        .route("/", get(home::show))
        .route("/sign-in", get(sign_in::show))
        .route("/session", post(sign_in::begin))
        .route("/session/end", post(sign_in::end))
        .route("/contracts/{contract}", get(contract::show))
        .route("/contracts/{contract}/end", get(end::show).post(end::send))
        .route("/contracts/{contract}/evidence/{sha256}", get(files::give))
        .route("/contracts/{contract}/ask-back", get(ask_back::show).post(ask_back::send))
        .route("/contracts/{contract}/dispute", get(dispute::show).post(dispute::send))
        .route("/cases/{case}", get(case::show))
        .route("/cases/{case}/live", get(case::live))
        .route("/cases/{case}/clock", post(sandbox::advance))
        .route("/cases/{case}/commands/{command}", get(command::show).post(command::send))
        .route("/desk", get(desk::show))
        .route("/operator", get(operator::show))
        .route("/operator/ledger", get(operator::ledger))
        .route("/operator/refunds/{refund}", get(refunds::show))
        .route("/operator/refunds/{refund}/{remedy}", get(refunds::ask).post(refunds::send))
        .route("/sandbox", get(sandbox::show).post(sandbox::make))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    Router::new().merge(around(pages, front)).merge(assets::routes())
}

/// The routes that take files, and may take as long as an upload. The policy limits the size of a file.
fn uploads(front: Front) -> Router<Front> {
    let pages = Router::new().route("/contracts/{contract}/evidence", get(files::show).post(files::take));
    around(pages.layer(DefaultBodyLimit::disable()), front)
}

/// Adds to every page: the visitor's session, and the limits on what it may load.
fn around(pages: Router<Front>, front: Front) -> Router<Front> {
    let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
    pages
        .layer(middleware::from_fn_with_state(front, visits::know))
        .layer(SetResponseHeaderLayer::if_not_present(header::CONTENT_SECURITY_POLICY, policy))
}
