//! The page of a refund for operators, and what they do about one that did not arrive (R8). It shows the effect on the money
//! before they confirm it.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};
use recourse_api::{Front, cases::segment, extract::Of, problem::Problem, refunds::Remedy};
use recourse_domain::ids::{Id, case_of_posting};
use recourse_ledger::TrackedRefund;
use recourse_refunds::RefundState;
use serde_json::{Map, Value};

use super::{
    fields::{self, Field, Wrong},
    forms::{self, Fields, Posted},
    page::told,
    parts::{case_path, facts, label, moment, time},
    place::{Done, Mishap, Place},
    session::{Visit, only_operators},
};

/// What an operator can do about a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Retry,
    Pay,
    Failed,
}

impl Act {
    const ALL: [Self; 3] = [Self::Retry, Self::Pay, Self::Failed];

    /// Everything that an operator can do about a refund now.
    pub fn all(refund: &TrackedRefund) -> Vec<Self> {
        match refund.state {
            RefundState::Failed => vec![Self::Retry, Self::Pay],
            RefundState::Overdue => Self::ALL.to_vec(),
            _ => Vec::new(),
        }
    }

    fn read(name: &str) -> Result<Self, Problem> {
        let act = Self::ALL.into_iter().find(|act| act.name() == name);
        act.ok_or_else(|| Problem::not_found("there is no such thing to do about a refund"))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Pay => "pay",
            Self::Failed => "failed",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Retry => "Send it again",
            Self::Pay => "Pay it to another account",
            Self::Failed => "State that it has failed",
        }
    }

    fn fields(self) -> Vec<Field> {
        match self {
            Self::Retry => Vec::new(),
            Self::Pay => vec![
                fields::line("account", "The account at the payment provider", "Agree with the client before."),
                fields::line("reference", "Reference", "Such as the ticket in which the client agreed."),
            ],
            Self::Failed => vec![fields::line(
                "reference",
                "Where the payment provider's word can be found",
                "Such as a letter or a ticket. Ask the provider first.",
            )],
        }
    }

    /// Its effect on the money. `to` is the typed account, if there is one.
    pub fn consequence(self, refund: &TrackedRefund, to: Option<&str>) -> String {
        let (amount, source) = (refund.currency.show(refund.amount), &refund.source);
        // The money may still be on the way.
        let first = match (refund.state, self) {
            (RefundState::Overdue, Self::Retry | Self::Pay) => {
                "The payment provider is asked first: nothing is sent while it may still complete this refund. "
            }
            _ => "",
        };
        match self {
            Self::Retry => format!(
                "{first}{amount} leaves suspense and goes to {source} once more, as a refund of its own. If that fails too, it \
                 comes back to suspense."
            ),
            Self::Pay => {
                let to = to.unwrap_or("the account that you name");
                format!("{first}{amount} leaves suspense and goes to {to} in place of {source}. This is final.")
            }
            Self::Failed => format!(
                "No money moves: {amount} stays in suspense, and can then be sent again or paid to another account. If the \
                 first refund reaches {source} after all, the client is paid twice. This is final."
            ),
        }
    }

    fn remedy(self, read: &Map<String, Value>) -> Result<Remedy, Problem> {
        let text = |name: &str| read.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(match self {
            Self::Retry => Remedy::Retry,
            Self::Pay => Remedy::Pay { to: account(&text("account"))?, reference: text("reference") },
            Self::Failed => Remedy::Failed { reference: text("reference") },
        })
    }

    fn path(self, refund: &str) -> String {
        format!("{}/{}", path(refund), self.name())
    }
}

fn account(text: &str) -> Result<Id, Problem> {
    Id::new(text).map_err(|error| Problem::invalid(error.to_string()))
}

/// The path of a refund's page.
pub fn path(refund: &str) -> String {
    format!("/operator/refunds/{}", segment(refund))
}

/// The state in words, and why.
pub fn state(refund: &TrackedRefund) -> Markup {
    html! {
        (label(refund.state.name()))
        @if refund.state.is_parked() { " " strong.late { "In suspense" } }
        @if let Some(reason) = &refund.reason { ": " span.written { (reason) } }
    }
}

/// Shows a refund.
pub async fn show(State(front): State<Front>, visit: Visit, Of(id): Of<String>) -> Result<Response, Mishap> {
    let refund = front.refund(visit.who(), &id).await?;
    Ok(page(&refund, &visit, StatusCode::OK, None))
}

fn page(refund: &TrackedRefund, visit: &Visit, status: StatusCode, alert: Option<&Problem>) -> Response {
    visit.page_with(status, &title(refund), &body(refund, alert))
}

fn title(refund: &TrackedRefund) -> String {
    format!("Refund of {}", refund.currency.show(refund.amount))
}

/// What is on the page.
pub fn body(refund: &TrackedRefund, alert: Option<&Problem>) -> Markup {
    let text = |text: &Option<String>| text.as_ref().map(|text| html! { span.written { (text) } });
    let acts = Act::all(refund);
    html! {
        p.small { a href="/operator" { "Operations" } }
        h1 { (title(refund)) }
        @if let Some(problem) = alert { (told(problem)) }
        section.card aria-labelledby="standing" {
            h2 #standing { "Where it stands" }
            (facts([
                ("State", Some(state(refund))),
                ("To", Some(html! { code { (refund.source) } })),
                ("Issued", Some(time(refund.issued_at))),
                ("Expected by", Some(moment(refund.expected_by, Timestamp::now()))),
                ("Contract", Some(html! { a href={ "/contracts/" (refund.contract) } { (refund.contract) } })),
                ("Case", Some(html! { @let case = case_of_posting(&refund.case, &refund.origin); a href=(case_path(case)) { (case) } })),
                ("Refund", Some(html! { code { (refund.id) } })),
                ("Begun, and not answered", text(&refund.under_way)),
                ("Seen to by", text(&refund.handled_by)),
                ("Reference", text(&refund.reference)),
                ("Followed by", text(&refund.followed_by)),
            ]))
        }
        @if !acts.is_empty() {
            section.card aria-labelledby="can" {
                h2 #can { "What you can do" }
                ul.acts {
                    @for act in acts {
                        li {
                            a.button href=(act.path(&refund.id)) { (act.label()) }
                            p { (act.consequence(refund, None)) }
                        }
                    }
                }
            }
        }
    }
}

/// Asks for the needed fields, and for confirmation.
pub async fn ask(
    State(front): State<Front>,
    visit: Visit,
    Of((id, act)): Of<(String, String)>,
) -> Result<Response, Mishap> {
    only_operators(&visit)?;
    let (act, refund) = (Act::read(&act)?, front.refund(visit.who(), &id).await?);
    if !Act::all(&refund).contains(&act) {
        return Ok(page(&refund, &visit, StatusCode::CONFLICT, Some(&moved_on(&refund))));
    }
    Ok(asking(&refund, &visit, act, &Fields::default(), &[]))
}

fn asking(refund: &TrackedRefund, visit: &Visit, act: Act, typed: &Fields, wrong: &[Wrong]) -> Response {
    // The operator checks the account once more before money goes there.
    let (step, button) = if act == Act::Pay { ("review", "See what this does") } else { ("do", "Confirm") };
    let body = html! {
        p.small { a href=(path(&refund.id)) { (title(refund)) } }
        h1 { (act.label()) }
        p.consequence { (act.consequence(refund, None)) }
        form method="post" action=(act.path(&refund.id)) data-once {
            (forms::hidden(&visit.session))
            input type="hidden" name="state" value=(refund.state.name());
            (fields::show(&act.fields(), typed, wrong, refund.currency, act.name()))
            div.buttons {
                button.primary type="submit" name="step" value=(step) { (button) @if step == "do" { ": " (act.label()) } }
            }
        }
        p { a href=(path(&refund.id)) { "Not now" } }
    };
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    visit.page_with(status, act.label(), &body)
}

/// Takes the form: asks again, shows what it does, or does it.
pub async fn send(
    State(front): State<Front>,
    Of((id, act)): Of<(String, String)>,
    posted: Posted,
) -> Result<Response, Mishap> {
    let visit = &posted.visit;
    let (act, refund) = (Act::read(&act)?, front.refund(visit.who(), &id).await?);
    if posted.fields.get("step") == "edit" {
        return Ok(asking(&refund, visit, act, &posted.fields, &[]));
    }
    let read = match fields::read(&act.fields(), &posted.fields, refund.currency) {
        Ok(read) => read,
        Err(wrong) => return Ok(asking(&refund, visit, act, &posted.fields, &wrong)),
    };
    let remedy = match act.remedy(&read) {
        Ok(remedy) => remedy,
        Err(problem) => return Ok(asking(&refund, visit, act, &posted.fields, &[("account", problem.detail)])),
    };
    if posted.fields.get("step") != "do" {
        return Ok(reviewed(&refund, &posted, act, &read));
    }
    let work = give(front.clone(), posted.clone(), id.clone(), remedy);
    match posted.once(&front, work).await {
        Ok(to) => Ok(Redirect::to(&to).into_response()),
        Err(problem) if problem.is_passing() => Err(problem.into()),
        Err(problem) => {
            let refund = front.refund(visit.who(), &id).await?;
            Ok(page(&refund, visit, problem.status(), Some(&problem)))
        }
    }
}

fn moved_on(refund: &TrackedRefund) -> Problem {
    let state = recourse_client::words::words(refund.state.name());
    let detail = format!("The refund is {state} now, so that cannot be done. Nothing was done.");
    Problem::new(StatusCode::CONFLICT, "MovedOn", "The refund has moved on", detail)
}

async fn give(front: Front, posted: Posted, id: String, remedy: Remedy) -> Result<String, Problem> {
    let who = posted.visit.who();
    let refund = front.refund(who, &id).await?;
    if posted.fields.get("state") != refund.state.name() {
        return Err(moved_on(&refund));
    }
    let after = front.remedy(who, &id, remedy).await?;
    Ok(Place::after(&path(&after.id), Done::Remedied))
}

/// The page that shows where the money goes. The operator confirms or changes it.
fn reviewed(refund: &TrackedRefund, posted: &Posted, act: Act, read: &Map<String, Value>) -> Response {
    let visit = &posted.visit;
    let body = html! {
        p.small { a href=(path(&refund.id)) { (title(refund)) } }
        h1 { (act.label()) }
        p.consequence { (act.consequence(refund, read.get("account").and_then(Value::as_str))) }
        form method="post" action=(act.path(&refund.id)) data-once {
            (forms::hidden(&visit.session))
            input type="hidden" name="state" value=(posted.fields.get("state"));
            (fields::typed(&act.fields(), &posted.fields))
            div.buttons {
                button.primary type="submit" name="step" value="do" { "Confirm: " (act.label()) }
                button type="submit" name="step" value="edit" { "Change it" }
            }
        }
        p { a href=(path(&refund.id)) { "Not now" } }
    };
    visit.page(act.label(), &body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refund(state: &str) -> TrackedRefund {
        serde_json::from_value(json!({
            "id": "refund-request:c-1/refund:d-1", "origin": "x", "kind": "refund", "contract": "c-1",
            "case": "refund-request:c-1", "currency": "USD", "amount": 20_000, "source": "card-1", "charge": "x",
            "issued_at": "2026-11-26T10:00:00Z", "expected_by": "2026-12-03T10:00:00Z", "state": state,
            "overdue": false, "reason": "<script>alert(1)</script>",
        }))
        .unwrap()
    }

    #[test]
    fn operators_can_act_only_on_refunds_in_suspense() {
        for (state, acts) in [
            ("issued", vec![]),
            ("settled", vec![]),
            ("retried", vec![]),
            ("paid_otherwise", vec![]),
            ("failed", vec![Act::Retry, Act::Pay]),
            ("overdue", vec![Act::Retry, Act::Pay, Act::Failed]),
        ] {
            let refund = refund(state);
            assert_eq!(Act::all(&refund), acts, "{state}");
            let shown = body(&refund, None).into_string();
            assert_eq!(shown.contains("What you can do"), !acts.is_empty(), "{shown}");
            assert!(!shown.contains("<script>"), "{shown}");
            assert!(
                acts.is_empty() || shown.contains("/operator/refunds/refund-request:c-1%2Frefund:d-1/retry"),
                "{shown}"
            );
        }
    }

    #[test]
    fn acts_on_a_refund_show_their_effect_on_the_money() {
        let (failed, overdue) = (refund("failed"), refund("overdue"));
        assert_eq!(
            Act::Pay.consequence(&failed, Some("bank-7")),
            "200.00 USD leaves suspense and goes to bank-7 in place of card-1. This is final."
        );
        assert!(Act::Retry.consequence(&overdue, None).starts_with("The payment provider is asked first"));
        assert!(Act::Failed.consequence(&overdue, None).starts_with("No money moves: 200.00 USD stays in suspense"));
    }
}
