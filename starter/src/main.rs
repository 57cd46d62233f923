//! The command line of Recourse.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // Only the owner may read evidence and everything else that this program writes.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    recourse_starter::main().await
}
