use temporalio_common::protos::temporal::api::{
    common::v1::ActivityType, failure::v1::Failure, workflow::v1::PendingWorkflowTaskInfo,
};

use super::*;

/// In its first attempt a task waits for a worker. In a later attempt it has failed on one.
#[test]
fn a_failing_task_differs_from_a_missing_worker() {
    let described = |attempt: Option<i32>| DescribeWorkflowExecutionResponse {
        pending_workflow_task: attempt
            .map(|attempt| PendingWorkflowTaskInfo { attempt, ..PendingWorkflowTaskInfo::default() }),
        ..DescribeWorkflowExecutionResponse::default()
    };
    for attempt in [None, Some(0), Some(1)] {
        assert_eq!(task_fails("dispute:c-1", &described(attempt)), None, "{attempt:?}");
    }
    let error = task_fails("dispute:c-1", &described(Some(2))).unwrap();
    assert_eq!(error, ClientError::TaskFails { case: "dispute:c-1".to_owned(), attempt: 2 });
    assert_eq!(error.exit_code(), 3);
    assert!(error.hint().is_some_and(|hint| hint.contains("Web UI") && hint.contains("nothing is lost")));
}

fn ordered(state: PendingActivityState, attempt: i32, failure: Option<&str>) -> PendingActivityInfo {
    PendingActivityInfo {
        activity_type: Some(ActivityType { name: "Escrow.open".to_owned() }),
        state: state.into(),
        attempt,
        last_failure: failure.map(|message| Failure { message: message.to_owned(), ..Failure::default() }),
        ..PendingActivityInfo::default()
    }
}

#[test]
fn a_case_waiting_for_its_order_differs_from_a_missing_worker() {
    use PendingActivityState::{Scheduled, Started};
    let described = |activity| DescribeWorkflowExecutionResponse {
        pending_activities: vec![activity],
        ..DescribeWorkflowExecutionResponse::default()
    };
    let case = "refund-request:c-1";
    for (activity, told) in [
        (ordered(Started, 1, None), "refund-request:c-1 is still busy with Escrow.open, in attempt 1"),
        (
            ordered(Scheduled, 4, Some("StillHeld: by milestone-review:c-1:m-1")),
            "refund-request:c-1 is still busy with Escrow.open, in attempt 4; the last one failed: \
             StillHeld: by milestone-review:c-1:m-1",
        ),
    ] {
        let error = busy(case, &described(activity)).unwrap();
        assert_eq!((error.to_string().as_str(), error.kind(), error.exit_code()), (told, "busy", 3));
        assert!(error.hint().is_some_and(|hint| hint.contains("try again in a moment")));
    }
    assert_eq!(busy(case, &DescribeWorkflowExecutionResponse::default()), None);
    assert_eq!(busy(case, &described(ordered(Scheduled, 1, None))), None, "no worker has begun it");
    let waiting = DescribeWorkflowExecutionResponse {
        pending_workflow_task: Some(PendingWorkflowTaskInfo::default()),
        ..described(ordered(Started, 1, None))
    };
    assert_eq!(busy(case, &waiting), None, "no worker takes the workflow's own task");
}
