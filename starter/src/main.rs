//! The command line of Recourse.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // Evidence and everything else that is written is its owner's alone.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    recourse_starter::main().await
}
