//! The pages that only a sandbox has: an example to click through, and a clock for each case that people can advance.
//!
//! With a real issuer these pages refuse every request.

use std::time::Duration;

use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use recourse_api::{Front, cases::segment, extract::Of, identity::Identity, openapi::no_such_path, problem::Problem};
use recourse_domain::{
    ids::Id,
    messages::{EscrowDepositStart, MilestoneReviewStart},
};
use serde_json::json;

use super::{
    case_view::CaseView,
    forms::{self, Posted},
    parts::{case_path, time},
    place::{Done, Mishap, Place},
    session::{Session, Visit},
};

const DAY: Duration = Duration::from_hours(24);

/// How far past a deadline the clock goes: long enough for silence to decide by then, also with a slow worker. A server runs on
/// to the next deadline if the target passes while it decides.
const PAST: SignedDuration = SignedDuration::from_secs(5);

/// How many examples to search for a free number.
const EXAMPLES_MAX: u32 = 10_000;

fn only_here(front: &Front) -> Result<(), Problem> {
    if front.local().is_some() { Ok(()) } else { Err(no_such_path()) }
}

/// Shows what people can play.
pub async fn show(State(front): State<Front>, visit: Visit) -> Result<Response, Mishap> {
    only_here(&front)?;
    let body = html! {
        h1 { "Sandbox" }
        p { "Here everybody is played, no money is real, and each case has a clock that you can advance." }
        (offer(&visit.session))
        section.card aria-labelledby="try" {
            h2 #try { "Something to try" }
            ol {
                li { "Make an example contract, and end it as Ada: pay 100.00 of the 300.00 now." }
                li { "Switch to Ben, and dispute the refund: claim 150.00." }
                li { "Switch to Ada and reject the claim, or say nothing and advance the case's clock." }
                li { "Switch to Mia and propose a resolution; let both accept it." }
            }
        }
    };
    Ok(visit.page("Sandbox", &body))
}

/// The offer of an example.
pub fn offer(session: &Session) -> Markup {
    html! {
        section.card aria-labelledby="example" {
            h2 #example { "An example" }
            p { "A new contract between Ada, the client, and Ben, the freelancer, with 300.00 USD in escrow." }
            form method="post" action="/sandbox" data-once {
                (forms::hidden(session))
                div.buttons {
                    button.primary type="submit" name="example" value="contract" { "Make it" }
                    button type="submit" name="example" value="milestone" { "Make it, with a milestone that Ben has submitted" }
                }
            }
        }
    }
}

/// Creates an example, as the platform would.
pub async fn make(State(front): State<Front>, posted: Posted) -> Result<Response, Mishap> {
    only_here(&front)?;
    let with_milestone = posted.fields.get("example") == "milestone";
    let to = posted.once(&front, example(front.clone(), posted.visit.session.who.clone(), with_milestone)).await?;
    Ok(Redirect::to(&to).into_response())
}

async fn example(front: Front, who: Identity, with_milestone: bool) -> Result<String, Problem> {
    let id = fresh(&front).await?;
    let contract = json!({
        "id": id, "title": "Logo", "kind": "fixed_price", "currency": "USD",
        "client": {"id": "cl-1", "name": "Ada"}, "freelancer": {"id": "fl-1", "name": "Ben"},
    });
    let deposit: EscrowDepositStart = read(json!({
        "contract": contract, "deposit": "d-1", "amount": 30_000, "source": {"id": "card-1", "verified": true},
    }))?;
    let begun = front.start(&who, deposit).await?;
    if begun.outcome.is_none() {
        return Err(Problem::unavailable("the deposit is under way and not in escrow yet"));
    }
    if with_milestone {
        let review: MilestoneReviewStart = read(json!({
            "contract": contract, "note": "Three drafts, as agreed.",
            "milestone": {"id": "m-1", "ordinal": 1, "name": "Drafts", "amount": 30_000, "description": "Three drafts of a logo"},
        }))?;
        front.start(&who, review).await?;
    }
    Ok(Place::after(&format!("/contracts/{id}"), Done::Made))
}

fn read<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
    serde_json::from_value(value).map_err(|error| Problem::unexpected(&error))
}

/// The next contract id that is not in use.
async fn fresh(front: &Front) -> Result<Id, Problem> {
    for number in 1..EXAMPLES_MAX {
        let id = Id::new(&format!("logo-{number}")).map_err(|error| Problem::unexpected(&error))?;
        if front.ledger().contract(&id).await?.is_none() {
            return Ok(id);
        }
    }
    Err(Problem::invalid("there are enough examples"))
}

/// A case's clock, on its page.
pub fn clock(looked: &CaseView, session: &Session) -> Markup {
    let case = &looked.status.case;
    html! {
        section.card.sandbox aria-labelledby="clock" {
            h2 #clock { "Sandbox: this case's clock" }
            p { "For this case it is " (time(looked.now)) "." }
            form method="post" action={ "/cases/" (segment(case)) "/clock" } data-once {
                (forms::hidden(session))
                div.buttons {
                    button type="submit" name="by" value="day" { "Advance by a day" }
                    @if looked.status.deadline.is_some() {
                        button type="submit" name="by" value="deadline" { "Advance past the deadline" }
                    }
                }
            }
        }
    }
}

/// Advances a case's clock.
pub async fn advance(State(front): State<Front>, Of(case): Of<String>, posted: Posted) -> Result<Response, Mishap> {
    only_here(&front)?;
    let work = advanced(front.clone(), posted.clone(), case);
    Ok(Redirect::to(&posted.once(&front, work).await?).into_response())
}

async fn advanced(front: Front, posted: Posted, case: String) -> Result<String, Problem> {
    let looked = CaseView::at(&front, posted.visit.who(), &case).await?;
    let by = match (posted.fields.get("by"), looked.status.deadline) {
        ("deadline", Some(deadline)) => past(deadline, looked.now),
        ("deadline", None) => return Err(Problem::invalid("the case has no deadline now")),
        _ => DAY,
    };
    let advanced = front.client().advance(&case, by).await?;
    if !advanced.closed {
        front.client().catch_up(&case).await?;
    }
    Ok(Place::after(&case_path(&case), Done::Advanced))
}

/// From `now` to just past a deadline.
fn past(deadline: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(deadline.duration_since(now) + PAST).unwrap_or(Duration::from_secs(1))
}
