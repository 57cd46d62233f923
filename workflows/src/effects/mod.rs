//! The declared side effects: the only door from a case to the world.
//!
//! Each is an activity that the `activities` crate implements; a type that differs there does not compile. Every
//! effect may be run any number of times and acts once: its ids derive from the case and the step (L2, L6, N2).
//! Nothing here decides anything: an effect gets what was decided, or reads what is there.

mod declared;
mod money;
mod told;

pub use declared::{
    ChargeFeeDef, DeliverDef, DepositDef, Escrow, GiveUpDef, Notices, OpenDef, PayBonusDef, ReturnPaymentDef,
    SettleDef, TellDef, Webhooks,
};
pub use money::{
    BonusOrder, BonusReceipt, DepositOrder, DepositReceipt, FeeOrder, FeeReceipt, HeldByOther, HoldRequest, OpenCase,
    OpenReceipt, OpenedCase, PaidOut, ReturnOrder, ReturnReceipt, RunningReview, Settled, Settlement,
};
pub use told::{DeliveryOrder, DeliveryReceipt, NoticesStored, Tell};
