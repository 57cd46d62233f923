//! `recourse deposit`, `recourse end` and `recourse dispute`: the commands that start a case; and how any case starts and
//! opens.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use jiff::Timestamp;
use recourse_client::{Client, ClientError, Order, Start, Started};
use recourse_domain::{
    claim::{Claim, Grounds},
    deposit::Source,
    ids::Id,
    messages::{DisputeStart, EscrowDepositStart, RefundRequestStart},
    outcome::{Outcome, ResultKind},
    party::{Actor, Contract},
    policy::Policy,
    stage::Stage,
};

use super::{
    DatabaseArg,
    answer::{Answer, Failure, note},
    connect, evidence, files, money,
    progress::waiting,
    values, view,
};

/// How long a deposit may take before this program asks whether a worker tries its charge again (L9).
const SOON: Duration = Duration::from_secs(4);

/// How long a case may take to open or a deposit to be charged. With a slower worker or bank, it continues without this
/// program.
const PATIENCE: Duration = Duration::from_secs(30);

/// Put money in escrow for a contract.
///
/// Charges the billing method and waits for the result. A declined charge deposits nothing (exit code 1). Repeating the same
/// deposit charges nothing again. If Recourse is still trying a charge, the deposit continues by itself (exit code 4). A
/// deposit for a milestone first draws on the money that is held over from earlier milestones, and charges only the difference
/// (E6).
///
/// Example: `recourse deposit --contract-file c.json --deposit d-1 --amount 300.00 --source card-1`
///
/// Example: `recourse deposit --contract-file c.json --deposit d-2 --amount 300.00 --source card-1 --milestone m-1`
///
/// A contract file is JSON or TOML:
/// `{"id":"c-1","title":"Logo","kind":"fixed_price","currency":"USD","client":{"id":"cl-1"},"freelancer":{"id":"fl-1"}}`
///
/// Next: `recourse submit` when a milestone is done, `recourse end` when the contract ends, `recourse ledger --contract c-1`
/// to see the money.
#[derive(Debug, Args)]
pub struct Deposit {
    /// The contract: a JSON or TOML file.
    #[arg(long, value_name = "FILE")]
    contract_file: PathBuf,
    /// The deposit's id; the same id is the same deposit.
    #[arg(long = "deposit", value_name = "ID", value_parser = values::id)]
    id: Id,
    /// How much, such as 300.00, in the contract's currency.
    #[arg(long)]
    amount: String,
    /// The billing method to charge.
    #[arg(long, value_name = "ID", value_parser = values::id)]
    source: Id,
    /// The milestone that it is for; without one, the whole contract.
    #[arg(long, value_name = "ID", value_parser = values::id)]
    milestone: Option<Id>,
    /// The billing method is not verified; such a deposit is refused (E2).
    #[arg(long)]
    unverified: bool,
    #[command(flatten)]
    database: DatabaseArg,
}

/// End a contract: pay what you choose, and ask for the rest of the escrow back.
///
/// Starts the refund request. Recourse releases what you pay to the freelancer at once. For the rest the freelancer has 7 days
/// to approve or to dispute, and silence refunds the client (R1-R4).
///
/// Example: `recourse end --contract-file c.json --pay 100.00 --reason "We go another way"`
///
/// Next: `recourse act refund-request:c-1 approve --as freelancer:fl-1`, or `dispute`; `recourse show refund-request:c-1`.
#[derive(Debug, Args)]
pub struct End {
    /// The contract: a JSON or TOML file.
    #[arg(long, value_name = "FILE")]
    contract_file: PathBuf,
    /// What to pay the freelancer of the escrow now, such as 100.00; 0 to pay nothing.
    #[arg(long, value_name = "AMOUNT")]
    pay: String,
    /// Why, for the freelancer to read.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The policy of this case: a JSON or TOML file; the rule book's numbers without one.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseArg,
}

/// Start a dispute without another case before it: the freelancer claims money in escrow.
///
/// A refund request or review starts its dispute by itself if the freelancer disputes it with `recourse act`; this is for a
/// dispute without such a case before it. The client has 5 days to accept or reject the claim, and silence releases the claimed
/// amount (D2, D3). With a milestone the contract goes on: the rest stays in escrow.
///
/// Example:
/// `recourse dispute --contract-file c.json --amount 150.00 --reason work_delivered --details "Delivered on 3 May"`
///
/// Example, what was held over when milestone m-1 was released in part:
/// `recourse dispute --contract-file c.json --milestone m-1 --grounds partial_release --contacted-client --amount 100.00
/// --reason work_delivered --details "All of it was used"`
///
/// Next: `recourse act dispute:c-1 reject --of claim --as client:cl-1 …`; `recourse show dispute:c-1`, or `dispute:c-1:m-1`.
#[derive(Debug, Args)]
pub struct Dispute {
    /// The contract: a JSON or TOML file.
    #[arg(long, value_name = "FILE")]
    contract_file: PathBuf,
    /// How much is claimed, such as 150.00, in the contract's currency.
    #[arg(long)]
    amount: String,
    /// Why: `work_delivered`, `partial_work_delivered`, `scope_changed`, `client_unresponsive` or `other`.
    #[arg(long, value_name = "REASON")]
    reason: String,
    /// In the freelancer's words.
    #[arg(long, value_name = "TEXT")]
    details: String,
    /// A file that supports the claim; only its hash, name, size and type are sent. May be repeated.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    evidence: Vec<PathBuf>,
    /// What it is about: `refund_request`, or with a milestone `non_release` (the default then) or `partial_release`.
    #[arg(long, value_name = "GROUNDS")]
    grounds: Option<String>,
    /// The milestone, on an active contract.
    #[arg(long, value_name = "ID", value_parser = values::id)]
    milestone: Option<Id>,
    /// The freelancer has contacted the client and it did not help; needed with a milestone (D1).
    #[arg(long)]
    contacted_client: bool,
    /// Who of the platform attests that the freelancer submitted the milestone, as `operator:op-1`, if the ledger does not know
    /// it (D1).
    #[arg(long, value_name = "ROLE:ID", value_parser = values::actor)]
    attested_by: Option<Actor>,
    /// The policy of this case: a JSON or TOML file; the rule book's numbers without one.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseArg,
}

impl Deposit {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let contract: Contract = files::read(&self.contract_file)?;
        let currency = contract.currency;
        let start = EscrowDepositStart {
            amount: values::amount("amount", &self.amount, currency)?,
            contract,
            deposit: self.id,
            milestone: self.milestone,
            source: Source { id: self.source, verified: !self.unverified },
        };
        let client = connect().await?;
        let started = start_or_say(&client, start).await?;
        let case = started.case.clone();
        let Some(outcome) = waiting(format!("waiting for {case}"), charged(&client, &started)).await? else {
            return not_charged(&client, &self.database, &case, "the deposit is started and goes on by itself").await;
        };
        if outcome.result != ResultKind::Deposited {
            return Err(not_done(&case, &outcome));
        }
        Answer::new(&outcome, view::outcome(&outcome, currency))
    }
}

impl End {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let contract: Contract = files::read(&self.contract_file)?;
        let policy = self.policy.as_deref().map(files::read::<Policy>).transpose()?;
        let pay_now = values::amount("pay", &self.pay, contract.currency)?;
        open(RefundRequestStart { contract, pay_now, reason: self.reason, policy }, &self.database).await
    }
}

impl Dispute {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let contract: Contract = files::read(&self.contract_file)?;
        let policy = self.policy.as_deref().map(files::read::<Policy>).transpose()?;
        let claim = Claim {
            amount: values::amount("amount", &self.amount, contract.currency)?,
            reason: values::named("reason", &self.reason)?,
            details: self.details,
            evidence: evidence::of_files("evidence", &self.evidence)?,
        };
        let grounds = match (self.grounds.as_deref(), &self.milestone) {
            (Some(grounds), _) => values::named("grounds", grounds)?,
            (None, Some(_)) => Grounds::NonRelease,
            (None, None) => Grounds::RefundRequest,
        };
        let contacted_client = self.contacted_client.then_some(true);
        let (attested_by, milestone) = (self.attested_by, self.milestone);
        let start = DisputeStart { contract, grounds, milestone, claim, contacted_client, attested_by, policy };
        open(start, &self.database).await
    }
}

/// Starts a case. If it already runs, this changes nothing, and says on stderr that the new request has no effect.
async fn start_or_say(client: &Client, start: impl Into<Start>) -> Result<Started, Failure> {
    let start = start.into();
    if let Some(refused) = start.refusal(Timestamp::now()) {
        return Err(not_done(&start.case(), &refused));
    }
    let started = client.start_or_find(start).await?;
    let case = &started.case;
    if !started.same {
        let message = format!("{case} is running already, and was started with other content; nothing was done");
        return Err(Failure::new("conflict", 1, message).hint(format!("see `recourse show {case}`")));
    }
    if started.already_running {
        note(&format!("{case} is running already and was left as it is"));
    }
    Ok(started)
}

/// Starts a case and waits until it is open, or over.
pub(super) async fn open(start: impl Into<Start>, database: &DatabaseArg) -> Result<Answer, Failure> {
    let start = start.into();
    let client = connect().await?;
    let started = start_or_say(&client, start).await?;
    let case = started.case.clone();
    let opened = client.wait_for_start(&started, PATIENCE, |status| status.stage != Stage::Settling);
    let status = waiting(format!("opening {case}"), opened).await?;
    if status.stage == Stage::Closed {
        // Its workflow continues until all notices are sent. Until then a second start would be the same case.
        let ended = tokio::time::timeout(PATIENCE, client.result_of(&started));
        let _ = waiting(format!("closing {case}"), ended).await;
    }
    if let Some(outcome) = status.outcome.as_ref().filter(|outcome| outcome.result == ResultKind::Refused) {
        return Err(not_done(&case, outcome));
    }
    money::settled(&client, database, status).await
}

/// The outcome of a deposit, once it has ended; none if a worker tries its charge again, or if it takes too long.
async fn charged(client: &Client, started: &Started) -> Result<Option<Outcome>, ClientError> {
    let mut result = Box::pin(tokio::time::timeout(PATIENCE, client.result_of(started)));
    match tokio::time::timeout(SOON, &mut result).await {
        Ok(Ok(outcome)) => return outcome.map(Some),
        Ok(Err(_)) => return Ok(None),
        Err(_) if client.orders(&started.case).await?.iter().any(Order::is_retried) => return Ok(None),
        Err(_) => {}
    }
    result.await.ok().transpose()
}

/// The answer that a deposit is not charged yet, and why.
async fn not_charged(client: &Client, database: &DatabaseArg, case: &str, reason: &str) -> Result<Answer, Failure> {
    let orders = client.orders(case).await?;
    if orders.iter().any(Order::is_retried) {
        return money::deposit(database, case, &orders, client.virtual_now(case).await?).await;
    }
    let (case, reason) = (case.to_owned(), reason.to_owned());
    Err(client.explained(ClientError::NoWorker { case, reason }).await.into())
}

/// The answer about a deposit, which has a result and no status.
pub(super) async fn show_deposit(client: &Client, database: &DatabaseArg, case: &str) -> Result<Answer, Failure> {
    let currency = client.currency(case).await?;
    let result = tokio::time::timeout(Duration::from_secs(2), client.result(case)).await;
    if let (Ok(outcome), Some(currency)) = (result, currency) {
        let outcome = outcome?;
        return Answer::new(&outcome, format!("{}{}", view::heading(case), view::outcome(&outcome, currency)));
    }
    not_charged(client, database, case, "the deposit is not charged yet").await
}

/// The failure for what a rule or the bank refused. No money has moved.
fn not_done(case: &str, outcome: &Outcome) -> Failure {
    let name = if outcome.result == ResultKind::Declined { "declined" } else { "refused" };
    let why = outcome.message.as_deref().unwrap_or("no reason was given");
    Failure::new(name, 1, format!("{case} was {name} by rule {}: {why}", outcome.rule)).details("outcome", outcome)
}
