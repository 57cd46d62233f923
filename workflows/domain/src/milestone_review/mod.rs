//! A submitted milestone and the client's review of it (E3–E8, E11, E13), as a state machine.
//!
//! ```text
//! opening ─▶ awaiting_client ─┬─▶ settling ─▶ closed    approval (E5–E7), silence (E4), superseded (E11)
//!    │            ▲           ├─▶ changes_requested     the window stops (E8); approval, contract's end as before
//!    │            └───────────┼────── submitted again
//!    │            └───────────┼────── the claim is withdrawn: the clock goes on where it stood (D5)
//!    ▼                        └─▶ disputed ─▶ closed     the dispute decides about the milestone's escrow (D1)
//! closed     refused: out of order (E3), not funded (E13)
//! ```
//!
//! [`stages`] is the machine's table: who may do what. This file has the consequences.

mod stages;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    case::{Case, CaseFile, Particulars, What, Who},
    claim::{Claim, Grounds},
    command::{Approve, Command, CommandKind, Refusal, RefusalKind, RequestChanges},
    ids::{CaseKind, Id, dispute_id},
    milestone::{BonusDue, Milestone, NotReviewable, Review},
    money::Amount,
    notice::{Facts, IfSilent, NoticeEvent},
    order::Order,
    outcome::{DecidedBy, Outcome, ResultKind},
    party::Role,
    policy::Policy,
    posting::{Close, FundedDeposit, Movement, Remainder},
    rule::Rule,
    starts::{DisputeStart, MilestoneReviewStart, check_opening},
    window::later,
};

/// The case's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Stage {
    /// The case does not know yet whether the milestone can be reviewed.
    Opening,
    /// The client may approve or request changes (E4).
    AwaitingClient,
    /// The freelancer may submit again (E8).
    ChangesRequested,
    /// The dispute decides (D1).
    Disputed,
    /// Decided; the money moves.
    Settling,
    /// The case is over.
    Closed,
}

/// The case of a submitted milestone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MilestoneReviewCase {
    file: CaseFile,
    stage: Stage,
    review: Review,
    billing: Option<Id>,
    claim: Option<Claim>,
    /// The rest of the client's window when the dispute began; none if changes were requested.
    window_left: Option<SignedDuration>,
    contract_ended: bool,
    bonus_due: Option<Amount>,
    /// Whether the case has ordered its settlement.
    #[serde(default)]
    settling: bool,
    outcome: Option<Outcome>,
}

impl MilestoneReviewCase {
    /// Takes the first submission. If a rule forbids it (E1, T3, D6), the case closes without opening.
    pub fn begin(id: String, start: MilestoneReviewStart, now: Timestamp) -> Self {
        let refused = refusal_of(&start).err();
        let MilestoneReviewStart { contract, milestone, submission, policy } = start;
        Self {
            file: CaseFile::new(id, contract, policy.unwrap_or_default(), now),
            stage: if refused.is_some() { Stage::Closed } else { Stage::Opening },
            review: Review { milestone, submissions: 1, latest: submission, changes: None },
            billing: None,
            claim: None,
            window_left: None,
            contract_ended: false,
            bonus_due: None,
            settling: false,
            outcome: refused,
        }
    }

    /// The case holds the milestone's whole amount, and the client must review it (E4, E13). The contract's `deposits`
    /// determine the billing method for a bonus.
    pub fn opened(&mut self, deposits: &[FundedDeposit], now: Timestamp) {
        self.billing = deposits.last().map(|deposit| deposit.source.clone());
        self.submitted(now, now);
    }

    /// The ledger says why the milestone cannot be reviewed now (E3, E13).
    pub fn not_reviewable(&mut self, why: &NotReviewable, now: Timestamp) {
        let refused = why.refusal(&self.review.milestone, self.file.contract.currency);
        self.refuse(refused.rule, refused.message.unwrap_or_default(), now);
    }

    /// A full window from the latest submission (E4, E8).
    fn submitted(&mut self, at: Timestamp, now: Timestamp) {
        let note = format!("submission {}", self.review.submissions);
        self.file.record(at, Role::Freelancer, What::Submitted, Rule::E4, note);
        self.stage = Stage::AwaitingClient;
        self.file.enter(Some(self.file.policy.milestone_review), now);
        let text = Some(self.review.latest.note.clone()).filter(|note| !note.is_empty());
        let facts = Facts { held: Some(self.amount()), text, ..Facts::default() };
        self.announce(NoticeEvent::MilestoneSubmitted, Rule::E4, Some(Role::Freelancer), &facts);
    }

    /// The client approves the full amount, less or more (E5–E7). A refusal changes nothing.
    fn approve(&mut self, amount: Option<Amount>, at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        let (currency, escrow) = (self.file.contract.currency, self.amount());
        let approved = amount.unwrap_or(escrow);
        if approved.is_zero() {
            let reason = format!(
                "amount: more than 0; without one all of the {} is released. To pay nothing, request changes, or end the \
                 contract and ask for a refund",
                currency.show(escrow)
            );
            return Err(Refusal::invalid(Rule::E6, reason));
        }
        let released = approved.min(escrow);
        let (kept, bonus) = (escrow.minus(released), approved.minus(released));
        let rule = match approved.cmp(&escrow) {
            std::cmp::Ordering::Less => Rule::E6,
            std::cmp::Ordering::Equal => Rule::E5,
            std::cmp::Ordering::Greater => Rule::E7,
        };
        self.file.record(at, Role::Client, What::Approved, rule, currency.show(approved));
        self.bonus_due = bonus.filter(|bonus| !bonus.is_zero());
        self.release(released, kept.unwrap_or_default(), DecidedBy::ClientApproval, rule, now);
        Ok(())
    }

    fn release(&mut self, released: Amount, kept: Amount, decided_by: DecidedBy, rule: Rule, now: Timestamp) {
        let outcome = Outcome::without_money(ResultKind::Released, decided_by, rule);
        self.decide(Outcome { to_freelancer: released, kept_in_escrow: kept, ..outcome }, now);
        let facts = Facts {
            to_freelancer: Some(released),
            kept_in_escrow: Some(kept),
            decided_by: Some(decided_by),
            ..Facts::default()
        };
        self.announce(NoticeEvent::MilestoneReleased, rule, None, &facts);
    }

    /// The contract has ended: nothing moves, and the refund request gets the held money (E11).
    fn supersede(&mut self, now: Timestamp) {
        let outcome = Outcome::without_money(ResultKind::Superseded, DecidedBy::ContractEnd, Rule::E11);
        self.decide(Outcome { kept_in_escrow: self.amount(), ..outcome }, now);
        let facts = Facts { held: Some(self.amount()), ..Facts::default() };
        self.announce(NoticeEvent::ReviewSuperseded, Rule::E11, None, &facts);
    }

    /// The release of a decided review (E4–E7). A dispute has moved its own money.
    pub fn settlement(&self, now: Timestamp) -> Vec<Movement> {
        let outcome = self.outcome.as_ref().filter(|outcome| self.claim.is_none() && !outcome.to_freelancer.is_zero());
        let release = outcome.map(|outcome| Movement::Release {
            step: "release".to_owned(),
            amount: outcome.to_freelancer,
            rule: outcome.rule,
            available_at: self.file.available_at(now),
        });
        release.into_iter().collect()
    }

    /// How the review gives up its hold. After a release in part the rest is held over, and the freelancer may still dispute
    /// it (E6). The rest after a dispute is held over for good.
    pub fn close_hold(&self) -> Close {
        let outcome = self.outcome.as_ref();
        let remainder = match outcome.map(|outcome| outcome.result) {
            Some(ResultKind::Superseded) => {
                return Close { remainder: Remainder::Superseded, milestone_done: false };
            }
            Some(ResultKind::Refused) | None => {
                return Close { remainder: Remainder::AsItWas, milestone_done: false };
            }
            Some(_) if self.claim.is_some() => Remainder::HeldOver { milestone: None },
            Some(_) => Remainder::HeldOver { milestone: Some(self.review.milestone.id.clone()) },
        };
        Close { remainder, milestone_done: true }
    }

    /// Takes the bonus that the workflow must charge (E7).
    pub fn take_bonus_due(&mut self, now: Timestamp) -> Option<BonusDue> {
        // All escrow comes from deposits, so there is a billing method (E13).
        let source = self.billing.clone()?;
        let amount = self.bonus_due.take()?;
        Some(BonusDue { source, amount, available_at: self.file.available_at(now) })
    }

    /// Takes the result of the bonus: charged and paid on, or declined with the provider's reason. A declined bonus does not
    /// change the release (E7).
    pub fn bonus_charged(&mut self, amount: Amount, charged: Result<(), String>, now: Timestamp) {
        let facts = Facts { amount: Some(amount), ..Facts::default() };
        let shown = self.file.contract.currency.show(amount);
        match charged {
            Ok(()) => {
                self.outcome.iter_mut().for_each(|outcome| outcome.bonus = amount);
                self.file.record(now, Who::Case, What::BonusPaid, Rule::E7, shown);
                self.announce(NoticeEvent::BonusPaid, Rule::E7, None, &facts);
            }
            Err(reason) => {
                self.outcome.iter_mut().for_each(|outcome| outcome.bonus_failed = true);
                self.file.record(now, Who::Case, What::BonusDeclined, Rule::E7, format!("{shown}: {reason}"));
                self.announce(NoticeEvent::BonusFailed, Rule::E7, None, &Facts { text: Some(reason), ..facts });
            }
        }
    }

    /// Whether the case still waits for the client or the freelancer.
    pub fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::AwaitingClient | Stage::ChangesRequested)
    }

    /// The claim, if the freelancer disputes and the workflow must conduct the dispute (D1).
    pub fn disputed(&self) -> Option<&Claim> {
        self.claim.as_ref().filter(|_| self.stage == Stage::Disputed)
    }

    /// The start of the dispute that the workflow must conduct (D1).
    fn dispute_order(&self) -> Option<Order> {
        let start = DisputeStart {
            contract: self.file.contract.clone(),
            grounds: Grounds::NonRelease,
            milestone: Some(self.review.milestone.id.clone()),
            claim: self.disputed()?.clone(),
            contacted_client: Some(true),
            attested_by: None,
            policy: Some(self.file.policy.clone()),
        };
        Some(Order::Dispute(Box::new(start)))
    }

    /// Whether the milestone could not be reviewed: such a case holds nothing (E3, E13).
    fn is_refused(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.result == ResultKind::Refused)
    }

    /// The milestone under review.
    pub const fn milestone(&self) -> &Milestone {
        &self.review.milestone
    }

    /// The dispute ended. Its decision is this case's outcome. A withdrawn claim decides nothing: the review continues where
    /// it stopped, unless the contract has ended meanwhile (D5, E11).
    pub fn dispute_ended(&mut self, dispute: Outcome, now: Timestamp) {
        if !matches!(dispute.result, ResultKind::Withdrawn | ResultKind::Refused) {
            return self.decide(dispute, now);
        }
        let note = dispute.message.unwrap_or_default();
        self.file.record(now, Who::Case, What::DisputeWithdrawn, Rule::D5, note);
        self.claim = None;
        if self.contract_ended {
            return self.supersede(now);
        }
        self.file.enter(None, now);
        self.stage = match self.window_left.take() {
            Some(left) => {
                self.file.set_deadline(later(now, left));
                Stage::AwaitingClient
            }
            None => Stage::ChangesRequested,
        };
        let facts = Facts { held: Some(self.amount()), ..Facts::default() };
        self.announce(NoticeEvent::ReviewResumed, Rule::D5, None, &facts);
    }

    /// The dispute ended without an outcome: somebody stopped its workflow. Its money is still in escrow.
    pub fn dispute_stopped(&mut self, reason: &str, now: Timestamp) {
        self.file.record(now, Who::Case, What::DisputeStopped, Rule::E10, reason);
        let message = Some(format!("the dispute's workflow was stopped ({reason}); the money stays in escrow"));
        let outcome = Outcome::without_money(ResultKind::OnHold, DecidedBy::Rule, Rule::E10);
        self.decide(Outcome { kept_in_escrow: self.amount(), message, ..outcome }, now);
        let facts = Facts { held: Some(self.amount()), ..Facts::default() };
        self.tell(Role::Operator, NoticeEvent::OnHold, Rule::E10, None, facts);
    }

    /// The money has moved.
    pub fn close(&mut self, now: Timestamp) {
        self.stage = Stage::Closed;
        self.file.enter(None, now);
        let rule = self.outcome.as_ref().map_or(Rule::E4, |outcome| outcome.rule);
        self.file.record(now, Who::Case, What::Closed, rule, "");
    }

    fn decide(&mut self, outcome: Outcome, now: Timestamp) {
        self.stage = Stage::Settling;
        self.file.enter(None, now);
        let note = outcome.message.clone().unwrap_or_else(|| outcome.result.name().to_owned());
        self.file.record(now, Who::Case, What::Decided, outcome.rule, note);
        self.outcome = Some(outcome);
    }

    const fn amount(&self) -> Amount {
        self.review.milestone.amount
    }
}

fn refusal_of(start: &MilestoneReviewStart) -> Result<(), Outcome> {
    check_opening(&start.contract, start.policy.as_ref())?;
    start.milestone.check().map_err(|reason| Outcome::refused(Rule::E1, format!("milestone.{reason}")))?;
    let default = Policy::default();
    start
        .submission
        .check(start.policy.as_ref().unwrap_or(&default))
        .map_err(|reason| Outcome::refused(Rule::E3, reason))
}
