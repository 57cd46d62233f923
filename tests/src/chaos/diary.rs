//! What the parties asked for and the answers they got: the verdict holds the product to these promises.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
};

use jiff::Timestamp;
use recourse_domain::{
    case::{TimelineEntry, What},
    command::CommandKind,
    ids::CaseKind,
    messages::Status,
    outcome::Outcome,
    party::Role,
    stage::Stage,
};
use serde_json::{Map, Value};

/// The answer to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// No answer, or none that says whether the case took it.
    None,
    /// The case answered an update with its status.
    Taken,
    /// The case refused an update.
    Refused,
    /// The server took a signal; the timeline shows what the case did with it.
    Signalled,
}

/// One command, however often it was sent.
#[derive(Debug, Clone)]
pub struct Given {
    /// The case.
    pub case: String,
    /// Who gave it.
    pub by: Role,
    /// Its kind.
    pub command_kind: CommandKind,
    /// The timeline's entry if the case took it.
    pub what: What,
    /// Its key (L7).
    pub key: String,
    /// Its receipt time, which no other command has.
    pub at: Timestamp,
    /// Its answer.
    pub answer: Answer,
    /// The answers to all tries: they must be the same (L7).
    pub answers: BTreeSet<&'static str>,
}

/// A start.
#[derive(Debug, Clone, Copy, Default)]
pub struct StartRecord {
    /// Whether somebody got the answer that it was started.
    pub acknowledged: bool,
}

/// A status that a case has given.
#[derive(Debug, Clone, Default)]
pub struct Said {
    timeline: Vec<TimelineEntry>,
    outcome: Option<Outcome>,
    /// Whether the case was over then. Before that its money still moves, and a bonus joins the outcome only after its charge
    /// (E7); the rest of the outcome is final.
    is_final: bool,
}

/// The whole diary.
#[derive(Debug, Default)]
pub struct Pages {
    /// Starts by case.
    pub starts: BTreeMap<String, StartRecord>,
    /// Commands in the order in which they were given.
    pub commands: Vec<Given>,
    /// The answers of cases to commands, by case and by the time when that case began.
    pub said: BTreeMap<(String, Timestamp), Said>,
    /// What cases showed when somebody read them. A worker shows it from its memory, before the server has accepted it: if the
    /// server never does, the case does not keep what it showed.
    pub shown: BTreeMap<(String, Timestamp), Said>,
    /// Statements of cases that contradict earlier ones.
    pub contradictions: Vec<String>,
    /// The cases that are being played.
    pub open: BTreeSet<String>,
    /// The contracts that were begun.
    pub contracts: Vec<recourse_domain::ids::Id>,
}

/// The diary that everybody writes into.
#[derive(Debug, Default)]
pub struct Diary(Mutex<Pages>);

impl Diary {
    /// Its pages. Nobody holds the lock while waiting.
    pub fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Pages {
    /// Records that a case is about to be started.
    pub fn starting(&mut self, case: &str) {
        self.starts.entry(case.to_owned()).or_default();
    }

    /// Records that somebody got the answer that the case was started.
    pub fn started(&mut self, case: &str) {
        self.starts.entry(case.to_owned()).or_default().acknowledged = true;
    }

    /// Records a case's answer to a command.
    pub fn hear(&mut self, status: &Status) {
        if let Some(problem) = keep(&mut self.said, status) {
            self.contradictions.push(problem);
        }
    }

    /// Records what a case showed. It is no promise: the server may not have accepted it yet.
    pub fn see(&mut self, status: &Status) {
        keep(&mut self.shown, status);
    }

    /// How many commands were taken, refused, and neither.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |wanted: &[Answer]| self.commands.iter().filter(|given| wanted.contains(&given.answer)).count();
        (count(&[Answer::Taken, Answer::Signalled]), count(&[Answer::Refused]), count(&[Answer::None]))
    }
}

/// Compares a status with the earlier one, and keeps the longer. Returns the contradiction in words.
fn keep(said: &mut BTreeMap<(String, Timestamp), Said>, status: &Status) -> Option<String> {
    let first = status.timeline.first()?;
    let said = said.entry((status.case.clone(), first.at)).or_default();
    let problem = said.agrees_with(status).err().map(|problem| format!("{}: {problem}", status.case));
    let ends = !said.is_final && status.stage != Stage::Settling && status.outcome.is_some();
    if ends || status.timeline.len() > said.timeline.len() {
        said.timeline.clone_from(&status.timeline);
    }
    if !said.is_final {
        said.outcome.clone_from(&status.outcome);
        said.is_final = ends;
    }
    problem
}

impl Said {
    /// An earlier statement stays: of two timelines of a case one begins with the other, and an outcome never changes.
    ///
    /// # Errors
    /// The contradiction.
    pub fn agrees_with(&self, status: &Status) -> Result<(), String> {
        let timeline = &status.timeline;
        if let Some(at) = self.timeline.iter().zip(timeline).position(|(before, after)| before != after) {
            return Err(format!(
                "entry {} of the timeline was {:?} and is {:?}",
                at + 1,
                self.timeline[at],
                timeline[at]
            ));
        }
        let (Some(before), Some(after)) = (&self.outcome, &status.outcome) else { return Ok(()) };
        let of_a_bonus = if self.is_final && status.stage != Stage::Settling { before } else { after };
        let (bonus, bonus_failed) = (of_a_bonus.bonus, of_a_bonus.bonus_failed);
        if (Outcome { bonus, bonus_failed, ..before.clone() }) == *after {
            return Ok(());
        }
        Err(format!("the outcome was {before:?} and is {after:?}"))
    }

    /// The outcome that the case showed, if it did.
    pub fn ended_with(&self) -> Option<&Outcome> {
        self.outcome.as_ref().filter(|_| self.is_final)
    }

    /// Whether a case's last timeline is shorter than an earlier one.
    pub fn is_longer_than(&self, timeline: &[TimelineEntry]) -> bool {
        self.timeline.len() > timeline.len()
    }
}

/// The timeline's entry of a command that was taken.
pub fn what_of(kind: CaseKind, command_kind: CommandKind, body: &Map<String, Value>) -> What {
    let of = body.get("of").and_then(Value::as_str);
    match (command_kind, kind, of) {
        (CommandKind::Submit, ..) => What::Submitted,
        (CommandKind::Approve, CaseKind::MilestoneReview, _) => What::Approved,
        (CommandKind::Approve, CaseKind::PaymentRefund, _) => What::ReturnAgreed,
        (CommandKind::Approve, ..) => What::RefundApproved,
        (CommandKind::RequestChanges, ..) => What::ChangesRequested,
        (CommandKind::Dispute, ..) => What::ClaimFiled,
        (CommandKind::Release, ..) => What::RefundRequestReleased,
        (CommandKind::Amend, ..) => What::ClaimAmended,
        (CommandKind::Withdraw, ..) => What::ClaimWithdrawn,
        (CommandKind::Offer, ..) => What::OfferMade,
        (CommandKind::Retract, ..) => What::OfferRetracted,
        (CommandKind::Accept, _, Some("offer")) => What::OfferAccepted,
        (CommandKind::Accept, _, Some("resolution")) => What::ResolutionAccepted,
        (CommandKind::Accept, ..) => What::ClaimAccepted,
        (CommandKind::Reject, CaseKind::PaymentRefund, _) => What::ReturnRejected,
        (CommandKind::Reject, _, Some("offer")) => What::OfferRejected,
        (CommandKind::Reject, _, Some("resolution")) => What::ResolutionRejected,
        (CommandKind::Reject, ..) => What::ClaimRejected,
        (CommandKind::Propose, ..) => What::ResolutionProposed,
        (CommandKind::Close, ..) => What::MediationClosed,
        (CommandKind::DemandArbitration, ..) => What::ArbitrationDemanded,
        (CommandKind::Award, ..) => What::AwardGiven,
        (CommandKind::Extend, ..) => What::Extended,
        (CommandKind::RequestMediation, ..) => What::MediationRequested,
        (CommandKind::Opinion, ..) => What::OpinionGiven,
        (CommandKind::Supersede, ..) => What::Superseded,
    }
}
