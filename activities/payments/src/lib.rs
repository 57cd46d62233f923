//! Payment providers: the interface through which real money moves (L6).
//!
//! The effects make a call with an idempotency key, before they post its ledger movement. If they do not know how a
//! call ended, they look the key up, or ask again with the same key; nobody guesses.
//!
//! [`Payments`] says which provider is used; every program asks it, so that there is no second way. [`SandboxBank`]
//! moves no real money; [`StripeGateway`] does.

mod choice;
mod sandbox;
mod stripe;

use std::fmt;

use async_trait::async_trait;
use recourse_domain::{
    ids::Id,
    money::{Amount, Currency},
};

pub use choice::{Hidden, Payments, PaymentsError};
pub use sandbox::{Fault, PlannedFault, SandboxBank, SandboxError};
pub use stripe::{CallbackError, StripeCallbacks, StripeGateway, StripeSettings};

/// A payment provider.
#[async_trait]
pub trait PaymentGateway: fmt::Debug + Send + Sync {
    /// Charges a billing method, once per `key`.
    ///
    /// # Errors
    /// [`GatewayError::Declined`]: no money moved, and none will under this key. [`GatewayError::Unavailable`]: money
    /// may have moved; look the key up, or ask again with the same key. [`GatewayError::KeyReused`]: nothing was done.
    async fn charge(&self, key: &str, charge: &Charge) -> Result<(), GatewayError>;

    /// Gives a charge back, in whole or in part, once per `key`.
    ///
    /// # Errors
    /// As [`PaymentGateway::charge`].
    async fn refund(&self, key: &str, refund: &Refund) -> Result<(), GatewayError>;

    /// Pays money to a destination that it was not charged to, once per `key`: for a refund that did not reach its
    /// billing method (R8).
    ///
    /// # Errors
    /// As [`PaymentGateway::charge`].
    async fn pay_out(&self, key: &str, pay_out: &PayOut) -> Result<(), GatewayError>;

    /// What the provider did under `key`, and for a refund its state; nothing if the provider never acted on the key.
    ///
    /// # Errors
    /// [`GatewayError::Unavailable`]: ask again.
    async fn look_up(&self, key: &str) -> Result<Option<GatewayMovement>, GatewayError>;
}

/// Money to take from a billing method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The billing method.
    pub source: Id,
    /// The currency of `amount`.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
}

/// Money to give back to a billing method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The key of the charge that it goes back to.
    pub charge: String,
    /// The billing method.
    pub source: Id,
    /// The currency of `amount`.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
}

/// Money to pay to a destination that it was not charged to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayOut {
    /// The destination: a billing method or a bank account, by its id at the provider.
    pub to: Id,
    /// The currency of `amount`.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
}

/// What was asked of a provider under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A charge.
    Charge(Charge),
    /// A refund.
    Refund(Refund),
    /// A payment to a destination that it was not charged to.
    PayOut(PayOut),
}

impl Request {
    /// The billing method that is charged, or the destination.
    pub const fn source(&self) -> &Id {
        match self {
            Self::Charge(charge) => &charge.source,
            Self::Refund(refund) => &refund.source,
            Self::PayOut(pay_out) => &pay_out.to,
        }
    }

    /// The currency of its amount.
    pub const fn currency(&self) -> Currency {
        match self {
            Self::Charge(charge) => charge.currency,
            Self::Refund(refund) => refund.currency,
            Self::PayOut(pay_out) => pay_out.currency,
        }
    }

    /// How much.
    pub const fn amount(&self) -> Amount {
        match self {
            Self::Charge(charge) => charge.amount,
            Self::Refund(refund) => refund.amount,
            Self::PayOut(pay_out) => pay_out.amount,
        }
    }
}

/// The state of money that a provider accepted to move (R8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// It is on its way. Only refunds have this state.
    Pending,
    /// It has arrived. Final.
    Settled,
    /// It came back to the provider. Final.
    Failed {
        /// The provider's reason.
        reason: String,
    },
}

/// What a provider did under one key. The request, and whether it was declined, are final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayMovement {
    /// The idempotency key.
    pub key: String,
    /// The request.
    pub request: Request,
    /// Why it was declined; nothing if the provider accepted it.
    pub declined: Option<String>,
    /// Its state, if it was not declined.
    pub arrival: Arrival,
}

/// Why a provider did not confirm a movement.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The provider declined it. Final for this key: no money moved.
    #[error("the payment provider declined {key}: {reason}")]
    Declined {
        /// The idempotency key.
        key: String,
        /// The provider's reason.
        reason: String,
    },
    /// Nobody knows whether the money moved: a lost connection, a timeout. Ask again with the same key.
    #[error("the payment provider gave no answer to {key}")]
    Unavailable {
        /// The idempotency key.
        key: String,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The key was used before with other content. This call did nothing.
    #[error("the payment provider knows {key} with other content")]
    KeyReused {
        /// The idempotency key.
        key: String,
    },
}

impl GatewayError {
    /// The kind of error, as a name in a workflow's history.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Declined { .. } => "PaymentDeclined",
            Self::Unavailable { .. } => "PaymentUnknown",
            Self::KeyReused { .. } => "PaymentKeyReused",
        }
    }
}

/// When the provider did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// In this call.
    Now,
    /// In an earlier call with the same key: this is a retry.
    Before,
}

/// Makes the provider act once: looks the key up first, since this may be a retry after a lost answer (L6).
///
/// # Errors
/// As [`PaymentGateway::charge`].
#[tracing::instrument(name = "payment provider", skip_all, fields(key))]
pub async fn once(gateway: &dyn PaymentGateway, key: &str, request: &Request) -> Result<Did, GatewayError> {
    if let Some(found) = gateway.look_up(key).await? {
        if found.request != *request {
            return Err(GatewayError::KeyReused { key: key.to_owned() });
        }
        return match found.declined {
            Some(reason) => Err(GatewayError::Declined { key: key.to_owned(), reason }),
            None => Ok(Did::Before),
        };
    }
    match request {
        Request::Charge(charge) => gateway.charge(key, charge).await,
        Request::Refund(refund) => gateway.refund(key, refund).await,
        Request::PayOut(pay_out) => gateway.pay_out(key, pay_out).await,
    }?;
    Ok(Did::Now)
}
