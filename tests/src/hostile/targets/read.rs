//! Messages of programs: commands and starts. No message may fail a workflow task, so nothing may panic here.

use std::fmt::Debug;

use jiff::Timestamp;
use recourse_domain::{
    command::{COMMAND_BYTES_MAX, CommandKind, Message},
    deposit,
    dispute::DisputeCase,
    messages::{
        DisputeStart, EscrowDepositStart, MilestoneReviewStart, PaymentRefundStart, RefundRequestStart, Status,
    },
    milestone_review::MilestoneReviewCase,
    payment_refund::PaymentRefundCase,
    refund_request::RefundRequestCase,
};
use recourse_workflows::messages;
use serde::{Serialize, de::DeserializeOwned};
use temporalio_common::{data_converters::RawValue, protos::temporal::api::common::v1::Payload};

use super::{Bytes, kept, plain, wire};

/// The first byte chooses the command; the rest is its JSON.
pub fn commands(data: &[u8]) {
    let mut bytes = Bytes(data);
    let command_kind = bytes.one_of(&CommandKind::ALL);
    match Message::read(command_kind, bytes.0) {
        Ok(message) => {
            assert_eq!(message.command.command_kind(), command_kind);
            kept(&message);
            let written = wire::of(&message);
            if written.len() <= COMMAND_BYTES_MAX {
                assert_eq!(Message::read(command_kind, &written), Ok(message));
            }
        }
        Err(unreadable) => plain(&unreadable.reason),
    }
}

/// The first byte chooses the start, the second its wrapping; the rest is its JSON.
pub fn starts(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (kind, wrapped) = (bytes.byte() % 5, bytes.byte());
    let raw = RawValue::new(payloads(wrapped, bytes.0));
    let now = Timestamp::from_second(1_793_534_400).expect("an instant");
    match kind {
        0 => deposited(&raw),
        1 => {
            if let Some(start) = read::<RefundRequestStart>(&raw) {
                begun(&RefundRequestCase::begin("refund-request:c-1".into(), start, now));
            }
        }
        2 => {
            if let Some(start) = read::<DisputeStart>(&raw) {
                begun(&DisputeCase::begin("dispute:c-1".into(), start, now));
            }
        }
        3 => {
            if let Some(start) = read::<MilestoneReviewStart>(&raw) {
                begun(&MilestoneReviewCase::begin("milestone-review:c-1:m-1".into(), start, now));
            }
        }
        _ => {
            if let Some(start) = read::<PaymentRefundStart>(&raw) {
                begun(&PaymentRefundCase::begin("payment-refund:refund-request:c-1/release".into(), start, now));
            }
        }
    }
}

/// Mostly one correct JSON payload; and everything else that a client can send.
fn payloads(wrapped: u8, data: &[u8]) -> Vec<Payload> {
    let encoded = |encoding: Option<&[u8]>| Payload {
        metadata: encoding.map(|encoding| ("encoding".to_owned(), encoding.to_vec())).into_iter().collect(),
        data: data.to_vec(),
        ..Payload::default()
    };
    match wrapped {
        250 => Vec::new(),
        251 => vec![encoded(Some(b"json/plain")), encoded(Some(b"json/plain"))],
        252 => vec![encoded(None)],
        253 => vec![encoded(Some(b"binary/null"))],
        254 => vec![encoded(Some(b"json/protobuf"))],
        255 => vec![encoded(Some(data))],
        _ => vec![encoded(Some(b"json/plain"))],
    }
}

fn read<T: Serialize + DeserializeOwned + PartialEq + Debug>(raw: &RawValue) -> Option<T> {
    match messages::read::<T>(raw) {
        Ok(start) => {
            kept(&start);
            Some(start)
        }
        Err(unreadable) => {
            plain(&unreadable.reason);
            None
        }
    }
}

fn deposited(raw: &RawValue) {
    let Some(start) = read::<EscrowDepositStart>(raw) else { return };
    if let Err(refused) = deposit::check(&start.contract, start.amount, &start.source) {
        plain(refused.message.as_deref().unwrap_or_default());
    }
}

fn begun<C: recourse_domain::case::Case + Serialize + DeserializeOwned + PartialEq + Debug>(case: &C) {
    kept(case);
    kept(&Status::of(case));
    assert_eq!(case.is_decided(), case.outcome().is_some(), "a start is refused, or waits for what is held");
    if let Some(refused) = case.outcome() {
        plain(refused.message.as_deref().unwrap_or_default());
    }
}
