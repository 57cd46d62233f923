//! Follows a case by its history: the server answers when something has happened.

use temporalio_client::tonic::{Code, IntoRequest as _};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, enums::v1::HistoryEventFilterType,
    workflowservice::v1::GetWorkflowExecutionHistoryRequest,
};

use super::{Client, ClientError};

/// The changes of a case from now on.
#[derive(Debug)]
pub struct Changes {
    client: Client,
    case: String,
    place: WorkflowExecution,
    page: Vec<u8>,
}

/// A change of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Whether nothing can happen any more: its workflow has ended, and no other run followed.
    pub is_last: bool,
}

impl Client {
    /// The changes of a case from now on.
    pub fn changes(&self, case: &str) -> Changes {
        Changes { client: self.clone(), case: case.to_owned(), place: WorkflowExecution::default(), page: Vec::new() }
    }
}

impl Changes {
    /// Waits until something has happened, or for as long as the server holds a question (about 20 s).
    ///
    /// The first call returns at once with everything so far. After the last change each call returns at once: stop asking.
    ///
    /// # Errors
    /// If the server does not answer; [`ClientError::NotFound`] if there is no such case.
    pub async fn next(&mut self) -> Result<Change, ClientError> {
        if self.page.is_empty() {
            self.place = self.client.find(&self.case).await?.into();
        }
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: self.client.namespace().to_owned(),
            execution: Some(self.place.clone()),
            maximum_page_size: 0,
            next_page_token: std::mem::take(&mut self.page),
            wait_new_event: true,
            history_event_filter_type: HistoryEventFilterType::AllEvent.into(),
            skip_archival: true,
        };
        match self.client.service().get_workflow_execution_history(request.into_request()).await {
            Ok(answer) => {
                // Without a page token the run is over. The next question is about the run that followed, if one did.
                self.page = answer.into_inner().next_page_token;
                let is_last = self.page.is_empty() && !self.client.row(&self.case).await?.0.open;
                Ok(Change { is_last })
            }
            Err(status) if status.code() == Code::NotFound => Err(ClientError::NotFound { case: self.case.clone() }),
            Err(status) => Err(self.client.server_error(&status)),
        }
    }
}
