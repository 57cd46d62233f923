//! What is known of money, for people who may see its case or its contract (L9).

use std::collections::BTreeMap;

use jiff::Timestamp;
use recourse_client::{CaseId, CaseRow, Money, Order};
use recourse_domain::{ids::Id, messages::Status};
use recourse_ledger::History;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Front,
    identity::{Duty, Identity},
    problem::Problem,
    seen,
};

/// What happened to a contract's money, and what is known of each movement.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContractLedger {
    /// What was posted, and where the money is.
    #[serde(flatten)]
    pub history: History,
    /// What is known of each movement, also of those that are ordered and have not moved.
    pub money: Money,
}

impl Front {
    /// What is known of a case's money. `case` is the id in the request.
    ///
    /// # Errors
    /// 503 if the ledger cannot be read, or the server does not answer.
    pub async fn money(&self, who: &Identity, case: &str, status: &Status) -> Result<Money, Problem> {
        // Reads the orders first. If money moves in between, the ledger then has it, so that no movement is missing.
        let orders = self.client().orders(case).await.map_err(|error| seen::not_asked(error, case))?;
        let moved = self.ledger().moved(&status.contract, Timestamp::now()).await?;
        Ok(as_seen(who, Money::of_case(status, &orders, Some(&moved))))
    }

    /// The same after an action, which needs an answer even if nobody can read its money.
    pub async fn money_if_known(&self, who: &Identity, case: &str, status: &Status) -> Money {
        self.money(who, case, status).await.unwrap_or_default()
    }

    /// What is known of a deposit's money.
    ///
    /// # Errors
    /// As [`Front::money`].
    pub async fn money_of_deposit(&self, who: &Identity, contract: &Id, case: &str) -> Result<Money, Problem> {
        let orders = self.client().orders(case).await.map_err(|error| seen::not_asked(error, case))?;
        let moved = self.ledger().moved(contract, Timestamp::now()).await?;
        Ok(as_seen(who, Money::of_deposit(case, &orders, Some(&moved))))
    }

    /// What is known of all of a contract's money, and its postings. If the server does not answer, only what the ledger has.
    ///
    /// # Errors
    /// 503 if the ledger cannot be read.
    pub async fn money_of_contract(&self, who: &Identity, id: &Id) -> Result<(Option<History>, Money), Problem> {
        let orders = match self.client().orders_of_contract(id).await {
            Ok(orders) => Some(orders),
            Err(error) => {
                tracing::warn!(%error, contract = %id, "what a contract's cases have ordered cannot be read");
                None
            }
        };
        let moved = self.ledger().moved(id, Timestamp::now()).await?;
        let money = Money::of_contract(orders.as_deref().unwrap_or_default(), &moved);
        let money = Money { orders_read: orders.is_some(), ..money };
        Ok((moved.history, as_seen(who, money)))
    }

    /// The orders of these cases that a worker tries again, for operators.
    ///
    /// # Errors
    /// 503 if the ledger cannot be read.
    pub async fn money_tried_again(&self, rows: &[CaseRow]) -> Result<Money, Problem> {
        let mut by_contract: BTreeMap<Id, Vec<Order>> = BTreeMap::new();
        for order in self.client().retried(rows).await {
            by_contract.entry(CaseId::read(&order.case)?.contract).or_default().push(order);
        }
        let mut found = Money { ledger_read: true, orders_read: true, ..Money::default() };
        for (contract, orders) in by_contract {
            let moved = self.ledger().moved(&contract, Timestamp::now()).await?;
            let money = Money::of_contract(&orders, &moved);
            found.retried |= money.retried;
            found.movements.extend(money.movements.into_iter().filter(|movement| movement.retry.is_some()));
        }
        Ok(found)
    }
}

/// Only operators see why the last try failed: it may name things that only they may know, such as a provider's words about
/// another account.
fn as_seen(who: &Identity, money: Money) -> Money {
    if who.is(Duty::Operator) { money } else { money.for_others() }
}
