//! Contracts as their first deposit pinned them (E1): the parties that the money belongs to, and the currency. From
//! then on every deposit, case, settlement and fee of the contract must name the same. Names, titles and addresses are
//! not pinned.

use recourse_database::Write;
use recourse_domain::{
    ids::Id,
    money::Currency,
    party::{Agency, Contract, ContractKind, Party},
};
use sqlx::{Any, Row as _, Transaction, any::AnyRow};

use super::{Ledger, LedgerError};

/// How a contract compares with its first deposit. Only [`Pin::Missing`] ever changes.
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

/// Which contracts to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractFilter {
    /// Only those whose client, freelancer or agency has this id.
    pub party: Option<Id>,
    /// Only those after this one, in the order of their ids.
    pub after: Option<Id>,
    /// How many at most.
    pub limit: u32,
}

impl Ledger {
    /// The contract as its first deposit gave it, with the names of that day; nothing for one without a deposit.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn contract(&self, contract: &Id) -> Result<Option<Contract>, LedgerError> {
        let found = sqlx::query(
            "SELECT contract, currency, client, freelancer, agency, file FROM contracts WHERE contract = $1",
        )
        .bind(contract.as_str())
        .fetch_optional(self.database.pool())
        .await?;
        found.as_ref().map(read).transpose()
    }

    /// The contracts that fit `filter`, in the order of their ids.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn contracts(&self, filter: &ContractFilter) -> Result<Vec<Contract>, LedgerError> {
        // Two statements: a common one would have one plan, and scan all contracts to find a party's. Without a party,
        // the first parameter is empty, so that both have the same parameters.
        let whose = match filter.party {
            Some(_) => "(client = $1 OR freelancer = $1 OR agency = $1)",
            None => "$1 = ''",
        };
        let sql = format!(
            "SELECT contract, currency, client, freelancer, agency, file FROM contracts
             WHERE {whose} AND contract > $2 ORDER BY contract LIMIT $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(filter.party.as_ref().map(ToString::to_string).unwrap_or_default())
            // Every id comes after the empty text.
            .bind(filter.after.as_ref().map(ToString::to_string).unwrap_or_default())
            .bind(i64::from(filter.limit))
            .fetch_all(self.database.pool())
            .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &AnyRow) -> Result<Contract, LedgerError> {
    let id: String = row.try_get("contract")?;
    let damaged = |field| LedgerError::Damaged { what: format!("contract {id}"), field };
    if let Some(file) = row.try_get::<Option<String>, _>("file")? {
        return serde_json::from_str(&file).map_err(|_| damaged("file"));
    }
    let read_id = |name: &'static str| -> Result<Option<Id>, LedgerError> {
        let value: Option<String> = row.try_get(name)?;
        value.map(|value| Id::new(&value).map_err(|_| damaged(name))).transpose()
    };
    let party = |id: Id, agency: Option<Id>| Party {
        id,
        name: None,
        email: None,
        agency: agency.map(|id| Agency { id, name: None }),
    };
    let currency: String = row.try_get("currency")?;
    Ok(Contract {
        title: String::new(),
        kind: ContractKind::FixedPrice,
        currency: Currency::from_code(&currency).map_err(|_| damaged("currency"))?,
        client: party(read_id("client")?.ok_or_else(|| damaged("client"))?, None),
        freelancer: party(read_id("freelancer")?.ok_or_else(|| damaged("freelancer"))?, read_id("agency")?),
        id: read_id("contract")?.ok_or_else(|| damaged("contract"))?,
    })
}

/// Compares `contract` with its first deposit.
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
    compare_with(&found, contract)
}

/// The same, with the row of the first deposit.
pub(super) fn compare_with(found: &AnyRow, contract: &Contract) -> Result<Pin, LedgerError> {
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

/// Checks that `contract` is the one that its money was deposited for.
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

/// Stores the contract's parties and currency in the same transaction as its first deposit.
///
/// # Errors
/// Only if the database cannot be written.
pub(super) async fn pin(write: &mut Write, contract: &Contract) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO contracts (contract, currency, client, freelancer, agency, file) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (contract) DO NOTHING",
    )
    .bind(contract.id.as_str())
    .bind(contract.currency.code())
    .bind(contract.client.id.as_str())
    .bind(contract.freelancer.id.as_str())
    .bind(agency(contract).map(ToOwned::to_owned))
    .bind(serde_json::to_string(contract).unwrap_or_default())
    .execute(&mut **write)
    .await?;
    Ok(())
}

fn agency(contract: &Contract) -> Option<&str> {
    contract.freelancer.agency.as_ref().map(|agency| agency.id.as_str())
}
