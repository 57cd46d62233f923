//! Predicts the result of a start before a workflow exists (L8): a start that a rule refuses should not become a workflow.
//!
//! This module decides nothing. It applies the rules to the start's content and to the ledger's answers. The case itself asks
//! again, and only the case's answers count.

use jiff::Timestamp;
use recourse_domain::{
    case::Case as _,
    deposit,
    dispute::DisputeCase,
    milestone_review::MilestoneReviewCase,
    money::Amount,
    opening::{Known, StartRequest},
    outcome::Outcome,
    payment_refund::PaymentRefundCase,
    refund_request::RefundRequestCase,
    rule::Rule,
};
use recourse_ledger::{Ledger, LedgerError};
use recourse_workflows::{
    describe::held_elsewhere,
    dispute::takes_alone,
    effects::{HoldRequest, OpenCase, OpenReceipt},
};

use super::Start;

impl Start {
    /// Why a rule refuses this start, independent of the ledger.
    pub fn refusal(&self, now: Timestamp) -> Option<Outcome> {
        match self {
            Self::Deposit(start) => deposit::check(&start.contract, start.amount, &start.source).err().or_else(|| {
                let sides = start.contract.check_sides().err()?;
                Some(Outcome::refused(Rule::E14, sides))
            }),
            _ => self.opening(now).err(),
        }
    }

    /// Why a rule would refuse this start now, if one would.
    ///
    /// # Errors
    /// Only if the ledger cannot be asked.
    pub async fn would_be_refused(&self, ledger: &Ledger, now: Timestamp) -> Result<Option<Outcome>, LedgerError> {
        if let Self::Deposit(start) = self {
            let refused = self.refusal(now);
            return match refused {
                Some(refused) => Ok(Some(refused)),
                None => {
                    Ok(ledger.would_refuse_deposit(start).await?.map(|(rule, reason)| Outcome::refused(rule, reason)))
                }
            };
        }
        let order = match self.opening(now) {
            Ok(order) => order,
            Err(refused) => return Ok(Some(refused)),
        };
        Ok(match ledger.would_open(&order).await? {
            OpenReceipt::Opened(_) => None,
            OpenReceipt::Refused { rule, reason, held } => {
                Some(Outcome { kept_in_escrow: held, ..Outcome::refused(rule, reason) })
            }
            OpenReceipt::Conflict { reason } => Some(Outcome::refused(Rule::E1, reason)),
            OpenReceipt::ReviewsRunning { could_hold, others, .. } => {
                let elsewhere = held_elsewhere(&others, order.contract.currency);
                let known = Known { held: could_hold, elsewhere: elsewhere.as_deref(), grounded: true, payment: None };
                let refused = order.asked.refusal(&order.contract, known, now);
                refused.map(|(rule, reason)| Outcome::refused(rule, reason))
            }
            OpenReceipt::NotReviewable(why) => match self {
                Self::MilestoneReview(start) => Some(why.refusal(&start.milestone, start.contract.currency)),
                _ => None,
            },
            OpenReceipt::NoSuchPayment => {
                let reason = "payment: the contract has no release with this id; its ledger shows them";
                Some(Outcome::refused(Rule::P1, reason))
            }
        })
    }

    /// What the case would first ask the ledger, or why it would not get that far.
    fn opening(&self, now: Timestamp) -> Result<OpenCase, Outcome> {
        let id = self.case();
        let (outcome, take, asked) = match self.clone() {
            Self::Deposit(_) => unreachable!("a deposit opens no case"),
            Self::RefundRequest(start) => {
                let case = RefundRequestCase::begin(id, start, now);
                let take = HoldRequest::AtContractEnd { told: Vec::new(), gone: Vec::new() };
                (case.outcome().cloned(), take, case.asked())
            }
            Self::Dispute(start) => {
                let case = DisputeCase::begin(id, start, now);
                (case.outcome().cloned(), takes_alone(&case), case.asked())
            }
            Self::MilestoneReview(start) => {
                let case = MilestoneReviewCase::begin(id, start, now);
                let milestone = case.milestone();
                let (ordinal, amount) = (milestone.ordinal, milestone.amount);
                let take = HoldRequest::Milestone { milestone: milestone.id.clone(), ordinal, amount };
                (case.outcome().cloned(), take, StartRequest::Review)
            }
            Self::PaymentRefund(start) => {
                let case = PaymentRefundCase::begin(id, start, now);
                (case.outcome().cloned(), HoldRequest::Payment { payment: case.payment().clone() }, case.asked())
            }
        };
        if let Some(refused) = outcome {
            return Err(Outcome { kept_in_escrow: Amount::ZERO, ..refused });
        }
        // No run has this name, so the ledger takes it for a new case.
        let first_run = "not-started".to_owned();
        Ok(OpenCase { case: self.case(), first_run, contract: self.contract().clone(), take, asked, at: now })
    }
}
