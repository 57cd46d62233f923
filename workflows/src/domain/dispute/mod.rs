//! A claim on money in escrow, from its filing to the last cent (D2–D6, M1–M8, A1–A5), as a state machine.
//!
//! ```text
//! opening ─▶ awaiting_client ─▶ in_mediation ─▶ awaiting_parties ─▶ awaiting_arbitration_demand ─▶ in_arbitration
//!                 │                  │  └── notice of non-resolution ──▶ ▲     │    │                    │
//!            acceptance, silence,    │               either rejects, silence    │   on_hold (A2)         award
//!            withdrawal              │                                    default, sole demand
//!                 └──────────────────┴──── an agreement, at any time ───┴──────┴──▶ settling ─▶ closed
//! ```
//!
//! [`mediation`] has the stages until the resolution, [`arbitration`] those after the Notice of Non-Resolution.

mod arbitration;
mod mediation;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use arbitration::{Demand, FeeDue};

use super::{
    case::{Alarm, Case, CaseFile, Particulars, What, Who},
    claim::{Claim, Rejection, check_optional_text},
    command::{Command, Refusal, Subject, Verb},
    ids::{CaseKind, Id},
    money::Amount,
    notice::{Facts, IfSilent, NoticeEvent},
    offers::{OfferState, Offers},
    outcome::{DecidedBy, Outcome, ResultKind},
    party::{Contract, Role},
    policy::{ClientSilence, NoArbitration, Policy},
    posting::{FundedDeposit, Movement, refund_legs},
    rule::Rule,
    split::Split,
};

/// What a dispute is about (D1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grounds {
    /// A refund request after the contract's end (R6).
    RefundRequest,
    /// A submitted milestone is not released.
    NonRelease,
    /// A milestone was released in part (E6).
    PartialRelease,
}

/// What starts a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filing {
    /// The contract.
    pub contract: Contract,
    /// What it is about.
    pub grounds: Grounds,
    /// The milestone, on an active contract.
    pub milestone: Option<Id>,
    /// What the freelancer claims.
    pub claim: Claim,
    /// The policy of the case.
    pub policy: Policy,
}

/// Where the case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Stage {
    /// It is not known yet what is held.
    Opening,
    /// The client may accept or reject the claim (D2).
    AwaitingClient,
    /// The mediator reviews both sides (M1).
    InMediation,
    /// The parties may accept or reject the resolution (M4).
    AwaitingParties,
    /// The Notice of Non-Resolution is given; either party may demand arbitration (A1).
    AwaitingArbitrationDemand,
    /// The arbitration provider has the case (A4).
    InArbitration,
    /// Decided; the money moves.
    Settling,
    /// Nobody demanded arbitration and the policy leaves the money to an operator (A2).
    OnHold,
    /// Over.
    Closed,
}

/// The mediator's non-binding proposal (M3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resolution {
    /// The freelancer's part, in minor units.
    pub to_freelancer: Amount,
    /// The client's part, in minor units.
    pub to_client: Amount,
    /// Why so.
    pub rationale: String,
}

/// A party's final answer to the resolution (M4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Yes.
    Accepted,
    /// No.
    Rejected,
}

/// The case of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeCase {
    file: CaseFile,
    grounds: Grounds,
    milestone: Option<Id>,
    stage: Stage,
    held: Amount,
    deposits: Vec<FundedDeposit>,
    claim: Claim,
    rejection: Option<Rejection>,
    offers: Offers,
    resolution: Option<Resolution>,
    answers: BTreeMap<Role, Answer>,
    demands: BTreeMap<Role, Demand>,
    fees_due: Vec<FeeDue>,
    went_to_arbitration: bool,
    outcome: Option<Outcome>,
}

impl DisputeCase {
    /// Takes a filing. If a rule forbids it (E1, T3, D1), the case is over before it opened.
    pub fn begin(id: String, filing: Filing, now: Timestamp) -> Self {
        let refused = refusal_of(&filing).err();
        Self {
            file: CaseFile::new(id, filing.contract, filing.policy, now),
            grounds: filing.grounds,
            milestone: filing.milestone,
            stage: if refused.is_some() { Stage::Closed } else { Stage::Opening },
            held: Amount::ZERO,
            deposits: Vec::new(),
            claim: filing.claim,
            rejection: None,
            offers: Offers::default(),
            resolution: None,
            answers: BTreeMap::new(),
            demands: BTreeMap::new(),
            fees_due: Vec::new(),
            went_to_arbitration: false,
            outcome: refused,
        }
    }

    /// Learns what is held. The claim must fit it (R5); then the client is asked (D2).
    pub fn opened(&mut self, held: Amount, deposits: Vec<FundedDeposit>, now: Timestamp) {
        let currency = self.file.contract.currency;
        self.held = held;
        self.deposits = deposits;
        if let Err(reason) = self.claim.check(held, currency, &self.file.policy) {
            let outcome = Outcome::refused(Rule::R5, format!("claim.{reason}"));
            return self.settle(Outcome { kept_in_escrow: held, ..outcome }, now);
        }
        let note = format!("{} of the {} held", currency.show(self.claim.amount), currency.show(held));
        self.file.record(now, Role::Freelancer, What::ClaimFiled, Rule::R6, note);
        self.stage = Stage::AwaitingClient;
        let window = self.file.policy.claim_response;
        self.file.enter(Some(window), now);
        let facts = Facts {
            held: Some(held),
            amount: Some(self.claim.amount),
            text: Some(self.claim.details.clone()),
            ..Facts::default()
        };
        self.announce(NoticeEvent::DisputeFiled, Rule::D2, Some(Role::Freelancer), &facts);
    }

    /// What moves the money as decided, and gives back what arbitration fees are not needed (D3, M5, M7, A2, A3, A5).
    ///
    /// Nothing if the deposits do not hold what is to be refunded, which the ledger's law forbids.
    pub fn settlement(&self, now: Timestamp) -> Option<Vec<Movement>> {
        let outcome = self.outcome.as_ref()?;
        let mut movements = Vec::new();
        if !outcome.to_freelancer.is_zero() {
            let available_at = self.file.policy.deadline(self.file.policy.security_period, now);
            let (step, amount, rule) = ("release".to_owned(), outcome.to_freelancer, outcome.rule);
            movements.push(Movement::Release { step, amount, rule, available_at });
        }
        movements.extend(refund_legs(&self.deposits, outcome.to_client, outcome.rule)?);
        movements.extend(self.fees_to_return());
        Some(movements)
    }

    /// Whether there is something in escrow that this case still holds.
    pub const fn holds_money(&self) -> bool {
        !self.held.is_zero()
    }

    /// The money has moved.
    pub fn close(&mut self, now: Timestamp) {
        let on_hold = self.outcome.as_ref().is_some_and(|outcome| outcome.result == ResultKind::OnHold);
        self.stage = if on_hold { Stage::OnHold } else { Stage::Closed };
        self.file.enter(None, now);
        let rule = self.outcome.as_ref().map_or(Rule::D1, |outcome| outcome.rule);
        self.file.record(now, Who::Case, What::Closed, rule, "");
    }

    /// Divides what is held. After a contract's end the client's part goes back to them; on an active contract it stays
    /// in escrow (D3).
    fn decide(&mut self, split: Split, decided_by: DecidedBy, rule: Rule, now: Timestamp) {
        let (to_client, kept_in_escrow) = match self.grounds {
            Grounds::RefundRequest => (split.to_client, Amount::ZERO),
            Grounds::NonRelease | Grounds::PartialRelease => (Amount::ZERO, split.to_client),
        };
        let result = match decided_by {
            DecidedBy::FreelancerWithdrawal => ResultKind::Withdrawn,
            _ => Outcome::result_of(split.to_freelancer, split.to_client),
        };
        let outcome = Outcome::without_money(result, decided_by, rule);
        self.settle(Outcome { to_freelancer: split.to_freelancer, to_client, kept_in_escrow, ..outcome }, now);
    }

    fn settle(&mut self, outcome: Outcome, now: Timestamp) {
        self.stage = Stage::Settling;
        self.file.enter(None, now);
        let rule = outcome.rule;
        let note = outcome.message.clone().unwrap_or_else(|| outcome.result.name().to_owned());
        self.file.record(now, Who::Case, What::Decided, rule, note);
        let refunded = !outcome.to_client.is_zero();
        let facts = Facts {
            to_freelancer: Some(outcome.to_freelancer),
            to_client: Some(outcome.to_client),
            kept_in_escrow: Some(outcome.kept_in_escrow),
            decided_by: Some(outcome.decided_by),
            expected_by: refunded.then(|| self.file.policy.deadline(self.file.policy.refund_settlement, now)),
            ..Facts::default()
        };
        let result = outcome.result;
        self.outcome = Some(outcome);
        match result {
            ResultKind::Refused => {}
            ResultKind::OnHold => {
                self.announce(NoticeEvent::OnHold, rule, None, &facts);
                self.tell(Role::Operator, NoticeEvent::OnHold, rule, None, facts);
            }
            _ => self.announce(NoticeEvent::Decided, rule, None, &facts),
        }
    }

    fn split(&self, to_freelancer: Amount, rule: Rule) -> Result<Split, Refusal> {
        let currency = self.file.contract.currency;
        Split::of(self.held, to_freelancer, currency).map_err(|error| Refusal::invalid(rule, error.to_string()))
    }

    /// Whether the parties can still bargain: from the claim until an award (M7).
    fn is_open(&self) -> bool {
        use Stage::{AwaitingArbitrationDemand, AwaitingClient, AwaitingParties, InArbitration, InMediation};
        matches!(self.stage, AwaitingClient | InMediation | AwaitingParties | AwaitingArbitrationDemand | InArbitration)
    }

    fn offer(
        &mut self,
        by: Role,
        to_freelancer: Amount,
        message: Option<String>,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let split = self.split(to_freelancer, Rule::M7)?;
        if let Some(message) = &message {
            check_optional_text("message", message).map_err(|reason| Refusal::invalid(Rule::M7, reason))?;
        }
        let (number, replaced) = self.offers.make(by, split, message.clone())?;
        if let Some(replaced) = replaced {
            self.file.record(at, by, What::OfferReplaced, Rule::M7, format!("offer {replaced}"));
        }
        let amount = self.file.contract.currency.show(to_freelancer);
        self.file.record(at, by, What::OfferMade, Rule::M7, format!("offer {number}: {amount} to the freelancer"));
        let facts = Facts {
            number: Some(number),
            held: Some(self.held),
            to_freelancer: Some(split.to_freelancer),
            to_client: Some(split.to_client),
            text: message,
            ..Facts::default()
        };
        self.announce(NoticeEvent::OfferMade, Rule::M7, Some(by), &facts);
        Ok(())
    }

    fn end_offer(
        &mut self,
        number: u32,
        role: Role,
        state: OfferState,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let offer = self.offers.end(number, role, state)?;
        let split = Split { to_freelancer: offer.to_freelancer, to_client: offer.to_client };
        let (what, event) = match state {
            OfferState::Accepted => {
                self.file.record(at, role, What::OfferAccepted, Rule::M7, format!("offer {number}"));
                self.decide(split, DecidedBy::Agreement, Rule::M7, now);
                return Ok(());
            }
            OfferState::Retracted => (What::OfferRetracted, NoticeEvent::OfferRetracted),
            _ => (What::OfferRejected, NoticeEvent::OfferRejected),
        };
        self.file.record(at, role, what, Rule::M7, format!("offer {number}"));
        let facts = Facts { number: Some(number), to_freelancer: Some(split.to_freelancer), ..Facts::default() };
        self.announce(event, Rule::M7, Some(role), &facts);
        Ok(())
    }
}

fn refusal_of(filing: &Filing) -> Result<(), Outcome> {
    filing.contract.check().map_err(|(rule, reason)| Outcome::refused(rule, format!("contract: {reason}")))?;
    filing.policy.check().map_err(|reason| Outcome::refused(Rule::T3, format!("policy.{reason}")))?;
    if filing.grounds != Grounds::RefundRequest {
        let reason =
            "grounds: disputes on an active contract are not offered yet; end the contract to dispute its escrow";
        return Err(Outcome::refused(Rule::D1, reason));
    }
    Ok(())
}

impl Case for DisputeCase {
    const KIND: CaseKind = CaseKind::Dispute;

    fn file(&self) -> &CaseFile {
        &self.file
    }

    fn file_mut(&mut self) -> &mut CaseFile {
        &mut self.file
    }

    fn stage(&self) -> &'static str {
        match self.stage {
            Stage::Opening | Stage::Settling => "settling",
            Stage::AwaitingClient => "awaiting_client",
            Stage::InMediation => "in_mediation",
            Stage::AwaitingParties => "awaiting_parties",
            Stage::AwaitingArbitrationDemand => "awaiting_arbitration_demand",
            Stage::InArbitration => "in_arbitration",
            Stage::OnHold => "on_hold",
            Stage::Closed => "closed",
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
                ClientSilence::ClaimedAmount => IfSilent::ReleaseClaimedAmount,
                ClientSilence::AllHeld => IfSilent::ReleaseAllHeld,
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
            dispute: None,
        }
    }

    fn givers(verb: Verb) -> &'static [Role] {
        match verb {
            Verb::Accept | Verb::Reject | Verb::Offer | Verb::Retract | Verb::DemandArbitration => &Role::PARTIES,
            Verb::Amend | Verb::Withdraw => &[Role::Freelancer],
            Verb::Propose | Verb::Close => &[Role::Mediator],
            Verb::Award => &[Role::Arbitrator],
            Verb::Extend => &[Role::Mediator, Role::Operator],
            Verb::Approve | Verb::Dispute | Verb::Release => &[],
        }
    }

    fn offers(&self, role: Role, verb: Verb) -> bool {
        let other_offered = role.other_party().is_some_and(|other| self.offers.open_by(other).is_some());
        match verb {
            Verb::Accept | Verb::Reject => {
                let claim = self.stage == Stage::AwaitingClient && role == Role::Client;
                let resolution = self.stage == Stage::AwaitingParties && !self.answers.contains_key(&role);
                claim || resolution || (self.is_open() && other_offered)
            }
            Verb::Offer => self.is_open(),
            Verb::Retract => self.is_open() && self.offers.open_by(role).is_some(),
            Verb::Amend | Verb::Withdraw => self.stage == Stage::AwaitingClient,
            Verb::Propose | Verb::Close => self.stage == Stage::InMediation,
            Verb::DemandArbitration => self.stage == Stage::AwaitingArbitrationDemand && self.may_demand(role),
            Verb::Award => self.stage == Stage::InArbitration,
            _ => false,
        }
    }

    fn answered_before(&self, role: Role, command: &Command) -> Option<String> {
        match command {
            Command::Accept(Subject::Claim) | Command::RejectClaim(_) | Command::Reject(Subject::Claim) => {
                self.claim_answered_before(role)
            }
            Command::Accept(Subject::Resolution) | Command::Reject(Subject::Resolution) => {
                let answer = self.answers.get(&role)?;
                let word = if *answer == Answer::Accepted { "accepted" } else { "rejected" };
                Some(format!("the {role} has {word} the resolution, and that is final"))
            }
            Command::Propose { .. } if self.resolution.is_some() => {
                Some("a resolution was proposed; there is one per dispute".to_owned())
            }
            Command::DemandArbitration => self.demanded_before(role),
            Command::Award { .. } if self.decided_by(DecidedBy::ArbitrationAward) => {
                Some("the award was given, and it is final".to_owned())
            }
            Command::Withdraw if self.decided_by(DecidedBy::FreelancerWithdrawal) => {
                Some("the claim was withdrawn".to_owned())
            }
            _ => None,
        }
    }

    fn act(&mut self, role: Role, command: Command, at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        if !self.is_open() {
            return Err(self.not_now(command.verb()));
        }
        match command {
            Command::Offer { to_freelancer, message } => self.offer(role, to_freelancer, message, at),
            Command::Retract { number } => self.end_offer(number, role, OfferState::Retracted, at, now),
            Command::Accept(Subject::Offer(number)) => self.end_offer(number, role, OfferState::Accepted, at, now),
            Command::Reject(Subject::Offer(number)) => self.end_offer(number, role, OfferState::Rejected, at, now),
            command => match self.stage {
                Stage::AwaitingClient => self.answer_claim(role, command, at, now),
                Stage::InMediation => self.mediate(command, at, now),
                Stage::AwaitingParties => self.answer_resolution(role, &command, at, now),
                Stage::AwaitingArbitrationDemand => self.demand(role, &command, at, now),
                _ => self.arbitrate(command, at, now),
            },
        }
    }

    fn lapse(&mut self, now: Timestamp) {
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
            Alarm::Reminder => {}
        }
    }
}
