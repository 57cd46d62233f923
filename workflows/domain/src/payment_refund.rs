//! A request for money that was already released (P1–P4), as a state machine.
//!
//! ```text
//! opening ─┬─▶ closed                 refused: too late (P1), more than is left of the payment (P4)
//!          └─▶ awaiting_freelancer ─┬─▶ settling ─▶ closed    all or a part is returned (P2)
//!                    ▲              └─▶ closed                nothing is returned: rejection, silence (P2)
//!                    └── the freelancer's balance did not cover it (P4)
//! ```
//!
//! Nobody can make the freelancer return anything. If the client asks in time, a mediator gives an opinion (P3).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    case::{Alarm, Case, CaseFile, Particulars, What, Who},
    command::{Approve, Command, CommandKind, Opinion, Refusal, RefusalKind, RequestMediation},
    ids::{CaseKind, PaymentId},
    money::Amount,
    notice::{Facts, IfSilent, NoticeEvent},
    opening::{Asking, StartRequest},
    order::{Done, Next, Order},
    outcome::{DecidedBy, Outcome, ResultKind},
    party::Role,
    payment::PaymentRequest,
    rule::Rule,
    stage::Stage as Shown,
    starts::{PaymentRefundStart, check_opening},
    text::{TEXT_BYTES_MAX, check_length, check_text},
};

/// How often a freelancer may agree to a return that their balance does not cover. Everything that a party can repeat has a
/// limit.
const RETURNS_TRIED_MAX: usize = 100;

/// The case's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Stage {
    /// The case does not know yet what was paid.
    Opening,
    /// The freelancer may return all, a part, or nothing (P2).
    AwaitingFreelancer,
    /// The freelancer returns this much. The case does not know yet whether their balance covers it (P4).
    Returning(Amount),
    /// Decided; the money is on its way back.
    Settling,
    /// The case is over.
    Closed,
}

/// The case of a request for a released payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRefundCase {
    file: CaseFile,
    stage: Stage,
    request: PaymentRequest,
    mediation_over: bool,
    outcome: Option<Outcome>,
}

impl PaymentRefundCase {
    /// Takes the request. If a rule forbids it (E1, T3), the case closes without opening.
    pub fn begin(id: String, start: PaymentRefundStart, now: Timestamp) -> Self {
        let refused = refusal_of(&start).err();
        let PaymentRefundStart { contract, payment, released_at, amount, message, policy } = start;
        let request = PaymentRequest {
            id: payment,
            released_at,
            left: Amount::ZERO,
            asked: amount,
            message,
            mediation_until: released_at,
            mediation: None,
            opinion: None,
        };
        Self {
            file: CaseFile::new(id, contract, policy.unwrap_or_default(), now),
            stage: if refused.is_some() { Stage::Closed } else { Stage::Opening },
            request,
            mediation_over: false,
            outcome: refused,
        }
    }

    /// Takes the paid amount and its time from the ledger: both limits count from the release (P1, P3).
    ///
    /// If the client names an earlier release, that time counts: it can only shorten the client's limits.
    pub fn opened(&mut self, paid: Amount, returned: Amount, released_at: Timestamp, now: Timestamp) {
        let released_at = released_at.min(self.request.released_at);
        let currency = self.file.contract.currency;
        let policy = &self.file.policy;
        let limit = policy.deadline(policy.payment_refund, released_at);
        let asking = Asking { payment: &self.request.id, amount: self.request.asked, policy };
        let refused = asking.refusal(paid.minus(returned).unwrap_or_default(), released_at, currency, now);
        let answer_by = limit.max(policy.deadline(policy.refund_response, now));
        self.request.mediation_until = policy.deadline(policy.payment_mediation, released_at);
        self.request.released_at = released_at;
        self.request.left = paid.minus(returned).unwrap_or_default();
        if let Some((rule, reason)) = refused {
            return self.refuse(rule, reason, now);
        }
        self.file.record(now, Role::Client, What::ReturnAsked, Rule::P1, currency.show(self.request.asked));
        self.stage = Stage::AwaitingFreelancer;
        self.file.enter(None, now);
        self.file.set_deadline(answer_by);
        if self.request.mediation_until > now {
            self.file.set_alarm(self.request.mediation_until, Alarm::MediationHelpEnds);
        } else {
            self.mediation_over = true;
        }
        let text = Some(self.request.message.clone()).filter(|message| !message.is_empty());
        let facts = Facts { text, ..self.facts() };
        self.announce(NoticeEvent::PaymentRefundRequested, Rule::P1, Some(Role::Client), &facts);
    }

    /// What the start asks for. The ledger's facts decide whether it opens a case.
    pub fn asked(&self) -> StartRequest {
        StartRequest::Return {
            payment: self.request.id.clone(),
            amount: self.request.asked,
            released_at: self.request.released_at,
            policy: Box::new(self.file.policy.clone()),
        }
    }

    /// The contract has no such payment (P1).
    pub fn no_such_payment(&mut self, now: Timestamp) {
        let reason = format!(
            "payment: contract {} has no release with the id {}; `recourse ledger --contract {}` shows them",
            self.file.contract.id, self.request.id, self.file.contract.id
        );
        self.refuse(Rule::P1, reason, now);
    }

    /// What the freelancer returns, until the case knows whether their balance covers it (P2, P4).
    pub const fn returning(&self) -> Option<Amount> {
        match self.stage {
            Stage::Returning(amount) => Some(amount),
            _ => None,
        }
    }

    /// The payment's id.
    pub const fn payment(&self) -> &PaymentId {
        &self.request.id
    }

    /// The money is on its way back (P2).
    pub fn returned(&mut self, amount: Amount, now: Timestamp) {
        let shown = self.file.contract.currency.show(amount);
        self.file.record(now, Who::Case, What::Returned, Rule::P2, shown);
        let outcome = Outcome::without_money(ResultKind::Refunded, DecidedBy::FreelancerApproval, Rule::P2);
        self.decide(Outcome { to_client: amount, ..outcome }, now);
        let facts = Facts {
            to_client: Some(amount),
            decided_by: Some(DecidedBy::FreelancerApproval),
            expected_by: Some(self.file.expected_by(now)),
            ..self.facts()
        };
        self.announce(NoticeEvent::PaymentReturned, Rule::P2, Some(Role::Freelancer), &facts);
    }

    /// The freelancer's balance does not cover it. Nothing has moved, and the window continues (P4).
    pub fn not_covered(&mut self, available: Amount, now: Timestamp) {
        let note = format!("{} could be returned", self.file.contract.currency.show(available));
        self.file.record(now, Who::Case, What::ReturnNotCovered, Rule::P4, note);
        self.stage = Stage::AwaitingFreelancer;
        let facts = Facts { amount: Some(available), ..Facts::default() };
        self.announce(NoticeEvent::ReturnFailed, Rule::P4, None, &facts);
    }

    /// All money has moved.
    pub fn close(&mut self, now: Timestamp) {
        self.stage = Stage::Closed;
        self.file.enter(None, now);
        let rule = self.outcome.as_ref().map_or(Rule::P2, |outcome| outcome.rule);
        self.file.record(now, Who::Case, What::Closed, rule, "");
    }

    /// Nothing is returned (P2).
    fn keep(&mut self, decided_by: DecidedBy, now: Timestamp) {
        self.decide(Outcome::without_money(ResultKind::Declined, decided_by, Rule::P2), now);
        let facts = Facts { decided_by: Some(decided_by), ..self.facts() };
        self.announce(NoticeEvent::NothingReturned, Rule::P2, None, &facts);
    }

    fn decide(&mut self, outcome: Outcome, now: Timestamp) {
        self.stage = Stage::Settling;
        self.file.enter(None, now);
        let note = outcome.message.clone().unwrap_or_else(|| outcome.result.name().to_owned());
        self.file.record(now, Who::Case, What::Decided, outcome.rule, note);
        self.outcome = Some(outcome);
    }

    fn facts(&self) -> Facts {
        Facts { amount: Some(self.request.asked), ..Facts::default() }
    }

    fn approve(&mut self, amount: Option<Amount>, at: Timestamp) -> Result<(), Refusal> {
        let (asked, currency) = (self.request.asked, self.file.contract.currency);
        let amount = amount.unwrap_or(asked);
        if amount.is_zero() {
            return Err(Refusal::invalid(Rule::P2, "amount: more than 0; to return nothing, reject the request"));
        }
        if amount > asked {
            let reason =
                format!("amount: {} is more than the {} asked for", currency.show(amount), currency.show(asked));
            return Err(Refusal::invalid(Rule::P2, reason));
        }
        let tried = self.file.timeline.iter().filter(|entry| entry.what == What::ReturnNotCovered).count();
        if tried >= RETURNS_TRIED_MAX {
            let reason = format!("a return was not covered {RETURNS_TRIED_MAX} times, which is all there may be");
            return Err(Refusal::new(RefusalKind::NotAllowed, Rule::P4, reason));
        }
        self.file.record(at, Role::Freelancer, What::ReturnAgreed, Rule::P2, currency.show(amount));
        self.stage = Stage::Returning(amount);
        Ok(())
    }

    fn request_mediation(&mut self, message: String, at: Timestamp) -> Result<(), Refusal> {
        if at >= self.request.mediation_until {
            let until = self.request.mediation_until;
            let reason = format!("received at {at}, and mediation help could be asked for until {until}");
            return Err(Refusal::new(RefusalKind::TooLate, Rule::P3, reason));
        }
        check_text("message", &message).map_err(|reason| Refusal::invalid(Rule::P3, reason))?;
        self.file.record(at, Role::Client, What::MediationRequested, Rule::P3, "");
        let facts = Facts { text: Some(message.clone()), ..self.facts() };
        self.request.mediation = Some(message);
        self.announce(NoticeEvent::MediationRequested, Rule::P3, Some(Role::Client), &facts);
        self.tell(Role::Mediator, NoticeEvent::MediationRequested, Rule::P3, Some(Role::Client), facts);
        Ok(())
    }

    fn give_opinion(&mut self, text: String, at: Timestamp) -> Result<(), Refusal> {
        check_text("text", &text).map_err(|reason| Refusal::invalid(Rule::P3, reason))?;
        self.file.record(at, Role::Mediator, What::OpinionGiven, Rule::P3, "");
        let facts = Facts { text: Some(text.clone()), ..self.facts() };
        self.request.opinion = Some(text);
        self.announce(NoticeEvent::OpinionGiven, Rule::P3, Some(Role::Mediator), &facts);
        Ok(())
    }
}

fn refusal_of(start: &PaymentRefundStart) -> Result<(), Outcome> {
    check_opening(&start.contract, start.policy.as_ref())?;
    if start.amount.is_zero() {
        return Err(Outcome::refused(Rule::P1, "amount: ask for more than 0"));
    }
    check_length("message", &start.message, TEXT_BYTES_MAX).map_err(|reason| Outcome::refused(Rule::P1, reason))
}

impl Case for PaymentRefundCase {
    const KIND: CaseKind = CaseKind::PaymentRefund;

    fn file(&self) -> &CaseFile {
        &self.file
    }

    fn file_mut(&mut self) -> &mut CaseFile {
        &mut self.file
    }

    fn stage(&self) -> Shown {
        match self.stage {
            Stage::Opening | Stage::Returning(_) | Stage::Settling => Shown::Settling,
            Stage::AwaitingFreelancer => Shown::AwaitingFreelancer,
            Stage::Closed => Shown::Closed,
        }
    }

    fn is_decided(&self) -> bool {
        matches!(self.stage, Stage::Settling | Stage::Closed)
    }

    fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    fn waiting_on(&self) -> Vec<Role> {
        if self.stage == Stage::AwaitingFreelancer { vec![Role::Freelancer] } else { Vec::new() }
    }

    fn if_silent(&self) -> Option<IfSilent> {
        (self.stage == Stage::AwaitingFreelancer).then_some(IfSilent::ReturnNothing)
    }

    fn held(&self) -> Amount {
        Amount::ZERO
    }

    fn particulars(&self) -> Particulars {
        Particulars { payment: Some(self.request.clone()), ..Particulars::default() }
    }

    fn offers(&self, role: Role, command_kind: CommandKind) -> bool {
        let asked = self.request.mediation.is_some();
        let in_stage = match command_kind {
            CommandKind::RequestMediation => !asked && !self.mediation_over,
            CommandKind::Opinion => asked && self.request.opinion.is_none(),
            _ => true,
        };
        in_stage && self.stage == Stage::AwaitingFreelancer && command_kind.givers(Self::KIND).contains(&role)
    }

    fn answered_before(&self, role: Role, command: &Command) -> Option<String> {
        let decided_by = self.outcome.as_ref().map(|outcome| outcome.decided_by);
        let answer = match (command.command_kind(), decided_by) {
            (CommandKind::Approve | CommandKind::Reject, Some(DecidedBy::FreelancerApproval)) => {
                "the freelancer has returned money"
            }
            (CommandKind::Approve | CommandKind::Reject, Some(DecidedBy::FreelancerRejection)) => {
                "the freelancer has rejected the request"
            }
            (CommandKind::Approve | CommandKind::Reject, None) if self.returning().is_some() => {
                "the freelancer is returning money"
            }
            (CommandKind::RequestMediation, _) if self.request.mediation.is_some() => "mediation help was asked for",
            (CommandKind::Opinion, _) if self.request.opinion.is_some() => "the mediator has given an opinion",
            _ => return None,
        };
        command.command_kind().givers(Self::KIND).contains(&role).then(|| answer.to_owned())
    }

    fn refuse(&mut self, rule: Rule, reason: String, now: Timestamp) {
        self.decide(Outcome::refused(rule, reason), now);
    }

    fn act(&mut self, _: Role, command: Command, at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        if self.stage != Stage::AwaitingFreelancer {
            return Err(self.not_now(command.command_kind()));
        }
        match command {
            Command::Approve(Approve { amount, .. }) => self.approve(amount, at),
            Command::Reject(_) => {
                self.file.record(at, Role::Freelancer, What::ReturnRejected, Rule::P2, "");
                self.keep(DecidedBy::FreelancerRejection, now);
                Ok(())
            }
            Command::RequestMediation(RequestMediation { message }) => self.request_mediation(message, at),
            Command::Opinion(Opinion { text }) if self.request.mediation.is_some() => self.give_opinion(text, at),
            other => Err(self.not_now(other.command_kind())),
        }
    }

    fn next(&mut self, now: Timestamp) -> Next {
        match self.stage {
            Stage::Opening | Stage::AwaitingFreelancer => Next::Wait,
            Stage::Returning(amount) => {
                let (payment, expected_by) = (self.request.id.clone(), self.file.expected_by(now));
                Next::Do(vec![Order::ReturnPayment { payment, amount, expected_by }])
            }
            Stage::Settling => {
                self.close(now);
                Next::Over
            }
            Stage::Closed => Next::Over,
        }
    }

    fn done(&mut self, done: Done, now: Timestamp) {
        match done {
            Done::Returned(amount) => self.returned(amount, now),
            Done::NotCovered(available) => self.not_covered(available, now),
            Done::Settled | Done::Fee { .. } | Done::Bonus { .. } | Done::Disputed(_) => {}
        }
    }

    fn deadline_passed(&mut self, now: Timestamp) {
        let at = self.file.deadline.unwrap_or(now);
        self.file.record(at, Who::Case, What::Silence, Rule::P2, "the freelancer did not answer");
        self.keep(DecidedBy::FreelancerSilence, now);
    }

    fn awaits_effect(&self) -> bool {
        self.returning().is_some()
    }

    fn ring(&mut self, alarm: Alarm, now: Timestamp) {
        if alarm == Alarm::MediationHelpEnds && !self.mediation_over {
            self.mediation_over = true;
            if self.request.mediation.is_none() {
                self.file.record(now, Who::Case, What::MediationHelpEnded, Rule::P3, "");
            }
        }
    }
}
