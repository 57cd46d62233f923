//! A contract as one person sees it, for its page and its forms.

use std::collections::BTreeSet;

use maud::{Markup, html};
use recourse_api::{Front, identity::Identity, problem::Problem};
use recourse_client::Money;
use recourse_domain::{
    ids::Id,
    money::Amount,
    party::{Contract, Role},
};
use recourse_ledger::{FreeMoney, Grounded, History, OpenHold};

use super::parts::{People, case_path};

/// A contract as one person sees it.
#[derive(Debug, Clone)]
pub struct ContractView {
    /// The contract.
    pub contract: Contract,
    /// Their roles in it.
    pub roles: BTreeSet<Role>,
    /// What happened to its money.
    pub history: Option<History>,
    /// What is known of each movement.
    pub money: Money,
    /// The cases that hold some of its escrow.
    pub holds: Vec<OpenHold>,
    /// The part of its escrow that is in no case.
    pub unheld: Vec<FreeMoney>,
    /// The possible grounds of a dispute.
    pub grounds: Grounded,
    /// The names of its people.
    pub people: People,
}

impl ContractView {
    /// Reads a contract.
    ///
    /// # Errors
    /// As [`Front::contract`].
    pub async fn at(front: &Front, who: &Identity, id: &str) -> Result<Self, Problem> {
        let unknown = || Problem::not_found("there is no such contract of yours");
        let id = Id::new(id).map_err(|_| unknown())?;
        let (contract, roles) = front.contract(who, &id).await?;
        let (history, money) = front.money_of_contract(who, &id).await?;
        let holds = front.ledger().holds(&id).await?;
        let unheld = front.ledger().free_money(&contract).await?;
        let grounds = front.ledger().grounds(&id).await?;
        let people = People::of(Some(&contract));
        Ok(Self { contract, roles, history, money, holds, unheld, grounds, people })
    }

    /// The contract's title.
    pub fn title(&self) -> &str {
        let title = self.contract.title.trim();
        if title.is_empty() { self.contract.id.as_str() } else { title }
    }

    /// The money that its end would be about: the escrow, without what other cases hold. The end takes over a review's money
    /// (E11).
    pub fn free(&self) -> Amount {
        let escrow = self.history.as_ref().map_or(0, |history| history.balances.escrow);
        let elsewhere: i64 = self
            .holds
            .iter()
            .filter(|hold| !hold.case.starts_with("milestone-review:"))
            .map(|hold| hold.amount.minor())
            .sum();
        Amount::new((escrow - elsewhere).max(0)).unwrap_or_default()
    }

    /// An amount in the contract's currency.
    pub fn show(&self, amount: Amount) -> String {
        self.contract.currency.show(amount)
    }
}

/// The cases that hold the escrow, with links to them.
pub fn held_in_cases(seen: &ContractView) -> Markup {
    html! {
        @for hold in seen.holds.iter().filter(|hold| !hold.amount.is_zero()) {
            p { (seen.show(hold.amount)) " of the escrow is held by " a href=(case_path(&hold.case_ref)) { (hold.case_ref) } "." }
        }
    }
}
