//! Where a contract's money is at the end, and whether it adds up: in itself, and with the movements that its cases report.

use std::collections::BTreeMap;

use recourse_domain::{
    ids::CaseKind,
    money::Amount,
    outcome::{Outcome, ResultKind},
};
use recourse_ledger::{Entry, History};
use serde::Serialize;

/// Money by destination, in minor units of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Money {
    /// Charged into escrow.
    pub deposited: i64,
    /// From escrow to the freelancers and agencies.
    pub released: i64,
    /// From escrow back to the clients, and arrived as far as Recourse knows.
    pub refunded: i64,
    /// Still in escrow.
    pub escrow: i64,
    /// In suspense: refunds, returns and fees that did not arrive.
    pub suspense: i64,
    /// Paid on top of the escrow.
    pub bonuses: i64,
    /// From the freelancers and agencies back to the clients.
    pub returned: i64,
    /// Shares of arbitration fees that were charged and not given back.
    pub fees: i64,
}

/// The movements that a contract's cases report, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    charged: i64,
    released: i64,
    refunded: i64,
    bonuses: i64,
    returned: i64,
}

impl Money {
    /// Adds another contract's, of the same currency.
    pub fn add(&mut self, other: &Self) {
        self.deposited += other.deposited;
        self.released += other.released;
        self.refunded += other.refunded;
        self.escrow += other.escrow;
        self.suspense += other.suspense;
        self.bonuses += other.bonuses;
        self.returned += other.returned;
        self.fees += other.fees;
    }
}

impl Told {
    /// Adds the movements that a case reports. A parent's outcome includes its child's, so only one of them counts.
    pub fn add(&mut self, kind: CaseKind, outcome: &Outcome) {
        match kind {
            CaseKind::EscrowDeposit => self.charged += outcome.charged.map_or(0, Amount::minor),
            CaseKind::PaymentRefund => self.returned += outcome.to_client.minor(),
            CaseKind::RefundRequest | CaseKind::Dispute | CaseKind::MilestoneReview => {
                self.released += outcome.to_freelancer.minor();
                self.refunded += outcome.to_client.minor();
                self.bonuses += if outcome.bonus_failed { 0 } else { outcome.bonus.minor() };
            }
        }
    }
}

/// Whether only its dispute reports this case's movements: the case was superseded while the dispute continued.
pub fn leaves_it_to_the_dispute(outcome: &Outcome) -> bool {
    outcome.result == ResultKind::Superseded
}

/// Where the contract's money is, by its postings.
///
/// # Errors
/// In words, what does not add up: deposits must be released, refunded, in escrow or in suspense, and the cases must report the
/// same.
pub fn settle(history: &History, told: Told) -> Result<Money, String> {
    let kinds: BTreeMap<&str, &str> =
        history.entries.iter().map(|entry| (entry.id.as_str(), entry.kind.as_str())).collect();
    let mut money = Money { escrow: history.balances.escrow, suspense: history.balances.suspense, ..Money::default() };
    let (mut refunds_posted, mut returns_posted, mut parked, mut parked_refunds) = (0, 0, 0, 0);
    for entry in &history.entries {
        match entry.kind.as_str() {
            "deposit" => money.deposited += entry.amount,
            "release" => money.released += entry.amount,
            "bonus" => money.bonuses += entry.amount,
            "refund" => refunds_posted += entry.amount,
            "return" => returns_posted += entry.amount,
            "fee" => money.fees += entry.amount,
            "fee_return" => money.fees -= entry.amount,
            "to_suspense" | "from_suspense" => {
                let change = if entry.kind == "to_suspense" { entry.amount } else { -entry.amount };
                parked += change;
                match parked_kind(entry, &kinds) {
                    Some("refund") => parked_refunds += change,
                    Some("return") => money.returned -= change,
                    Some("fee_return") => {}
                    _ => return Err(format!("{} parks nothing that this contract has", entry.id)),
                }
            }
            other => return Err(format!("{} is a {other}, which nobody knows", entry.id)),
        }
    }
    money.refunded = refunds_posted - parked_refunds;
    money.returned += returns_posted;
    let posted = Told {
        charged: money.deposited,
        released: money.released,
        refunded: refunds_posted,
        bonuses: money.bonuses,
        returned: returns_posted,
    };
    if posted != told {
        return Err(format!("the ledger has {posted:?}, and the cases say {told:?}"));
    }
    if parked != money.suspense {
        return Err(format!("{parked} were parked, and {} are in suspense", money.suspense));
    }
    if money.deposited != money.released + money.refunded + money.escrow + parked_refunds {
        return Err(format!(
            "what was deposited is not where it should be: {money:?}, {parked_refunds} of them parked"
        ));
    }
    Ok(money)
}

/// The kind of the posting that went into suspense, or came out again: the posting whose id this one's begins with.
fn parked_kind<'a>(entry: &Entry, kinds: &BTreeMap<&str, &'a str>) -> Option<&'a str> {
    let (parked, _) = entry.id.rsplit_once('/')?;
    kinds.get(parked).copied()
}

#[cfg(test)]
mod tests {
    use recourse_domain::{outcome::DecidedBy, rule::Rule};
    use recourse_ledger::Balances;

    use super::{super::dice::amount, *};

    fn history(entries: &[(&str, &str, i64)], escrow: i64, suspense: i64) -> History {
        let entry = |(id, kind, amount): &(&str, &str, i64)| Entry {
            id: (*id).to_owned(),
            at: "2026-01-01T00:00:00Z".to_owned(),
            kind: (*kind).to_owned(),
            debit: "a".to_owned(),
            credit: "b".to_owned(),
            amount: *amount,
            case: "refund-request:c-1".to_owned(),
            rule: "R4".to_owned(),
            available_at: None,
            deposit: None,
            payment: None,
            share_of: None,
        };
        History {
            contract: "c-1".to_owned(),
            currency: "USD".to_owned(),
            balances: Balances { escrow, suspense, ..Balances::default() },
            entries: entries.iter().map(entry).collect(),
        }
    }

    fn told(charged: i64, to_freelancer: i64, to_client: i64) -> Told {
        let mut told = Told::default();
        let outcome = Outcome::without_money(ResultKind::Deposited, DecidedBy::Rule, Rule::E2);
        told.add(CaseKind::EscrowDeposit, &Outcome { charged: Some(amount(charged)), ..outcome.clone() });
        let (to_freelancer, to_client) = (amount(to_freelancer), amount(to_client));
        told.add(CaseKind::RefundRequest, &Outcome { to_freelancer, to_client, ..outcome });
        told
    }

    const DEPOSIT: (&str, &str, i64) = ("d", "deposit", 300);
    const RELEASE: (&str, &str, i64) = ("r", "release", 100);
    const REFUND: (&str, &str, i64) = ("f", "refund", 150);

    #[test]
    fn deposits_are_released_refunded_in_escrow_or_in_suspense() {
        let money = settle(&history(&[DEPOSIT, RELEASE, REFUND], 50, 0), told(300, 100, 150)).unwrap();
        assert_eq!(money, Money { deposited: 300, released: 100, refunded: 150, escrow: 50, ..Money::default() });
        let parked = [DEPOSIT, RELEASE, REFUND, ("f/to_suspense", "to_suspense", 150)];
        let money = settle(&history(&parked, 50, 150), told(300, 100, 150)).unwrap();
        assert_eq!((money.refunded, money.suspense), (0, 150));
        let parked = [parked.as_slice(), &[("f/from_suspense", "from_suspense", 150)]].concat();
        let money = settle(&history(&parked, 50, 0), told(300, 100, 150)).unwrap();
        assert_eq!((money.refunded, money.suspense), (150, 0));
    }

    #[test]
    fn missing_and_unreported_money_is_found() {
        for (entries, escrow, suspense, told, words) in [
            (vec![DEPOSIT, RELEASE], 199, 0, told(300, 100, 0), "not where it should be"),
            (vec![DEPOSIT, RELEASE], 200, 0, told(300, 99, 0), "the cases say"),
            (vec![DEPOSIT, REFUND], 150, 0, told(300, 0, 151), "the cases say"),
            (vec![DEPOSIT, REFUND], 150, 1, told(300, 0, 150), "in suspense"),
            (vec![DEPOSIT, ("x/to_suspense", "to_suspense", 1)], 300, 1, told(300, 0, 0), "parks nothing"),
            (vec![DEPOSIT, ("x", "gift", 1)], 300, 0, told(300, 0, 0), "nobody knows"),
        ] {
            let error = settle(&history(&entries, escrow, suspense), told).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    /// P2 and A3 move money that is not in escrow. It must not cover up money that is missing there.
    #[test]
    fn returns_fees_and_bonuses_do_not_count_as_escrow() {
        let entries = [
            DEPOSIT,
            RELEASE,
            ("b", "bonus", 10),
            ("t", "return", 60),
            ("t/to_suspense", "to_suspense", 60),
            ("fee", "fee", 33),
            ("fee_return", "fee_return", 33),
            ("fee_return/to_suspense", "to_suspense", 33),
        ];
        let mut told = told(300, 100, 0);
        let outcome = Outcome::without_money(ResultKind::Released, DecidedBy::ClientApproval, Rule::E7);
        told.add(CaseKind::MilestoneReview, &Outcome { bonus: amount(10), ..outcome.clone() });
        let failed = Outcome { bonus: amount(5), bonus_failed: true, ..outcome.clone() };
        told.add(CaseKind::MilestoneReview, &failed);
        told.add(CaseKind::PaymentRefund, &Outcome { to_client: amount(60), ..outcome });
        let money = settle(&history(&entries, 200, 93), told).unwrap();
        assert_eq!((money.bonuses, money.returned, money.fees, money.suspense), (10, 0, 0, 93));
        assert!(settle(&history(&entries, 199, 93), told).is_err());
    }
}
