//! What the parties asked for and what they were told: the promises that the verdict holds the product to.

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

/// What came back for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing that says what became of it.
    None,
    /// An update was answered with the case's status.
    Taken,
    /// An update was refused by the case.
    Refused,
    /// The server took a signal: what the case makes of it is in its timeline.
    Signalled,
}

/// One command, however often it was sent.
#[derive(Debug, Clone)]
pub struct Given {
    /// The case.
    pub case: String,
    /// Who gave it.
    pub by: Role,
    /// Which one.
    pub command_kind: CommandKind,
    /// What the timeline says if it was taken.
    pub what: What,
    /// Its key (L7).
    pub key: String,
    /// The receipt time that it was stamped with, which no other command has.
    pub at: Timestamp,
    /// What came back.
    pub answer: Answer,
    /// What every try said, where one was answered: all must have said the same (L7).
    pub answers: BTreeSet<&'static str>,
}

/// What was started.
#[derive(Debug, Clone, Copy, Default)]
pub struct StartRecord {
    /// Whether somebody was told that it was.
    pub acknowledged: bool,
}

/// What a case has said of itself.
#[derive(Debug, Clone, Default)]
pub struct Said {
    timeline: Vec<TimelineEntry>,
    outcome: Option<Outcome>,
    /// Whether the case was over then. Before that its money still moves, and a bonus is in the outcome only when it was
    /// charged (E7); everything else of the outcome stands.
    is_final: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Pages {
    /// Starts by case.
    pub starts: BTreeMap<String, StartRecord>,
    /// Commands in the order in which they were given.
    pub commands: Vec<Given>,
    /// What cases answered to commands, by case and when that case began.
    pub said: BTreeMap<(String, Timestamp), Said>,
    /// What cases showed when they were looked at. A worker answers that from its memory, which the server may not have
    /// accepted yet: if it then never does, what was shown is not what is kept.
    pub shown: BTreeMap<(String, Timestamp), Said>,
    /// What a case said that does not fit what it had said before.
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
    /// Its pages. Nobody holds them while waiting.
    pub fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Pages {
    /// A case is about to be started.
    pub fn starting(&mut self, case: &str) {
        self.starts.entry(case.to_owned()).or_default();
    }

    /// Somebody was told that the case was started.
    pub fn started(&mut self, case: &str) {
        self.starts.entry(case.to_owned()).or_default().acknowledged = true;
    }

    /// A case answered a command with this.
    pub fn hear(&mut self, status: &Status) {
        if let Some(problem) = keep(&mut self.said, status) {
            self.contradictions.push(problem);
        }
    }

    /// A case showed this. A worker may show what the server has not accepted yet, so it is no promise.
    pub fn see(&mut self, status: &Status) {
        keep(&mut self.shown, status);
    }

    /// How many commands were taken, refused, and neither.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |wanted: &[Answer]| self.commands.iter().filter(|given| wanted.contains(&given.answer)).count();
        (count(&[Answer::Taken, Answer::Signalled]), count(&[Answer::Refused]), count(&[Answer::None]))
    }
}

/// Compares what a case says with what it said before, and keeps the longer. What does not agree, in words.
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
    /// What was told stays: of two timelines of a case one begins with the other, and an outcome never changes.
    ///
    /// # Errors
    /// What does not agree.
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

    /// How the case showed that it had ended, if it did.
    pub fn ended_with(&self) -> Option<&Outcome> {
        self.outcome.as_ref().filter(|_| self.is_final)
    }

    /// Whether a last word is short of what was told before.
    pub fn is_longer_than(&self, timeline: &[TimelineEntry]) -> bool {
        self.timeline.len() > timeline.len()
    }
}

/// What the timeline says of a command that was taken.
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
