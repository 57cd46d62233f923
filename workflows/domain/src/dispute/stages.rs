//! The dispute as a case: its stages, who may do what in each, and where a command or silence leads.

use super::{
    Accept, Alarm, Amount, Answer, Case, CaseFile, CaseKind, ClientSilence, Command, CommandKind, DecidedBy,
    DisputeCase, Id, IfSilent, Offer, OfferState, Outcome, Particulars, Refusal, Reject, Retract, Role, Rule, Stage,
    Timestamp, What, Who,
};
use crate::{
    command::Unreadable,
    order::{Done, Next, Order},
    stage::Stage as Shown,
};

impl Case for DisputeCase {
    const KIND: CaseKind = CaseKind::Dispute;

    fn file(&self) -> &CaseFile {
        &self.file
    }

    fn file_mut(&mut self) -> &mut CaseFile {
        &mut self.file
    }

    fn stage(&self) -> Shown {
        match self.stage {
            Stage::Opening | Stage::Settling => Shown::Settling,
            Stage::AwaitingClient => Shown::AwaitingClient,
            Stage::InMediation => Shown::InMediation,
            Stage::AwaitingParties => Shown::AwaitingParties,
            Stage::AwaitingArbitrationDemand => Shown::AwaitingArbitrationDemand,
            Stage::InArbitration => Shown::InArbitration,
            Stage::OnHold => Shown::OnHold,
            Stage::Closed => Shown::Closed,
        }
    }

    fn is_decided(&self) -> bool {
        matches!(self.stage, Stage::Settling | Stage::OnHold | Stage::Closed)
    }

    fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    fn waiting_on(&self) -> Vec<Role> {
        match self.stage {
            Stage::AwaitingClient => vec![Role::Client],
            Stage::InMediation => vec![Role::Mediator],
            Stage::AwaitingParties => {
                Role::PARTIES.into_iter().filter(|role| !self.answers.contains_key(role)).collect()
            }
            Stage::AwaitingArbitrationDemand => {
                Role::PARTIES.into_iter().filter(|role| self.may_demand(*role)).collect()
            }
            Stage::InArbitration => vec![Role::Arbitrator],
            Stage::Opening | Stage::Settling | Stage::OnHold | Stage::Closed => Vec::new(),
        }
    }

    fn if_silent(&self) -> Option<IfSilent> {
        match self.stage {
            Stage::AwaitingClient => Some(match self.file.policy.client_silence {
                ClientSilence::AllHeld => IfSilent::ReleaseAllHeld,
                ClientSilence::ClaimedAmount if self.grounds.is_active() => IfSilent::ReleaseClaimedKeepRest,
                ClientSilence::ClaimedAmount => IfSilent::ReleaseClaimedAmount,
            }),
            Stage::InMediation | Stage::AwaitingParties => Some(IfSilent::NoticeOfNonResolution),
            Stage::AwaitingArbitrationDemand => Some(self.if_no_more_demands()),
            _ => None,
        }
    }

    fn held(&self) -> Amount {
        if matches!(self.stage, Stage::Opening | Stage::Closed) { Amount::ZERO } else { self.held }
    }

    fn particulars(&self) -> Particulars {
        Particulars {
            claim: Some(self.claim.clone()),
            rejection: self.rejection.clone(),
            offers: self.offers.all().to_vec(),
            resolution: self.resolution.clone(),
            answers: self.answers.clone(),
            arbitration: (self.stage != Stage::Opening).then(|| self.arbitration()),
            ..Particulars::default()
        }
    }

    fn milestone_label(&self) -> Option<&str> {
        self.milestone.as_ref().map(Id::as_str)
    }

    fn readable(command: &Command) -> Result<(), Unreadable> {
        match command {
            Command::Accept(Accept::Request) | Command::Reject(Reject::Request) => {
                Err(Unreadable::because("missing field `of`: claim, resolution or offer"))
            }
            _ => Ok(()),
        }
    }

    fn offers(&self, role: Role, command_kind: CommandKind) -> bool {
        let other_offered = role.other_party().is_some_and(|other| self.offers.open_by(other).is_some());
        match command_kind {
            CommandKind::Accept | CommandKind::Reject => {
                let claim = self.stage == Stage::AwaitingClient && role == Role::Client;
                let resolution = self.stage == Stage::AwaitingParties && !self.answers.contains_key(&role);
                claim || resolution || (self.is_open() && other_offered)
            }
            CommandKind::Offer => self.is_open(),
            CommandKind::Retract => self.is_open() && self.offers.open_by(role).is_some(),
            CommandKind::Amend | CommandKind::Withdraw => self.stage == Stage::AwaitingClient,
            CommandKind::Propose | CommandKind::Close => self.stage == Stage::InMediation,
            CommandKind::DemandArbitration => self.stage == Stage::AwaitingArbitrationDemand && self.may_demand(role),
            CommandKind::Award => self.stage == Stage::InArbitration,
            _ => false,
        }
    }

    fn answered_before(&self, role: Role, command: &Command) -> Option<String> {
        match command {
            Command::Accept(Accept::Claim { .. }) | Command::Reject(Reject::Claim(_)) => {
                self.claim_answered_before(role)
            }
            Command::Accept(Accept::Resolution) | Command::Reject(Reject::Resolution) => {
                let answer = self.answers.get(&role)?;
                let word = if *answer == Answer::Accepted { "accepted" } else { "rejected" };
                Some(format!("the {role} has {word} the resolution, and that is final"))
            }
            Command::Propose(_) if self.resolution.is_some() => {
                Some("a resolution was proposed; there is one per dispute".to_owned())
            }
            Command::DemandArbitration(_) => self.demanded_before(role),
            Command::Award(_) if self.decided_by(DecidedBy::ArbitrationAward) => {
                Some("the award was given, and it is final".to_owned())
            }
            Command::Withdraw(_) if self.decided_by(DecidedBy::FreelancerWithdrawal) => {
                Some("the claim was withdrawn".to_owned())
            }
            _ => None,
        }
    }

    fn refuse(&mut self, rule: Rule, reason: String, now: Timestamp) {
        self.refuse_holding(self.held, rule, reason, now);
    }

    fn refuse_holding(&mut self, held: Amount, rule: Rule, reason: String, now: Timestamp) {
        self.settle(Outcome { kept_in_escrow: held, ..Outcome::refused(rule, reason) }, now);
    }

    fn act(&mut self, role: Role, command: Command, at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        if !self.is_open() {
            return Err(self.not_now(command.command_kind()));
        }
        match command {
            Command::Offer(Offer { to_freelancer, message }) => self.offer(role, to_freelancer, message, at),
            Command::Retract(Retract { number }) => self.end_offer(number, role, OfferState::Retracted, at, now),
            Command::Accept(Accept::Offer(number)) => self.end_offer(number, role, OfferState::Accepted, at, now),
            Command::Reject(Reject::Offer(number)) => self.end_offer(number, role, OfferState::Rejected, at, now),
            command => match self.stage {
                Stage::AwaitingClient => self.answer_claim(role, command, at, now),
                Stage::InMediation => self.mediate(command, at, now),
                Stage::AwaitingParties => self.answer_resolution(role, &command, at, now),
                Stage::AwaitingArbitrationDemand => self.demand(role, command, at, now),
                _ => self.arbitrate(command, at, now),
            },
        }
    }

    fn next(&mut self, now: Timestamp) -> Next {
        match self.stage {
            Stage::Settling => {
                let movements = self.settlement(now).expect("L3: the deposits hold what is in escrow");
                Next::settle(movements, self.close_hold()).unwrap_or_else(|| {
                    self.close(now);
                    Next::Over
                })
            }
            Stage::OnHold | Stage::Closed => Next::Over,
            _ if self.fees_due.is_empty() => Next::Wait,
            _ => Next::Do(self.take_fees_due().into_iter().map(Order::ChargeFee).collect()),
        }
    }

    fn done(&mut self, done: Done, now: Timestamp) {
        match done {
            Done::Settled => self.close(now),
            Done::Fee { party, charged } => self.fee_charged(party, charged, now),
            Done::Bonus { .. } | Done::Returned(_) | Done::NotCovered(_) | Done::Disputed(_) => {}
        }
    }

    fn deadline_passed(&mut self, now: Timestamp) {
        let at = self.file.deadline.unwrap_or(now);
        match self.stage {
            Stage::AwaitingClient => self.client_was_silent(at, now),
            Stage::InMediation => {
                self.file.record(at, Who::Case, What::Silence, Rule::M2, "mediation ended without a resolution");
                self.give_notice_of_non_resolution(Rule::M2, None, now);
            }
            Stage::AwaitingParties => {
                self.file.record(at, Who::Case, What::Silence, Rule::M6, "not both parties answered the resolution");
                self.give_notice_of_non_resolution(Rule::M6, None, now);
            }
            Stage::AwaitingArbitrationDemand => self.demands_closed(at, now),
            _ => {}
        }
    }

    fn awaits_effect(&self) -> bool {
        self.is_charging()
    }

    fn ring(&mut self, alarm: Alarm, now: Timestamp) {
        match alarm {
            Alarm::ResolutionTarget => self.resolution_is_overdue(now),
            Alarm::ArbitrationReminder => self.remind_of_arbitration(now),
            Alarm::Reminder | Alarm::MediationHelpEnds => {}
        }
    }
}
