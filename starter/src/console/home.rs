//! The first page: what waits for whoever is signed in, their contracts and cases, and what they were told.

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};
use recourse_workflows::domain::party::Contract;

use super::{
    desk, lists, operator,
    page::Mishap,
    parts::{begin, case_path, time},
    sandbox,
    session::Visit,
};
use crate::{
    api::{
        Front,
        identity::{Duty, Identity},
        lists::{LIMIT_MAX, Limit, Page},
        reading::ShownNotice,
    },
    client::CaseRow,
};

/// Shows it: to the staff their work, to parties what is theirs.
pub async fn show(State(front): State<Front>, visit: Visit) -> Result<Response, Mishap> {
    let who = visit.who();
    if who.is(Duty::Operator) {
        return operator::show(State(front), visit).await;
    }
    if who.is(Duty::Mediator) || who.is(Duty::Arbitrator) {
        return desk::show(State(front), visit).await;
    }
    let contracts = front.contracts(who, None, LIMIT_MAX).await?;
    let cases = lists::cases(&front, who, None).await?;
    let told = front.told(who, &Limit::default()).await?;
    let body = html! {
        h1 { "Your contracts and cases" }
        (turn(&cases, who))
        (listed(&contracts, who))
        @if contracts.is_empty() && visit.place.sandbox { (sandbox::offer(&visit.session)) }
        (open_and_closed(&cases, who))
        (notices(&told))
    };
    Ok(visit.wide(axum::http::StatusCode::OK, "Overview", &body))
}

/// Cases that wait for them, first of all.
fn turn(cases: &[CaseRow], who: &Identity) -> Markup {
    let mut waiting: Vec<CaseRow> =
        cases.iter().filter(|case| case.open && lists::waits_for(case, who)).cloned().collect();
    lists::by_urgency(&mut waiting);
    html! {
        section.card aria-labelledby="turn" {
            h2 #turn { "Your turn" }
            @if waiting.is_empty() { p { "Nothing waits for you." } } @else { (lists::table(&waiting, who, "Cases that wait for you")) }
        }
    }
}

fn listed(contracts: &[Contract], who: &Identity) -> Markup {
    html! {
        section.card aria-labelledby="contracts" {
            h2 #contracts { "Contracts" }
            @if contracts.is_empty() { p { "There is no contract of yours with money in escrow yet." } } @else {
                ul.rows {
                    @for contract in contracts {
                        li {
                            a href={ "/contracts/" (contract.id) } { (title(contract)) }
                            " " span.small { (contract.id) ", " (with(contract, who)) }
                        }
                    }
                }
            }
        }
    }
}

/// What people call a contract.
fn title(contract: &Contract) -> &str {
    if contract.title.trim().is_empty() { contract.id.as_str() } else { &contract.title }
}

/// Who is on the other side.
fn with(contract: &Contract, who: &Identity) -> String {
    let (client, freelancer) = (contract.client.label(), contract.freelancer.label());
    if who.parties.contains(&contract.client.id) {
        format!("with {freelancer}")
    } else if who.is(Duty::Service) {
        format!("{client} and {freelancer}")
    } else {
        format!("with {client}")
    }
}

fn open_and_closed(cases: &[CaseRow], who: &Identity) -> Markup {
    let (open, closed): (Vec<CaseRow>, Vec<CaseRow>) = cases.iter().cloned().partition(|case| case.open);
    html! {
        section.card aria-labelledby="open" {
            h2 #open { "Open cases" }
            @if open.is_empty() { p { "No case is open." } } @else { (lists::table(&open, who, "Open cases")) }
        }
        @if !closed.is_empty() {
            section.card aria-labelledby="closed" {
                h2 #closed { "Closed cases" }
                (lists::table(&closed, who, "Closed cases"))
            }
        }
    }
}

/// What somebody was told, newest first.
pub fn notices(told: &Page<ShownNotice>) -> Markup {
    html! {
        section.card aria-labelledby="notices" {
            h2 #notices { "Notices" }
            @if told.items.is_empty() { p { "You were told nothing yet." } }
            @for notice in &told.items {
                details {
                    summary { (begin(&notice.subject)) " " span.small { (at(&notice.at)) } }
                    p.written { (notice.text) }
                    @if !notice.case.starts_with("escrow-deposit:") {
                        p { a href=(case_path(&notice.case)) { "Open the case" } }
                    }
                }
            }
            @if told.next.is_some() { p.small { "Older notices are not shown." } }
        }
    }
}

fn at(text: &str) -> Markup {
    html! { @match text.parse::<Timestamp>() { Ok(at) => (time(at)), Err(_) => (text) } }
}
