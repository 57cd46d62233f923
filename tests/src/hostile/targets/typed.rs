//! What people type: files, amounts, names. People see their own mistakes, so a message may repeat what they typed, but has no
//! control character that they did not type.

use std::path::Path;

use jiff::Timestamp;
use recourse_client::{CaseId, check_command};
use recourse_domain::{
    claim::{ClaimReason, RejectionReason},
    command::CommandKind,
    ids::{Id, PaymentId},
    money::{AMOUNT_MAX, Amount, Currency},
    party::{Contract, Role},
    policy::WINDOW_DAYS_MAX,
    split::Split,
};
use recourse_starter::{files::Text, policy, values};
use serde_json::Value;

use super::{Bytes, REFUSAL_BYTES_MAX, kept, plain};

/// The first byte chooses the kind of file and its format; the rest is its text.
pub fn files(data: &[u8]) {
    let mut bytes = Bytes(data);
    let choice = bytes.byte();
    let Ok(text) = std::str::from_utf8(bytes.0) else { return };
    let path = Path::new(if choice & 1 == 0 { "file.json" } else { "file.toml" });
    let file = Text::new(path, text.to_owned());
    if choice & 2 == 0 {
        match file.parse::<Contract>() {
            Ok(contract) => {
                kept(&contract);
                if let Err((_, reason)) = contract.check() {
                    plain(&reason);
                }
            }
            Err(failure) => plain(&failure.message),
        }
        return;
    }
    match policy::checked(&file) {
        Ok(policy) => {
            kept(&policy);
            let now = Timestamp::from_second(1_793_534_400).expect("an instant");
            for (name, window) in policy.windows() {
                assert!((1..=WINDOW_DAYS_MAX).contains(&window.days), "T3: {name}: {window}");
                let length = policy.deadline(window, now).duration_since(now).as_hours();
                assert!(length >= i64::from(window.days) * 24, "{name}: {window} is {length} hours");
            }
        }
        Err(failure) => plain(&failure.message),
    }
}

/// The first byte chooses the currency; the rest is the amount as people type it, as programs write it, and as two numbers.
pub fn amounts(data: &[u8]) {
    let mut bytes = Bytes(data);
    let currency = Currency::from_code(bytes.one_of(&["USD", "JPY", "KWD", "CLF", "XAU"])).expect("a currency");
    let (numbers, text) = (bytes.0.split_at_checked(16), String::from_utf8_lossy(bytes.0));
    match currency.parse(&text) {
        Ok(amount) => {
            sound(amount, currency);
            assert!(text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'), "{text:?}");
        }
        Err(error) => told(&error.to_string(), &text),
    }
    if let Ok(amount) = serde_json::from_str::<Amount>(&text) {
        sound(amount, currency);
        kept(&amount);
    }
    if let Ok(currency) = Currency::from_code(&text) {
        kept(&currency);
    }
    let Some((numbers, _)) = numbers else { return };
    let number = |half: &[u8]| i64::from_le_bytes(half.try_into().expect("eight bytes"));
    let numbers = [number(&numbers[..8]), number(&numbers[8..])].map(Amount::new);
    if let [Ok(a), Ok(b)] = numbers {
        sound(a, currency);
        let sum = i128::from(a.minor()) + i128::from(b.minor());
        assert_eq!(a.plus(b).map(|sum| i128::from(sum.minor())), (sum <= AMOUNT_MAX.into()).then_some(sum));
        assert_eq!(a.minus(b).is_some(), a >= b);
        match Split::of(a, b, currency) {
            Ok(split) => assert_eq!(split.to_freelancer.plus(split.to_client), Some(a), "the parts add up"),
            Err(error) => plain(&error.to_string()),
        }
    }
}

fn sound(amount: Amount, currency: Currency) {
    assert!((0..=AMOUNT_MAX).contains(&amount.minor()));
    let shown = currency.number(amount);
    assert_eq!(currency.parse(&shown.replace(',', "")), Ok(amount), "{shown}");
}

/// Every name, id, length and choice that can be typed.
pub fn words(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    let refused = |error: String| told(&error, text);
    match values::actor(text) {
        Ok(actor) => {
            kept(&actor);
            assert_eq!(format!("{}:{}", actor.party, actor.id), text);
        }
        Err(error) => refused(error),
    }
    match values::payee(text) {
        Ok(account) => assert_eq!(account.to_string(), text),
        Err(error) => refused(error),
    }
    match values::length(text) {
        Ok(length) => assert!(!length.is_zero()),
        Err(error) => refused(error),
    }
    let names: [Result<String, String>; 3] = [
        values::id(text).inspect(|id: &Id| kept(id)).map(|id| id.to_string()),
        values::payment(text).inspect(|id: &PaymentId| kept(id)).map(|id| id.to_string()),
        values::role(text).inspect(|role: &Role| kept(role)).map(|role| role.to_string()),
    ];
    for name in names {
        match name {
            Ok(name) => assert_eq!(name, text),
            Err(error) => refused(error),
        }
    }
    for failure in [
        values::named::<ClaimReason>("reason", text).err(),
        values::named::<RejectionReason>("reason", text).err(),
        values::named::<Value>("anything", text).err(),
    ]
    .into_iter()
    .flatten()
    {
        refused(failure.message);
    }
    match CaseId::read(text) {
        Ok(case) => {
            assert!(text.contains(case.contract.as_str()), "{text} is about {}", case.contract);
            assert!(text.starts_with(&case.kind.name().replace('_', "-")), "{text} is a {:?}", case.kind);
            for command_kind in CommandKind::ALL {
                if let Err(error) = check_command(text, command_kind) {
                    assert!(error.to_string().starts_with("NotAllowed: "), "{error}");
                }
            }
        }
        Err(error) => refused(error.to_string()),
    }
}

/// A message about a mistake is short, and has no control character that was not typed.
fn told(error: &str, typed: &str) {
    assert!(!error.is_empty() && error.len() <= REFUSAL_BYTES_MAX, "{} bytes: {error:.200}", error.len());
    assert!(error.chars().all(|letter| !letter.is_control() || typed.contains(letter)), "{error:?}");
}
