//! A case's file: its contract, its clock, its timeline, and its notices.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{TimelineEntry, What, Who};
use crate::{
    command::{Command, Refusal, RefusalKind},
    ids::case_id,
    notice::Notice,
    party::{Actor, Contract, Role},
    policy::Policy,
    rule::Rule,
    text::{check_short_text, shortened},
    window::{Window, later},
};

/// The generation of the rules for new cases. A case keeps its own generation, because a replay must repeat the case's earlier
/// decisions. 0 means before generations were counted; 1 has E14 and A6.
pub const RULES: u32 = 1;

/// How many refused or unreadable commands a timeline keeps. It only counts the rest, so that a flood cannot fill a case.
pub const REFUSALS_KEPT_MAX: usize = 100;

/// How much a case remembers of answered keys for repeated commands (L7), in bytes of JSON: about two thousand keys of the
/// usual length. The other parts of a case have limits too, so that a case fits into one payload of the server.
const KEYS_KEPT_BYTES_MAX: usize = 256 * 1024;

/// What the file of every kind of case contains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseFile {
    /// The workflow id.
    pub id: String,
    /// The contract.
    pub contract: Contract,
    /// The policy, pinned (T3).
    pub policy: Policy,
    /// When the case began.
    pub opened_at: Timestamp,
    /// When its present stage began.
    pub stage_opened_at: Timestamp,
    /// When the present stage's window closes.
    pub deadline: Option<Timestamp>,
    /// Whether a target was missed (M1).
    pub overdue: bool,
    /// What happened, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// How many refusals the timeline does not show.
    pub refusals_omitted: u32,
    pub(super) extended: bool,
    pub(super) alarms: Vec<(Timestamp, Alarm)>,
    answered: BTreeMap<String, Answered>,
    answered_bytes: usize,
    pub(super) notices: Vec<Notice>,
    pub(super) notices_given: u32,
    version: u64,
    /// The case's number among those with its workflow id (L8); 0 until the case knows it.
    #[serde(default)]
    pub number: u32,
    /// The [generation](RULES) of the rules for this case: the one under which it opened, for ever (T3).
    #[serde(default)]
    pub rules: u32,
}

/// The answer to a command that came with a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Answered {
    /// What the command said, as a checksum.
    content: u64,
    refusal: Option<Refusal>,
}

/// A command's key with its sender and command kind, and the checksum of the command's content.
pub(super) struct Key {
    name: String,
    content: u64,
}

impl Key {
    pub(super) fn of(by: &Actor, key: &str, command: &Command) -> Self {
        let name = format!("{} {} {} {key}", by.party, by.id, command.command_kind());
        Self { name, content: checksum(&serde_json::to_vec(command).unwrap_or_default()) }
    }
}

/// FNV-1a. It must only detect that somebody used a key twice by mistake, and be the same in every replay.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// An action at an instant before a deadline, or without a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Alarm {
    /// Remind those who must act of the deadline (T5).
    Reminder,
    /// A resolution should have been there (M1).
    ResolutionTarget,
    /// Arbitration still waits for its award (A4).
    ArbitrationReminder,
    /// Mediation help for a released payment can no longer be asked for (P3).
    MediationHelpEnds,
}

impl CaseFile {
    /// When money that is released at `now` is available to the freelancer (E9).
    pub(crate) fn available_at(&self, now: Timestamp) -> Timestamp {
        self.policy.deadline(self.policy.security_period, now)
    }

    /// When money that is refunded at `now` should have reached its billing method (R8).
    pub(crate) fn expected_by(&self, now: Timestamp) -> Timestamp {
        self.policy.deadline(self.policy.refund_settlement, now)
    }

    /// An empty file.
    pub fn new(id: String, contract: Contract, policy: Policy, now: Timestamp) -> Self {
        Self {
            id,
            contract,
            policy,
            opened_at: now,
            stage_opened_at: now,
            deadline: None,
            overdue: false,
            timeline: Vec::new(),
            refusals_omitted: 0,
            extended: false,
            alarms: Vec::new(),
            answered: BTreeMap::new(),
            answered_bytes: 0,
            notices: Vec::new(),
            notices_given: 0,
            version: 0,
            number: 0,
            rules: RULES,
        }
    }

    /// The case's permanent id (L8).
    pub fn case_id(&self) -> String {
        case_id(&self.id, self.number)
    }

    /// A number that grows with every change, so that a waiting workflow notices the change.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Takes the notices that the workflow must send.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Opens a stage: its window, if it has one, begins at `now`. The last stage's deadline and alarms no longer count.
    pub(crate) fn enter(&mut self, window: Option<Window>, now: Timestamp) {
        self.stage_opened_at = now;
        self.deadline = None;
        self.extended = false;
        self.alarms.clear();
        self.version += 1;
        if let Some(window) = window {
            self.set_deadline(self.policy.deadline(window, now));
        }
    }

    /// Sets the deadline of the stage's window, and the reminders before it. A window that is shorter than a reminder's lead
    /// has no such reminder (T5).
    pub(crate) fn set_deadline(&mut self, deadline: Timestamp) {
        self.deadline = Some(deadline);
        self.alarms.retain(|(_, alarm)| *alarm != Alarm::Reminder);
        for hours in &self.policy.reminder_hours {
            let at = later(deadline, -SignedDuration::from_hours((*hours).into()));
            if at > self.stage_opened_at {
                self.alarms.push((at, Alarm::Reminder));
            }
        }
    }

    pub(crate) fn set_alarm(&mut self, at: Timestamp, alarm: Alarm) {
        self.alarms.push((at, alarm));
    }

    pub(crate) fn record(
        &mut self,
        at: Timestamp,
        by: impl Into<Who>,
        what: What,
        rule: Rule,
        note: impl Into<String>,
    ) {
        let note = Some(shortened(&note.into())).filter(|note| !note.is_empty());
        self.timeline.push(TimelineEntry { at, by: by.into(), what, rule: Some(rule), note });
        self.version += 1;
    }

    pub(super) fn record_refusal(&mut self, at: Timestamp, by: Who, what: What, rule: Option<Rule>, note: &str) {
        if self.refusals_kept() < REFUSALS_KEPT_MAX {
            self.timeline.push(TimelineEntry { at, by, what, rule, note: Some(shortened(note)) });
        } else {
            self.refusals_omitted += 1;
        }
    }

    /// How many commands were refused so far.
    pub fn refusals(&self) -> usize {
        self.refusals_kept() + self.refusals_omitted as usize
    }

    fn refusals_kept(&self) -> usize {
        self.timeline.iter().filter(|entry| matches!(entry.what, What::Refused | What::Unreadable)).count()
    }

    /// The answer that a command with this key got before (L7), or the refusal that another command has used the key.
    pub(super) fn answer_to(&self, key: &Key) -> Option<Result<(), Refusal>> {
        let answered = self.answered.get(&key.name)?;
        if answered.content != key.content {
            let reason = "key: it was used for another command with other content; a new command needs a new key";
            return Some(Err(Refusal::invalid(Rule::L7, reason)));
        }
        Some(answered.refusal.clone().map_or(Ok(()), Err))
    }

    pub(super) fn remember(&mut self, key: Key, answer: &Result<(), Refusal>) {
        let answered = Answered { content: key.content, refusal: answer.as_ref().err().cloned() };
        let bytes = serde_json::to_vec(&(&key.name, &answered)).map_or(usize::MAX, |json| json.len());
        let with_it = self.answered_bytes.saturating_add(bytes);
        if with_it <= KEYS_KEPT_BYTES_MAX {
            self.answered_bytes = with_it;
            self.answered.insert(key.name, answered);
        }
    }

    /// Refuses `by` if the contract contradicts the sender's role.
    pub(super) fn admit(&self, by: &Actor) -> Result<(), Refusal> {
        let contract = &self.contract;
        if self.rules >= 1 && by.party.judges() && contract.has_party(&by.id) {
            let reason = format!("{} is a party of contract {}, and nobody judges their own case", by.id, contract.id);
            return Err(Refusal { kind: RefusalKind::NotAllowed, rule: Some(Rule::E14), reason, can: None });
        }
        let admitted = match by.party {
            Role::Client => by.id == contract.client.id,
            Role::Freelancer => {
                let agency = contract.freelancer.agency.as_ref();
                by.id == contract.freelancer.id || agency.is_some_and(|agency| by.id == agency.id)
            }
            Role::Mediator | Role::Arbitrator | Role::Operator => true,
        };
        if admitted {
            return Ok(());
        }
        let reason = format!("{} is not the {} of contract {}", by.id, by.party, contract.id);
        Err(Refusal { kind: RefusalKind::NotAllowed, rule: Some(Rule::E1), reason, can: None })
    }

    /// Extends the open window (T6).
    pub(super) fn extend(&mut self, by: Role, at: Timestamp, hours: u32, reason: &str) -> Result<Timestamp, Refusal> {
        let Some(deadline) = self.deadline else {
            return Err(Refusal::new(RefusalKind::NotAllowed, Rule::T6, "there is no open window to extend"));
        };
        if self.extended {
            return Err(Refusal::new(
                RefusalKind::AlreadyAnswered,
                Rule::T6,
                "this stage's window was extended once already",
            ));
        }
        check_short_text("reason", reason).map_err(|reason| Refusal::invalid(Rule::T6, reason))?;
        let length = deadline.duration_since(self.stage_opened_at);
        let more = SignedDuration::from_hours(hours.into());
        if hours == 0 || more > length {
            let reason = format!("hours: 1 to {}, the window's own length, not {hours}", length.as_hours());
            return Err(Refusal::invalid(Rule::T6, reason));
        }
        let deadline = later(deadline, more);
        self.set_deadline(deadline);
        self.extended = true;
        self.record(at, by, What::Extended, Rule::T6, format!("by {hours} hours: {reason}"));
        Ok(deadline)
    }
}
