//! A case's page: whose turn it is, by when and what silence does; what the viewer can do; both sides; what happened.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use recourse_api::{Front, cases::segment, extract::Of, problem::Problem};
use recourse_client::words::{named, note_of, words};
use recourse_domain::{
    case::TimelineEntry,
    command::CommandKind,
    fee::ShareState,
    ids::CaseKind,
    money::Amount,
    offers::{Offer, OfferState},
    outcome::{DecidedBy, Outcome},
    party::Role,
    stage::Stage,
};
use recourse_workflows::describe;

use super::{
    acts::{Act, Of as About},
    case_view::{CaseView, version},
    command_form, files,
    forms::Fields,
    parts::{self, begin, facts, label, moment, quote, time},
    place::Mishap,
    sandbox,
    session::Visit,
};

/// Shows a case.
pub async fn show(State(front): State<Front>, visit: Visit, Of(case): Of<String>) -> Result<Response, Mishap> {
    let seen = front.case(visit.who(), &case).await?;
    if let (CaseKind::EscrowDeposit, Some(contract)) = (seen.kind, &seen.contract) {
        return Ok(Redirect::to(&format!("/contracts/{}", contract.id)).into_response());
    }
    let looked = CaseView::at(&front, visit.who(), &case).await?;
    Ok(page(&looked, &visit, StatusCode::OK, None))
}

/// Sends an event when a case changes. The version tells one status from another.
pub async fn live(State(front): State<Front>, visit: Visit, Of(case): Of<String>) -> Result<Response, Mishap> {
    let seen = front.case(visit.who(), &case).await?;
    if seen.kind == CaseKind::EscrowDeposit {
        return Err(Problem::not_found("a deposit is not followed").into());
    }
    Ok(front.live(visit.session.token(), &case, version).await?)
}

/// The page of a case, with an alert before everything else.
pub fn page(looked: &CaseView, visit: &Visit, status: StatusCode, alert: Option<&Markup>) -> Response {
    visit.wide(status, &looked.name(), &body(looked, visit, alert))
}

/// What is on the page.
pub fn body(looked: &CaseView, visit: &Visit, alert: Option<&Markup>) -> Markup {
    let status = &looked.status;
    let live = (status.outcome.is_none() || status.stage != Stage::Closed)
        .then(|| format!("/cases/{}/live", segment(&status.case)));
    html! {
        div.title {
            h1 { (looked.name()) }
            p.small { a href={ "/contracts/" (status.contract) } { "Contract " (status.contract) } " · " code { (status.case) } }
        }
        div #news data-live=[live] data-version=(looked.version()) role="status" {}
        @if let Some(alert) = alert { (alert) }
        (standing(looked))
        (can(looked, visit))
        (sides(looked))
        (offers(looked))
        (resolution(looked))
        @if let Some(outcome) = &status.outcome { (ended(looked, outcome)) }
        (money(looked))
        (happened(looked))
        @if let Some(history) = &looked.history { p { a href=(history) rel="noreferrer" { "This case's history in Temporal" } } }
        @if visit.place.sandbox && status.outcome.is_none() { (sandbox::clock(looked, &visit.session)) }
    }
}

fn standing(looked: &CaseView) -> Markup {
    let status = &looked.status;
    let turn = match status.waiting_on.as_slice() {
        [] if status.outcome.is_some() && looked.money.not_moved().next().is_some() => {
            "Nobody's: the case is decided, and its money has not all moved yet".to_owned()
        }
        [] if status.outcome.is_some() => "Nobody's: the case is decided".to_owned(),
        [] => "Nobody's at the moment".to_owned(),
        roles if roles.iter().any(|role| looked.roles.contains(role)) => {
            let others: Vec<Role> = roles.iter().copied().filter(|role| !looked.roles.contains(role)).collect();
            if others.is_empty() {
                "Yours".to_owned()
            } else {
                format!("Yours, and {}'s", looked.people.names(&others))
            }
        }
        roles => begin(&looked.people.names(roles)),
    };
    let silence = status.deadline.and(status.if_silent).map(|silence| html! { (begin(silence.in_words())) });
    let holds = status.kind != CaseKind::PaymentRefund && status.outcome.is_none();
    let dispute = status.dispute.as_ref().map(|dispute| html! { a href=(parts::case_path(dispute)) { "The dispute" } });
    html! {
        section.card aria-labelledby="standing" {
            h2 #standing { "Where it stands" }
            (facts([
                ("Stage", Some(html! { (label(status.stage.name())) @if status.overdue { " " strong.late { "Overdue" } } })),
                ("Held in escrow", holds.then(|| html! { strong { (looked.show(status.held)) } })),
                ("Whose turn", Some(html! { (turn) })),
                ("Until", status.deadline.map(|deadline| moment(deadline, looked.now))),
                ("Silence", silence),
                ("Arbitration fee", shares(looked)),
                (if status.outcome.is_none() { "Goes on in" } else { "Decided in" }, dispute),
            ]))
            @if let Some(review) = &status.review {
                h3 { "The milestone" }
                (facts([
                    ("Milestone", Some(html! { (review.milestone.ordinal) ". " (review.milestone.label()) ", " (looked.show(review.milestone.amount)) })),
                    ("To be done", review.milestone.description.as_deref().map(quote)),
                    ("Submitted", Some(html! { (times(review.submissions)) (quote(&review.latest.note)) (files::linked(&review.latest.files, &status.contract)) })),
                    ("Changes asked for", review.changes.as_deref().map(quote)),
                ]))
            }
            @if let Some(payment) = &status.payment {
                h3 { "The payment" }
                (facts([
                    ("Payment", Some(html! { code { (payment.id) } ", released " (time(payment.released_at)) })),
                    ("Not returned when asked", Some(html! { (looked.show(payment.left)) })),
                    ("Asked back", Some(html! { strong { (looked.show(payment.asked)) } (quote(&payment.message)) })),
                    ("Mediation help until", payment.mediation.is_none().then(|| moment(payment.mediation_until, looked.now))),
                    ("Mediation asked for", payment.mediation.as_deref().map(quote)),
                    ("The mediator's opinion", payment.opinion.as_deref().map(quote)),
                ]))
            }
        }
    }
}

fn times(submissions: u32) -> String {
    if submissions > 1 { format!("{submissions} times; last:") } else { String::new() }
}

fn can(looked: &CaseView, visit: &Visit) -> Markup {
    let acts = looked.acts();
    let several = acts.iter().any(|act| acts.first().is_some_and(|first| first.role != act.role));
    let is_form = |act: &&Act| act.command_kind == CommandKind::Propose;
    html! {
        @if !acts.is_empty() {
            section.card aria-labelledby="can" {
                h2 #can { "What you can do" }
                ul.acts {
                    @for act in acts.iter().filter(|act| !is_form(act)) {
                        li {
                            a.button.primary[act.is_final()] href=(act.path(&looked.status.case)) {
                                (act.label(&looked.status))
                                @if several { " (as the " (act.role) ")" }
                            }
                            p { (act.consequence(&looked.status, &looked.people, None)) }
                        }
                    }
                }
                @for act in acts.iter().filter(is_form) {
                    h3 { (act.label(&looked.status)) }
                    p { (act.consequence(&looked.status, &looked.people, None)) }
                    (command_form::form(looked, &visit.session, act, &Fields::default(), &[]))
                }
            }
        }
    }
}

fn sides(looked: &CaseView) -> Markup {
    let status = &looked.status;
    html! {
        @if let Some(claim) = &status.claim {
            section.sides aria-label="Both sides" {
                div.card {
                    h2 { (begin(&looked.people.name(Role::Freelancer))) " claims " (looked.show(claim.amount)) }
                    p { "Reason: " (named(&claim.reason)) }
                    (quote(&claim.details))
                    (files::linked(&claim.evidence, &status.contract))
                }
                div.card {
                    @if let Some(rejection) = &status.rejection {
                        h2 { (begin(&looked.people.name(Role::Client))) " rejects the claim" }
                        p { "Reason: " (named(&rejection.reason)) }
                        (quote(&rejection.details))
                        (files::linked(&rejection.evidence, &status.contract))
                    } @else if status.outcome.is_none() {
                        h2 { (begin(&looked.people.name(Role::Client))) }
                        p { "Has not answered the claim." }
                    }
                }
            }
        }
    }
}

/// The state of the parties' shares of the arbitration fee, if somebody demanded arbitration.
fn shares(looked: &CaseView) -> Option<Markup> {
    let arbitration = looked.status.arbitration.as_ref().filter(|arbitration| !arbitration.shares.is_empty())?;
    Some(html! {
        @for (party, share) in &arbitration.shares {
            p {
                (begin(&looked.people.name(*party))) "'s share of " (looked.show(arbitration.fee_share)) ": "
                @match share {
                    ShareState::Charging => "it is being charged.",
                    ShareState::Paid => "it is paid.",
                    ShareState::Declined => strong.late {
                        "it could not be charged, and counts as not paid. It can be demanded again, with another billing method."
                    },
                }
            }
        }
    })
}

fn offers(looked: &CaseView) -> Markup {
    let status = &looked.status;
    let rest = if describe::is_about_a_milestone(status) { "Stays in escrow" } else { "Back to the client" };
    html! {
        @if !status.offers.is_empty() {
            section.card aria-labelledby="offers" {
                h2 #offers { "Offers" }
                div.scroll tabindex="0" role="region" aria-labelledby="offers" {
                    table {
                        caption.hidden { "Offers of both parties, oldest first" }
                        thead { tr {
                            th scope="col" { "Offer" } th scope="col" { "By" }
                            th.number scope="col" { "To the freelancer" } th.number scope="col" { (rest) }
                            th scope="col" { "State" } th scope="col" { "Message" } th scope="col" { "Answer" }
                        } }
                        tbody { @for offer in &status.offers { (offer_row(looked, offer)) } }
                    }
                }
            }
        }
    }
}

fn offer_row(looked: &CaseView, offer: &Offer) -> Markup {
    let about = |act: &Act| act.of == About::Offer(offer.number);
    let acts = looked.acts().into_iter().filter(about);
    html! {
        tr {
            th scope="row" { (offer.number) }
            td { (begin(&looked.people.name(offer.by))) }
            td.number { (looked.show(offer.to_freelancer)) }
            td.number { (looked.show(offer.to_client)) }
            td { (named(&offer.state)) }
            td.written { (offer.message.as_deref().unwrap_or_default()) }
            td {
                @if offer.state == OfferState::Open {
                    @for act in acts { a href=(act.path(&looked.status.case)) { (act.label(&looked.status)) } " " }
                }
            }
        }
    }
}

fn resolution(looked: &CaseView) -> Markup {
    let status = &looked.status;
    html! {
        @if let Some(resolution) = &status.resolution {
            section.card aria-labelledby="resolution" {
                h2 #resolution { "The mediator's resolution" }
                p {
                    (looked.show(resolution.to_freelancer)) " to " (looked.people.payee()) ", "
                    (looked.show(resolution.to_client)) " " (describe::rest_of_a_split(status)) "."
                }
                (quote(&resolution.rationale))
                (facts(Role::PARTIES.map(|role| {
                    let name = if role == Role::Client { "The client" } else { "The freelancer" };
                    let answer = status.answers.get(&role).map_or_else(|| "no answer".to_owned(), named);
                    (name, Some(html! { (answer) }))
                })))
            }
        }
    }
}

fn ended(looked: &CaseView, outcome: &Outcome) -> Markup {
    let some = |amount: Amount| (!amount.is_zero()).then(|| html! { strong { (looked.show(amount)) } });
    let by = (outcome.decided_by != DecidedBy::Rule).then(|| html! { (label(&named(&outcome.decided_by))) });
    html! {
        section.card aria-labelledby="outcome" {
            h2 #outcome { "How it ended" }
            (facts([
                ("Result", Some(html! { strong { (label(outcome.result.name())) } })),
                ("Decided by", by),
                ("Rule", Some(html! { (outcome.rule) })),
                ("The freelancer gets", some(outcome.to_freelancer)),
                ("The client gets back", some(outcome.to_client)),
                ("Stays in escrow", some(outcome.kept_in_escrow)),
                ("Bonus", some(outcome.bonus)),
                ("Bonus failed", outcome.bonus_failed.then(|| html! { "The bonus could not be charged" })),
                ("Why", outcome.message.as_deref().map(|message| html! { (message) })),
            ]))
        }
    }
}

/// A decision is not an arrival. The ledger and the server know what has arrived (L9).
fn money(looked: &CaseView) -> Markup {
    let movements = &looked.money.movements;
    html! {
        @if !movements.is_empty() {
            section.card aria-labelledby="money" {
                h2 #money { "Its money" }
                (parts::movements(movements, &looked.people, looked.now))
            }
        }
    }
}

fn happened(looked: &CaseView) -> Markup {
    let status = &looked.status;
    html! {
        section.card aria-labelledby="happened" {
            h2 #happened { "What happened" }
            div.scroll tabindex="0" role="region" aria-labelledby="happened" {
                table {
                    caption.hidden { "What happened in this case, oldest first" }
                    thead { tr {
                        th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "Rule" }
                    } }
                    tbody { @for entry in &status.timeline { (entry_row(entry)) } }
                }
            }
            @if status.timeline.is_empty() { p { "Nothing yet: the case is just opening." } }
            @if status.refusals_omitted > 0 { p { "And " (status.refusals_omitted) " refused commands that are not shown." } }
        }
    }
}

fn entry_row(entry: &TimelineEntry) -> Markup {
    let note = entry.note.as_deref().filter(|note| !note.is_empty()).map(|note| note_of(entry.what, note));
    html! {
        tr {
            td { (time(entry.at)) }
            td { (label(&named(&entry.by))) }
            td { (label(&words(&named(&entry.what)))) @if let Some(note) = note { ": " span.written { (note) } } }
            td { @if let Some(rule) = entry.rule { (rule) } }
        }
    }
}
