//! The pages that give a case a command: its form, its effect on the money before somebody confirms it, and the result.

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use maud::html;
use recourse_api::{Front, acted::Acted, extract::Of, problem::Problem};
use recourse_domain::{command::CommandKind, party::Role};
use serde_json::{Map, Value};

use super::{
    acts::Act,
    case,
    case_view::CaseView,
    command_form::{action, form},
    fields::{self, Field, Wrong},
    forms::{self, Fields, Posted},
    guard,
    page::{sentence, told},
    parts::case_path,
    place::{Done, Mishap, Place},
    session::Visit,
};

/// The name of the problem that a case has changed since its page was shown.
const MOVED_ON: &str = "MovedOn";

/// Shows what a command does, and the fields to fill in.
pub async fn show(
    State(front): State<Front>,
    visit: Visit,
    Of((case, command_kind)): Of<(String, String)>,
    Query(asked): Query<Vec<(String, String)>>,
) -> Result<Response, Mishap> {
    let looked = CaseView::at(&front, visit.who(), &case).await?;
    let act = act_of(&looked, &command_kind, &Fields::new(asked))?;
    if !looked.acts().contains(&act) {
        let alert = told(&Problem::forbidden(format!(
            "\"{}\" cannot be done now: the case is {}",
            act.label(&looked.status),
            recourse_client::words::words(looked.status.stage.name())
        )));
        return Ok(case::page(&looked, &visit, StatusCode::CONFLICT, Some(&alert)));
    }
    Ok(asking(&looked, &visit, &act, &Fields::default(), &[], None))
}

/// The act in a path and its query or form.
fn act_of(looked: &CaseView, command_kind: &str, fields: &Fields) -> Result<Act, Problem> {
    let command_kind =
        CommandKind::named(command_kind).ok_or_else(|| Problem::not_found("there is no such command"))?;
    let named = Role::ALL.into_iter().find(|role| role.name() == fields.get("as"));
    // Without a role, takes the role that can do it, so that a link typed by hand also works.
    let able = looked.acts().into_iter().find(|act| act.command_kind == command_kind).map(|act| act.role);
    let role = named.or(able).or_else(|| looked.roles.first().copied());
    let role = role.ok_or_else(|| Problem::forbidden("you give no commands here"))?;
    Ok(Act::read(command_kind, role, fields))
}

/// The page that asks for a command's fields and for its confirmation.
fn asking(
    looked: &CaseView,
    visit: &Visit,
    act: &Act,
    typed: &Fields,
    wrong: &[Wrong],
    alert: Option<&Problem>,
) -> Response {
    let title = act.label(&looked.status);
    let body = html! {
        p.small { a href=(case_path(&looked.status.case)) { (looked.name()) } }
        h1 { (title) }
        @if let Some(problem) = alert { (told(problem)) }
        @if alert.is_none() && !wrong.is_empty() {
            div.alert role="alert" { p { "Something is not filled in as it has to be; it says so at the field." } }
        }
        p.consequence { (act.consequence(&looked.status, &looked.people, None)) }
        (form(looked, &visit.session, act, typed, wrong))
        p { a href=(case_path(&looked.status.case)) { "Not now" } }
    };
    let status = if alert.is_some() || !wrong.is_empty() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    visit.page_with(status, &title, &body)
}

/// Takes a form: asks again, shows what it does, or gives the command.
pub async fn send(
    State(front): State<Front>,
    Of((case, command_kind)): Of<(String, String)>,
    posted: Posted,
) -> Result<Response, Mishap> {
    let visit = &posted.visit;
    let looked = CaseView::at(&front, visit.who(), &case).await?;
    let act = act_of(&looked, &command_kind, &posted.fields)?;
    if posted.fields.get("step") == "edit" {
        return Ok(asking(&looked, visit, &act, &posted.fields, &[], None));
    }
    let asked = fields::of(&act, &looked.status, &looked.people, &looked.files);
    let read = match fields::read(&asked, &posted.fields, looked.status.currency) {
        Ok(read) => read,
        Err(wrong) => return Ok(asking(&looked, visit, &act, &posted.fields, &wrong, None)),
    };
    if posted.fields.get("step") != "do" {
        if let Some(moved) = guard::moved_on(&looked.status, &act, &posted.fields) {
            return Ok(case::page(&looked, visit, StatusCode::CONFLICT, Some(&told(&moved_on(moved)))));
        }
        if let Some(wrong) = fields::too_much(&asked, &read, looked.status.currency) {
            return Ok(asking(&looked, visit, &act, &posted.fields, &[wrong], None));
        }
        return Ok(reviewed(&looked, &posted, &act, &asked, &read));
    }
    let work = give(front.clone(), posted.clone(), case.clone(), act, read);
    match posted.once(&front, work).await {
        Ok(to) => Ok(Redirect::to(&to).into_response()),
        Err(problem) => refused(&front, &posted, &case, &act, problem).await,
    }
}

fn moved_on(what: String) -> Problem {
    Problem::new(StatusCode::CONFLICT, MOVED_ON, "The case has moved on", what)
}

async fn give(
    front: Front,
    posted: Posted,
    case: String,
    act: Act,
    read: Map<String, Value>,
) -> Result<String, Problem> {
    let who = posted.visit.who();
    let (_, status) = front.status(who, &case).await?;
    if let Some(moved) = guard::moved_on(&status, &act, &posted.fields) {
        return Err(moved_on(moved));
    }
    let seen = guard::seen(&status, &act, &posted.fields);
    let fields = act.subject().into_iter().chain(seen).chain(read).collect();
    let acted = front.act(who, &case, act.command_kind, Some(act.role), fields, &posted.key()?).await?;
    let done = match acted {
        Acted::Taken(_) => Done::Taken,
        Acted::Sent => Done::Sent,
    };
    Ok(Place::after(&case_path(&case), done))
}

/// Shows a refusal: on the form if it is about a typed value, otherwise on the present page of the case.
async fn refused(front: &Front, posted: &Posted, case: &str, act: &Act, problem: Problem) -> Result<Response, Mishap> {
    let visit = &posted.visit;
    if !matches!(problem.error, MOVED_ON | "Invalid" | "NotAllowed" | "TooLate" | "AlreadyAnswered") {
        return Err(problem.into());
    }
    let looked = CaseView::at(front, visit.who(), case).await?;
    if problem.error != "Invalid" {
        return Ok(case::page(&looked, visit, problem.status(), Some(&told(&problem))));
    }
    let asked = fields::of(act, &looked.status, &looked.people, &looked.files);
    let wrong: Vec<Wrong> =
        fields::named_in(&asked, &problem.detail).map(|name| (name, sentence(&problem.detail))).into_iter().collect();
    Ok(asking(&looked, visit, act, &posted.fields, &wrong, Some(&problem)))
}

/// The page that shows what the typed amount does. The sender confirms or changes it.
fn reviewed(looked: &CaseView, posted: &Posted, act: &Act, asked: &[Field], read: &Map<String, Value>) -> Response {
    let visit = &posted.visit;
    let title = act.label(&looked.status);
    let amount = fields::amount_in(read);
    let body = html! {
        p.small { a href=(case_path(&looked.status.case)) { (looked.name()) } }
        h1 { (title) }
        p.consequence { (act.consequence(&looked.status, &looked.people, amount)) }
        form method="post" action=(action(looked, act)) data-once {
            (forms::hidden(&visit.session))
            @for name in guard::names() {
                @if !posted.fields.get(name).is_empty() {
                    input type="hidden" name=(name) value=(posted.fields.get(name));
                }
            }
            @for (name, value) in act.names() { input type="hidden" name=(name) value=(value); }
            (fields::typed(asked, &posted.fields))
            div.buttons {
                button.primary type="submit" name="step" value="do" { "Confirm: " (title) }
                button type="submit" name="step" value="edit" { "Change it" }
            }
        }
        p { a href=(case_path(&looked.status.case)) { "Not now" } }
    };
    visit.page(&title, &body)
}
