//! Contracts: their deposits, submissions, end, disputes, and their money.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use recourse_client::{Money, Started};
use recourse_domain::{
    claim::{Claim, Grounds},
    deposit::Source,
    ids::{Id, PaymentId},
    messages::{
        DisputeStart, EscrowDepositStart, MilestoneReviewStart, PaymentRefundStart, RefundRequestStart, Status,
    },
    milestone::{Milestone, Submission},
    money::Amount,
    outcome::{Outcome, ResultKind},
    party::{Actor, Contract, Role},
    policy::Policy,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Front, Problems,
    acted::StartOutcome,
    extract::{Caller, Of, QueryParams, Write},
    identity::{Duty, Identity},
    lists::{Limit, Page},
    money::ContractLedger,
    once::Reply,
    openapi::{InContract, Keyed, Schemas},
    problem::Problem,
};

/// Charge a billing method and put the money in escrow (E2).
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NewDeposit {
    /// The deposit's id. The same id means the same deposit.
    deposit: Id,
    /// How much, in minor units.
    amount: Amount,
    /// The milestone that it is for; without one, the whole contract.
    milestone: Option<Id>,
    /// The billing method.
    source: Source,
    /// The contract. The first deposit must bring it. It fixes whose money this is.
    contract: Option<Contract>,
}

/// Submit a milestone for the first time (E3).
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NewSubmission {
    /// The milestone.
    milestone: Milestone,
    /// A note in the freelancer's words.
    note: String,
    /// The work, or proof of it.
    #[serde(default)]
    files: Vec<recourse_domain::evidence::Evidence>,
    /// The policy of the case; the default policy if absent.
    policy: Option<Policy>,
}

/// End the contract, and pay nothing or another amount (R1, R2).
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NewEnd {
    /// How much the client pays now, in minor units; 0 to pay nothing. The client asks for the rest back.
    pub pay_now: Amount,
    /// Why, in the client's words.
    pub reason: Option<String>,
    /// The policy of the case; only the platform may choose it.
    pub policy: Option<Policy>,
}

/// Dispute a milestone's money without another case before it (D1).
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NewDispute {
    /// What it is about.
    pub grounds: Grounds,
    /// The milestone.
    pub milestone: Option<Id>,
    /// What the freelancer claims.
    pub claim: Claim,
    /// Whether the freelancer says that they contacted the client and it did not help.
    pub contacted_client: Option<bool>,
    /// Who of the platform attests that the freelancer submitted the milestone, if the ledger does not know it; only the
    /// platform's backend may say so.
    pub attested_by: Option<Actor>,
    /// The policy of the case; only the platform may choose it.
    pub policy: Option<Policy>,
}

/// Ask for released money back (P1).
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NewPaymentRefund {
    /// The payment: the id of a release in the ledger.
    pub payment: PaymentId,
    /// How much is asked for, in minor units.
    pub amount: Amount,
    /// Why, in the client's words.
    #[serde(default)]
    pub message: String,
    /// The policy of the case; only the platform may choose it.
    pub policy: Option<Policy>,
}

/// A case that was started.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StartedCase {
    /// Its id.
    case: String,
    /// Whether the case already ran. Then this request has not changed it.
    already_running: bool,
    /// Its status, if a worker has already opened it.
    status: Option<Status>,
}

/// The result of a deposit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StartedDeposit {
    /// Its case.
    case: String,
    /// Its outcome, if it was already charged.
    outcome: Option<Outcome>,
    /// What is known of its money, if it was not charged yet (L9).
    #[serde(skip_serializing_if = "Option::is_none")]
    money: Option<Money>,
}

/// Its operations.
pub fn routes() -> OpenApiRouter<Front> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(ledger))
        .routes(routes!(deposit))
        .routes(routes!(submit))
        .routes(routes!(end))
        .routes(routes!(dispute))
        .routes(routes!(ask_back))
}

/// Their schemas.
pub fn schemas(schemas: &mut Schemas) {
    schemas.add::<Contract>();
    schemas.add::<ContractLedger>();
    schemas.add::<NewDeposit>();
    schemas.add::<NewSubmission>();
    schemas.add::<NewEnd>();
    schemas.add::<NewDispute>();
    schemas.add::<NewPaymentRefund>();
    schemas.add::<StartedCase>();
    schemas.add::<StartedDeposit>();
    schemas.page::<Contract>("ContractPage");
}

/// Lists your contracts that have a deposit, in the order of their ids.
#[utoipa::path(
    get, path = "/v1/contracts", tag = "contracts", params(Limit),
    responses((status = 200, description = "A page of them.", body = ref("#/components/schemas/ContractPage")), Problems)
)]
pub async fn list(
    State(front): State<Front>,
    Caller(who): Caller,
    QueryParams(page): QueryParams<Limit>,
) -> Result<Response, Problem> {
    let Page { items, next } = front.contracts(&who, &page).await?;
    let shown = |contract: Contract| {
        let roles = who.roles_in(&contract);
        who.shown(contract, &roles)
    };
    Ok(axum::Json(Page { items: items.into_iter().map(shown).collect(), next }).into_response())
}

/// Shows a contract.
#[utoipa::path(
    get, path = "/v1/contracts/{contract}", tag = "contracts",
    params(InContract),
    responses((status = 200, description = "The contract.", body = ref("#/components/schemas/Contract")), Problems)
)]
pub async fn show(State(front): State<Front>, Caller(who): Caller, Of(id): Of<Id>) -> Result<Response, Problem> {
    let (contract, roles) = front.contract(&who, &id).await?;
    Ok(axum::Json(who.shown(contract, &roles)).into_response())
}

/// Shows everything that happened to a contract's money, where it is now (R9), and what is known of each movement (L9).
#[utoipa::path(
    get, path = "/v1/contracts/{contract}/ledger", tag = "contracts",
    params(InContract),
    responses((status = 200, description = "Its history.", body = ref("#/components/schemas/ContractLedger")), Problems)
)]
pub async fn ledger(State(front): State<Front>, Caller(who): Caller, Of(id): Of<Id>) -> Result<Response, Problem> {
    front.contract(&who, &id).await?;
    let (history, money) = front.money_of_contract(&who, &id).await?;
    let history = history.ok_or_else(|| Problem::not_found(format!("no money of contract {id} has moved")))?;
    Ok(axum::Json(ContractLedger { history, money }).into_response())
}

/// Charges a billing method and puts the money in escrow. Only the platform's backend may.
#[utoipa::path(
    post, path = "/v1/contracts/{contract}/deposits", tag = "contracts",
    params(InContract, Keyed),
    request_body(content = ref("#/components/schemas/NewDeposit")),
    responses((status = 201, description = "Charged, or declined: see the outcome.", body = ref("#/components/schemas/StartedDeposit")),
              (status = 202, description = "Under way.", body = ref("#/components/schemas/StartedDeposit")), Problems)
)]
pub async fn deposit(State(front): State<Front>, Of(id): Of<Id>, write: Write) -> Response {
    let work = async {
        only_service(&write.who, "deposit")?;
        let NewDeposit { deposit, amount, milestone, source, contract } = write.json()?;
        let contract = match contract {
            Some(contract) if contract.id != id => {
                return Err(Problem::invalid(format!("contract.id: it is {}, and the path says {id}", contract.id)));
            }
            Some(contract) => contract,
            None => {
                let known = front.contract(&write.who, &id).await;
                known.map_err(|problem| problem.hint("a contract's first deposit names it: send `contract`"))?.0
            }
        };
        serving(&write.who, &contract, "deposits")?;
        let begun =
            Box::pin(front.start(&write.who, EscrowDepositStart { contract, deposit, amount, milestone, source }))
                .await?;
        let outcome = begun.outcome;
        if let Some(outcome) = outcome.as_ref().filter(|outcome| outcome.result != ResultKind::Deposited) {
            return Err(Problem::refused_start(outcome, Some(&begun.case)));
        }
        let status = if outcome.is_some() { StatusCode::CREATED } else { StatusCode::ACCEPTED };
        let location = format!("/v1/contracts/{id}/ledger");
        let money = match &outcome {
            Some(_) => None,
            None => Some(front.money_of_deposit(&write.who, &id, &begun.case).await?),
        };
        Ok(Reply::new(status, &StartedDeposit { case: begun.case, outcome, money })?.at(location))
    };
    // The answer to a deposit says everything that a start says, and what is known of its money.
    Box::pin(write.once(&front, work)).await
}

/// Submits a milestone for the first time. Only the platform's backend may: it knows the milestone's terms.
#[utoipa::path(
    post, path = "/v1/contracts/{contract}/submissions", tag = "contracts",
    params(InContract, Keyed),
    request_body(content = ref("#/components/schemas/NewSubmission")),
    responses((status = 201, description = "The review has begun.", body = ref("#/components/schemas/StartedCase")), Problems)
)]
pub async fn submit(State(front): State<Front>, Of(id): Of<Id>, write: Write) -> Response {
    let work = async {
        only_service(&write.who, "submit a milestone for the first time")?;
        let NewSubmission { milestone, note, files, policy } = write.json()?;
        let (contract, _) = front.contract(&write.who, &id).await?;
        serving(&write.who, &contract, "submits milestones for the first time")?;
        front.check_files(&id, Role::Freelancer, &files).await?;
        let names: Vec<String> = files.iter().map(|file| file.sha256.clone()).collect();
        let submission = Submission { note, files };
        let begun = front.start(&write.who, MilestoneReviewStart { contract, milestone, submission, policy }).await?;
        front.seal(&id, Role::Freelancer, &names, &begun.case).await;
        started(begun)
    };
    write.once(&front, work).await
}

/// Ends the contract: what is held and not paid now is asked back from the freelancer.
#[utoipa::path(
    post, path = "/v1/contracts/{contract}/end", tag = "contracts",
    params(InContract, Keyed),
    request_body(content = ref("#/components/schemas/NewEnd")),
    responses((status = 201, description = "The contract has ended.", body = ref("#/components/schemas/StartedCase")), Problems)
)]
pub async fn end(State(front): State<Front>, Of(id): Of<Id>, write: Write) -> Response {
    write.once(&front, async { started(front.end(&write.who, &id, write.json()?).await?) }).await
}

/// Files a dispute about a milestone's money that is in no other case.
#[utoipa::path(
    post, path = "/v1/contracts/{contract}/disputes", tag = "contracts",
    params(InContract, Keyed),
    request_body(content = ref("#/components/schemas/NewDispute")),
    responses((status = 201, description = "The dispute is filed.", body = ref("#/components/schemas/StartedCase")), Problems)
)]
pub async fn dispute(State(front): State<Front>, Of(id): Of<Id>, write: Write) -> Response {
    write.once(&front, async { started(front.dispute(&write.who, &id, write.json()?).await?) }).await
}

/// Asks for released money back.
#[utoipa::path(
    post, path = "/v1/contracts/{contract}/payment-refunds", tag = "contracts",
    params(InContract, Keyed),
    request_body(content = ref("#/components/schemas/NewPaymentRefund")),
    responses((status = 201, description = "The freelancer is asked.", body = ref("#/components/schemas/StartedCase")), Problems)
)]
pub async fn ask_back(State(front): State<Front>, Of(id): Of<Id>, write: Write) -> Response {
    let work = async {
        let request: NewPaymentRefund = write.json()?;
        started(front.ask_back(&write.who, &id, request).await?)
    };
    write.once(&front, work).await
}

impl Front {
    /// Ends a contract for its client, or for the platform's backend.
    ///
    /// # Errors
    /// 404 if it is not theirs, 403 if they may not end it.
    pub async fn end(&self, who: &Identity, id: &Id, end: NewEnd) -> Result<StartOutcome, Problem> {
        let NewEnd { pay_now, reason, policy } = end;
        let contract = self.contract_as(who, id, Role::Client, policy.is_some()).await?;
        self.start(who, RefundRequestStart { contract, pay_now, reason, policy }).await
    }

    /// Files a dispute without another case before it, for a contract's freelancer or the platform's backend.
    ///
    /// # Errors
    /// 404 if it is not theirs, 403 if they may not file it, 422 for files that they have not uploaded.
    pub async fn dispute(&self, who: &Identity, id: &Id, dispute: NewDispute) -> Result<StartOutcome, Problem> {
        let NewDispute { grounds, milestone, claim, contacted_client, attested_by, policy } = dispute;
        let contract = self.contract_as(who, id, Role::Freelancer, policy.is_some()).await?;
        if attested_by.is_some() && !who.serves(&contract) {
            return Err(Problem::forbidden(
                "attested_by: only the platform's backend attests that something was submitted",
            ));
        }
        self.check_files(id, Role::Freelancer, &claim.evidence).await?;
        let names: Vec<String> = claim.evidence.iter().map(|file| file.sha256.clone()).collect();
        let start = DisputeStart { contract, grounds, milestone, claim, contacted_client, attested_by, policy };
        let begun = self.start(who, start).await?;
        self.seal(id, Role::Freelancer, &names, &begun.case).await;
        Ok(begun)
    }

    /// Asks released money back for a contract's client, or for the platform's backend.
    ///
    /// # Errors
    /// 404 if it is not theirs, 403 if they may not ask.
    pub async fn ask_back(&self, who: &Identity, id: &Id, request: NewPaymentRefund) -> Result<StartOutcome, Problem> {
        let NewPaymentRefund { payment, amount, message, policy } = request;
        let contract = self.contract_as(who, id, Role::Client, policy.is_some()).await?;
        // Somebody who asks here gets the same answer for another contract's payment as for one that does not exist.
        let unknown = || Problem::not_found(format!("contract {id} has no payment {payment}; its ledger shows them"));
        let released_at = self.ledger().payment(id, &payment).await?.ok_or_else(unknown)?.released_at;
        self.start(who, PaymentRefundStart { contract, payment, released_at, amount, message, policy }).await
    }

    /// A contract, for somebody who acts in this role or is the platform's backend.
    async fn contract_as(&self, who: &Identity, id: &Id, role: Role, policy: bool) -> Result<Contract, Problem> {
        let (contract, roles) = self.contract(who, id).await?;
        if policy && !who.serves(&contract) {
            return Err(Problem::forbidden("only the platform's backend chooses a case's policy"));
        }
        if roles.contains(&role) || who.serves(&contract) {
            return Ok(contract);
        }
        Err(Problem::forbidden(format!("only the {role} of contract {id} may do this")))
    }

    /// How a case has ended, if it ends within a few seconds.
    ///
    /// # Errors
    /// If the case does not answer, or somebody stopped it.
    pub async fn outcome_soon(&self, started: &Started) -> Result<Option<Outcome>, Problem> {
        match tokio::time::timeout(self.parts().patience, self.client().result_of(started)).await {
            Ok(outcome) => Ok(Some(outcome?)),
            Err(_) => Ok(None),
        }
    }
}

fn only_service(who: &Identity, what: &str) -> Result<(), Problem> {
    if who.is(Duty::Service) {
        return Ok(());
    }
    Err(Problem::forbidden(format!("only the platform's backend may {what}")))
}

/// A person who is on a side of a contract, or acts for one, is not the platform in it (E14).
fn serving(who: &Identity, contract: &Contract, what: &str) -> Result<(), Problem> {
    if who.serves(contract) {
        return Ok(());
    }
    let problem =
        Problem::forbidden(format!("you are a party of contract {}; the platform {what} for it", contract.id));
    Err(Problem { rule: Some("E14".to_owned()), ..problem })
}

fn started(begun: StartOutcome) -> Result<Reply, Problem> {
    let StartOutcome { case, already_running, status, .. } = begun;
    let location = super::cases::path_of(&case);
    Ok(Reply::new(StatusCode::CREATED, &StartedCase { case, already_running, status })?.at(location))
}
