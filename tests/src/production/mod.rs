//! What an installation with other people's money needs: a trusted server, payloads that reveal nothing to the server, builds
//! that leave open cases alone, and metrics that alert operators.

mod encryption;
mod front;
mod guide;
pub mod metrics;
mod restore;
mod topology;
mod traces;
mod trust;
mod versions;

/// A program that checks the delivered files beside the code, as `.ci/tools` installs it.
fn delivery(program: &str) -> std::path::PathBuf {
    let folder = std::env::var_os("RECOURSE_DELIVERY").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/delivery/bin"),
        std::path::PathBuf::from,
    );
    let path = folder.join(program);
    assert!(path.exists(), "{} is not there; `make test` installs it", path.display());
    path
}
