//! What must hold in every state, and after every step.

use recourse_domain::{
    case::{Case, Particulars},
    command::{Award, Command, FieldKind, Message, Refusal, RefusalKind, Supersede},
    ids::Id,
    money::Amount,
    offers::OfferState,
    outcome::{DecidedBy, Outcome, ResultKind},
    party::{Actor, Role},
    posting::PostingKind,
    resolution::Answer,
    rule::Rule,
    stage::Stage,
};
use serde_json::Value;

use super::{
    footprint,
    moves::{Stamp, Times},
    state::State,
};
use crate::paper::{AnyCase, Paper, To, on_case};

/// The most steps until a case closes while everybody is silent.
const SILENCE_STEPS_MAX: usize = 30;

/// L1–L3: nothing is posted twice, nobody moves money that they do not hold, and what was paid and what is in escrow add up.
pub fn money_adds_up(state: &State) -> bool {
    let books = &state.paper.books;
    let outside = books.to_freelancer + books.to_client;
    books.faults.is_empty() && books.escrow >= 0 && outside + books.escrow == books.deposited
}

/// The current case holds what it says it holds; once all is over, nobody holds anything except money that waits for an
/// operator (A2), and the outcome says what moved.
pub fn cases_and_books_agree(state: &State) -> bool {
    let (paper, books) = (&state.paper, &state.paper.books);
    let holding = books.holds.values().sum::<i64>();
    if let Some(child) = &paper.dispute {
        return child.case.is_decided() || child.case.held().minor() == holding;
    }
    let Some(outcome) = paper.outcome() else {
        return on_case!(&paper.main, case => case.is_decided() || case.held().minor() == holding);
    };
    // A share of the fee that did not pay for an arbitration goes back (A3).
    let share = on_case!(&paper.main, case => {
        let file = case.file();
        file.policy.arbitration_fee_share.of(file.contract.currency).minor()
    });
    if books.fees != 0 && books.fees != 2 * share {
        return false;
    }
    let minor = [outcome.to_freelancer, outcome.to_client, outcome.bonus].map(Amount::minor);
    match &paper.main {
        AnyCase::Payment(_) => minor == [0, books.returned, 0] && holding == 0,
        _ if outcome.result == ResultKind::OnHold => holding == books.escrow && minor == [books.to_freelancer, 0, 0],
        _ => {
            let moved = [books.to_freelancer, books.to_client, books.bonus];
            minor == moved && outcome.kept_in_escrow.minor() == books.escrow && holding == 0
        }
    }
}

/// E10: escrow goes back to the client by the freelancer's approval or silence, or by a dispute's outcome, and never while the
/// contract continues.
pub fn nothing_to_the_client_but_by_rule(state: &State) -> bool {
    use DecidedBy::{
        Agreement, ArbitrationAward, ArbitrationDefault, ArbitrationSoleDemand, ClientAcceptance, ClientSilence,
        FreelancerApproval, FreelancerSilence, FreelancerWithdrawal, ResolutionAccepted,
    };
    let refund_request = matches!(state.paper.main, AnyCase::RefundRequest(_));
    state.paper.books.postings.iter().filter(|posting| posting.kind == PostingKind::Refund).all(|posting| {
        let by_dispute = posting.id.starts_with("dispute:");
        let by_rule = match posting.decided_by {
            Some(FreelancerApproval | FreelancerSilence) => !by_dispute,
            Some(
                ClientAcceptance
                | ClientSilence
                | FreelancerWithdrawal
                | Agreement
                | ResolutionAccepted
                | ArbitrationDefault
                | ArbitrationSoleDemand
                | ArbitrationAward,
            ) => by_dispute,
            _ => false,
        };
        refund_request && by_rule
    })
}

/// D3, D5, M5, M7: a dispute's outcome follows from the answers in it.
pub fn disputes_end_as_they_were_answered(state: &State) -> bool {
    let alone = match &state.paper.main {
        AnyCase::Dispute(case) => Some(case),
        _ => None,
    };
    state.paper.ended.as_ref().into_iter().chain(alone).all(|case| {
        let Some(outcome) = case.outcome() else { return true };
        let to_freelancer = outcome.to_freelancer;
        let Particulars { claim, rejection, offers, resolution, answers, .. } = case.particulars();
        match outcome.decided_by {
            DecidedBy::ClientAcceptance => {
                rejection.is_none() && claim.is_some_and(|claim| claim.amount == to_freelancer)
            }
            DecidedBy::ClientSilence => rejection.is_none() && !to_freelancer.is_zero(),
            DecidedBy::FreelancerWithdrawal => rejection.is_none() && to_freelancer.is_zero(),
            DecidedBy::Agreement => {
                offers.iter().any(|offer| offer.state == OfferState::Accepted && offer.to_freelancer == to_freelancer)
            }
            DecidedBy::ResolutionAccepted => {
                let proposed = resolution.map(|resolution| resolution.to_freelancer);
                let both = Role::PARTIES.iter().all(|party| answers.get(party) == Some(&Answer::Accepted));
                both && proposed == Some(to_freelancer)
            }
            DecidedBy::ArbitrationDefault | DecidedBy::ArbitrationSoleDemand | DecidedBy::ArbitrationAward => {
                rejection.is_some()
            }
            _ => outcome.result == ResultKind::Refused,
        }
    })
}

/// The answers in a case: their number may grow, but they never change.
fn answers_in<C: Case>(whose: &str, case: &C, footprint: &str, found: &mut Vec<(String, String)>) {
    let Particulars { rejection, resolution, answers, payment, .. } = case.particulars();
    let mut add = |name: &str, value: String| found.push((format!("{whose}'s {name}"), value));
    if let Some(rejection) = rejection {
        add("rejection", format!("{rejection:?}"));
    }
    if let Some(resolution) = resolution {
        add("resolution", format!("{resolution:?}"));
    }
    for (role, answer) in answers {
        add(&format!("answer of the {role}"), format!("{answer:?}"));
    }
    for party in Role::PARTIES.map(Role::name).into_iter().filter(|party| footprint::has_paid(footprint, party)) {
        add(&format!("demand of the {party}"), "paid".to_owned());
    }
    if let Some(payment) = payment {
        if let Some(message) = payment.mediation {
            add("mediation", message);
        }
        if let Some(text) = payment.opinion {
            add("opinion", text);
        }
    }
    if let Some(Outcome { result, decided_by, rule, to_freelancer, to_client, kept_in_escrow, .. }) = case.outcome() {
        // A bonus is charged beside the release, and joins the outcome later (E7).
        let parts = [to_freelancer, to_client, kept_in_escrow].map(|amount| amount.minor());
        add("outcome", format!("{result:?} {decided_by:?} {rule} {parts:?}"));
    }
}

fn answers(state: &State) -> Vec<(String, String)> {
    let mut found = Vec::new();
    on_case!(&state.paper.main, case => answers_in("case", case, "", &mut found));
    if let AnyCase::Dispute(case) = &state.paper.main {
        answers_in("case", case, &state.footprint, &mut found);
    }
    if let Some(child) = &state.paper.dispute {
        answers_in("dispute", &child.case, &state.footprint, &mut found);
    }
    found
}

/// D4, M4, M7, A5, P3: after a step an earlier answer still exists, unchanged. Returns what changed.
pub fn answers_that_changed(before: &State, after: &State) -> Vec<String> {
    let later = answers(after);
    let same_dispute = |state: &State| state.paper.dispute.as_ref().map(|child| child.number);
    let dispute_ended = same_dispute(before) != same_dispute(after);
    answers(before)
        .into_iter()
        .filter(|(name, _)| !(dispute_ended && name.starts_with("dispute")))
        .filter(|answer| !later.contains(answer))
        .map(|(name, value)| format!("{name} was {value} and changed"))
        .collect()
}

/// T2, and "who may do what": the fault in the answer to a command, if any.
pub fn wrong_answer(
    before: &State,
    (to, times): (To, Times),
    stamp: Stamp,
    offered: bool,
    answer: &Result<(), Refusal>,
) -> Option<&'static str> {
    let (now, deadline, opened) = times;
    let received = stamp.at(times).filter(|at| (opened..=now).contains(at)).unwrap_or(now);
    let late = deadline.is_some_and(|deadline| received >= deadline);
    let decided = match (to, &before.paper.dispute) {
        (To::Dispute, Some(child)) => child.case.is_decided(),
        _ => on_case!(&before.paper.main, case => case.is_decided()),
    };
    match answer {
        Ok(()) if late => Some("T2: a late command was taken"),
        Ok(()) if decided => Some("a command was taken after the case was decided"),
        Ok(()) if !offered => Some("a command was taken that the status does not offer"),
        Err(refusal) if refusal.kind == RefusalKind::TooLate && refusal.rule != Some(Rule::P3) && !late && !decided => {
            Some("T2: a timely command was refused as late")
        }
        Err(refusal) if late && offered && !decided && refusal.kind == RefusalKind::Invalid => {
            Some("T2: a late command's fields were looked at")
        }
        _ => None,
    }
}

/// L7: a repeated command gets the first answer and changes nothing; the same key with other content is refused.
pub fn twice_is_once(state: &State) -> bool {
    let mut paper = state.paper.clone();
    let again = state.taken.iter().all(|(to, message)| {
        let command_kind = message.command.command_kind();
        let other = Message { command: other_content(&message.command), ..message.clone() };
        let refused = other.command == message.command
            || paper.receive(*to, command_kind, other).is_err_and(|refusal| refusal.rule == Some(Rule::L7));
        paper.receive(*to, command_kind, message.clone()) == Ok(()) && refused
    });
    again && paper.main == state.paper.main && same_dispute(&paper, &state.paper)
}

fn same_dispute(one: &Paper, other: &Paper) -> bool {
    one.dispute.as_ref().map(|child| &child.case) == other.dispute.as_ref().map(|child| &child.case)
}

/// The same command with other content, where that is possible.
fn other_content(command: &Command) -> Command {
    let mut said = command.fields();
    let numbers = || {
        command
            .command_kind()
            .fields()
            .iter()
            .filter(|field| matches!(field.kind, FieldKind::Money | FieldKind::Number))
    };
    let Some(field) = numbers().find(|field| said.contains_key(field.name)).or_else(|| numbers().next()) else {
        return command.clone();
    };
    let more = said.get(field.name).and_then(Value::as_i64).map_or(0, |number| number + 1);
    said.insert(field.name.to_owned(), more.into());
    Command::read(command.command_kind(), Value::from(said).to_string().as_bytes()).unwrap()
}

/// From here, if everybody is silent, the case closes, whatever the bank answers. By rule two stages wait without a limit:
/// arbitration for its award (A4), and a milestone with requested changes for its next submission or the contract's end (E8,
/// E11). They close once that has come.
pub fn silence_closes(state: &State) -> bool {
    if state.handing {
        // `run` continues next, and the checker looks at the state after that.
        return true;
    }
    // The bank's answer matters only if it is asked.
    closes_in_silence(state.paper.clone(), true)
        && (state.paper.asked.is_empty() || closes_in_silence(state.paper.clone(), false))
}

fn closes_in_silence(mut paper: Paper, bank: bool) -> bool {
    paper.run(None);
    let mut reminders = 0;
    for _ in 0..SILENCE_STEPS_MAX {
        if paper.is_over() {
            return paper.outcome().is_some_and(is_sound);
        }
        let stage = paper.stage();
        if !paper.asked.is_empty() {
            paper.run(Some(bank));
        } else if stage == Stage::InArbitration && reminders == 2 {
            let award = Command::Award(Award { to_freelancer: Amount::ZERO, reference: "AAA-1".to_owned() });
            if !told(&mut paper, Role::Arbitrator, award) {
                return false;
            }
        } else if stage == Stage::ChangesRequested {
            if !told(&mut paper, Role::Operator, Command::Supersede(Supersede {})) {
                return false;
            }
        } else if let Some(at) = paper.wake_at() {
            reminders += usize::from(stage == Stage::InArbitration);
            paper.pass(at.max(paper.clock()));
            paper.run(None);
        } else {
            return false;
        }
    }
    false
}

fn told(paper: &mut Paper, who: Role, command: Command) -> bool {
    let id = Id::new(&format!("{who}-1")).unwrap();
    let message = Message { by: Actor { party: who, id }, at: None, key: None, command };
    let to = paper.current();
    let taken = paper.receive(to, message.command.command_kind(), message).is_ok();
    paper.run(None);
    taken
}

fn is_sound(outcome: &Outcome) -> bool {
    outcome.bonus.is_zero() || !outcome.bonus_failed
}

/// Whether this case is over and this decided it.
pub fn is_decided_by(state: &State, decided_by: DecidedBy) -> bool {
    state.paper.outcome().is_some_and(|outcome| outcome.decided_by == decided_by)
}
