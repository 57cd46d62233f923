//! Lists of cases, as tables.

use jiff::Timestamp;
use maud::{Markup, html};
use recourse_api::{
    Front,
    cases::seen_by,
    identity::Identity,
    lists::{LIMIT_MAX, Limit, Page},
    problem::Problem,
};
use recourse_client::{
    CaseRow, Filters,
    words::{roles, words},
};
use recourse_domain::{
    ids::{CaseKind, Id},
    party::Role,
    stage::Stage,
};

use super::parts::{self, case_path, label, moment, time};

/// The kinds of cases that people answer. A contract's money shows its deposits.
const KINDS: [CaseKind; 4] =
    [CaseKind::MilestoneReview, CaseKind::RefundRequest, CaseKind::Dispute, CaseKind::PaymentRefund];

/// The cases that this person may see: of one contract or of all, open, closed or both.
///
/// # Errors
/// If they cannot be listed.
pub async fn cases(
    front: &Front,
    who: &Identity,
    contract: Option<&Id>,
    open: Option<bool>,
    page: &Limit,
) -> Result<Page<CaseRow>, Problem> {
    listed(front, Filters { contract: contract.cloned(), open, ..theirs(front, who).await? }, page).await
}

/// The open cases that wait for this person as a party, the most urgent first: the newest for each of their roles.
///
/// # Errors
/// If they cannot be listed.
pub async fn turn(front: &Front, who: &Identity) -> Result<Page<CaseRow>, Problem> {
    let (mut items, mut next) = (Vec::new(), None);
    for role in Role::PARTIES {
        let filters = Filters { waiting_on: Some(role), open: Some(true), ..theirs(front, who).await? };
        let page = listed(front, filters, &Limit::new(LIMIT_MAX, None)).await?;
        items.extend(page.items.into_iter().filter(|row| waits_for(row, who)));
        next = next.or(page.next);
    }
    by_urgency(&mut items);
    items.dedup_by(|one, other| one.case == other.case);
    Ok(Page { items, next })
}

/// The open cases that wait for this role, the most urgent of the page first.
///
/// # Errors
/// If they cannot be listed.
pub async fn queue(front: &Front, role: Role, page: &Limit) -> Result<Page<CaseRow>, Problem> {
    let filters = Filters { kinds: KINDS.to_vec(), waiting_on: Some(role), open: Some(true), ..Filters::default() };
    let mut queue = listed(front, filters, page).await?;
    by_urgency(&mut queue.items);
    Ok(queue)
}

/// A page of the cases that fit `filters`.
///
/// # Errors
/// If they cannot be listed.
pub async fn listed(front: &Front, filters: Filters, page: &Limit) -> Result<Page<CaseRow>, Problem> {
    let filters = Filters { limit: Some(page.limit()), ..filters };
    let listed = front.client().list(&filters, page.after()).await?;
    Ok(Page { items: listed.cases, next: listed.next })
}

async fn theirs(front: &Front, who: &Identity) -> Result<Filters, Problem> {
    seen_by(front, who, Filters { kinds: KINDS.to_vec(), ..Filters::default() }).await
}

/// Sorts by deadline; those without one are last.
pub fn by_urgency(rows: &mut [CaseRow]) {
    rows.sort_by_key(|row| (row.deadline.is_none(), row.deadline, row.started_at));
}

/// Whether a case waits for this person as one of its parties.
pub fn waits_for(row: &CaseRow, who: &Identity) -> bool {
    let is = |party: Option<&String>| party.is_some_and(|party| who.parties.iter().any(|own| own.as_str() == party));
    row.waiting_on.iter().any(|role| match role {
        Role::Client => is(row.client.as_ref()),
        // The list has only the freelancer. A person who sees the case without a duty and is not its client acts for an agency.
        Role::Freelancer => is(row.freelancer.as_ref()) || (who.duties.is_empty() && !is(row.client.as_ref())),
        _ => false,
    })
}

/// A table of cases. `id` names it for its heading on the page.
pub fn table(rows: &[CaseRow], who: &Identity, caption: &str) -> Markup {
    let now = Timestamp::now();
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption.hidden { (caption) }
                thead { tr {
                    th scope="col" { "Case" } th scope="col" { "Contract" } th scope="col" { "Stage" }
                    th scope="col" { "Waits for" } th scope="col" { "Until" } th.number scope="col" { "Held" }
                } }
                tbody { @for row in rows { (self::row(row, who, now)) } }
            }
        }
    }
}

fn row(row: &CaseRow, who: &Identity, now: Timestamp) -> Markup {
    let kind = row.kind.map_or("Case", parts::kind);
    let held = row.held.zip(row.currency).filter(|(held, _)| !held.is_zero());
    html! {
        tr {
            th scope="row" { a href=(case_path(&row.case)) { (kind) } }
            td { @if let Some(contract) = &row.contract { a href={ "/contracts/" (contract) } { (contract) } } }
            td { (stage(row)) @if row.overdue && row.open { " " strong.late { "Overdue" } } }
            td { @if waits_for(row, who) { strong { "you" } } @else { (roles(&row.waiting_on)) } }
            td {
                @if let (true, Some(deadline)) = (row.open, row.deadline) {
                    // The deadline of an advanced case may lie after the wall clock's time.
                    @if deadline > now { (moment(deadline, now)) } @else { (time(deadline)) }
                }
            }
            td.number { @if let Some((held, currency)) = held { (currency.show(held)) } }
        }
    }
}

/// The stage in words; for a closed case also how it ended.
fn stage(row: &CaseRow) -> String {
    let stage = label(row.stage.map_or("unknown", Stage::name));
    match &row.outcome {
        Some(outcome) => format!("{stage}: {}", words(outcome)),
        None if !row.open && stage != "Closed" => {
            format!("Stopped in {}", words(row.stage.map_or("an unknown stage", Stage::name)))
        }
        None => stage,
    }
}
