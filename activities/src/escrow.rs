//! The money's side of the effects: the payment provider first, then the ledger (L6).

use std::sync::Arc;

use recourse_workflows::{
    domain::{
        ids::Id,
        money::{Amount, Currency},
        posting::{Account, Movement, PostingKind},
        rule::Rule,
    },
    effects::{DepositOrder, DepositReceipt, FeeOrder, FeeReceipt, Settled, Settlement},
};
use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::ActivityError;

use crate::{
    ledger::{Deposit, Known, Ledger, LedgerError, Posting},
    payments::{self, Charge, GatewayError, PaymentGateway, Refund, Request},
};

/// The effects that move money.
#[derive(Debug, Clone)]
pub struct EscrowActivities {
    ledger: Ledger,
    gateway: Arc<dyn PaymentGateway>,
}

/// Why an effect did not happen. Each is asked again: what it did so far is recognised then.
#[derive(Debug, thiserror::Error)]
pub enum EscrowError {
    /// The ledger refused, or could not be asked.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The payment provider gave no answer that settles the question.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// E1: money was charged while another deposit made the contract somebody else's. An operator must look.
    #[error("{charge} was charged and cannot be put in escrow: {reason}")]
    ChargeWithoutPlace {
        /// The payment provider's key of the charge.
        charge: String,
        /// What differs.
        reason: String,
    },
    /// The effect asks to charge nothing.
    #[error("{id} would charge nothing")]
    NothingToCharge {
        /// The posting.
        id: String,
    },
}

impl EscrowError {
    const fn type_name(&self) -> &'static str {
        match self {
            Self::Ledger(error) => error.type_name(),
            Self::Gateway(error) => error.type_name(),
            Self::ChargeWithoutPlace { .. } => "ChargeWithoutPlace",
            Self::NothingToCharge { .. } => "NothingToCharge",
        }
    }
}

/// One movement as it is carried out: what the provider does, if anything, and what the ledger writes down.
struct Leg {
    posting: Posting,
    refund: Option<Request>,
}

impl EscrowActivities {
    /// Moves money through `gateway` and writes it down in `ledger`.
    pub const fn new(ledger: Ledger, gateway: Arc<dyn PaymentGateway>) -> Self {
        Self { ledger, gateway }
    }

    /// Charges a billing method and puts the money in escrow, once (E2).
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
        let known = match self.ledger.find_deposit(&deposit).await? {
            Known::New => {
                match self.charge(&deposit.charge, &order.source, order.contract.currency, order.amount).await {
                    Ok(()) => self.put_in_escrow(&deposit).await?,
                    Err(GatewayError::Declined { reason, .. }) => return Ok(DepositReceipt::Declined { reason }),
                    Err(GatewayError::KeyReused { .. }) => Known::Other {
                        reason: format!(
                            "deposit {} was tried before with another amount or source; use another deposit id",
                            order.deposit
                        ),
                    },
                    Err(error) => return Err(error.into()),
                }
            }
            Known::OtherContract { reason } => self.not_charged(&deposit, reason).await?,
            known => known,
        };
        Ok(match known {
            Known::Made { held } => DepositReceipt::Deposited { charged: order.amount, from_held: Amount::ZERO, held },
            Known::Other { reason } | Known::OtherContract { reason } => DepositReceipt::Conflict { reason },
            Known::New => return Err(LedgerError::Damaged { what: deposit.charge, field: "deposit" }.into()),
        })
    }

    /// Writes a charge down. One that another deposit's content stands in the way of is money without a place: it
    /// stays visible as a failing effect until an operator has looked.
    async fn put_in_escrow(&self, deposit: &Deposit) -> Result<Known, EscrowError> {
        match self.ledger.make_deposit(deposit).await? {
            Known::Other { reason } => {
                tracing::error!(posting = %deposit.charge, %reason, rule = "L2", "a charge cannot be written down");
                Err(LedgerError::PostingConflict { id: deposit.charge.clone(), differs: reason }.into())
            }
            Known::OtherContract { reason } => Err(without_place(deposit, reason)),
            known => Ok(known),
        }
    }

    /// That a deposit for another contract than the pinned one was not charged, so that it can be answered with a
    /// conflict. It was, if the first deposit came between its check and its posting: then it is a charge without a
    /// place, and stays one however often it is asked.
    async fn not_charged(&self, deposit: &Deposit, reason: String) -> Result<Known, EscrowError> {
        match self.gateway.look_up(&deposit.charge).await? {
            Some(found) if found.declined.is_none() => Err(without_place(deposit, reason)),
            _ => Ok(Known::OtherContract { reason }),
        }
    }

    /// Moves money as decided, each movement once and in the order given (R7).
    ///
    /// # Errors
    /// If the ledger refuses, or it is not known whether a refund went through. What moved before stays so, and is
    /// recognised when it is asked again.
    pub async fn carry_out(&self, order: &Settlement) -> Result<Settled, EscrowError> {
        let legs: Vec<Leg> = order.movements.iter().filter_map(|movement| leg(order, movement)).collect();
        let postings: Vec<&Posting> = legs.iter().map(|leg| &leg.posting).collect();
        let made = self.ledger.made(&order.case_ref, &order.contract, &postings).await?;
        let mut batch: Vec<&Posting> = Vec::new();
        for (leg, made) in legs.iter().zip(made) {
            let Some(refund) = leg.refund.as_ref().filter(|_| !made) else {
                batch.push(&leg.posting);
                continue;
            };
            if !batch.is_empty() {
                self.ledger.post(&order.case_ref, &batch, false).await?;
                batch.clear();
            }
            self.give_back(&leg.posting.id, refund).await?;
            // Not left for a common transaction at the end: until it is written down, only the provider knows.
            self.ledger.post(&order.case_ref, &[&leg.posting], false).await?;
        }
        if order.close || !batch.is_empty() {
            self.ledger.post(&order.case_ref, &batch, order.close).await?;
        }
        Ok(Settled { postings: postings.into_iter().map(|posting| posting.id.clone()).collect() })
    }

    /// Charges a party's share of the arbitration fee, once (A1).
    ///
    /// # Errors
    /// As [`EscrowActivities::make_deposit`].
    pub async fn take_fee(&self, order: &FeeOrder) -> Result<FeeReceipt, EscrowError> {
        let posting = Posting {
            id: format!("{}/{}", order.case_ref, order.step),
            at: order.at,
            kind: PostingKind::Fee,
            debit: Account::Source(order.source.clone()),
            credit: Account::Fees,
            currency: order.contract.currency,
            amount: order.amount,
            contract: order.contract.id.clone(),
            case: order.case.clone(),
            rule: Rule::A1,
            deposit: None,
            available_at: None,
        };
        if order.amount.is_zero() {
            return Err(EscrowError::NothingToCharge { id: posting.id });
        }
        let made = self.ledger.made(&order.case_ref, &order.contract, &[&posting]).await?;
        if !made.contains(&true) {
            match self.charge(&posting.id, &order.source, order.contract.currency, order.amount).await {
                Ok(()) => self.ledger.post(&order.case_ref, &[&posting], false).await?,
                Err(GatewayError::Declined { reason, .. }) => return Ok(FeeReceipt::Declined { reason }),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(FeeReceipt::Paid { charge: posting.id })
    }

    async fn charge(&self, key: &str, source: &Id, currency: Currency, amount: Amount) -> Result<(), GatewayError> {
        let charge = Charge { source: source.clone(), currency, amount };
        payments::once(self.gateway.as_ref(), key, &Request::Charge(charge)).await
    }

    async fn give_back(&self, key: &str, refund: &Request) -> Result<(), GatewayError> {
        let given = payments::once(self.gateway.as_ref(), key, refund).await;
        if let Err(error @ (GatewayError::Declined { .. } | GatewayError::KeyReused { .. })) = &given {
            tracing::error!(posting = key, %error, rule = "R8", "a refund does not go through; an operator must look");
        }
        given
    }
}

fn without_place(deposit: &Deposit, reason: String) -> EscrowError {
    tracing::error!(posting = %deposit.charge, %reason, rule = "E1", "a charge cannot be written down");
    EscrowError::ChargeWithoutPlace { charge: deposit.charge.clone(), reason }
}

/// What a decided movement asks of the provider and of the ledger. A movement of nothing is left out.
fn leg(order: &Settlement, movement: &Movement) -> Option<Leg> {
    let escrow = Account::Escrow(order.contract.id.clone());
    let (Movement::Release { step, amount, rule, .. }
    | Movement::Refund { step, amount, rule, .. }
    | Movement::FeeReturn { step, amount, rule, .. }) = movement;
    let (kind, debit, credit, deposit, available_at) = match movement {
        Movement::Release { available_at, .. } => {
            (PostingKind::Release, escrow, Account::payee(&order.contract), None, Some(*available_at))
        }
        Movement::Refund { deposit, source, .. } => {
            (PostingKind::Refund, escrow, Account::Source(source.clone()), Some(deposit.clone()), None)
        }
        Movement::FeeReturn { source, .. } => {
            (PostingKind::FeeReturn, Account::Fees, Account::Source(source.clone()), None, None)
        }
    };
    let refund = match movement {
        Movement::Release { .. } => None,
        Movement::Refund { source, charge, .. } | Movement::FeeReturn { source, charge, .. } => {
            Some(Request::Refund(Refund {
                charge: charge.clone(),
                source: source.clone(),
                currency: order.contract.currency,
                amount: *amount,
            }))
        }
    };
    let posting = Posting {
        id: format!("{}/{step}", order.case_ref),
        at: order.at,
        kind,
        debit,
        credit,
        currency: order.contract.currency,
        amount: *amount,
        contract: order.contract.id.clone(),
        case: order.case.clone(),
        rule: *rule,
        deposit,
        available_at,
    };
    (!amount.is_zero()).then_some(Leg { posting, refund })
}

/// Every failure is asked again: money may be slow, and is never abandoned. The name lets an operator find it.
fn retryable(error: EscrowError) -> ActivityError {
    let type_name = error.type_name().to_owned();
    ActivityError::application(ApplicationFailure::builder(error).type_name(type_name).build())
}

/// The declared effects, by their names on the task queue.
mod declared {
    #![allow(missing_docs, reason = "the SDK's macro makes constants that have none")]

    use std::sync::Arc;

    use recourse_workflows::effects::{
        ChargeFeeDef, DepositDef, DepositOrder, DepositReceipt, FeeOrder, FeeReceipt, OpenCase, OpenDef, OpenReceipt,
        SettleDef, Settled, Settlement,
    };
    use temporalio_macros::activities;
    use temporalio_sdk::activities::{ActivityContext, ActivityError};

    use super::{EscrowActivities, retryable};

    #[activities]
    impl EscrowActivities {
        /// Takes the contract's free escrow for one case (L3).
        #[activity(definition = OpenDef)]
        pub async fn open(self: Arc<Self>, _: ActivityContext, order: OpenCase) -> Result<OpenReceipt, ActivityError> {
            self.ledger.open(&order).await.map_err(|error| retryable(error.into()))
        }

        /// Charges a billing method and puts the money in escrow (E2).
        #[activity(definition = DepositDef)]
        pub async fn deposit(
            self: Arc<Self>,
            _: ActivityContext,
            order: DepositOrder,
        ) -> Result<DepositReceipt, ActivityError> {
            self.make_deposit(&order).await.map_err(retryable)
        }

        /// Moves money as decided (R7).
        #[activity(definition = SettleDef)]
        pub async fn settle(self: Arc<Self>, _: ActivityContext, order: Settlement) -> Result<Settled, ActivityError> {
            self.carry_out(&order).await.map_err(retryable)
        }

        /// Charges a party's share of the arbitration fee (A1).
        #[activity(definition = ChargeFeeDef)]
        pub async fn charge_fee(
            self: Arc<Self>,
            _: ActivityContext,
            order: FeeOrder,
        ) -> Result<FeeReceipt, ActivityError> {
            self.take_fee(&order).await.map_err(retryable)
        }
    }
}

#[cfg(test)]
mod tests;
