//! `recourse free`: escrow that a case still holds although no worker conducts it any more.

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use recourse_client::{CaseId, ClientError};
use recourse_ledger::{Ledger as Books, OpenHold};
use serde::Serialize;

use super::{
    DatabaseArg,
    answer::{Answer, Failure},
    connect,
    database::existing_database,
    progress::waiting,
    view,
};

/// How long a case must have been over. Before that an effect that its workflow ordered may still be under way.
const SETTLED_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// Free the hold of a case whose workflow is over. For operators.
///
/// A case that somebody terminated, or that ended on hold (rule A2), keeps its hold: its escrow waits, and no other case can
/// have it. This gives up the hold and moves no money: the money stays in the contract's escrow, and the next case can hold it.
/// Refused while the case runs, and in the first minute after its end.
///
/// Example: `recourse free refund-request:c-1`
///
/// Next: `recourse submit` or `recourse end` again, which take what is free; `recourse ledger --contract c-1` shows it.
#[derive(Debug, Args)]
pub struct Free {
    /// The case: its workflow id, such as milestone-review:c-1:m-1, refund-request:c-1 or dispute:c-1.
    case: String,
    #[command(flatten)]
    database: DatabaseArg,
}

/// The document about it.
#[derive(Debug, Serialize)]
struct Report<'a> {
    case: &'a str,
    contract: &'a str,
    /// Absent if the ledger never had money of the contract.
    currency: Option<&'a str>,
    freed: &'a [OpenHold],
}

impl Free {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let case = self.case.as_str();
        let contract = CaseId::read(case)?.contract;
        let database = existing_database(&self.database).await?;
        let books = Books::new(database.clone());
        let client = connect().await?;
        let asked = waiting(format!("asking for {case}"), client.closed_for(case)).await;
        let forgotten = match asked {
            Ok(closed_for) => check_over(case, closed_for).map(|()| None)?,
            // A server forgets closed workflows after its retention period. The ledger still has what they held.
            Err(not_found @ ClientError::NotFound { .. }) => Some(not_found),
            Err(other) => return Err(other.into()),
        };
        let freed = books.free(case).await?;
        if let (Some(not_found), true) = (forgotten, freed.is_empty()) {
            return Err(not_found.into());
        }
        let history = books.history(&contract, Timestamp::now()).await?;
        database.close().await;
        let currency = history.as_ref().map(|history| history.currency.as_str());
        let text = view::freed(case, &freed, currency.unwrap_or_default());
        Answer::new(&Report { case, contract: contract.as_str(), currency, freed: &freed }, text)
    }
}

/// Checks that the case has been over for long enough.
fn check_over(case: &str, closed_for: Option<SignedDuration>) -> Result<(), Failure> {
    let refuse = |why: String, hint: String| Err(Failure::new("refused", 1, format!("NotAllowed: {why}")).hint(hint));
    match closed_for {
        None => refuse(
            format!("{case} is running and needs what it holds"),
            format!("`recourse show {case}` says what it waits for"),
        ),
        Some(ago) if ago < SETTLED_AFTER => refuse(
            format!("{case} was over {} s ago; something that it ordered may still be under way", ago.as_secs().max(0)),
            format!("try again in {} s", (SETTLED_AFTER - ago.max(SignedDuration::ZERO)).as_secs() + 1),
        ),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_freed_only_a_minute_after_the_case_ended() {
        let ago = |seconds| Some(SignedDuration::from_secs(seconds));
        for (closed_for, words, hint) in [
            (None, "is running", "recourse show dispute:c-1"),
            (ago(0), "was over 0 s ago", "in 61 s"),
            (ago(-5), "was over 0 s ago", "in 61 s"),
            (ago(59), "was over 59 s ago", "in 2 s"),
        ] {
            let failure = check_over("dispute:c-1", closed_for).unwrap_err();
            assert_eq!((failure.kind, failure.exit), ("refused", 1));
            assert!(failure.message.contains(words), "{}", failure.message);
            assert!(failure.hint.is_some_and(|told| told.contains(hint)), "{closed_for:?}");
        }
        assert!(check_over("dispute:c-1", ago(60)).is_ok());
    }
}
