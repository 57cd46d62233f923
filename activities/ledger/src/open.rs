//! Opening a case: what it takes of a contract's escrow, and when it may (E3, E11, E13, D1, P1).

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use recourse_database::Write;
use recourse_domain::{
    case::RULES,
    ids::{Id, dispute_id, milestone_review_id, payment_refund_id, refund_request_id},
    milestone::{NotReviewable, out_of_order},
    money::Amount,
    opening::{Known, StartRequest},
    party::Contract,
    rule::Rule,
};
use recourse_workflows::{
    describe::held_elsewhere,
    effects::{HeldByOther, HoldRequest, OpenCase, OpenReceipt, OpenedCase, RunningReview},
};
use sqlx::Row as _;

use super::{
    Ledger, LedgerError,
    asides::{self, Part, Place, Taken},
    contracts::{self, Pin},
    funding, grounds,
    holds::{self, Hold},
    id_of, returns,
};

/// How long an opening waits before it checks again whether a review has released its money.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What an opening may take, or why it takes nothing.
enum May {
    HoldRequest(Taken),
    Not(OpenReceipt),
}

impl Ledger {
    /// Takes the money in the order from the contract's escrow, for one case.
    ///
    /// A case that opened with the same run before gets the same answer, whatever has moved since. If the contract
    /// differs from the pinned one (E1), the answer is a conflict, and nothing is stored: the pin never changes, so the
    /// answer is the same the next time. Another refusal stores nothing either: the case may ask again when the reason
    /// is gone.
    ///
    /// # Errors
    /// [`LedgerError::UnknownCase`] if there is no case to take over from, [`LedgerError::StillHeld`] if a review that
    /// was told to release its money has not yet. Nothing has moved.
    #[tracing::instrument(name = "ledger: open", skip_all, fields(case = %order.case))]
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

    /// What an opening would return now. It takes nothing. Programs that start a case ask this first, so that a refused
    /// start never becomes a workflow (L8).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn would_open(&self, order: &OpenCase) -> Result<OpenReceipt, LedgerError> {
        let mut write = self.database.write().await?;
        open_in(&mut write, order).await
    }

    async fn open_at_once(&self, order: &OpenCase) -> Result<OpenReceipt, LedgerError> {
        let mut write = self.database.write().await?;
        let receipt = open_in(&mut write, order).await?;
        if let OpenReceipt::Opened(_) = receipt {
            write.commit().await?;
        }
        Ok(receipt)
    }
}

/// Opens the case, if it may. Otherwise the caller can roll back: nothing that was written must be kept.
async fn open_in(write: &mut Write, order: &OpenCase) -> Result<OpenReceipt, LedgerError> {
    let (mut open, of_case) = holds::open_of_and_all_of(write, &order.contract.id, &order.case).await?;
    if let Some(opened) = opened_before(&of_case, order)? {
        return Ok(OpenReceipt::Opened(opened));
    }
    if let Some((rule, reason)) = misnamed(order) {
        return Ok(OpenReceipt::Refused { rule, reason, held: Amount::ZERO });
    }
    match contracts::compare(write, &order.contract).await? {
        Pin::Other { reason } => return Ok(OpenReceipt::Conflict { reason }),
        Pin::Missing if matches!(order.take, HoldRequest::Milestone { .. }) => {
            return Ok(OpenReceipt::NotReviewable(NotReviewable::NotFunded { available: Amount::ZERO }));
        }
        Pin::Missing | Pin::Same => {}
    }
    let payment = match &order.take {
        HoldRequest::Payment { payment } => {
            let Some(paid) = returns::paid_out(write, &order.contract.id, payment).await? else {
                return Ok(OpenReceipt::NoSuchPayment);
            };
            Some(paid)
        }
        _ => None,
    };
    let taken_from = match &order.take {
        HoldRequest::Over { case } => holds::milestone_of(write, &order.contract.id, case).await?,
        _ => None,
    };
    let grounded = grounds::are_known(write, order).await?;
    let taken = match take(write, order, &open).await? {
        May::HoldRequest(taken) => taken,
        May::Not(receipt) => return Ok(receipt),
    };
    if let HoldRequest::Over { .. } = order.take {
        open = holds::open_of(write, &order.contract.id).await?;
    }
    let opened = OpenedCase {
        case_ref: case_ref(&order.case, of_case.len()),
        held: taken.amount,
        // Another case's hold was taken over and this one's is not stored yet, so neither counts here.
        deposits: funding::unclaimed(write, &order.contract.id, &open).await?,
        others: holds::others(&open),
        payment,
        rules: RULES,
    };
    if let Some((rule, reason)) = refusal(order, &opened, grounded) {
        return Ok(OpenReceipt::Refused { rule, reason, held: opened.held });
    }
    insert(write, order, &opened, (&taken, taken_from)).await?;
    Ok(OpenReceipt::Opened(opened))
}

/// Why a case of this contract may not have this id (E1), or why such a contract may have no case at all (E14).
fn misnamed(order: &OpenCase) -> Option<(Rule, String)> {
    let contract = &order.contract;
    if order.asked == StartRequest::Nothing {
        return None;
    }
    if let Err(reason) = contract.check_sides() {
        return Some((Rule::E14, reason));
    }
    let of_milestone = |milestone: &Id| milestone_review_id(&contract.id, milestone);
    let named = match (&order.take, &order.asked) {
        (HoldRequest::AtContractEnd { .. }, _) => refund_request_id(&contract.id),
        (HoldRequest::Free, _) => dispute_id(&contract.id, None),
        (HoldRequest::Milestone { milestone, .. }, _) => of_milestone(milestone),
        (HoldRequest::HeldOver { milestone } | HoldRequest::Unreviewed { milestone, .. }, _) => {
            dispute_id(&contract.id, Some(milestone))
        }
        (HoldRequest::Payment { payment }, _) => payment_refund_id(payment),
        (HoldRequest::Over { .. }, StartRequest::Claim(claim)) => dispute_id(&contract.id, claim.milestone.as_ref()),
        (HoldRequest::Over { .. }, _) => return None,
    };
    (named != order.case).then(|| {
        let reason =
            format!("its workflow id is {}, and that of such a case is {named}; start it under that", order.case);
        (Rule::E1, reason)
    })
}

/// Why the start opens no case, by what the ledger knows now.
fn refusal(order: &OpenCase, opened: &OpenedCase, grounded: bool) -> Option<(Rule, String)> {
    // What a case took over from another is not disputed there any more.
    let alone = !matches!(order.take, HoldRequest::Over { .. });
    let elsewhere = held_elsewhere(&opened.others, order.contract.currency).filter(|_| alone);
    let payment = opened.payment.as_ref();
    let known = Known {
        held: opened.held,
        elsewhere: elsewhere.as_deref(),
        grounded,
        payment: payment.map(|paid| (paid.amount.minus(paid.returned).unwrap_or_default(), paid.released_at)),
    };
    order.asked.refusal(&order.contract, known, order.at)
}

fn opened_before(of_case: &[Hold], order: &OpenCase) -> Result<Option<OpenedCase>, LedgerError> {
    let same = of_case.iter().find(|hold| hold.first_run == order.first_run);
    same.map(|hold| serde_json::from_str(&hold.opened))
        .transpose()
        .map_err(|_| LedgerError::Damaged { what: format!("case {}", order.case), field: "opened" })
}

fn case_ref(case: &str, earlier: usize) -> String {
    match earlier {
        0 => case.to_owned(),
        earlier => format!("{case}#{}", earlier + 1),
    }
}

async fn insert(
    write: &mut Write,
    order: &OpenCase,
    opened: &OpenedCase,
    (taken, taken_from): (&Taken, Option<Id>),
) -> Result<(), LedgerError> {
    let (milestone, ordinal) = match &order.take {
        HoldRequest::Milestone { milestone, ordinal, .. } => (Some(milestone), Some(i64::from(*ordinal))),
        HoldRequest::HeldOver { milestone } | HoldRequest::Unreviewed { milestone, .. } => (Some(milestone), None),
        HoldRequest::Over { .. } => (taken_from.as_ref(), None),
        HoldRequest::Free | HoldRequest::AtContractEnd { .. } | HoldRequest::Payment { .. } => (None, None),
    };
    // An end that takes nothing while others hold something is refused (R1), and does not end the contract.
    let ends_contract =
        matches!(order.take, HoldRequest::AtContractEnd { .. }) && (opened.others.is_empty() || !opened.held.is_zero());
    let answer = serde_json::to_string(opened)
        .map_err(|_| LedgerError::Damaged { what: format!("case {}", opened.case_ref), field: "opened" })?;
    sqlx::query(
        "INSERT INTO holds (case_ref, case_id, first_run, contract, currency, opened_at, opened, held, milestone,
                            ordinal, origins, closed, ends_contract, ended_contract)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)",
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
    // A case that takes nothing has nothing to release: it may never come back to close.
    .bind(i64::from(taken.amount.is_zero()))
    .bind(i64::from(ends_contract))
    .execute(&mut **write)
    .await?;
    Ok(())
}

async fn take(write: &mut Write, order: &OpenCase, open: &[Hold]) -> Result<May, LedgerError> {
    let contract = &order.contract;
    Ok(May::HoldRequest(match &order.take {
        HoldRequest::Free => {
            let whole = asides::whole_contract(write, Place::of(contract)).await?;
            asides::take(write, &contract.id, Part::HeldOver, None).await?.and(Taken::unmarked(whole))?
        }
        HoldRequest::AtContractEnd { told, gone } => {
            if let Some(receipt) = reviews_in_the_way(write, contract, (told, gone), open).await? {
                return Ok(May::Not(receipt));
            }
            everything_free(write, contract).await?
        }
        HoldRequest::Over { case } => holds::take_over(write, &contract.id, case).await?,
        HoldRequest::Milestone { milestone, ordinal, amount } => {
            if let Some(why) = not_reviewable(write, order, (milestone, *ordinal), open).await? {
                return Ok(May::Not(OpenReceipt::NotReviewable(why)));
            }
            return for_milestone(write, contract, milestone, *amount).await;
        }
        HoldRequest::HeldOver { milestone } => {
            asides::take(write, &contract.id, Part::HeldOverFrom(milestone), None).await?
        }
        HoldRequest::Unreviewed { milestone, claim } => unreviewed(write, contract, (milestone, *claim), open).await?,
        HoldRequest::Payment { .. } => Taken::default(),
    }))
}

/// Everything that no case holds and no deposit under way has reserved. Its purpose ends with that.
async fn everything_free(write: &mut Write, contract: &Contract) -> Result<Taken, LedgerError> {
    let whole = asides::whole_contract(write, Place::of(contract)).await?;
    asides::take(write, &contract.id, Part::All, None).await?.and(Taken::unmarked(whole))
}

/// The reviews among the contract's open holds.
fn reviews(open: &[Hold]) -> impl DoubleEndedIterator<Item = &Hold> {
    open.iter().filter(|hold| hold.is_review)
}

/// The reviews that nobody has told yet that the contract ended (E11).
///
/// # Errors
/// [`LedgerError::StillHeld`] if one was told and still holds money. A review whose dispute holds its money has none to
/// release.
async fn reviews_in_the_way(
    write: &mut Write,
    contract: &Contract,
    (told, gone): (&[String], &[String]),
    open: &[Hold],
) -> Result<Option<OpenReceipt>, LedgerError> {
    let (mut told_of, mut untold) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for review in reviews(open).rev() {
        // The hold that an earlier case of the same workflow id left behind waits for an operator.
        if !seen.insert(&review.case) || gone.contains(&review.case_ref) {
            continue;
        }
        let list = if told.contains(&review.case_ref) { &mut told_of } else { &mut untold };
        list.push(review);
    }
    if untold.is_empty() {
        return match told_of.into_iter().find(|review| !review.held.is_zero()) {
            Some(review) => Err(LedgerError::StillHeld { case: review.case.clone() }),
            None => Ok(None),
        };
    }
    let stay = |other: &HeldByOther| !told_of.iter().chain(&untold).any(|review| review.case_ref == other.case_ref);
    let others = holds::others(open).into_iter().filter(stay).collect();
    let mut could_hold = asides::whole_contract(write, Place::of(contract)).await?;
    could_hold = asides::plus(could_hold, asides::there(write, &contract.id, Part::All).await?)?;
    for review in told_of.iter().chain(&untold) {
        could_hold = asides::plus(could_hold, review.held)?;
    }
    let running = |review: &Hold| RunningReview { case: review.case.clone(), case_ref: review.case_ref.clone() };
    let reviews = untold.into_iter().map(running).collect();
    Ok(Some(OpenReceipt::ReviewsRunning { reviews, could_hold, others }))
}

/// Why this milestone is not the next one to review (E3), if it is not.
async fn not_reviewable(
    write: &mut Write,
    order: &OpenCase,
    (milestone, ordinal): (&Id, u32),
    open: &[Hold],
) -> Result<Option<NotReviewable>, LedgerError> {
    let contract = &order.contract.id;
    if let Some(case) = ended_by(write, contract).await? {
        return Ok(Some(NotReviewable::ContractEnded { case }));
    }
    // If a milestone's hold is not its review's, it is its dispute's.
    let dispute = |hold: &&Hold| !hold.is_review && hold.milestone.as_deref() == Some(milestone.as_str());
    let reviewed = reviews(open).chain(open.iter().filter(dispute)).find(|hold| hold.case != order.case);
    if let Some(Hold { case, .. }) = reviewed {
        return Ok(Some(NotReviewable::UnderReview { case: case.clone() }));
    }
    if asides::is_done(write, contract, milestone).await? {
        return Ok(Some(NotReviewable::Done));
    }
    let rows = sqlx::query(
        "SELECT milestone, MAX(ordinal) AS ordinal FROM holds WHERE contract = $1 AND milestone_done = 1
         GROUP BY milestone ORDER BY MIN(sequence)",
    )
    .bind(contract.as_str())
    .fetch_all(&mut **write)
    .await?;
    let mut done = Vec::new();
    for row in &rows {
        let (milestone, number): (String, Option<i64>) = (row.try_get("milestone")?, row.try_get("ordinal")?);
        done.push((id_of(&milestone, "milestone")?, number.and_then(|number| u32::try_from(number).ok())));
    }
    Ok(out_of_order(&done, ordinal))
}

/// The case that ended the contract, if no deposit came since (E11).
async fn ended_by(write: &mut Write, contract: &Id) -> Result<Option<String>, LedgerError> {
    let case = sqlx::query_scalar("SELECT case_id FROM holds WHERE contract = $1 AND ends_contract = 1 LIMIT 1")
        .bind(contract.as_str())
        .fetch_optional(&mut **write)
        .await?;
    Ok(case)
}

/// The milestone's whole amount (E13): from its own deposit, then from the whole contract's money, then from held-over
/// money.
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
    Ok(May::HoldRequest(taken.and(held_over)?))
}

/// What a dispute takes of a milestone without a review here (D1). With a review, the review has the money already; of
/// a decided milestone there is nothing left to claim.
async fn unreviewed(
    write: &mut Write,
    contract: &Contract,
    (milestone, claim): (&Id, Amount),
    open: &[Hold],
) -> Result<Taken, LedgerError> {
    let is_reviewed = reviews(open).any(|review| review.milestone.as_deref() == Some(milestone.as_str()));
    if is_reviewed || asides::is_done(write, &contract.id, milestone).await? {
        return Ok(Taken::default());
    }
    let own = asides::take(write, &contract.id, Part::Milestone(milestone), None).await?;
    if !own.amount.is_zero() {
        return Ok(own);
    }
    Ok(Taken::unmarked(asides::whole_contract(write, Place::of(contract)).await?.min(claim)))
}
