//! Orders an effect: as an activity that Temporal tries until it is done.

use std::{future::Future, time::Duration};

use temporalio_common::{ActivityDefinition, data_converters::TemporalDeserializable};
use temporalio_workflow::{ActivityOptions, RetryPolicy, TimerOptions, WorkflowCancellationToken, WorkflowContext};

/// How long an effect may take before Temporal tries it again. The effect's ids make the second try harmless, so this can be
/// short. It is also how long a case waits after a worker died in the middle of an effect.
const EFFECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest wait between two tries of an effect.
const RETRY_INTERVAL_MAX: Duration = Duration::from_mins(1);

/// Orders an effect under a summary for the Web UI, and waits for as long as it takes.
pub(crate) fn order<'a, W: 'static, E, F>(
    ctx: &'a WorkflowContext<W>,
    effect: F,
    input: E::Input,
    summary: String,
) -> impl Future<Output = E::Output> + use<'a, W, E, F>
where
    F: Fn() -> E + 'a,
    E: ActivityDefinition + 'a,
    E::Input: Clone + 'a,
    E::Output: TemporalDeserializable,
{
    let start = move |summary: String| {
        let retries = RetryPolicy::builder().maximum_interval(RETRY_INTERVAL_MAX).build();
        let options = ActivityOptions::with_start_to_close_timeout(EFFECT_TIMEOUT)
            .retry_policy(retries)
            .summary(summary)
            .cancellation_token(WorkflowCancellationToken::new())
            .build();
        ctx.execute_activity(effect(), input.clone(), options)
    };
    let first = start(summary.clone());
    async move {
        let mut result = first.await;
        // An effect fails for good only if somebody outside stops it. Then the case orders it again: no effect stays undone.
        while result.is_err() {
            let pause = TimerOptions::builder(RETRY_INTERVAL_MAX)
                .summary(format!("pause before ordering again: {summary}"))
                .cancellation_token(WorkflowCancellationToken::new())
                .build();
            ctx.timer(pause).await;
            result = start(summary.clone()).await;
        }
        match result {
            Ok(output) => output,
            Err(_) => unreachable!("the loop ends with a result"),
        }
    }
}
