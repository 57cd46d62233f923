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
//! [`stages`] is the machine's table; [`mediation`] has what happens until the resolution, [`arbitration`] what happens after
//! the Notice of Non-Resolution, [`agreement`] what the parties settle among themselves.

mod agreement;
mod arbitration;
mod mediation;
mod stages;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use arbitration::{Demand, FeeDue};

use super::{
    case::{Alarm, Case, CaseFile, Particulars, What, Who},
    claim::{Claim, Rejection},
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
    ///
    /// `elsewhere` says which other cases hold something of the same escrow, in words, if this one runs alone: an ended
    /// contract's money is disputed in its refund request.
    pub fn opened(&mut self, held: Amount, deposits: Vec<FundedDeposit>, elsewhere: Option<&str>, now: Timestamp) {
        let currency = self.file.contract.currency;
        self.held = held;
        self.deposits = deposits;
        if let (Some(elsewhere), Grounds::RefundRequest) = (elsewhere, self.grounds) {
            return self.refuse(Rule::R6, format!("{elsewhere}; dispute what is held there in that case"), now);
        }
        if let Err(reason) = self.claim.check(held, currency, &self.file.policy) {
            return self.refuse(Rule::R5, format!("claim.{reason}"), now);
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

    /// Whether the case has something to let go of: what it holds, unless that waits for an operator (A2).
    pub fn lets_go(&self) -> bool {
        !self.held.is_zero() && !self.is_on_hold()
    }

    fn is_on_hold(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.result == ResultKind::OnHold)
    }

    /// The money has moved.
    pub fn close(&mut self, now: Timestamp) {
        self.stage = if self.is_on_hold() { Stage::OnHold } else { Stage::Closed };
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
