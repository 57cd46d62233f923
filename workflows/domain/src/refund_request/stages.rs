//! The refund request as a case: its stages, who may do what in each, and where a command or silence leads.

use super::{
    Case, CaseFile, CaseKind, Command, CommandKind, DecidedBy, Done, IfSilent, Next, Outcome, Particulars,
    RefundRequestCase, Refusal, RefusalKind, ResultKind, Role, Rule, Shown, Stage, Timestamp, What, Who, dispute_id,
};
use crate::money::Amount;

impl Case for RefundRequestCase {
    const KIND: CaseKind = CaseKind::RefundRequest;

    fn file(&self) -> &CaseFile {
        &self.file
    }

    fn file_mut(&mut self) -> &mut CaseFile {
        &mut self.file
    }

    fn stage(&self) -> Shown {
        match self.stage {
            Stage::Opening | Stage::Settling => Shown::Settling,
            Stage::AwaitingFreelancer => Shown::AwaitingFreelancer,
            Stage::Disputed => Shown::Disputed,
            Stage::Closed => Shown::Closed,
        }
    }

    fn is_decided(&self) -> bool {
        matches!(self.stage, Stage::Settling | Stage::Closed)
    }

    fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref().filter(|_| self.is_decided())
    }

    fn waiting_on(&self) -> Vec<Role> {
        if self.is_waiting() { vec![Role::Freelancer] } else { Vec::new() }
    }

    fn if_silent(&self) -> Option<IfSilent> {
        self.is_waiting().then_some(IfSilent::RefundClient)
    }

    fn held(&self) -> Amount {
        match self.stage {
            Stage::Opening | Stage::Closed => Amount::ZERO,
            Stage::AwaitingFreelancer | Stage::Disputed | Stage::Settling => self.rest,
        }
    }

    fn particulars(&self) -> Particulars {
        let dispute = self.claim.as_ref().map(|_| dispute_id(&self.file.contract.id, None));
        Particulars { claim: self.claim.clone(), dispute, ..Particulars::default() }
    }

    fn offers(&self, role: Role, command_kind: CommandKind) -> bool {
        self.is_waiting() && command_kind.givers(Self::KIND).contains(&role)
    }

    fn answered_before(&self, role: Role, command: &Command) -> Option<String> {
        let answer = match (role, self.outcome.as_ref().map(|outcome| outcome.decided_by)) {
            (Role::Freelancer, Some(DecidedBy::FreelancerApproval)) => "the freelancer has approved the refund",
            (Role::Client, Some(DecidedBy::ClientRelease)) => "the client has released the escrow",
            (Role::Freelancer, _) if self.claim.is_some() => {
                "the freelancer has disputed the refund; the dispute goes on in its own case"
            }
            _ => return None,
        };
        matches!(command, Command::Approve(_) | Command::Dispute(_) | Command::Release(_)).then(|| answer.to_owned())
    }

    fn refuse(&mut self, rule: Rule, reason: String, now: Timestamp) {
        self.refuse_holding(self.rest, rule, reason, now);
    }

    fn refuse_holding(&mut self, held: Amount, rule: Rule, reason: String, now: Timestamp) {
        self.pay_now = Amount::ZERO;
        self.decide(Outcome { kept_in_escrow: held, ..Outcome::refused(rule, reason) }, now);
    }

    fn act(&mut self, role: Role, command: Command, at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        if !self.is_waiting() {
            return Err(match (&self.claim, command.command_kind()) {
                (Some(_), CommandKind::Release) => {
                    let dispute = dispute_id(&self.file.contract.id, None);
                    let reason = format!("the refund is disputed; answer the claim in {dispute}");
                    Refusal::new(RefusalKind::NotAllowed, Rule::R10, reason)
                }
                (_, command_kind) => self.not_now(command_kind),
            });
        }
        match command {
            Command::Approve(_) => {
                self.file.record(at, role, What::RefundApproved, Rule::R4, "");
                self.refund(DecidedBy::FreelancerApproval, now);
            }
            Command::Dispute(dispute) => {
                let claim = dispute.claim();
                let currency = self.file.contract.currency;
                claim
                    .check(self.rest, currency, &self.file.policy)
                    .map_err(|reason| Refusal::invalid(Rule::R5, reason))?;
                self.file.record(at, role, What::ClaimFiled, Rule::R5, currency.show(claim.amount));
                self.claim = Some(claim);
                self.stage = Stage::Disputed;
                self.file.enter(None, now);
                let dispute = dispute_id(&self.file.contract.id, None);
                self.file.record(now, Who::Case, What::DisputeOpened, Rule::R6, dispute);
            }
            Command::Release(_) => {
                self.file.record(at, role, What::RefundRequestReleased, Rule::R10, "");
                let to_freelancer = self.pay_now.plus(self.rest).unwrap_or(self.rest);
                let outcome = Outcome::without_money(ResultKind::Released, DecidedBy::ClientRelease, Rule::R10);
                self.decide(Outcome { to_freelancer, ..outcome }, now);
            }
            other => return Err(self.not_now(other.command_kind())),
        }
        Ok(())
    }

    fn next(&mut self, now: Timestamp) -> Next {
        // Always order this payment, whatever came meanwhile: no later settlement contains it.
        if std::mem::take(&mut self.pays_now)
            && let Some(payment) = self.payment_now(now)
        {
            return Next::PayBeside(payment);
        }
        match self.stage {
            Stage::Opening | Stage::AwaitingFreelancer => Next::Wait,
            Stage::Disputed => Next::Do(self.dispute().into_iter().collect()),
            Stage::Settling => {
                let movements = self.settlement(now).expect("L3: the deposits hold what is in escrow");
                Next::settle(movements, self.close_hold()).unwrap_or_else(|| {
                    self.close(now);
                    Next::Over
                })
            }
            Stage::Closed => Next::Over,
        }
    }

    fn done(&mut self, done: Done, now: Timestamp) {
        match done {
            Done::Settled => self.close(now),
            Done::Disputed(Ok(outcome)) => self.dispute_ended(outcome, now),
            Done::Disputed(Err(stopped)) => self.dispute_stopped(&stopped, now),
            Done::Fee { .. } | Done::Bonus { .. } | Done::Returned(_) | Done::NotCovered(_) => {}
        }
    }

    fn deadline_passed(&mut self, now: Timestamp) {
        let at = self.file.deadline.unwrap_or(now);
        self.file.record(at, Who::Case, What::Silence, Rule::R4, "the freelancer did not answer");
        self.refund(DecidedBy::FreelancerSilence, now);
    }
}
