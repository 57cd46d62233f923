//! A person's notices, newest first.

use jiff::Timestamp;
use maud::{Markup, html};
use recourse_api::{lists::Page, reading::ShownNotice};

use super::{
    pages::Pages,
    parts::{begin, case_path, time},
};

/// A person's notices, newest first.
pub fn notices(told: &Page<ShownNotice>, pages: &Pages) -> Markup {
    html! {
        section.card aria-labelledby="notices" {
            h2 #notices { "Notices" }
            @if told.items.is_empty() { (pages.nothing("notices", "You were told nothing yet.")) }
            @for notice in &told.items {
                details {
                    summary { (begin(&notice.subject)) " " span.small { (at(&notice.at)) } }
                    p.written { (notice.text) }
                    @if !notice.case.starts_with("escrow-deposit:") {
                        p { a href=(case_path(&notice.case)) { "Open the case" } }
                    }
                }
            }
            (pages.links("notices", "notices", told.next.as_deref()))
        }
    }
}

fn at(text: &str) -> Markup {
    html! { @match text.parse::<Timestamp>() { Ok(at) => (time(at)), Err(_) => (text) } }
}
