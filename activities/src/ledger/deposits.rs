//! Deposits: what was charged into a contract's escrow, and what of it has not gone back (E2, R7).

use jiff::Timestamp;
use recourse_workflows::domain::{
    ids::Id,
    money::Amount,
    party::Contract,
    posting::{Account, FundedDeposit, PostingKind},
    rule::Rule,
};
use sqlx::{Any, Row as _, Transaction, any::AnyRow};

use super::{
    Ledger, LedgerError, amount_of,
    contracts::{self, Pin},
    id_of,
    posting::Posting,
};

/// A deposit that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deposit {
    pub id: Id,
    pub contract: Contract,
    pub milestone: Option<Id>,
    pub source: Id,
    /// The payment provider's key of the charge, and the id of the posting.
    pub charge: String,
    pub amount: Amount,
    pub case: String,
    pub at: Timestamp,
}

/// What the ledger knows of a deposit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing: it may be charged.
    New,
    /// It was made; the escrow held this much right after it.
    Made { held: Amount },
    /// Its id belongs to another deposit.
    Other { reason: String },
    /// It was not made, and its contract's first deposit named another client, freelancer, agency or currency (E1).
    OtherContract { reason: String },
}

impl Ledger {
    /// What the ledger knows of `deposit`.
    ///
    /// # Errors
    /// Only if the database cannot be read. Nothing has moved.
    pub(crate) async fn find_deposit(&self, deposit: &Deposit) -> Result<Known, LedgerError> {
        let mut read = self.database.read().await?;
        deposit.find(&mut read).await
    }

    /// Puts a charged deposit in escrow, once, and answers with what the escrow held right after it.
    ///
    /// # Errors
    /// [`LedgerError::PostingConflict`] if the charge was posted with other content. Nothing has moved.
    pub(crate) async fn make_deposit(&self, deposit: &Deposit) -> Result<Known, LedgerError> {
        let mut write = self.database.write().await?;
        let known = deposit.find(&mut write).await?;
        if known != Known::New {
            return Ok(known);
        }
        let escrow = Account::Escrow(deposit.contract.id.clone());
        let posting = Posting {
            id: deposit.charge.clone(),
            at: deposit.at,
            kind: PostingKind::Deposit,
            debit: Account::Source(deposit.source.clone()),
            credit: escrow.clone(),
            currency: deposit.contract.currency,
            amount: deposit.amount,
            contract: deposit.contract.id.clone(),
            case: deposit.case.clone(),
            rule: Rule::E2,
            deposit: None,
            available_at: None,
        };
        contracts::pin(&mut write, &deposit.contract).await?;
        posting.make(&mut write).await?;
        let held = super::balance(&mut write, &escrow, deposit.contract.currency).await?;
        sqlx::query(
            "INSERT INTO deposits (contract, deposit, milestone, source, charge, currency, amount, held, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(deposit.contract.id.as_str())
        .bind(deposit.id.as_str())
        .bind(deposit.milestone.as_ref().map(|milestone| milestone.as_str().to_owned()))
        .bind(deposit.source.as_str())
        .bind(&deposit.charge)
        .bind(deposit.contract.currency.code())
        .bind(deposit.amount.minor())
        .bind(held.minor())
        .bind(deposit.at.to_string())
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(Known::Made { held })
    }
}

impl Deposit {
    async fn find(&self, transaction: &mut Transaction<'static, Any>) -> Result<Known, LedgerError> {
        let found = sqlx::query(
            "SELECT milestone, source, charge, currency, amount, held FROM deposits
             WHERE contract = $1 AND deposit = $2",
        )
        .bind(self.contract.id.as_str())
        .bind(self.id.as_str())
        .fetch_optional(&mut **transaction)
        .await?;
        let pin = contracts::compare(transaction, &self.contract).await?;
        let Some(found) = found else {
            return Ok(match pin {
                Pin::Missing | Pin::Same => Known::New,
                Pin::Other { reason } => Known::OtherContract { reason },
            });
        };
        Ok(match (self.compare(&found)?, pin) {
            // It was made as it is asked for now, except that another contract's parties ask.
            (Known::Made { .. }, Pin::Other { reason }) => Known::Other { reason },
            (known, _) => known,
        })
    }

    fn compare(&self, found: &AnyRow) -> Result<Known, LedgerError> {
        let text = |name: &str| -> Result<Option<String>, LedgerError> { Ok(found.try_get(name)?) };
        let amount = amount_of(found.try_get("amount")?, &format!("deposit {}", self.id))?;
        let mut differs = Vec::new();
        for (name, there, here) in [
            ("amount", Some(self.contract.currency.number(amount)), Some(self.contract.currency.number(self.amount))),
            ("source", text("source")?, Some(self.source.to_string())),
            ("milestone", text("milestone")?, self.milestone.as_ref().map(ToString::to_string)),
            ("currency", text("currency")?, Some(self.contract.currency.to_string())),
            ("charge", text("charge")?, Some(self.charge.clone())),
        ] {
            if there != here {
                let shown = |value: Option<String>| value.unwrap_or_else(|| "none".into());
                differs.push(format!("{name} was {} and is now {}", shown(there), shown(here)));
            }
        }
        if differs.is_empty() {
            return Ok(Known::Made { held: amount_of(found.try_get("held")?, &format!("deposit {}", self.id))? });
        }
        let reason = format!("deposit {} was made before: {}", self.id, differs.join(", "));
        Ok(Known::Other { reason })
    }
}

/// The contract's deposits in the order in which they were made, with what of each was not refunded.
pub(super) async fn funded(
    transaction: &mut Transaction<'static, Any>,
    contract: &Id,
) -> Result<Vec<FundedDeposit>, LedgerError> {
    let rows = sqlx::query(
        "SELECT d.deposit, d.source, d.charge, d.amount - COALESCE((
             SELECT CAST(SUM(j.amount) AS BIGINT) FROM journal j
             WHERE j.contract = d.contract AND j.kind = 'refund' AND j.deposit = d.deposit), 0) AS amount_left
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
