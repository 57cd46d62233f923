//! The ledger's record of money that goes back (R8): a row for each refund or return, written with its posting, and the
//! postings that park its money in suspense or take it out again. `recourse-refunds` reports, asks and decides.
//!
//! | from | to | with the posting | when |
//! |---|---|---|---|
//! | | `issued` | the refund's own | the provider accepted it |
//! | | `failed` | the same, and `…/to_suspense` | the provider declined it for good |
//! | `issued` | `settled` | | it arrived at the billing method |
//! | | `failed`, `overdue` | `…/to_suspense` | it came back; it should have settled and has not |
//! | `overdue` | `settled` | `…/from_suspense` | it has settled after all |
//! | | `failed` | | it came back after all, or an operator gave it up |
//! | `failed` | `retried` | `…/retry:1`, which is a new row in `issued` | an operator sent it again |
//! | | `paid_otherwise` | `…/paid_otherwise` | an operator sent it elsewhere |

use jiff::Timestamp;
use recourse_database::{Database, Write};
use recourse_domain::{
    ids::Id,
    money::Currency,
    notice::NoticeEvent,
    posting::{Account, PostingKind},
    rule::Rule,
};
use sqlx::{Any, Row as _, Transaction, any::AnyRow};

use super::{
    Ledger, LedgerError, Posting, amount_of, holds, id_of, returns, settle,
    tracked::{GivenBack, News, RefundState, TrackedRefund},
};

const COLUMNS: &str = "r.id, r.origin, j.kind, r.contract, r.case_id, r.currency, r.amount, r.source, r.charge, \
                       r.issued_at, r.expected_by, r.state, r.reason, r.under_way, r.handled_by, r.reference, \
                       r.followed_by, r.retries, r.payouts";

/// The events of a refund that cause notices.
const EVENTS: [NoticeEvent; 3] =
    [NoticeEvent::RefundFailed, NoticeEvent::RefundOverdue, NoticeEvent::RefundSettledAfterAll];

impl Ledger {
    /// Makes the posting of a refund or return that the provider was asked for, and follows it from now on, in one
    /// transaction. If the provider declined it for good, the same transaction parks it. If it was the last, the
    /// transaction also closes the case's hold. One that was made before moves nothing.
    ///
    /// # Errors
    /// As [`Ledger::post`]. Nothing has moved.
    #[tracing::instrument(name = "ledger: give back", skip_all)]
    pub async fn give_back(&self, case_ref: &str, posting: &Posting, given: &GivenBack<'_>) -> Result<(), LedgerError> {
        let mut write = self.database.write().await?;
        if !posting.is_made(&mut write).await? {
            settle::post_new(&mut write, case_ref, posting).await?;
            if posting.kind == PostingKind::Return {
                returns::mark_posted(&mut write, posting).await?;
            }
            follow(&mut write, posting, given).await?;
        }
        if let Some(close) = given.close {
            holds::close(&mut write, case_ref, close).await?;
        }
        write.commit().await?;
        Ok(())
    }

    /// The database that the ledger is in.
    pub const fn database(&self) -> &Database {
        &self.database
    }
}

/// Follows a refund or return whose posting was made in this transaction.
///
/// # Errors
/// [`LedgerError::RefundMismatch`] if it does not go to a billing method; otherwise as [`Ledger::post`].
async fn follow(write: &mut Write, posting: &Posting, given: &GivenBack<'_>) -> Result<(), LedgerError> {
    let Account::Source(source) = &posting.credit else {
        let reason = "it does not go back to a source".to_owned();
        return Err(LedgerError::RefundMismatch { id: posting.id.clone(), reason });
    };
    let contract = serde_json::to_string(given.contract)
        .map_err(|_| LedgerError::Damaged { what: format!("refund {}", posting.id), field: "contract" })?;
    sqlx::query(
        "INSERT INTO refunds (id, origin, contract, contract_json, case_id, currency, amount, source, charge, issued_at,
                              expected_by, state)
         VALUES ($1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'issued')",
    )
    .bind(&posting.id)
    .bind(posting.contract.as_str())
    .bind(contract)
    .bind(&posting.case)
    .bind(posting.currency.code())
    .bind(posting.amount.minor())
    .bind(source.as_str())
    .bind(given.charge)
    .bind(posting.at.as_millisecond())
    .bind(given.expected_by.as_millisecond())
    .execute(&mut **write)
    .await?;
    let Some(reason) = given.declined else { return Ok(()) };
    tracing::error!(refund = %posting.id, reason, rule = "R8", "a refund was declined and is parked; see to it");
    let refund = find(write, &posting.id)
        .await?
        .ok_or_else(|| LedgerError::Damaged { what: format!("refund {}", posting.id), field: "id" })?;
    park(write, &refund, RefundState::Failed, reason, posting.at).await
}

/// The refund with this id, as it is now.
pub async fn find(transaction: &mut Transaction<'static, Any>, id: &str) -> Result<Option<TrackedRefund>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM refunds r JOIN journal j ON j.id = r.origin WHERE r.id = $1");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&mut **transaction).await?;
    row.as_ref().map(read).transpose()
}

/// Which refunds [`list`] returns, and as of when.
pub struct Which<'a> {
    /// Of this contract.
    pub contract: Option<&'a Id>,
    /// In these states.
    pub states: &'a [RefundState],
    /// Also those that should have settled by then and are still on their way.
    pub overdue_by: Option<Timestamp>,
    /// The id of the last refund of the previous page.
    pub after: Option<&'a str>,
    /// How many at most.
    pub limit: Option<u32>,
}

/// A page of refunds, oldest first.
pub async fn list(database: &Database, which: &Which<'_>) -> Result<Vec<TrackedRefund>, LedgerError> {
    let states: Vec<String> = which.states.iter().map(|state| format!("'{}'", state.name())).collect();
    // Two statements: a common one would have one plan, and scan all refunds to find a contract's. Without a contract,
    // the first parameter is empty, so that both have the same parameters.
    let of_contract = if which.contract.is_some() { "r.contract = $1" } else { "$1 = ''" };
    let sql = format!(
        "SELECT {COLUMNS} FROM refunds r JOIN journal j ON j.id = r.origin
         WHERE {of_contract}
           AND (r.state IN ({}) OR (r.state = 'issued' AND r.expected_by <= $2))
           AND r.sequence > COALESCE((SELECT sequence FROM refunds WHERE id = $3), 0)
         ORDER BY r.sequence LIMIT $4",
        states.join(", ")
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(which.contract.map(ToString::to_string).unwrap_or_default())
        .bind(which.overdue_by.map_or(i64::MIN, Timestamp::as_millisecond))
        .bind(which.after.unwrap_or_default().to_owned())
        .bind(which.limit.map_or(i64::MAX, i64::from))
        .fetch_all(database.pool())
        .await?;
    rows.iter().map(read).collect()
}

/// The ids of the refunds that should have settled by `now` and are still on their way, oldest first.
pub async fn due(database: &Database, now: Timestamp) -> Result<Vec<String>, LedgerError> {
    let ids =
        sqlx::query_scalar("SELECT id FROM refunds WHERE state = 'issued' AND expected_by <= $1 ORDER BY sequence")
            .bind(now.as_millisecond())
            .fetch_all(database.pool())
            .await?;
    Ok(ids)
}

/// Parks the money of a refund that did not reach its billing method, and announces it.
pub async fn park(
    write: &mut Write,
    refund: &TrackedRefund,
    state: RefundState,
    reason: &str,
    at: Timestamp,
) -> Result<(), LedgerError> {
    let posting = Posting {
        id: format!("{}/to_suspense", refund.id),
        kind: PostingKind::ToSuspense,
        debit: Account::Source(refund.source.clone()),
        credit: Account::Suspense(refund.contract.clone()),
        ..posting(refund, at)
    };
    posting.make(write).await?;
    set_state(write, refund, state, Some(reason)).await?;
    let event = if state == RefundState::Overdue { NoticeEvent::RefundOverdue } else { NoticeEvent::RefundFailed };
    announce(write, refund, event, Some(reason), at).await
}

/// Takes the money of a parked refund out of suspense, to `to`.
pub async fn unpark(
    write: &mut Write,
    refund: &TrackedRefund,
    id: String,
    to: &Id,
    at: Timestamp,
) -> Result<(), LedgerError> {
    let posting = Posting {
        id,
        kind: PostingKind::FromSuspense,
        debit: Account::Suspense(refund.contract.clone()),
        credit: Account::Source(to.clone()),
        ..posting(refund, at)
    };
    posting.make(write).await
}

/// What both movements of suspense have in common; the callers fill in the rest.
fn posting(refund: &TrackedRefund, at: Timestamp) -> Posting {
    Posting {
        id: String::new(),
        at,
        kind: PostingKind::ToSuspense,
        debit: Account::Fees,
        credit: Account::Fees,
        currency: refund.currency,
        amount: refund.amount,
        contract: refund.contract.clone(),
        case: refund.case.clone(),
        rule: Rule::R8,
        deposit: None,
        payment: None,
        available_at: None,
    }
}

/// Changes the state of a refund, unless somebody has changed it since it was read.
pub async fn set_state(
    write: &mut Write,
    refund: &TrackedRefund,
    state: RefundState,
    reason: Option<&str>,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE refunds SET state = $1, reason = $2 WHERE id = $3")
        .bind(state.name())
        .bind(reason.map(ToOwned::to_owned))
        .bind(&refund.id)
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// Announces an event of a refund, once (N2): its notices follow.
pub async fn announce(
    write: &mut Write,
    refund: &TrackedRefund,
    event: NoticeEvent,
    reason: Option<&str>,
    at: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO refund_news (refund, event, reason, at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (refund, event) DO NOTHING",
    )
    .bind(&refund.id)
    .bind(event.name())
    .bind(reason.map(ToOwned::to_owned))
    .bind(at.as_millisecond())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// What was announced and has no notices yet, oldest first.
pub async fn news(database: &Database) -> Result<Vec<News>, LedgerError> {
    let sql = format!(
        "SELECT {COLUMNS}, n.sequence, n.event, n.reason AS news, n.at, r.contract_json
         FROM refund_news n JOIN refunds r ON r.id = n.refund JOIN journal j ON j.id = r.origin
         WHERE n.told = 0 ORDER BY n.sequence"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(database.pool()).await?;
    rows.iter()
        .map(|row| {
            let refund = read(row)?;
            let damaged = |field| LedgerError::Damaged { what: format!("refund {}", refund.id), field };
            let event: String = row.try_get("event")?;
            let contract: String = row.try_get("contract_json")?;
            Ok(News {
                sequence: row.try_get("sequence")?,
                event: EVENTS.into_iter().find(|known| known.name() == event).ok_or_else(|| damaged("event"))?,
                contract: serde_json::from_str(&contract).map_err(|_| damaged("contract"))?,
                reason: row.try_get("news")?,
                at: Timestamp::from_millisecond(row.try_get("at")?).map_err(|_| damaged("at"))?,
                refund,
            })
        })
        .collect()
}

/// Records that the notices are stored.
pub async fn mark_told(database: &Database, sequence: i64) -> Result<(), LedgerError> {
    sqlx::query("UPDATE refund_news SET told = 1 WHERE sequence = $1")
        .bind(sequence)
        .execute(database.writers())
        .await?;
    Ok(())
}

fn read(row: &AnyRow) -> Result<TrackedRefund, LedgerError> {
    let id: String = row.try_get("id")?;
    let what = format!("refund {id}");
    let damaged = |field| LedgerError::Damaged { what: what.clone(), field };
    let time = |field: &'static str| -> Result<Timestamp, LedgerError> {
        Timestamp::from_millisecond(row.try_get(field)?).map_err(|_| damaged(field))
    };
    let state: String = row.try_get("state")?;
    let state = RefundState::ALL.into_iter().find(|known| known.name() == state).ok_or_else(|| damaged("state"))?;
    Ok(TrackedRefund {
        origin: row.try_get("origin")?,
        kind: row.try_get("kind")?,
        contract: id_of(row.try_get("contract")?, "contract")?,
        case: row.try_get("case_id")?,
        currency: Currency::from_code(row.try_get("currency")?).map_err(|_| damaged("currency"))?,
        amount: amount_of(row.try_get("amount")?, &what)?,
        source: id_of(row.try_get("source")?, "source")?,
        charge: row.try_get("charge")?,
        issued_at: time("issued_at")?,
        expected_by: time("expected_by")?,
        state,
        overdue: state == RefundState::Overdue,
        reason: row.try_get("reason")?,
        under_way: row.try_get("under_way")?,
        handled_by: row.try_get("handled_by")?,
        reference: row.try_get("reference")?,
        followed_by: row.try_get("followed_by")?,
        retries: row.try_get("retries")?,
        payouts: row.try_get("payouts")?,
        id,
    })
}
