//! What a command says about the money that it moves. It waits a few seconds for the money. If a worker still tries it again,
//! the exit code says so (L9).

use std::time::{Duration, Instant};

use jiff::Timestamp;
use recourse_client::{CaseId, CaseStatus, Client, ClientError, Money, Order, money::Movement};
use recourse_database::Database;
use recourse_domain::{ids::Id, messages::Status};
use recourse_ledger::{Ledger, Moved};
use serde_json::json;

use super::{
    DatabaseArg,
    answer::{Answer, Failure, note},
    database::existing_database,
    progress::waiting,
    view,
};

/// How long an order may take to move before the command reports that it has not moved. After a failure of the bank, a worker
/// tries again after 1 s, and then after 2 s more.
const PATIENCE: Duration = Duration::from_secs(4);

/// How often to check whether it has moved.
const POLL: Duration = Duration::from_millis(50);

/// The exit code of an accepted command whose money a worker tries again.
pub const RETRIED: u8 = 4;

/// A case with its money, once a new order has moved, or after 4 s.
pub async fn settled(client: &Client, database: &DatabaseArg, status: Status) -> Result<Answer, Failure> {
    let orders = waiting(format!("the money of {}", status.case), moved(client, &status.case)).await?;
    with_money(client, database, status, &orders).await
}

/// A case with its money as it is now.
pub async fn shown(client: &Client, database: &DatabaseArg, status: Status) -> Result<Answer, Failure> {
    let orders = client.orders(&status.case).await?;
    with_money(client, database, status, &orders).await
}

/// The orders of money of a case that have not moved after 4 s.
pub async fn moved(client: &Client, case: &str) -> Result<Vec<Order>, ClientError> {
    let started = Instant::now();
    loop {
        let orders = client.orders(case).await?;
        if orders.is_empty() || started.elapsed() > PATIENCE {
            return Ok(orders);
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn with_money(
    client: &Client,
    database: &DatabaseArg,
    status: Status,
    orders: &[Order],
) -> Result<Answer, Failure> {
    let now = client.virtual_now(&status.case).await?;
    let is_asked = status.outcome.is_some() || !orders.is_empty();
    let ledger = read(database, &status.contract, is_asked).await;
    let money = Money::of_case(&status, orders, ledger.as_ref());
    let text = view::case(&status, &money, now);
    let retried = failure(&status.case, &money, now);
    Ok(Answer { unmoved: retried, ..Answer::new(&CaseStatus { status, money }, text)? })
}

/// The answer about a deposit that is not charged yet.
pub async fn deposit(database: &DatabaseArg, case: &str, orders: &[Order], now: Timestamp) -> Result<Answer, Failure> {
    let contract = CaseId::read(case)?.contract;
    let ledger = read(database, &contract, true).await;
    let money = Money::of_deposit(case, orders, ledger.as_ref());
    let text = format!("{}{}", view::heading(case), view::money(&money, now));
    let retried = failure(case, &money, now);
    Ok(Answer { unmoved: retried, ..Answer::new(&json!({"case": case, "money": money}), text)? })
}

/// The movements of a contract's money, if the ledger is available. Without it the command still shows the case. If the
/// case has an outcome or orders (`is_asked`), a note says that the ledger is missing.
async fn read(database: &DatabaseArg, contract: &Id, is_asked: bool) -> Option<Moved> {
    match existing_database(database).await {
        Ok(database) => read_from(&database, contract).await,
        Err(failure) if is_asked => {
            note(&format!("what has arrived is not known here: {}", failure.message));
            None
        }
        Err(_) => None,
    }
}

async fn read_from(database: &Database, contract: &Id) -> Option<Moved> {
    let read = Ledger::new(database.clone()).moved(contract, Timestamp::now()).await;
    database.close().await;
    match read {
        Ok(moved) => Some(moved),
        Err(error) => {
            note(&format!("what has arrived is not known now: {}", super::answer::chain(&error)));
            None
        }
    }
}

/// The failure that a worker tries money again, with what to do; none otherwise.
fn failure(case: &str, money: &Money, now: Timestamp) -> Option<Box<Failure>> {
    let stuck: Vec<String> = money.tried_again().map(|movement| sentence(movement, now)).collect();
    if stuck.is_empty() {
        return None;
    }
    let why = format!("the money of {case} has not moved: {}", stuck.join("; "));
    let hint = format!(
        "nothing is lost, and nothing moves twice: it is tried again at least once a minute until it works. `recourse show \
         {case}` says how far it is; if it lasts, mend what the failure says (in a sandbox: `recourse sandbox faults`)"
    );
    Some(Box::new(Failure::new("money_retried", RETRIED, why).hint(hint).details("money", money)))
}

fn sentence(movement: &Movement, now: Timestamp) -> String {
    format!("{} {}", movement.what("the client", "the freelancer"), view::known(movement, now))
}
