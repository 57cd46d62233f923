//! A ledger with cases that have money to move, as for a worker.

use std::sync::Arc;

use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use recourse_activities::EscrowActivities;
use recourse_database::Database;
use recourse_domain::{ids::Id, money::Amount, opening::StartRequest, party::Contract, posting::Movement, rule::Rule};
use recourse_ledger::Ledger;
use recourse_payments::SandboxBank;
use recourse_workflows::effects::{DepositOrder, DepositReceipt, HoldRequest, OpenCase, OpenReceipt, Settlement};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::place::Place;
use crate::parts::unique;

/// The effects, and the ledger under them.
pub struct Books {
    effects: EscrowActivities,
    /// The ledger.
    pub ledger: Ledger,
    database: Database,
}

/// A case that holds all the money of its contract.
#[derive(Clone, Serialize, Deserialize)]
pub struct Case {
    /// Its contract.
    pub contract: Contract,
    id: String,
    reference: String,
}

impl Books {
    /// The ledger at a place; a new one if there is none.
    pub async fn open(place: &Place) -> anyhow::Result<Self> {
        let database = place.database().await?;
        let ledger = Ledger::new(database.clone());
        let bank = SandboxBank::new(database.clone());
        Ok(Self { effects: EscrowActivities::new(ledger.clone(), Arc::new(bank)), ledger, database })
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// This many cases, each with money for this many releases.
    pub async fn cases(&self, count: usize, releases: usize) -> anyhow::Result<Vec<Case>> {
        try_join_all((0..count).map(|_| self.case(releases))).await
    }

    /// A case of a new contract with a deposit.
    pub async fn case(&self, releases: usize) -> anyhow::Result<Case> {
        let contract = json!({
            "id": unique("contract"), "title": "Logo", "kind": "fixed_price", "currency": "USD",
            "client": {"id": unique("client"), "name": "Ada", "email": "ada@example.com"},
            "freelancer": {"id": unique("freelancer"), "name": "Ben", "email": "ben@example.com"},
        });
        let contract: Contract = serde_json::from_value(contract)?;
        let at = Timestamp::now();
        let deposit = DepositOrder {
            case: format!("escrow-deposit:{}:d-1", contract.id),
            contract: contract.clone(),
            deposit: Id::new("d-1")?,
            milestone: None,
            // One more, so that the case still holds money.
            amount: Amount::new(i64::try_from(releases)? + 1)?,
            source: Id::new(&unique("card"))?,
            at,
        };
        let receipt = self.effects.make_deposit(&deposit).await?;
        anyhow::ensure!(matches!(receipt, DepositReceipt::Deposited { .. }), "{receipt:?}");
        let case = format!("refund-request:{}", contract.id);
        let take = HoldRequest::AtContractEnd { told: Vec::new(), gone: Vec::new() };
        let (first_run, asked) = (unique("run"), StartRequest::Nothing);
        let opening = OpenCase { case: case.clone(), first_run, contract: contract.clone(), take, asked, at };
        match self.ledger.open(&opening).await? {
            OpenReceipt::Opened(opened) => Ok(Case { contract, id: case, reference: opened.case_ref }),
            other => anyhow::bail!("{other:?}"),
        }
    }

    /// Carries out a settlement of one release.
    pub async fn release(&self, case: &Case, step: usize) -> anyhow::Result<()> {
        self.releases(case, step..step + 1).await
    }

    /// Carries out a settlement of many.
    pub async fn releases(&self, case: &Case, steps: std::ops::Range<usize>) -> anyhow::Result<()> {
        let at = Timestamp::now();
        let available_at = at + SignedDuration::from_hours(5 * 24);
        let movement = |step: usize| -> anyhow::Result<Movement> {
            Ok(Movement::Release {
                step: format!("release:{step}"),
                amount: Amount::new(1)?,
                rule: Rule::R4,
                available_at,
            })
        };
        let order = Settlement {
            case: case.id.clone(),
            case_ref: case.reference.clone(),
            contract: case.contract.clone(),
            movements: steps.map(movement).collect::<anyhow::Result<_>>()?,
            close: None,
            at,
        };
        self.effects.carry_out(&order).await?;
        Ok(())
    }
}
