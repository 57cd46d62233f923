//! A case's own clock, and fast-forwarding it on a server that allows that. For sandboxes only.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use recourse_domain::{command::RefusalKind, messages::Status};
use temporalio_client::tonic::{Code, IntoRequest as _, Status as RpcStatus};
use temporalio_common::protos::temporal::api::{
    common::v1::{FastForwardConfig, TimeSkippingConfig, WorkflowExecution},
    enums::v1::FastForwardPollingResult,
    workflow::v1::WorkflowExecutionOptions,
    workflowservice::v1::{
        DescribeWorkflowExecutionResponse, PollWorkflowExecutionTimeSkippingRequest,
        UpdateWorkflowExecutionOptionsRequest,
    },
};
use uuid::Uuid;

use super::{
    Client, ClientError,
    described::{is_running, now_of, run_of},
    find,
    rest::{ADVANCE_TIMEOUT, REST_POLL, Still},
    timers::Leg,
};

/// How long a case may take to handle the timers that its clock has passed. It takes milliseconds on an idle machine.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(20);

/// Where a fast-forward ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advanced {
    /// The case's own time now.
    pub now: Timestamp,
    /// Whether the case closed on the way.
    pub closed: bool,
}

impl Client {
    /// Fast-forwards the case's own clock, and no other clock, once no order of the case is under way. When this returns, the
    /// case has handled the timers that its clock has passed: silence has decided at every deadline before the new time.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if the case is closed, or if it waits for a dispute, which has its own clock;
    /// [`ClientError::NoTimeSkipping`] if the server does not allow this; [`ClientError::NoWorker`] if the work under way does
    /// not end.
    pub async fn advance(&self, case: &str, by: Duration) -> Result<Advanced, ClientError> {
        let Still { described, .. } = self.standing_still(case).await?;
        if !is_running(&described) {
            return Err(ClientError::refused(
                RefusalKind::TooLate,
                format!("{case} is closed; its clock has stopped"),
                Some(format!("see `recourse show {case}`")),
            ));
        }
        if let Some(child) = described.pending_children.first() {
            return Err(ClientError::refused(
                RefusalKind::NotAllowed,
                format!("{case} waits for {}, which has a clock of its own", child.workflow_id),
                Some(format!("advance {} instead", child.workflow_id)),
            ));
        }
        let target = SignedDuration::try_from(by)
            .map_or(Timestamp::MAX, |by| now_of(&described).checked_add(by).unwrap_or(Timestamp::MAX));
        self.advance_to(case, target).await
    }

    /// Fast-forwards to just before each timer on the way, waits until the timer fires, and continues.
    ///
    /// Server 1.32.0 runs on to the case's next deadline if something happens to the case after the target time, and before the
    /// server has noted that it has arrived. So no timer may fire during a fast-forward: not on the way, and not shortly after
    /// its target. And a fast-forward must not be so short that it is over before the server handles it.
    async fn advance_to(&self, case: &str, target: Timestamp) -> Result<Advanced, ClientError> {
        // When the clock last moved. So this does not ask for ever if a server refuses at once, again and again.
        let mut further = Instant::now();
        loop {
            match self.advance_once(case, target).await {
                Ok(Some(there)) => return Ok(there),
                Ok(None) => further = Instant::now(),
                // A busy server may let a call time out and still do what it asks. So this reads the clock instead of asking
                // again.
                Err(ClientError::NoWorker { .. }) if further.elapsed() < ADVANCE_TIMEOUT => {
                    tokio::time::sleep(REST_POLL).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One part of the way. Returns where the case is, once it has arrived.
    async fn advance_once(&self, case: &str, target: Timestamp) -> Result<Option<Advanced>, ClientError> {
        let Still { described, now, seen, next_timer } = self.standing_still(case).await?;
        let (closed, run) = (!is_running(&described), run_of(&described));
        if closed || now >= target {
            return Ok(Some(Advanced { now, closed }));
        }
        let looked = seen.elapsed();
        let leg = Leg::plan(now, target, next_timer, looked).after(seen.elapsed(), looked);
        if leg.skip > Duration::ZERO {
            self.advance_run(case, &run, leg.skip).await?;
        }
        tokio::time::sleep(leg.wait).await;
        Ok(None)
    }

    pub(super) async fn clock_stands_still(&self, case: &str) -> ClientError {
        let reason = "its clock stands still while something it ordered is not done".to_owned();
        self.explained(ClientError::NoWorker { case: case.to_owned(), reason }).await
    }

    /// Fast-forwards one run of the case, at most to the run's end.
    async fn advance_run(&self, case: &str, run: &str, by: Duration) -> Result<(), ClientError> {
        let id = Uuid::now_v7().to_string();
        let execution = find::run(case, run);
        match self.fast_forward(execution.clone(), &id, by).await {
            Ok(()) => self.wait_for_fast_forward(case, execution, &id).await,
            // The run ended just before.
            Err(status) if status.code() == Code::NotFound => Ok(()),
            Err(status) if status.code() == Code::Unimplemented => {
                Err(ClientError::NoTimeSkipping { address: self.address.clone() })
            }
            Err(status) => Err(self.rpc_error(case, &status)),
        }
    }

    async fn fast_forward(&self, execution: WorkflowExecution, id: &str, by: Duration) -> Result<(), RpcStatus> {
        let duration = by.try_into().ok();
        let config = TimeSkippingConfig {
            enabled: true,
            disable_propagation: true,
            fast_forward_config: Some(FastForwardConfig { id: id.to_owned(), duration }),
            ..TimeSkippingConfig::default()
        };
        let mut request = UpdateWorkflowExecutionOptionsRequest {
            namespace: self.namespace().to_owned(),
            workflow_execution: Some(execution),
            workflow_execution_options: Some(WorkflowExecutionOptions {
                time_skipping_config: Some(config),
                ..WorkflowExecutionOptions::default()
            }),
            ..UpdateWorkflowExecutionOptionsRequest::default()
        };
        request.update_mask.get_or_insert_default().paths.push("time_skipping_config".to_owned());
        self.service().update_workflow_execution_options(request.into_request()).await.map(|_| ())
    }

    async fn wait_for_fast_forward(
        &self,
        case: &str,
        execution: WorkflowExecution,
        id: &str,
    ) -> Result<(), ClientError> {
        let run = execution.run_id.clone();
        let request = PollWorkflowExecutionTimeSkippingRequest {
            namespace: self.namespace().to_owned(),
            workflow_execution: Some(execution),
            fast_forward_id: id.to_owned(),
        };
        let started = Instant::now();
        while started.elapsed() < ADVANCE_TIMEOUT {
            let mut service = self.service();
            let poll = service.poll_workflow_execution_time_skipping(request.clone().into_request());
            let polled = match tokio::time::timeout(ADVANCE_TIMEOUT.saturating_sub(started.elapsed()), poll).await {
                Ok(Ok(polled)) => polled.into_inner(),
                Ok(Err(status)) if status.code() == Code::NotFound => return Ok(()),
                // One poll may end before the clock arrives. Then it polls again.
                Ok(Err(status)) if matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled) => continue,
                Ok(Err(status)) => return Err(self.rpc_error(case, &status)),
                Err(_) => break,
            };
            match polled.fast_forward_polling_result() {
                FastForwardPollingResult::FastForwardCompleted => return Ok(()),
                FastForwardPollingResult::FastForwardFailed => {
                    let described = self.describe(case).await?;
                    if !is_running(&described) || run_of(&described) != run {
                        return Ok(());
                    }
                    let message = format!("the clock of {case} did not get there: {}", polled.failed_reason);
                    return Err(ClientError::Unexpected { message });
                }
                FastForwardPollingResult::PollTimeout | FastForwardPollingResult::Unspecified => {}
            }
        }
        Err(self.clock_stands_still(case).await)
    }

    /// How long ago by the wall clock the case's workflow ended, in whatever way; none while it runs.
    pub async fn closed_for(&self, case: &str) -> Result<Option<SignedDuration>, ClientError> {
        Ok(closed_for(&self.describe(case).await?))
    }

    /// Waits until the case has handled the timers that its clock has passed: silence has decided at every deadline before its
    /// time. The server tells the case about a timer shortly after the clock was advanced.
    ///
    /// # Errors
    /// [`ClientError::NoWorker`] if no worker continues the case.
    pub async fn catch_up(&self, case: &str) -> Result<(), ClientError> {
        let now = self.virtual_now(case).await?;
        let is_behind = |status: &Status| status.deadline.is_some_and(|deadline| deadline <= now);
        let status = self.wait_for(case, CATCH_UP_TIMEOUT, |status| !is_behind(status)).await?;
        if is_behind(&status) {
            let reason = "its deadline has passed and it has not looked".to_owned();
            return Err(ClientError::NoWorker { case: case.to_owned(), reason });
        }
        Ok(())
    }
}

/// If a case's clock was fast-forwarded, its end has that clock's time. That clock ticks as fast as the wall clock.
fn closed_for(described: &DescribeWorkflowExecutionResponse) -> Option<SignedDuration> {
    if is_running(described) {
        return None;
    }
    let now = now_of(described);
    let closed_at = described.workflow_execution_info.as_ref().and_then(|info| info.close_time.as_ref());
    // Without a time, it may have ended just now.
    let closed_at = closed_at.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok()).unwrap_or(now);
    Some(now.duration_since(closed_at))
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::{
        common::v1::TimeSkippingInfo,
        enums::v1::WorkflowExecutionStatus,
        workflow::v1::{WorkflowExecutionExtendedInfo, WorkflowExecutionInfo},
    };

    use super::*;

    fn described(
        status: WorkflowExecutionStatus,
        closed: Option<Timestamp>,
        own: Option<Timestamp>,
    ) -> DescribeWorkflowExecutionResponse {
        let time = |at: Timestamp| std::time::SystemTime::from(at).into();
        let info = WorkflowExecutionInfo {
            status: status.into(),
            close_time: closed.map(time),
            ..WorkflowExecutionInfo::default()
        };
        let skipping = own.map(|own| TimeSkippingInfo { current_time: Some(time(own)), ..TimeSkippingInfo::default() });
        let extended =
            WorkflowExecutionExtendedInfo { time_skipping_info: skipping, ..WorkflowExecutionExtendedInfo::default() };
        DescribeWorkflowExecutionResponse {
            workflow_execution_info: Some(info),
            workflow_extended_info: Some(extended),
            ..DescribeWorkflowExecutionResponse::default()
        }
    }

    /// The result is the same for the wall clock and for a fast-forwarded one.
    #[test]
    fn time_since_the_end_does_not_depend_on_the_cases_clock() {
        let seconds = |closed, own| {
            closed_for(&described(WorkflowExecutionStatus::Terminated, closed, own)).map(|length| length.as_secs())
        };
        let wall = Timestamp::now();
        let (ago, ahead) = (SignedDuration::from_secs(90), SignedDuration::from_hours(48));
        assert_eq!(seconds(Some(wall - ago), None), Some(90));
        assert_eq!(seconds(Some(wall + ahead - ago), Some(wall + ahead)), Some(90));
        assert_eq!(seconds(None, None), Some(0));
        assert_eq!(closed_for(&described(WorkflowExecutionStatus::Running, None, None)), None);
    }
}
