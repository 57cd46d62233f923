//! A case as one person sees it, for its page and its forms.

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

/// A case as one person sees it.
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
    /// The names of its people.
    pub people: People,
    /// The contract's title.
    pub title: String,
    /// Its history in Temporal's Web UI, for operators.
    pub history: Option<String>,
    /// The files that their side has uploaded.
    pub files: Vec<Evidence>,
}

impl CaseView {
    /// Reads a case.
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

    /// The case's name.
    pub fn name(&self) -> String {
        format!("{}: {}", parts::kind(self.status.kind), self.title)
    }

    /// A value that grows with each change of the status.
    pub fn version(&self) -> String {
        version(&self.status)
    }

    /// An amount in the case's currency.
    pub fn show(&self, amount: Amount) -> String {
        self.status.currency.show(amount)
    }
}

/// The case's history in Temporal's Web UI.
pub fn history_of(front: &Front, case: &str) -> Option<String> {
    let ui = front.temporal_ui()?.trim_end_matches('/');
    let id = in_query(case).replace('/', "%2F");
    Some(format!("{ui}/namespaces/{}/workflows/{id}", front.client().namespace()))
}

/// How much has happened. It only grows, so that an older status never looks new.
pub fn version(status: &Status) -> String {
    let omitted = usize::try_from(status.refusals_omitted).unwrap_or_default();
    (status.timeline.len() + omitted).to_string()
}
