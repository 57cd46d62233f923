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
//! [`stages`] is the machine's table. [`mediation`] has the steps until the resolution, [`arbitration`] those after the Notice
//! of Non-Resolution, and [`agreement`] the parties' own agreement.

mod agreement;
mod arbitration;
mod mediation;
mod stages;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use arbitration::Demand;

use super::{
    case::{Alarm, Case, CaseFile, Particulars, What, Who},
    claim::{Claim, Grounds, Rejection},
    command::{
        Accept, Amend, Award, Command, CommandKind, DemandArbitration, Offer, Propose, Refusal, Reject, Retract,
    },
    fee::FeeDue,
    ids::{CaseKind, Id},
    money::Amount,
    notice::{Facts, IfSilent, NoticeEvent},
    offers::{OfferState, Offers},
    opening::{ClaimRequest, StartRequest, refusal_of_claim},
    outcome::{DecidedBy, Outcome, ResultKind},
    party::{Actor, Role},
    policy::{ClientSilence, NoArbitration},
    posting::{Close, FundedDeposit, Movement, Remainder, refund_legs},
    resolution::{Answer, Resolution},
    rule::Rule,
    split::Split,
    starts::{DisputeStart, check_opening},
};

/// The case's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Stage {
    /// The case does not know yet what it holds.
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
    /// The case is over.
    Closed,
}

/// The case of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeCase {
    file: CaseFile,
    grounds: Grounds,
    milestone: Option<Id>,
    review: Option<String>,
    stage: Stage,
    held: Amount,
    deposits: Vec<FundedDeposit>,
    claim: Claim,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attested_by: Option<Actor>,
    rejection: Option<Rejection>,
    offers: Offers,
    resolution: Option<Resolution>,
    answers: BTreeMap<Role, Answer>,
    demands: BTreeMap<Role, Demand>,
    /// The billing methods that the latest demands named (A1).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sources: BTreeMap<Role, Id>,
    fees_due: Vec<FeeDue>,
    went_to_arbitration: bool,
    outcome: Option<Outcome>,
}

impl DisputeCase {
    /// Takes a filing. If a rule forbids it (E1, T3, D1), the case closes without opening.
    pub fn begin(id: String, start: DisputeStart, now: Timestamp) -> Self {
        let refused = refusal_of(&start).err();
        let DisputeStart { contract, grounds, milestone, claim, contacted_client: _, attested_by, policy } = start;
        Self {
            file: CaseFile::new(id, contract, policy.unwrap_or_default(), now),
            grounds,
            milestone,
            review: None,
            stage: if refused.is_some() { Stage::Closed } else { Stage::Opening },
            held: Amount::ZERO,
            deposits: Vec::new(),
            claim,
            attested_by,
            rejection: None,
            offers: Offers::default(),
            resolution: None,
            answers: BTreeMap::new(),
            demands: BTreeMap::new(),
            sources: BTreeMap::new(),
            fees_due: Vec::new(),
            went_to_arbitration: false,
            outcome: refused,
        }
    }

    /// Sets the time of the filing, if it differs from the case's beginning. The limit of mediation counts from it (M2).
    pub fn filed(&mut self, at: Timestamp) {
        self.file.opened_at = at;
    }

    /// Takes the held amount. The claim must not be more (R5). Then the client must answer (D2).
    ///
    /// `review` is the case of the milestone's review, if this dispute took over its hold. If no case filed this dispute,
    /// `elsewhere` names the other cases that hold a part of the same escrow, in words: parties dispute that money there.
    pub fn opened(&mut self, opened: Opened, review: Option<String>, elsewhere: Option<&str>, now: Timestamp) {
        let currency = self.file.contract.currency;
        self.held = opened.held;
        self.deposits = opened.deposits;
        self.review = review;
        if let Some((rule, reason)) = refusal_of_claim(self.grounds, self.milestone.as_ref(), self.held, elsewhere) {
            return self.refuse(rule, reason, now);
        }
        if let Err(reason) = self.claim.check(self.held, currency, &self.file.policy) {
            return self.refuse(Rule::R5, format!("claim.{reason}"), now);
        }
        let note = format!("{} of the {} held", currency.show(self.claim.amount), currency.show(self.held));
        let rule = if self.grounds.is_active() { Rule::D1 } else { Rule::R6 };
        self.file.record(now, Role::Freelancer, What::ClaimFiled, rule, note);
        self.stage = Stage::AwaitingClient;
        let window = self.file.policy.claim_response;
        self.file.enter(Some(window), now);
        let facts = Facts {
            held: Some(self.held),
            amount: Some(self.claim.amount),
            text: Some(self.claim.details.clone()),
            ..Facts::default()
        };
        self.announce(NoticeEvent::DisputeFiled, Rule::D2, Some(Role::Freelancer), &facts);
    }

    /// What the start asks for. The ledger's facts decide whether it opens a case.
    pub fn asked(&self) -> StartRequest {
        StartRequest::Claim(ClaimRequest {
            grounds: self.grounds,
            milestone: self.milestone.clone(),
            amount: self.claim.amount,
            attested_by: self.attested_by.clone(),
            unfit: self.claim.check_words(&self.file.policy).err(),
        })
    }

    /// The grounds of the dispute.
    pub const fn grounds(&self) -> Grounds {
        self.grounds
    }

    /// The milestone, on an active contract.
    pub const fn milestone(&self) -> Option<&Id> {
        self.milestone.as_ref()
    }

    /// How much is claimed.
    pub const fn claimed(&self) -> Amount {
        self.claim.amount
    }

    /// How the case gives up its hold on money that it has not moved, if it has such a hold.
    ///
    /// The case keeps its hold on money that waits for an operator (A2). On an active contract an undecided claim leaves the
    /// escrow as it was, or returns it to the review that it came from (D5). Money that was decided and not awarded stays in
    /// escrow for the next milestone, and nobody can claim it or its milestone again (D3).
    pub fn close_hold(&self) -> Option<Close> {
        if self.held.is_zero() || self.is_on_hold() {
            return None;
        }
        let undecided = self.outcome.as_ref().is_none_or(|outcome| {
            matches!(outcome.result, ResultKind::Withdrawn | ResultKind::Refused) || !self.grounds.is_active()
        });
        let remainder = match &self.review {
            Some(case) => Remainder::Back { case: case.clone() },
            None if undecided => Remainder::AsItWas,
            None => Remainder::HeldOver { milestone: None },
        };
        Some(Close { remainder, milestone_done: !undecided })
    }

    /// The movements that divide the money as decided, and return unneeded arbitration fees (D3, M5, M7, A2, A3, A5).
    ///
    /// None if the deposits hold less than the refund. The ledger's law forbids that.
    pub fn settlement(&self, now: Timestamp) -> Option<Vec<Movement>> {
        let outcome = self.outcome.as_ref()?;
        let mut movements = Vec::new();
        if !outcome.to_freelancer.is_zero() {
            let available_at = self.file.available_at(now);
            let (step, amount, rule) = ("release".to_owned(), outcome.to_freelancer, outcome.rule);
            movements.push(Movement::Release { step, amount, rule, available_at });
        }
        movements.extend(refund_legs(&self.deposits, outcome.to_client, outcome.rule, self.file.expected_by(now))?);
        movements.extend(self.fees_to_return(now));
        Some(movements)
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

    /// Divides the held money. After a contract's end the client's part goes back to the client; on an active contract it
    /// stays in escrow (D3).
    fn decide(&mut self, split: Split, decided_by: DecidedBy, rule: Rule, now: Timestamp) {
        let (to_client, kept_in_escrow) =
            if self.grounds.is_active() { (Amount::ZERO, split.to_client) } else { (split.to_client, Amount::ZERO) };
        let result = match decided_by {
            DecidedBy::FreelancerWithdrawal => ResultKind::Withdrawn,
            // Nothing goes back to the client: the claim failed, and the money stays where it was.
            _ if self.grounds.is_active() && split.to_freelancer.is_zero() => ResultKind::Declined,
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
            expected_by: refunded.then(|| self.file.expected_by(now)),
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

fn refusal_of(start: &DisputeStart) -> Result<(), Outcome> {
    check_opening(&start.contract, start.policy.as_ref())?;
    let reason = match (start.grounds, &start.milestone) {
        (Grounds::RefundRequest, None) => return Ok(()),
        (Grounds::RefundRequest, Some(_)) => "milestone: an ended contract's escrow is disputed as a whole",
        (_, None) => "milestone: say which, on an active contract",
        (_, Some(_)) if !start.contacted_client.unwrap_or_default() => {
            "contacted_client: contact the client first, and dispute if that did not help"
        }
        _ => return Ok(()),
    };
    Err(Outcome::refused(Rule::D1, reason))
}

/// The escrow that a dispute took when it opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// How much it holds.
    pub held: Amount,
    /// The contract's deposits in the order in which they were made, with what is left of each.
    pub deposits: Vec<FundedDeposit>,
}
