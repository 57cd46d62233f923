//! Cases: lists, statuses, commands, and their changes as they happen.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use recourse_client::{CaseRow, CaseStatus, Filters};
use recourse_domain::{
    command::CommandKind,
    ids::{CaseKind, Id},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Front, Problems,
    acted::{Acted, TargetCase},
    commands::Said,
    extract::{Caller, Of, QueryParams, Write, bearer},
    identity::{Duty, Identity},
    lists::{Page, limited},
    once::Reply,
    openapi::{InCase, Keyed, Schemas},
    problem::Problem,
};

/// Which cases to list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CaseFilter {
    /// Only of this kind: `refund_request`, `dispute`, `milestone_review`, `payment_refund`, `escrow_deposit`.
    kind: Option<String>,
    /// Only of this contract. Without it, of all contracts. A party gets only their own cases.
    contract: Option<String>,
    /// Only in this stage, by its name in a status.
    stage: Option<String>,
    /// Only those that wait for this role.
    waiting_on: Option<String>,
    /// Only those that missed a target.
    overdue: Option<bool>,
    /// Only open ones, or only closed ones.
    open: Option<bool>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

impl CaseFilter {
    async fn filters(&self, front: &Front, who: &Identity) -> Result<Filters, Problem> {
        let id = |name: &str, text: &Option<String>| {
            let read = text.as_deref().map(Id::new).transpose();
            read.map_err(|_| Problem::unreadable(format!("{name}: that is no id")))
        };
        let filters = Filters {
            kinds: read_name("kind", self.kind.as_deref())?.map(|kind| vec![kind]).unwrap_or_default(),
            contract: id("contract", &self.contract)?,
            stage: read_name("stage", self.stage.as_deref())?,
            waiting_on: read_name("waiting_on", self.waiting_on.as_deref())?,
            overdue: self.overdue.unwrap_or(false),
            open: self.open,
            limit: Some(limited(self.limit)),
            ..Filters::default()
        };
        seen_by(front, who, filters).await
    }
}

/// Narrows `filters` to the cases that this person sees: all cases if their duty needs that, otherwise their own, and all
/// disputes if they arbitrate. A list shows no case that they cannot read by itself.
///
/// # Errors
/// If the ledger cannot be read.
pub async fn seen_by(front: &Front, who: &Identity, filters: Filters) -> Result<Filters, Problem> {
    if [Duty::Service, Duty::Mediator, Duty::Operator].into_iter().any(|duty| who.is(duty)) {
        return Ok(filters);
    }
    let parties = Some(who.parties.iter().cloned().collect());
    let or_kind = who.is(Duty::Arbitrator).then_some(CaseKind::Dispute);
    Ok(Filters { parties, or_contracts: front.contracts_of_agencies(who).await?, or_kind, ..filters })
}

fn read_name<T: serde::de::DeserializeOwned>(field: &str, text: Option<&str>) -> Result<Option<T>, Problem> {
    let read = text.map(|text| serde_json::from_value(Value::String(text.to_owned()))).transpose();
    read.map_err(|_| Problem::unreadable(format!("{field}: there is no such {field}")))
}

/// A server-sent event of a case.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(dead_code, reason = "only described: an event is written as text")]
pub struct StatusEvent {
    /// `status`.
    event: String,
    /// The status as JSON.
    data: String,
}

/// A command that no worker has answered yet.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SentCommand {
    /// The case.
    case: String,
    /// How Recourse sent it: as a signal, which the server keeps until a worker runs. Its receipt time decides whether it is in
    /// time.
    sent_as: &'static str,
    /// Where to read the result.
    status: String,
}

/// The path of a case.
pub fn path_of(case: &str) -> String {
    format!("/v1/cases/{}", segment(case))
}

/// A case's id as a part of a path.
pub fn segment(case: &str) -> String {
    case.replace('%', "%25").replace('/', "%2F").replace('#', "%23")
}

/// Its operations.
pub fn routes() -> OpenApiRouter<Front> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(command)).routes(routes!(events))
}

/// Their schemas.
pub fn schemas(schemas: &mut Schemas) {
    schemas.add::<recourse_domain::messages::Status>();
    schemas.add::<CaseStatus>();
    schemas.add::<SentCommand>();
    schemas.add::<StatusEvent>();
    schemas.add::<CaseRow>();
    schemas.page::<CaseRow>("CaseList");
}

/// Lists cases that you may see, newest first.
#[utoipa::path(
    get, path = "/v1/cases", tag = "cases", params(CaseFilter),
    responses((status = 200, description = "A page of them.", body = ref("#/components/schemas/CaseList")), Problems)
)]
pub async fn list(
    State(front): State<Front>,
    Caller(who): Caller,
    QueryParams(asked): QueryParams<CaseFilter>,
) -> Result<Response, Problem> {
    let page = front.client().list(&asked.filters(&front, &who).await?, asked.after.as_deref()).await?;
    let page: Page<CaseRow> = Page { items: page.cases, next: page.next };
    Ok(Json(page).into_response())
}

/// Shows a case: its stage, whose turn it is, by when, what silence does, who can do what, and what is known of its money.
///
/// `outcome` says what was decided. `money` says of each movement whether it is ordered, on its way, arrived or failed, and how
/// often Recourse tried it (L9). Only operators see why a try failed.
#[utoipa::path(
    get, path = "/v1/cases/{case}", tag = "cases",
    params(InCase),
    responses((status = 200, description = "Its status, and what is known of its money.", body = ref("#/components/schemas/CaseStatus")), Problems)
)]
pub async fn show(State(front): State<Front>, Caller(who): Caller, Of(case): Of<String>) -> Result<Response, Problem> {
    let (_, status) = front.status(&who, &case).await?;
    let money = front.money(&who, &case, &status).await?;
    Ok(Json(CaseStatus { status, money }).into_response())
}

/// Gives a case a command, and answers with the status after it.
///
/// Recourse stamps the receipt time when the command arrives. If no worker answers within some seconds, the server keeps the
/// command as a signal, and the answer is `202`.
#[utoipa::path(
    post, path = "/v1/cases/{case}/commands/{command}", tag = "cases",
    params(InCase,
           ("command" = String, Path, description = "The command's name in the wire contract."),
           Keyed),
    request_body(content = ref("#/components/schemas/Command")),
    responses((status = 200, description = "It was taken.", body = ref("#/components/schemas/CaseStatus")),
              (status = 202, description = "It is with the server; no worker has answered yet.", body = ref("#/components/schemas/SentCommand")),
              Problems)
)]
pub async fn command(
    State(front): State<Front>,
    Of((case, command_kind)): Of<(String, String)>,
    write: Write,
) -> Response {
    let work = async |looked: Result<TargetCase, Problem>| {
        let command_kind =
            CommandKind::named(&command_kind).ok_or_else(|| Problem::not_found("there is no such command"))?;
        let Said { role, fields } = Said::read(command_kind, write.body())?;
        match front.act_on(&write.who, looked, command_kind, role, fields, &write.key).await? {
            Acted::Taken(status) => {
                let money = front.money_if_known(&write.who, &case, &status).await;
                Reply::new(StatusCode::OK, &CaseStatus { status: *status, money })
            }
            Acted::Sent => {
                let status = path_of(&case);
                let sent = SentCommand { case: case.clone(), sent_as: "signal", status: status.clone() };
                Ok(Reply::new(StatusCode::ACCEPTED, &sent)?.at(status))
            }
        }
    };
    write.once_after(&front, front.look(&write.who, &case), work).await
}

/// The status of a case now and after every change, as server-sent events of the type `status`.
///
/// The connection ends when the case is over, and when the token expires. After a break just connect again: the first event is
/// the present status. Nobody can have more than 20 connections at once.
#[utoipa::path(
    get, path = "/v1/cases/{case}/events", tag = "cases",
    params(InCase),
    responses((status = 200, description = "Events, each a status as JSON.", content_type = "text/event-stream", body = ref("#/components/schemas/StatusEvent")), Problems)
)]
pub async fn events(
    State(front): State<Front>,
    Caller(who): Caller,
    Of(case): Of<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let seen = front.case(&who, &case).await?;
    if seen.kind == CaseKind::EscrowDeposit {
        return Err(Problem::invalid("a deposit has no status; see the contract's ledger"));
    }
    front.live(bearer(&headers)?, &case, |status| serde_json::to_string(status).unwrap_or_default()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_id_is_one_path_segment() {
        let path = path_of("payment-refund:dispute:c-1#2/release");
        assert_eq!(path, "/v1/cases/payment-refund:dispute:c-1%232%2Frelease");
    }
}
