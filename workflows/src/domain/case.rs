//! What every case has in common: its file, its clock, and how a command is judged before the case's own rules see it.
//!
//! A case is a value. It changes in three ways only: a command is [`received`](Case::receive), its clock
//! [`ticks`](Case::tick), or an effect's result is handed to it by its own methods. It never performs anything: what
//! should happen outside piles up in the file (notices) or is asked of the case (settlements), and the workflow does it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    claim::{Claim, Rejection, check_text},
    command::{Command, Message, Refusal, RefusalKind, Unreadable, Verb},
    ids::CaseKind,
    money::Amount,
    notice::{Facts, IfSilent, Notice, NoticeEvent},
    offers::Offer,
    outcome::Outcome,
    party::{Actor, Contract, Role},
    policy::Policy,
    rule::Rule,
    window::{Window, later, receipt_time},
};

/// How many refused or unreadable commands a timeline keeps. The rest are counted, so that a flood cannot fill a case.
pub const REFUSALS_KEPT_MAX: usize = 100;

/// How many answered keys a case remembers for repeated commands (L7).
const KEYS_KEPT_MAX: usize = 2_000;

/// What a case file holds, whatever the case is about.
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
    extended: bool,
    alarms: Vec<(Timestamp, Alarm)>,
    answered: BTreeMap<String, Option<Refusal>>,
    notices: Vec<Notice>,
    notices_given: u32,
    version: u64,
}

/// Something to do at an instant before or without a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Alarm {
    /// Whoever must act is reminded of the deadline (T5).
    Reminder,
    /// A resolution should have been there (M1).
    ResolutionTarget,
    /// Arbitration still waits for its award (A4).
    ArbitrationReminder,
}

/// One thing that happened in a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineEntry {
    /// When: for a command its receipt time, for silence the deadline.
    pub at: Timestamp,
    /// Who: a role, or `case` for what followed by rule.
    pub by: Who,
    /// What.
    pub what: What,
    /// By which rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Who {
    Client,
    Freelancer,
    Mediator,
    Arbitrator,
    Operator,
    /// Nobody: it followed from a rule.
    Case,
    /// Somebody whose message could not be read.
    Unknown,
}

impl From<Role> for Who {
    fn from(role: Role) -> Self {
        match role {
            Role::Client => Self::Client,
            Role::Freelancer => Self::Freelancer,
            Role::Mediator => Self::Mediator,
            Role::Arbitrator => Self::Arbitrator,
            Role::Operator => Self::Operator,
        }
    }
}

/// What can happen in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the rule book's words")]
pub enum What {
    ContractEnded,
    PaidNow,
    RefundRequested,
    RefundApproved,
    RefundRequestReleased,
    ClaimFiled,
    ClaimAmended,
    ClaimWithdrawn,
    ClaimAccepted,
    ClaimRejected,
    OfferMade,
    OfferReplaced,
    OfferRetracted,
    OfferRejected,
    OfferAccepted,
    ResolutionOverdue,
    ResolutionProposed,
    ResolutionAccepted,
    ResolutionRejected,
    MediationClosed,
    NoticeOfNonResolution,
    ArbitrationDemanded,
    ArbitrationFeePaid,
    ArbitrationFeeDeclined,
    ArbitrationStarted,
    AwardGiven,
    Extended,
    Reminded,
    Silence,
    DisputeOpened,
    DisputeStopped,
    Refused,
    Unreadable,
    Decided,
    Closed,
}

/// What a status shows beyond the common part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Particulars {
    /// The claim.
    pub claim: Option<Claim>,
    /// Its rejection.
    pub rejection: Option<Rejection>,
    /// The offers.
    pub offers: Vec<Offer>,
    /// The resolution.
    pub resolution: Option<super::dispute::Resolution>,
    /// The answers to the resolution.
    pub answers: BTreeMap<Role, super::dispute::Answer>,
    /// The dispute's workflow id, where there is one.
    pub dispute: Option<String>,
}

impl CaseFile {
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
            notices: Vec::new(),
            notices_given: 0,
            version: 0,
        }
    }

    /// Grows with every change, so that a waiting workflow sees that there was one.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Takes the notices that are to be sent.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Opens a stage: its window, if it has one, runs from `now`, and what the last stage waited for is forgotten.
    pub(super) fn enter(&mut self, window: Option<Window>, now: Timestamp) {
        self.stage_opened_at = now;
        self.deadline = None;
        self.extended = false;
        self.alarms.clear();
        self.version += 1;
        if let Some(window) = window {
            self.set_deadline(self.policy.deadline(window, now));
        }
    }

    /// Sets when the stage's window closes, and the reminders before it: none where the window is shorter than the lead
    /// (T5).
    pub(super) fn set_deadline(&mut self, deadline: Timestamp) {
        self.deadline = Some(deadline);
        self.alarms.retain(|(_, alarm)| *alarm != Alarm::Reminder);
        for hours in &self.policy.reminder_hours {
            let at = later(deadline, -SignedDuration::from_hours((*hours).into()));
            if at > self.stage_opened_at {
                self.alarms.push((at, Alarm::Reminder));
            }
        }
    }

    pub(super) fn set_alarm(&mut self, at: Timestamp, alarm: Alarm) {
        self.alarms.push((at, alarm));
    }

    pub(super) fn record(
        &mut self,
        at: Timestamp,
        by: impl Into<Who>,
        what: What,
        rule: Rule,
        note: impl Into<String>,
    ) {
        let note = Some(note.into()).filter(|note| !note.is_empty());
        self.timeline.push(TimelineEntry { at, by: by.into(), what, rule: Some(rule), note });
        self.version += 1;
    }

    fn record_refusal(&mut self, at: Timestamp, by: Who, what: What, rule: Option<Rule>, note: String) {
        let kept = self.timeline.iter().filter(|entry| matches!(entry.what, What::Refused | What::Unreadable)).count();
        if kept < REFUSALS_KEPT_MAX {
            self.timeline.push(TimelineEntry { at, by, what, rule, note: Some(note) });
        } else {
            self.refusals_omitted += 1;
        }
    }

    fn remember(&mut self, key: Option<String>, answer: Option<Refusal>) {
        if let Some(key) = key
            && self.answered.len() < KEYS_KEPT_MAX
        {
            self.answered.insert(key, answer);
        }
    }

    /// Whether `by` is who they say they are, as far as the contract knows.
    fn admit(&self, by: &Actor) -> Result<(), Refusal> {
        let contract = &self.contract;
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
    fn extend(&mut self, by: Role, at: Timestamp, hours: u32, reason: &str) -> Result<Timestamp, Refusal> {
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
        check_text("reason", reason).map_err(|reason| Refusal::invalid(Rule::T6, reason))?;
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

/// A case of one kind.
pub trait Case {
    /// What it is about.
    const KIND: CaseKind;

    /// Its file.
    fn file(&self) -> &CaseFile;
    /// Its file, to change.
    fn file_mut(&mut self) -> &mut CaseFile;
    /// The stage's name on the wire.
    fn stage(&self) -> &'static str;
    /// Whether it is decided: only money and notices are still on their way, if anything.
    fn is_decided(&self) -> bool;
    /// How it ended, once it is closed.
    fn outcome(&self) -> Option<&Outcome>;
    /// Who is awaited.
    fn waiting_on(&self) -> Vec<Role>;
    /// What silence does at the deadline.
    fn if_silent(&self) -> Option<IfSilent>;
    /// What it holds.
    fn held(&self) -> Amount;
    /// What else its status shows.
    fn particulars(&self) -> Particulars;
    /// Who may give this command to such a case, in whatever stage.
    fn givers(verb: Verb) -> &'static [Role];
    /// Whether this stage offers the command to this role.
    fn offers(&self, role: Role, verb: Verb) -> bool;
    /// If `role` has given this command's answer before: that it has, in words.
    fn answered_before(&self, role: Role, command: &Command) -> Option<String>;
    /// Applies a command that came from who may give it, in time. `at` is its receipt time, `now` the workflow's.
    fn act(&mut self, role: Role, command: Command, at: Timestamp, now: Timestamp) -> Result<(), Refusal>;
    /// The window closed in silence.
    fn lapse(&mut self, now: Timestamp);
    /// Whether the case waits for an effect's result before its deadline may decide.
    fn awaits_effect(&self) -> bool {
        false
    }
    /// An alarm of this kind of case went off.
    fn ring(&mut self, _: Alarm, _: Timestamp) {}

    /// What this role can do now.
    fn allowed(&self, role: Role) -> Vec<Verb> {
        if self.is_decided() {
            return Vec::new();
        }
        let extendable = self.file().deadline.is_some() && !self.file().extended;
        let offered = |verb: &Verb| match verb {
            Verb::Extend => extendable,
            verb => self.offers(role, *verb),
        };
        Verb::ALL.into_iter().filter(|verb| Self::givers(*verb).contains(&role)).filter(offered).collect()
    }

    /// When its clock must tick next.
    fn wake_at(&self) -> Option<Timestamp> {
        let deadline = self.file().deadline.filter(|_| !self.awaits_effect());
        self.file().alarms.iter().map(|(at, _)| *at).chain(deadline).min()
    }

    /// Lets silence and alarms act that are due at `now`. A deadline goes first: it makes the stage's alarms pointless.
    fn tick(&mut self, now: Timestamp) {
        if self.is_decided() {
            return;
        }
        if !self.awaits_effect() && self.file().deadline.is_some_and(|deadline| deadline <= now) {
            return self.lapse(now);
        }
        let due: Vec<_> = self.file().alarms.iter().copied().filter(|(at, _)| *at <= now).collect();
        self.file_mut().alarms.retain(|(at, _)| *at > now);
        for (_, alarm) in due {
            match alarm {
                Alarm::Reminder => self.remind(now),
                alarm => self.ring(alarm, now),
            }
        }
    }

    /// Reminds whoever has not acted yet (T5).
    fn remind(&mut self, now: Timestamp) {
        let awaited = self.waiting_on();
        let names = awaited.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ");
        self.file_mut().record(now, Who::Case, What::Reminded, Rule::T5, names);
        for role in awaited {
            let facts = Facts { held: Some(self.held()), ..Facts::default() };
            self.tell(role, NoticeEvent::Reminder, Rule::T5, None, facts);
        }
    }

    /// Takes a command or refuses it. Whatever comes in, the case stays sound and says what became of it (L7, T2).
    ///
    /// # Errors
    /// The [`Refusal`], which the timeline keeps too. Nothing has changed otherwise.
    fn receive(&mut self, verb: Verb, message: Result<Message, Unreadable>, now: Timestamp) -> Result<(), Refusal> {
        let message = match message {
            Ok(message) => message,
            Err(unreadable) => {
                let refusal = Refusal::from(unreadable);
                let note = format!("{verb}: {refusal}");
                self.file_mut().record_refusal(now, Who::Unknown, What::Unreadable, None, note);
                return Err(refusal);
            }
        };
        let Message { by, at, key, command } = message;
        let key = key.map(|key| format!("{} {} {verb} {key}", by.party, by.id));
        if let Some(answer) = key.as_ref().and_then(|key| self.file().answered.get(key)) {
            return answer.clone().map_or(Ok(()), Err);
        }
        let at = receipt_time(at, self.file().stage_opened_at, now);
        let answer = self.judge(&by, &command, at).and_then(|()| match command {
            Command::Extend { hours, reason } => {
                self.file_mut().extend(by.party, at, hours, &reason)?;
                let facts = Facts { text: Some(reason), ..Facts::default() };
                self.announce(NoticeEvent::WindowExtended, Rule::T6, Some(by.party), &facts);
                Ok(())
            }
            command => self.act(by.party, command, at, now),
        });
        let answer = answer.map_err(|refusal| {
            let can = refusal.can.clone().or_else(|| Some((by.party, self.allowed(by.party))));
            Refusal { can, ..refusal }
        });
        if let Err(refusal) = &answer {
            let note = format!("{verb} by {by}: {refusal}");
            self.file_mut().record_refusal(at, by.party.into(), What::Refused, refusal.rule, note);
        }
        self.file_mut().remember(key, answer.as_ref().err().cloned());
        answer
    }

    /// Whether this sender may give this command now, before the case's own rules see it.
    fn judge(&self, by: &Actor, command: &Command, at: Timestamp) -> Result<(), Refusal> {
        let verb = command.verb();
        self.file().admit(by)?;
        let givers = Self::givers(verb);
        if !givers.contains(&by.party) {
            let who = givers.iter().map(|role| role.name()).collect::<Vec<_>>().join(" or the ");
            let reason = format!("{verb} is for the {who}, not for the {}", by.party);
            return Err(Refusal { kind: RefusalKind::NotAllowed, rule: None, reason, can: None });
        }
        if let Some(reason) = self.answered_before(by.party, command) {
            return Err(Refusal { kind: RefusalKind::AlreadyAnswered, rule: None, reason, can: None });
        }
        if self.is_decided() {
            let reason = match self.outcome() {
                Some(outcome) => format!("the case is decided: {} by rule {}", outcome.result.name(), outcome.rule),
                None => "the case is decided".to_owned(),
            };
            return Err(Refusal { kind: RefusalKind::TooLate, rule: Some(Rule::T2), reason, can: None });
        }
        match self.file().deadline {
            Some(deadline) if at >= deadline => {
                let reason = format!("received at {at}, and the window closed at {deadline}");
                Err(Refusal { kind: RefusalKind::TooLate, rule: Some(Rule::T2), reason, can: None })
            }
            _ => Ok(()),
        }
    }

    /// A command that this stage does not offer.
    fn not_now(&self, verb: Verb) -> Refusal {
        let reason = format!("{verb} is not offered while the case is in stage {}", self.stage());
        Refusal { kind: RefusalKind::NotAllowed, rule: None, reason, can: None }
    }

    /// Tells both parties: what happened, what each can do, by when, and what silence does (N1).
    fn announce(&mut self, event: NoticeEvent, rule: Rule, by: Option<Role>, facts: &Facts) {
        for role in Role::PARTIES {
            self.tell(role, event, rule, by, facts.clone());
        }
    }

    /// Tells one party, or the queue of a role.
    fn tell(&mut self, to: Role, event: NoticeEvent, rule: Rule, by: Option<Role>, facts: Facts) {
        let can = self.allowed(to);
        let (deadline, if_silent) = (self.file().deadline, self.if_silent());
        let file = self.file_mut();
        file.notices_given += 1;
        let moved = [facts.to_freelancer, facts.to_client].into_iter().flatten().any(|amount| !amount.is_zero());
        let email = event.by_email() && Role::PARTIES.contains(&to) && (event != NoticeEvent::Decided || moved);
        let number = file.notices_given;
        file.notices.push(Notice { number, event, to, by, rule, email, can, deadline, if_silent, facts });
    }
}
