//! The answer if something cannot be done: a problem document (RFC 9457) that says what, why, and what to do now.
//!
//! The refusals of the wire contract keep their names as `error`. Every other problem has a name of the same kind.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use recourse_client::ClientError;
use recourse_database::DatabaseError;
use recourse_domain::{
    command::{CommandKind, RefusalKind},
    outcome::{Outcome, ResultKind},
    rule::Rule,
};
use recourse_ledger::LedgerError;
use recourse_notifications::notices::NoticeError;
use schemars::JsonSchema;
use serde::Serialize;

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What happened, and why.
    pub detail: String,
    /// The name of the problem for programs: `NotAllowed`, `TooLate`, `Invalid`, `AlreadyAnswered` for a refused command.
    pub error: &'static str,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The rule that refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The case that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// The commands that the sender can give now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Vec<CommandKind>>,
    /// After how many seconds to try again.
    #[serde(skip)]
    pub retry_after: Option<u32>,
    /// Whether a case has decided this.
    #[serde(skip)]
    pub is_decided: bool,
}

impl Problem {
    /// A problem of this kind, with its name and its text.
    pub fn new(status: StatusCode, error: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:recourse:problem:{error}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            error,
            hint: None,
            rule: None,
            case: None,
            allowed: None,
            retry_after: None,
            is_decided: false,
        }
    }

    /// The request cannot be read.
    pub fn unreadable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Unreadable", "The request cannot be read", detail)
    }

    /// The request can be read, but a value in it is not possible.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", "A field cannot be used", detail)
    }

    /// Nobody is signed in.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::UNAUTHORIZED, "Unauthenticated", "Who you are is not known", detail);
        problem.hint("send `Authorization: Bearer` with a valid token")
    }

    /// The sender may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "NotAllowed", "You may not do this", detail)
    }

    /// It does not exist, or the sender may not see it.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "There is no such thing", what)
    }

    /// A part that must be there is not available.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        let problem =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", "A part of the service is away", detail);
        Self { retry_after: Some(5), ..problem.hint("try again in a moment; nothing is lost") }
    }

    /// A mistake of this program. The log has the cause; the answer does not.
    pub fn unexpected(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(
            status,
            "Unexpected",
            "Something went wrong here",
            "the request was not carried out; see the server's log",
        )
    }

    /// Something else exists already.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", "Something else is there already", detail)
    }

    /// A start that failed: the payment provider declined it, a rule refused it, or it conflicts with an earlier one. The case,
    /// if there is one, records the refusal.
    pub fn refused_start(outcome: &Outcome, case: Option<&str>) -> Self {
        let reason = outcome.message.clone().unwrap_or_else(|| outcome.result.name().to_owned());
        let problem = match (outcome.result, outcome.rule) {
            (ResultKind::Declined, _) => {
                let title = "The payment provider declined the charge";
                Self::new(StatusCode::PAYMENT_REQUIRED, "Declined", title, reason)
                    .hint("nothing was charged; try again with another deposit id, or another billing method")
            }
            (_, Rule::L2 | Rule::E1) => {
                Self::conflict(reason).hint("nothing was done; look at what is there under this id, or use another id")
            }
            _ => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Refused", "A rule forbids this", reason)
                .hint("nothing was done; change what the rule forbids, and try again"),
        };
        Self { rule: Some(outcome.rule.to_string()), case: case.map(ToOwned::to_owned), ..problem }
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// With the commands that the sender can give now.
    #[must_use]
    pub fn allowed(self, allowed: Vec<CommandKind>) -> Self {
        Self { allowed: Some(allowed), ..self }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether the same request may soon get another answer.
    pub const fn is_passing(&self) -> bool {
        self.status >= 500 || self.status == 429
    }

    /// Whether Recourse rejected the request before it asked anything outside to act: the request cannot be read, its object
    /// does not exist, or nobody with the sender's duties may do it. If the sender repeats it, Recourse just judges it again. A
    /// refusal by a case or a rule does not count: that was decided.
    pub fn did_nothing(&self) -> bool {
        match self.status {
            400 | 404 | 405 | 413 | 415 => true,
            403 | 422 => self.rule.is_none() && !self.is_decided,
            _ => false,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        let detail = error.to_string();
        match &error {
            ClientError::Refused { name, message, .. } => {
                let (status, error, title) = match name.0 {
                    RefusalKind::NotAllowed => {
                        (StatusCode::FORBIDDEN, "NotAllowed", "This command cannot be given now by this sender")
                    }
                    RefusalKind::TooLate => (StatusCode::CONFLICT, "TooLate", "The command came too late"),
                    RefusalKind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid", "The command breaks a rule"),
                    RefusalKind::AlreadyAnswered => {
                        (StatusCode::CONFLICT, "AlreadyAnswered", "This was answered before, and the answer is final")
                    }
                };
                Self { rule: rule_in(message), is_decided: true, ..Self::new(status, error, title, message.clone()) }
            }
            ClientError::NotFound { .. } | ClientError::NoCaseId { .. } => Self::not_found(detail),
            ClientError::InvalidPage { .. } => Self::unreadable(detail),
            ClientError::Stopped { .. } => {
                Self::new(StatusCode::CONFLICT, "Stopped", "The case was stopped by an operator", detail)
            }
            ClientError::NoTimeSkipping { .. } => {
                Self::new(StatusCode::CONFLICT, "NoTimeSkipping", "The server does not let clocks be advanced", detail)
            }
            ClientError::Unexpected { .. } => Self::unexpected(&detail),
            _ => {
                tracing::warn!(%error, "a part of the service is away");
                Self::unavailable(detail)
            }
        }
    }
}

/// The rule that a refusal names in its message.
fn rule_in(message: &str) -> Option<String> {
    let (_, after) = message.rsplit_once("(rule ")?;
    let (rule, _) = after.split_once(')')?;
    Some(rule.to_owned())
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        tracing::error!(%error, "the ledger cannot be read");
        Self::unavailable("the ledger cannot be read now")
    }
}

impl From<NoticeError> for Problem {
    fn from(error: NoticeError) -> Self {
        tracing::error!(%error, "the notices cannot be read");
        Self::unavailable("the notices cannot be read now")
    }
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        tracing::error!(%error, "the database cannot be used");
        Self::unavailable("the database cannot be used now")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_the_refusals_rule() {
        let message = "the claim is more than what is held (rule R5); the freelancer can now: approve, dispute";
        assert_eq!(rule_in(message).as_deref(), Some("R5"));
        assert_eq!(rule_in("nothing of the kind"), None);
        let error = ClientError::NotFound { case: "dispute:c-1".into() };
        assert_eq!(Problem::from(error).status(), StatusCode::NOT_FOUND);
    }
}
