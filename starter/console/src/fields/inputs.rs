//! The inputs of a form's fields.

use maud::{Markup, html};
use recourse_client::words::words;
use recourse_domain::money::{Amount, Currency};

use super::{Field, Kind, Wrong, ticked_by};
use crate::forms::Fields;

/// The fields, with the typed values and the mistakes in them. `context` makes their ids unique on the page.
pub fn show(fields: &[Field], typed: &Fields, wrong: &[Wrong], currency: Currency, context: &str) -> Markup {
    html! {
        @for field in fields {
            @let error = wrong.iter().find(|(name, _)| *name == field.name).map(|(_, reason)| reason.as_str());
            (field.show(&typed.lines(field.name), error, currency, context))
        }
    }
}

impl Field {
    fn show(&self, value: &str, error: Option<&str>, currency: Currency, context: &str) -> Markup {
        let id = format!("{context}-{}", self.name);
        let (hint_id, error_id) = (format!("{id}-hint"), format!("{id}-error"));
        let described = [(!self.hint.is_empty()).then_some(hint_id.as_str()), error.map(|_| error_id.as_str())];
        let described = described.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let described = Some(described).filter(|ids| !ids.is_empty());
        let input = Input { id: &id, value, described: described.as_deref(), invalid: error.map(|_| "true"), currency };
        html! {
            div.field.wrong[error.is_some()] {
                @if self.kind == Kind::Check { (input.check(self)) } @else if self.kind == Kind::Files { (input.ticks(self)) } @else {
                    label for=(id) { (self.label) }
                    @if !self.hint.is_empty() { p.hint id=(hint_id) { (self.hint) } }
                    (input.show(self))
                }
                @if let Some(reason) = error { p.error id=(error_id) { (reason) } }
            }
        }
    }

    const fn is_required(&self) -> bool {
        match self.kind {
            Kind::Money { required, .. } | Kind::Text { required } => required,
            Kind::Files | Kind::OptionalLine => false,
            Kind::Line | Kind::Choice(_) | Kind::Check | Kind::Number => true,
        }
    }
}

/// The input of a field.
struct Input<'a> {
    id: &'a str,
    value: &'a str,
    described: Option<&'a str>,
    invalid: Option<&'a str>,
    currency: Currency,
}

impl Input<'_> {
    fn show(&self, field: &Field) -> Markup {
        let (name, required) = (field.name, field.is_required());
        let (id, value, described, invalid) = (self.id, self.value, self.described, self.invalid);
        match field.kind {
            Kind::Money { of, .. } => {
                html! { (self.money(name, required)) @if let Some(of) = of { (self.slider(field, of)) } }
            }
            Kind::Text { .. } => html! {
                textarea id=(id) name=(name) rows="5" required[required] aria-describedby=[described]
                    aria-invalid=[invalid] { (value) }
            },
            Kind::Files => self.ticks(field),
            Kind::Choice(choices) => html! {
                select id=(id) name=(name) required aria-describedby=[described] aria-invalid=[invalid] {
                    option value="" { "Choose one" }
                    @for choice in choices { option value=(choice) selected[*choice == value] { (words(choice)) } }
                }
            },
            Kind::Line | Kind::OptionalLine | Kind::Number | Kind::Check => {
                let mode = (field.kind == Kind::Number).then_some("numeric");
                html! {
                    input id=(id) name=(name) type="text" inputmode=[mode] value=(value) required[required]
                        autocomplete="off" aria-describedby=[described] aria-invalid=[invalid];
                }
            }
        }
    }

    /// A tick box for each file, and a link to upload more.
    fn ticks(&self, field: &Field) -> Markup {
        html! {
            fieldset.ticks aria-describedby=[self.described] {
                legend { (field.label) }
                @if !field.hint.is_empty() { p.hint { (field.hint) } }
                @for (number, file) in field.files.iter().enumerate() {
                    @let (id, line) = (format!("{}-{number}", self.id), ticked_by(file));
                    div.check {
                        input id=(id) type="checkbox" name=(field.name) value=(line) checked[self.value.lines().any(|ticked| ticked == line)];
                        label for=(id) { (file.name) }
                    }
                }
                p.small { a href=(field.uploads) { "Upload files" } " first, then tick them here." }
            }
        }
    }

    fn money(&self, name: &str, required: bool) -> Markup {
        html! {
            div.money {
                input id=(self.id) name=(name) type="text" inputmode="decimal" value=(self.value) required[required]
                    autocomplete="off" aria-describedby=[self.described] aria-invalid=[self.invalid]
                    data-decimals=(self.currency.decimals());
                span.unit { (self.currency.code()) }
            }
        }
    }

    /// A slider for the amount, and how it divides the whole. The script shows and moves both.
    fn slider(&self, field: &Field, of: Amount) -> Markup {
        html! {
            div.split hidden data-split=(self.id) data-total=(of.minor()) data-code=(self.currency.code()) {
                input type="range" min="0" max=(of.minor()) step="1" aria-label=(field.label);
                p aria-live="polite" { (field.label) ": " strong data-part="first" {} " · " (field.rest) ": " strong data-part="rest" {} }
            }
        }
    }

    fn check(&self, field: &Field) -> Markup {
        html! {
            div.check {
                input id=(self.id) name=(field.name) type="checkbox" value="yes" required checked[!self.value.is_empty()]
                    aria-describedby=[self.described] aria-invalid=[self.invalid];
                label for=(self.id) { (field.label) }
            }
        }
    }
}
