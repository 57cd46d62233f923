//! Refunds: those on their way back to clients, and what operators do about those that did not arrive (R8).

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use recourse_domain::{
    ids::Id,
    party::{Actor, Role},
};
use recourse_ledger::TrackedRefund;
use recourse_refunds::{Only, RefundDesk, RefundError, RefundFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Front, Problems,
    extract::{Caller, Of, QueryParams, Write},
    identity::{Duty, Identity},
    lists::{Limit, Page, limited},
    once::Reply,
    openapi::{InRefund, Keyed, Schemas},
    problem::Problem,
    webhooks::Nothing,
};

/// Which refunds to list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RefundQuery {
    /// Only of this contract.
    contract: Option<String>,
    /// Only refunds that are on their way, and those that an operator has to handle.
    open: Option<bool>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// Pay a refund that did not arrive to another account of the client.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OtherPayment {
    /// The account at the payment provider that receives the money instead.
    to: Id,
    /// The payment's reference outside, such as the ticket in which the client agreed.
    reference: String,
}

/// State that an overdue refund has failed.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct StatedFailure {
    /// Where the payment provider's statement is, such as a letter or a ticket.
    reference: String,
}

/// What an operator does about a refund that did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Send it to its billing method again.
    Retry,
    /// Pay it to another account.
    Pay {
        /// The account.
        to: Id,
        /// The operator's own reference.
        reference: String,
    },
    /// State that it is overdue and that the provider says it has failed.
    Failed {
        /// Where the provider's statement is.
        reference: String,
    },
}

/// Its operations.
pub fn routes() -> OpenApiRouter<Front> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(retry)).routes(routes!(pay)).routes(routes!(failed))
}

/// Their schemas.
pub fn schemas(schemas: &mut Schemas) {
    schemas.add::<TrackedRefund>();
    schemas.add::<OtherPayment>();
    schemas.add::<StatedFailure>();
    schemas.page::<TrackedRefund>("RefundPage");
}

/// Lists refunds, oldest first. Only operators may do this.
#[utoipa::path(
    get, path = "/v1/refunds", tag = "refunds", params(RefundQuery),
    responses((status = 200, description = "A page of them.", body = ref("#/components/schemas/RefundPage")), Problems)
)]
pub async fn list(
    State(front): State<Front>,
    Caller(who): Caller,
    QueryParams(asked): QueryParams<RefundQuery>,
) -> Result<Response, Problem> {
    let contract = asked.contract.as_deref().map(Id::new).transpose();
    let contract = contract.map_err(|_| Problem::unreadable("contract: that is no id"))?;
    let only = if asked.open.unwrap_or(false) { Only::Open } else { Only::All };
    let page = front.refunds(&who, contract, only, &Limit::new(limited(asked.limit), asked.after)).await?;
    Ok(Json(page).into_response())
}

/// Sends a refund that failed or is overdue to its billing method again, and answers with the new one. Only operators may do
/// this.
///
/// The money leaves suspense. Recourse refuses this while the payment provider may still complete an overdue refund.
#[utoipa::path(
    post, path = "/v1/refunds/{refund}/retry", tag = "refunds", params(InRefund, Keyed),
    request_body(content = ref("#/components/schemas/Nothing")),
    responses((status = 201, description = "It is sent.", body = ref("#/components/schemas/TrackedRefund")), Problems)
)]
pub async fn retry(State(front): State<Front>, Of(refund): Of<String>, write: Write) -> Response {
    let work = async {
        let Nothing {} = write.json()?;
        Reply::new(StatusCode::CREATED, &front.remedy(&write.who, &refund, Remedy::Retry).await?)
    };
    write.once(&front, work).await
}

/// Pays a refund that failed or is overdue to another account of the client. Only operators may do this.
#[utoipa::path(
    post, path = "/v1/refunds/{refund}/pay", tag = "refunds", params(InRefund, Keyed),
    request_body(content = ref("#/components/schemas/OtherPayment")),
    responses((status = 200, description = "It is paid.", body = ref("#/components/schemas/TrackedRefund")), Problems)
)]
pub async fn pay(State(front): State<Front>, Of(refund): Of<String>, write: Write) -> Response {
    let work = async {
        let OtherPayment { to, reference } = write.json()?;
        Reply::new(StatusCode::OK, &front.remedy(&write.who, &refund, Remedy::Pay { to, reference }).await?)
    };
    write.once(&front, work).await
}

/// States that an overdue refund has failed, as the payment provider said by other means. Only operators may do this.
///
/// No money moves. An operator can then send the refund again or pay it in another way.
#[utoipa::path(
    post, path = "/v1/refunds/{refund}/failed", tag = "refunds", params(InRefund, Keyed),
    request_body(content = ref("#/components/schemas/StatedFailure")),
    responses((status = 200, description = "It has failed.", body = ref("#/components/schemas/TrackedRefund")), Problems)
)]
pub async fn failed(State(front): State<Front>, Of(refund): Of<String>, write: Write) -> Response {
    let work = async {
        let StatedFailure { reference } = write.json()?;
        Reply::new(StatusCode::OK, &front.remedy(&write.who, &refund, Remedy::Failed { reference }).await?)
    };
    write.once(&front, work).await
}

impl Front {
    /// A page of refunds in these states, or a contract's, oldest first, for operators.
    ///
    /// # Errors
    /// 403 for everybody else, 400 if the page comes after no refund.
    pub async fn refunds(
        &self,
        who: &Identity,
        contract: Option<Id>,
        only: Only,
        page: &Limit,
    ) -> Result<Page<TrackedRefund>, Problem> {
        let (desk, now) = (self.desk_of(who)?, Timestamp::now());
        if let Some(after) = page.after() {
            desk.refund(after, now).await.map_err(|error| match error {
                RefundError::Unknown { .. } => Problem::unreadable("after: that is no refund of this list"),
                other => other.into(),
            })?;
        }
        let after = page.after().map(str::to_owned);
        let filter = RefundFilter { contract, only, after, limit: Some(page.limit() + 1) };
        let mut items = desk.list(&filter, now).await?;
        let next = Page::cut(&mut items, page.limit(), |last| last.id.clone());
        Ok(Page { items, next })
    }

    /// A refund, for operators.
    ///
    /// # Errors
    /// 403 for everybody else, 404 if there is none.
    pub async fn refund(&self, who: &Identity, id: &str) -> Result<TrackedRefund, Problem> {
        Ok(self.desk_of(who)?.refund(id, Timestamp::now()).await?)
    }

    /// Does something about a refund that did not arrive, for an operator, and answers with the refund's new state.
    ///
    /// # Errors
    /// 403 for everybody else, and for a person who is on a side of the contract or acts for it (E14); 409 if the refund's
    /// state does not allow it, or if the payment provider refuses.
    pub async fn remedy(&self, who: &Identity, id: &str, remedy: Remedy) -> Result<TrackedRefund, Problem> {
        let desk = self.desk_of(who)?;
        // The desk gets only the operator's id. It cannot know for whom else the operator acts.
        let refund = self.refund(who, id).await?;
        let contract = self.ledger().contract(&refund.contract).await?;
        if contract.is_some_and(|contract| who.is_party_of(&contract)) {
            return Err(RefundError::OwnMoney { by: who.subject.clone(), contract: refund.contract }.into());
        }
        let (by, now) = (Actor { party: Role::Operator, id: who.subject.clone() }, Timestamp::now());
        Ok(match remedy {
            Remedy::Retry => desk.retry(id, &by, now).await?,
            Remedy::Pay { to, reference } => desk.pay_otherwise(id, to, &by, &reference, now).await?,
            Remedy::Failed { reference } => desk.give_up(id, &by, &reference, now).await?,
        })
    }

    /// The desk that follows refunds. Only operators may use it.
    fn desk_of(&self, who: &Identity) -> Result<&RefundDesk, Problem> {
        if who.is(Duty::Operator) {
            return Ok(&self.parts().refunds);
        }
        Err(Problem { rule: Some("R8".to_owned()), ..Problem::forbidden("only operators see to refunds") })
    }
}

impl From<RefundError> for Problem {
    fn from(error: RefundError) -> Self {
        let detail = error.to_string();
        let hint = error.hint();
        let problem = match error {
            RefundError::NotAllowed { .. } => Self::forbidden(detail),
            RefundError::OwnMoney { .. } => {
                return Self { rule: Some("E14".to_owned()), ..Self::forbidden(detail).hint(hint) };
            }
            RefundError::Unknown { .. } => Self::not_found(detail),
            RefundError::NoReference { .. } => Self::invalid(detail),
            RefundError::Gateway(_) | RefundError::Ledger(_) | RefundError::Notices(_) => {
                tracing::error!(%error, "a refund cannot be seen to");
                return Self::unavailable("what becomes of the refund cannot be written down now");
            }
            _ => Self::new(StatusCode::CONFLICT, "Conflict", "The refund is not in this state", detail),
        };
        Self { rule: Some("R8".to_owned()), ..problem.hint(hint) }
    }
}
