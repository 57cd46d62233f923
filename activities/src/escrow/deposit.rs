//! Deposits: reserve held-over money, charge the rest, and put both in escrow (E2, E6, L6).

use recourse_domain::{money::Amount, rule::Rule};
use recourse_ledger::{Deposit, Known, LedgerError};
use recourse_payments::{Charge, Did, GatewayError, Refund, Request};
use recourse_workflows::effects::{DepositOrder, DepositReceipt};

use super::{EscrowActivities, EscrowError};

impl EscrowActivities {
    /// Charges a billing method and puts the money in escrow, once (E2). For a milestone, held-over money pays first, and
    /// only the difference is charged (E6).
    ///
    /// # Errors
    /// If it is not known whether the charge went through, or the ledger cannot be written. Ask again.
    pub async fn make_deposit(&self, order: &DepositOrder) -> Result<DepositReceipt, EscrowError> {
        let deposit = Deposit {
            contract: order.contract.clone(),
            id: order.deposit.clone(),
            milestone: order.milestone.clone(),
            source: order.source.clone(),
            charge: format!("{}/deposit", order.case),
            amount: order.amount,
            case: order.case.clone(),
            at: order.at,
        };
        if order.amount.is_zero() {
            return Err(EscrowError::NothingToCharge { id: deposit.charge });
        }
        let known = match self.ledger.begin_deposit(&deposit).await? {
            Known::New { to_charge } => self.charge_deposit(&deposit, to_charge).await?,
            Known::OtherContract { reason } => self.not_charged(&deposit, reason).await?,
            Known::Refused { rule, reason } => self.refused(&deposit, rule, reason).await?,
            known => known,
        };
        Ok(match known {
            Known::Made { charged, from_held, held } => DepositReceipt::Deposited { charged, from_held, held },
            Known::Declined { reason } => DepositReceipt::Declined { reason },
            Known::Other { reason } | Known::OtherContract { reason } => DepositReceipt::Conflict { reason },
            Known::Refused { rule, reason } => DepositReceipt::Refused { rule, reason },
            Known::New { .. } => return Err(LedgerError::Damaged { what: deposit.charge, field: "deposit" }.into()),
        })
    }

    /// Charges what held-over money does not cover, and posts the deposit. If the charge is declined, the deposit gives
    /// up what it had reserved.
    async fn charge_deposit(&self, deposit: &Deposit, to_charge: Amount) -> Result<Known, EscrowError> {
        let charged = if to_charge.is_zero() {
            Ok(Did::Now)
        } else {
            self.charge(&deposit.charge, &deposit.source, deposit.contract.currency, to_charge).await
        };
        match charged {
            Ok(Did::Before) if self.went_back(deposit).await? => Ok(Known::Refused {
                rule: Rule::E15,
                reason: format!("deposit {} was given back before; use another deposit id", deposit.id),
            }),
            Ok(_) => self.put_in_escrow(deposit).await,
            Err(GatewayError::Declined { reason, .. }) => {
                self.ledger.give_up_deposit(deposit, Some(&reason)).await?;
                Ok(Known::Declined { reason })
            }
            Err(GatewayError::KeyReused { .. }) => {
                self.ledger.give_up_deposit(deposit, None).await?;
                Ok(Known::Other {
                    reason: format!(
                        "deposit {} was tried before with another amount or source; use another deposit id",
                        deposit.id
                    ),
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Posts a charge. If another deposit's content prevents that, the money has no place: the effect keeps failing
    /// visibly until an operator has looked.
    async fn put_in_escrow(&self, deposit: &Deposit) -> Result<Known, EscrowError> {
        match self.ledger.make_deposit(deposit).await? {
            Known::Other { reason } => {
                tracing::error!(posting = %deposit.charge, %reason, rule = "L2", "a charge cannot be written down");
                Err(LedgerError::PostingConflict { id: deposit.charge.clone(), differs: reason }.into())
            }
            Known::OtherContract { reason } => Err(without_place(deposit, reason)),
            // Another movement made the sum too large between the check and here (E15).
            Known::Refused { rule, reason } => self.refused(deposit, rule, reason).await,
            known => Ok(known),
        }
    }

    /// Refuses a deposit. If it was charged all the same, by an earlier build or beside another movement, the charge
    /// goes back to its billing method, because it can never be put in escrow. The ledger has neither the charge nor
    /// the refund.
    async fn refused(&self, deposit: &Deposit, rule: Rule, reason: String) -> Result<Known, EscrowError> {
        if let Some(charged) = self.gateway.look_up(&deposit.charge).await?
            && charged.declined.is_none()
            && let Request::Charge(charge) = charged.request
        {
            tracing::warn!(charge = %deposit.charge, %rule, "a charge that cannot be put in escrow goes back to its source");
            let Charge { source, currency, amount } = charge;
            let refund = Refund { charge: deposit.charge.clone(), source, currency, amount };
            recourse_payments::once(self.gateway.as_ref(), &back(deposit), &Request::Refund(refund)).await?;
        }
        self.ledger.give_up_deposit(deposit, None).await?;
        Ok(Known::Refused { rule, reason })
    }

    /// Whether an earlier try, whose answer was lost, refused the deposit and gave its charge back.
    async fn went_back(&self, deposit: &Deposit) -> Result<bool, EscrowError> {
        Ok(self.gateway.look_up(&back(deposit)).await?.is_some())
    }

    /// Checks that a deposit for another contract than the pinned one was not charged, so that the answer can be a
    /// conflict. It was charged if the first deposit came between its check and its posting: then it is a charge
    /// without a place at every try.
    async fn not_charged(&self, deposit: &Deposit, reason: String) -> Result<Known, EscrowError> {
        match self.gateway.look_up(&deposit.charge).await? {
            Some(found) if found.declined.is_none() => Err(without_place(deposit, reason)),
            _ => Ok(Known::OtherContract { reason }),
        }
    }
}

/// The provider's key of the refund of a charge that is not put in escrow.
fn back(deposit: &Deposit) -> String {
    format!("{}/back", deposit.charge)
}

fn without_place(deposit: &Deposit, reason: String) -> EscrowError {
    tracing::error!(posting = %deposit.charge, %reason, rule = "E1", "a charge cannot be written down");
    EscrowError::ChargeWithoutPlace { charge: deposit.charge.clone(), reason }
}
