//! The desk of mediators and arbitrators: the cases that wait for them, the most urgent first.

use axum::{extract::State, http::StatusCode, response::Response};
use maud::html;
use recourse_api::{Front, identity::Duty, lists::Page, problem::Problem};
use recourse_client::CaseRow;
use recourse_domain::party::Role;

use super::{lists, place::Mishap, session::Visit, told};

/// Shows the desk.
pub async fn show(State(front): State<Front>, visit: Visit) -> Result<Response, Mishap> {
    let who = visit.who();
    let roles: Vec<Role> =
        [Duty::Mediator, Duty::Arbitrator].into_iter().filter(|duty| who.is(*duty)).filter_map(Duty::role).collect();
    if roles.is_empty() {
        return Err(Problem::forbidden("the desk is for mediators and arbitrators").into());
    }
    let pages = visit.pages();
    let mut queues: Vec<(Role, Page<CaseRow>)> = Vec::new();
    for role in roles {
        queues.push((role, lists::queue(&front, role, &pages.page(role.name())).await?));
    }
    let told = front.told(who, &pages.page("notices")).await?;
    let body = html! {
        h1 { "Desk" }
        @for (role, Page { items: rows, next }) in &queues {
            section.card aria-labelledby=(role) {
                h2 id=(role) { "Cases that wait for the " (role) }
                @if rows.is_empty() { (pages.nothing(role.name(), "Nothing waits.")) } @else {
                    @let is_all = next.is_none() && pages.page(role.name()).after().is_none();
                    p {
                        (rows.len()) " open, " (rows.iter().filter(|row| row.overdue).count()) " overdue"
                        @if !is_all { " on this page" } "; the most urgent first."
                    }
                    (lists::table(rows, who, "Cases that wait, the most urgent first"))
                }
                (pages.links(role.name(), "cases", next.as_deref()))
            }
        }
        (told::notices(&told, &pages))
    };
    Ok(visit.wide(StatusCode::OK, "Desk", &body))
}
