//! `recourse refunds`: the refunds on their way back to clients, and what an operator does about those that did not arrive
//! (R8).

use clap::{Args, Subcommand};
use jiff::Timestamp;
use recourse_client::words::{moment, words};
use recourse_database::Database;
use recourse_domain::{
    ids::Id,
    party::{Actor, Role},
};
use recourse_ledger::Ledger;
use recourse_notifications::NoticeBook;
use recourse_payments::Payments;
use recourse_refunds::{Only, RefundDesk, RefundFilter, RefundState, TrackedRefund};
use recourse_workflows::describe;
use serde_json::json;

use super::{
    DatabaseArg,
    answer::{Answer, Failure},
    database::existing_database,
    values,
    view::{Column, Table},
};

/// List refunds, and handle those that did not arrive.
///
/// A refund is issued, and then settled when its billing method confirms it, or failed. It should settle within 5 business
/// days. One that failed or is overdue waits in suspense for an operator (R8).
///
/// Example: `recourse refunds --contract c-1`
///
/// Example: `recourse refunds --open`
///
/// Next: `recourse refunds retry <refund> --as operator:op-1`, or `recourse refunds pay`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Refunds {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only refunds of this contract.
    #[arg(long, value_name = "ID", value_parser = values::id)]
    contract: Option<Id>,
    /// Only refunds that are on their way, and those that an operator has to handle.
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    database: DatabaseArg,
}

#[derive(Debug, Subcommand)]
enum Command {
    Retry(Retry),
    Pay(Pay),
    Failed(Failed),
}

/// Ask the payment provider again for a refund that failed or is overdue.
///
/// It goes to the same billing method, as a refund of its own, and leaves suspense.
///
/// Example: `recourse refunds retry refund-request:c-1/refund:d-1 --as operator:op-1`
///
/// Next: `recourse refunds --open` shows whether it arrives.
#[derive(Debug, Args)]
struct Retry {
    /// The refund: its posting's id.
    #[arg(value_name = "REFUND")]
    id: String,
    /// Who acts: an operator.
    #[arg(long = "as", value_name = "ROLE:ID", value_parser = values::actor)]
    by: Actor,
    #[command(flatten)]
    database: DatabaseArg,
}

/// Pay a refund that failed or is overdue to another account of the client.
///
/// For a billing method that no longer exists: a closed card, a closed account. Agree with the client before.
///
/// Example:
/// `recourse refunds pay refund-request:c-1/refund:d-1 --to bank-7 --reference TX-9 --as operator:op-1`
///
/// Next: `recourse ledger --contract c-1` shows that nothing of it is in suspense any more.
#[derive(Debug, Args)]
struct Pay {
    /// The refund: its posting's id.
    #[arg(value_name = "REFUND")]
    id: String,
    /// The account at the payment provider that is paid instead.
    #[arg(long, value_name = "ID", value_parser = values::id)]
    to: Id,
    /// The payment's reference outside, such as the ticket in which the client agreed.
    #[arg(long)]
    reference: String,
    /// Who acts: an operator.
    #[arg(long = "as", value_name = "ROLE:ID", value_parser = values::actor)]
    by: Actor,
    #[command(flatten)]
    database: DatabaseArg,
}

/// State that an overdue refund has failed, as the payment provider said by other means.
///
/// For a refund that the provider has forgotten or never reports on. Ask the provider first: if a refund still arrives and you
/// have sent it again, you pay it twice. Refused if the provider itself says that the refund has settled. No money moves; you
/// can then send the refund again or pay it in another way.
///
/// Example:
/// `recourse refunds failed refund-request:c-1/refund:d-1 --reference "letter of 3 May" --as operator:op-1`
///
/// Next: `recourse refunds retry <refund> --as operator:op-1`, or `recourse refunds pay`.
#[derive(Debug, Args)]
struct Failed {
    /// The refund: its posting's id.
    #[arg(value_name = "REFUND")]
    id: String,
    /// Where the provider's statement is, such as a letter or a ticket.
    #[arg(long, value_name = "TEXT")]
    reference: String,
    /// Who acts: an operator.
    #[arg(long = "as", value_name = "ROLE:ID", value_parser = values::actor)]
    by: Actor,
    #[command(flatten)]
    database: DatabaseArg,
}

impl Refunds {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let now = Timestamp::now();
        match self.command {
            Some(Command::Retry(retry)) => retry.run(now).await,
            Some(Command::Pay(pay)) => pay.run(now).await,
            Some(Command::Failed(failed)) => failed.run(now).await,
            None => {
                let only = if self.open { Only::Open } else { Only::All };
                let filter = RefundFilter { contract: self.contract, only, ..RefundFilter::default() };
                let database = existing_database(&self.database).await?;
                let refunds = desk(&database)?.list(&filter, now).await;
                database.close().await;
                answer(&refunds?, now)
            }
        }
    }
}

impl Retry {
    async fn run(self, now: Timestamp) -> Result<Answer, Failure> {
        check_operator(&self.by)?;
        let database = existing_database(&self.database).await?;
        let refund = desk(&database)?.retry(&self.id, &self.by, now).await;
        database.close().await;
        answer(&[refund?], now)
    }
}

impl Pay {
    async fn run(self, now: Timestamp) -> Result<Answer, Failure> {
        check_operator(&self.by)?;
        let database = existing_database(&self.database).await?;
        let refund = desk(&database)?.pay_otherwise(&self.id, self.to, &self.by, &self.reference, now).await;
        database.close().await;
        answer(&[refund?], now)
    }
}

impl Failed {
    async fn run(self, now: Timestamp) -> Result<Answer, Failure> {
        check_operator(&self.by)?;
        let database = existing_database(&self.database).await?;
        let refund = desk(&database)?.give_up(&self.id, &self.by, &self.reference, now).await;
        database.close().await;
        answer(&[refund?], now)
    }
}

/// The desk that follows refunds, in front of the payment provider that the environment chooses.
pub(super) fn desk(database: &Database) -> Result<RefundDesk, Failure> {
    let gateway = Payments::from_env()?.gateway(database)?;
    Ok(RefundDesk::new(Ledger::new(database.clone()), gateway, NoticeBook::new(database.clone())))
}

/// Refuses commands that use the fake bank if the money is real.
pub(super) fn only_sandbox(what: &str) -> Result<(), Failure> {
    if Payments::from_env()?.is_sandbox() {
        return Ok(());
    }
    let why = format!("{what} plays with the fake bank, and RECOURSE_PAYMENTS names a real payment provider");
    Err(Failure::new("configuration", 2, why).hint("unset RECOURSE_PAYMENTS, with a database of its own, to play"))
}

/// Only operators handle suspense.
fn check_operator(by: &Actor) -> Result<(), Failure> {
    if by.party == Role::Operator {
        return Ok(());
    }
    let why = format!("NotAllowed: only an operator sees to refunds that did not arrive, not a {} (rule R8)", by.party);
    Err(Failure::new("refused", 1, why).hint("act as operator:ID"))
}

fn answer(refunds: &[TrackedRefund], now: Timestamp) -> Result<Answer, Failure> {
    Answer::new(&json!({"refunds": refunds}), show(refunds, now))
}

fn show(refunds: &[TrackedRefund], now: Timestamp) -> String {
    if refunds.is_empty() {
        return "no refunds\n".to_owned();
    }
    let mut table = Table::new([
        Column::Left("refund"),
        Column::Right("amount"),
        Column::Left("source"),
        Column::Left("issued"),
        Column::Left("expected"),
        Column::Left("state"),
    ]);
    for refund in refunds {
        table.row([
            refund.id.clone(),
            refund.currency.show(refund.amount),
            refund.source.to_string(),
            describe::instant(refund.issued_at),
            expected(refund, now),
            state(refund),
        ]);
    }
    table.show()
}

/// When it should have arrived. The distance from now matters only while it is on its way.
fn expected(refund: &TrackedRefund, now: Timestamp) -> String {
    if refund.state == RefundState::Issued {
        moment(refund.expected_by, now)
    } else {
        describe::instant(refund.expected_by)
    }
}

/// The state in words. Also says that a refund is late but not in suspense yet, and why one has failed.
fn state(refund: &TrackedRefund) -> String {
    let state = words(refund.state.name());
    match &refund.reason {
        Some(reason) => format!("{state}: {reason}"),
        None if refund.overdue && refund.state == RefundState::Issued => format!("{state}, overdue"),
        None => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refund(deposit: &str, state: &str, overdue: bool, reason: Option<&str>) -> TrackedRefund {
        serde_json::from_value(json!({
            "id": format!("refund-request:c-1/refund:{deposit}"), "origin": "x", "kind": "refund", "contract": "c-1",
            "case": "refund-request:c-1", "currency": "USD", "amount": 20_000, "source": "card-1", "charge": "x",
            "issued_at": "2026-11-26T10:00:00Z", "expected_by": "2026-12-03T10:00:00Z", "state": state,
            "overdue": overdue, "reason": reason,
        }))
        .unwrap()
    }

    #[test]
    fn the_list_shows_when_refunds_should_arrive_and_why_they_failed() {
        let now = "2026-11-30T06:00:00Z".parse().unwrap();
        let refunds = [refund("d-1", "issued", false, None), refund("d-2", "failed", false, Some("card closed"))];
        let text = anstream::adapter::strip_str(&show(&refunds, now)).to_string();
        assert_eq!(
            text,
            "refund                             amount  source  issued                     \
             expected                               state\n\
             refund-request:c-1/refund:d-1  200.00 USD  card-1  Thu 26 Nov 2026 10:00 UTC  \
             Thu 3 Dec 2026 10:00 UTC (in 3 d 4 h)  issued\n\
             refund-request:c-1/refund:d-2  200.00 USD  card-1  Thu 26 Nov 2026 10:00 UTC  \
             Thu 3 Dec 2026 10:00 UTC               failed: card closed\n"
        );
        assert_eq!(show(&[], now), "no refunds\n");
    }

    #[test]
    fn a_late_refund_says_so_before_it_is_in_suspense() {
        assert_eq!(state(&refund("d-1", "issued", true, None)), "issued, overdue");
        assert_eq!(state(&refund("d-1", "overdue", true, None)), "overdue");
        assert_eq!(state(&refund("d-1", "paid_otherwise", false, None)), "paid otherwise");
    }

    #[test]
    fn only_operators_handle_refunds_that_did_not_arrive() {
        assert!(check_operator(&values::actor("operator:op-1").unwrap()).is_ok());
        for role in ["client:cl-1", "freelancer:fl-1", "mediator:max", "arbitrator:ora"] {
            let failure = check_operator(&values::actor(role).unwrap()).unwrap_err();
            assert_eq!((failure.kind, failure.exit), ("refused", 1));
            assert!(failure.message.starts_with("NotAllowed: "), "{}", failure.message);
        }
    }

    #[test]
    fn list_filters_are_not_options_of_commands() {
        let read = |arguments: &[&str]| {
            let command = clap::Command::new("refunds").no_binary_name(true);
            Refunds::augment_args(command).try_get_matches_from(arguments).map(drop)
        };
        for good in [
            &["--contract", "c-1", "--open"][..],
            &["retry", "r", "--as", "operator:op-1", "--database", "sqlite:x.db"],
            &["pay", "r", "--to", "bank-7", "--reference", "TX-9", "--as", "operator:op-1"],
            &["failed", "r", "--reference", "TX-9", "--as", "operator:op-1"],
        ] {
            assert!(read(good).is_ok(), "{good:?}");
        }
        for bad in [
            &["--open", "retry", "r", "--as", "operator:op-1"][..],
            &["retry", "r"],
            &["pay", "r", "--to", "bank-7", "--as", "operator:op-1"],
            &["failed", "r", "--as", "operator:op-1"],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
