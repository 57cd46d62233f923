//! The style and the script of every page. Their paths contain a hash of their content, so that browsers may keep them for
//! good.

use std::sync::LazyLock;

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use recourse_api::Front;
use recourse_client::hex;
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("console.css");
const SCRIPT: &str = include_str!("console.js");
const ICON: &str = include_str!("icon.svg");

/// A year: other content has another path.
const KEPT: &str = "public, max-age=31536000, immutable";

/// The style's path.
pub static STYLE_AT: LazyLock<String> = LazyLock::new(|| at("/assets/console.css", STYLE));

/// The script's path.
pub static SCRIPT_AT: LazyLock<String> = LazyLock::new(|| at("/assets/console.js", SCRIPT));

/// The icon's path.
pub static ICON_AT: LazyLock<String> = LazyLock::new(|| at("/assets/icon.svg", ICON));

fn at(path: &str, content: &str) -> String {
    format!("{path}?v={}", &hex::encode(&Sha256::digest(content.as_bytes()))[..16])
}

/// Serves them, to anybody.
pub fn routes() -> Router<Front> {
    Router::new()
        .route("/assets/console.css", get(|| async { asset("text/css; charset=utf-8", STYLE) }))
        .route("/assets/console.js", get(|| async { asset("text/javascript; charset=utf-8", SCRIPT) }))
        .route("/assets/icon.svg", get(|| async { asset("image/svg+xml", ICON) }))
}

fn asset(kind: &'static str, content: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, KEPT)], content).into_response()
}
