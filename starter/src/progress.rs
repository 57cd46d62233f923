//! Shows a sign of progress while somebody waits, on a terminal only.

use std::{future::Future, pin::Pin, time::Duration};

use indicatif::ProgressBar;

/// How long a wait may be before this program explains it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Waits for `work`. If that takes long, prints the reason on stderr.
pub fn waiting<'a, T>(
    message: impl Into<String>,
    work: impl Future<Output = T> + 'a,
) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    let (message, mut work) = (message.into(), Box::pin(work));
    Box::pin(async move {
        if let Ok(done) = tokio::time::timeout(PATIENCE, &mut work).await {
            return done;
        }
        // Draws nothing if stderr is not a terminal.
        let spinner = ProgressBar::new_spinner().with_message(message);
        spinner.enable_steady_tick(Duration::from_millis(100));
        let done = work.await;
        spinner.finish_and_clear();
        done
    })
}
