//! Reads the evidence at the end, from the server, the ledger, the bank and the mail server.

use std::time::Duration;

use jiff::Timestamp;
use recourse_domain::{ids::CaseKind, messages::Status, outcome::Outcome};
use recourse_notifications::notices::NoticeFilter;
use serde::de::DeserializeOwned;
use temporalio_client::{
    UntypedQuery, WorkflowExecutionInfo, WorkflowGetResultOptions, WorkflowQueryOptions, tonic::IntoRequest as _,
};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{
        workflow::v1::WorkflowExecutionInfo as Listed, workflowservice::v1::ListWorkflowExecutionsRequest,
    },
};

use super::{
    diary::Pages,
    supervisor::Parts,
    verdict::{Evidence, Run},
};

/// How long one answer may take when nothing is disturbed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How many cases are open in the server's own list.
pub async fn open_cases(parts: &Parts) -> usize {
    let running = list(parts, "ExecutionStatus = 'Running'").await;
    running.map_or(usize::MAX, |running| running.len())
}

/// Every case with its last status. The workers still run.
pub async fn runs(parts: &Parts) -> Vec<Run> {
    let mut runs = Vec::new();
    for listed in list(parts, "").await.unwrap() {
        runs.push(run(parts, &listed).await);
    }
    runs
}

/// Everything else. The workers have stopped.
pub async fn evidence(parts: &Parts, pages: &Pages, runs: Vec<Run>) -> Evidence {
    let mut histories = Vec::new();
    for contract in &pages.contracts {
        histories.extend(parts.ledger.history(contract, Timestamp::now()).await.unwrap());
    }
    Evidence {
        runs,
        histories,
        check: parts.ledger.check().await.unwrap(),
        movements: parts.bank.movements().await.unwrap(),
        notices: parts.book.list(&NoticeFilter::default()).await.unwrap(),
        emails: parts.book.emails().await.unwrap(),
        inbox: parts.inbox().await,
    }
}

async fn list(parts: &Parts, query: &str) -> Result<Vec<Listed>, String> {
    let mut service = parts.straight.temporal().connection().workflow_service();
    let (mut listed, mut next_page_token) = (Vec::new(), Vec::new());
    loop {
        let request = ListWorkflowExecutionsRequest {
            namespace: parts.straight.namespace().to_owned(),
            page_size: 500,
            next_page_token,
            query: query.to_owned(),
        };
        let page = service.list_workflow_executions(request.into_request()).await;
        let page = page.map_err(|status| status.to_string())?.into_inner();
        listed.extend(page.executions);
        if page.next_page_token.is_empty() {
            return Ok(listed);
        }
        next_page_token = page.next_page_token;
    }
}

async fn run(parts: &Parts, listed: &Listed) -> Run {
    let execution = listed.execution.clone().unwrap_or_default();
    let client = parts.straight.temporal().clone();
    let handle = WorkflowExecutionInfo::builder()
        .namespace(parts.straight.namespace())
        .workflow_id(&execution.workflow_id)
        .run_id(&execution.run_id)
        .build()
        .bind_untyped(client);
    let attribute = |name: &str| -> Option<String> {
        serde_json::from_slice(&listed.search_attributes.as_ref()?.indexed_fields.get(name)?.data).ok()
    };
    let kind: CaseKind = attribute("CaseKind").and_then(|kind| serde_json::from_value(kind.into()).ok()).unwrap();
    let result = tokio::time::timeout(ANSWER_TIMEOUT, handle.get_result(WorkflowGetResultOptions::default())).await;
    let outcome = match result {
        Ok(Ok(raw)) => read::<Outcome>(&raw),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it still runs".to_owned()),
    };
    let status = if kind == CaseKind::EscrowDeposit {
        None
    } else {
        let query =
            handle.query(UntypedQuery::new("status"), RawValue::new(Vec::new()), WorkflowQueryOptions::default());
        match tokio::time::timeout(ANSWER_TIMEOUT, query).await {
            Ok(Ok(raw)) => read::<Status>(&raw).ok(),
            _ => None,
        }
    };
    let outcome = match (&status, kind) {
        (None, kind) if kind != CaseKind::EscrowDeposit => Err(format!("it has no status; {outcome:?}")),
        _ => outcome,
    };
    Run {
        case: execution.workflow_id,
        kind,
        contract: attribute("CaseContract").unwrap_or_default(),
        parent: listed.parent_execution.as_ref().map(|parent| parent.workflow_id.clone()),
        outcome,
        status,
    }
}

fn read<T: DeserializeOwned>(raw: &RawValue) -> Result<T, String> {
    let json = raw.payloads.first().map(|payload| payload.data.as_slice()).unwrap_or_default();
    serde_json::from_slice(json).map_err(|error| error.to_string())
}
