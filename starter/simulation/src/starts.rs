//! The starts of a contract's parties: deposits, reviews, disputes on an active contract, its end, and requests for payments.
//! Sometimes they start a case that a rule forbids. Recourse must refuse it.

use recourse_domain::{
    claim::{Claim, ClaimReason, Grounds},
    deposit::Source,
    ids::{CaseKind, Id, PaymentId},
    messages::{DisputeStart, EscrowDepositStart, MilestoneReviewStart, PaymentRefundStart, RefundRequestStart},
    milestone::{Milestone, Submission},
    money::Amount,
    outcome::ResultKind,
    party::{Actor, Role},
};

use super::{
    dice::amount,
    plan::{Plan, Work},
    player::{Player, must_not_be_refused},
    record::Trouble,
};

/// How often the client repeats a deposit that the bank declined.
const DEPOSITS_MAX: u32 = 4;

/// The billing method with this number. Each contract has its own, so that the bank's faults affect no other contract.
///
/// # Errors
/// If it is not an id.
pub fn card(plan: &Plan, number: u32) -> Result<Id, String> {
    Id::new(&format!("card-{}-{number}", plan.contract.id)).map_err(|error| error.to_string())
}

impl Player<'_> {
    /// Puts money in escrow (E2). If the bank declines, the client tries again.
    pub(super) async fn deposit(&mut self, amount: Amount, milestone: Option<&Id>) -> Result<(), Trouble> {
        let number = if self.dice.chance(25) { 2 } else { 1 };
        let card = card(&self.plan, number).map_err(Trouble::new)?;
        if self.dice.chance(4) {
            let mut start = self.deposit_of(amount, milestone, &card)?;
            start.source.verified = false;
            self.start_wrong(start, "a deposit from a billing method that is not verified").await?;
        }
        if self.dice.chance(8) {
            self.world.decline_next(&card).await?;
        }
        for _ in 0..DEPOSITS_MAX {
            let start = self.deposit_of(amount, milestone, &card)?;
            let deposit = start.deposit.clone();
            let outcome = self.world.done(start).await?;
            self.record.note(|| format!("{deposit} of {} from {card}: {}", amount.minor(), outcome.result.name()));
            self.record.end(CaseKind::EscrowDeposit, &outcome);
            self.record.told.add(CaseKind::EscrowDeposit, &outcome);
            match outcome.result {
                ResultKind::Deposited => {
                    if outcome.charged.is_some_and(|charged| !charged.is_zero()) {
                        self.card = card;
                    }
                    return Ok(());
                }
                ResultKind::Declined => {}
                _ => return Err(Trouble::new(format!("deposit {deposit}: {outcome:?}"))),
            }
        }
        Err(Trouble::new(format!("{DEPOSITS_MAX} deposits were declined, and one was planned to be")))
    }

    fn deposit_of(&mut self, amount: Amount, milestone: Option<&Id>, card: &Id) -> Result<EscrowDepositStart, Trouble> {
        self.deposits += 1;
        let deposit = Id::new(&format!("d-{}", self.deposits)).map_err(|error| Trouble::new(error.to_string()))?;
        let source = Source { id: card.clone(), verified: true };
        Ok(EscrowDepositStart {
            contract: self.plan.contract.clone(),
            deposit,
            amount,
            milestone: milestone.cloned(),
            source,
        })
    }

    /// Funds a milestone and submits it (E3, E13), and disputes its money that was held over (E6). Sometimes disputes its money
    /// without a review (D1). Returns whether work on the next milestone can begin.
    pub(super) async fn work(&mut self, index: usize) -> Result<bool, Trouble> {
        let Some(Work { milestone, own_deposit }) = self.plan.milestones.get(index).cloned() else { return Ok(false) };
        if let Some(next) = self.plan.milestones.get(index + 1).filter(|_| self.dice.chance(10)) {
            let start = self.submission(next.milestone.clone());
            self.start_wrong(start, "a submission out of order").await?;
        }
        if own_deposit && index == 0 && self.dice.chance(10) {
            let start = self.submission(milestone.clone());
            self.start_wrong(start, "a submission without its money").await?;
        }
        if own_deposit {
            self.deposit(milestone.amount, Some(&milestone.id)).await?;
        }
        if self.dice.chance(4) {
            self.dispute(&milestone.id, Grounds::NonRelease, milestone.amount).await?;
            return Ok(false);
        }
        let start = self.submission(milestone.clone());
        let Some(ended) = self.start(start).await? else { return Ok(false) };
        must_not_be_refused(&ended.status, &ended.outcome)?;
        let held_over = ended.outcome.kept_in_escrow;
        let in_part = !ended.outcome.to_freelancer.is_zero() && !held_over.is_zero() && ended.disputes.is_empty();
        if in_part && self.dice.chance(50) {
            self.dispute(&milestone.id, Grounds::PartialRelease, held_over).await?;
        }
        Ok(ended.outcome.result != ResultKind::OnHold)
    }

    /// The freelancer disputes a milestone's money, as far as there is any, on the active contract (D1).
    async fn dispute(&mut self, milestone: &Id, grounds: Grounds, there_is: Amount) -> Result<(), Trouble> {
        // A milestone without a submission here was submitted elsewhere; the platform attests it.
        let attested_by = (grounds == Grounds::NonRelease)
            .then(|| Id::new("operator").map(|id| Actor { party: Role::Operator, id }))
            .and_then(Result::ok);
        let start = DisputeStart {
            contract: self.plan.contract.clone(),
            grounds,
            milestone: Some(milestone.clone()),
            claim: Claim {
                amount: self.dice.some_of(there_is),
                reason: ClaimReason::PartialWorkDelivered,
                details: "It was delivered as agreed".to_owned(),
                evidence: Vec::new(),
            },
            contacted_client: Some(true),
            attested_by,
            policy: self.plan.policy.clone(),
        };
        if self.dice.chance(15) {
            let wrong = DisputeStart { contacted_client: None, ..start.clone() };
            self.start_wrong(wrong, "a dispute before the client was contacted").await?;
        }
        match self.start(start).await? {
            Some(ended) => must_not_be_refused(&ended.status, &ended.outcome),
            None => Ok(()),
        }
    }

    fn submission(&self, milestone: Milestone) -> MilestoneReviewStart {
        MilestoneReviewStart {
            contract: self.plan.contract.clone(),
            milestone,
            submission: Submission { note: "Here it is".to_owned(), files: Vec::new() },
            policy: self.plan.policy.clone(),
        }
    }

    /// Ends the contract (R1, R2), and returns the result. Recourse must refuse the end if disputes hold all the money.
    pub(super) async fn end(&mut self, reviewed: bool) -> Result<ResultKind, Trouble> {
        let history = self.history().await?;
        let holds = self.world.ledger().holds(&self.plan.contract.id).await?;
        // A review gives up its hold when the contract ends (E11); a dispute does not.
        let disputed: i64 =
            holds.iter().filter(|hold| hold.case.starts_with("dispute:")).map(|hold| hold.amount.minor()).sum();
        let free = amount(history.balances.escrow - disputed);
        if !reviewed && self.dice.chance(8) {
            let start = self.ending(amount(free.minor() + 1));
            self.start_wrong(start, "paying more than is held").await?;
        }
        let pay_now = if self.dice.chance(40) { Amount::ZERO } else { self.dice.part(free) };
        let start = self.ending(pay_now);
        let Some(ended) = self.start(start).await? else {
            return Err(Trouble::new("a refund request was left in the middle"));
        };
        let all_is_disputed = free.is_zero() && disputed > 0;
        if !all_is_disputed {
            must_not_be_refused(&ended.status, &ended.outcome)?;
        }
        Ok(ended.outcome.result)
    }

    fn ending(&self, pay_now: Amount) -> RefundRequestStart {
        let reason = Some("We go another way".to_owned());
        RefundRequestStart { contract: self.plan.contract.clone(), pay_now, reason, policy: self.plan.policy.clone() }
    }

    /// The client asks for some of the payments back (P1), each in full or in part.
    pub(super) async fn ask_back(&mut self) -> Result<(), Trouble> {
        if self.plan.asks_back == 0 {
            return Ok(());
        }
        for entry in self.history().await?.entries {
            if !matches!(entry.kind.as_str(), "release" | "bonus") || !self.dice.chance(self.plan.asks_back) {
                continue;
            }
            let damaged = |problem: String| Trouble::new(format!("{}: {problem}", entry.id));
            let paid = amount(entry.amount);
            let start = PaymentRefundStart {
                contract: self.plan.contract.clone(),
                payment: PaymentId::new(&entry.id).map_err(|error| damaged(error.to_string()))?,
                released_at: entry.at.parse().map_err(|_| damaged("it has no time".to_owned()))?,
                amount: self.dice.some_of(paid),
                message: "It was not what we agreed".to_owned(),
                policy: self.plan.policy.clone(),
            };
            if self.dice.chance(10) {
                let wrong = PaymentRefundStart { amount: amount(paid.minor() + 1), ..start.clone() };
                self.start_wrong(wrong, "asking for more than was paid").await?;
            }
            if let Some(ended) = self.start(start).await? {
                must_not_be_refused(&ended.status, &ended.outcome)?;
            }
        }
        Ok(())
    }
}
