//! Which deposits Recourse may charge, and their outcomes (E1, E2, E6, E12).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ids::Id,
    money::Amount,
    notice::{Facts, Notice, NoticeEvent},
    outcome::{DecidedBy, Outcome, ResultKind},
    party::{Contract, Role},
    rule::Rule,
};

/// A billing method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a billing method: an object with `id` and `verified`")]
pub struct Source {
    /// Its id at the payment provider.
    pub id: Id,
    /// Whether the platform has verified it. Money from an unverified one would not be protected.
    pub verified: bool,
}

/// Whether Recourse may charge `amount` to `source` for this contract.
///
/// # Errors
/// The refused outcome, with the rule. Nothing was charged.
pub fn check(contract: &Contract, amount: Amount, source: &Source) -> Result<(), Outcome> {
    contract.check().map_err(|(rule, reason)| Outcome::refused(rule, format!("contract: {reason}")))?;
    if amount.is_zero() {
        return Err(Outcome::refused(Rule::E2, "amount: a deposit is more than 0"));
    }
    if !source.verified {
        let reason =
            format!("source: {} is not verified, so the deposit would not be protected; verify it first", source.id);
        return Err(Outcome::refused(Rule::E2, reason));
    }
    Ok(())
}

/// The money is in escrow: the `charged` amount, and `from_held` from money held over (E2, E6). Both parties get a notice.
pub fn made(charged: Amount, from_held: Amount, held: Amount) -> (Outcome, Vec<Notice>) {
    let rule = if from_held.is_zero() { Rule::E2 } else { Rule::E6 };
    let outcome = Outcome::without_money(ResultKind::Deposited, DecidedBy::Rule, rule);
    let amount = charged.plus(from_held).unwrap_or(charged);
    let facts = Facts { amount: Some(amount), held: Some(held), ..Facts::default() };
    let notices = Role::PARTIES.map(|to| notice(to, NoticeEvent::Deposited, facts.clone())).to_vec();
    (Outcome { charged: Some(charged), from_held: Some(from_held), held: Some(held), ..outcome }, notices)
}

/// The payment provider declined the charge of `amount`: nothing is deposited (E2). The client gets a notice.
pub fn declined(amount: Amount, reason: String) -> (Outcome, Vec<Notice>) {
    let outcome = Outcome::without_money(ResultKind::Declined, DecidedBy::Rule, Rule::E2);
    let facts = Facts { amount: Some(amount), text: Some(reason.clone()), ..Facts::default() };
    (Outcome { message: Some(reason), ..outcome }, vec![notice(Role::Client, NoticeEvent::DepositDeclined, facts)])
}

/// Another deposit has this id. Nothing was charged (L2).
pub fn conflicts(reason: String) -> (Outcome, Vec<Notice>) {
    (Outcome::refused(Rule::L2, reason), Vec::new())
}

/// A rule forbids the deposit: somebody would be on both sides (E14), or a sum would exceed the largest amount (E15).
pub fn refused(rule: Rule, reason: String) -> (Outcome, Vec<Notice>) {
    (Outcome::refused(rule, reason), Vec::new())
}

/// Why a deposit of `amount` would make a sum too large; `sums` are the present balances of the accounts it reaches (E15).
pub fn out_of_range(amount: Amount, sums: &[Amount]) -> Option<String> {
    sums.iter().any(|sum| sum.plus(amount).is_none()).then(|| {
        "amount: with it a sum would be larger than the largest amount that can be kept; nothing was charged".to_owned()
    })
}

fn notice(to: Role, event: NoticeEvent, facts: Facts) -> Notice {
    let number = if to == Role::Client { 1 } else { 2 };
    let by = Some(Role::Client);
    let (can, email) = (Vec::new(), event.by_email());
    Notice { number, event, to, by, rule: Rule::E2, email, can, deadline: None, if_silent: None, facts }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(minor: i64) -> Amount {
        Amount::new(minor).unwrap()
    }

    /// E2, E6: both parties get a notice of a deposit, only the client of a declined one, and nobody of a refused one.
    #[test]
    fn a_deposits_outcome_says_what_was_charged_and_drawn() {
        let (outcome, notices) = made(amount(70), amount(30), amount(500));
        let parts = [outcome.charged, outcome.from_held, outcome.held].map(|amount| amount.unwrap().minor());
        assert_eq!((outcome.result, outcome.rule, parts), (ResultKind::Deposited, Rule::E6, [70, 30, 500]));
        assert_eq!(notices.iter().map(|notice| notice.to).collect::<Vec<_>>(), Role::PARTIES);
        assert_eq!(notices[0].facts.amount, Some(amount(100)));
        assert_eq!(made(amount(70), Amount::ZERO, amount(70)).0.rule, Rule::E2);
        let (outcome, notices) = declined(amount(70), "card expired".into());
        assert_eq!((outcome.result, outcome.message.as_deref()), (ResultKind::Declined, Some("card expired")));
        assert_eq!(notices.iter().map(|notice| notice.to).collect::<Vec<_>>(), [Role::Client]);
        let (outcome, notices) = conflicts("another amount".into());
        assert_eq!((outcome.result, notices.len()), (ResultKind::Refused, 0));
    }
}
