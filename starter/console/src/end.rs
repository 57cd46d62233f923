//! Ending a contract: the client pays nothing or another amount now, and asks for the rest back (R1–R3).

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use recourse_api::{Front, contracts::NewEnd, extract::Of, problem::Problem};
use recourse_client::CaseRow;
use recourse_domain::{ids::CaseKind, money::Amount, party::Role, split::Split};

use super::{
    contract_view::{ContractView, held_in_cases},
    fields::{self, Field, Wrong},
    forms::{self, Fields, Posted},
    page::told,
    parts::{begin, case_path, quote},
    place::{Done, Mishap, Place},
    session::{Session, Visit},
};

fn asked(seen: &ContractView) -> Vec<Field> {
    let hint = format!("0 to pay nothing, at most {}.", seen.show(seen.free()));
    let label = format!("What you pay {} now", seen.people.payee());
    let refund = "Refund that is asked for".to_owned();
    vec![fields::amount("pay_now", label, hint, seen.free(), refund), fields::text("reason", "Why the contract ends")]
}

/// The offer to end a contract, on its page.
pub fn offer(seen: &ContractView, cases: &[CaseRow], visit: &Visit) -> Markup {
    let running = cases.iter().find(|case| case.open && case.kind == Some(CaseKind::RefundRequest));
    html! {
        section.card aria-labelledby="end" {
            h2 #end { "End the contract" }
            @if let Some(case) = running {
                p { "The contract has ended. " a href=(case_path(&case.case)) { "The refund request" } " decides about the rest." }
            } @else if seen.free().is_zero() {
                p { "Nothing is held in escrow outside of a case: there is nothing to pay, and nothing to ask back." }
            } @else {
                p {
                    (seen.show(seen.free())) " is held. You pay nothing or another amount now; the rest is asked back from "
                    (seen.people.name(Role::Freelancer)) ", who may agree or dispute it. Silence refunds it to you."
                }
                (form(seen, &visit.session, &Fields::default(), &[]))
            }
        }
    }
}

fn form(seen: &ContractView, session: &Session, typed: &Fields, wrong: &[Wrong]) -> Markup {
    let currency = seen.contract.currency;
    html! {
        form method="post" action=(action(seen)) data-once {
            (forms::hidden(session))
            (shown(seen))
            (fields::show(&asked(seen), typed, wrong, currency, "end"))
            div.buttons { button.primary type="submit" name="step" value="review" { "See what this does" } }
        }
    }
}

fn action(seen: &ContractView) -> String {
    format!("/contracts/{}/end", seen.contract.id)
}

/// The amount that was held when the page was shown.
fn shown(seen: &ContractView) -> Markup {
    html! { input type="hidden" name="held" value=(seen.free().minor()); }
}

/// The form on a page of its own.
pub async fn show(State(front): State<Front>, visit: Visit, Of(id): Of<String>) -> Result<Response, Mishap> {
    let seen = ContractView::at(&front, visit.who(), &id).await?;
    if !seen.roles.contains(&Role::Client) {
        return Err(Problem::forbidden("only the client ends a contract here").into());
    }
    Ok(asking(&seen, &visit, &Fields::default(), &[], StatusCode::OK, None))
}

fn asking(
    seen: &ContractView,
    visit: &Visit,
    typed: &Fields,
    wrong: &[Wrong],
    status: StatusCode,
    alert: Option<&Problem>,
) -> Response {
    let body = html! {
        p.small { a href={ "/contracts/" (seen.contract.id) } { (seen.title()) } }
        h1 { "End the contract" }
        @if let Some(problem) = alert { (told(problem)) }
        @if seen.free().is_zero() {
            p { "Nothing is held in escrow outside of a case: there is nothing to pay, and nothing to ask back." }
            (held_in_cases(seen))
            @let written = typed.get("reason");
            @if !written.is_empty() { h2 { "What you wrote" } (quote(written)) }
        } @else {
            p { (seen.show(seen.free())) " is held in escrow outside of other cases." }
            (form(seen, &visit.session, typed, wrong))
        }
        p { a href={ "/contracts/" (seen.contract.id) } { "Not now" } }
    };
    visit.page_with(status, "End the contract", &body)
}

/// Takes the form: asks again, shows what it does, or ends the contract.
pub async fn send(State(front): State<Front>, Of(id): Of<String>, posted: Posted) -> Result<Response, Mishap> {
    let visit = &posted.visit;
    let seen = ContractView::at(&front, visit.who(), &id).await?;
    if posted.fields.get("step") == "edit" {
        return Ok(asking(&seen, visit, &posted.fields, &[], StatusCode::OK, None));
    }
    let refused = StatusCode::UNPROCESSABLE_ENTITY;
    let read = match fields::read(&asked(&seen), &posted.fields, seen.contract.currency) {
        Ok(read) => read,
        Err(wrong) => return Ok(asking(&seen, visit, &posted.fields, &wrong, refused, None)),
    };
    let pay_now = read.get("pay_now").and_then(serde_json::Value::as_i64).and_then(|minor| Amount::new(minor).ok());
    let pay_now = pay_now.unwrap_or_default();
    if posted.fields.get("step") != "do" {
        if let Some(wrong) = fields::too_much(&asked(&seen), &read, seen.contract.currency) {
            return Ok(asking(&seen, visit, &posted.fields, &[wrong], refused, None));
        }
        return Ok(match Split::of(seen.free(), pay_now, seen.contract.currency) {
            Ok(split) if !held_otherwise(&seen, &posted) => reviewed(&seen, &posted, split),
            _ => moved(&seen, &posted),
        });
    }
    let reason = Some(posted.fields.get("reason").to_owned()).filter(|reason| !reason.is_empty());
    let end = NewEnd { pay_now, reason, policy: None };
    let work = give(front.clone(), posted.clone(), id, end);
    match posted.once(&front, work).await {
        Ok(to) => Ok(Redirect::to(&to).into_response()),
        Err(problem) if problem.error == "MovedOn" => Ok(moved(&seen, &posted)),
        Err(problem) => Err(problem.into()),
    }
}

/// Whether the held amount differs from the one in the form.
fn held_otherwise(seen: &ContractView, posted: &Posted) -> bool {
    posted.fields.get("held") != seen.free().minor().to_string()
}

fn moved_on() -> Problem {
    let detail = "The contract has moved on: something else is held now than when the page was shown. Nothing was done. \
                  Look at what is held, and confirm it again if you still want to.";
    Problem::new(StatusCode::CONFLICT, "MovedOn", "The contract has moved on", detail)
}

fn moved(seen: &ContractView, posted: &Posted) -> Response {
    asking(seen, &posted.visit, &posted.fields, &[], StatusCode::CONFLICT, Some(&moved_on()))
}

async fn give(front: Front, posted: Posted, id: String, end: NewEnd) -> Result<String, Problem> {
    let who = posted.visit.who();
    let seen = ContractView::at(&front, who, &id).await?;
    if held_otherwise(&seen, &posted) {
        return Err(moved_on());
    }
    let begun = front.end(who, &seen.contract.id, end).await?;
    Ok(Place::after(&case_path(&begun.case), Done::Ended))
}

/// The page that shows what the end does. The client confirms or changes it.
fn reviewed(seen: &ContractView, posted: &Posted, split: Split) -> Response {
    let visit = &posted.visit;
    let Split { to_freelancer, to_client } = split;
    let (payee, freelancer) = (seen.people.payee(), seen.people.name(Role::Freelancer));
    let body = html! {
        p.small { a href={ "/contracts/" (seen.contract.id) } { (seen.title()) } }
        h1 { "End the contract" }
        p.consequence {
            @if !to_freelancer.is_zero() { (seen.show(to_freelancer)) " goes to " (payee) " now. This is final. " }
            @if to_client.is_zero() { "Nothing is left to ask back." } @else {
                "A refund of " (seen.show(to_client)) " is asked for: it goes back to you if "
                (freelancer) " agrees or does not answer in time. " (begin(&freelancer)) " may dispute it."
            }
        }
        form method="post" action=(action(seen)) data-once {
            (forms::hidden(&visit.session))
            input type="hidden" name="held" value=(posted.fields.get("held"));
            (fields::typed(&asked(seen), &posted.fields))
            div.buttons {
                button.primary type="submit" name="step" value="do" { "Confirm: end the contract" }
                button type="submit" name="step" value="edit" { "Change it" }
            }
        }
        p { a href={ "/contracts/" (seen.contract.id) } { "Not now" } }
    };
    visit.page("End the contract", &body)
}
