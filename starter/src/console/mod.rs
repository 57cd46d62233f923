//! The console: pages for parties, mediators and operators.

use axum::Router;

use crate::api::Front;

/// Its routes.
pub fn routes() -> Router<Front> {
    Router::new()
}
