//! The form of a command.

use maud::{Markup, html};
use recourse_api::cases::segment;

use super::{
    acts::Act,
    case_view::CaseView,
    fields::{self, Wrong},
    forms::{self, Fields},
    guard,
    session::Session,
};

/// The form of a command. One with an amount goes to a page that spells out what the amount does, others are sent at once.
pub fn form(looked: &CaseView, session: &Session, act: &Act, typed: &Fields, wrong: &[Wrong]) -> Markup {
    let status = &looked.status;
    let asked = fields::of(act, status, &looked.people, &looked.files);
    let (step, button) = if fields::have_money(&asked) { ("review", "See what this does") } else { ("do", "Confirm") };
    html! {
        form method="post" action=(action(looked, act)) data-once {
            (carried(looked, session, act))
            (fields::show(&asked, typed, wrong, status.currency, act.command_kind.name()))
            div.buttons {
                button.primary type="submit" name="step" value=(step) { (button) @if step == "do" { ": " (act.label(status)) } }
            }
        }
    }
}

/// Where it is sent to.
pub fn action(looked: &CaseView, act: &Act) -> String {
    format!("/cases/{}/commands/{}", segment(&looked.status.case), act.command_kind)
}

/// What a form of this act carries without being seen.
fn carried(looked: &CaseView, session: &Session, act: &Act) -> Markup {
    html! {
        (forms::hidden(session))
        (guard::hidden(&looked.status, act))
        @for (name, value) in act.names() { input type="hidden" name=(name) value=(value); }
    }
}
