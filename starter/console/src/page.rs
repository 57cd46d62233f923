//! The frame of every page: its head, who is signed in, the links, and what was just done. Also shows problems as pages.

use axum::{
    extract::{FromRequestParts, Query},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{Html, IntoResponse as _, Response},
};
use maud::{DOCTYPE, Markup, html};
use recourse_api::{
    identity::Duty,
    personas::{PERSONAS, Persona},
    problem::Problem,
};
use serde::de::DeserializeOwned;

use super::{
    assets::{ICON_AT, SCRIPT_AT, STYLE_AT},
    place::{Mishap, Place},
    session::{Session, Visit},
};

/// The values in a link's query. An incomplete link leads to a page that says so.
pub struct Named<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Named<T> {
    type Rejection = Mishap;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Mishap> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(named)) => Ok(Self(named)),
            Err(error) => {
                let problem = Problem::unreadable(format!("this link is not whole: {}", error.body_text()));
                Err(problem.hint("go back to the page that it was on, and follow it from there").into())
            }
        }
    }
}

/// How a page differs from others, besides its content.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around<'a> {
    /// Its title.
    pub title: &'a str,
    /// The path to which it redirects by itself.
    pub refresh: Option<&'a str>,
    /// Whether it needs the width of the window.
    pub wide: bool,
}

impl Visit {
    /// A page for a visitor.
    pub fn page(&self, title: &str, body: &Markup) -> Response {
        self.page_with(StatusCode::OK, title, body)
    }

    /// A page with this status.
    pub fn page_with(&self, status: StatusCode, title: &str, body: &Markup) -> Response {
        plain(&self.place, Some(&self.session), status, title, body)
    }

    /// A page with tables or two sides.
    pub fn wide(&self, status: StatusCode, title: &str, body: &Markup) -> Response {
        let around = Around { title, wide: true, ..Around::default() };
        around.response(&self.place, Some(&self.session), status, body)
    }
}

/// A page for anybody.
pub fn plain(place: &Place, session: Option<&Session>, status: StatusCode, title: &str, body: &Markup) -> Response {
    Around { title, ..Around::default() }.response(place, session, status, body)
}

impl Around<'_> {
    /// The whole page.
    pub fn response(&self, place: &Place, session: Option<&Session>, status: StatusCode, body: &Markup) -> Response {
        (status, Html(self.document(place, session, body).into_string())).into_response()
    }

    fn document(&self, place: &Place, session: Option<&Session>, body: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    @if let Some(to) = self.refresh { meta http-equiv="refresh" content={ "0; url=" (to) }; }
                    title { (self.title) " · Recourse" }
                    link rel="stylesheet" href=(*STYLE_AT);
                    link rel="icon" href=(*ICON_AT) type="image/svg+xml";
                    script src=(*SCRIPT_AT) defer {}
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    (header(place, session))
                    main #main.wide[self.wide] tabindex="-1" {
                        @if let Some(done) = place.done { p.note role="status" { (done.in_words()) } }
                        (body)
                    }
                    footer {
                        p {
                            "Every decision follows a rule; the rule is named where it was applied."
                            @if place.sandbox { " This is a sandbox: no money is real." }
                        }
                    }
                }
            }
        }
    }
}

fn header(place: &Place, session: Option<&Session>) -> Markup {
    html! {
        header.top {
            div.bar {
                a.brand href="/" { "Recourse" }
                @if let Some(session) = session {
                    nav aria-label="Pages" {
                        @for (path, name) in links(place, session) {
                            a href=(path) aria-current=[(place.again() == path).then_some("page")] { (name) }
                        }
                    }
                    (who(place, session))
                }
            }
        }
    }
}

fn links(place: &Place, session: &Session) -> Vec<(&'static str, &'static str)> {
    let decides = session.who.is(Duty::Mediator) || session.who.is(Duty::Arbitrator);
    let mut links = vec![("/", "Overview")];
    links.extend(decides.then_some(("/desk", "Desk")));
    links.extend(session.who.is(Duty::Operator).then_some(("/operator", "Operations")));
    links.extend(place.sandbox.then_some(("/sandbox", "Sandbox")));
    links
}

fn who(place: &Place, session: &Session) -> Markup {
    let id = session.who.subject.as_str();
    let part = Persona::find(id).filter(|_| place.sandbox).map(|persona| persona.part);
    html! {
        div.who {
            p {
                "Signed in as " strong { (session.name(place.sandbox)) }
                @if let Some(part) = part { ", " (part) }
            }
            @if place.sandbox {
                form.inline method="post" action="/session" {
                    input type="hidden" name="to" value=(place.again());
                    label for="persona" { "Be " }
                    select #persona name="persona" {
                        @for persona in PERSONAS {
                            option value=(persona.id) selected[persona.id == id] {
                                (persona.name) ", " (persona.part)
                            }
                        }
                    }
                    button type="submit" { "Switch" }
                }
            }
            form.inline method="post" action="/session/end" {
                (csrf(session))
                button type="submit" { "Sign out" }
            }
        }
    }
}

/// The hidden field of a form that has the same effect however often somebody sends it.
pub fn csrf(session: &Session) -> Markup {
    html! { input type="hidden" name="csrf" value=(session.csrf()); }
}

/// A page about a problem, with what to do about it.
pub fn problem(place: &Place, session: Option<&Session>, problem: &Problem) -> Response {
    let body = html! {
        h1 { (problem.title) }
        (told(problem))
        p { a href="/" { "Go to the overview" } }
    };
    let around = Place { done: None, ..place.clone() };
    let mut response = plain(&around, session, problem.status(), problem.title, &body);
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// What happened, why, and what to do.
pub fn told(problem: &Problem) -> Markup {
    html! {
        div.alert role="alert" {
            p { (sentence(&problem.detail)) }
            @if let Some(hint) = &problem.hint { p { "What to do: " (hint) "." } }
            @if let Some(rule) = &problem.rule { p.small { "By rule " (rule) "." } }
        }
    }
}

/// A problem's detail as a sentence, without the parts for programs: its name, and the commands for which the page has buttons.
pub fn sentence(detail: &str) -> String {
    let names = ["NotAllowed: ", "TooLate: ", "Invalid: ", "AlreadyAnswered: "];
    let words = names.iter().find_map(|name| detail.strip_prefix(name)).unwrap_or(detail);
    let can = words.find(" can now: ").and_then(|at| words[..at].rfind("; the "));
    let words = can.map_or(words, |end| &words[..end]);
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let stop = if words.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}
