//! Who sends a request: a bearer token (JWT) of one issuer, its claims, and the roles that they give.
//!
//! A token says who a person is and which duties they have. The contract says whether they are a party of it. Recourse accepts
//! only signatures with a key pair. It compares the algorithm that a token names with the algorithm of its key.

use std::{collections::BTreeSet, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, get_current_timestamp};
use recourse_domain::{
    ids::Id,
    party::{Contract, Role},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{keys::Keys, problem::Problem};

/// The algorithms that a token may be signed with. All use key pairs, so that a program that checks tokens cannot sign them.
pub const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// How far the issuer's clock may differ from ours, in seconds.
const LEEWAY_SECONDS: u64 = 30;

/// How long Recourse accepts a token, at most, before it reads it again.
const BELIEVED_FOR_MAX: Duration = Duration::from_hours(24);

/// What a person does for the platform, besides being a party of contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Duty {
    /// The platform's own backend: it deposits, submits and ends contracts for its users, and reads everything.
    Service,
    /// Proposes resolutions.
    Mediator,
    /// Gives awards.
    Arbitrator,
    /// Runs the platform.
    Operator,
}

impl Duty {
    /// Every duty.
    pub const ALL: [Self; 4] = [Self::Service, Self::Mediator, Self::Arbitrator, Self::Operator];

    /// Its name in a token, unless the configuration gives another.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Mediator => "mediator",
            Self::Arbitrator => "arbitrator",
            Self::Operator => "operator",
        }
    }

    /// The role in which somebody with this duty gives commands.
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::Service => None,
            Self::Mediator => Some(Role::Mediator),
            Self::Arbitrator => Some(Role::Arbitrator),
            Self::Operator => Some(Role::Operator),
        }
    }
}

/// A person, as their token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The token's subject: the id of a party or of a person of the platform.
    pub subject: Id,
    /// As which parties they act: themselves, and the agencies that they own.
    pub parties: BTreeSet<Id>,
    /// Their duties.
    pub duties: BTreeSet<Duty>,
}

impl Identity {
    /// Whether they have this duty.
    pub fn is(&self, duty: Duty) -> bool {
        self.duties.contains(&duty)
    }

    /// The roles that they have in this contract: one side's, or those of their duties. Nobody judges their own case, and
    /// nobody is on both sides (E14). A person who acts for both sides is on the side where the contract names them, and on
    /// none if it names them on neither.
    pub fn roles_in(&self, contract: &Contract) -> BTreeSet<Role> {
        let agency = contract.freelancer.agency.as_ref().map(|agency| &agency.id);
        let freelancer = |id: &Id| *id == contract.freelancer.id || agency == Some(id);
        let sides = (self.parties.contains(&contract.client.id), self.parties.iter().any(freelancer));
        match sides {
            (false, false) => self.duties.iter().filter_map(|duty| duty.role()).collect(),
            (true, false) => [Role::Client].into(),
            (false, true) => [Role::Freelancer].into(),
            (true, true) if self.subject == contract.client.id => [Role::Client].into(),
            (true, true) if freelancer(&self.subject) => [Role::Freelancer].into(),
            (true, true) => BTreeSet::new(),
        }
    }

    /// Whether they are on a side of this contract, or act for a person who is.
    pub fn is_party_of(&self, contract: &Contract) -> bool {
        self.parties.iter().any(|party| contract.has_party(party))
    }

    /// Whether they act for the platform in this contract, and so for neither side (E14).
    pub fn serves(&self, contract: &Contract) -> bool {
        self.is(Duty::Service) && !self.is_party_of(contract)
    }

    /// A contract as they may see it. A party does not see the other side's email address. Neither do mediators and
    /// arbitrators.
    pub fn shown(&self, mut contract: Contract, roles: &BTreeSet<Role>) -> Contract {
        let all = self.serves(&contract) || roles.contains(&Role::Operator);
        if !all && !roles.contains(&Role::Client) {
            contract.client.email = None;
        }
        if !all && !roles.contains(&Role::Freelancer) {
            contract.freelancer.email = None;
        }
        contract
    }

    /// The id under which they give commands in this role: the party's as the contract has it, or their own.
    pub fn id_as(&self, role: Role, contract: &Contract) -> Id {
        match role {
            Role::Client => contract.client.id.clone(),
            Role::Freelancer if self.parties.contains(&contract.freelancer.id) => contract.freelancer.id.clone(),
            Role::Freelancer => {
                contract.freelancer.agency.as_ref().map_or_else(|| self.subject.clone(), |agency| agency.id.clone())
            }
            _ => self.subject.clone(),
        }
    }
}

/// How Recourse reads tokens.
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// The issuer that tokens must have.
    pub issuer: String,
    /// The audience that tokens must have.
    pub audience: String,
    /// The claim with a person's duties: a list, or words in a string.
    pub duties_claim: String,
    /// The duties by the issuer's names for them.
    pub duty_names: Vec<(String, Duty)>,
    /// The claim with the ids of further parties for whom a person acts.
    pub parties_claim: String,
}

impl TokenRules {
    /// Rules with the default names of duties.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            duties_claim: "roles".to_owned(),
            duty_names: Duty::ALL.map(|duty| (duty.name().to_owned(), duty)).to_vec(),
            parties_claim: "parties".to_owned(),
        }
    }

    fn identity(&self, claims: &Claims) -> Result<Identity, Problem> {
        let subject = Id::new(&claims.sub)
            .map_err(|_| Problem::unauthenticated("the token's subject is not an id that anybody can have here"))?;
        let listed = |claim: &str| claims.more.get(claim).map(words).unwrap_or_default();
        let duties = listed(&self.duties_claim);
        let mut parties: BTreeSet<Id> =
            listed(&self.parties_claim).iter().filter_map(|party| Id::new(party).ok()).collect();
        parties.insert(subject.clone());
        let duties = self.duty_names.iter().filter(|(name, _)| duties.contains(name)).map(|(_, duty)| *duty).collect();
        Ok(Identity { subject, parties, duties })
    }
}

/// A list of strings, or the words of a string.
fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    /// In seconds since 1970, with or without a fraction.
    #[serde(default)]
    exp: f64,
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// Reads tokens.
#[derive(Debug, Clone)]
pub struct Tokens {
    rules: TokenRules,
    keys: Keys,
}

impl Tokens {
    /// Accepts tokens that one of these keys has signed.
    pub const fn new(rules: TokenRules, keys: Keys) -> Self {
        Self { rules, keys }
    }

    /// The keys that check the tokens.
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The person whom a token names.
    ///
    /// # Errors
    /// A problem of status 401 that says what is wrong with the token, or 503 if the issuer's keys are not available.
    pub async fn read(&self, token: &str) -> Result<Identity, Problem> {
        self.read_for(token).await.map(|(who, _)| who)
    }

    /// The person whom a token names, and how much longer the token is valid.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_for(&self, token: &str) -> Result<(Identity, Duration), Problem> {
        let header = decode_header(token).map_err(|_| Problem::unauthenticated("the token is not a signed JWT"))?;
        if !ALGORITHMS.contains(&header.alg) {
            let known = ALGORITHMS.map(|algorithm| format!("{algorithm:?}")).join(", ");
            return Err(Problem::unauthenticated(format!("{:?} is not taken; sign with {known}", header.alg)));
        }
        let key = self.keys.find(header.kid.as_deref(), header.alg).await?;
        let key = DecodingKey::from_jwk(&key)
            .map_err(|_| Problem::unauthenticated("the issuer's key for this token cannot be used"))?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.rules.issuer]);
        validation.set_audience(&[&self.rules.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims = decode::<Claims>(token, &key, &validation)
            .map_err(|error| Problem::unauthenticated(format!("the token cannot be believed: {error}")))?;
        let who = self.rules.identity(&claims.claims)?;
        let ends = Duration::try_from_secs_f64(claims.claims.exp.max(0.0)).unwrap_or(Duration::MAX);
        let ends = ends.saturating_add(Duration::from_secs(LEEWAY_SECONDS));
        let believed_for = ends.saturating_sub(Duration::from_secs(get_current_timestamp()));
        Ok((who, believed_for.min(BELIEVED_FOR_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use recourse_domain::party::Contract;
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        serde_json::from_value(value).unwrap()
    }

    fn contract() -> Contract {
        serde_json::from_value(json!({
            "id": "c-1", "kind": "fixed_price", "currency": "USD", "client": {"id": "cl-1"},
            "freelancer": {"id": "fl-1", "agency": {"id": "ag-1"}}
        }))
        .unwrap()
    }

    #[test]
    fn claims_decide_parties_and_duties() {
        let rules = TokenRules {
            duty_names: vec![("dispute-team".into(), Duty::Mediator), ("ops".into(), Duty::Operator)],
            ..TokenRules::new("https://issuer.example", "recourse")
        };
        for (given, roles, acts_as) in [
            (json!({"sub": "cl-1"}), vec![Role::Client], "cl-1"),
            (json!({"sub": "fl-1"}), vec![Role::Freelancer], "fl-1"),
            (json!({"sub": "u-9", "parties": ["ag-1"]}), vec![Role::Freelancer], "ag-1"),
            (json!({"sub": "m-1", "roles": "dispute-team other"}), vec![Role::Mediator], "m-1"),
            (json!({"sub": "o-1", "roles": ["ops"]}), vec![Role::Operator], "o-1"),
            (json!({"sub": "x-1", "roles": ["mediator", "operator"]}), vec![], ""),
            (json!({"sub": "x-1", "roles": {"mediator": true}}), vec![], ""),
        ] {
            let identity = rules.identity(&claims(given.clone())).unwrap();
            let found: Vec<Role> = identity.roles_in(&contract()).into_iter().collect();
            assert_eq!(found, roles, "{given}");
            if let Some(role) = found.first() {
                assert_eq!(identity.id_as(*role, &contract()).as_str(), acts_as, "{given}");
            }
        }
        assert_eq!(rules.identity(&claims(json!({"sub": "no id"}))).unwrap_err().status, 401);
    }

    /// E14: a person on a side has only that side's role, however they got there and whatever duties they have elsewhere.
    #[test]
    fn nobody_has_both_a_side_and_a_duty_or_two_sides() {
        let rules = TokenRules::new("https://issuer.example", "recourse");
        for (subject, parties, role) in [
            ("cl-1", vec![], Some(Role::Client)),
            ("fl-1", vec![], Some(Role::Freelancer)),
            ("ag-1", vec![], Some(Role::Freelancer)),
            ("u-9", vec!["cl-1"], Some(Role::Client)),
            ("u-9", vec!["fl-1"], Some(Role::Freelancer)),
            ("u-9", vec!["ag-1"], Some(Role::Freelancer)),
            ("cl-1", vec!["ag-1"], Some(Role::Client)),
            ("fl-1", vec!["cl-1"], Some(Role::Freelancer)),
            ("ag-1", vec!["cl-1"], Some(Role::Freelancer)),
            ("u-9", vec!["cl-1", "fl-1"], None),
        ] {
            let all = ["mediator", "arbitrator", "operator", "service"];
            let identity = rules.identity(&claims(json!({"sub": subject, "roles": all, "parties": parties}))).unwrap();
            assert_eq!(identity.roles_in(&contract()), role.into_iter().collect(), "{subject} {parties:?}");
            assert!(identity.is_party_of(&contract()) && !identity.serves(&contract()), "{subject} {parties:?}");
        }
    }
}
