//! The common part of all cases: the file, the clock, and the checks of a command before the case's own rules.
//!
//! A case is a value. It changes in three ways only: it [`receives`](Case::receive) a command, its clock
//! [`ticks`](Case::tick), or its own methods take an effect's result. It performs nothing itself: it collects notices in its
//! file and gives its orders when the workflow asks, and the workflow carries them out.

mod file;
mod timeline;

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use file::Key;
pub use file::{Alarm, CaseFile, REFUSALS_KEPT_MAX, RULES};
pub use timeline::{Particulars, TimelineEntry, What, Who};

use super::{
    command::{Command, CommandKind, Extend, Message, Refusal, RefusalKind, Unreadable},
    ids::CaseKind,
    money::Amount,
    notice::{Facts, IfSilent, Notice, NoticeEvent},
    order::{Done, Next},
    outcome::Outcome,
    party::Role,
    rule::Rule,
    stage::Stage,
    window::receipt_time,
};

/// A case of one kind. A program can store its present state, and the case continues from there.
pub trait Case: Clone + Serialize + DeserializeOwned {
    /// The kind of case.
    const KIND: CaseKind;

    /// Its file.
    fn file(&self) -> &CaseFile;
    /// Its file, to change.
    fn file_mut(&mut self) -> &mut CaseFile;
    /// Its stage.
    fn stage(&self) -> Stage;
    /// Whether it is decided: at most money and notices are still on their way.
    fn is_decided(&self) -> bool;
    /// How it ended, once it is closed.
    fn outcome(&self) -> Option<&Outcome>;
    /// Who must act.
    fn waiting_on(&self) -> Vec<Role>;
    /// What silence does at the deadline.
    fn if_silent(&self) -> Option<IfSilent>;
    /// What it holds.
    fn held(&self) -> Amount;
    /// What its status shows in addition.
    fn particulars(&self) -> Particulars;
    /// The name of the milestone that it is about.
    fn milestone_label(&self) -> Option<&str> {
        None
    }
    /// Whether the command has the fields that it needs in such a case.
    ///
    /// # Errors
    /// Which field is missing.
    fn readable(_: &Command) -> Result<(), Unreadable> {
        Ok(())
    }
    /// Whether this stage offers the command to this role.
    fn offers(&self, role: Role, command_kind: CommandKind) -> bool;
    /// If `role` has already given this answer: a text that says so.
    fn answered_before(&self, role: Role, command: &Command) -> Option<String>;
    /// Refuses the start after the ledger's answer: nothing has moved, and the case is over.
    fn refuse(&mut self, rule: Rule, reason: String, now: Timestamp);
    /// Refuses the start, and says what the case would have held. That money stays in escrow.
    fn refuse_holding(&mut self, _held: Amount, rule: Rule, reason: String, now: Timestamp) {
        self.refuse(rule, reason, now);
    }
    /// Applies a timely command of a permitted sender. `at` is its receipt time, `now` the workflow's time.
    fn act(&mut self, role: Role, command: Command, at: Timestamp, now: Timestamp) -> Result<(), Refusal>;
    /// The window closed without an answer.
    fn deadline_passed(&mut self, now: Timestamp);
    /// The next orders of an open case. The caller carries them out, gives the results to [`done`](Self::done), and asks again.
    fn next(&mut self, now: Timestamp) -> Next;
    /// Takes the result of an order.
    fn done(&mut self, done: Done, now: Timestamp);
    /// Whether the case waits for an effect's result before its deadline may decide.
    fn awaits_effect(&self) -> bool {
        false
    }
    /// An alarm of this kind of case went off.
    fn ring(&mut self, _: Alarm, _: Timestamp) {}

    /// What this role can do now.
    fn allowed(&self, role: Role) -> Vec<CommandKind> {
        if self.is_decided() {
            return Vec::new();
        }
        let extendable = self.file().deadline.is_some() && !self.file().extended;
        let offered = |command_kind: &CommandKind| match command_kind {
            CommandKind::Extend => extendable,
            command_kind => self.offers(role, *command_kind),
        };
        CommandKind::ALL
            .into_iter()
            .filter(|command_kind| command_kind.givers(Self::KIND).contains(&role))
            .filter(offered)
            .collect()
    }

    /// When the case's clock must tick next.
    fn wake_at(&self) -> Option<Timestamp> {
        let deadline = self.file().deadline.filter(|_| !self.awaits_effect());
        self.file().alarms.iter().map(|(at, _)| *at).chain(deadline).min()
    }

    /// Applies the deadlines and alarms that are due at `now`. A deadline comes first: it ends the stage and its alarms.
    fn tick(&mut self, now: Timestamp) {
        if self.is_decided() {
            return;
        }
        if !self.awaits_effect() && self.file().deadline.is_some_and(|deadline| deadline <= now) {
            return self.deadline_passed(now);
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

    /// Reminds those who have not acted yet (T5).
    fn remind(&mut self, now: Timestamp) {
        let awaited = self.waiting_on();
        let names = awaited.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ");
        self.file_mut().record(now, Who::Case, What::Reminded, Rule::T5, names);
        for role in awaited {
            let facts = Facts { held: Some(self.held()), ..Facts::default() };
            self.tell(role, NoticeEvent::Reminder, Rule::T5, None, facts);
        }
    }

    /// Takes a command or refuses it. Any command leaves the case sound and gets an answer (L7, T2).
    ///
    /// # Errors
    /// The [`Refusal`], which the timeline keeps too. Nothing has changed otherwise.
    fn receive(
        &mut self,
        command_kind: CommandKind,
        message: Result<Message, Unreadable>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let message = match message {
            Ok(message) => message,
            Err(unreadable) => {
                let refusal = Refusal::from(unreadable);
                let note = format!("{command_kind}: {refusal}");
                self.file_mut().record_refusal(now, Who::Unknown, What::Unreadable, None, &note);
                return Err(refusal);
            }
        };
        let Message { by, at, key, command } = message;
        let command_kind = command.command_kind();
        let key = key.map(|key| Key::of(&by, &key, &command));
        if let Some(answer) = key.as_ref().and_then(|key| self.file().answer_to(key)) {
            return answer;
        }
        let at = receipt_time(at, self.file().stage_opened_at, now);
        let admitted = self.file().admit(&by);
        let answer = admitted.clone().and_then(|()| self.judge(by.party, &command, at)).and_then(|()| match command {
            Command::Extend(Extend { hours, reason }) => {
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
            let note = format!("{command_kind} by {by}: {refusal}");
            self.file_mut().record_refusal(at, by.party.into(), What::Refused, refusal.rule, &note);
        }
        // The case does not remember keys of senders who may not act: they would use up the parties' space.
        if let (Some(key), Ok(())) = (key, admitted) {
            self.file_mut().remember(key, &answer);
        }
        answer
    }

    /// Whether this sender may give this command now. The case's own rules judge it after that.
    fn judge(&self, role: Role, command: &Command, at: Timestamp) -> Result<(), Refusal> {
        let command_kind = command.command_kind();
        let givers = command_kind.givers(Self::KIND);
        if !givers.contains(&role) {
            let who = givers.iter().map(|role| role.name()).collect::<Vec<_>>().join(" or the ");
            let reason = format!("{command_kind} is for the {who}, not for the {role}");
            return Err(Refusal { kind: RefusalKind::NotAllowed, rule: None, reason, can: None });
        }
        if let Some(reason) = self.answered_before(role, command) {
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

    /// The refusal of a command that this stage does not offer.
    fn not_now(&self, command_kind: CommandKind) -> Refusal {
        let reason = format!("{command_kind} is not offered while the case is in stage {}", self.stage());
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
        let facts = Facts { milestone: self.milestone_label().map(str::to_owned), ..facts };
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
