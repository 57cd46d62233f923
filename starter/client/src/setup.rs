//! Registers the search attributes, by which lists filter, at a server.

use std::time::{Duration, Instant};

use recourse_workflows::attributes;
use temporalio_client::{
    grpc::OperatorService as _,
    tonic::{Code, IntoRequest as _, Status as RpcStatus},
};
use temporalio_common::protos::temporal::api::{
    enums::v1::IndexedValueType,
    operatorservice::v1::{AddSearchAttributesRequest, ListSearchAttributesRequest},
};

use super::{Client, ClientError, Filters};

/// How long all parts of a server may take to know a new search attribute.
const USABLE_TIMEOUT: Duration = Duration::from_secs(90);

impl Client {
    /// Registers the search attributes that the server does not know yet, and waits until they work.
    ///
    /// Returns the names of the missing ones. Safe to repeat.
    pub async fn setup_search_attributes(&self) -> Result<Vec<&'static str>, ClientError> {
        let missing = self.missing_search_attributes().await?;
        if !missing.is_empty() {
            let wanted = attributes::ALL.iter().filter(|(name, _)| missing.contains(name));
            let search_attributes = wanted.map(|(name, kind)| ((*name).to_owned(), value_type(kind) as i32)).collect();
            let request = AddSearchAttributesRequest { search_attributes, namespace: self.namespace().to_owned() };
            let mut operator = self.temporal.connection().clone();
            match operator.add_search_attributes(request.into_request()).await {
                Ok(_) => {}
                // Another program was faster.
                Err(status) if status.code() == Code::AlreadyExists => {}
                Err(status) => return Err(self.server_error(&status)),
            }
        }
        let started = Instant::now();
        loop {
            let listed = self.list(&Filters { limit: Some(1), ..Filters::default() }, None).await;
            match listed {
                Err(error) if started.elapsed() > USABLE_TIMEOUT => return Err(error),
                Err(ClientError::SearchAttributesMissing { .. } | ClientError::Unexpected { .. }) => {
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                Err(error) => return Err(error),
                Ok(_) => return Ok(missing),
            }
        }
    }

    /// The search attributes of cases that the server does not know.
    pub async fn missing_search_attributes(&self) -> Result<Vec<&'static str>, ClientError> {
        let request = ListSearchAttributesRequest { namespace: self.namespace().to_owned() };
        let listed = self.temporal.connection().clone().list_search_attributes(request.into_request()).await;
        let known = listed.map_err(|status| self.server_error(&status))?.into_inner().custom_attributes;
        Ok(attributes::ALL.iter().map(|(name, _)| *name).filter(|name| !known.contains_key(*name)).collect())
    }

    /// The error of a request that the server calls invalid: most likely nobody has set the server up.
    pub(super) async fn or_missing_attributes(&self, case: &str, status: &RpcStatus) -> ClientError {
        match self.missing_search_attributes().await {
            Ok(names) if !names.is_empty() => ClientError::SearchAttributesMissing { names },
            _ => self.rpc_error(case, status),
        }
    }

    /// The error of a request that is about the server as a whole.
    pub(super) fn server_error(&self, status: &RpcStatus) -> ClientError {
        match status.code() {
            Code::NotFound => ClientError::Configuration { message: status.message().to_owned() },
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
                ClientError::Unreachable { address: self.address.clone(), reason: status.message().to_owned() }
            }
            _ => ClientError::Unexpected { message: status.message().to_owned() },
        }
    }
}

fn value_type(name: &str) -> IndexedValueType {
    match name {
        "Keyword" => IndexedValueType::Keyword,
        "KeywordList" => IndexedValueType::KeywordList,
        "Datetime" => IndexedValueType::Datetime,
        "Int" => IndexedValueType::Int,
        "Bool" => IndexedValueType::Bool,
        _ => IndexedValueType::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_search_attribute_has_a_type_that_the_server_knows() {
        for (name, kind) in attributes::ALL {
            assert_ne!(value_type(kind), IndexedValueType::Unspecified, "{name}");
        }
    }
}
