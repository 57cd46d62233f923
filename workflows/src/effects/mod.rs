//! The declared effects: a case reaches the outside only through them.
//!
//! Each is an activity that the `activities` crate implements; a type that differs there does not compile. However often
//! an effect runs, it acts once: its ids derive from the case and the step (L2, L6, N2).
//! Effects decide nothing: an effect carries out a decision, or reads the ledger.

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
