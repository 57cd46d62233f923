//! The first page: the cases that wait for the signed-in person, their contracts and cases, and their notices.

use axum::{extract::State, response::Response};
use maud::{Markup, html};
use recourse_api::{
    Front,
    identity::{Duty, Identity},
    lists::Page,
};
use recourse_client::CaseRow;
use recourse_domain::party::Contract;

use super::{desk, lists, operator, pages::Pages, place::Mishap, sandbox, session::Visit, told};

/// Shows the page: the platform's people get their work, parties get their own cases.
pub async fn show(State(front): State<Front>, visit: Visit) -> Result<Response, Mishap> {
    let who = visit.who();
    if who.is(Duty::Operator) {
        return operator::show(State(front), visit).await;
    }
    if who.is(Duty::Mediator) || who.is(Duty::Arbitrator) {
        return desk::show(State(front), visit).await;
    }
    let pages = visit.pages();
    let contracts = front.contracts(who, &pages.page("contracts")).await?;
    let turn = lists::turn(&front, who).await?;
    let open = lists::cases(&front, who, None, Some(true), &pages.page("open")).await?;
    let closed = lists::cases(&front, who, None, Some(false), &pages.page("closed")).await?;
    let told = front.told(who, &pages.page("notices")).await?;
    let is_new = contracts.items.is_empty() && pages.page("contracts").after().is_none();
    let body = html! {
        h1 { "Your contracts and cases" }
        (waiting(&turn, who))
        (listed(&contracts, who, &pages))
        @if is_new && visit.place.sandbox { (sandbox::offer(&visit.session)) }
        (open_and_closed(&open, &closed, who, &pages))
        (told::notices(&told, &pages))
    };
    Ok(visit.wide(axum::http::StatusCode::OK, "Overview", &body))
}

/// The cases that wait for them, first on the page.
fn waiting(turn: &Page<CaseRow>, who: &Identity) -> Markup {
    html! {
        section.card aria-labelledby="turn" {
            h2 #turn { "Your turn" }
            @if turn.items.is_empty() { p { "Nothing waits for you." } } @else { (lists::table(&turn.items, who, "Cases that wait for you")) }
            @if turn.next.is_some() { p { "There are more: " a href="#open" { "the open cases" } ", page by page, say which wait for you." } }
        }
    }
}

fn listed(contracts: &Page<Contract>, who: &Identity, pages: &Pages) -> Markup {
    html! {
        section.card aria-labelledby="contracts" {
            h2 #contracts { "Contracts" }
            @if contracts.items.is_empty() {
                (pages.nothing("contracts", "There is no contract of yours with money in escrow yet."))
            } @else {
                ul.rows {
                    @for contract in &contracts.items {
                        li {
                            a href={ "/contracts/" (contract.id) } { (title(contract)) }
                            " " span.small { (contract.id) ", " (with(contract, who)) }
                        }
                    }
                }
            }
            (pages.links("contracts", "contracts", contracts.next.as_deref()))
        }
    }
}

/// A contract's name for people.
fn title(contract: &Contract) -> &str {
    if contract.title.trim().is_empty() { contract.id.as_str() } else { &contract.title }
}

/// The name of the other side.
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

fn open_and_closed(open: &Page<CaseRow>, closed: &Page<CaseRow>, who: &Identity, pages: &Pages) -> Markup {
    html! {
        section.card aria-labelledby="open" {
            h2 #open { "Open cases" }
            @if open.items.is_empty() { (pages.nothing("open", "No case is open.")) } @else {
                (lists::table(&open.items, who, "Open cases"))
            }
            (pages.links("open", "open cases", open.next.as_deref()))
        }
        section.card aria-labelledby="closed" {
            h2 #closed { "Closed cases" }
            @if closed.items.is_empty() { (pages.nothing("closed", "No case is closed.")) } @else {
                (lists::table(&closed.items, who, "Closed cases"))
            }
            (pages.links("closed", "closed cases", closed.next.as_deref()))
        }
    }
}
