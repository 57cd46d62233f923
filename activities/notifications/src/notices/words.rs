//! The texts of a notice: what happened, what the recipient can do, by when, what silence does, and the money (N1).
//!
//! Each event has a template: its first line is the headline and its second is what happened. A layout for text and one
//! for HTML add the rest. The recipient is "you", and the other party has a name.

mod offers;

use jiff::Timestamp;
use minijinja::{Environment, UndefinedBehavior, Value, value::Serde};
use recourse_domain::{
    money::Amount,
    notice::{IfSilent, Notice, NoticeEvent},
    outcome::DecidedBy,
    party::{Contract, Role},
};
use recourse_workflows::effects::Tell;
use serde::Serialize;

use offers::{About, milestone, offer_of};

/// What renders the templates.
#[derive(Debug)]
pub(super) struct Words {
    templates: Environment<'static>,
}

/// A notice's texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rendered {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// Gives each event the template with its name. A new event does not compile without one.
macro_rules! templates {
    ($($event:ident = $name:literal, $where:ident $how:ident;)+) => {
        const fn template(event: NoticeEvent) -> &'static str {
            match event {
                $(NoticeEvent::$event => include_str!(concat!("templates/", $name, ".txt"))),+
            }
        }
    };
}

recourse_domain::each_notice!(templates);

const LAYOUT_TEXT: &str = include_str!("templates/layout.txt");
const LAYOUT_HTML: &str = include_str!("templates/layout.html");

impl Words {
    pub fn new() -> Self {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        Self { templates }
    }

    /// The texts of a notice. What people wrote is escaped in the HTML and quoted in the text.
    pub fn render(&self, told: &Tell, notice: &Notice) -> Result<Rendered, minijinja::Error> {
        let facts = EventFacts::of(told, notice);
        let event = self.templates.render_named_str("event.txt", template(notice.event), Value::from(Serde(&facts)))?;
        let (headline, sentence) = event.trim().split_once('\n').unwrap_or((event.trim(), ""));
        let layout = Layout::of(told, notice, one_line(headline), one_line(sentence));
        let all = Value::from(Serde(&layout));
        let text = self.templates.render_named_str("layout.txt", LAYOUT_TEXT, &all)?;
        let html = self.templates.render_named_str("layout.html", LAYOUT_HTML, &all)?;
        let title = one_line(&told.contract.title);
        let title = if title.is_empty() { told.contract.id.to_string() } else { title };
        Ok(Rendered { subject: format!("{} ({title})", layout.headline), text: without_gaps(&text), html })
    }
}

/// The values that an event's template can use. If the event has no money, the text is "the amount".
#[derive(Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "a template asks of each by its name")]
struct EventFacts {
    you: &'static str,
    client: String,
    freelancer: String,
    /// The other party, for a party.
    other: String,
    /// Who did it: "you", a name, "the mediator"; or "somebody".
    actor: String,
    /// The same for the beginning of a sentence.
    actor_begins: String,
    held: String,
    amount: String,
    /// Whether the amount is 0: a share of the arbitration fee that is not charged.
    is_free: bool,
    to_freelancer: String,
    to_client: String,
    kept_in_escrow: Option<String>,
    pays_freelancer: bool,
    pays_client: bool,
    number: String,
    /// "milestone" and its name; "the milestone" if the event has none.
    milestone: String,
    /// The same; absent if the event has none.
    of_milestone: Option<String>,
    /// What the case is about: "milestone", "payment" or "money".
    about: About,
    accepted: bool,
    decided_by: DecidedBy,
    deadline: Option<String>,
    expected_by: Option<String>,
}

impl EventFacts {
    fn of(told: &Tell, notice: &Notice) -> Self {
        let (contract, facts) = (&told.contract, &notice.facts);
        let shown = |amount: Option<Amount>| {
            amount.map_or_else(|| "the amount".to_owned(), |amount| contract.currency.show(amount))
        };
        let moves = |amount: Option<Amount>| amount.is_some_and(|amount| !amount.is_zero());
        let actor = notice.by.map_or_else(|| "somebody".to_owned(), |by| in_words(by, notice.to, contract));
        Self {
            you: notice.to.name(),
            client: name_of(Role::Client, contract),
            freelancer: name_of(Role::Freelancer, contract),
            other: notice.to.other_party().map_or_else(String::new, |other| name_of(other, contract)),
            actor_begins: begin(&actor),
            actor,
            held: shown(facts.held),
            amount: shown(facts.amount),
            is_free: facts.amount.is_some_and(Amount::is_zero),
            to_freelancer: shown(facts.to_freelancer),
            to_client: shown(facts.to_client),
            kept_in_escrow: moves(facts.kept_in_escrow).then(|| shown(facts.kept_in_escrow)),
            pays_freelancer: moves(facts.to_freelancer),
            pays_client: moves(facts.to_client),
            number: facts.number.map_or_else(String::new, |number| number.to_string()),
            milestone: milestone(notice),
            of_milestone: facts.milestone.is_some().then(|| milestone(notice)),
            about: About::of(notice),
            accepted: facts.accepted.unwrap_or_default(),
            decided_by: facts.decided_by.unwrap_or(DecidedBy::Rule),
            deadline: notice.deadline.map(show_time),
            expected_by: facts.expected_by.map(show_time),
        }
    }
}

/// The rest of a notice.
#[derive(Serialize)]
struct Layout {
    headline: String,
    sentence: String,
    quote_from: String,
    quote: Vec<String>,
    offers: Vec<String>,
    deadline: Option<String>,
    silence: Option<String>,
    money: Vec<String>,
    contract: String,
    case: String,
    rule: &'static str,
}

impl Layout {
    fn of(told: &Tell, notice: &Notice, headline: String, sentence: String) -> Self {
        let contract = &told.contract;
        let title = one_line(&contract.title);
        Self {
            headline,
            sentence,
            quote_from: quote_from(notice, contract),
            quote: notice.facts.text.as_deref().map(lines).unwrap_or_default(),
            offers: notice.can.iter().map(|command_kind| offer_of(*command_kind, notice, contract)).collect(),
            deadline: notice.deadline.map(show_time),
            silence: notice.deadline.and(notice.if_silent).map(|silence| silence_does(silence, notice.to, contract)),
            money: money(notice, contract),
            contract: if title.is_empty() { contract.id.to_string() } else { format!("{title} ({})", contract.id) },
            case: told.case.clone(),
            rule: notice.rule.id(),
        }
    }
}

/// What silence does, for this recipient: a clause after "if nothing happens by then,".
fn silence_does(silence: IfSilent, to: Role, contract: &Contract) -> String {
    let freelancer = in_words(Role::Freelancer, to, contract);
    let client = in_words(Role::Client, to, contract);
    let both = if Role::PARTIES.contains(&to) { "you both" } else { "both parties" };
    match silence {
        IfSilent::RefundClient => format!("the money that is held goes back to {client}"),
        IfSilent::ReleaseClaimedAmount => {
            format!("the claimed amount is released to {freelancer} and the rest goes back to {client}")
        }
        IfSilent::ReleaseAllHeld | IfSilent::ReleaseFreelancer => {
            format!("everything that is held is released to {freelancer}")
        }
        IfSilent::NoticeOfNonResolution => format!("{both} get the Notice of Non-Resolution"),
        IfSilent::FollowResolution => "the money moves as the mediator proposed".to_owned(),
        IfSilent::KeepInEscrow => "the money stays in escrow for the next milestone".to_owned(),
        IfSilent::ReleaseClaimedKeepRest => {
            format!(
                "the claimed amount is released to {freelancer} and the rest stays in escrow for the next milestone"
            )
        }
        IfSilent::ReturnNothing => "nothing is returned".to_owned(),
        IfSilent::Hold => "the money stays in escrow until an operator has decided".to_owned(),
    }
}

fn money(notice: &Notice, contract: &Contract) -> Vec<String> {
    let facts = &notice.facts;
    let to = |role| in_words(role, notice.to, contract);
    let proposed = matches!(notice.event, NoticeEvent::ResolutionProposed | NoticeEvent::OfferMade);
    // On an active contract, the part of a milestone that the freelancer does not get does not go back to the client
    // (D3).
    let rest = if proposed && facts.milestone.is_some() {
        "stays in escrow for the next milestone".to_owned()
    } else {
        format!("to {}", to(Role::Client))
    };
    [
        ("held in escrow".to_owned(), facts.held),
        (format!("to {}", to(Role::Freelancer)), facts.to_freelancer),
        (rest, facts.to_client),
        ("stays in escrow".to_owned(), facts.kept_in_escrow.filter(|kept| !kept.is_zero())),
    ]
    .into_iter()
    .filter_map(|(what, amount)| amount.map(|amount| format!("{what}: {}", contract.currency.show(amount))))
    .collect()
}

/// The author of the text that a notice quotes.
fn quote_from(notice: &Notice, contract: &Contract) -> String {
    match (notice.event, notice.by) {
        (
            NoticeEvent::DepositDeclined
            | NoticeEvent::ArbitrationFeeDeclined
            | NoticeEvent::BonusFailed
            | NoticeEvent::RefundFailed,
            _,
        ) => "The payment provider's reason:".to_owned(),
        (NoticeEvent::NonResolution, None) => "The mediator's reason:".to_owned(),
        (_, Some(by)) => format!("{} wrote:", begin(&in_words(by, notice.to, contract))),
        (_, None) => "More about it:".to_owned(),
    }
}

/// A role in words for this recipient: "you", a party's name, or "the mediator".
fn in_words(role: Role, to: Role, contract: &Contract) -> String {
    if role == to { "you".to_owned() } else { name_of(role, contract) }
}

/// A party's name, or "the mediator".
pub(super) fn name_of(role: Role, contract: &Contract) -> String {
    let name = contract.party(role).map(|party| one_line(party.label())).unwrap_or_default();
    if name.is_empty() { format!("the {role}") } else { name }
}

/// With a capital letter at the beginning of a sentence. Names stay as they are.
fn begin(words: &str) -> String {
    match words.strip_prefix("the ") {
        Some(rest) => format!("The {rest}"),
        None if words == "you" => "You".to_owned(),
        None if words == "somebody" => "Somebody".to_owned(),
        None => words.to_owned(),
    }
}

/// `Thu 3 Dec 2026 10:00 UTC`.
fn show_time(at: Timestamp) -> String {
    at.strftime("%a %-d %b %Y %H:%M UTC").to_string()
}

/// A person's text on one line, without misleading characters: names and titles get into the headers of emails.
pub(super) fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|letter| if is_unseen(letter) { ' ' } else { letter }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(one_line).collect()
}

/// Controls, line separators, and marks that change the direction of writing.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most one empty line in a row, and none at the ends.
fn without_gaps(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.trim().lines().map(str::trim_end) {
        if !line.is_empty() || !out.ends_with("\n\n") {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests;
