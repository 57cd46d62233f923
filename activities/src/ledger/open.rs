//! Opening a case: what it takes of a contract's escrow, and when it may (E3, E11, E13, D1, P1).

use std::time::{Duration, Instant};

use recourse_workflows::{
    domain::{ids::Id, milestone::NotReviewable, money::Amount, party::Contract},
    effects::{OpenCase, OpenReceipt, OpenedCase, Take},
};
use sqlx::{Any, Row as _, Transaction};

use super::{
    Ledger, LedgerError,
    asides::{self, Part, Place, Taken},
    contracts::{self, Pin},
    funding, holds, id_of, returns,
};
use crate::database::Write;

/// How long an opening waits between two looks at a review that was told to let go.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What an opening may take, or why it takes nothing.
enum May {
    Take(Taken),
    Not(OpenReceipt),
}

/// A review that has not closed.
struct Review {
    case: String,
    milestone: Option<String>,
    held: i64,
}

impl Ledger {
    /// Takes what the order says of the contract's escrow, for one case.
    ///
    /// The case that opened with the same run before gets the same answer, whatever has moved since. A contract that
    /// is not the one of the money (E1) is answered with a conflict, and leaves no trace: the pin that it is in
    /// conflict with never changes, so asking again gets the same answer. Nor does a refusal of another kind leave one:
    /// it may be asked again when what stood in its way is gone.
    ///
    /// # Errors
    /// [`LedgerError::UnknownCase`] if there is no case to take over from, [`LedgerError::StillHeld`] if a review that
    /// was told to let go has not yet. Nothing has moved.
    pub async fn open(&self, order: &OpenCase) -> Result<OpenReceipt, LedgerError> {
        let began = Instant::now();
        loop {
            match self.open_at_once(order).await {
                Err(LedgerError::StillHeld { .. }) if began.elapsed() < self.patience => {
                    tokio::time::sleep(LOOK_AGAIN_AFTER).await;
                }
                answer => return answer,
            }
        }
    }

    async fn open_at_once(&self, order: &OpenCase) -> Result<OpenReceipt, LedgerError> {
        let mut write = self.database.write().await?;
        if let Some(opened) = opened_before(&mut write, order).await? {
            return Ok(OpenReceipt::Opened(opened));
        }
        match contracts::compare(&mut write, &order.contract).await? {
            Pin::Other { reason } => return Ok(OpenReceipt::Conflict { reason }),
            Pin::Missing if matches!(order.take, Take::Milestone { .. }) => {
                return Ok(OpenReceipt::NotReviewable(NotReviewable::NotFunded { available: Amount::ZERO }));
            }
            Pin::Missing | Pin::Same => {}
        }
        let payment = match &order.take {
            Take::Payment { payment } => {
                let Some(paid) = returns::paid_out(&mut write, &order.contract.id, payment).await? else {
                    return Ok(OpenReceipt::NoSuchPayment);
                };
                Some(paid)
            }
            _ => None,
        };
        let taken = match take(&mut write, order).await? {
            May::Take(taken) => taken,
            May::Not(receipt) => return Ok(receipt),
        };
        let opened = OpenedCase {
            case_ref: case_ref(&mut write, &order.case).await?,
            held: taken.amount,
            // Both after another case's hold was taken over and before this one's is there, so both are left out.
            deposits: funding::unclaimed(&mut write, &order.contract.id).await?,
            others: holds::others(&mut write, &order.contract.id).await?,
            payment,
        };
        insert(&mut write, order, &opened, &taken).await?;
        write.commit().await?;
        Ok(OpenReceipt::Opened(opened))
    }
}

async fn opened_before(write: &mut Write, order: &OpenCase) -> Result<Option<OpenedCase>, LedgerError> {
    let opened: Option<String> = sqlx::query_scalar("SELECT opened FROM holds WHERE case_id = $1 AND first_run = $2")
        .bind(&order.case)
        .bind(&order.first_run)
        .fetch_optional(&mut **write)
        .await?;
    opened
        .map(|opened| serde_json::from_str(&opened))
        .transpose()
        .map_err(|_| LedgerError::Damaged { what: format!("case {}", order.case), field: "opened" })
}

async fn case_ref(write: &mut Write, case: &str) -> Result<String, LedgerError> {
    let earlier: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM holds WHERE case_id = $1").bind(case).fetch_one(&mut **write).await?;
    Ok(match earlier {
        0 => case.to_owned(),
        earlier => format!("{case}#{}", earlier + 1),
    })
}

async fn insert(write: &mut Write, order: &OpenCase, opened: &OpenedCase, taken: &Taken) -> Result<(), LedgerError> {
    let (milestone, ordinal) = match &order.take {
        Take::Milestone { milestone, ordinal, .. } => (Some(milestone), Some(i64::from(*ordinal))),
        Take::HeldOver { milestone } | Take::Unreviewed { milestone, .. } => (Some(milestone), None),
        Take::Free | Take::AtContractEnd { .. } | Take::Over { .. } | Take::Payment { .. } => (None, None),
    };
    let answer = serde_json::to_string(opened)
        .map_err(|_| LedgerError::Damaged { what: format!("case {}", opened.case_ref), field: "opened" })?;
    sqlx::query(
        "INSERT INTO holds (case_ref, case_id, first_run, contract, currency, opened_at, opened, held, milestone,
                            ordinal, origins, closed)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(&opened.case_ref)
    .bind(&order.case)
    .bind(&order.first_run)
    .bind(order.contract.id.as_str())
    .bind(order.contract.currency.code())
    .bind(order.at.to_string())
    .bind(answer)
    .bind(taken.amount.minor())
    .bind(milestone.map(ToString::to_string))
    .bind(ordinal)
    .bind(taken.origins_as_json()?)
    // A case that takes nothing has nothing to let go of: it may never come back to close.
    .bind(i64::from(taken.amount.is_zero()))
    .execute(&mut **write)
    .await?;
    Ok(())
}

async fn take(write: &mut Write, order: &OpenCase) -> Result<May, LedgerError> {
    let contract = &order.contract;
    Ok(May::Take(match &order.take {
        Take::Free => everything_free(write, contract).await?,
        Take::AtContractEnd { told, gone } => {
            if let Some(receipt) = reviews_in_the_way(write, contract, told, gone).await? {
                return Ok(May::Not(receipt));
            }
            everything_free(write, contract).await?
        }
        Take::Over { case } => holds::take_over(write, &contract.id, case).await?,
        Take::Milestone { milestone, ordinal, amount } => {
            if let Some(why) = not_reviewable(write, order, milestone, *ordinal).await? {
                return Ok(May::Not(OpenReceipt::NotReviewable(why)));
            }
            return for_milestone(write, contract, milestone, *amount).await;
        }
        Take::HeldOver { milestone } => asides::take(write, &contract.id, Part::HeldOverFrom(milestone), None).await?,
        Take::Unreviewed { milestone, claim } => unreviewed(write, contract, milestone, *claim).await?,
        Take::Payment { .. } => Taken::default(),
    }))
}

/// Everything that no case holds and no deposit in flight has reserved. What it was set aside for is over with that.
async fn everything_free(write: &mut Write, contract: &Contract) -> Result<Taken, LedgerError> {
    let whole = asides::whole_contract(write, Place::of(contract)).await?;
    asides::take(write, &contract.id, Part::All, None).await?.and(Taken::unmarked(whole))
}

/// The contract's reviews that have not closed, oldest first.
async fn open_reviews(transaction: &mut Transaction<'static, Any>, contract: &Id) -> Result<Vec<Review>, LedgerError> {
    let rows = sqlx::query(
        "SELECT case_id, milestone, held FROM holds
         WHERE contract = $1 AND closed = 0 AND ordinal IS NOT NULL ORDER BY sequence",
    )
    .bind(contract.as_str())
    .fetch_all(&mut **transaction)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Review {
                case: row.try_get("case_id")?,
                milestone: row.try_get("milestone")?,
                held: row.try_get("held")?,
            })
        })
        .collect()
}

/// The reviews that nobody has told yet that the contract ended (E11).
///
/// # Errors
/// [`LedgerError::StillHeld`] if one was told and has not let go. One whose dispute holds its money has none to let go.
async fn reviews_in_the_way(
    write: &mut Write,
    contract: &Contract,
    told: &[String],
    gone: &[String],
) -> Result<Option<OpenReceipt>, LedgerError> {
    let reviews = open_reviews(write, &contract.id).await?;
    let mut cases: Vec<String> = reviews
        .iter()
        .filter(|review| !told.contains(&review.case) && !gone.contains(&review.case))
        .map(|review| review.case.clone())
        .collect();
    cases.dedup();
    if !cases.is_empty() {
        return Ok(Some(OpenReceipt::ReviewsRunning { cases }));
    }
    // Only its newest hold: one that an earlier case of the same workflow id left behind waits for an operator.
    let newest = |case: &String| reviews.iter().rev().find(|review| review.case == *case);
    match told.iter().filter_map(newest).find(|review| review.held > 0) {
        Some(review) => Err(LedgerError::StillHeld { case: review.case.clone() }),
        None => Ok(None),
    }
}

/// Why this milestone is not the next one to be reviewed (E3), if it is not.
async fn not_reviewable(
    write: &mut Write,
    order: &OpenCase,
    milestone: &Id,
    ordinal: u32,
) -> Result<Option<NotReviewable>, LedgerError> {
    let contract = &order.contract.id;
    if let Some(other) = open_reviews(write, contract).await?.into_iter().find(|review| review.case != order.case) {
        return Ok(Some(NotReviewable::UnderReview { case: other.case }));
    }
    if asides::is_done(write, contract, milestone).await? {
        return Ok(Some(NotReviewable::Done));
    }
    let rows = sqlx::query(
        "SELECT ordinal, milestone FROM holds
         WHERE contract = $1 AND milestone_done = 1 AND ordinal <= $2 ORDER BY ordinal, sequence",
    )
    .bind(contract.as_str())
    .bind(i64::from(ordinal))
    .fetch_all(&mut **write)
    .await?;
    let mut unpaid = 1;
    for row in &rows {
        let done: i64 = row.try_get("ordinal")?;
        if done == i64::from(ordinal) {
            let other: String = row.try_get("milestone")?;
            return Ok(Some(NotReviewable::OrdinalTaken { milestone: id_of(&other, "milestone")? }));
        }
        if done == i64::from(unpaid) {
            unpaid += 1;
        }
    }
    Ok((unpaid < ordinal).then_some(NotReviewable::OutOfOrder { unpaid }))
}

/// The milestone's whole amount (E13): of what is there for it, then for the whole contract, then held over.
async fn for_milestone(
    write: &mut Write,
    contract: &Contract,
    milestone: &Id,
    amount: Amount,
) -> Result<May, LedgerError> {
    let own = Part::Milestone(milestone);
    let whole = asides::whole_contract(write, Place::of(contract)).await?;
    let set_aside = asides::there(write, &contract.id, own).await?;
    let held_over = asides::there(write, &contract.id, Part::HeldOver).await?;
    let available = asides::plus(asides::plus(set_aside, whole)?, held_over)?;
    if available < amount {
        return Ok(May::Not(OpenReceipt::NotReviewable(NotReviewable::NotFunded { available })));
    }
    let taken = asides::take(write, &contract.id, own, Some(amount)).await?;
    let whole = whole.min(amount.minus(taken.amount).unwrap_or_default());
    let taken = taken.and(Taken::unmarked(whole))?;
    let rest = amount.minus(taken.amount).unwrap_or_default();
    let held_over = asides::take(write, &contract.id, Part::HeldOver, Some(rest)).await?;
    Ok(May::Take(taken.and(held_over)?))
}

/// What a dispute takes of a milestone that is not reviewed here (D1). A review has it already, if there is one.
async fn unreviewed(
    write: &mut Write,
    contract: &Contract,
    milestone: &Id,
    claim: Amount,
) -> Result<Taken, LedgerError> {
    let reviews = open_reviews(write, &contract.id).await?;
    if reviews.iter().any(|review| review.milestone.as_deref() == Some(milestone.as_str())) {
        return Ok(Taken::default());
    }
    let own = asides::take(write, &contract.id, Part::Milestone(milestone), None).await?;
    if !own.amount.is_zero() {
        return Ok(own);
    }
    Ok(Taken::unmarked(asides::whole_contract(write, Place::of(contract)).await?.min(claim)))
}
