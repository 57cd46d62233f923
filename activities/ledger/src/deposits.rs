//! Deposits: money that is charged into a contract's escrow (E2). A deposit for a milestone draws on held-over money
//! first, and only the difference is charged (E6).

use jiff::Timestamp;
use recourse_database::Write;
use recourse_domain::{
    deposit,
    ids::escrow_deposit_id,
    messages::EscrowDepositStart,
    money::Amount,
    posting::{Account, PostingKind},
    rule::Rule,
};
use sqlx::{Any, Row as _, Transaction, any::AnyRow};

use super::{
    Ledger, LedgerError, amount_of,
    asides::{self, Part, Place, Taken},
    contracts::{self, Pin},
    known::{Deposit, Known},
    posting::Posting,
};

/// A deposit's row: the request and its result.
struct Before {
    row: AnyRow,
    asked: Amount,
    from_held: Amount,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    InFlight,
    Made,
    Declined,
}

impl Ledger {
    /// What the ledger knows of `deposit`. If it is new and for a milestone, the ledger reserves the held-over money
    /// for it, so that no case and no other deposit takes that meanwhile.
    ///
    /// # Errors
    /// Only if the database cannot be used, or is damaged. Nothing has moved.
    #[tracing::instrument(name = "ledger: begin deposit", skip_all)]
    pub async fn begin_deposit(&self, deposit: &Deposit) -> Result<Known, LedgerError> {
        let Some(milestone) = &deposit.milestone else {
            let mut read = self.database.read().await?;
            return deposit.find(&mut read).await.map(|(known, _)| known);
        };
        let mut write = self.database.write().await?;
        let (known, before) = deposit.find(&mut write).await?;
        if before.is_some() || !matches!(known, Known::New { .. }) {
            return Ok(known);
        }
        let place = Place::of(&deposit.contract);
        let drawn = asides::take(&mut write, place.contract, Part::HeldOver, Some(deposit.amount)).await?;
        asides::reserve(&mut write, place, (&deposit.id, milestone), drawn.amount).await?;
        sqlx::query(
            "INSERT INTO milestone_deposits (contract, deposit, milestone, source, charge, currency, asked, from_held,
                                             origins, state)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'in_flight')",
        )
        .bind(place.contract.as_str())
        .bind(deposit.id.as_str())
        .bind(milestone.as_str())
        .bind(deposit.source.as_str())
        .bind(&deposit.charge)
        .bind(place.currency.code())
        .bind(deposit.amount.minor())
        .bind(drawn.amount.minor())
        .bind(drawn.origins_as_json()?)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(Known::New { to_charge: deposit.amount.minus(drawn.amount).unwrap_or_default() })
    }

    /// Why a deposit would be refused now, if so: by a rule, or because its id or its contract belongs to others (L2,
    /// E1). Nothing is charged or reserved.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn would_refuse_deposit(
        &self,
        start: &EscrowDepositStart,
    ) -> Result<Option<(Rule, String)>, LedgerError> {
        let case = escrow_deposit_id(&start.contract.id, &start.deposit);
        let deposit = Deposit {
            id: start.deposit.clone(),
            contract: start.contract.clone(),
            milestone: start.milestone.clone(),
            source: start.source.id.clone(),
            charge: format!("{case}/deposit"),
            amount: start.amount,
            case,
            at: Timestamp::UNIX_EPOCH,
        };
        let mut read = self.database.read().await?;
        Ok(match deposit.find(&mut read).await?.0 {
            Known::Refused { rule, reason } => Some((rule, reason)),
            Known::Other { reason } | Known::OtherContract { reason } => Some((Rule::L2, reason)),
            Known::New { .. } | Known::Made { .. } | Known::Declined { .. } => None,
        })
    }

    /// Puts a charged deposit in escrow, once, and returns what the escrow held right after it.
    ///
    /// # Errors
    /// [`LedgerError::PostingConflict`] if the charge was posted with other content. Nothing has moved.
    #[tracing::instrument(name = "ledger: make deposit", skip_all)]
    pub async fn make_deposit(&self, deposit: &Deposit) -> Result<Known, LedgerError> {
        let mut write = self.database.write().await?;
        let (known, before) = deposit.find(&mut write).await?;
        let Known::New { to_charge } = known else { return Ok(known) };
        let (place, escrow) = (Place::of(&deposit.contract), Account::Escrow(deposit.contract.id.clone()));
        contracts::pin(&mut write, &deposit.contract).await?;
        if !to_charge.is_zero() {
            deposit.posting(to_charge).make(&mut write).await?;
        }
        let held = super::balance(&mut write, &escrow, place.currency).await?;
        if !to_charge.is_zero() {
            deposit.insert(&mut write, to_charge, held).await?;
        }
        let mut from_held = Amount::ZERO;
        if let Some(milestone) = &deposit.milestone {
            let before = before.ok_or_else(|| deposit.damaged("state"))?;
            from_held = before.from_held;
            asides::unreserve(&mut write, place.contract, &deposit.id).await?;
            asides::set_aside_for(&mut write, place, milestone, deposit.amount).await?;
            sqlx::query("UPDATE milestone_deposits SET state = 'made', held = $3 WHERE contract = $1 AND deposit = $2")
                .bind(place.contract.as_str())
                .bind(deposit.id.as_str())
                .bind(held.minor())
                .execute(&mut *write)
                .await?;
        }
        // A contract with new money goes on (E11).
        sqlx::query("UPDATE holds SET ends_contract = 0 WHERE contract = $1 AND ends_contract = 1")
            .bind(place.contract.as_str())
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(Known::Made { charged: to_charge, from_held, held })
    }

    /// Gives up a deposit under way that could not be charged: what it had reserved goes back to where it came from.
    /// With a reason it counts as declined, also when it is asked for again; without one it leaves no trace.
    ///
    /// # Errors
    /// Only if the database cannot be written, or is damaged. Nothing has changed.
    pub async fn give_up_deposit(&self, deposit: &Deposit, declined: Option<&str>) -> Result<(), LedgerError> {
        let mut write = self.database.write().await?;
        let Some(before) = deposit.asked_before(&mut write).await? else { return Ok(()) };
        if before.state != State::InFlight || deposit.differs(&before)?.is_some() {
            return Ok(());
        }
        let place = Place::of(&deposit.contract);
        let origins: Option<String> = before.row.try_get("origins")?;
        let drawn = Taken::from_json(before.from_held, origins.as_deref(), &format!("deposit {}", deposit.id))?;
        asides::unreserve(&mut write, place.contract, &deposit.id).await?;
        asides::put_back(&mut write, place, drawn).await?;
        let sql = if declined.is_some() {
            "UPDATE milestone_deposits SET state = 'declined', reason = $3 WHERE contract = $1 AND deposit = $2"
        } else {
            "DELETE FROM milestone_deposits WHERE contract = $1 AND deposit = $2 AND $3 IS NULL"
        };
        sqlx::query(sql)
            .bind(place.contract.as_str())
            .bind(deposit.id.as_str())
            .bind(declined.map(ToOwned::to_owned))
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(())
    }
}

impl Deposit {
    fn posting(&self, charged: Amount) -> Posting {
        Posting {
            id: self.charge.clone(),
            at: self.at,
            kind: PostingKind::Deposit,
            debit: Account::Source(self.source.clone()),
            credit: Account::Escrow(self.contract.id.clone()),
            currency: self.contract.currency,
            amount: charged,
            contract: self.contract.id.clone(),
            case: self.case.clone(),
            rule: Rule::E2,
            deposit: None,
            payment: None,
            available_at: None,
        }
    }

    async fn insert(&self, write: &mut Write, charged: Amount, held: Amount) -> Result<(), LedgerError> {
        sqlx::query(
            "INSERT INTO deposits (contract, deposit, milestone, source, charge, currency, amount, held, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(self.contract.id.as_str())
        .bind(self.id.as_str())
        .bind(self.milestone.as_ref().map(ToString::to_string))
        .bind(self.source.as_str())
        .bind(&self.charge)
        .bind(self.contract.currency.code())
        .bind(charged.minor())
        .bind(held.minor())
        .bind(self.at.to_string())
        .execute(&mut **write)
        .await?;
        Ok(())
    }

    /// What the ledger knows of this deposit, and its row if there is one.
    async fn find(&self, transaction: &mut Transaction<'static, Any>) -> Result<(Known, Option<Before>), LedgerError> {
        let before = match self.asked_before(transaction).await? {
            Some(before) => Some(before),
            None => self.made_before(transaction).await?,
        };
        let pin = contracts::compare(transaction, &self.contract).await?;
        if before.as_ref().is_none_or(|before| before.state == State::InFlight)
            && let Some((rule, reason)) = self.forbidden(transaction).await?
        {
            return Ok((Known::Refused { rule, reason }, before));
        }
        let known = match (&before, pin) {
            (None, Pin::Other { reason }) => Known::OtherContract { reason },
            (None, Pin::Missing | Pin::Same) => Known::New { to_charge: self.amount },
            (Some(before), pin) => match (self.differs(before)?, pin) {
                (None, Pin::Missing | Pin::Same) => self.again(before)?,
                (None, Pin::Other { reason }) if before.state == State::InFlight => Known::OtherContract { reason },
                // Its content differs, or the row is the same but another contract's parties ask.
                (Some(reason), _) | (None, Pin::Other { reason }) => Known::Other { reason },
            },
        };
        Ok((known, before))
    }

    /// Why it may not be made, whatever the provider says: its workflow id is not the deposit's (E1), somebody would be on
    /// both sides (E14), or a sum would leave the range of amounts (E15).
    async fn forbidden(
        &self,
        transaction: &mut Transaction<'static, Any>,
    ) -> Result<Option<(Rule, String)>, LedgerError> {
        let contract = &self.contract;
        let named = escrow_deposit_id(&contract.id, &self.id);
        if named != self.case {
            let reason =
                format!("its workflow id is {}, and that of such a deposit is {named}; start it under that", self.case);
            return Ok(Some((Rule::E1, reason)));
        }
        if let Err(reason) = contract.check_sides() {
            return Ok(Some((Rule::E14, reason)));
        }
        let accounts =
            [Account::Escrow(contract.id.clone()), Account::Source(self.source.clone()), Account::payee(contract)];
        let mut sums = Vec::new();
        for account in accounts {
            sums.push(super::size_of(transaction, &account, contract.currency).await?);
        }
        Ok(deposit::out_of_range(self.amount, &sums).map(|reason| (Rule::E15, reason)))
    }

    /// The answer to a repeated deposit.
    fn again(&self, before: &Before) -> Result<Known, LedgerError> {
        let (from_held, charged) = (before.from_held, before.asked.minus(before.from_held));
        let charged = charged.ok_or_else(|| self.damaged("from_held"))?;
        Ok(match before.state {
            State::InFlight => Known::New { to_charge: charged },
            State::Made => {
                let held = amount_of(before.row.try_get("held")?, &format!("deposit {}", self.id))?;
                Known::Made { charged, from_held, held }
            }
            State::Declined => Known::Declined { reason: before.row.try_get("reason")? },
        })
    }

    /// The row of a deposit with this id that is or was for a milestone.
    async fn asked_before(&self, transaction: &mut Transaction<'static, Any>) -> Result<Option<Before>, LedgerError> {
        let found = sqlx::query(
            "SELECT milestone, source, charge, currency, asked, from_held, origins, state, held, reason
             FROM milestone_deposits WHERE contract = $1 AND deposit = $2",
        )
        .bind(self.contract.id.as_str())
        .bind(self.id.as_str())
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(row) = found else { return Ok(None) };
        let what = format!("deposit {}", self.id);
        let state = match row.try_get("state")? {
            "in_flight" => State::InFlight,
            "made" => State::Made,
            "declined" => State::Declined,
            _ => return Err(self.damaged("state")),
        };
        let asked = amount_of(row.try_get("asked")?, &what)?;
        let from_held = amount_of(row.try_get("from_held")?, &what)?;
        Ok(Some(Before { row, asked, from_held, state }))
    }

    /// The row of a deposit with this id that is for the whole contract.
    async fn made_before(&self, transaction: &mut Transaction<'static, Any>) -> Result<Option<Before>, LedgerError> {
        let found = sqlx::query(
            "SELECT milestone, source, charge, currency, amount, held FROM deposits
             WHERE contract = $1 AND deposit = $2",
        )
        .bind(self.contract.id.as_str())
        .bind(self.id.as_str())
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(row) = found else { return Ok(None) };
        let asked = amount_of(row.try_get("amount")?, &format!("deposit {}", self.id))?;
        Ok(Some(Before { row, asked, from_held: Amount::ZERO, state: State::Made }))
    }

    /// How the earlier request differs from this one, in words.
    fn differs(&self, before: &Before) -> Result<Option<String>, LedgerError> {
        let text = |name: &str| -> Result<Option<String>, LedgerError> { Ok(before.row.try_get(name)?) };
        let currency = self.contract.currency;
        let mut differs = Vec::new();
        for (name, there, here) in [
            ("amount", Some(currency.number(before.asked)), Some(currency.number(self.amount))),
            ("source", text("source")?, Some(self.source.to_string())),
            ("milestone", text("milestone")?, self.milestone.as_ref().map(ToString::to_string)),
            ("currency", text("currency")?, Some(currency.to_string())),
            ("charge", text("charge")?, Some(self.charge.clone())),
        ] {
            if there != here {
                let shown = |value: Option<String>| value.unwrap_or_else(|| "none".into());
                differs.push(format!("{name} was {} and is now {}", shown(there), shown(here)));
            }
        }
        let came = if before.state == State::Made { "made" } else { "tried" };
        Ok((!differs.is_empty()).then(|| format!("deposit {} was {came} before: {}", self.id, differs.join(", "))))
    }

    fn damaged(&self, field: &'static str) -> LedgerError {
        LedgerError::Damaged { what: format!("deposit {}", self.id), field }
    }
}
