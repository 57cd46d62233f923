//! `recourse ask-back`: the client asks for released money back.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use recourse_domain::{ids::PaymentId, messages::PaymentRefundStart, party::Contract, policy::Policy};
use recourse_ledger::{Entry, History, Ledger as Books};

use super::{
    DatabaseArg,
    answer::{Answer, Failure},
    database::existing_database,
    files, start, values,
};

/// Ask the freelancer to give released money back: a whole payment, or less.
///
/// Possible for 180 days after the release (P1). The freelancer may return all of it, a part or nothing. Silence returns
/// nothing (P2), and nobody can force the freelancer. For 30 days after the release the client can ask a mediator for an
/// opinion (P3).
///
/// Example:
/// `recourse ask-back --contract-file c.json --payment milestone-review:c-1:m-1/release --amount 50.00 --message "Paid twice"`
///
/// Next: `recourse act payment-refund:milestone-review:c-1:m-1/release approve --as freelancer:fl-1 --amount 30.00`, or
/// `reject`; `recourse show` says until when.
#[derive(Debug, Args)]
pub struct AskBack {
    /// The contract: a JSON or TOML file.
    #[arg(long, value_name = "FILE")]
    contract_file: PathBuf,
    /// The payment: the posting of a release or a bonus, as `recourse ledger --contract` shows it.
    #[arg(long, value_name = "ID", value_parser = values::payment)]
    payment: PaymentId,
    /// How much is asked for, such as 50.00, in the contract's currency.
    #[arg(long)]
    amount: String,
    /// Why, for the freelancer to read.
    #[arg(long, value_name = "TEXT")]
    message: String,
    /// The policy of this case: a JSON or TOML file; the rule book's numbers without one.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseArg,
}

impl AskBack {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let contract: Contract = files::read(&self.contract_file)?;
        let policy = self.policy.as_deref().map(files::read::<Policy>).transpose()?;
        let amount = values::amount("amount", &self.amount, contract.currency)?;
        let database = existing_database(&self.database).await?;
        let history = Books::new(database.clone()).history(&contract.id, Timestamp::now()).await?;
        database.close().await;
        let released_at = released_at(history.as_ref(), &contract, &self.payment)?;
        let (payment, message) = (self.payment, self.message);
        let start = PaymentRefundStart { contract, payment, released_at, amount, message, policy };
        start::open(start, &self.database).await
    }
}

/// When the contract's money was paid. The case decides whether the client can ask for this posting back.
fn released_at(history: Option<&History>, contract: &Contract, payment: &PaymentId) -> Result<Timestamp, Failure> {
    let entries = history.map(|history| history.entries.as_slice()).unwrap_or_default();
    let Some(entry) = entries.iter().find(|entry| entry.id == payment.as_str()) else {
        let failure = Failure::new("not_found", 1, format!("contract {} has no payment {payment}", contract.id));
        let hint = format!("`recourse ledger --contract {}` shows its releases, with their postings' ids", contract.id);
        return Err(failure.hint(hint));
    };
    paid_at(entry)
}

/// When the money of this posting moved, in the time of the case that moved it.
pub(super) fn paid_at(entry: &Entry) -> Result<Timestamp, Failure> {
    let damaged = |_| {
        let message = format!("posting {} is damaged: it does not say when it was made", entry.id);
        Failure::new("database", 3, message).hint("run `recourse ledger --check`")
    };
    entry.at.parse().map_err(damaged)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_release_time_is_read_from_the_ledger() {
        let contract = json!({"id": "c-1", "kind": "fixed_price", "currency": "USD", "client": {"id": "cl-1"},
                              "freelancer": {"id": "fl-1"}});
        let contract: Contract = serde_json::from_value(contract).unwrap();
        let payment = PaymentId::new("milestone-review:c-1:m-1/release").unwrap();
        let entry = |id: &str, at: &str| {
            json!({"id": id, "at": at, "kind": "release", "debit": "escrow:c-1", "credit": "freelancer:fl-1",
                   "amount": 300, "case": "x", "rule": "E5"})
        };
        let history = |entries: serde_json::Value| -> History {
            let balances = json!({"escrow": 0, "client": 0, "freelancer_pending": 0, "freelancer_available": 0,
                                  "fees": 0, "suspense": 0});
            let history = json!({"contract": "c-1", "currency": "USD", "balances": balances, "entries": entries});
            serde_json::from_value(history).unwrap()
        };
        let at = "2026-12-03T10:00:00Z";
        let found = history(json!([entry("other", "2026-12-01T10:00:00Z"), entry(payment.as_str(), at)]));
        assert_eq!(released_at(Some(&found), &contract, &payment).unwrap(), at.parse().unwrap());
        for missing in [None, Some(history(json!([entry("other", at)])))] {
            let failure = released_at(missing.as_ref(), &contract, &payment).unwrap_err();
            assert_eq!((failure.kind, failure.exit), ("not_found", 1));
            assert!(failure.hint.is_some_and(|hint| hint.contains("recourse ledger --contract c-1")));
        }
        let damaged = history(json!([entry(payment.as_str(), "yesterday")]));
        assert_eq!(released_at(Some(&damaged), &contract, &payment).unwrap_err().exit, 3);
    }
}
