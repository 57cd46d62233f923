//! Declarations from which the SDK's macro makes activity types. The `activities` crate has the code that runs.

#![allow(
    missing_docs,
    clippy::unimplemented,
    clippy::needless_pass_by_value,
    reason = "the macro wants exactly this form"
)]

use temporalio_common::ActivityError;
use temporalio_macros::activity_definitions;

use super::{
    BonusOrder, BonusReceipt, DeliveryOrder, DeliveryReceipt, DepositOrder, DepositReceipt, FeeOrder, FeeReceipt,
    NoticesStored, OpenCase, OpenReceipt, ReturnOrder, ReturnReceipt, Settled, Settlement, Tell,
};

/// Effects that move or read money.
pub struct Escrow;

#[activity_definitions]
impl Escrow {
    #[activity(name = "Escrow.open")]
    pub fn open(_: OpenCase) -> Result<OpenReceipt, ActivityError> {
        unimplemented!()
    }

    #[activity(name = "Escrow.deposit")]
    pub fn deposit(_: DepositOrder) -> Result<DepositReceipt, ActivityError> {
        unimplemented!()
    }

    #[activity(name = "Escrow.settle")]
    pub fn settle(_: Settlement) -> Result<Settled, ActivityError> {
        unimplemented!()
    }

    #[activity(name = "Escrow.charge_fee")]
    pub fn charge_fee(_: FeeOrder) -> Result<FeeReceipt, ActivityError> {
        unimplemented!()
    }

    #[activity(name = "Escrow.pay_bonus")]
    pub fn pay_bonus(_: BonusOrder) -> Result<BonusReceipt, ActivityError> {
        unimplemented!()
    }

    #[activity(name = "Escrow.return_payment")]
    pub fn return_payment(_: ReturnOrder) -> Result<ReturnReceipt, ActivityError> {
        unimplemented!()
    }
}

/// Effects that send notices to people.
pub struct Notices;

#[activity_definitions]
impl Notices {
    #[activity(name = "Notices.tell")]
    pub fn tell(_: Tell) -> Result<NoticesStored, ActivityError> {
        unimplemented!()
    }
}

/// Effects that send events to programs.
pub struct Webhooks;

#[activity_definitions]
impl Webhooks {
    #[activity(name = "Webhooks.deliver")]
    pub fn deliver(_: DeliveryOrder) -> Result<DeliveryReceipt, ActivityError> {
        unimplemented!()
    }

    #[activity(name = "Webhooks.give_up")]
    pub fn give_up(_: DeliveryOrder) -> Result<DeliveryReceipt, ActivityError> {
        unimplemented!()
    }
}

pub use escrow::{
    ChargeFee as ChargeFeeDef, Deposit as DepositDef, Open as OpenDef, PayBonus as PayBonusDef,
    ReturnPayment as ReturnPaymentDef, Settle as SettleDef,
};
pub use notices::Tell as TellDef;
pub use webhooks::{Deliver as DeliverDef, GiveUp as GiveUpDef};
