//! The numbers that an operator watches: how many cases wait in which stage, how much money is held, which notices
//! failed.
//!
//! It reads the server's visibility and the database, and changes nothing. The numbers are of the whole installation,
//! not of one process. If several processes show them, take the largest.

use recourse_database::{Database, in_time};
use recourse_domain::{ids::CaseKind, stage::Stage};
use recourse_ledger::{Ledger, LedgerError, MoneyHeld};
use sqlx::Row as _;
use temporalio_client::{Client, NamespacedClient as _, grpc::WorkflowService as _, tonic::IntoRequest as _};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    CountWorkflowExecutionsRequest, DescribeNamespaceRequest,
};

/// Why the numbers could not be read. The earlier ones stay, and grow old.
#[derive(Debug, thiserror::Error)]
pub enum GaugeError {
    /// The server does not answer, or does not know the namespace.
    #[error("the Temporal server does not answer: {reason}")]
    NotThere {
        /// What came instead.
        reason: String,
    },
    /// The server did not count.
    #[error("the Temporal server does not count cases: {reason}")]
    NotCounted {
        /// Its message.
        reason: String,
    },
    /// The database did not answer.
    #[error("the database cannot be read")]
    Database(#[source] sqlx::Error),
    /// The ledger could not be checked.
    #[error("the ledger cannot be checked")]
    Ledger(#[from] LedgerError),
}

/// The numbers at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// How many open cases of a kind are in a stage. Every possible stage is listed.
    pub open: Vec<(CaseKind, Stage, i64)>,
    /// How many open cases of a kind have missed a target.
    pub overdue: Vec<(CaseKind, i64)>,
    /// What is in escrow, by currency.
    pub held: Vec<MoneyHeld>,
    /// What could not go back to its billing method (R8), by currency.
    pub in_suspense: Vec<MoneyHeld>,
    /// Emails that are still to go out.
    pub notices_waiting: i64,
    /// Emails that did not arrive, or may not have arrived (N3).
    pub notices_failed: i64,
    /// Events that a webhook endpoint did not take in time.
    pub webhooks_failed: i64,
}

/// Reads the numbers.
#[derive(Clone)]
pub struct Gauges {
    client: Client,
    database: Database,
}

impl std::fmt::Debug for Gauges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gauges").field("database", &self.database).finish_non_exhaustive()
    }
}

impl Gauges {
    /// Reads from this server and this database.
    pub const fn new(client: Client, database: Database) -> Self {
        Self { client, database }
    }

    /// Reads the numbers now.
    ///
    /// # Errors
    /// [`GaugeError`] if the server or the database does not answer.
    pub async fn read(&self) -> Result<Reading, GaugeError> {
        let mut open = Vec::new();
        let mut overdue = Vec::new();
        for kind in CaseKind::ALL {
            for stage in Stage::of_open(kind) {
                open.push((kind, *stage, self.count(&format!("{} AND CaseStage = '{stage}'", running(kind))).await?));
            }
            overdue.push((kind, self.count(&format!("{} AND CaseOverdue = true", running(kind))).await?));
        }
        let counted = in_time(self.of_database(), |late| late).await.map_err(GaugeError::Database)?;
        let Counted { held, in_suspense, notices_waiting, notices_failed, webhooks_failed } = counted;
        Ok(Reading { open, overdue, held, in_suspense, notices_waiting, notices_failed, webhooks_failed })
    }

    /// Whether the ledger's laws hold and its chain is whole. It reads the whole ledger.
    ///
    /// # Errors
    /// [`GaugeError::Ledger`] if it cannot be read.
    pub async fn ledger_is_sound(&self) -> Result<bool, GaugeError> {
        let ledger = Ledger::new(self.database.clone());
        Ok(ledger.check().await?.is_sound() && ledger.verify(&[]).await?.is_whole())
    }

    /// Checks that the server and the database answer.
    ///
    /// # Errors
    /// [`GaugeError`] if not.
    pub async fn reach(&self) -> Result<(), GaugeError> {
        in_time(self.rows("SELECT 1"), |late| late).await.map_err(GaugeError::Database)?;
        let request =
            DescribeNamespaceRequest { namespace: self.client.namespace(), ..DescribeNamespaceRequest::default() };
        let mut service = self.client.connection().clone();
        let described = service.describe_namespace(request.into_request()).await;
        described.map(|_| ()).map_err(|status| GaugeError::NotThere { reason: status.message().to_owned() })
    }

    async fn count(&self, query: &str) -> Result<i64, GaugeError> {
        let request = CountWorkflowExecutionsRequest { namespace: self.client.namespace(), query: query.to_owned() };
        let mut service = self.client.connection().clone();
        let answer = service.count_workflow_executions(request.into_request()).await;
        answer
            .map(|counted| counted.into_inner().count)
            .map_err(|status| GaugeError::NotCounted { reason: status.message().to_owned() })
    }

    async fn of_database(&self) -> Result<Counted, sqlx::Error> {
        Ok(Counted {
            held: self.money("escrow").await?,
            in_suspense: self.money("suspense").await?,
            notices_waiting: self.rows("SELECT COUNT(*) FROM emails WHERE state IN ('queued', 'sending')").await?,
            notices_failed: self.rows("SELECT COUNT(*) FROM emails WHERE state IN ('failed', 'unknown')").await?,
            webhooks_failed: self.rows("SELECT COUNT(*) FROM webhook_deliveries WHERE state = 'given_up'").await?,
        })
    }

    /// What all accounts of a kind hold.
    async fn money(&self, kind: &str) -> Result<Vec<MoneyHeld>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT currency, CAST(SUM(balance) AS BIGINT) AS amount FROM balances
             WHERE account >= $1 AND account < $2 GROUP BY currency ORDER BY currency",
        )
        // From `escrow:` to the end of these accounts.
        .bind(format!("{kind}:"))
        .bind(format!("{kind};"))
        .fetch_all(self.database.pool())
        .await?;
        rows.iter()
            .map(|row| Ok(MoneyHeld { currency: row.try_get("currency")?, amount: row.try_get("amount")? }))
            .collect()
    }

    async fn rows(&self, count: &'static str) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(count).fetch_one(self.database.pool()).await
    }
}

struct Counted {
    held: Vec<MoneyHeld>,
    in_suspense: Vec<MoneyHeld>,
    notices_waiting: i64,
    notices_failed: i64,
    webhooks_failed: i64,
}

fn running(kind: CaseKind) -> String {
    format!("ExecutionStatus = 'Running' AND CaseKind = '{}'", kind.name())
}
