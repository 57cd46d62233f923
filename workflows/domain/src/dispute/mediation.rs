//! From the claim to the answers to a resolution: D2–D5, M1–M6.

use super::{
    Accept, Alarm, Amend, Amount, Answer, Case, Claim, ClientSilence, Command, DecidedBy, DisputeCase, Facts,
    NoticeEvent, Propose, Refusal, Reject, Resolution, Role, Rule, Split, Stage, Timestamp, What, Who,
};
use crate::{
    command::{self, RefusalKind},
    text::{check_short_text, check_text},
};

/// How often a claim may be amended. Everything that a party can repeat has a limit.
const AMENDMENTS_MAX: usize = 20;

impl DisputeCase {
    pub(super) fn claim_answered_before(&self, role: Role) -> Option<String> {
        if role != Role::Client {
            return None;
        }
        if self.rejection.is_some() {
            return Some("the client has rejected the claim, and that is final".to_owned());
        }
        self.decided_by(DecidedBy::ClientAcceptance).then(|| "the client has accepted the claim".to_owned())
    }

    pub(super) fn decided_by(&self, decided_by: DecidedBy) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.decided_by == decided_by)
    }

    /// The client answers the claim, or the freelancer amends or withdraws it (D2–D5).
    pub(super) fn answer_claim(
        &mut self,
        role: Role,
        command: Command,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        match (role, command) {
            (Role::Client, Command::Accept(Accept::Claim { amount })) => {
                amount.map_or(Ok(()), |amount| self.check_seen(amount, Rule::D3))?;
                let split = self.split(self.claim.amount, Rule::D3)?;
                self.file.record(at, role, What::ClaimAccepted, Rule::D3, "");
                self.decide(split, DecidedBy::ClientAcceptance, Rule::D3, now);
            }
            (Role::Client, Command::Reject(Reject::Claim(rejection))) => {
                rejection.amount.map_or(Ok(()), |amount| self.check_seen(amount, Rule::D4))?;
                rejection.check(&self.file.policy).map_err(|reason| Refusal::invalid(Rule::D4, reason))?;
                self.file.record(at, role, What::ClaimRejected, Rule::D4, "");
                let text = Some(rejection.details.clone());
                self.rejection = Some(rejection);
                self.begin_mediation(text, now);
            }
            (Role::Freelancer, Command::Amend(Amend { amount, details })) => self.amend(amount, details, at)?,
            (Role::Freelancer, Command::Withdraw(_)) => {
                self.file.record(at, role, What::ClaimWithdrawn, Rule::D5, "");
                self.decide(Split::all_to_client(self.held), DecidedBy::FreelancerWithdrawal, Rule::D5, now);
            }
            (_, command) => return Err(self.not_now(command.command_kind())),
        }
        Ok(())
    }

    /// Whether the claim is still the one that the client saw: the freelancer may have amended it since (D5).
    fn check_seen(&self, seen: Amount, rule: Rule) -> Result<(), Refusal> {
        if seen == self.claim.amount {
            return Ok(());
        }
        let currency = self.file.contract.currency;
        let (now, seen) = (currency.show(self.claim.amount), currency.show(seen));
        let reason = format!("amount: the claim is for {now} now, not for {seen}; look at it, and answer that");
        Err(Refusal::invalid(rule, reason))
    }

    /// Changes the claim. The window does not begin again (D5).
    fn amend(&mut self, amount: Amount, details: String, at: Timestamp) -> Result<(), Refusal> {
        let amended = self.file.timeline.iter().filter(|entry| entry.what == What::ClaimAmended).count();
        if amended >= AMENDMENTS_MAX {
            let reason = format!("the claim was amended {AMENDMENTS_MAX} times, which is all there may be");
            return Err(Refusal::new(RefusalKind::NotAllowed, Rule::D5, reason));
        }
        let currency = self.file.contract.currency;
        let claim = Claim { amount, details, ..self.claim.clone() };
        claim.check(self.held, currency, &self.file.policy).map_err(|reason| Refusal::invalid(Rule::D5, reason))?;
        let note = format!("{} instead of {}", currency.show(amount), currency.show(self.claim.amount));
        self.file.record(at, Role::Freelancer, What::ClaimAmended, Rule::D5, note);
        let facts = Facts {
            held: Some(self.held),
            amount: Some(amount),
            text: Some(claim.details.clone()),
            ..Facts::default()
        };
        self.claim = claim;
        self.announce(NoticeEvent::ClaimAmended, Rule::D5, Some(Role::Freelancer), &facts);
        Ok(())
    }

    /// Silence releases the claimed amount, or by policy everything (D3).
    pub(super) fn client_was_silent(&mut self, at: Timestamp, now: Timestamp) {
        self.file.record(at, Who::Case, What::Silence, Rule::D3, "the client did not answer the claim");
        let claimed = match self.file.policy.client_silence {
            ClientSilence::ClaimedAmount => self.claim.amount,
            ClientSilence::AllHeld => self.held,
        };
        // A claim is never more than the held money: the filing and each amendment check this.
        let split = self.split(claimed, Rule::D3).unwrap_or(Split::all_to_freelancer(self.held));
        self.decide(split, DecidedBy::ClientSilence, Rule::D3, now);
    }

    /// Mediation begins. The resolution is due by the target (M1). Mediation ends at the limit, which counts from the filing
    /// (M2).
    fn begin_mediation(&mut self, rejection: Option<String>, now: Timestamp) {
        self.stage = Stage::InMediation;
        self.file.enter(None, now);
        self.file.set_deadline(self.file.policy.deadline(self.file.policy.mediation_limit, self.file.opened_at));
        let target = self.file.policy.deadline(self.file.policy.resolution_target, now);
        self.file.set_alarm(target, Alarm::ResolutionTarget);
        let facts =
            Facts { held: Some(self.held), amount: Some(self.claim.amount), text: rejection, ..Facts::default() };
        self.announce(NoticeEvent::ClaimRejected, Rule::D4, Some(Role::Client), &facts);
        let facts = Facts { text: None, expected_by: Some(target), ..facts };
        self.tell(Role::Mediator, NoticeEvent::MediationNeeded, Rule::M1, None, facts);
    }

    /// The mediator missed the target: the case sets the flag and sends the mediation queue a notice. This decides nothing
    /// (M1).
    pub(super) fn resolution_is_overdue(&mut self, now: Timestamp) {
        self.file.overdue = true;
        self.file.record(now, Who::Case, What::ResolutionOverdue, Rule::M1, "no resolution by the target");
        let facts = Facts { held: Some(self.held), ..Facts::default() };
        self.tell(Role::Mediator, NoticeEvent::MediationOverdue, Rule::M1, None, facts);
    }

    /// The mediator proposes the resolution or closes the mediation (M2, M3).
    pub(super) fn mediate(&mut self, command: Command, at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        match command {
            Command::Propose(Propose { to_freelancer, rationale }) => {
                let Split { to_freelancer, to_client } = self.split(to_freelancer, Rule::M3)?;
                check_text("rationale", &rationale).map_err(|reason| Refusal::invalid(Rule::M3, reason))?;
                let currency = self.file.contract.currency;
                let rest = if self.grounds.is_active() { "stays in escrow" } else { "to the client" };
                let (paid, left) = (currency.show(to_freelancer), currency.show(to_client));
                let note = format!("{paid} to the freelancer, {left} {rest}");
                self.file.record(at, Role::Mediator, What::ResolutionProposed, Rule::M3, note);
                self.file.overdue = false;
                self.stage = Stage::AwaitingParties;
                let window = self.file.policy.resolution_response;
                self.file.enter(Some(window), now);
                let facts = Facts {
                    held: Some(self.held),
                    to_freelancer: Some(to_freelancer),
                    to_client: Some(to_client),
                    text: Some(rationale.clone()),
                    ..Facts::default()
                };
                self.resolution = Some(Resolution { to_freelancer, to_client, rationale });
                self.announce(NoticeEvent::ResolutionProposed, Rule::M4, Some(Role::Mediator), &facts);
            }
            Command::Close(command::Close { reason }) => {
                check_short_text("reason", &reason).map_err(|reason| Refusal::invalid(Rule::M2, reason))?;
                self.file.record(at, Role::Mediator, What::MediationClosed, Rule::M2, reason.clone());
                self.give_notice_of_non_resolution(Rule::M2, Some(reason), now);
            }
            other => return Err(self.not_now(other.command_kind())),
        }
        Ok(())
    }

    /// A party answers the resolution; an answer is final (M4–M6).
    pub(super) fn answer_resolution(
        &mut self,
        role: Role,
        command: &Command,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let (answer, what) = match command {
            Command::Accept(Accept::Resolution) => (Answer::Accepted, What::ResolutionAccepted),
            Command::Reject(Reject::Resolution) => (Answer::Rejected, What::ResolutionRejected),
            other => return Err(self.not_now(other.command_kind())),
        };
        self.answers.insert(role, answer);
        self.file.record(at, role, what, Rule::M4, "");
        if answer == Answer::Rejected {
            self.give_notice_of_non_resolution(Rule::M6, None, now);
            return Ok(());
        }
        let both = Role::PARTIES.iter().all(|party| self.answers.get(party) == Some(&Answer::Accepted));
        if let (Some(resolution), true) = (&self.resolution, both) {
            let split = Split { to_freelancer: resolution.to_freelancer, to_client: resolution.to_client };
            self.decide(split, DecidedBy::ResolutionAccepted, Rule::M5, now);
        } else {
            let facts = Facts { accepted: Some(true), ..Facts::default() };
            self.announce(NoticeEvent::ResolutionAnswered, Rule::M4, Some(role), &facts);
        }
        Ok(())
    }
}
