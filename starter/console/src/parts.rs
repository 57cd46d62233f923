//! The parts of pages: times, money, people, and names.

use jiff::Timestamp;
use maud::{Markup, html};
use recourse_api::cases::segment;
use recourse_client::{
    money::{Movement, SUSPENSE, Said},
    words::{distance, words},
};
use recourse_domain::{
    ids::CaseKind,
    money::{Amount, Currency},
    party::{Contract, Party, Role},
};
use recourse_workflows::describe;

/// The names of people in a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    client: String,
    freelancer: String,
    /// The payee of the freelancer's work.
    payee: String,
}

impl People {
    /// The people of a contract; their roles if the contract is unknown.
    pub fn of(contract: Option<&Contract>) -> Self {
        let name = |party: Option<&Party>, role: Role| match party.map(Party::label).map(str::trim) {
            None | Some("") => format!("the {role}"),
            Some(name) => name.to_owned(),
        };
        let freelancer = name(contract.map(|contract| &contract.freelancer), Role::Freelancer);
        let agency = contract.and_then(|contract| contract.freelancer.agency.as_ref());
        let payee = agency
            .map_or_else(|| freelancer.clone(), |agency| agency.name.clone().unwrap_or_else(|| agency.id.to_string()));
        Self { client: name(contract.map(|contract| &contract.client), Role::Client), freelancer, payee }
    }

    /// The name of the person in this role.
    pub fn name(&self, role: Role) -> String {
        match role {
            Role::Client => self.client.clone(),
            Role::Freelancer => self.freelancer.clone(),
            other => format!("the {other}"),
        }
    }

    /// The payee.
    pub fn payee(&self) -> &str {
        &self.payee
    }

    /// Names in a row.
    pub fn names(&self, roles: &[Role]) -> String {
        roles.iter().map(|role| self.name(*role)).collect::<Vec<_>>().join(" and ")
    }
}

/// An instant, in UTC; the script shows it in the viewer's own time.
pub fn time(at: Timestamp) -> Markup {
    html! { time datetime=(at) data-local { (describe::instant(at)) } }
}

/// An instant and how far it is from `now`, the case's own time. The script keeps the distance up to date.
pub fn moment(at: Timestamp, now: Timestamp) -> Markup {
    html! { (time(at)) " " span.distance data-until=(at) data-now=(now) { "(" (distance(at, now)) ")" } }
}

/// Money that may be negative or nothing, in a currency by its code.
pub fn money(minor: i64, currency: &str) -> String {
    match (Amount::new(minor), Currency::from_code(currency)) {
        (Ok(amount), Ok(currency)) => currency.show(amount),
        _ => format!("{minor} {currency} (minor units)"),
    }
}

/// The text with a capital letter.
pub fn begin(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), letters.as_str()))
}

/// What is known of a movement of money (L9).
pub fn known(movement: &Movement, now: Timestamp) -> Markup {
    html! {
        @for part in movement.known(now) {
            @match part {
                Said::Words(words) => span.written { (words) },
                Said::At(at) => (moment(at, now)),
            }
        }
    }
}

/// Movements of money, each with what is known of it, and an explanation of suspense if any of them is there.
pub fn movements<'a>(movements: impl IntoIterator<Item = &'a Movement>, people: &People, now: Timestamp) -> Markup {
    let movements: Vec<&Movement> = movements.into_iter().collect();
    html! {
        ul.rows {
            @for movement in &movements {
                li {
                    strong { (movement.what(&people.client, &people.payee)) } ": " (known(movement, now)) "."
                    @if movement.retry.is_some() { " " strong.late { "Tried again" } }
                }
            }
        }
        @if movements.iter().any(|movement| movement.in_suspense) { p { (SUSPENSE) } }
    }
}

/// A name of the wire contract in words, with a capital letter.
pub fn label(name: &str) -> String {
    begin(&words(name))
}

/// The name of a kind of case.
pub const fn kind(kind: CaseKind) -> &'static str {
    match kind {
        CaseKind::EscrowDeposit => "Deposit",
        CaseKind::RefundRequest => "Refund request",
        CaseKind::Dispute => "Dispute",
        CaseKind::MilestoneReview => "Milestone review",
        CaseKind::PaymentRefund => "Refund of a payment",
    }
}

/// The path of a case's page. The first case of a workflow id has that id alone, but as soon as there is a later case, the id
/// leads to the newest. A link must lead to this very case, so it says that the case is the first (L8).
pub fn case_path(case: &str) -> String {
    let is_numbered = case.rsplit_once('#').is_some_and(|(_, number)| number.parse::<u32>().is_ok());
    if is_numbered { format!("/cases/{}", segment(case)) } else { format!("/cases/{}", segment(&format!("{case}#1"))) }
}

/// Names with their values, without those that have no value.
pub fn facts(facts: impl IntoIterator<Item = (&'static str, Option<Markup>)>) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts {
                @if let Some(value) = value { div { dt { (name) } dd { (value) } } }
            }
        }
    }
}

/// A text that somebody wrote, with its line breaks.
pub fn quote(text: &str) -> Markup {
    html! { blockquote.written { (text) } }
}

/// A size for people.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}
