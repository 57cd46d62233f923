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

/// The form of a command. With an amount, it leads to a page that shows what the amount does. Without one, it gives the command
/// at once.
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

/// The path to which it is sent.
pub fn action(looked: &CaseView, act: &Act) -> String {
    format!("/cases/{}/commands/{}", segment(&looked.status.case), act.command_kind)
}

/// The hidden fields of a form for this act.
fn carried(looked: &CaseView, session: &Session, act: &Act) -> Markup {
    html! {
        (forms::hidden(session))
        (guard::hidden(&looked.status, act))
        @for (name, value) in act.names() { input type="hidden" name=(name) value=(value); }
    }
}
