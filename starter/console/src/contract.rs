//! A contract's page: its parties, where its money is, what happened to it, its cases, and the end of the contract for its
//! client.

use axum::{extract::State, http::StatusCode, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};
use recourse_api::{Front, extract::Of, lists::Page};
use recourse_client::{
    CaseRow,
    money::{Movement, MovementState, SUSPENSE},
};
use recourse_domain::{ids::case_of_posting, party::Role, posting::PostingKind};
use recourse_ledger::{Balances, Entry, History};

use super::{
    ask_back,
    contract_view::{ContractView, held_in_cases},
    dispute, end, lists,
    parts::{self, People, case_path, facts, label, moment, money, time},
    place::Mishap,
    session::Visit,
};

/// Shows a contract.
pub async fn show(State(front): State<Front>, visit: Visit, Of(id): Of<String>) -> Result<Response, Mishap> {
    let seen = ContractView::at(&front, visit.who(), &id).await?;
    let cases = lists::cases(&front, visit.who(), Some(&seen.contract.id), None, &visit.pages().page("cases")).await?;
    let title = format!("Contract: {}", seen.title());
    Ok(visit.wide(StatusCode::OK, &title, &body(&seen, &cases, &visit)))
}

/// What is on the page.
pub fn body(seen: &ContractView, cases: &Page<CaseRow>, visit: &Visit) -> Markup {
    let agency = seen.contract.freelancer.agency.as_ref();
    let pages = visit.pages();
    let person = |role: Role| html! { (seen.people.name(role)) @if seen.roles.contains(&role) { " (you)" } };
    html! {
        div.title {
            h1 { (seen.title()) }
            p.small { "Contract " code { (seen.contract.id) } }
        }
        section.card aria-labelledby="parties" {
            h2 #parties { "Parties" }
            (facts([
                ("Client", Some(person(Role::Client))),
                ("Freelancer", Some(person(Role::Freelancer))),
                ("Paid", agency.map(|_| html! { (seen.people.payee()) })),
                ("Kind", Some(html! { (label(&recourse_client::words::named(&seen.contract.kind))) })),
            ]))
        }
        (balances(seen))
        @if seen.roles.contains(&Role::Client) { (end::offer(seen, &cases.items, visit)) }
        @if seen.roles.contains(&Role::Freelancer) { (dispute::offer(seen)) }
        section.card aria-labelledby="cases" {
            h2 #cases { "Cases" }
            @if cases.items.is_empty() { (pages.nothing("cases", "There is no case of this contract.")) } @else {
                (lists::table(&cases.items, visit.who(), "Cases of this contract"))
            }
            (pages.links("cases", "cases", cases.next.as_deref()))
        }
        (transactions(seen))
    }
}

fn balances(seen: &ContractView) -> Markup {
    let Some(History { balances, currency, .. }) = &seen.history else {
        return html! { p { "No money of this contract has moved." } (not_moved(seen)) };
    };
    let some = |minor: i64| (minor != 0).then(|| html! { (money(minor, currency)) });
    let Balances { escrow, client, freelancer_pending, freelancer_available, fees, suspense } = balances;
    let on_its_way: Vec<&Movement> = seen.money.movements.iter().filter(|movement| is_on_its_way(movement)).collect();
    let leaving: i64 = on_its_way.iter().map(|movement| movement.amount.minor()).sum();
    let expected = on_its_way.iter().filter_map(|movement| movement.expected_by).max();
    let now = Timestamp::now();
    html! {
        section.card aria-labelledby="money" {
            h2 #money { "Where the money is" }
            (facts([
                ("In escrow", Some(html! { strong { (money(*escrow, currency)) } })),
                ("Freelancer, pending", some(*freelancer_pending)),
                ("Freelancer, available", some(*freelancer_available)),
                ("On its way back to the client", (leaving != 0).then(|| html! {
                    (money(leaving, currency)) @if let Some(by) = expected { ", expected by " (moment(by, now)) }
                })),
                ("Back with the client", some(client - leaving)),
                ("Fees", some(*fees)),
                ("In suspense", some(*suspense)),
            ]))
            @if *suspense != 0 { p { (SUSPENSE) } }
            (not_moved(seen))
            (held_in_cases(seen))
            p { a href={ "/contracts/" (seen.contract.id) "/evidence" } { "Files" } }
        }
    }
}

/// Whether it is a refund or return that its billing method does not have yet. Fees are not part of the client's balance.
fn is_on_its_way(movement: &Movement) -> bool {
    movement.state == MovementState::OnItsWay && matches!(movement.kind, PostingKind::Refund | PostingKind::Return)
}

/// The orders that have not moved yet (L9).
fn not_moved(seen: &ContractView) -> Markup {
    html! {
        @if seen.money.not_moved().next().is_some() {
            h3 { "Has not moved yet" }
            (parts::movements(seen.money.not_moved(), &seen.people, Timestamp::now()))
        }
        @if !seen.money.orders_read { p { "What is ordered and has not moved yet cannot be read now." } }
    }
}

fn transactions(seen: &ContractView) -> Markup {
    let entries = seen.history.as_ref().map(|history| history.entries.as_slice()).unwrap_or_default();
    html! {
        section.card aria-labelledby="transactions" {
            h2 #transactions { "Transactions" }
            @if entries.is_empty() { p { "None yet." } } @else {
                div.scroll tabindex="0" role="region" aria-labelledby="transactions" {
                    table {
                        caption.hidden { "What happened to this contract's money, oldest first" }
                        thead { tr {
                            th scope="col" { "When" } th scope="col" { "What" } th.number scope="col" { "Amount" }
                            th scope="col" { "Case" } th scope="col" { "Rule" }
                        } }
                        tbody { @for entry in entries { (transaction(seen, entry)) } }
                    }
                }
            }
        }
    }
}

fn transaction(seen: &ContractView, entry: &Entry) -> Markup {
    let is_deposit = entry.case.starts_with("escrow-deposit:");
    html! {
        tr {
            td { @match entry.at.parse::<Timestamp>() { Ok(at) => (time(at)), Err(_) => (entry.at) } }
            td { (in_words(&seen.people, entry)) (became(seen, entry)) " " (ask_back::link(seen, entry)) }
            td.number { (money(entry.amount, seen.contract.currency.code())) }
            td { @if is_deposit { "Deposit" } @else { a href=(case_path(case_of_posting(&entry.case, &entry.id))) { (case_name(&entry.case)) } } }
            td { (entry.rule) }
        }
    }
}

fn case_name(case: &str) -> &str {
    recourse_client::CaseId::read(case).map_or(case, |read| parts::kind(read.kind))
}

/// The state of a refund or return.
fn became(seen: &ContractView, entry: &Entry) -> Markup {
    let movement = seen.money.movements.iter().find(|movement| movement.posting == entry.id && movement.goes_back());
    html! { @if let Some(movement) = movement { ": " (parts::known(movement, Timestamp::now())) } }
}

/// Whose share of the arbitration fee it is.
fn share(people: &People, entry: &Entry) -> String {
    match entry.share_of {
        Some(party) => format!("{}'s share of the arbitration fee", parts::begin(&people.name(party))),
        None => "Share of the arbitration fee".to_owned(),
    }
}

/// What a posting did, with people's names.
fn in_words(people: &People, entry: &Entry) -> String {
    let (client, payee) = (parts::begin(&people.name(Role::Client)), people.payee());
    let pending = entry.available_at.as_deref().and_then(|at| at.parse().ok());
    let pending = pending.map(|at| format!(", available from {}", recourse_workflows::describe::instant(at)));
    match entry.kind.as_str() {
        "deposit" => format!("{client} paid into escrow"),
        "release" => format!("Released to {payee}{}", pending.unwrap_or_default()),
        "bonus" => format!("{client} paid {payee} a bonus"),
        "refund" => format!("Refund to {}", people.name(Role::Client)),
        "return" => format!("Back from {payee} to {}", people.name(Role::Client)),
        "fee" => share(people, entry),
        "fee_return" => format!("{}, given back", share(people, entry)),
        "to_suspense" => "Did not arrive; in suspense for an operator".to_owned(),
        "from_suspense" => "Sent on from suspense".to_owned(),
        other => label(other),
    }
}
