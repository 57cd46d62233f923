//! Contracts as their first deposit pinned them (E1): whose the money is, and its currency. From then on every deposit,
//! case, settlement and fee of the contract must name the same. Names, titles and addresses are nobody's money.

use recourse_workflows::domain::party::Contract;
use sqlx::{Any, Row as _, Transaction};

use super::LedgerError;
use crate::database::Write;

/// How a contract compares with what its first deposit said. Only [`Pin::Missing`] ever changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pin {
    /// There was no deposit yet.
    Missing,
    /// It is the same.
    Same,
    /// It has another client, freelancer, agency or currency.
    Other {
        /// What differs, in words.
        reason: String,
    },
}

/// Compares `contract` with what its first deposit said.
///
/// # Errors
/// Only if the database cannot be read.
pub(super) async fn compare(
    transaction: &mut Transaction<'static, Any>,
    contract: &Contract,
) -> Result<Pin, LedgerError> {
    let found = sqlx::query("SELECT currency, client, freelancer, agency FROM contracts WHERE contract = $1")
        .bind(contract.id.as_str())
        .fetch_optional(&mut **transaction)
        .await?;
    let Some(found) = found else { return Ok(Pin::Missing) };
    let mut differs = Vec::new();
    for (name, here) in [
        ("client", Some(contract.client.id.as_str())),
        ("freelancer", Some(contract.freelancer.id.as_str())),
        ("agency", agency(contract)),
        ("currency", Some(contract.currency.code())),
    ] {
        let there: Option<String> = found.try_get(name)?;
        if there.as_deref() != here {
            differs.push(format!(
                "{name} was {} and is now {}",
                there.as_deref().unwrap_or("none"),
                here.unwrap_or("none")
            ));
        }
    }
    if differs.is_empty() {
        return Ok(Pin::Same);
    }
    let reason = format!("contract {} is not as at its first deposit: {}", contract.id, differs.join(", "));
    Ok(Pin::Other { reason })
}

/// Makes sure that `contract` is the one that its money was deposited for.
///
/// # Errors
/// [`LedgerError::OtherContract`] if it is another, or if no money was deposited yet.
pub(super) async fn require(
    transaction: &mut Transaction<'static, Any>,
    contract: &Contract,
) -> Result<(), LedgerError> {
    let reason = match compare(transaction, contract).await? {
        Pin::Same => return Ok(()),
        Pin::Missing => format!("contract {} has no deposit", contract.id),
        Pin::Other { reason } => reason,
    };
    tracing::error!(contract = %contract.id, %reason, rule = "E1", "money of a contract is asked for by another one");
    Err(LedgerError::OtherContract { reason })
}

/// Writes down whose the contract is, with its first deposit and in the same transaction.
///
/// # Errors
/// Only if the database cannot be written.
pub(super) async fn pin(write: &mut Write, contract: &Contract) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO contracts (contract, currency, client, freelancer, agency) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (contract) DO NOTHING",
    )
    .bind(contract.id.as_str())
    .bind(contract.currency.code())
    .bind(contract.client.id.as_str())
    .bind(contract.freelancer.id.as_str())
    .bind(agency(contract).map(ToOwned::to_owned))
    .execute(&mut **write)
    .await?;
    Ok(())
}

fn agency(contract: &Contract) -> Option<&str> {
    contract.freelancer.agency.as_ref().map(|agency| agency.id.as_str())
}
