//! A submitted milestone and the client's review of it (E3–E8, E11, E13). Silence releases.

use jiff::Timestamp;
use temporalio_common::data_converters::RawValue;
use temporalio_workflow::{WorkflowContext, WorkflowResult};

use crate::{
    conduct::{Conduct, NotOpened, now, order},
    dispute,
    domain::{
        case::Case,
        claim::{Claim, Grounds},
        milestone_review::{BonusDue, MilestoneReviewCase},
        opening::Asked,
        outcome::Outcome,
        rule::Rule,
    },
    effects::{BonusOrder, BonusReceipt, Escrow, Take},
    handlers::case_workflow,
    messages::{DisputeStart, MilestoneReviewStart, read},
};

case_workflow! {
    /// A milestone was submitted.
    MilestoneReview(MilestoneReviewCase), begun by begin, conducted by conduct,
    taking ["submit", "approve", "request_changes", "dispute", "supersede", "extend"]
}

fn begin(id: String, start: &RawValue, now: Timestamp) -> Result<MilestoneReviewCase, Outcome> {
    let start: MilestoneReviewStart =
        read(start).map_err(|unreadable| Outcome::refused(Rule::E3, unreadable.reason))?;
    Ok(MilestoneReviewCase::begin(id, start, now))
}

async fn conduct(ctx: &WorkflowContext<MilestoneReview>) -> WorkflowResult<Outcome> {
    let mut case = match Conduct::take_up(ctx) {
        Ok(case) => case,
        Err(refused) => return Ok(refused),
    };
    if !case.is_open() && !open(&mut case).await {
        return Ok(case.finish().await); // E3, E13
    }
    loop {
        while case.read(MilestoneReviewCase::is_waiting) {
            case.next_change().await?;
        }
        case.publish();
        match case.read(|case| case.disputed().cloned()) {
            Some(claim) => dispute(ctx, &case, claim).await, // D1
            None => break,
        }
    }
    settle(ctx, &case).await; // E4–E7, E11
    Ok(case.finish().await)
}

/// Takes the milestone's amount of the escrow. Whether there is anything to review (E3, E13).
async fn open(case: &mut Conduct<'_, MilestoneReview>) -> bool {
    let take = case.read(|case| {
        let milestone = case.milestone();
        Take::Milestone { milestone: milestone.id.clone(), ordinal: milestone.ordinal, amount: milestone.amount }
    });
    let opened = case.open(take, Asked::Review, |case, opened, _, now| case.opened(&opened.deposits, now)).await;
    if let Err(NotOpened::NotReviewable(why)) = opened {
        case.change(|case, now| case.not_reviewable(&why, now));
        case.open_to_commands();
    }
    if case.read(Case::is_decided) {
        case.change(MilestoneReviewCase::close);
        return false;
    }
    true
}

/// Moves the money as decided. A bonus is charged beside the release, which stands whatever comes of it (E7).
async fn settle(ctx: &WorkflowContext<MilestoneReview>, case: &Conduct<'_, MilestoneReview>) {
    let movements = case.change(|case, now| case.settlement(now));
    let close = case.read(MilestoneReviewCase::close_hold);
    let settled = case.order_settlement(movements, Some(close));
    if let Some(bonus) = case.change(MilestoneReviewCase::take_bonus_due) {
        pay_bonus(ctx, case, bonus).await;
    }
    settled.await;
    case.change(MilestoneReviewCase::close);
}

async fn pay_bonus(ctx: &WorkflowContext<MilestoneReview>, case: &Conduct<'_, MilestoneReview>, bonus: BonusDue) {
    let BonusDue { source, amount, available_at } = bonus;
    let summary = format!("charge {} to {source} as a bonus and pay it on", case.contract().currency.show(amount));
    let charge = BonusOrder {
        case: ctx.workflow_id().to_owned(),
        case_ref: case.case_ref(),
        contract: case.contract().clone(),
        source,
        amount,
        available_at,
        at: now(ctx),
    };
    let charged = match order(ctx, || Escrow::pay_bonus, charge, summary).await {
        BonusReceipt::Paid => Ok(()),
        BonusReceipt::Declined { reason } => Err(reason),
    };
    case.change(|case, now| case.bonus_charged(amount, charged, now));
}

/// Conducts the dispute as a case of its own. The client's clock stands still meanwhile.
async fn dispute(ctx: &WorkflowContext<MilestoneReview>, case: &Conduct<'_, MilestoneReview>, claim: Claim) {
    let (milestone, policy) = case.read(|case| (case.milestone().id.clone(), case.file().policy.clone()));
    let start = DisputeStart {
        contract: case.contract().clone(),
        grounds: Grounds::NonRelease,
        milestone: Some(milestone),
        claim,
        attested_by: None,
        contacted_client: Some(true),
        policy: Some(policy),
    };
    match dispute::conduct_as_child(ctx, start).await {
        Ok(outcome) => case.change(|case, now| case.dispute_ended(outcome, now)),
        Err(stopped) => case.change(|case, now| case.dispute_stopped(&stopped, now)),
    }
}
