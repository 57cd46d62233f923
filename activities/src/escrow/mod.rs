//! The effects that move money: they ask the payment provider first, then the ledger (L6).

mod bonus;
mod deposit;
mod retries;
mod returns;

use std::sync::Arc;

use jiff::Timestamp;
use recourse_domain::{
    fee,
    ids::Id,
    money::{Amount, Currency},
    party::Contract,
    posting::{Account, Close, Movement, PostingKind},
    rule::Rule,
};
use recourse_workflows::effects::{FeeOrder, FeeReceipt, Settled, Settlement};
use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

pub use retries::{Effect, Retries};

use recourse_database::in_time;
use recourse_ledger::{GivenBack, Ledger, LedgerError, Order, Posting};
use recourse_payments::{Charge, Did, GatewayError, PaymentGateway, Refund, Request};

/// The effects that move money.
#[derive(Debug, Clone)]
pub struct EscrowActivities {
    ledger: Ledger,
    gateway: Arc<dyn PaymentGateway>,
    retries: Retries,
}

/// Why an effect did not happen. Each is retried, and recognises then what it has done so far.
#[derive(Debug, thiserror::Error)]
pub enum EscrowError {
    /// The ledger refused, or did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The payment provider gave no final answer.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// E1: another deposit gave the contract to other parties while this one was charged. An operator must look.
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

/// One movement to carry out: what the provider does, if anything, and what the ledger posts.
struct Leg {
    posting: Posting,
    give_back: Option<GiveBack>,
}

/// What goes back through the provider, and when it should have settled (R8).
struct GiveBack {
    refund: Refund,
    expected_by: Timestamp,
}

impl EscrowActivities {
    /// Moves money through `gateway` and posts it in `ledger`.
    pub fn new(ledger: Ledger, gateway: Arc<dyn PaymentGateway>) -> Self {
        Self { ledger, gateway, retries: Retries::default() }
    }

    /// How often effects were retried, for the metrics.
    pub fn retries(&self) -> Retries {
        self.retries.clone()
    }

    /// Carries out an effect; Temporal retries it if it fails. It ends even if its connection to the database goes
    /// silent.
    async fn done<T>(
        &self,
        effect: Effect,
        ctx: &ActivityContext,
        work: impl Future<Output = Result<T, EscrowError>>,
    ) -> Result<T, ActivityError> {
        let info = ctx.info();
        self.retries.tried(effect, info.attempt);
        in_time(work, |late| LedgerError::from(late).into()).await.map_err(|error| {
            self.retries.failed(effect, info.workflow_id.as_deref().unwrap_or_default(), info.attempt, &error);
            retryable(error)
        })
    }

    /// Moves money as decided, each movement once and in the order given (R7).
    ///
    /// # Errors
    /// If the ledger refuses, or it is not known whether a refund went through. What has moved stays moved, and is
    /// recognised at the next try.
    pub async fn carry_out(&self, order: &Settlement) -> Result<Settled, EscrowError> {
        let legs: Vec<Leg> = order.movements.iter().filter_map(|movement| leg(order, movement)).collect();
        // Without the provider, the check and the postings are in one transaction.
        if legs.iter().all(|leg| leg.give_back.is_none()) {
            let postings: Vec<Posting> = legs.into_iter().map(|leg| leg.posting).collect();
            let settled = Settled { postings: postings.iter().map(|posting| posting.id.clone()).collect() };
            let (case_ref, contract) = (order.case_ref.clone(), order.contract.clone());
            self.ledger.settle(Order { case_ref, contract, postings, close: order.close.clone() }).await?;
            return Ok(settled);
        }
        let postings: Vec<&Posting> = legs.iter().map(|leg| &leg.posting).collect();
        let made = self.ledger.made(&order.case_ref, &order.contract, &postings).await?;
        let mut batch: Vec<&Posting> = Vec::new();
        let mut close = order.close.as_ref();
        for (place, (leg, made)) in legs.iter().zip(made).enumerate() {
            let Some(give_back) = leg.give_back.as_ref().filter(|_| !made) else {
                batch.push(&leg.posting);
                continue;
            };
            if !batch.is_empty() {
                self.ledger.post(&order.case_ref, &batch, None).await?;
                batch.clear();
            }
            // Each refund is posted at once and not in a transaction at the end: until then, only the provider knows
            // of it.
            let last = place + 1 == legs.len();
            let close = if last { close.take() } else { None };
            self.give_back(&order.case_ref, &order.contract, &leg.posting, give_back, close).await?;
        }
        if close.is_some() || !batch.is_empty() {
            self.ledger.post(&order.case_ref, &batch, close).await?;
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
            payment: None,
            available_at: None,
        };
        if self.is_anothers(order, &posting).await? {
            let reason = format!("the billing method {} is somebody else's, as far as is known here", order.source);
            return Ok(FeeReceipt::Declined { reason });
        }
        Ok(match self.charge_and_post(&order.case_ref, &order.contract, &order.source, &posting).await? {
            Ok(()) => FeeReceipt::Paid { charge: posting.id },
            Err(reason) => FeeReceipt::Declined { reason },
        })
    }

    /// Whether the share would be charged to somebody else's billing method, and has not been charged already.
    async fn is_anothers(&self, order: &FeeOrder, posting: &Posting) -> Result<bool, EscrowError> {
        let used_by = self.ledger.users_of(&order.source).await?;
        Ok(fee::is_anothers(&used_by, order.party, &order.contract)
            && !self.ledger.made(&order.case_ref, &order.contract, &[posting]).await?.contains(&true)
            && self.gateway.look_up(&posting.id).await?.is_none())
    }

    /// Charges what `posting` says under its id and posts it, once; returns the provider's reason if it declined.
    async fn charge_and_post(
        &self,
        case_ref: &str,
        contract: &Contract,
        source: &Id,
        posting: &Posting,
    ) -> Result<Result<(), String>, EscrowError> {
        if posting.amount.is_zero() {
            return Err(EscrowError::NothingToCharge { id: posting.id.clone() });
        }
        let made = self.ledger.made(case_ref, contract, &[posting]).await?;
        if made.contains(&true) {
            return Ok(Ok(()));
        }
        if let Some(reason) = self.ledger.too_large(posting).await? {
            return Ok(Err(reason));
        }
        match self.charge(&posting.id, source, posting.currency, posting.amount).await {
            Ok(_) => self.ledger.post(case_ref, &[posting], None).await?,
            Err(GatewayError::Declined { reason, .. }) => return Ok(Err(reason)),
            Err(error) => return Err(error.into()),
        }
        Ok(Ok(()))
    }

    async fn charge(&self, key: &str, source: &Id, currency: Currency, amount: Amount) -> Result<Did, GatewayError> {
        let charge = Charge { source: source.clone(), currency, amount };
        recourse_payments::once(self.gateway.as_ref(), key, &Request::Charge(charge)).await
    }

    /// Gives money back through the provider, posts it, and follows it until it settles. If the provider declines it
    /// for good, the money leaves its account and is parked, because it is decided whose it is (R8). The last refund
    /// also closes the case's hold.
    async fn give_back(
        &self,
        case_ref: &str,
        contract: &Contract,
        posting: &Posting,
        give_back: &GiveBack,
        close: Option<&Close>,
    ) -> Result<(), EscrowError> {
        let GiveBack { refund, expected_by } = give_back;
        let asked = recourse_payments::once(self.gateway.as_ref(), &posting.id, &Request::Refund(refund.clone())).await;
        let declined = match &asked {
            Ok(_) => None,
            Err(GatewayError::Declined { reason, .. }) => Some(reason.as_str()),
            Err(error) => {
                if let GatewayError::KeyReused { key } = error {
                    tracing::error!(posting = %key, rule = "L2", "a refund does not go through; an operator must look");
                }
                asked?;
                None
            }
        };
        let given = GivenBack { contract, charge: &refund.charge, expected_by: *expected_by, declined, close };
        Ok(self.ledger.give_back(case_ref, posting, &given).await?)
    }
}

/// The provider's and the ledger's part of a decided movement. Nothing for a movement of 0.
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
    let give_back = match movement {
        Movement::Release { .. } => None,
        Movement::Refund { source, charge, expected_by, .. }
        | Movement::FeeReturn { source, charge, expected_by, .. } => {
            let (charge, source, currency) = (charge.clone(), source.clone(), order.contract.currency);
            Some(GiveBack { refund: Refund { charge, source, currency, amount: *amount }, expected_by: *expected_by })
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
        payment: None,
        available_at,
    };
    (!amount.is_zero()).then_some(Leg { posting, give_back })
}

/// Every failure is retried: money may be slow, and is never abandoned. The type name lets an operator find it.
fn retryable(error: EscrowError) -> ActivityError {
    let type_name = error.type_name().to_owned();
    ActivityError::application(ApplicationFailure::builder(error).type_name(type_name).build())
}

/// The declared effects, by their names on the task queue.
mod declared {
    #![allow(missing_docs, reason = "the SDK's macro makes constants that have none")]

    use std::sync::Arc;

    use recourse_workflows::effects::{
        BonusOrder, BonusReceipt, ChargeFeeDef, DepositDef, DepositOrder, DepositReceipt, FeeOrder, FeeReceipt,
        OpenCase, OpenDef, OpenReceipt, PayBonusDef, ReturnOrder, ReturnPaymentDef, ReturnReceipt, SettleDef, Settled,
        Settlement,
    };
    use temporalio_macros::activities;
    use temporalio_sdk::activities::{ActivityContext, ActivityError};

    use super::{Effect, EscrowActivities};

    #[activities]
    impl EscrowActivities {
        /// Takes a case's money for it (L3).
        #[activity(definition = OpenDef)]
        pub async fn open(
            self: Arc<Self>,
            ctx: ActivityContext,
            order: OpenCase,
        ) -> Result<OpenReceipt, ActivityError> {
            self.done(Effect::Open, &ctx, async { Ok(self.ledger.open(&order).await?) }).await
        }

        /// Charges a billing method and puts the money in escrow (E2).
        #[activity(definition = DepositDef)]
        pub async fn deposit(
            self: Arc<Self>,
            ctx: ActivityContext,
            order: DepositOrder,
        ) -> Result<DepositReceipt, ActivityError> {
            self.done(Effect::Deposit, &ctx, self.make_deposit(&order)).await
        }

        /// Moves money as decided (R7).
        #[activity(definition = SettleDef)]
        pub async fn settle(
            self: Arc<Self>,
            ctx: ActivityContext,
            order: Settlement,
        ) -> Result<Settled, ActivityError> {
            self.done(Effect::Settle, &ctx, self.carry_out(&order)).await
        }

        /// Charges a party's share of the arbitration fee (A1).
        #[activity(definition = ChargeFeeDef)]
        pub async fn charge_fee(
            self: Arc<Self>,
            ctx: ActivityContext,
            order: FeeOrder,
        ) -> Result<FeeReceipt, ActivityError> {
            self.done(Effect::ChargeFee, &ctx, self.take_fee(&order)).await
        }

        /// Charges a bonus and pays it on (E7).
        #[activity(definition = PayBonusDef)]
        pub async fn pay_bonus(
            self: Arc<Self>,
            ctx: ActivityContext,
            order: BonusOrder,
        ) -> Result<BonusReceipt, ActivityError> {
            self.done(Effect::PayBonus, &ctx, self.make_bonus(&order)).await
        }

        /// Takes a payment back and gives it to the billing methods that it came from (P2, P4).
        #[activity(definition = ReturnPaymentDef)]
        pub async fn return_payment(
            self: Arc<Self>,
            ctx: ActivityContext,
            order: ReturnOrder,
        ) -> Result<ReturnReceipt, ActivityError> {
            self.done(Effect::ReturnPayment, &ctx, self.take_back(&order)).await
        }
    }
}

#[cfg(test)]
mod tests;
