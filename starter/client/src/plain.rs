//! Decrypts what the SDK does not decrypt by itself: the payloads in a description or a history.

use recourse_programs::temporal::KEYS_FILE;
use temporalio_common::{
    data_converters::{SerializationContextData, WorkflowSerializationContext},
    protos::temporal::api::{
        common::v1::Payload, failure::v1::Failure, workflowservice::v1::DescribeWorkflowExecutionResponse,
    },
};

use super::{Client, ClientError};

impl Client {
    /// A payload, decrypted.
    ///
    /// # Errors
    /// [`ClientError::Configuration`] if its key is not here.
    pub(super) async fn plain(&self, payload: Payload) -> Result<Payload, ClientError> {
        let context = SerializationContextData::Workflow(WorkflowSerializationContext::new());
        let decoded = self.temporal.options().data_converter.codec().decode(&context, vec![payload]).await;
        let decoded = decoded.map_err(|error| ClientError::Configuration { message: error.to_string() })?;
        Ok(decoded.into_iter().next().unwrap_or_default())
    }

    /// Decrypts the texts of activities' last failures and puts them where unencrypted failures have them.
    pub(super) async fn failures_in_plain(&self, described: &mut DescribeWorkflowExecutionResponse) {
        let failures = described.pending_activities.iter_mut().filter_map(|activity| activity.last_failure.as_mut());
        for failure in failures {
            self.failure_in_plain(failure).await;
        }
    }

    /// Decrypts the texts of a failure and of its causes and puts them where unencrypted failures have them.
    pub(super) async fn failure_in_plain(&self, failure: &mut Failure) {
        let mut next = Some(failure);
        while let Some(failure) = next {
            if let Some(words) = self.words(failure).await {
                failure.message = words;
            }
            next = failure.cause.as_deref_mut();
        }
    }

    async fn words(&self, failure: &Failure) -> Option<String> {
        let plain = self.plain(failure.encoded_attributes.clone()?).await.ok()?;
        let said: serde_json::Value = serde_json::from_slice(&plain.data).ok()?;
        said.get("message")?.as_str().map(str::to_owned)
    }
}

/// The error of a program without keys about a case whose payloads are encrypted.
pub(super) fn no_keys(case: &str) -> ClientError {
    ClientError::Configuration {
        message: format!("what {case} says is encrypted, and {KEYS_FILE} names no file with its key"),
    }
}
