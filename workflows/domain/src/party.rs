//! The contract, its parties, and who sends a command.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ids::Id, money::Currency, rule::Rule};

/// The agreement between a client and a freelancer (E1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a contract: an object with `id`, `kind`, `currency`, `client` and `freelancer`")]
pub struct Contract {
    /// Its id.
    pub id: Id,
    /// What people call it.
    #[serde(default)]
    pub title: String,
    /// How it is paid.
    pub kind: ContractKind,
    /// The one currency of all its money.
    pub currency: Currency,
    /// Who pays.
    pub client: Party,
    /// Who works; their agency is paid, if there is one.
    pub freelancer: Party,
}

/// How a contract is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContractKind {
    /// By milestones.
    FixedPrice,
    /// A project from the catalog; counts as fixed-price.
    ProjectCatalog,
    /// A consultation; counts as fixed-price.
    Consultation,
    /// By the hour; refused (E1).
    Hourly,
}

/// One side of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a party: an object with an `id`")]
pub struct Party {
    /// Its id.
    pub id: Id,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it reads email.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Who is paid for a freelancer's work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agency: Option<Agency>,
}

/// An agency that is paid for a freelancer's work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an agency: an object with an `id`")]
pub struct Agency {
    /// Its id.
    pub id: Id,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Party {
    /// The name, or the id if there is none.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(self.id.as_str())
    }
}

/// The sender id of the command by which a contract's end supersedes reviews (E11). No party may have it (E14).
pub const CONTRACT_END: &str = "contract-end";

impl Contract {
    /// Whether `id` is one of this contract's sides: the client, the freelancer, or the agency that is paid.
    pub fn has_party(&self, id: &Id) -> bool {
        self.parties().any(|party| party == id)
    }

    /// The ids of this party's side: a freelancer's side has their own id and their agency's.
    pub fn ids_of(&self, side: Role) -> impl Iterator<Item = &Id> {
        let agency = self.freelancer.agency.as_ref().map(|agency| &agency.id);
        let (own, agency) = match side {
            Role::Client => (Some(&self.client.id), None),
            Role::Freelancer => (Some(&self.freelancer.id), agency),
            Role::Mediator | Role::Arbitrator | Role::Operator => (None, None),
        };
        own.into_iter().chain(agency)
    }

    fn parties(&self) -> impl Iterator<Item = &Id> {
        Role::PARTIES.into_iter().flat_map(|side| self.ids_of(side))
    }

    /// Whether its two sides differ, and no side has an id that cases use among themselves (E14).
    ///
    /// # Errors
    /// The reason in words. Callers check this when a deposit or a case begins, not when they read a case: cases from before
    /// E14 continue.
    pub fn check_sides(&self) -> Result<(), String> {
        let agency = self.freelancer.agency.as_ref().map(|agency| &agency.id);
        if agency == Some(&self.client.id) {
            return Err(format!(
                "contract: {} is the client and the agency that is paid; nobody is on both sides",
                self.client.id
            ));
        }
        match self.parties().find(|party| party.as_str() == CONTRACT_END) {
            Some(party) => Err(format!("contract: {party} is no party's id; cases speak to each other by it")),
            None => Ok(()),
        }
    }

    /// Whether Recourse handles this contract (E1).
    ///
    /// # Errors
    /// The reason in words, with the rule. Nothing has moved; the start is refused.
    pub fn check(&self) -> Result<(), (Rule, String)> {
        if self.kind == ContractKind::Hourly {
            return Err((
                Rule::E1,
                "an hourly contract has no escrow; only fixed-price, project-catalog and consultation contracts do"
                    .into(),
            ));
        }
        if self.client.id == self.freelancer.id {
            return Err((Rule::E1, format!("client and freelancer are the same party, {}", self.client.id)));
        }
        if self.client.agency.is_some() {
            return Err((Rule::E1, "only a freelancer can have an agency".into()));
        }
        let texts = [
            Some(&self.title),
            self.client.name.as_ref(),
            self.freelancer.name.as_ref(),
            self.client.email.as_ref(),
            self.freelancer.email.as_ref(),
            self.freelancer.agency.as_ref().and_then(|agency| agency.name.as_ref()),
        ];
        if texts.into_iter().flatten().any(|text| text.chars().count() > 200) {
            return Err((Rule::E1, "a title, name or email is at most 200 characters".into()));
        }
        Ok(())
    }

    /// The party with this role, if it is a role of a party.
    pub fn party(&self, role: Role) -> Option<&Party> {
        match role {
            Role::Client => Some(&self.client),
            Role::Freelancer => Some(&self.freelancer),
            Role::Mediator | Role::Arbitrator | Role::Operator => None,
        }
    }
}

/// In what capacity a person acts in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Who pays.
    Client,
    /// Who works, or their agency's owner.
    Freelancer,
    /// Proposes a non-binding resolution.
    Mediator,
    /// Gives the award.
    Arbitrator,
    /// Runs the platform.
    Operator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Client, Self::Freelancer, Self::Mediator, Self::Arbitrator, Self::Operator];
    /// The two parties of a contract.
    pub const PARTIES: [Self; 2] = [Self::Client, Self::Freelancer];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Freelancer => "freelancer",
            Self::Mediator => "mediator",
            Self::Arbitrator => "arbitrator",
            Self::Operator => "operator",
        }
    }

    /// The party on the other side of the contract, for a party.
    pub const fn other_party(self) -> Option<Self> {
        match self {
            Self::Client => Some(Self::Freelancer),
            Self::Freelancer => Some(Self::Client),
            Self::Mediator | Self::Arbitrator | Self::Operator => None,
        }
    }
}

impl Role {
    /// Whether a person in this role acts for the platform or gives the award. Such a person may not be a party (E14).
    pub const fn judges(self) -> bool {
        matches!(self, Self::Mediator | Self::Arbitrator | Self::Operator)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who sends a command: a role and an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with a `party` and an `id`")]
pub struct Actor {
    /// In which role.
    pub party: Role,
    /// Who; for a party of the contract its id there (for an agency's owner, the freelancer's or the agency's).
    pub id: Id,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.party, self.id)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// E1: the two parties differ, only the freelancer may have an agency, and names have a limited length.
    #[test]
    fn a_contract_is_between_a_client_and_a_freelancer() {
        let contract = |path: &str, value: Value| {
            let mut contract = json!({
                "id": "c-1", "title": "Logo", "kind": "fixed_price", "currency": "USD",
                "client": {"id": "cl-1", "name": "Cleo", "email": "c@example.com", "agency": null},
                "freelancer": {"id": "fl-1", "name": "Finn", "email": "f@example.com", "agency": {"id": "ag-1", "name": "A"}},
            });
            *contract.pointer_mut(path).unwrap() = value;
            serde_json::from_value::<Contract>(contract)
                .unwrap()
                .check()
                .map_err(|(rule, reason)| format!("{rule} {reason}"))
        };
        let (longest, too_long) = (json!("é".repeat(200)), json!("é".repeat(201)));
        let texts = [
            "/title",
            "/client/name",
            "/client/email",
            "/freelancer/name",
            "/freelancer/email",
            "/freelancer/agency/name",
        ];
        for path in texts {
            assert_eq!(contract(path, longest.clone()), Ok(()), "{path}");
            assert!(contract(path, too_long.clone()).unwrap_err().contains("at most 200"), "{path}");
        }
        for (path, value, word) in [
            ("/kind", json!("hourly"), "hourly"),
            ("/freelancer/id", json!("cl-1"), "the same party, cl-1"),
            ("/client/agency", json!({"id": "ag-2"}), "only a freelancer"),
        ] {
            let error = contract(path, value).unwrap_err();
            assert!(error.starts_with("E1 ") && error.contains(word), "{error}");
        }
    }
}
