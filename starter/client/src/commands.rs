//! Gives a case a command, as an update with an answer or as a signal without one.

use recourse_domain::{
    command::{CommandKind, RefusalKind},
    messages::Status,
};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use temporalio_client::{
    UntypedSignal, UntypedUpdate, WorkflowExecuteUpdateOptions, WorkflowSignalOptions, errors::WorkflowUpdateError,
};
use temporalio_common::data_converters::RawValue;

use super::{
    ANSWER_TIMEOUT, Client, ClientError, answering, check_command, hex,
    start::{json_payload, payload_of},
};

impl Client {
    /// Gives the case a command and returns the status after it.
    ///
    /// `body` is the command's JSON object with `by`, and with `key` to make it idempotent (L7). Unless `body` has an `at`,
    /// this stamps the receipt time (T2): the wall clock's, or the case's own if that was fast-forwarded.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason and what the sender can do now. Nothing has moved.
    pub async fn command(
        &self,
        case: &str,
        command_kind: CommandKind,
        mut body: Map<String, Value>,
    ) -> Result<Status, ClientError> {
        check_command(case, command_kind)?;
        if !body.contains_key("at") {
            let at = self.virtual_now(case).await?;
            body.insert("at".to_owned(), Value::String(at.to_string()));
        }
        let options = WorkflowExecuteUpdateOptions::builder()
            .maybe_update_id(update_id(command_kind, &body))
            .rpc_options(answering())
            .build();
        let input = RawValue::new(vec![json_payload(&body)?]);
        let handle = self.handle(case).await?;
        let update = handle.execute_update(UntypedUpdate::new(command_kind.name()), input, options);
        let Ok(answered) = tokio::time::timeout(ANSWER_TIMEOUT, update).await else {
            return Err(self.explained(ClientError::no_worker(case)).await);
        };
        match answered {
            Ok(status) => self.read_status(case, &status).await,
            Err(WorkflowUpdateError::NotFound(_)) => {
                // Either the case is over, or one of its runs has continued in a new run.
                self.describe(case).await?;
                Err(self.closed(case).await)
            }
            Err(error) => {
                let error = self.update_error(case, error).await;
                Err(self.explained(error).await)
            }
        }
    }

    /// Sends the case a signal with these bytes as its one payload, marked as JSON. There is no answer.
    pub async fn signal(&self, case: &str, name: &str, json: Vec<u8>) -> Result<(), ClientError> {
        let input = RawValue::new(vec![payload_of(json)]);
        let signal = UntypedSignal::new(name);
        let sent = self.handle(case).await?.signal(signal, input, WorkflowSignalOptions::default()).await;
        sent.map_err(|error| self.error(case, error))
    }

    /// The answer to a command for a case that is over.
    async fn closed(&self, case: &str) -> ClientError {
        let ended = self.result(case).await;
        let stopped_hint = ended.as_ref().err().and_then(ClientError::hint);
        let how = match ended {
            Ok(outcome) => format!("{} by rule {}", outcome.result.name().replace('_', " "), outcome.rule),
            Err(ClientError::Stopped { how, .. }) => format!("its workflow was {how}"),
            Err(other) => return other,
        };
        let hint = stopped_hint.unwrap_or_else(|| format!("see `recourse show {case}`"));
        ClientError::refused(RefusalKind::TooLate, format!("the case is closed: {how}"), Some(hint))
    }
}

/// The same command of the same sender with the same key is one update. Without a key each is its own.
fn update_id(command_kind: CommandKind, body: &Map<String, Value>) -> Option<String> {
    let key = body.get("key")?.as_str()?;
    let by = body.get("by")?;
    let sender = |field: &str| by.get(field).and_then(Value::as_str).unwrap_or_default();
    let scoped = serde_json::json!([sender("party"), sender("id"), command_kind.name(), key]).to_string();
    let hash = Sha256::digest(scoped.as_bytes());
    Some(format!("{command_kind}-{}", hex::encode(&hash[..16])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(party: &str, key: Option<&str>) -> Option<String> {
        let mut body = Map::new();
        body.insert("by".into(), serde_json::json!({"party": party, "id": "x-1"}));
        if let Some(key) = key {
            body.insert("key".into(), Value::from(key));
        }
        update_id(CommandKind::Accept, &body)
    }

    /// L7: a key makes a sender's command one command, and never collides with another sender's.
    #[test]
    fn update_ids_are_scoped_by_sender_and_key() {
        assert_eq!(id("client", Some("k")), id("client", Some("k")));
        assert_ne!(id("client", Some("k")), id("freelancer", Some("k")));
        assert_ne!(id("client", Some("k")), id("client", Some("l")));
        assert_eq!(id("client", None), None);
    }
}
