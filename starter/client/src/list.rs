//! Lists of cases, from Temporal's own visibility.

use std::fmt::Write as _;

use jiff::Timestamp;
use recourse_domain::{
    ids::{CaseKind, Id, case_id},
    money::{Amount, Currency},
    party::Role,
    stage::Stage,
    text::shortened,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use temporalio_client::{
    request_extensions::NoRetryOnMatching,
    tonic::{Code, IntoRequest as _, Status},
};
use temporalio_common::protos::temporal::api::{
    enums::v1::WorkflowExecutionStatus, workflow::v1::WorkflowExecutionInfo,
    workflowservice::v1::ListWorkflowExecutionsRequest,
};

use super::{Client, ClientError, hex};

/// How many cases a page has at most.
const PAGE_MAX: u32 = 1_000;

/// Which workflows are cases (L8): not starts that a rule refused, and not starts that nobody could read, which end without an
/// outcome.
pub(super) const ACCEPTED: &str = "((CaseOutcome IS NOT NULL AND CaseOutcome != 'refused') OR (CaseOutcome IS NULL AND \
                                   ExecutionStatus != 'Completed' AND ExecutionStatus != 'Failed'))";

/// Which cases to list. The default is all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filters {
    /// Only of these kinds; of all if empty.
    pub kinds: Vec<CaseKind>,
    /// Only of this contract.
    pub contract: Option<Id>,
    /// Only in this stage.
    pub stage: Option<Stage>,
    /// Only those that wait for this role.
    pub waiting_on: Option<Role>,
    /// Only those that missed a target.
    pub overdue: bool,
    /// Only open ones, or only closed ones.
    pub open: Option<bool>,
    /// Only cases in which one of these is the client or the freelancer.
    pub parties: Option<Vec<Id>>,
    /// In addition to those of `parties`, all cases of these contracts.
    pub or_contracts: Vec<Id>,
    /// In addition to those of `parties`, all cases of this kind.
    pub or_kind: Option<CaseKind>,
    /// How many at most on a page.
    pub limit: Option<u32>,
}

/// A page of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CasePage {
    /// The cases.
    pub cases: Vec<CaseRow>,
    /// The value to ask for the next page with; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What a list shows of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseRow {
    /// Its id: the workflow id, and for a later case of the same workflow id its number, as in `dispute:c-1#2` (L8).
    pub case: String,
    /// The workflow id.
    #[serde(default)]
    pub workflow_id: String,
    /// The run.
    #[serde(default)]
    pub run_id: String,
    /// What it is about.
    pub kind: Option<CaseKind>,
    /// The contract's id.
    pub contract: Option<String>,
    /// The client's id.
    pub client: Option<String>,
    /// The freelancer's id.
    pub freelancer: Option<String>,
    /// The stage.
    pub stage: Option<Stage>,
    /// Who is awaited.
    pub waiting_on: Vec<Role>,
    /// When the stage's window closes.
    pub deadline: Option<Timestamp>,
    /// What the case holds, in minor units.
    pub held: Option<Amount>,
    /// The currency.
    pub currency: Option<Currency>,
    /// Whether a target was missed.
    pub overdue: bool,
    /// The outcome's result.
    pub outcome: Option<String>,
    /// Whether the case is open.
    pub open: bool,
    /// When it was started.
    pub started_at: Option<Timestamp>,
}

impl Filters {
    /// The query in Temporal's list filter language. It needs no escaping: ids and names have no quotes.
    fn query(&self) -> String {
        let mut query = format!("{ACCEPTED} AND CaseKind IS NOT NULL");
        if !self.kinds.is_empty() {
            let kinds: Vec<String> = self.kinds.iter().map(|kind| format!("'{}'", kind.name())).collect();
            let _ = write!(query, " AND CaseKind IN ({})", kinds.join(", "));
        }
        if let Some(contract) = &self.contract {
            let _ = write!(query, " AND CaseContract = '{contract}'");
        }
        if let Some(stage) = self.stage {
            let _ = write!(query, " AND CaseStage = '{stage}'");
        }
        if let Some(role) = self.waiting_on {
            let _ = write!(query, " AND CaseWaitingOn = '{role}'");
        }
        if self.overdue {
            query.push_str(" AND CaseOverdue = true");
        }
        if let Some(parties) = &self.parties {
            let names = quoted(parties);
            let _ = write!(query, " AND (CaseClient IN ({names}) OR CaseFreelancer IN ({names})");
            if !self.or_contracts.is_empty() {
                let _ = write!(query, " OR CaseContract IN ({})", quoted(&self.or_contracts));
            }
            if let Some(kind) = self.or_kind {
                let _ = write!(query, " OR CaseKind = '{}'", kind.name());
            }
            query.push(')');
        }
        match self.open {
            Some(true) => query.push_str(" AND ExecutionStatus = 'Running'"),
            Some(false) => query.push_str(" AND ExecutionStatus != 'Running'"),
            None => {}
        }
        query
    }
}

fn quoted(ids: &[Id]) -> String {
    ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ")
}

impl Client {
    /// Lists cases; `page` is the `next` of the page before.
    pub async fn list(&self, filters: &Filters, page: Option<&str>) -> Result<CasePage, ClientError> {
        let read = |page: &str| hex::decode(page).ok_or_else(|| ClientError::InvalidPage { page: shortened(page) });
        let request = ListWorkflowExecutionsRequest {
            namespace: self.namespace().to_owned(),
            page_size: filters.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX).cast_signed(),
            next_page_token: page.map(read).transpose()?.unwrap_or_default(),
            query: filters.query(),
        };
        let (is_later, mut request) = (page.is_some(), request.into_request());
        if is_later {
            // It does not help to ask again for a page that cannot exist.
            request.extensions_mut().insert(NoRetryOnMatching { predicate: may_be_the_page });
        }
        match self.service().list_workflow_executions(request).await {
            Ok(response) => {
                let response = response.into_inner();
                let next = Some(hex::encode(&response.next_page_token)).filter(|token| !token.is_empty());
                Ok(CasePage { cases: response.executions.iter().map(row).collect(), next })
            }
            Err(status) if is_later && may_be_the_page(&status) => {
                // Only the server can read its page tokens. If it lists without one, the token was the problem.
                let first = Filters { limit: Some(1), ..filters.clone() };
                Box::pin(self.list(&first, None)).await?;
                Err(ClientError::InvalidPage { page: shortened(page.unwrap_or_default()) })
            }
            Err(status) if status.code() == Code::InvalidArgument => {
                Err(self.or_missing_attributes("the list", &status).await)
            }
            Err(status) => Err(self.server_error(&status)),
        }
    }
}

/// Whether an unreadable page token may be the reason why the server does not list. The server reports that in many ways,
/// depending on its visibility store.
fn may_be_the_page(status: &Status) -> bool {
    matches!(status.code(), Code::InvalidArgument | Code::Unknown | Code::Internal | Code::OutOfRange)
}

/// A search attribute of a case.
fn read<T: DeserializeOwned>(info: &WorkflowExecutionInfo, name: &str) -> Option<T> {
    let payload = info.search_attributes.as_ref()?.indexed_fields.get(name)?;
    serde_json::from_slice(&payload.data).ok()
}

/// The number of the case among those with its workflow id.
pub(super) fn number_of(info: &WorkflowExecutionInfo) -> u32 {
    read(info, "CaseNumber").unwrap_or(1)
}

/// Whether it is a start that a rule refused, or that nobody could read, and so not a case (L8).
pub(super) fn was_refused(info: &WorkflowExecutionInfo) -> bool {
    let ended = [WorkflowExecutionStatus::Completed, WorkflowExecutionStatus::Failed].contains(&info.status());
    read::<String>(info, "CaseOutcome").map_or(ended, |outcome| outcome == "refused")
}

pub(super) fn currency_of(info: &WorkflowExecutionInfo) -> Option<Currency> {
    read(info, "CaseCurrency")
}

pub(super) fn row(info: &WorkflowExecutionInfo) -> CaseRow {
    let waiting_on = read(info, "CaseWaitingOn").or_else(|| read(info, "CaseWaitingOn").map(|one: Role| vec![one]));
    let execution = info.execution.clone().unwrap_or_default();
    CaseRow {
        case: case_id(&execution.workflow_id, number_of(info)),
        workflow_id: execution.workflow_id,
        run_id: execution.run_id,
        kind: read(info, "CaseKind"),
        contract: read(info, "CaseContract"),
        client: read(info, "CaseClient"),
        freelancer: read(info, "CaseFreelancer"),
        stage: read(info, "CaseStage"),
        waiting_on: waiting_on.unwrap_or_default(),
        deadline: read(info, "CaseDeadline"),
        held: read(info, "CaseHeld"),
        currency: currency_of(info),
        overdue: read(info, "CaseOverdue").unwrap_or(false),
        outcome: read(info, "CaseOutcome"),
        open: info.status() == WorkflowExecutionStatus::Running,
        started_at: info.start_time.as_ref().and_then(|time| Timestamp::new(time.seconds, time.nanos).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_become_a_query() {
        let cases = format!("{ACCEPTED} AND CaseKind IS NOT NULL");
        assert_eq!(Filters::default().query(), cases);
        let filters = Filters {
            kinds: vec![CaseKind::RefundRequest, CaseKind::Dispute],
            contract: Some(Id::new("c-1").unwrap()),
            stage: Some(Stage::InMediation),
            waiting_on: Some(Role::Mediator),
            overdue: true,
            open: Some(true),
            parties: Some(vec![Id::new("cl-1").unwrap(), Id::new("ag-1").unwrap()]),
            or_contracts: vec![Id::new("c-9").unwrap()],
            or_kind: Some(CaseKind::Dispute),
            limit: None,
        };
        let rest = "CaseKind IN ('refund_request', 'dispute') AND CaseContract = 'c-1' AND CaseStage = 'in_mediation' AND \
             CaseWaitingOn = 'mediator' AND CaseOverdue = true AND (CaseClient IN ('cl-1', 'ag-1') OR CaseFreelancer IN \
             ('cl-1', 'ag-1') OR CaseContract IN ('c-9') OR CaseKind = 'dispute') AND ExecutionStatus = 'Running'";
        assert_eq!(filters.query(), format!("{cases} AND {rest}"));
    }
}
