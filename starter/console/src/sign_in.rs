//! Signing in and out.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use recourse_api::{Front, personas::PERSONAS, strangers::Comes};
use serde::Deserialize;

use super::{
    forms::{self, Fields},
    page::{self, Named},
    place::{Mishap, Place},
    session::{Session, local_path, set_cookie},
};

/// Where to go after signing in, and why sign-in is necessary.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SignInQuery {
    to: String,
    expired: bool,
    out: bool,
}

/// The sign-in page.
pub async fn show(State(front): State<Front>, Named(asked): Named<SignInQuery>) -> Response {
    let to = local_path(&asked.to);
    let place = Place { sandbox: front.local().is_some(), path: to.to_owned(), done: None };
    let body = html! {
        h1 { "Sign in" }
        @if asked.expired {
            p.alert role="alert" { "Your sign-in has run out or is not valid any more. Sign in again to go on." }
        }
        @if asked.out { p.note role="status" { "You are signed out." } }
        @if place.sandbox { (personas(to)) } @else { (token_form(to)) }
    };
    page::plain(&place, None, StatusCode::OK, "Sign in", &body)
}

fn personas(to: &str) -> Markup {
    html! {
        p { "This is a sandbox: nothing here is real, and you can be anybody. Whom do you want to be?" }
        form.personas method="post" action="/session" {
            input type="hidden" name="to" value=(to);
            @for persona in PERSONAS {
                button.persona type="submit" name="persona" value=(persona.id) {
                    strong { (persona.name) } " " span { (persona.part) }
                }
            }
        }
    }
}

fn token_form(to: &str) -> Markup {
    html! {
        p { "Sign in on the platform that sent you here: it brings you back signed in." }
        p { "Or, if somebody gave you a token, use it here." }
        form method="post" action="/session" {
            input type="hidden" name="to" value=(to);
            div.field {
                label for="token" { "Token" }
                input #token type="password" name="token" autocomplete="off" required;
            }
            div.buttons { button.primary type="submit" { "Sign in" } }
        }
    }
}

/// Signs a person in: with a token that the platform's own sign-in posts, or in the sandbox as a persona.
///
/// The token may come from another site if that is the platform's. The page then says who is signed in.
pub async fn begin(
    State(front): State<Front>,
    comes: Comes,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, Mishap> {
    let persona = fields.get("persona");
    let to = local_path(fields.get("to"));
    if !persona.is_empty() {
        forms::check_origin(&headers)?;
        let cookie = set_cookie(&front.token_of(persona)?, front.site());
        return Ok(([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response());
    }
    front.site().check_sign_in(&headers)?;
    let token = fields.get("token");
    let who = front.tokens().read(token).await.map_err(|problem| match problem.status() {
        StatusCode::UNAUTHORIZED => problem.hint("sign in again on the platform, which gives you a new token"),
        _ => problem,
    })?;
    front.limits().let_in_known(&who, &comes)?;
    let cookie = set_cookie(token, front.site());
    let session = Session::new(who, token.to_owned());
    // The platform's page is another site. After a redirect from there, a browser would not send the new cookie.
    let place = Place { sandbox: front.local().is_some(), path: to.to_owned(), done: None };
    let body = html! {
        h1 { "You are signed in" }
        p { "As " strong { (session.name(place.sandbox)) } ". " a href=(to) { "Go on" } }
    };
    let page = page::Around { title: "Signed in", refresh: Some(to), ..page::Around::default() };
    let response = page.response(&place, Some(&session), StatusCode::OK, &body);
    Ok(([(header::SET_COOKIE, cookie)], response).into_response())
}

/// Signs a person out, and ends the session's live events.
pub async fn end(State(front): State<Front>, posted: forms::Posted) -> Response {
    let session = &posted.visit.session;
    front.watchers().looks().end(&session.who.subject, session.token());
    ([(header::SET_COOKIE, set_cookie("", front.site()))], Redirect::to("/sign-in?out=true")).into_response()
}
