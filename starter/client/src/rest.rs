//! Whether a case is at rest: no order of it is under way, the server owes it nothing, and no message to it is on its way.
//!
//! The server's description shows a case's own work: its task, its effects, its disputes. It does not show the server's
//! remaining work: to tell the case about a due timer or a finished dispute, to start a dispute that was filed, to deliver a
//! signal. Each takes milliseconds, or longer on a busy machine. Until then a reader sees the case as it was, and under the id
//! of a dispute that was filed again, the earlier dispute.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use recourse_domain::messages::Status;
use temporalio_common::protos::temporal::api::{
    enums::v1::{PendingActivityState, WorkflowExecutionStatus},
    workflow::v1::{PendingActivityInfo, PendingChildExecutionInfo, WorkflowExecutionInfo},
    workflowservice::v1::DescribeWorkflowExecutionResponse,
};

use super::{
    Client, ClientError,
    described::{is_running, now_of, run_of},
    timers::RunProgress,
};

/// How long a fast-forward may take. The clock does not move while an effect is under way.
pub(super) const ADVANCE_TIMEOUT: Duration = Duration::from_secs(30);

/// How often to read a case until it is at rest.
pub(super) const REST_POLL: Duration = Duration::from_millis(20);

/// A case at rest.
#[derive(Debug)]
pub(super) struct Still {
    /// The server's description of it.
    pub described: DescribeWorkflowExecutionResponse,
    /// Its own time at that point.
    pub now: Timestamp,
    /// When the question was sent. So the case's clock is ahead of `now` by at most the time since then.
    pub seen: Instant,
    /// When its next timer is due, by its own clock.
    pub next_timer: Option<Timestamp>,
}

impl Client {
    /// Whether nothing is under way that would change the case by itself: it waits only for commands, its clock and its
    /// dispute, or is over. Then the dispute under its dispute's id is its own, and not an earlier one.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] if there is no such case.
    pub async fn at_rest(&self, case: &str) -> Result<bool, ClientError> {
        Ok(self.resting(case).await?.is_some())
    }

    /// The case's status, if it was at rest at that time; none if something was under way.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn status_at_rest(&self, case: &str) -> Result<Option<Status>, ClientError> {
        let Some(before) = self.resting(case).await? else { return Ok(None) };
        let status = self.status(case).await?;
        // The case may have begun something just before it answered.
        let after = self.resting(case).await?;
        Ok(after.filter(|after| moment_of(after) == moment_of(&before)).map(|_| status))
    }

    async fn resting(&self, case: &str) -> Result<Option<DescribeWorkflowExecutionResponse>, ClientError> {
        let described = self.describe(case).await?;
        let rests = described.pending_activities.is_empty() && self.still(case, &described).await?.is_some();
        Ok(rests.then_some(described))
    }

    /// The case once it is at rest: no task exists or is about to come.
    pub(super) async fn standing_still(&self, case: &str) -> Result<Still, ClientError> {
        let started = Instant::now();
        loop {
            match self.seen_still(case).await {
                Ok(Some(still)) => return Ok(still),
                // A timed-out call says nothing about the case.
                Ok(None) | Err(ClientError::NoWorker { .. }) => {}
                Err(error) => return Err(error),
            }
            if started.elapsed() >= ADVANCE_TIMEOUT {
                return Err(self.clock_stands_still(case).await);
            }
            tokio::time::sleep(REST_POLL).await;
        }
    }

    async fn seen_still(&self, case: &str) -> Result<Option<Still>, ClientError> {
        let seen = Instant::now();
        let described = self.describe(case).await?;
        let now = now_of(&described);
        let begun = self.still(case, &described).await?;
        Ok(begun.map(|begun| Still { described, now, seen, next_timer: begun.next_timer() }))
    }

    /// What the case waits for, if no task and no effect of it are under way.
    async fn still(
        &self,
        case: &str,
        described: &DescribeWorkflowExecutionResponse,
    ) -> Result<Option<RunProgress>, ClientError> {
        if !nothing_is_under_way(described) {
            return Ok(None);
        }
        if !is_running(described) {
            return Ok(Some(RunProgress::default()));
        }
        for child in &described.pending_children {
            let latest = match self.describe(&child.workflow_id).await {
                Ok(latest) => Some(latest),
                Err(ClientError::NotFound { .. }) => None,
                Err(error) => return Err(error),
            };
            if !goes_on(child, latest.as_ref()) {
                return Ok(None);
            }
        }
        let begun = self.begun(case, &run_of(described)).await?;
        let length = described.workflow_execution_info.as_ref().map(|info| info.history_length).unwrap_or_default();
        // If a clock is fast-forwarded while a task is under way, it may run on to the next timer.
        Ok(Some(begun).filter(|begun| begun.is_of(length) && !begun.is_owed(now_of(described))))
    }
}

/// Whether the server knows of no task and no effect under way. A failed effect that waits for its next try does not count: the
/// case's clock also passes that wait.
fn nothing_is_under_way(described: &DescribeWorkflowExecutionResponse) -> bool {
    let status = described.workflow_execution_info.as_ref().map(WorkflowExecutionInfo::status);
    // The description is of a run that has just made room for the next.
    let between_runs = status == Some(WorkflowExecutionStatus::ContinuedAsNew);
    let is_tried =
        |activity: &PendingActivityInfo| activity.state() != PendingActivityState::Scheduled || activity.attempt <= 1;
    !between_runs && described.pending_workflow_task.is_none() && !described.pending_activities.iter().any(is_tried)
}

/// Whether a dispute that a case has begun is still open, given what is under the dispute's id. Before it starts, that is
/// nothing or an earlier dispute. After it closes, that is the dispute itself, closed, until the case learns of it.
fn goes_on(child: &PendingChildExecutionInfo, latest: Option<&DescribeWorkflowExecutionResponse>) -> bool {
    let Some(latest) = latest.filter(|latest| is_running(latest)) else { return false };
    // A case may have more than one run.
    let first = latest.workflow_execution_info.as_ref().map(|info| info.first_run_id.as_str()).unwrap_or_default();
    let first = if first.is_empty() { &run_of(latest) } else { first };
    first == child.run_id
}

/// A value that changes when something happens to the case.
fn moment_of(described: &DescribeWorkflowExecutionResponse) -> (String, i64) {
    let length = described.workflow_execution_info.as_ref().map(|info| info.history_length);
    (run_of(described), length.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::{
        common::v1::WorkflowExecution, workflow::v1::PendingWorkflowTaskInfo,
    };

    use super::*;

    fn described(status: WorkflowExecutionStatus) -> DescribeWorkflowExecutionResponse {
        let info = WorkflowExecutionInfo { status: status.into(), ..WorkflowExecutionInfo::default() };
        DescribeWorkflowExecutionResponse {
            workflow_execution_info: Some(info),
            ..DescribeWorkflowExecutionResponse::default()
        }
    }

    /// An advance waits for this state of a case.
    #[test]
    fn a_case_is_at_rest_when_it_only_waits() {
        let waits = described(WorkflowExecutionStatus::Running);
        assert!(nothing_is_under_way(&waits));
        assert!(nothing_is_under_way(&described(WorkflowExecutionStatus::Completed)));
        assert!(!nothing_is_under_way(&described(WorkflowExecutionStatus::ContinuedAsNew)));
        let mut tasked = waits.clone();
        tasked.pending_workflow_task = Some(PendingWorkflowTaskInfo::default());
        assert!(!nothing_is_under_way(&tasked));
        let with = |state: PendingActivityState, attempt| {
            let mut active = waits.clone();
            let state = state.into();
            active.pending_activities = vec![PendingActivityInfo { state, attempt, ..PendingActivityInfo::default() }];
            nothing_is_under_way(&active)
        };
        assert!(!with(PendingActivityState::Scheduled, 1), "it is about to begin");
        assert!(!with(PendingActivityState::Started, 1) && !with(PendingActivityState::Started, 2));
        assert!(with(PendingActivityState::Scheduled, 2), "it waits to be tried again");
    }

    /// A dispute that was filed again has the id of the earlier one.
    #[test]
    fn a_dispute_is_open_from_start_to_close_and_differs_from_earlier_ones() {
        use WorkflowExecutionStatus::{Completed, Running, Terminated};
        let child = |run: &str| PendingChildExecutionInfo {
            workflow_id: "dispute:c-1".to_owned(),
            run_id: run.to_owned(),
            ..PendingChildExecutionInfo::default()
        };
        let run = |status, first: &str, run: &str| {
            let mut described = described(status);
            let info = described.workflow_execution_info.as_mut().unwrap();
            info.first_run_id = first.to_owned();
            info.execution = Some(WorkflowExecution { workflow_id: "dispute:c-1".to_owned(), run_id: run.to_owned() });
            described
        };
        assert!(goes_on(&child("two"), Some(&run(Running, "two", "two"))));
        assert!(goes_on(&child("two"), Some(&run(Running, "two", "three"))), "in its next run");
        assert!(goes_on(&child("two"), Some(&run(Running, "", "two"))), "a server that does not report the first run");
        assert!(!goes_on(&child(""), None), "it has not started");
        assert!(
            !goes_on(&child(""), Some(&run(Completed, "one", "one"))),
            "it is not started, and there was one before"
        );
        assert!(!goes_on(&child("two"), Some(&run(Completed, "two", "two"))), "the case is about to learn of it");
        assert!(!goes_on(&child("two"), Some(&run(Terminated, "two", "three"))));
        assert!(!goes_on(&child("two"), Some(&run(Running, "four", "four"))), "the case is about to learn of it");
    }

    #[test]
    fn any_event_changes_the_moment_of_a_case() {
        let at = |run: &str, length| {
            let mut described = described(WorkflowExecutionStatus::Running);
            let info = described.workflow_execution_info.as_mut().unwrap();
            info.execution = Some(WorkflowExecution { workflow_id: "c".to_owned(), run_id: run.to_owned() });
            info.history_length = length;
            moment_of(&described)
        };
        assert_eq!(at("one", 7), at("one", 7));
        assert!(at("one", 7) != at("one", 8) && at("one", 7) != at("two", 7));
    }
}
