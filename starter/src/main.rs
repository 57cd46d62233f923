//! The command line of Recourse.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    recourse_starter::cli::main().await
}
