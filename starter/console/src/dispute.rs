//! Filing a dispute without another case before it: the freelancer claims money in escrow that is in no case (D1, E6).

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use recourse_api::{Front, contracts::NewDispute, extract::Of, problem::Problem};
use recourse_domain::{
    claim::Grounds, evidence::Evidence, ids::Id, money::Amount, outcome::ResultKind, party::Role, split::Split,
};
use recourse_ledger::KeptFor;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    contract_view::{ContractView, held_in_cases},
    fields::{self, Field, Wrong},
    files,
    forms::{self, Fields, Posted},
    page::{Named, told},
    parts::{begin, case_path, quote},
    place::{Done, Mishap, Place},
    query::in_query,
    session::Visit,
};

/// A possible subject of a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    grounds: Grounds,
    /// The milestone. On an active contract without one, the freelancer must name it.
    milestone: Option<Id>,
    held: Amount,
}

/// One subject, as a link names it.
#[derive(Debug, Deserialize)]
pub struct SubjectQuery {
    grounds: Grounds,
    /// The milestone, if the money is a milestone's.
    about: Option<Id>,
}

impl SubjectQuery {
    fn posted(fields: &Fields) -> Result<Self, Problem> {
        let about = Some(fields.get("about")).filter(|about| !about.is_empty());
        let named = json!({"grounds": fields.get("grounds"), "about": about});
        serde_json::from_value(named).map_err(|error| Problem::unreadable(error.to_string()))
    }
}

/// The wire name of these grounds.
const fn name(grounds: Grounds) -> &'static str {
    match grounds {
        Grounds::RefundRequest => "refund_request",
        Grounds::NonRelease => "non_release",
        Grounds::PartialRelease => "partial_release",
    }
}

fn moved_on() -> Problem {
    let detail = "The contract has moved on: something else is in escrow outside of a case now than when the page was shown. \
                  Nothing was done.";
    Problem::new(StatusCode::CONFLICT, "MovedOn", "The contract has moved on", detail)
}

fn only_the_freelancer(seen: &ContractView) -> Result<(), Problem> {
    if seen.roles.contains(&Role::Freelancer) {
        return Ok(());
    }
    Err(Problem::forbidden("only the freelancer files a dispute here"))
}

impl Subject {
    /// All possible subjects of a dispute of this contract that have their ground (D1). A dispute about money that a case holds
    /// belongs to that case.
    pub fn all(seen: &ContractView) -> Vec<Self> {
        let mut subjects = Vec::new();
        let mut after_the_end = Amount::ZERO;
        for free in &seen.unheld {
            let held = free.amount;
            match &free.kept_for {
                KeptFor::Contract => {
                    if !seen.grounds.submitted.is_empty() {
                        subjects.push(Self { grounds: Grounds::NonRelease, milestone: None, held });
                    }
                    after_the_end = after_the_end.plus(held).unwrap_or(after_the_end);
                }
                KeptFor::Milestone(id) if !seen.grounds.submitted.contains(id) => {}
                KeptFor::Milestone(id) => {
                    subjects.push(Self { grounds: Grounds::NonRelease, milestone: Some(id.clone()), held });
                }
                KeptFor::Next(from) => {
                    let of = |id: &Id| Self { grounds: Grounds::PartialRelease, milestone: Some(id.clone()), held };
                    subjects.extend(from.as_ref().map(of));
                    after_the_end = after_the_end.plus(held).unwrap_or(after_the_end);
                }
            }
        }
        // A dispute about an ended contract's escrow is about all of it, and belongs to its refund request if there is one.
        let is_in_a_case = seen.holds.iter().any(|hold| !hold.amount.is_zero());
        if seen.grounds.ended && !after_the_end.is_zero() && !is_in_a_case {
            subjects.push(Self { grounds: Grounds::RefundRequest, milestone: None, held: after_the_end });
        }
        subjects
    }

    /// The subject in a link or a form, if it exists.
    fn find(seen: &ContractView, named: &SubjectQuery) -> Result<Self, Problem> {
        let is_it = |subject: &Self| subject.grounds == named.grounds && subject.milestone == named.about;
        Self::all(seen).into_iter().find(is_it).ok_or_else(moved_on)
    }

    /// The subject of a form, as it was when its page was shown.
    fn posted(fields: &Fields) -> Result<Self, Problem> {
        let SubjectQuery { grounds, about: milestone } = SubjectQuery::posted(fields)?;
        let held = fields.get("held").parse().ok().and_then(|minor| Amount::new(minor).ok()).ok_or_else(moved_on)?;
        Ok(Self { grounds, milestone, held })
    }

    /// The hidden fields for the subject.
    fn names(&self) -> Vec<(&'static str, String)> {
        let about = self.milestone.as_ref().map(|milestone| ("about", milestone.to_string()));
        let held = ("held", self.held.minor().to_string());
        [("grounds", name(self.grounds).to_owned()), held].into_iter().chain(about).collect()
    }

    /// The subject, in words.
    fn in_words(&self, seen: &ContractView) -> String {
        let held = seen.show(self.held);
        match (self.grounds, &self.milestone) {
            (Grounds::PartialRelease, Some(milestone)) => {
                format!("{held} that was held over from milestone {milestone}")
            }
            (_, Some(milestone)) => {
                format!("{held} for milestone {milestone}, which was submitted and is not released")
            }
            (Grounds::RefundRequest, None) => format!("{held} that is held although the contract has ended"),
            (_, None) => format!("a submitted milestone that is paid from {held} for the whole contract"),
        }
    }

    fn fields(&self, seen: &ContractView, uploaded: Vec<Evidence>) -> Vec<Field> {
        let hint = fields::up_to(self.held, seen.contract.currency);
        let amount = fields::amount("amount", fields::CLAIMED.to_owned(), hint, self.held, self.rest(seen));
        let uploads = format!("/contracts/{}/evidence", seen.contract.id);
        let contacted = self.grounds.is_active().then(|| seen.people.name(Role::Client));
        let claim = fields::claim(amount, contacted, fields::files("evidence", fields::FILES, uploaded, uploads));
        let is_to_be_named = self.grounds.is_active() && self.milestone.is_none();
        let milestone = is_to_be_named.then(|| fields::line("milestone", "The milestone's id", ""));
        milestone.into_iter().chain(claim).collect()
    }

    fn rest(&self, seen: &ContractView) -> String {
        if self.grounds.is_active() {
            "Stays in escrow".to_owned()
        } else {
            format!("Back to {}", seen.people.name(Role::Client))
        }
    }

    /// The claim's effect on the money.
    fn consequence(&self, seen: &ContractView, amount: Amount) -> String {
        let client = seen.people.name(Role::Client);
        let (payee, claimed) = (seen.people.payee(), seen.show(amount));
        let rest = match Split::of(self.held, amount, seen.contract.currency) {
            Ok(split) if !split.to_client.is_zero() => {
                let rest = seen.show(split.to_client);
                if self.grounds.is_active() {
                    format!(", {rest} stays in escrow")
                } else {
                    format!(", {rest} goes back to {client}")
                }
            }
            _ => String::new(),
        };
        format!(
            "{client} is asked to accept your claim of {claimed}. If it is accepted, or not answered in time: {claimed} goes to \
             {payee}{rest}. No money moves now."
        )
    }
}

/// The offer to file a dispute, on the contract's page.
pub fn offer(seen: &ContractView) -> Markup {
    let subjects = Subject::all(seen);
    html! {
        @if !subjects.is_empty() {
            section.card aria-labelledby="dispute" {
                h2 #dispute { "Dispute money in escrow" }
                p { "What is not in a case yet can be disputed by itself:" }
                ul.rows {
                    @for subject in &subjects { li { a href=(link(seen, subject)) { "Dispute " (subject.in_words(seen)) } } }
                }
            }
        }
    }
}

fn action(seen: &ContractView) -> String {
    format!("/contracts/{}/dispute", seen.contract.id)
}

fn link(seen: &ContractView, subject: &Subject) -> String {
    let about = subject.milestone.as_ref().map(|milestone| format!("&about={}", in_query(milestone.as_str())));
    format!("{}?grounds={}{}", action(seen), name(subject.grounds), about.unwrap_or_default())
}

/// The form.
pub async fn show(
    State(front): State<Front>,
    visit: Visit,
    Of(id): Of<String>,
    Named(asked): Named<SubjectQuery>,
) -> Result<Response, Mishap> {
    let seen = ContractView::at(&front, visit.who(), &id).await?;
    only_the_freelancer(&seen)?;
    let subject = Subject::find(&seen, &asked)?;
    let form = Form::of(&front, seen, subject).await?;
    Ok(form.asking(&visit, &Fields::default(), &[], None))
}

/// Takes the form: asks again, shows what it does, or files the dispute.
pub async fn send(State(front): State<Front>, Of(id): Of<String>, posted: Posted) -> Result<Response, Mishap> {
    let visit = &posted.visit;
    let seen = ContractView::at(&front, visit.who(), &id).await?;
    only_the_freelancer(&seen)?;
    let shown = Subject::posted(&posted.fields)?;
    let is_confirmed = posted.fields.get("step") == "do";
    // An earlier click may have filed the confirmed dispute. Then the money is in a case, and that is the answer.
    let subject = if is_confirmed {
        Some(shown.clone())
    } else {
        Subject::find(&seen, &SubjectQuery::posted(&posted.fields)?).ok()
    };
    let Some(subject) = subject else { return Ok(gone(&seen, &posted)) };
    let form = Form::of(&front, seen, subject).await?;
    if form.subject != shown {
        return Ok(form.asking(visit, &posted.fields, &[], Some(&moved_on())));
    }
    if posted.fields.get("step") == "edit" {
        return Ok(form.asking(visit, &posted.fields, &[], None));
    }
    let currency = form.seen.contract.currency;
    let read = fields::read(&form.asked, &posted.fields, currency);
    let read = read.and_then(|read| match fields::too_much(&form.asked, &read, currency) {
        Some(wrong) => Err(vec![wrong]),
        None => Ok(read),
    });
    let read = match read {
        Ok(read) => read,
        Err(wrong) => return Ok(form.asking(visit, &posted.fields, &wrong, None)),
    };
    if !is_confirmed {
        return Ok(form.reviewed(&posted, fields::amount_in(&read).unwrap_or_default()));
    }
    let work = give(front.clone(), posted.clone(), id, shown, form.dispute(read)?);
    match posted.once(&front, work).await {
        Ok(to) => Ok(Redirect::to(&to).into_response()),
        Err(problem) if problem.is_passing() => Err(problem.into()),
        Err(problem) if problem.error == "MovedOn" => {
            Ok(gone(&ContractView::at(&front, visit.who(), form.seen.contract.id.as_str()).await?, &posted))
        }
        Err(problem) => Ok(form.asking(visit, &posted.fields, &[], Some(&problem))),
    }
}

/// The page if the dispute's money is no longer there: where it is, and what the freelancer wrote.
fn gone(seen: &ContractView, posted: &Posted) -> Response {
    let written = posted.fields.get("details");
    let body = html! {
        p.small { a href={ "/contracts/" (seen.contract.id) } { (seen.title()) } }
        h1 { "File a dispute" }
        (told(&moved_on()))
        (held_in_cases(seen))
        p { "What a case holds is disputed in that case, while it can be." }
        @if !written.is_empty() { h2 { "What you wrote" } (quote(written)) }
        p { a href={ "/contracts/" (seen.contract.id) } { "To the contract" } }
    };
    posted.visit.page_with(StatusCode::CONFLICT, "File a dispute", &body)
}

async fn give(
    front: Front,
    posted: Posted,
    id: String,
    shown: Subject,
    dispute: NewDispute,
) -> Result<String, Problem> {
    let seen = ContractView::at(&front, posted.visit.who(), &id).await?;
    if Subject::find(&seen, &SubjectQuery::posted(&posted.fields)?)? != shown {
        return Err(moved_on());
    }
    let begun = front.dispute(posted.visit.who(), &seen.contract.id, dispute).await?;
    let outcome = begun.status.and_then(|status| status.outcome);
    if let Some(refused) = outcome.filter(|outcome| outcome.result == ResultKind::Refused) {
        let rule = Some(refused.rule.to_string());
        let why = refused.message.unwrap_or_else(|| "no reason was given".to_owned());
        return Err(Problem { rule, ..Problem::invalid(why) });
    }
    let done = if begun.already_running { Done::Running } else { Done::Filed };
    Ok(Place::after(&case_path(&begun.case), done))
}

/// The form for a subject.
struct Form {
    seen: ContractView,
    subject: Subject,
    asked: Vec<Field>,
}

impl Form {
    async fn of(front: &Front, seen: ContractView, subject: Subject) -> Result<Self, Problem> {
        let uploaded = files::of_side(front, &seen.contract.id, &seen.roles).await?;
        let asked = subject.fields(&seen, uploaded);
        Ok(Self { seen, subject, asked })
    }

    /// The dispute that the typed values describe.
    fn dispute(&self, mut read: Map<String, Value>) -> Result<NewDispute, Problem> {
        let contacted_client = read.remove("contacted_client");
        let milestone = read.remove("milestone").or_else(|| self.subject.milestone.as_ref().map(|id| json!(id)));
        let dispute = json!({
            "grounds": self.subject.grounds, "milestone": milestone, "claim": read, "contacted_client": contacted_client,
        });
        serde_json::from_value(dispute).map_err(|error| Problem::invalid(error.to_string()))
    }

    fn around(&self, body: &Markup, first: &Markup) -> Markup {
        let contract = format!("/contracts/{}", self.seen.contract.id);
        html! {
            p.small { a href=(contract) { (self.seen.title()) } }
            h1 { "File a dispute" }
            (first)
            form method="post" action=(action(&self.seen)) data-once {
                @for (name, value) in self.subject.names() { input type="hidden" name=(name) value=(value); }
                (body)
            }
            p { a href=(contract) { "Not now" } }
        }
    }

    fn asking(&self, visit: &Visit, typed: &Fields, wrong: &[Wrong], alert: Option<&Problem>) -> Response {
        let first = html! {
            @if let Some(problem) = alert { (told(problem)) }
            p { "It is about " (self.subject.in_words(&self.seen)) "." }
            p.consequence {
                (begin(&self.seen.people.name(Role::Client))) " is asked to accept what you claim, or to reject it. No money moves now."
            }
        };
        let body = html! {
            (forms::hidden(&visit.session))
            (fields::show(&self.asked, typed, wrong, self.seen.contract.currency, "dispute"))
            div.buttons { button.primary type="submit" name="step" value="review" { "See what this does" } }
        };
        let is_refused = alert.is_some() || !wrong.is_empty();
        let status = if is_refused { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        visit.page_with(status, "File a dispute", &self.around(&body, &first))
    }

    /// The page that shows what the claim does. The freelancer confirms or changes it.
    fn reviewed(&self, posted: &Posted, amount: Amount) -> Response {
        let visit = &posted.visit;
        let first = html! { p.consequence { (begin(&self.subject.consequence(&self.seen, amount))) } };
        let body = html! {
            (forms::hidden(&visit.session))
            (fields::typed(&self.asked, &posted.fields))
            div.buttons {
                button.primary type="submit" name="step" value="do" { "Confirm: file the dispute" }
                button type="submit" name="step" value="edit" { "Change it" }
            }
        };
        visit.page("File a dispute", &self.around(&body, &first))
    }
}

#[cfg(test)]
mod tests;
