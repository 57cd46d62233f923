//! Payments that go back to the client (P2, P4). The ledger plans them first, leg by leg, so that a retry has the same
//! legs and nothing else takes the same money meanwhile. Then it posts them, leg by leg.

use recourse_database::Write;
use recourse_domain::{
    ids::{Id, PaymentId},
    money::Amount,
    posting::{Account, ReturnLeg, return_legs},
};
use recourse_workflows::effects::{PaidOut, ReturnOrder};
use sqlx::{Any, Row as _, Transaction, any::AnyRow};

use super::{Ledger, LedgerError, amount_of, contracts, funding, holds, id_of, posting::Posting};

/// One leg of a return, under the id of its posting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedLeg {
    pub posting: String,
    pub leg: ReturnLeg,
    pub posted: bool,
}

/// What must go back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// These legs, the same at every retry, whatever has changed since.
    Legs(Vec<PlannedLeg>),
    /// Nothing: the amount is more than this.
    NotCovered {
        /// What could go back.
        available: Amount,
    },
}

impl Ledger {
    /// A contract's payment, as the ledger knows it; nothing if the contract has none with this id.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn payment(&self, contract: &Id, payment: &PaymentId) -> Result<Option<PaidOut>, LedgerError> {
        let mut read = self.database.read().await?;
        paid_out(&mut read, contract, payment).await
    }

    /// Plans which charges a returned payment goes back to, once.
    ///
    /// # Errors
    /// [`LedgerError::OtherContract`], [`LedgerError::NoSuchPayment`], [`LedgerError::PostingConflict`] if the same
    /// step returned something else before, or [`LedgerError::RefundMismatch`] if not enough is left of the charges.
    #[tracing::instrument(name = "ledger: plan return", skip_all)]
    pub async fn plan_return(&self, order: &ReturnOrder) -> Result<Plan, LedgerError> {
        let plan = format!("{}/{}", order.case_ref, order.step);
        let mut write = self.database.write().await?;
        contracts::require(&mut write, &order.contract).await?;
        if let Some(legs) = planned_before(&mut write, &plan, order).await? {
            return Ok(Plan::Legs(legs));
        }
        let Some(paid) = paid_out(&mut write, &order.contract.id, &order.payment).await? else {
            return Err(LedgerError::NoSuchPayment { payment: order.payment.to_string() });
        };
        let has = payee_has(&mut write, order).await?;
        let available = paid.amount.minus(paid.returned).unwrap_or_default().min(has);
        if order.amount > available {
            return Ok(Plan::NotCovered { available });
        }
        let mut legs = Vec::new();
        for leg in legs_of(&mut write, &plan, order).await? {
            let posting = leg.deposit.as_ref().map_or_else(|| plan.clone(), |deposit| format!("{plan}:{deposit}"));
            insert(&mut write, order, (&plan, legs.len()), &posting, &leg).await?;
            legs.push(PlannedLeg { posting, leg, posted: false });
        }
        write.commit().await?;
        Ok(Plan::Legs(legs))
    }
}

/// Marks the leg whose posting was made in this transaction: it is no longer only planned.
pub(super) async fn mark_posted(write: &mut Write, posting: &Posting) -> Result<(), LedgerError> {
    sqlx::query("UPDATE return_legs SET posted = 1 WHERE posting = $1").bind(&posting.id).execute(&mut **write).await?;
    Ok(())
}

/// The payment with this id, if this contract has it (P1).
pub(super) async fn paid_out(
    transaction: &mut Transaction<'static, Any>,
    contract: &Id,
    payment: &PaymentId,
) -> Result<Option<PaidOut>, LedgerError> {
    let found = sqlx::query(
        "SELECT at, amount,
                CAST(COALESCE((SELECT SUM(amount) FROM journal WHERE payment = $1 AND kind = 'return'), 0)
                   + COALESCE((SELECT SUM(amount) FROM return_legs WHERE payment = $1 AND posted = 0), 0) AS BIGINT)
                AS returned
         FROM journal WHERE id = $1 AND contract = $2 AND kind IN ('release', 'bonus')",
    )
    .bind(payment.as_str())
    .bind(contract.as_str())
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(found) = found else { return Ok(None) };
    let what = format!("payment {payment}");
    let at: String = found.try_get("at")?;
    Ok(Some(PaidOut {
        amount: amount_of(found.try_get("amount")?, &what)?,
        returned: amount_of(found.try_get("returned")?, &what)?,
        released_at: at.parse().map_err(|_| LedgerError::Damaged { what, field: "at" })?,
    }))
}

/// What the payee has, minus what is already planned to go back (P4). Pending money counts.
async fn payee_has(write: &mut Write, order: &ReturnOrder) -> Result<Amount, LedgerError> {
    let payee = Account::payee(&order.contract);
    let balance = super::balance(write, &payee, order.contract.currency).await?;
    let planned: i64 = sqlx::query_scalar(
        "SELECT COALESCE(CAST(SUM(amount) AS BIGINT), 0) FROM return_legs
         WHERE payee = $1 AND currency = $2 AND posted = 0",
    )
    .bind(payee.to_string())
    .bind(order.contract.currency.code())
    .fetch_one(&mut **write)
    .await?;
    Ok(balance.minus(amount_of(planned, "what is planned to go back")?).unwrap_or_default())
}

/// The charges that it goes back to: for a bonus its own, for a release the contract's deposits. No legs for an amount
/// of 0.
async fn legs_of(write: &mut Write, plan: &str, order: &ReturnOrder) -> Result<Vec<ReturnLeg>, LedgerError> {
    if order.amount.is_zero() {
        return Ok(Vec::new());
    }
    let bonus: Option<String> = sqlx::query_scalar("SELECT debit FROM journal WHERE id = $1 AND kind = 'bonus'")
        .bind(order.payment.as_str())
        .fetch_optional(&mut **write)
        .await?;
    if let Some(debit) = bonus {
        let source = id_of(debit.strip_prefix("source:").unwrap_or(&debit), "debit")?;
        let charge = order.payment.as_str().to_owned();
        return Ok(vec![ReturnLeg { deposit: None, source, charge, amount: order.amount }]);
    }
    let open = holds::open_of(write, &order.contract.id).await?;
    let deposits = funding::unclaimed(write, &order.contract.id, &open).await?;
    return_legs(&deposits, order.amount).ok_or_else(|| LedgerError::RefundMismatch {
        id: plan.to_owned(),
        reason: "less than that is left of the contract's deposits".to_owned(),
    })
}

async fn insert(
    write: &mut Write,
    order: &ReturnOrder,
    (plan, number): (&str, usize),
    posting: &str,
    leg: &ReturnLeg,
) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO return_legs (posting, plan, number, contract, payment, payee, currency, deposit, source, charge,
                                  amount)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(posting.to_owned())
    .bind(plan.to_owned())
    .bind(i64::try_from(number).unwrap_or(i64::MAX))
    .bind(order.contract.id.as_str())
    .bind(order.payment.as_str())
    .bind(Account::payee(&order.contract).to_string())
    .bind(order.contract.currency.code())
    .bind(leg.deposit.as_ref().map(ToString::to_string))
    .bind(leg.source.as_str())
    .bind(&leg.charge)
    .bind(leg.amount.minor())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// The legs that this step planned before.
///
/// # Errors
/// [`LedgerError::PostingConflict`] if they belong to another payment, or have another amount.
async fn planned_before(
    write: &mut Write,
    plan: &str,
    order: &ReturnOrder,
) -> Result<Option<Vec<PlannedLeg>>, LedgerError> {
    let rows = sqlx::query(
        "SELECT posting, payment, deposit, source, charge, amount, posted FROM return_legs
         WHERE plan = $1 ORDER BY number",
    )
    .bind(plan.to_owned())
    .fetch_all(&mut **write)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let payment: String = first.try_get("payment")?;
    let legs: Vec<PlannedLeg> = rows.iter().map(planned_leg).collect::<Result<_, _>>()?;
    let planned: i64 = legs.iter().map(|planned| planned.leg.amount.minor()).sum();
    if payment == order.payment.as_str() && planned == order.amount.minor() {
        return Ok(Some(legs));
    }
    let (now, asked) = (&order.payment, order.amount.minor());
    let differs = format!("it returned {planned} of {payment} and is now to return {asked} of {now}");
    tracing::error!(posting = plan, %differs, rule = "L2", "a return came again with other content");
    Err(LedgerError::PostingConflict { id: plan.to_owned(), differs })
}

fn planned_leg(row: &AnyRow) -> Result<PlannedLeg, LedgerError> {
    let posting: String = row.try_get("posting")?;
    let deposit: Option<String> = row.try_get("deposit")?;
    let posted: i64 = row.try_get("posted")?;
    let leg = ReturnLeg {
        deposit: deposit.map(|deposit| id_of(&deposit, "deposit")).transpose()?,
        source: id_of(row.try_get("source")?, "source")?,
        charge: row.try_get("charge")?,
        amount: amount_of(row.try_get("amount")?, &posting)?,
    };
    Ok(PlannedLeg { posting, leg, posted: posted == 1 })
}
