//! The end of a contract with money in escrow (R1–R7, R10), as a state machine.
//!
//! ```text
//! opening ─┬─▶ closed                refused (R2), nothing held (R1)
//!          ├─▶ settling ─▶ closed    paid in full (R2)
//!          └─▶ awaiting_freelancer ─┬─▶ settling ─▶ closed   approval, silence (R4), release (R10)
//!                                   └─▶ disputed ─▶ closed   the dispute settles the rest (R6)
//! ```

mod stages;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    case::{Case, CaseFile, Particulars, What, Who},
    claim::{Claim, Grounds},
    command::{Command, CommandKind, Refusal, RefusalKind},
    ids::{CaseKind, dispute_id},
    money::Amount,
    notice::{Facts, IfSilent, NoticeEvent},
    opening::{StartRequest, refusal_of_end},
    order::{Done, Next, Order},
    outcome::{DecidedBy, Outcome, ResultKind},
    party::Role,
    posting::{Close, FundedDeposit, Movement, Remainder, refund_legs},
    rule::Rule,
    stage::Stage as Shown,
    starts::{DisputeStart, RefundRequestStart, check_opening},
    text::check_optional_text,
};

/// The case's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Stage {
    /// The case does not know yet what it holds.
    Opening,
    /// The freelancer may approve or dispute (R3).
    AwaitingFreelancer,
    /// The dispute decides (R6).
    Disputed,
    /// Decided; the money moves.
    Settling,
    /// The case is over.
    Closed,
}

/// The case of a contract's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRequestCase {
    file: CaseFile,
    stage: Stage,
    pay_now: Amount,
    reason: Option<String>,
    rest: Amount,
    deposits: Vec<FundedDeposit>,
    claim: Option<Claim>,
    /// Whether the case must still order the payment at the contract's end (R2).
    #[serde(default)]
    pays_now: bool,
    outcome: Option<Outcome>,
}

impl RefundRequestCase {
    /// Takes the contract's end. If a rule forbids it (E1, T3), the case closes without opening.
    pub fn begin(id: String, start: RefundRequestStart, now: Timestamp) -> Self {
        let refused = refusal_of(&start).err();
        let RefundRequestStart { contract, pay_now, reason, policy } = start;
        Self {
            file: CaseFile::new(id, contract, policy.unwrap_or_default(), now),
            stage: if refused.is_some() { Stage::Closed } else { Stage::Opening },
            pay_now,
            reason,
            rest: Amount::ZERO,
            deposits: Vec::new(),
            claim: None,
            pays_now: false,
            outcome: refused,
        }
    }

    /// Takes the held amount, and decides what follows from the contract's end (R1–R3).
    ///
    /// `elsewhere` names the other cases that hold a part of the same escrow, in words.
    pub fn opened(&mut self, held: Amount, deposits: Vec<FundedDeposit>, elsewhere: Option<&str>, now: Timestamp) {
        let currency = self.file.contract.currency;
        self.deposits = deposits;
        let note = format!("{} held, {} paid now", currency.show(held), currency.show(self.pay_now));
        self.file.record(now, Role::Client, What::ContractEnded, Rule::R1, note);
        if let Some((rule, reason)) = self.refusal(held, elsewhere) {
            self.rest = held;
            return self.refuse(rule, reason, now);
        }
        let rest = held.minus(self.pay_now).unwrap_or_default();
        self.rest = rest;
        if held.is_zero() {
            return self.decide(Outcome::without_money(ResultKind::NothingHeld, DecidedBy::ContractEnd, Rule::R1), now);
        }
        if rest.is_zero() {
            let outcome = Outcome::without_money(ResultKind::PaidInFull, DecidedBy::ContractEnd, Rule::R2);
            return self.decide(Outcome { to_freelancer: held, ..outcome }, now);
        }
        self.stage = Stage::AwaitingFreelancer;
        let window = self.file.policy.refund_response;
        self.file.enter(Some(window), now);
        if !self.pay_now.is_zero() {
            self.pays_now = true;
            self.file.record(now, Role::Client, What::PaidNow, Rule::R2, currency.show(self.pay_now));
            self.announce(
                NoticeEvent::PaidNow,
                Rule::R2,
                Some(Role::Client),
                &Facts { amount: Some(self.pay_now), ..Facts::default() },
            );
        }
        self.file.record(now, Role::Client, What::RefundRequested, Rule::R3, currency.show(rest));
        let facts = Facts { held: Some(rest), amount: Some(rest), text: self.reason.clone(), ..Facts::default() };
        self.announce(NoticeEvent::RefundRequested, Rule::R3, Some(Role::Client), &facts);
    }

    /// Whether the contract may end with what it `could_hold` after running reviews give up their holds. If not, the case
    /// refuses the start, and nobody learns that the contract has ended (E11).
    pub fn may_end(&mut self, could_hold: Amount, elsewhere: Option<&str>, now: Timestamp) -> bool {
        match self.refusal(could_hold, elsewhere) {
            Some((rule, reason)) => {
                self.refuse(rule, reason, now);
                false
            }
            None => true,
        }
    }

    /// Why the contract cannot end with this much in escrow (R1, R2).
    fn refusal(&self, held: Amount, elsewhere: Option<&str>) -> Option<(Rule, String)> {
        refusal_of_end(&self.file.contract, self.pay_now, held, elsewhere)
    }

    /// What the start asks for. The ledger's facts decide whether it opens a case.
    pub const fn asked(&self) -> StartRequest {
        StartRequest::End { pay_now: self.pay_now }
    }

    /// How the case gives up its hold, if it has one. If the start was refused, the contract has not ended.
    pub fn close_hold(&self) -> Option<Close> {
        let refused = self.outcome.as_ref().is_some_and(|outcome| outcome.result == ResultKind::Refused);
        let remainder = if refused { Remainder::Undone } else { Remainder::AsItWas };
        (!self.rest.is_zero()).then_some(Close { remainder, milestone_done: false })
    }

    /// The release to the freelancer at the contract's end, before anyone answers (R2).
    pub fn payment_now(&self, now: Timestamp) -> Option<Movement> {
        (!self.pay_now.is_zero()).then(|| self.release("pay_now", self.pay_now, Rule::R2, now))
    }

    /// Whether the case still waits for the freelancer or the client.
    pub fn is_waiting(&self) -> bool {
        self.stage == Stage::AwaitingFreelancer
    }

    /// The claim, if the freelancer disputes and the workflow must conduct the dispute (R6).
    pub fn disputed(&self) -> Option<&Claim> {
        self.claim.as_ref().filter(|_| self.stage == Stage::Disputed)
    }

    /// The start of the dispute that the workflow must conduct, about all held money (R6).
    fn dispute(&self) -> Option<Order> {
        let start = DisputeStart {
            contract: self.file.contract.clone(),
            grounds: Grounds::RefundRequest,
            milestone: None,
            claim: self.disputed()?.clone(),
            contacted_client: None,
            attested_by: None,
            policy: Some(self.file.policy.clone()),
        };
        Some(Order::Dispute(Box::new(start)))
    }

    /// The movements that divide the rest as decided (R4, R7, R10).
    ///
    /// None if the deposits hold less than the refund. The ledger's law forbids that.
    pub fn settlement(&self, now: Timestamp) -> Option<Vec<Movement>> {
        let outcome = self.outcome.as_ref()?;
        let mut movements = Vec::new();
        match outcome.decided_by {
            DecidedBy::ContractEnd => movements.extend(self.payment_now(now)),
            DecidedBy::ClientRelease => movements.push(self.release("release", self.rest, outcome.rule, now)),
            _ => {}
        }
        movements.extend(refund_legs(&self.deposits, outcome.to_client, outcome.rule, self.file.expected_by(now))?);
        Some(movements)
    }

    /// Takes the dispute's outcome as its own, plus the payment at the contract's end (R6). A refused dispute has decided
    /// nothing: this case still holds the money.
    pub fn dispute_ended(&mut self, dispute: Outcome, now: Timestamp) {
        if dispute.result == ResultKind::Refused {
            let reason = dispute.message.unwrap_or_else(|| dispute.result.name().to_owned());
            return self.left_on_hold(&format!("the dispute was refused ({reason})"), &reason, now);
        }
        let to_freelancer = dispute.to_freelancer.plus(self.pay_now).unwrap_or(dispute.to_freelancer);
        let result = match dispute.result {
            ResultKind::Released | ResultKind::Refunded | ResultKind::Settled => {
                Outcome::result_of(to_freelancer, dispute.to_client)
            }
            other => other,
        };
        self.outcome = Some(Outcome { result, to_freelancer, ..dispute });
        self.close(now);
    }

    /// The dispute ended without an outcome: somebody stopped its workflow. Its money is still in escrow.
    pub fn dispute_stopped(&mut self, reason: &str, now: Timestamp) {
        self.left_on_hold(&format!("the dispute's workflow was stopped ({reason})"), reason, now);
    }

    /// The dispute has decided nothing: the money stays in escrow, and operators get a notice (E10).
    fn left_on_hold(&mut self, why: &str, reason: &str, now: Timestamp) {
        self.file.record(now, Who::Case, What::DisputeStopped, Rule::E10, reason);
        let outcome = Outcome::without_money(ResultKind::OnHold, DecidedBy::Rule, Rule::E10);
        let message = Some(format!("{why}; the money stays in escrow"));
        self.outcome = Some(Outcome { to_freelancer: self.pay_now, kept_in_escrow: self.rest, message, ..outcome });
        self.tell(
            Role::Operator,
            NoticeEvent::OnHold,
            Rule::E10,
            None,
            Facts { held: Some(self.rest), ..Facts::default() },
        );
        self.close(now);
    }

    /// The money has moved.
    pub fn close(&mut self, now: Timestamp) {
        self.stage = Stage::Closed;
        self.file.enter(None, now);
        let rule = self.outcome.as_ref().map_or(Rule::R1, |outcome| outcome.rule);
        self.file.record(now, Who::Case, What::Closed, rule, "");
    }

    fn release(&self, step: &str, amount: Amount, rule: Rule, now: Timestamp) -> Movement {
        Movement::Release { step: step.to_owned(), amount, rule, available_at: self.file.available_at(now) }
    }

    /// The rest goes back to the client (R4).
    fn refund(&mut self, decided_by: DecidedBy, now: Timestamp) {
        let result = Outcome::result_of(self.pay_now, self.rest);
        let outcome = Outcome::without_money(result, decided_by, Rule::R4);
        self.decide(Outcome { to_freelancer: self.pay_now, to_client: self.rest, ..outcome }, now);
    }

    fn decide(&mut self, outcome: Outcome, now: Timestamp) {
        self.stage = Stage::Settling;
        self.file.enter(None, now);
        let (rule, result) = (outcome.rule, outcome.result);
        let note = outcome.message.clone().unwrap_or_else(|| result.name().to_owned());
        self.file.record(now, Who::Case, What::Decided, rule, note);
        if !matches!(result, ResultKind::Refused) {
            let refunded = !outcome.to_client.is_zero();
            let facts = Facts {
                to_freelancer: Some(outcome.to_freelancer),
                to_client: Some(outcome.to_client),
                decided_by: Some(outcome.decided_by),
                expected_by: refunded.then(|| self.file.expected_by(now)),
                ..Facts::default()
            };
            self.outcome = Some(outcome);
            return self.announce(NoticeEvent::Decided, rule, None, &facts);
        }
        self.outcome = Some(outcome);
    }
}

fn refusal_of(start: &RefundRequestStart) -> Result<(), Outcome> {
    check_opening(&start.contract, start.policy.as_ref())?;
    let reason = start.reason.as_deref().unwrap_or_default();
    check_optional_text("reason", reason).map_err(|reason| Outcome::refused(Rule::R2, reason))
}
