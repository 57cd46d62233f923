//! The parts on which contracts are played, and one thing that the wire contract does not offer: to wait until nothing is under
//! way, so that the next decision does not depend on this machine's speed.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use recourse_client::{Client, ClientError, Start};
use recourse_database::Database;
use recourse_domain::{ids::Id, messages::Status, outcome::Outcome, stage::Stage};
use recourse_ledger::Ledger;
use recourse_payments::{Fault, SandboxBank};
use recourse_refunds::{RefundDesk, Report};

use super::record::Trouble;

/// How long a case may take to carry out its orders. It takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// The longest pause between two reads of a case.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// A server with a worker, and the database behind it.
#[derive(Debug, Clone)]
pub struct World {
    client: Client,
    ledger: Ledger,
    bank: SandboxBank,
    desk: RefundDesk,
}

impl World {
    /// A world with this client and database, and with the desk that follows its refunds.
    pub fn new(client: Client, database: &Database, desk: RefundDesk) -> Self {
        let (ledger, bank) = (Ledger::new(database.clone()), SandboxBank::new(database.clone()));
        Self { client, ledger, bank, desk }
    }

    /// The client.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The ledger, for reading.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The desk that follows refunds.
    pub const fn desk(&self) -> &RefundDesk {
        &self.desk
    }

    /// The bank reports on the refund with this key.
    pub async fn bank_says(&self, key: &str, report: &Report) -> Result<(), Trouble> {
        let said = match report {
            Report::Settled => self.bank.settle(key).await,
            Report::Failed { reason } => self.bank.fail(key, reason).await,
        };
        said.map_err(|error| Trouble::new(error.to_string()))?;
        self.desk.report(key, report).await.map(drop).map_err(|error| Trouble::new(error.to_string()))
    }

    /// Starts a case and waits for its result. Only for a case without commands.
    pub async fn done(&self, start: impl Into<Start>) -> Result<Outcome, Trouble> {
        let case = self.client.start(start).await?;
        self.result(&case).await
    }

    /// The outcome of a case that is about to end.
    pub async fn result(&self, case: &str) -> Result<Outcome, Trouble> {
        let result = tokio::time::timeout(PATIENCE, self.client.result(case)).await;
        let never = || Trouble { case: Some(case.to_owned()), ..Trouble::new("the case is decided and does not end") };
        Ok(result.map_err(|_| never())??)
    }

    /// The bank declines this billing method's next movement.
    pub async fn decline_next(&self, source: &Id) -> Result<(), Trouble> {
        self.bank.set_fault(Some(source), Fault::Decline, 1).await.map_err(|error| Trouble::new(error.to_string()))
    }

    /// An answer of the worker. This asks again while the worker is too busy, so the question must be safe to repeat.
    pub async fn answered<T, F>(&self, mut ask: impl FnMut() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let started = Instant::now();
        loop {
            match ask().await {
                Err(ClientError::NoWorker { .. } | ClientError::Busy { .. }) if started.elapsed() < PATIENCE => {}
                answer => return answer,
            }
        }
    }

    /// The case's status once it has opened and none of its orders are under way.
    pub async fn settled(&self, case: &str) -> Result<Status, Trouble> {
        self.wait(case, |status| status.stage != Stage::Settling).await
    }

    /// The case's status once it is the wanted one and none of its orders are under way: a dispute that it filed has begun, and
    /// it has learnt of the end of a finished one.
    pub async fn wait(&self, case: &str, wanted: impl Fn(&Status) -> bool) -> Result<Status, Trouble> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(10);
        loop {
            let seen = self.answered(|| self.client.status_at_rest(case)).await?;
            if let Some(status) = seen.as_ref().filter(|status| wanted(status)) {
                return Ok(status.clone());
            }
            if started.elapsed() > PATIENCE {
                return Err(match seen {
                    Some(status) => Trouble::of(&status, "the case does not go on"),
                    None => Trouble {
                        case: Some(case.to_owned()),
                        ..Trouble::new("something that the case ordered is never done")
                    },
                });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Lets time pass for the case, until the case has handled the consequences.
    pub async fn pass(&self, case: &str, by: Duration) -> Result<(), Trouble> {
        self.client.advance(case, by).await?;
        Ok(())
    }

    /// The time until `deadline` by the case's clock.
    pub async fn time_to(&self, case: &str, deadline: Timestamp) -> Result<Duration, Trouble> {
        let left = deadline.duration_since(self.client.virtual_now(case).await?);
        Ok(Duration::try_from(left).unwrap_or_default())
    }
}
