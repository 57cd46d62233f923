//! The policy that is pinned in a case (T3).

use recourse_domain::policy::Policy;
use recourse_programs::temporal::codec;
use serde_json::Value;
use temporalio_client::tonic::IntoRequest as _;
use temporalio_common::protos::temporal::api::{
    common::v1::Payload,
    history::v1::{HistoryEvent, history_event::Attributes},
    workflowservice::v1::GetWorkflowExecutionHistoryRequest,
};

use super::{Client, ClientError, plain};

impl Client {
    /// The policy of a case.
    ///
    /// Its status does not contain it, so this reads the start of the case's present run.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] if there is no such case.
    pub async fn policy(&self, case: &str) -> Result<Policy, ClientError> {
        let place = self.find(case).await?;
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: self.namespace().to_owned(),
            execution: Some(place.into()),
            maximum_page_size: 1,
            ..GetWorkflowExecutionHistoryRequest::default()
        };
        let answer = self.service().get_workflow_execution_history(request.into_request()).await;
        let history = answer.map_err(|status| self.rpc_error(case, &status))?.into_inner().history.unwrap_or_default();
        let Some(input) = history.events.first().and_then(started_with) else { return Ok(Policy::default()) };
        let input = self.plain(input).await?;
        if codec::is_encrypted(&input) {
            return Err(plain::no_keys(case));
        }
        Ok(serde_json::from_slice(&input.data).map(|start| policy_in(&start)).unwrap_or_default())
    }
}

/// The input of a run.
fn started_with(first: &HistoryEvent) -> Option<Payload> {
    let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = &first.attributes else { return None };
    started.input.as_ref()?.payloads.first().cloned()
}

/// The input of a case's first run has its policy; the input of a later run has the case's state. Without either it is the
/// default policy.
fn policy_in(start: &Value) -> Policy {
    let said = start.pointer("/case/file/policy").or_else(|| start.get("policy"));
    said.and_then(|policy| serde_json::from_value(policy.clone()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_policy_is_read_from_the_start_or_from_the_previous_runs_state() {
        let policy = json!({"evidence": {"max_files": 3}});
        for (start, files) in [
            (json!({"policy": policy}), 3),
            (json!({"case": {"file": {"policy": policy}}, "case_ref": "dispute:c-1"}), 3),
            (json!({"policy": null}), 10),
            (json!({}), 10),
            (json!("not an object"), 10),
        ] {
            assert_eq!(policy_in(&start).evidence.max_files, files, "{start}");
        }
    }
}
