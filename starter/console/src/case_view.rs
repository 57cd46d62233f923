//! A case as somebody sees it, for its page and for the forms about it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use recourse_api::{
    Front,
    identity::{Duty, Identity},
    problem::Problem,
};
use recourse_client::Money;
use recourse_domain::{evidence::Evidence, messages::Status, money::Amount, party::Role};

use super::{
    acts::Act,
    files,
    parts::{self, People},
    query::in_query,
};

/// A case as somebody sees it.
#[derive(Debug, Clone)]
pub struct CaseView {
    /// Its status.
    pub status: Status,
    /// What is known of its money.
    pub money: Money,
    /// Their roles in it.
    pub roles: BTreeSet<Role>,
    /// The case's own time.
    pub now: Timestamp,
    /// What people are called in it.
    pub people: People,
    /// What the contract is called.
    pub title: String,
    /// Its history in Temporal's Web UI, for operators.
    pub history: Option<String>,
    /// What their side has uploaded.
    pub files: Vec<Evidence>,
}

impl CaseView {
    /// Looks at a case.
    ///
    /// # Errors
    /// As [`Front::status`].
    pub async fn at(front: &Front, who: &Identity, case: &str) -> Result<Self, Problem> {
        let (seen, status) = front.status(who, case).await?;
        let now = front.client().virtual_now(case).await?;
        let money = front.money(who, case, &status).await?;
        let title = seen.contract.as_ref().map(|contract| contract.title.trim()).unwrap_or_default();
        let title = if title.is_empty() { status.contract.to_string() } else { title.to_owned() };
        let history = if who.is(Duty::Operator) { history_of(front, case) } else { None };
        let people = People::of(seen.contract.as_ref());
        let files = files::of_side(front, &status.contract, &seen.roles).await?;
        Ok(Self { status, money, roles: seen.roles, now, people, title, history, files })
    }

    /// Everything that its viewer can do now.
    pub fn acts(&self) -> Vec<Act> {
        self.roles.iter().flat_map(|role| Act::all(&self.status, *role)).collect()
    }

    /// What the case is called.
    pub fn name(&self) -> String {
        format!("{}: {}", parts::kind(self.status.kind), self.title)
    }

    /// What tells a newer status from this one.
    pub fn version(&self) -> String {
        version(&self.status)
    }

    /// An amount in the case's currency.
    pub fn show(&self, amount: Amount) -> String {
        self.status.currency.show(amount)
    }
}

/// Where a case's history is in Temporal's Web UI.
pub fn history_of(front: &Front, case: &str) -> Option<String> {
    let ui = front.temporal_ui()?.trim_end_matches('/');
    let id = in_query(case).replace('/', "%2F");
    Some(format!("{ui}/namespaces/{}/workflows/{id}", front.client().namespace()))
}

/// How much has happened: it only grows, so that an older status is never taken for news.
pub fn version(status: &Status) -> String {
    let omitted = usize::try_from(status.refusals_omitted).unwrap_or_default();
    (status.timeline.len() + omitted).to_string()
}
