//! `recourse balance`: the balance of a freelancer or an agency.

use clap::Args;
use jiff::Timestamp;
use recourse_client::words::moment;
use recourse_domain::{
    money::{Amount, Currency},
    posting::Account,
};
use recourse_ledger::{Ledger, PayeeBalance};
use serde_json::json;

use super::{
    DatabaseArg,
    answer::{Answer, Failure},
    database::existing_database,
    values,
    view::{self, Column, Table},
};

/// Show what a freelancer or an agency was paid: what is available, and what is still pending.
///
/// Released money is pending for the security period, 5 days, and then available (E9). All contracts count, each currency
/// by itself.
///
/// Example: `recourse balance freelancer:fl-1`
///
/// Example: `recourse balance agency:ag-1 --at 2026-12-24T00:00:00Z`
///
/// Next: `recourse ledger --contract c-1` shows the releases of one contract.
#[derive(Debug, Args)]
pub struct Balance {
    /// Whose: `freelancer:ID`, or `agency:ID` where an agency is paid for the work.
    #[arg(value_name = "ACCOUNT", value_parser = values::payee)]
    account: Account,
    /// What counts as now, if not now (RFC 3339); for cases whose clock was advanced.
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    #[command(flatten)]
    database: DatabaseArg,
}

impl Balance {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let now = self.at.unwrap_or_else(Timestamp::now);
        let database = existing_database(&self.database).await?;
        let balances = Ledger::new(database.clone()).payee(&self.account, now).await;
        database.close().await;
        answer(&self.account, &balances?, now)
    }
}

fn answer(account: &Account, balances: &[PayeeBalance], now: Timestamp) -> Result<Answer, Failure> {
    if balances.is_empty() {
        let failure = Failure::new("not_found", 1, format!("{account} was never paid"));
        return Err(failure.hint("money reaches a freelancer, or their agency, when a case releases it"));
    }
    let document = json!({"account": account.to_string(), "at": now, "balances": balances});
    Answer::new(&document, view::heading(&account.to_string()) + &show(balances, now))
}

fn show(balances: &[PayeeBalance], now: Timestamp) -> String {
    let mut table = Table::new([Column::Right("available"), Column::Right("pending"), Column::Left("more available")]);
    for balance in balances {
        table.row([
            shown(&balance.currency, balance.available),
            shown(&balance.currency, balance.pending),
            balance.next_available_at.map(|at| moment(at, now)).unwrap_or_default(),
        ]);
    }
    table.show()
}

fn shown(currency: &str, minor: i64) -> String {
    match (Currency::from_code(currency), Amount::new(minor)) {
        (Ok(currency), Ok(amount)) => currency.show(amount),
        _ => format!("{minor} {currency}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance(currency: &str, pending: i64, available: i64, next: Option<&str>) -> PayeeBalance {
        PayeeBalance {
            currency: currency.to_owned(),
            pending,
            available,
            next_available_at: next.map(|next| next.parse().unwrap()),
        }
    }

    /// E9: one line per currency, with the time at which the next pending money becomes available.
    #[test]
    fn pending_and_available_money_is_shown_by_currency() {
        let (account, now) = (values::payee("freelancer:fl-1").unwrap(), "2026-11-30T06:00:00Z".parse().unwrap());
        let balances = [balance("USD", 10_000, 5_000, Some("2026-12-03T10:00:00Z")), balance("JPY", 0, 1_500, None)];
        let answer = answer(&account, &balances, now).unwrap();
        assert_eq!(
            anstream::adapter::strip_str(&answer.text).to_string(),
            "freelancer:fl-1\n\
             available     pending  more available\n\
             50.00 USD  100.00 USD  Thu 3 Dec 2026 10:00 UTC (in 3 d 4 h)\n\
             1,500 JPY       0 JPY\n"
        );
        assert_eq!(
            answer.document,
            json!({
                "account": "freelancer:fl-1", "at": "2026-11-30T06:00:00Z",
                "balances": [
                    {"currency": "USD", "pending": 10_000, "available": 5_000, "next_available_at": "2026-12-03T10:00:00Z"},
                    {"currency": "JPY", "pending": 0, "available": 1_500},
                ],
            })
        );
    }

    #[test]
    fn an_unpaid_payee_is_not_found() {
        let failure = answer(&values::payee("agency:ag-1").unwrap(), &[], Timestamp::now()).unwrap_err();
        assert_eq!((failure.kind, failure.exit), ("not_found", 1));
        assert!(failure.message.contains("agency:ag-1"));
    }
}
