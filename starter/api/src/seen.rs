//! A case as one person sees it: the roles in which they see it, and the ids under which they act in it.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use recourse_client::{CaseRow, ClientError};
use recourse_domain::{
    command::CommandKind,
    ids::{CaseKind, Id},
    party::{Contract, Role},
};

use super::{
    identity::{Duty, Identity},
    problem::Problem,
};

/// A case that somebody may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenCase {
    /// Its id.
    pub id: String,
    /// What it is about.
    pub kind: CaseKind,
    /// The contract, if money was ever deposited for it.
    pub contract: Option<Contract>,
    /// The roles that they have in it.
    pub roles: BTreeSet<Role>,
    acting: Vec<(Role, Id)>,
}

impl SeenCase {
    /// A case of a contract with a deposit.
    ///
    /// # Errors
    /// 404 if it is not theirs.
    pub(super) fn of_contract(who: &Identity, id: &str, kind: CaseKind, contract: Contract) -> Result<Self, Problem> {
        let acting = who.roles_in(&contract).into_iter().map(|role| (role, who.id_as(role, &contract))).collect();
        Self::acting(who.serves(&contract), id, kind, acting).map(|seen| Self { contract: Some(contract), ..seen })
    }

    /// A case of a contract without a deposit. Recourse knows only what the case's start said.
    ///
    /// # Errors
    /// 404 if it is not theirs.
    pub(super) fn of_row(who: &Identity, id: &str, kind: CaseKind, row: &CaseRow) -> Result<Self, Problem> {
        let acting = acting_by_row(who, row);
        let is_party = acting.iter().any(|(role, _)| !role.judges());
        Self::acting(who.is(Duty::Service) && !is_party, id, kind, acting)
    }

    fn acting(serves: bool, id: &str, kind: CaseKind, acting: Vec<(Role, Id)>) -> Result<Self, Problem> {
        let roles: BTreeSet<Role> = acting.iter().map(|(role, _)| *role).filter(|role| sees(*role, kind)).collect();
        if roles.is_empty() && !serves {
            return Err(unknown(id));
        }
        Ok(Self { id: id.to_owned(), kind, contract: None, roles, acting })
    }

    /// The role in which somebody gives this command.
    pub(super) fn role_for(&self, command_kind: CommandKind, wanted: Option<Role>) -> Result<Role, Problem> {
        let giving: Vec<Role> =
            self.roles.iter().copied().filter(|role| command_kind.givers(self.kind).contains(role)).collect();
        let their: Vec<&str> = self.roles.iter().map(|role| role.name()).collect();
        match (wanted, giving.as_slice()) {
            (Some(wanted), _) if !self.roles.contains(&wanted) => {
                let their = if their.is_empty() { "nobody".to_owned() } else { their.join(", ") };
                Err(Problem::forbidden(format!("you are not the {wanted} here; in this case you are {their}")))
            }
            // The case itself says why this role cannot give it.
            (Some(wanted), _) => Ok(wanted),
            (None, [role]) => Ok(*role),
            (None, []) => match self.roles.first() {
                Some(role) => Ok(*role),
                None => Err(Problem::forbidden("you give no commands; act with a party's own token")),
            },
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|role| role.name()).collect();
                let detail = format!("you can give {command_kind} as {}; say as which", names.join(" or "));
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", "As whom is not clear", detail)
                    .hint("send `as` in the body"))
            }
        }
    }

    pub(super) fn id_as(&self, role: Role, who: &Identity) -> Id {
        let found = self.acting.iter().find(|(acting, _)| *acting == role);
        found.map_or_else(|| who.subject.clone(), |(_, id)| id.clone())
    }
}

/// A case that does not exist, or is not theirs. The answer is the same for both.
pub(super) fn unknown(id: &str) -> Problem {
    Problem::not_found(format!("there is no case {id} of yours")).hint("list your cases")
}

/// The problem that a case does not answer.
pub(super) fn not_asked(error: ClientError, id: &str) -> Problem {
    if matches!(error, ClientError::NotFound { .. }) { unknown(id) } else { Problem::from(error) }
}

/// Who a person is in a case of a contract without a deposit: a party, or the role of their duty, never both (E14).
fn acting_by_row(who: &Identity, row: &CaseRow) -> Vec<(Role, Id)> {
    let side = |role: Role, id: &Option<String>| {
        let id = Id::new(id.as_deref()?).ok()?;
        who.parties.contains(&id).then_some((role, id))
    };
    match (side(Role::Client, &row.client), side(Role::Freelancer, &row.freelancer)) {
        (None, None) => {
            let roles = who.duties.iter().filter_map(|duty| duty.role());
            roles.map(|role| (role, who.subject.clone())).collect()
        }
        (Some(client), Some(freelancer)) => {
            [client, freelancer].into_iter().filter(|(_, id)| *id == who.subject).collect()
        }
        (client, freelancer) => client.into_iter().chain(freelancer).collect(),
    }
}

/// Whether this role sees cases of this kind. Arbitrators see the kinds that may come to them.
fn sees(role: Role, kind: CaseKind) -> bool {
    role != Role::Arbitrator || kind == CaseKind::Dispute
}
