//! What an installation needs that other people's money depends on: a server that is trusted, payloads that say nothing to
//! whoever keeps them, builds that leave open cases alone, and numbers that an operator is called by.

mod encryption;
mod front;
mod guide;
pub mod metrics;
mod restore;
mod topology;
mod traces;
mod trust;
mod versions;

/// A program that checks what is delivered beside the code, as `.ci/tools` installs it.
fn delivery(program: &str) -> std::path::PathBuf {
    let folder = std::env::var_os("RECOURSE_DELIVERY").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/delivery/bin"),
        std::path::PathBuf::from,
    );
    let path = folder.join(program);
    assert!(path.exists(), "{} is not there; `make test` installs it", path.display());
    path
}
