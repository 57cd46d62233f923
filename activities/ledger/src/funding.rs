//! How much of a contract's charges can still go back, and which case or return claims it (R7, P4).

use recourse_domain::{ids::Id, posting::FundedDeposit};
use recourse_workflows::effects::OpenedCase;
use sqlx::{Any, Row as _, Transaction};

use super::{LedgerError, amount_of, holds::Hold, id_of};

/// The contract's deposits, oldest first, with the part of each that did not go back and is not planned to (P4).
pub(super) async fn funded(
    transaction: &mut Transaction<'static, Any>,
    contract: &Id,
) -> Result<Vec<FundedDeposit>, LedgerError> {
    let rows = sqlx::query(
        "SELECT d.deposit, d.source, d.charge, d.amount - COALESCE((
             SELECT CAST(SUM(j.amount) AS BIGINT) FROM journal j
             WHERE j.contract = d.contract AND j.kind IN ('refund', 'return') AND j.deposit = d.deposit), 0)
           - COALESCE((
             SELECT CAST(SUM(r.amount) AS BIGINT) FROM return_legs r
             WHERE r.contract = d.contract AND r.deposit = d.deposit AND r.posted = 0), 0) AS amount_left
         FROM deposits d WHERE d.contract = $1 ORDER BY d.sequence",
    )
    .bind(contract.as_str())
    .fetch_all(&mut **transaction)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(FundedDeposit {
                deposit: id_of(row.try_get("deposit")?, "deposit")?,
                source: id_of(row.try_get("source")?, "source")?,
                charge: row.try_get("charge")?,
                left: amount_of(row.try_get("amount_left")?, "what is left of a deposit")?,
            })
        })
        .collect()
}

/// The same, minus what open cases may still refund.
///
/// A case refunds to the deposits in the answer to its opening, the newest first (R7), up to what it holds. If two
/// cases, or a case and a returned payment, counted on the same money, the later one could never settle. A case about a
/// milestone of an active contract refunds nothing (D3). `open` are the contract's open holds.
pub(super) async fn unclaimed(
    transaction: &mut Transaction<'static, Any>,
    contract: &Id,
    open: &[Hold],
) -> Result<Vec<FundedDeposit>, LedgerError> {
    let mut deposits = funded(transaction, contract).await?;
    for hold in open.iter().filter(|hold| !hold.held.is_zero() && hold.milestone.is_none()) {
        let mut rest = hold.held;
        let opened: OpenedCase = serde_json::from_str(&hold.opened)
            .map_err(|_| LedgerError::Damaged { what: format!("case {}", hold.case_ref), field: "opened" })?;
        for known in opened.deposits.iter().rev() {
            let Some(deposit) = deposits.iter_mut().find(|deposit| deposit.deposit == known.deposit) else { continue };
            let claimed = known.left.min(deposit.left).min(rest);
            deposit.left = deposit.left.minus(claimed).unwrap_or_default();
            rest = rest.minus(claimed).unwrap_or_default();
        }
    }
    Ok(deposits)
}
