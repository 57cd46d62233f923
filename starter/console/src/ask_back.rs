//! Asking for released money back: the client chooses a payment and an amount, and the freelancer decides (P1, P2).

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use recourse_api::{Front, contracts::NewPaymentRefund, extract::Of, problem::Problem};
use recourse_domain::{ids::PaymentId, money::Amount, party::Role};
use recourse_ledger::Entry;
use serde::Deserialize;
use serde_json::Value;

use super::{
    contract_view::ContractView,
    fields::{self, Field, Wrong},
    forms::{self, Fields, Posted},
    page::Named,
    parts::case_path,
    place::{Done, Mishap, Place},
    query::in_query,
    session::Visit,
};

/// Which payment.
#[derive(Debug, Deserialize)]
pub struct PaymentQuery {
    payment: String,
}

/// The link to ask for a payment back, for its client.
pub fn link(seen: &ContractView, entry: &Entry) -> Markup {
    let can = seen.roles.contains(&Role::Client) && matches!(entry.kind.as_str(), "release" | "bonus");
    html! {
        @if can { a href={ (action(seen)) "?payment=" (in_query(&entry.id)) } { "Ask back" } }
    }
}

fn action(seen: &ContractView) -> String {
    format!("/contracts/{}/ask-back", seen.contract.id)
}

/// The payment with this id, for the client.
fn payment(seen: &ContractView, id: &str) -> Result<(PaymentId, Amount), Problem> {
    if !seen.roles.contains(&Role::Client) {
        return Err(Problem::forbidden("only the client asks money back"));
    }
    let unknown = || Problem::not_found("there is no such payment of this contract");
    let entries = seen.history.as_ref().map(|history| history.entries.as_slice()).unwrap_or_default();
    let entry = entries.iter().find(|entry| entry.id == id).ok_or_else(unknown)?;
    let id = PaymentId::new(&entry.id).map_err(|_| unknown())?;
    Ok((id, Amount::new(entry.amount).map_err(|_| unknown())?))
}

fn asked(seen: &ContractView, paid: Amount) -> Vec<Field> {
    let hint = format!("More than 0, at most the {} paid, less what was returned.", seen.show(paid));
    let (label, rest) = ("How much you ask back".to_owned(), format!("Stays with {}", seen.people.payee()));
    vec![fields::amount("amount", label, hint, paid, rest), fields::text("message", "Why")]
}

/// The form.
pub async fn show(
    State(front): State<Front>,
    visit: Visit,
    Of(id): Of<String>,
    Named(query): Named<PaymentQuery>,
) -> Result<Response, Mishap> {
    let seen = ContractView::at(&front, visit.who(), &id).await?;
    let (payment, paid) = payment(&seen, &query.payment)?;
    Ok(asking(&seen, &visit, &payment, paid, &Fields::default(), &[]))
}

fn asking(
    seen: &ContractView,
    visit: &Visit,
    payment: &PaymentId,
    paid: Amount,
    typed: &Fields,
    wrong: &[Wrong],
) -> Response {
    let freelancer = seen.people.name(Role::Freelancer);
    let body = html! {
        p.small { a href={ "/contracts/" (seen.contract.id) } { (seen.title()) } }
        h1 { "Ask money back" }
        p { (seen.show(paid)) " was paid to " (seen.people.payee()) " as " code { (payment) } "." }
        p.consequence {
            (freelancer) " is asked to return it, and may return all, a part, or nothing. Silence returns nothing. No money moves now."
        }
        form method="post" action=(action(seen)) data-once {
            (forms::hidden(&visit.session))
            input type="hidden" name="payment" value=(payment);
            (fields::show(&asked(seen, paid), typed, wrong, seen.contract.currency, "ask"))
            div.buttons { button.primary type="submit" { "Confirm: ask it back" } }
        }
        p { a href={ "/contracts/" (seen.contract.id) } { "Not now" } }
    };
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    visit.page_with(status, "Ask money back", &body)
}

/// Takes the form and asks.
pub async fn send(State(front): State<Front>, Of(id): Of<String>, posted: Posted) -> Result<Response, Mishap> {
    let visit = &posted.visit;
    let seen = ContractView::at(&front, visit.who(), &id).await?;
    let (payment, paid) = payment(&seen, posted.fields.get("payment"))?;
    let asked = asked(&seen, paid);
    let read = fields::read(&asked, &posted.fields, seen.contract.currency);
    let read = read.and_then(|read| match fields::too_much(&asked, &read, seen.contract.currency) {
        Some(wrong) => Err(vec![wrong]),
        None => Ok(read),
    });
    let read = match read {
        Ok(read) => read,
        Err(wrong) => return Ok(asking(&seen, visit, &payment, paid, &posted.fields, &wrong)),
    };
    let message = read.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    let amount = fields::amount_in(&read).unwrap_or_default();
    let request = NewPaymentRefund { payment, amount, message, policy: None };
    let work = give(front.clone(), posted.clone(), seen, request);
    Ok(Redirect::to(&posted.once(&front, work).await?).into_response())
}

async fn give(front: Front, posted: Posted, seen: ContractView, request: NewPaymentRefund) -> Result<String, Problem> {
    let begun = front.ask_back(posted.visit.who(), &seen.contract.id, request).await?;
    Ok(Place::after(&case_path(&begun.case), Done::Asked))
}
