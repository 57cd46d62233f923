//! What people read besides contracts and cases: their notices, and the default policy of cases.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use recourse_domain::{ids::Id, party::Role, policy::Policy};
use recourse_notifications::notices::NoticeFilter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Front, Problems,
    extract::{Caller, QueryParams},
    identity::{Duty, Identity},
    lists::{Limit, Page, position},
    openapi::Schemas,
    problem::Problem,
};

/// A notice.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ShownNotice {
    /// Its place among all notices; later ones are larger.
    pub number: String,
    /// The case that it is about.
    pub case: String,
    /// The contract.
    pub contract: String,
    /// The role of the recipient.
    pub to: Role,
    /// What happened.
    pub event: String,
    /// By which rule.
    pub rule: String,
    /// When, in the case's time.
    pub at: String,
    /// By when something can be done.
    pub deadline: Option<String>,
    /// In a line.
    pub subject: String,
    /// What happened, what can be done, by when, and what silence does.
    pub text: String,
}

/// Its operations.
pub fn routes() -> OpenApiRouter<Front> {
    OpenApiRouter::new().routes(routes!(notices)).routes(routes!(policy))
}

/// Their schemas.
pub fn schemas(schemas: &mut Schemas) {
    schemas.add::<ShownNotice>();
    schemas.add::<Policy>();
    schemas.page::<ShownNotice>("NoticePage");
}

/// Lists your notices in the app, newest first.
#[utoipa::path(
    get, path = "/v1/notices", tag = "reading", params(Limit),
    responses((status = 200, description = "A page of them.", body = ref("#/components/schemas/NoticePage")), Problems)
)]
pub async fn notices(
    State(front): State<Front>,
    Caller(who): Caller,
    QueryParams(page): QueryParams<Limit>,
) -> Result<Response, Problem> {
    Ok(Json(front.told(&who, &page).await?).into_response())
}

/// Shows the policy that a case has if its start brings none.
#[utoipa::path(
    get, path = "/v1/policy", tag = "reading",
    responses((status = 200, description = "The default policy.", body = ref("#/components/schemas/Policy")), Problems)
)]
pub async fn policy(_who: Caller) -> Response {
    Json(Policy::default()).into_response()
}

impl Front {
    /// A person's notices, newest first.
    ///
    /// # Errors
    /// If the notices cannot be read.
    pub async fn told(&self, who: &Identity, page: &Limit) -> Result<Page<ShownNotice>, Problem> {
        let before = page.after().map(position).transpose()?;
        let limit = page.limit();
        let mut found = Vec::new();
        for filter in filters(who) {
            found.extend(self.notices().latest(&filter, before, limit + 1).await?);
        }
        found.sort_by_key(|notice| std::cmp::Reverse(notice.sequence));
        let mut items: Vec<ShownNotice> = found
            .into_iter()
            .map(|notice| ShownNotice {
                number: notice.sequence.to_string(),
                case: notice.case,
                contract: notice.contract,
                to: notice.recipient,
                event: notice.event,
                rule: notice.rule,
                at: notice.at,
                deadline: notice.deadline,
                subject: notice.subject,
                text: notice.text,
            })
            .collect();
        items.dedup_by(|one, other| one.number == other.number);
        let next = Page::cut(&mut items, limit, |last| last.number.clone());
        self.without_duties_in_own_cases(who, &mut items).await?;
        Ok(Page { items, next })
    }

    /// Mediators, arbitrators and operators do not get notices about a contract of which they are on a side (E14).
    async fn without_duties_in_own_cases(&self, who: &Identity, items: &mut Vec<ShownNotice>) -> Result<(), Problem> {
        let mut own = BTreeMap::new();
        for notice in items.iter().filter(|notice| notice.to.judges()) {
            if !own.contains_key(&notice.contract) {
                let contract = match Id::new(&notice.contract) {
                    Ok(contract) => self.ledger().contract(&contract).await?,
                    Err(_) => None,
                };
                own.insert(notice.contract.clone(), contract.is_some_and(|contract| who.is_party_of(&contract)));
            }
        }
        items.retain(|notice| !notice.to.judges() || !own[&notice.contract]);
        Ok(())
    }
}

/// Notices to them as parties, and to the roles of their duties.
fn filters(who: &Identity) -> Vec<NoticeFilter> {
    let to_party = |party: &Id| NoticeFilter { party: Some(party.clone()), ..NoticeFilter::default() };
    let roles = who.duties.iter().filter_map(|duty: &Duty| duty.role());
    let to_roles = roles.map(|role| NoticeFilter { recipient: Some(role), ..NoticeFilter::default() });
    who.parties.iter().map(to_party).chain(to_roles).collect()
}
