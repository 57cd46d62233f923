//! A contract's page: who it is between, where its money is, what happened to it, its cases, and for its client its end.

use std::collections::BTreeSet;

use axum::{extract::State, http::StatusCode, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};
use recourse_activities::ledger::{Balances, Entry, FreeMoney, History, OpenHold};
use recourse_workflows::domain::{
    ids::Id,
    money::Amount,
    party::{Contract, Role},
};

use super::{
    ask_back, dispute, end, lists,
    page::Mishap,
    parts::{self, People, case_path, facts, label, money, time},
    session::Visit,
};
use crate::{
    api::{Front, extract::Of, identity::Identity, lists::Page, problem::Problem},
    client::CaseRow,
};

/// A contract as somebody sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The contract.
    pub contract: Contract,
    /// Their roles in it.
    pub roles: BTreeSet<Role>,
    /// What happened to its money.
    pub history: Option<History>,
    /// Which cases hold something of its escrow.
    pub holds: Vec<OpenHold>,
    /// What of its escrow is in no case.
    pub unheld: Vec<FreeMoney>,
    /// What people are called.
    pub people: People,
}

impl Seen {
    /// Looks at a contract.
    ///
    /// # Errors
    /// As [`Front::contract`].
    pub async fn at(front: &Front, who: &Identity, id: &str) -> Result<Self, Problem> {
        let unknown = || Problem::not_found("there is no such contract of yours");
        let id = Id::new(id).map_err(|_| unknown())?;
        let (contract, roles) = front.contract(who, &id).await?;
        let history = front.ledger().history(&id, Timestamp::now()).await?;
        let holds = front.ledger().holds(&id).await?;
        let unheld = front.ledger().free_money(&contract).await?;
        let people = People::of(Some(&contract));
        Ok(Self { contract, roles, history, holds, unheld, people })
    }

    /// What the contract is called.
    pub fn title(&self) -> &str {
        let title = self.contract.title.trim();
        if title.is_empty() { self.contract.id.as_str() } else { title }
    }

    /// What its end would be about: what is in escrow, without what other cases hold. A review's money is taken over (E11).
    pub fn free(&self) -> Amount {
        let escrow = self.history.as_ref().map_or(0, |history| history.balances.escrow);
        let elsewhere: i64 = self
            .holds
            .iter()
            .filter(|hold| !hold.case.starts_with("milestone-review:"))
            .map(|hold| hold.amount.minor())
            .sum();
        Amount::new((escrow - elsewhere).max(0)).unwrap_or_default()
    }

    /// An amount in the contract's currency.
    pub fn show(&self, amount: Amount) -> String {
        self.contract.currency.show(amount)
    }
}

/// Shows a contract.
pub async fn show(State(front): State<Front>, visit: Visit, Of(id): Of<String>) -> Result<Response, Mishap> {
    let seen = Seen::at(&front, visit.who(), &id).await?;
    let cases = lists::cases(&front, visit.who(), Some(&seen.contract.id), None, &visit.pages().page("cases")).await?;
    let title = format!("Contract: {}", seen.title());
    Ok(visit.wide(StatusCode::OK, &title, &body(&seen, &cases, &visit)))
}

/// What is on the page.
pub fn body(seen: &Seen, cases: &Page<CaseRow>, visit: &Visit) -> Markup {
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
                ("Kind", Some(html! { (label(&crate::cli::view::named(&seen.contract.kind))) })),
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

fn balances(seen: &Seen) -> Markup {
    let Some(History { balances, currency, .. }) = &seen.history else {
        return html! { p { "No money of this contract has moved." } };
    };
    let some = |minor: i64| (minor != 0).then(|| html! { (money(minor, currency)) });
    let Balances { escrow, client, freelancer_pending, freelancer_available, fees, suspense } = balances;
    html! {
        section.card aria-labelledby="money" {
            h2 #money { "Where the money is" }
            (facts([
                ("In escrow", Some(html! { strong { (money(*escrow, currency)) } })),
                ("Freelancer, pending", some(*freelancer_pending)),
                ("Freelancer, available", some(*freelancer_available)),
                ("Back with the client", some(*client)),
                ("Fees", some(*fees)),
                ("In suspense", some(*suspense)),
            ]))
            @let holds = seen.holds.iter().filter(|hold| !hold.amount.is_zero());
            @for hold in holds {
                p { (seen.show(hold.amount)) " of the escrow is held by " a href=(case_path(&hold.case)) { (hold.case) } "." }
            }
            p { a href={ "/contracts/" (seen.contract.id) "/evidence" } { "Files" } }
        }
    }
}

fn transactions(seen: &Seen) -> Markup {
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

fn transaction(seen: &Seen, entry: &Entry) -> Markup {
    let is_deposit = entry.case.starts_with("escrow-deposit:");
    html! {
        tr {
            td { @match entry.at.parse::<Timestamp>() { Ok(at) => (time(at)), Err(_) => (entry.at) } }
            td { (in_words(&seen.people, entry)) " " (ask_back::link(seen, entry)) }
            td.number { (money(entry.amount, seen.contract.currency.code())) }
            td { @if is_deposit { "Deposit" } @else { a href=(case_path(&entry.case)) { (case_name(&entry.case)) } } }
            td { (entry.rule) }
        }
    }
}

fn case_name(case: &str) -> &str {
    crate::client::CaseId::read(case).map_or(case, |read| parts::kind(read.kind))
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
        "refund" => format!("Refunded to {}", people.name(Role::Client)),
        "return" => format!("{} returned to {}", parts::begin(payee), people.name(Role::Client)),
        "fee" => share(people, entry),
        "fee_return" => format!("{}, given back", share(people, entry)),
        "to_suspense" => "Did not arrive; set aside for an operator".to_owned(),
        "from_suspense" => "Sent on from what was set aside".to_owned(),
        other => label(other),
    }
}
