//! The operators' page: how many cases are in each stage, what is overdue, money that did not arrive, and whether the ledger is
//! sound.

use std::collections::BTreeMap;

use axum::{extract::State, http::StatusCode, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};
use recourse_api::{
    Front,
    lists::{Limit, Page},
    problem::Problem,
};
use recourse_client::{CaseRow, Filters, Money, money::Movement};
use recourse_domain::{
    ids::{CaseKind, case_of_posting},
    stage::Stage,
};
use recourse_ledger::{CheckReport, TrackedRefund};
use recourse_refunds::Only;

use super::{
    case_view::history_of,
    lists,
    pages::Pages,
    parts::{self, case_path, label, moment, money},
    place::Mishap,
    refunds,
    session::{Visit, only_operators},
    told,
};

/// How many open cases it counts. If there are more, Temporal's own list counts better.
const COUNTED_MAX: u32 = 1_000;

/// For how many cases of a stage it asks whether a worker tries their money again.
const LOOKED_AT_MAX: u32 = 50;

/// Shows the page.
pub async fn show(State(front): State<Front>, visit: Visit) -> Result<Response, Mishap> {
    only_operators(&visit)?;
    let filters = Filters { open: Some(true), limit: Some(COUNTED_MAX), ..Filters::default() };
    let page = front.client().list(&filters, None).await?;
    let pages = visit.pages();
    let refunds = front.refunds(visit.who(), None, Only::Open, &pages.page("refunds")).await?;
    let told = front.told(visit.who(), &pages.page("notices")).await?;
    let filters = Filters { overdue: true, open: Some(true), ..Filters::default() };
    let overdue = lists::listed(&front, filters, &pages.page("overdue")).await?;
    let filters = Filters { open: Some(true), ..Filters::default() };
    let open = lists::listed(&front, filters, &pages.page("histories")).await?;
    let stuck = front.money_tried_again(&may_be_stuck(&front).await?).await?;
    let body = html! {
        h1 { "Operations" }
        (tried_again(&stuck))
        (counts(&page.cases, page.next.is_some()))
        section.card aria-labelledby="overdue" {
            h2 #overdue { "Overdue cases" }
            @if overdue.items.is_empty() { (pages.nothing("overdue", "None.")) } @else {
                (lists::table(&overdue.items, visit.who(), "Overdue cases"))
            }
            (pages.links("overdue", "overdue cases", overdue.next.as_deref()))
        }
        (on_their_way(&refunds, &pages))
        section.card aria-labelledby="ledger" {
            h2 #ledger { "Ledger" }
            p { a.button href="/operator/ledger" { "Check the whole ledger" } }
            p.small { "It is read from the beginning, which takes a while if it is long." }
        }
        (histories(&front, &open, &pages))
        (told::notices(&told, &pages))
    };
    Ok(visit.wide(StatusCode::OK, "Operations", &body))
}

/// The newest open cases in each of the stages in which money may be under way.
async fn may_be_stuck(front: &Front) -> Result<Vec<CaseRow>, Problem> {
    let mut rows = Vec::new();
    for (kinds, stage) in [
        (Vec::new(), Stage::Settling),
        (vec![CaseKind::RefundRequest], Stage::AwaitingFreelancer),
        (vec![CaseKind::Dispute], Stage::AwaitingArbitrationDemand),
    ] {
        let filters = Filters { kinds, stage: Some(stage), open: Some(true), ..Filters::default() };
        rows.extend(lists::listed(front, filters, &Limit::new(LOOKED_AT_MAX, None)).await?.items);
    }
    Ok(rows)
}

/// Money that a case has ordered and that does not move (L9).
fn tried_again(stuck: &Money) -> Markup {
    let now = Timestamp::now();
    html! {
        section.card aria-labelledby="retried" {
            h2 #retried { "Money that is being tried again" }
            @if stuck.movements.is_empty() { p { "None." } } @else {
                p {
                    "It is tried at least once a minute until it works; nothing is lost, and nothing moves twice. If it lasts, the \
                     payment provider or the database does not answer: mend what the last try says."
                }
                div.scroll tabindex="0" role="region" aria-labelledby="retried" {
                    table {
                        caption.hidden { "Movements of money that failed and are tried again" }
                        thead { tr {
                            th scope="col" { "Case" } th scope="col" { "What" } th.number scope="col" { "Attempt" }
                            th scope="col" { "Since" } th scope="col" { "The last try" }
                        } }
                        tbody { @for movement in &stuck.movements { (stuck_row(movement, now)) } }
                    }
                }
            }
            p.small { "The newest " (LOOKED_AT_MAX) " cases of each stage in which money moves are looked at." }
        }
    }
}

fn stuck_row(movement: &Movement, now: Timestamp) -> Markup {
    let is_deposit = movement.case.starts_with("escrow-deposit:");
    html! {
        tr {
            th scope="row" { @if is_deposit { (movement.case) } @else { @let case = case_of_posting(&movement.case, &movement.posting); a href=(case_path(case)) { (case) } } }
            td { (movement.what("the client", "the freelancer")) }
            @if let Some(retry) = &movement.retry {
                td.number { (retry.attempt) }
                td { (moment(retry.since, now)) }
                td.written { (retry.error.as_deref().unwrap_or_default()) }
            }
        }
    }
}

fn counts(rows: &[CaseRow], more: bool) -> Markup {
    let mut counts: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for row in rows {
        let kind = row.kind.map_or("Case", parts::kind);
        let stage = row.stage.map_or("opening", Stage::name);
        *counts.entry((kind, label(stage))).or_default() += 1;
    }
    html! {
        section.card aria-labelledby="counts" {
            h2 #counts { "Open cases" }
            @if counts.is_empty() { p { "None." } } @else {
                table {
                    caption.hidden { "Open cases by kind and stage" }
                    thead { tr { th scope="col" { "Case" } th scope="col" { "Stage" } th.number scope="col" { "Open" } } }
                    tbody {
                        @for ((kind, stage), count) in &counts {
                            tr { th scope="row" { (kind) } td { (stage) } td.number { (count) } }
                        }
                    }
                }
                @if more { p { "Only the newest " (COUNTED_MAX) " are counted." } }
            }
        }
    }
}

fn on_their_way(refunds: &Page<TrackedRefund>, pages: &Pages) -> Markup {
    let now = Timestamp::now();
    html! {
        section.card aria-labelledby="refunds" {
            h2 #refunds { "Refunds that have not arrived" }
            @if refunds.items.is_empty() { (pages.nothing("refunds", "None.")) } @else {
                p { "What failed or is overdue waits in suspense until you see to it." }
                div.scroll tabindex="0" role="region" aria-labelledby="refunds" {
                    table {
                        caption.hidden { "Refunds on their way and in suspense" }
                        thead { tr {
                            th scope="col" { "Refund" } th scope="col" { "Contract" } th.number scope="col" { "Amount" }
                            th scope="col" { "Expected" } th scope="col" { "State" }
                        } }
                        tbody { @for refund in &refunds.items { (refund_row(refund, now)) } }
                    }
                }
            }
            (pages.links("refunds", "refunds", refunds.next.as_deref()))
        }
    }
}

fn refund_row(refund: &TrackedRefund, now: Timestamp) -> Markup {
    html! {
        tr {
            th scope="row" { a href=(refunds::path(&refund.id)) { (refund.id) } }
            td { a href={ "/contracts/" (refund.contract) } { (refund.contract) } }
            td.number { (refund.currency.show(refund.amount)) }
            td { (moment(refund.expected_by, now)) }
            td {
                (refunds::state(refund))
            }
        }
    }
}

/// Each open case's history in Temporal's Web UI, if the Web UI's address is known.
fn histories(front: &Front, open: &Page<CaseRow>, pages: &Pages) -> Markup {
    let linked: Vec<(&CaseRow, String)> =
        open.items.iter().filter_map(|row| history_of(front, &row.case).map(|at| (row, at))).collect();
    html! {
        @if !linked.is_empty() {
            section.card aria-labelledby="histories" {
                h2 #histories { "Histories in Temporal" }
                ul.rows {
                    @for (row, at) in &linked {
                        li {
                            a href=(at) rel="noreferrer" { "History of " (row.case) }
                            @if row.kind != Some(CaseKind::EscrowDeposit) { " · " a href=(case_path(&row.case)) { "the case" } }
                        }
                    }
                }
                (pages.links("histories", "histories", open.next.as_deref()))
            }
        }
    }
}

/// Checks the whole ledger and shows the result.
pub async fn ledger(State(front): State<Front>, visit: Visit) -> Result<Response, Mishap> {
    only_operators(&visit)?;
    let report = front.ledger().check().await?;
    Ok(visit.page("Ledger", &checked(&report)))
}

fn checked(report: &CheckReport) -> Markup {
    html! {
        p.small { a href="/operator" { "Operations" } }
        h1 { @if report.is_sound() { "The ledger is sound" } @else { "The ledger is not sound" } }
        p { (report.postings) " postings on " (report.accounts) " accounts." }
        @if !report.held.is_empty() {
            p { "In escrow: " (report.held.iter().map(|held| money(held.amount, &held.currency)).collect::<Vec<_>>().join(", ")) "." }
        }
        @if !report.is_sound() {
            div.alert role="alert" {
                ul { @for finding in &report.findings { li { (finding.law) " " code { (finding.culprit) } ": " (finding.problem) } } }
            }
        }
    }
}
