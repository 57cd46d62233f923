//! What must hold at the end, whatever the faults were. Pure: evidence goes in, findings come out.

use std::collections::{BTreeMap, BTreeSet};

use recourse_domain::{
    case::{TimelineEntry, What, Who},
    ids::CaseKind,
    messages::Status,
    outcome::{Outcome, ResultKind},
};
use recourse_ledger::{CheckReport, Entry, History};
use recourse_notifications::notices::{EmailState, OutboxEmail, StoredNotice};
use recourse_payments::{GatewayMovement, Request};
use recourse_simulation::money::{Told, leaves_it_to_the_dispute, settle};

use super::diary::{Answer, Given, Pages, Said};

/// One run of a case's workflow.
#[derive(Debug, Clone)]
pub struct Run {
    /// The case.
    pub case: String,
    /// What it is about.
    pub kind: CaseKind,
    /// The contract's id.
    pub contract: String,
    /// The case that it is a part of.
    pub parent: Option<String>,
    /// How it ended, or why that is unknown.
    pub outcome: Result<Outcome, String>,
    /// Its last status; a deposit has none.
    pub status: Option<Status>,
}

/// All evidence.
#[derive(Debug)]
pub struct Evidence {
    /// Every case that the server knows.
    pub runs: Vec<Run>,
    /// Every contract's ledger.
    pub histories: Vec<History>,
    /// The ledger's own check.
    pub check: CheckReport,
    /// The bank's movements.
    pub movements: Vec<GatewayMovement>,
    /// The notices in the app.
    pub notices: Vec<StoredNotice>,
    /// The outbox.
    pub emails: Vec<OutboxEmail>,
    /// The `Message-ID` of every email that the mail server took.
    pub inbox: Vec<String>,
}

/// All findings; none if all is sound.
pub fn judge(pages: &Pages, evidence: &Evidence) -> Vec<String> {
    let mut wrong = Findings(pages.contradictions.iter().map(|told| format!("contradiction: {told}")).collect());
    everything_was_started_and_has_closed(&mut wrong, pages, &evidence.runs);
    for given in &pages.commands {
        acted_once(&mut wrong, given, &pages.commands, &evidence.runs);
    }
    what_was_told_stays(&mut wrong, pages, &evidence.runs);
    let entries: Vec<&Entry> = evidence.histories.iter().flat_map(|history| &history.entries).collect();
    both_sides_agree(&mut wrong, &entries, &evidence.movements);
    for finding in &evidence.check.findings {
        wrong.find(format!("ledger: {} {} {}", finding.law, finding.culprit, finding.problem));
    }
    if evidence.check.postings != entries.len() as u64 {
        let (all, known) = (evidence.check.postings, entries.len());
        wrong.find(format!("ledger: {all} postings, and {known} of contracts that were begun"));
    }
    for history in &evidence.histories {
        outcomes_agree(&mut wrong, history, &evidence.runs);
    }
    told_once(&mut wrong, &evidence.notices, &evidence.emails, &evidence.inbox);
    wrong.0
}

struct Findings(Vec<String>);

impl Findings {
    fn find(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }
}

fn everything_was_started_and_has_closed(wrong: &mut Findings, pages: &Pages, runs: &[Run]) {
    let known: BTreeSet<&str> = runs.iter().map(|run| run.case.as_str()).collect();
    for (case, begun) in &pages.starts {
        if begun.acknowledged && !known.contains(case.as_str()) {
            wrong.find(format!("start: {case} was acknowledged, and there is no such case"));
        }
    }
    for run in runs {
        if let Err(problem) = &run.outcome {
            wrong.find(format!("close: {} has not ended: {problem}", run.case));
        }
    }
}

fn timelines<'a>(runs: &'a [Run], case: &'a str) -> impl Iterator<Item = &'a TimelineEntry> {
    // The first entry belongs to the start, which is no command.
    let of = runs.iter().filter(move |run| run.case == case).filter_map(|run| run.status.as_ref());
    of.flat_map(|status| status.timeline.iter().skip(1))
}

/// L7: the timeline has an acknowledged command once, and any other command once at most.
fn acted_once(wrong: &mut Findings, given: &Given, all: &[Given], runs: &[Run]) {
    let Given { case, command_kind, what, by, key, .. } = given;
    let name = format!("command: {case} {command_kind} by the {by} ({key})");
    if given.answers.contains("taken") && given.answers.contains("refused") {
        wrong.find(format!("{name} was answered in two ways"));
    }
    let by_them = |entry: &&TimelineEntry| entry.by == Who::from(*by);
    let taken: Vec<&TimelineEntry> =
        timelines(runs, case).filter(by_them).filter(|entry| entry.what == *what).collect();
    let stamped = taken.iter().filter(|entry| entry.at == given.at).count();
    if stamped > 1 {
        wrong.find(format!("{name} acted {stamped} times"));
    }
    let alike: Vec<&Given> =
        all.iter().filter(|other| other.case == *case && other.by == *by && other.what == *what).collect();
    let answered = |answer| alike.iter().filter(|other| other.answer == answer).count();
    let refusal = format!("{command_kind} by ");
    let refused = timelines(runs, case)
        .filter(by_them)
        .filter(|entry| {
            entry.what == What::Refused && entry.note.as_ref().is_some_and(|note| note.starts_with(&refusal))
        })
        .count();
    let (told, maybe) = (answered(Answer::Taken), answered(Answer::Signalled) + answered(Answer::None));
    let count = taken.len();
    if count < told || count > told + maybe {
        wrong.find(format!("{name}: {told} like it were taken, {maybe} may have been, and the timeline has {count}"));
    }
    if count + refused < told + answered(Answer::Signalled) {
        wrong.find(format!("{name}: a signal was acknowledged and left no trace"));
    }
}

/// A case's last status contains its earlier ones, and its outcome is the workflow's result.
fn what_was_told_stays(wrong: &mut Findings, pages: &Pages, runs: &[Run]) {
    for run in runs {
        let Some(status) = &run.status else { continue };
        let Some(first) = status.timeline.first() else { continue };
        if let Some(said) = pages.said.get(&(run.case.clone(), first.at)) {
            if let Err(problem) = said.agrees_with(status) {
                wrong.find(format!("contradiction: {}: {problem}", run.case));
            }
            if said.is_longer_than(&status.timeline) {
                wrong.find(format!("contradiction: {} said more before than at its end", run.case));
            }
        }
        if let (Ok(result), Some(shown)) = (&run.outcome, &status.outcome)
            && result != shown
        {
            wrong.find(format!("contradiction: {} ended with {result:?} and shows {shown:?}", run.case));
        }
    }
    let known: BTreeSet<_> =
        runs.iter().filter_map(|run| Some((run.case.clone(), run.status.as_ref()?.timeline.first()?.at))).collect();
    for (case, at) in pages.said.keys().filter(|said| !known.contains(said)) {
        wrong.find(format!("contradiction: {case} answered, and began at {at}, and no case did"));
    }
    for ((case, _), shown) in &pages.shown {
        let ended: Vec<_> = runs.iter().filter(|run| run.case == *case).map(|run| &run.outcome).collect();
        if let Some(outcome) = shown.ended_with()
            && !ended.iter().any(|ended| ended.as_ref() == Ok(outcome))
        {
            wrong.find(format!("contradiction: {case} showed {outcome:?}, and ended with {ended:?}"));
        }
    }
}

/// What cases showed and did not keep: it was no promise, but the report counts how often it happens.
pub fn shown_too_early(pages: &Pages, runs: &[Run]) -> Vec<String> {
    let kept = |case: &str, shown: &Said| {
        let statuses = runs.iter().filter(|run| run.case == case).filter_map(|run| run.status.as_ref());
        statuses.clone().next().is_none()
            || statuses
                .into_iter()
                .any(|status| shown.agrees_with(status).is_ok() && !shown.is_longer_than(&status.timeline))
    };
    let lost = pages.shown.iter().filter(|((case, _), shown)| !kept(case, shown));
    lost.map(|((case, _), shown)| format!("{case} showed {shown:?}")).collect()
}

/// L5, L6: each posting that needs the bank has one movement, and there is no other movement.
fn both_sides_agree(wrong: &mut Findings, entries: &[&Entry], movements: &[GatewayMovement]) {
    let mut at_the_bank: BTreeMap<&str, Vec<&GatewayMovement>> = BTreeMap::new();
    for movement in movements {
        at_the_bank.entry(&movement.key).or_default().push(movement);
    }
    let mut ids = BTreeSet::new();
    for entry in entries {
        if !ids.insert(entry.id.as_str()) {
            wrong.find(format!("posting: {} is there twice", entry.id));
        }
    }
    for entry in entries {
        let found = at_the_bank.remove(entry.id.as_str()).unwrap_or_default();
        let is_charge = match entry.kind.as_str() {
            "deposit" | "bonus" | "fee" => true,
            "refund" | "return" | "fee_return" => false,
            _ if found.is_empty() => continue,
            kind => {
                wrong.find(format!("bank: moved money for {}, a {kind}", entry.id));
                continue;
            }
        };
        let [movement] = found.as_slice() else {
            wrong.find(format!("bank: {} movements for {}", found.len(), entry.id));
            continue;
        };
        let (charges, amount) = match &movement.request {
            Request::Charge(charge) => (true, charge.amount.minor()),
            Request::Refund(refund) => (false, refund.amount.minor()),
            Request::PayOut(pay_out) => (false, pay_out.amount.minor()),
        };
        if charges != is_charge || amount != entry.amount {
            wrong.find(format!("bank: {} posted {} and moved {:?}", entry.id, entry.amount, movement.request));
        }
        // A refund that the bank declines is decided all the same, and parked (R8).
        let parked = ids.contains(format!("{}/to_suspense", entry.id).as_str());
        if movement.declined.is_some() && (is_charge || !parked) {
            wrong.find(format!("bank: declined {}, which is posted", entry.id));
        }
    }
    for (key, movements) in at_the_bank {
        if movements.iter().any(|movement| movement.declined.is_none()) {
            wrong.find(format!("bank: moved {key}, which is not posted"));
        }
    }
}

/// The movements in the outcomes of a contract's cases are those of its ledger, and nothing is missing.
fn outcomes_agree(wrong: &mut Findings, history: &History, runs: &[Run]) {
    let mine: Vec<&Run> = runs.iter().filter(|run| run.contract == history.contract).collect();
    let mut told = Told::default();
    let mut deposits: BTreeMap<&str, &Outcome> = BTreeMap::new();
    for run in &mine {
        let Ok(outcome) = &run.outcome else { continue };
        match (run.kind, &run.parent) {
            // A deposit that was ordered again after it had closed gives the first answer (L7).
            (CaseKind::EscrowDeposit, _) => {
                let before = deposits.insert(&run.case, outcome);
                match before {
                    None => told.add(run.kind, outcome),
                    Some(before) if before == outcome => {}
                    Some(before) => wrong.find(format!("outcome: {} said {before:?} and {outcome:?}", run.case)),
                }
            }
            (CaseKind::Dispute, Some(parent)) => {
                let counts_it =
                    |run: &&&Run| run.case == *parent && run.outcome.as_ref().is_ok_and(leaves_it_to_the_dispute);
                if mine.iter().any(|run| counts_it(&run)) {
                    told.add(run.kind, outcome);
                }
            }
            _ if outcome.result == ResultKind::Refused => {}
            _ => told.add(run.kind, outcome),
        }
    }
    if let Err(problem) = settle(history, told) {
        wrong.find(format!("money: contract {}: {problem}", history.contract));
    }
}

/// N2, N3: each notice goes out once per channel, and the fate of every email is known.
fn told_once(wrong: &mut Findings, notices: &[StoredNotice], emails: &[OutboxEmail], inbox: &[String]) {
    let mut in_the_app = BTreeSet::new();
    for notice in notices {
        if !in_the_app.insert((&notice.case_ref, notice.number, &notice.event, notice.recipient.name())) {
            wrong.find(format!("notice: {} {} to the {} twice", notice.case_ref, notice.event, notice.recipient));
        }
    }
    let mut received: BTreeMap<&str, usize> = BTreeMap::new();
    for id in inbox {
        let key = id.trim_start_matches('<').rsplit_once('@').map_or(id.as_str(), |(key, _)| key);
        *received.entry(key).or_default() += 1;
    }
    let mut queued = BTreeSet::new();
    for email in emails {
        let key = email.key();
        if !queued.insert(key.clone()) {
            wrong.find(format!("email: {key} is in the outbox twice"));
        }
        let times = received.remove(key.as_str()).unwrap_or(0);
        if times > 1 {
            wrong.find(format!("email: {key} was received {times} times"));
        }
        match (email.state, times) {
            (EmailState::Sent, 0) => wrong.find(format!("email: {key} is marked as sent, and nobody received it")),
            (EmailState::Failed, 1..) => wrong.find(format!("email: {key} is marked as failed, and was received")),
            (EmailState::Queued | EmailState::Sending | EmailState::NotSent, _) => {
                wrong.find(format!("email: {key} is still {}", email.state.name()));
            }
            _ => {}
        }
    }
    for key in received.keys() {
        wrong.find(format!("email: {key} was received, and is not in the outbox"));
    }
}

#[cfg(test)]
mod tests;
