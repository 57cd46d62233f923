//! What is known of money, for whoever may see the case or the contract that it is of (L9).

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
    /// What is known of each movement, with those that are ordered and have not moved.
    pub money: Money,
}

impl Front {
    /// What is known of a case's money. `case` is what it was asked for by.
    ///
    /// # Errors
    /// 503 if the ledger cannot be read, or the server cannot be asked.
    pub async fn money(&self, who: &Identity, case: &str, status: &Status) -> Result<Money, Problem> {
        // What is ordered first: what moves meanwhile is then in the ledger, and nothing is in neither.
        let orders = self.client().orders(case).await.map_err(|error| seen::not_asked(error, case))?;
        let moved = self.ledger().moved(&status.contract, Timestamp::now()).await?;
        Ok(as_seen(who, Money::of_case(status, &orders, Some(&moved))))
    }

    /// The same where something was done already, which must be answered whether its money can be read or not.
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

    /// What is known of all of a contract's money, and what was posted. If the server cannot be asked, what is in the ledger.
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

    /// What these cases have ordered and is being tried again, for operators.
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

/// Why the last try failed is for operators: it may name what is theirs alone, as a provider's words on another account.
fn as_seen(who: &Identity, money: Money) -> Money {
    if who.is(Duty::Operator) { money } else { money.for_others() }
}
