//! Hostile input: bytes that are no commands, floods of messages, and payloads that are not what they claim to be.

mod bytes;
mod connections;
mod dice;
mod floods;
mod payloads;
mod targets;
mod uploads;

use temporalio_client::{UntypedWorkflow, WorkflowFetchHistoryOptions, errors::WorkflowUpdateError};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{common::v1::Payload, failure::v1::Failure, history::v1::history_event::Attributes},
};

use crate::harness::World;

/// One payload of these bytes, declared as JSON.
fn raw(json: &[u8]) -> RawValue {
    RawValue::new(vec![payload(Some(b"json/plain"), json)])
}

/// A payload that declares this encoding.
fn payload(encoding: Option<&[u8]>, data: &[u8]) -> Payload {
    let metadata = encoding.map(|encoding| ("encoding".to_owned(), encoding.to_vec())).into_iter().collect();
    Payload { metadata, data: data.to_vec(), ..Payload::default() }
}

/// The innermost message of a failed update, or the server's message if it rejected the update.
fn refusal_of(error: WorkflowUpdateError) -> String {
    let bottom = |mut failure: Failure| {
        while let Some(cause) = failure.cause.take() {
            failure = *cause;
        }
        failure.message
    };
    match error {
        WorkflowUpdateError::Failed(failure) => bottom(*failure),
        WorkflowUpdateError::Rpc(status) => status.message().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Why workflow tasks of this case failed, in its present run and the earlier ones.
async fn failures_of_every_run(world: &World, case: &str) -> Vec<String> {
    let (mut failures, mut run) = (Vec::new(), None);
    loop {
        let current = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
        let mut execution = current.info().clone();
        execution.run_id = run.take();
        let handle = execution.bind_untyped(world.client.temporal().clone());
        let history = handle.fetch_history(WorkflowFetchHistoryOptions::default()).into_events().await.unwrap();
        for event in history {
            match event.attributes {
                Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) => failures.push(format!("{failed:?}")),
                Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
                    run = Some(started.continued_execution_run_id).filter(|run| !run.is_empty());
                }
                _ => {}
            }
        }
        if run.is_none() {
            return failures;
        }
    }
}
