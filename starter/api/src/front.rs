//! What the API and the console may do for a person. Every read and every command of theirs goes through this module.
//!
//! It keeps no state of cases. The contract's parties and a person's duties decide what the person may see and do. The case
//! decides whether it takes a command. A person gets the same answer for what is not theirs as for what does not exist.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use recourse_client::{CaseId, Client, ClientError, Start, Started, check_command};
use recourse_domain::{
    command::CommandKind,
    ids::{CaseKind, Id},
    messages::Status,
    outcome::ResultKind,
    party::{Contract, Role},
};
use recourse_evidence::EvidenceStore;
use recourse_ledger::{ContractFilter, Ledger};
use recourse_notifications::{NoticeBook, WebhookBook, webhooks::Secret};
use recourse_payments::StripeCallbacks;
use recourse_refunds::RefundDesk;
use serde_json::{Map, Value, json};

use super::{
    acted::{Acted, StartOutcome, TargetCase},
    identity::{Duty, Identity, Tokens},
    keys::LocalIssuer,
    limits::Limits,
    lists::{LIMIT_MAX, Limit, Page},
    metrics::Metrics,
    named::Missing,
    problem::Problem,
    requests::RequestBook,
    seen::{self, SeenCase},
    site::Site,
    watch::Watchers,
};

/// How long a sender waits for a worker's answer, by default. A running worker answers in milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// The parts that the front needs. Others share them.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The typed client.
    pub client: Client,
    /// The ledger. The front only reads it.
    pub ledger: Ledger,
    /// The notices. The front only reads them.
    pub notices: NoticeBook,
    /// The refunds that are on their way back to clients.
    pub refunds: RefundDesk,
    /// The requests and their answers.
    pub requests: RequestBook,
    /// The files.
    pub evidence: EvidenceStore,
    /// Where events go.
    pub webhooks: WebhookBook,
    /// The secret with which the payment provider signs its calls, if it calls.
    pub callback_secret: Option<Arc<Secret>>,
    /// Reads Stripe's events, if Stripe sends any.
    pub stripe: Option<StripeCallbacks>,
    /// Reads tokens.
    pub tokens: Tokens,
    /// The local issuer, which only `recourse dev` has.
    pub local: Option<LocalIssuer>,
    /// How many requests a sender may send.
    pub limits: Limits,
    /// Temporal's Web UI, for operators.
    pub temporal_ui: Option<String>,
    /// Where people open the console.
    pub site: Site,
    /// How long a sender waits for a case's answer to a command, and for a new case to open.
    pub patience: Duration,
}

/// The guarded access to cases, contracts and money. Clones share it.
#[derive(Debug, Clone)]
pub struct Front {
    parts: Arc<Parts>,
    watchers: Watchers,
    metrics: Metrics,
}

impl Front {
    /// A front with these parts.
    pub fn new(parts: Parts) -> Self {
        let watchers = Watchers::new(parts.client.clone());
        let metrics = Metrics::default();
        metrics.watch(parts.tokens.keys().clone());
        Self { parts: Arc::new(parts), watchers, metrics }
    }

    /// Where people open the console.
    pub fn site(&self) -> &Site {
        &self.parts.site
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The typed client, for what belongs to no person in particular.
    pub fn client(&self) -> &Client {
        &self.parts.client
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.parts.ledger
    }

    /// The notices.
    pub fn notices(&self) -> &NoticeBook {
        &self.parts.notices
    }

    /// The requests and their answers.
    pub fn requests(&self) -> &RequestBook {
        &self.parts.requests
    }

    /// Reads tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.parts.tokens
    }

    /// The local issuer, which only `recourse dev` has.
    pub fn local(&self) -> Option<&LocalIssuer> {
        self.parts.local.as_ref()
    }

    /// How many requests a sender may send.
    pub fn limits(&self) -> &Limits {
        &self.parts.limits
    }

    /// Temporal's Web UI.
    pub fn temporal_ui(&self) -> Option<&str> {
        self.parts.temporal_ui.as_deref()
    }

    /// The counters.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Tells people who watch a case when it changes.
    pub fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// A contract that somebody may see, and their roles in it.
    ///
    /// # Errors
    /// 404 if there is none, or if it is not theirs.
    pub async fn contract(&self, who: &Identity, id: &Id) -> Result<(Contract, BTreeSet<Role>), Problem> {
        let unknown = || Problem::not_found(format!("there is no contract {id} of yours with a deposit"));
        let contract = self.ledger().contract(id).await?.ok_or_else(unknown)?;
        let roles = who.roles_in(&contract);
        let sees = who.serves(&contract) || roles.iter().any(|role| *role != Role::Arbitrator);
        // Arbitrators get only disputes: an arbitrator does not see a contract without one.
        if sees || roles.contains(&Role::Arbitrator) && self.ledger().has_dispute(id).await? {
            return Ok((contract, roles));
        }
        Err(unknown())
    }

    /// The contracts that somebody may see, in the order of their ids.
    ///
    /// # Errors
    /// 400 for a page that cannot exist; otherwise if the ledger cannot be read.
    pub async fn contracts(&self, who: &Identity, page: &Limit) -> Result<Page<Contract>, Problem> {
        let after = page.after().map(Id::new).transpose();
        let after = after.map_err(|_| Problem::unreadable("after: that is no contract's id"))?;
        let sees_all = who.is(Duty::Service) || who.is(Duty::Operator) || who.is(Duty::Mediator);
        let parties: Vec<Option<Id>> =
            if sees_all { vec![None] } else { who.parties.iter().cloned().map(Some).collect() };
        let mut items = Vec::new();
        for party in parties {
            let filter = ContractFilter { party, after: after.clone(), limit: page.limit() + 1 };
            items.extend(self.ledger().contracts(&filter).await?);
        }
        items.sort_by(|one, other| one.id.cmp(&other.id));
        items.dedup_by(|one, other| one.id == other.id);
        let next = Page::cut(&mut items, page.limit(), |last| last.id.to_string());
        Ok(Page { items, next })
    }

    /// The contracts whose agency this person owns. Lists of cases know only the freelancer.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub async fn contracts_of_agencies(&self, who: &Identity) -> Result<Vec<Id>, Problem> {
        let mut found = Vec::new();
        for party in who.parties.iter().filter(|party| **party != who.subject) {
            let filter = ContractFilter { party: Some(party.clone()), after: None, limit: LIMIT_MAX };
            found.extend(self.ledger().contracts(&filter).await?.into_iter().map(|contract| contract.id));
        }
        Ok(found)
    }

    /// A case that somebody may see.
    ///
    /// # Errors
    /// 404 if there is none, or if it is not theirs.
    pub async fn case(&self, who: &Identity, id: &str) -> Result<SeenCase, Problem> {
        Ok(self.look(who, id).await?.seen)
    }

    /// Reads a case to which somebody is about to give a command.
    ///
    /// # Errors
    /// As [`case`](Self::case).
    pub async fn look(&self, who: &Identity, id: &str) -> Result<TargetCase, Problem> {
        let CaseId { kind, contract } = CaseId::read(id).map_err(|_| seen::unknown(id))?;
        let (contract, row) = tokio::join!(self.ledger().contract(&contract), self.client().row(id));
        let contract = contract?;
        let (row, at) = row.map_err(|error| seen::not_asked(error, id))?;
        let seen = match contract {
            Some(contract) => SeenCase::of_contract(who, id, kind, contract)?,
            None => SeenCase::of_row(who, id, kind, &row)?,
        };
        Ok(TargetCase { seen, at })
    }

    /// The status of a case.
    ///
    /// # Errors
    /// As [`case`](Self::case); 503 if no worker answers; 422 for a deposit, which has no status.
    pub async fn status(&self, who: &Identity, id: &str) -> Result<(SeenCase, Status), Problem> {
        let CaseId { kind, contract } = CaseId::read(id).map_err(|_| seen::unknown(id))?;
        if kind == CaseKind::EscrowDeposit {
            self.case(who, id).await?;
            return Err(Problem::invalid("a deposit has no status; see the contract's ledger"));
        }
        // The contract says whose case it is. The case itself answers whether it exists.
        let seen = match self.ledger().contract(&contract).await? {
            Some(contract) => SeenCase::of_contract(who, id, kind, contract)?,
            None => self.case(who, id).await?,
        };
        let status = self.client().status(id).await.map_err(|error| seen::not_asked(error, id))?;
        Ok((seen, status))
    }

    /// Gives a case a command in one of somebody's roles.
    /// `wanted` says in which role, if they have several that can give it. `key` makes repeated commands one command (L7).
    ///
    /// # Errors
    /// As [`case`](Self::case); 403 if they have no role that gives such a command; the case's answer if it refuses.
    pub async fn act(
        &self,
        who: &Identity,
        id: &str,
        command_kind: CommandKind,
        wanted: Option<Role>,
        fields: Map<String, Value>,
        key: &str,
    ) -> Result<Acted, Problem> {
        let looked = self.look(who, id).await;
        self.act_on(who, looked, command_kind, wanted, fields, key).await
    }

    /// The same for a case that [`look`](Self::look) has read.
    ///
    /// # Errors
    /// As [`act`](Self::act), and if the case could not be read.
    pub async fn act_on(
        &self,
        who: &Identity,
        looked: Result<TargetCase, Problem>,
        command_kind: CommandKind,
        wanted: Option<Role>,
        fields: Map<String, Value>,
        key: &str,
    ) -> Result<Acted, Problem> {
        let answered = match looked {
            Ok(looked) => self.act_uncounted(who, looked, command_kind, wanted, fields, key).await,
            Err(problem) => Err(problem),
        };
        self.metrics.command(command_kind, &answered);
        answered
    }

    async fn act_uncounted(
        &self,
        who: &Identity,
        TargetCase { seen, at }: TargetCase,
        command_kind: CommandKind,
        wanted: Option<Role>,
        fields: Map<String, Value>,
        key: &str,
    ) -> Result<Acted, Problem> {
        let id = seen.id.as_str();
        check_command(id, command_kind)?;
        let role = seen.role_for(command_kind, wanted)?;
        let contract = CaseId::read(id)?.contract;
        self.names_what_was_seen(&seen, command_kind, &fields).await?;
        let files = self.files_in(&contract, role, &fields).await?;
        let mut body = fields;
        body.insert("by".to_owned(), json!({"party": role, "id": seen.id_as(role, who)}));
        body.insert("key".to_owned(), Value::String(key.to_owned()));
        body.insert("at".to_owned(), Value::String(at.to_string()));
        let asked =
            tokio::time::timeout(self.parts.patience, self.client().command(id, command_kind, body.clone())).await;
        match asked {
            Ok(Ok(status)) => {
                self.seal(&contract, role, &files, id).await;
                Ok(Acted::Taken(Box::new(status)))
            }
            Err(_) | Ok(Err(ClientError::NoWorker { .. } | ClientError::Busy { .. })) => {
                let json = serde_json::to_vec(&body).map_err(|error| Problem::unexpected(&error))?;
                self.client().signal(id, command_kind.name(), json).await?;
                self.seal(&contract, role, &files, id).await;
                Ok(Acted::Sent)
            }
            Ok(Err(error)) => Err(self.refused(error, id, role).await),
        }
    }

    /// A party accepts what it saw: over HTTP a command that pays names it.
    async fn names_what_was_seen(
        &self,
        seen: &SeenCase,
        command_kind: CommandKind,
        fields: &Map<String, Value>,
    ) -> Result<(), Problem> {
        let Some(missing) = Missing::of(seen.kind, command_kind, fields) else { return Ok(()) };
        let status = tokio::time::timeout(self.parts.patience, self.client().status(&seen.id)).await;
        Err(missing.problem(status.ok().and_then(Result::ok).as_ref()))
    }

    /// A refusal, with what the sender can do instead.
    async fn refused(&self, error: ClientError, id: &str, role: Role) -> Problem {
        let is_refusal = matches!(error, ClientError::Refused { .. });
        let problem = Problem::from(error);
        if !is_refusal {
            return problem;
        }
        match tokio::time::timeout(self.parts.patience, self.client().status(id)).await {
            Ok(Ok(mut status)) => problem.allowed(status.allowed.remove(&role).unwrap_or_default()),
            _ => problem,
        }
    }

    /// Starts a case for somebody, and waits a few seconds for it to open. It refuses what a rule forbids before a workflow
    /// starts (L8).
    ///
    /// # Errors
    /// A problem with the rule if one forbids it, 409 if the same id runs with other content; otherwise if the server cannot be
    /// reached. The caller checks whether this person may start the case.
    pub async fn start(&self, who: &Identity, start: impl Into<Start>) -> Result<StartOutcome, Problem> {
        let start = start.into();
        let case = start.case();
        if !CaseId::read(&case).is_ok_and(|id| id.contract == start.contract().id) {
            let detail = format!("{case} is not of contract {}", start.contract().id);
            return Err(Problem::not_found(detail));
        }
        let already_running = self.client().is_running(&case).await?;
        if !already_running && let Some(refused) = start.would_be_refused(self.ledger(), Timestamp::now()).await? {
            return Err(Problem::refused_start(&refused, None));
        }
        let started = if already_running {
            let same = self.client().began_with(&case, &start).await?;
            Started { case, already_running, same, run_id: None }
        } else {
            self.client().start_or_find(start).await?
        };
        if !started.same {
            let detail = format!("{} runs, and was started with other content; nothing was done", started.case);
            return Err(Problem::conflict(detail).hint("look at the case; use another id for another deposit"));
        }
        if started.case.starts_with("escrow-deposit:") {
            let outcome = self.outcome_soon(&started).await?;
            return Ok(StartOutcome { case: started.case, already_running, status: None, outcome });
        }
        let opened = self.client().wait_for_start(&started, self.parts.patience, |status| !status.is_opening());
        let opened = tokio::time::timeout(self.parts.patience, opened).await.ok().and_then(Result::ok);
        if let Some(outcome) = opened.as_ref().and_then(|status| status.outcome.as_ref())
            && outcome.result == ResultKind::Refused
        {
            return Err(Problem::refused_start(outcome, None));
        }
        // Answers with what they would read.
        let case = opened.as_ref().map_or(started.case, |status| status.case.clone());
        let status = match opened {
            Some(_) => Some(self.status(who, &case).await?.1),
            None => None,
        };
        Ok(StartOutcome { case, already_running, status, outcome: None })
    }
}
