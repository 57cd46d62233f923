//! Refunds: what is on its way back to clients, and what operators do about what did not arrive (R8).

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

/// Which refunds.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RefundQuery {
    /// Only of this contract.
    contract: Option<String>,
    /// Only those that are on their way, and those that an operator has to see to.
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
    /// The account at the payment provider that is paid instead.
    to: Id,
    /// What the payment is known by outside, such as the ticket in which the client agreed.
    reference: String,
}

/// State that an overdue refund has failed.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct StatedFailure {
    /// Where the payment provider's word can be found, such as a letter or a ticket.
    reference: String,
}

/// What an operator does about a refund that did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// It is sent to its source once more.
    Retry,
    /// It is paid to another account.
    Pay {
        /// The account.
        to: Id,
        /// The operator's own reference.
        reference: String,
    },
    /// It is overdue, and has failed by the provider's word.
    Failed {
        /// Where that word can be found.
        reference: String,
    },
}

/// Its operations.
pub fn routes() -> OpenApiRouter<Front> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(retry)).routes(routes!(pay)).routes(routes!(failed))
}

/// What they speak of.
pub fn schemas(schemas: &mut Schemas) {
    schemas.add::<TrackedRefund>();
    schemas.add::<OtherPayment>();
    schemas.add::<StatedFailure>();
    schemas.page::<TrackedRefund>("RefundPage");
}

/// Lists refunds, oldest first. Only operators may.
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

/// Has a refund that failed or is overdue sent to its source once more, and answers with the new one. Only operators may.
///
/// It leaves suspense. While the payment provider may still complete an overdue one, it is refused.
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

/// Pays a refund that failed or is overdue to another account of the client. Only operators may.
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

/// States that an overdue refund has failed, as the payment provider said by other means. Only operators may.
///
/// Nothing moves; it can then be sent again or paid otherwise.
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

    /// Does something about a refund that did not arrive, for an operator, and says what has become of it.
    ///
    /// # Errors
    /// 403 for everybody else, and for whoever is on a side of the contract or acts for it (E14); 409 if it is not in a state for that,
    /// or if the payment provider will not.
    pub async fn remedy(&self, who: &Identity, id: &str, remedy: Remedy) -> Result<TrackedRefund, Problem> {
        let desk = self.desk_of(who)?;
        // The desk knows who does it, and not for whom else they act.
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

    /// The desk that follows refunds: suspense is the operators' business.
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
