//! Which run of which workflow a case is (L8).
//!
//! A case keeps its own id for ever. The first case of a workflow id has that id; a later one has the id and its number.
//! Temporal knows workflow ids and runs. A bare id means the newest case that was accepted: a start that a rule refused is not
//! a case, and hides none.

use jiff::Timestamp;
use recourse_domain::{ids::case_id, messages::Status};
use temporalio_client::tonic::IntoRequest as _;
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution,
    enums::v1::WorkflowExecutionStatus,
    workflow::v1::WorkflowExecutionInfo,
    workflowservice::v1::{DescribeWorkflowExecutionResponse, ListWorkflowExecutionsRequest},
};

use super::{CaseId, Client, ClientError, list};

/// How many runs of one workflow id to search for an earlier case.
const RUNS_MAX: i32 = 1_000;

/// Where a case is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The workflow id.
    pub workflow_id: String,
    /// The run, unless it is the newest.
    pub run_id: Option<String>,
}

impl From<Place> for WorkflowExecution {
    fn from(Place { workflow_id, run_id }: Place) -> Self {
        Self { workflow_id, run_id: run_id.unwrap_or_default() }
    }
}

/// A run of a case.
pub(super) fn run(case: &str, run: &str) -> WorkflowExecution {
    WorkflowExecution { workflow_id: parts(case).0.to_owned(), run_id: run.to_owned() }
}

/// A case's id without its number, and the number if it has one.
pub(super) fn parts(case: &str) -> (&str, Option<u32>) {
    // The id of a request for a payment contains the payment's own number, before its step. Only the exact form counts: a case
    // has one id, and not `#01` or `#+1` as well.
    let number = case.rsplit_once('#').and_then(|(id, written)| {
        let number: u32 = written.parse().ok()?;
        (number > 0 && number.to_string() == written).then_some((id, number))
    });
    number.map_or((case, None), |(id, number)| (id, Some(number)))
}

/// Whether a run under a case's id is a case: not a refused start, and of the right workflow type.
fn is_case(workflow_id: &str, info: &WorkflowExecutionInfo) -> bool {
    let of_type = CaseId::read(workflow_id).ok().map(|id| id.kind.workflow_type());
    let own = info.r#type.as_ref().map(|own| own.name.as_str());
    !list::was_refused(info) && (of_type.is_none() || of_type == own)
}

/// When a run began.
fn began(info: &WorkflowExecutionInfo) -> Option<Timestamp> {
    info.start_time.as_ref().and_then(|at| Timestamp::new(at.seconds, at.nanos).ok())
}

/// When a run closed, if it has.
fn closed(info: &WorkflowExecutionInfo) -> Option<Timestamp> {
    info.close_time.as_ref().and_then(|at| Timestamp::new(at.seconds, at.nanos).ok())
}

impl Client {
    /// Where the case is.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] if there is no such case.
    pub(super) async fn find(&self, case: &str) -> Result<Place, ClientError> {
        let (workflow_id, number) = parts(case);
        let newest = self.describe_run(case, workflow_id, "").await?;
        self.place(case, (workflow_id, number), &newest).await
    }

    /// The same, with the description of the newest run of its workflow id.
    pub(super) async fn place(
        &self,
        case: &str,
        (workflow_id, number): (&str, Option<u32>),
        newest: &DescribeWorkflowExecutionResponse,
    ) -> Result<Place, ClientError> {
        let info = newest.workflow_execution_info.clone().unwrap_or_default();
        let place = |run_id: Option<String>| Place { workflow_id: workflow_id.to_owned(), run_id };
        let is_it = match number {
            Some(number) => list::number_of(&info) == number && is_case(workflow_id, &info),
            None => is_case(workflow_id, &info),
        };
        if is_it {
            return Ok(place(None));
        }
        let accepted = self.accepted(workflow_id).await?;
        let found = match number {
            None => accepted.last(),
            Some(number) => accepted.iter().find(|info| list::number_of(info) == number).or_else(|| {
                // Old cases have no number in lists. Their position is their number.
                let unnumbered = accepted.iter().all(|info| list::number_of(info) == 1);
                accepted.get(number.checked_sub(1)? as usize).filter(|_| unnumbered)
            }),
        };
        match (found, number) {
            (Some(info), _) => Ok(place(info.execution.as_ref().map(|execution| execution.run_id.clone()))),
            // This id never had an accepted case. The newest run says why.
            (None, None) => Ok(place(None)),
            (None, Some(_)) => Err(ClientError::NotFound { case: case.to_owned() }),
        }
    }

    /// The dispute in which a case continued (L8). The case knows the dispute's workflow id, under which there may be earlier
    /// and later disputes. If the server does not know the dispute, or not yet, this returns the workflow id.
    pub(super) async fn dispute_of(&self, status: &Status, workflow_id: &str) -> String {
        let newest = self.info(workflow_id, "").await;
        let (case, run) = (status.workflow_id.as_str(), status.run_id.as_deref().unwrap_or_default());
        if newest.parent_execution.as_ref().is_some_and(|parent| parent.run_id == run) {
            return case_id(workflow_id, list::number_of(&newest));
        }
        // The case has continued in another run, or a later case has a dispute with this id. Its own dispute is the last that
        // began while it ran.
        let last = self.info(case, run).await;
        let (from, to) = (began(&self.info(case, &last.first_run_id).await), closed(&last));
        let mut disputes = self.accepted(workflow_id).await.unwrap_or_default();
        disputes.retain(|dispute| {
            let is_theirs = dispute.parent_execution.as_ref().is_some_and(|parent| parent.workflow_id == case);
            is_theirs && began(dispute) >= from && to.is_none_or(|to| began(dispute) <= Some(to))
        });
        disputes.last().map_or_else(|| workflow_id.to_owned(), |dispute| case_id(workflow_id, list::number_of(dispute)))
    }

    /// What the server knows of a run; empty for an unknown run.
    async fn info(&self, workflow_id: &str, run_id: &str) -> WorkflowExecutionInfo {
        let described = self.describe_run(workflow_id, workflow_id, run_id).await;
        described.ok().and_then(|described| described.workflow_execution_info).unwrap_or_default()
    }

    /// The last runs of the workflow id's cases, oldest first, without refused starts and without runs that continued in a new
    /// run.
    async fn accepted(&self, workflow_id: &str) -> Result<Vec<WorkflowExecutionInfo>, ClientError> {
        let request = ListWorkflowExecutionsRequest {
            namespace: self.namespace().to_owned(),
            page_size: RUNS_MAX,
            query: format!("WorkflowId = '{workflow_id}' AND {}", list::ACCEPTED),
            ..ListWorkflowExecutionsRequest::default()
        };
        let listed = self.service().list_workflow_executions(request.into_request()).await;
        let mut runs = listed.map_err(|status| self.server_error(&status))?.into_inner().executions;
        // Lists lag behind: a start that was refused a moment ago is still listed as open, and would hide the case before it.
        for run in runs.iter_mut().filter(|run| run.status() == WorkflowExecutionStatus::Running) {
            let run_id = run.execution.clone().unwrap_or_default().run_id;
            *run = match self.describe_run(workflow_id, workflow_id, &run_id).await {
                Ok(described) => described.workflow_execution_info.unwrap_or_default(),
                // The server has deleted it, and lists it still: it has no type, and so is no case.
                Err(ClientError::NotFound { .. }) => WorkflowExecutionInfo::default(),
                Err(error) => return Err(error),
            };
        }
        runs.retain(|info| info.status() != WorkflowExecutionStatus::ContinuedAsNew && is_case(workflow_id, info));
        runs.sort_by_key(began);
        Ok(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    /// L8: the number is the case's own, not that of the payment that it is about.
    #[test]
    fn the_number_tells_a_case_from_earlier_ones() {
        for (case, id, number) in [
            ("dispute:c-1", "dispute:c-1", None),
            ("dispute:c-1#2", "dispute:c-1", Some(2)),
            ("payment-refund:refund-request:c-1#2/pay_now", "payment-refund:refund-request:c-1#2/pay_now", None),
            ("payment-refund:refund-request:c-1#2/pay_now#3", "payment-refund:refund-request:c-1#2/pay_now", Some(3)),
            ("dispute:c-1#x", "dispute:c-1#x", None),
            ("dispute:c-1#01", "dispute:c-1#01", None),
            ("dispute:c-1#+1", "dispute:c-1#+1", None),
            ("dispute:c-1#0", "dispute:c-1#0", None),
        ] {
            assert_eq!(parts(case), (id, number), "{case}");
        }
    }
}
