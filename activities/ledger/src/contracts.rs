//! Contracts as their first deposit pinned them (E1): whose the money is, and its currency. From then on every deposit,
//! case, settlement and fee of the contract must name the same. Names, titles and addresses are nobody's money.

use recourse_database::Write;
use recourse_domain::{
    ids::Id,
    money::Currency,
    party::{Agency, Contract, ContractKind, Party},
};
use sqlx::{Any, Row as _, Transaction, any::AnyRow};

use super::{Ledger, LedgerError};

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

/// Which contracts to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractFilter {
    /// Only those that this id is the client, the freelancer or the agency of.
    pub party: Option<Id>,
    /// Only those after this one, in the order of their ids.
    pub after: Option<Id>,
    /// How many at most.
    pub limit: u32,
}

impl Ledger {
    /// The contract as its first deposit gave it; nothing for one without a deposit. Its names are those of that day.
    ///
    /// # Errors
    /// Only if the database cannot be read, or was damaged.
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
    /// Only if the database cannot be read, or was damaged.
    pub async fn contracts(&self, filter: &ContractFilter) -> Result<Vec<Contract>, LedgerError> {
        // Two statements: one for both would have a plan for both, and walk through all contracts to find a party's. Where
        // nobody is asked for, the first parameter is empty, so that both have the same ones.
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
            // Every id comes after it.
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
    compare_with(&found, contract)
}

/// The same, with the row that has what the first deposit said.
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
