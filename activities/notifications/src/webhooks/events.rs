//! The events of cases, for programs: stored in one transaction with the notices, and read as a feed. An event says
//! that something happened and by which rule. It has no data of a person: a program that may see more asks for the
//! case.

use jiff::Timestamp;
use recourse_database::{Database, Write};
use recourse_domain::{
    ids::Id,
    notice::{Notice, NoticeEvent},
};
use recourse_workflows::effects::Tell;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, any::AnyRow};
use uuid::Uuid;

use super::{WebhookError, damaged};

/// What happened in a case. As JSON it is the body of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseEvent {
    /// `evt_…`, the same wherever it is read or sent.
    pub id: String,
    /// `case.` and the name of what happened, as in notices.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened, in the case's time.
    pub at: Timestamp,
    /// The case, by its workflow id.
    pub case: String,
    /// The contract.
    pub contract: Id,
    /// Its place among the events of its case, from 1 and without gaps. Webhooks may come in another order.
    pub sequence: i64,
    /// The rule behind it.
    pub rule: String,
    /// By when somebody can act, if that is limited.
    pub deadline: Option<Timestamp>,
}

/// An event in the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeedEntry {
    /// Its place in the feed: what follows it is read with this as `after`. Places have gaps.
    pub position: i64,
    /// What happened.
    #[serde(flatten)]
    pub event: CaseEvent,
}

/// The type of an event, by the name of what happened.
pub(super) fn type_of(event: &str) -> String {
    format!("case.{event}")
}

/// Notices of one event, with one recipient each.
struct Happened<'a> {
    notices: Vec<&'a Notice>,
}

impl Happened<'_> {
    fn first(&self) -> &Notice {
        self.notices[0]
    }

    fn event(&self) -> NoticeEvent {
        self.first().event
    }

    /// Whether this notice announces the same event to another recipient.
    fn is_also_told_by(&self, notice: &Notice) -> bool {
        let first = self.first();
        (first.event, first.rule, first.by) == (notice.event, notice.rule, notice.by)
            && self.notices.iter().all(|earlier| earlier.to != notice.to)
    }
}

/// Groups the notices of the same event, which come one after the other.
fn happened(notices: &[Notice]) -> Vec<Happened<'_>> {
    let mut all: Vec<Happened<'_>> = Vec::new();
    for notice in notices {
        match all.last_mut() {
            Some(last) if last.is_also_told_by(notice) => last.notices.push(notice),
            _ => all.push(Happened { notices: vec![notice] }),
        }
    }
    all
}

/// Stores the events, each once, however often it comes and however many recipients it has.
pub(crate) async fn record(write: &mut Write, told: &Tell) -> Result<(), sqlx::Error> {
    for happened in happened(&told.notices) {
        let deadline = happened.notices.iter().filter_map(|notice| notice.deadline).min();
        sqlx::query(
            "INSERT INTO events (id, case_ref, number, event, contract, case_id, case_sequence, rule, at, deadline)
             VALUES ($1, $2, $3, $4, $5, $6,
                     (SELECT COALESCE(MAX(case_sequence), 0) + 1 FROM events WHERE case_id = $6), $7, $8, $9)
             ON CONFLICT (case_ref, number, event) DO NOTHING",
        )
        .bind(format!("evt_{}", Uuid::now_v7().simple()))
        .bind(&told.case_ref)
        .bind(i64::from(happened.first().number))
        .bind(happened.event().name())
        .bind(told.contract.id.as_str())
        .bind(&told.case)
        .bind(happened.first().rule.id())
        .bind(told.at.to_string())
        .bind(deadline.map(|deadline| deadline.to_string()))
        .execute(&mut **write)
        .await?;
    }
    Ok(())
}

const COLUMNS: &str = "position, id, event, contract, case_id, case_sequence, rule, at, deadline";

/// Up to `limit` events after a position, oldest first, of one contract or all.
pub(super) async fn feed(
    database: &Database,
    after: i64,
    limit: u32,
    contract: Option<&Id>,
) -> Result<Vec<FeedEntry>, WebhookError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM events
         WHERE position > $1 AND (CAST($2 AS TEXT) IS NULL OR contract = $2)
         ORDER BY position LIMIT $3"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(after)
        .bind(contract.map(ToString::to_string))
        .bind(i64::from(limit))
        .fetch_all(database.pool())
        .await?;
    rows.iter().map(read).collect()
}

/// The event with this id.
pub(super) async fn find(database: &Database, id: &str) -> Result<Option<FeedEntry>, WebhookError> {
    let sql = format!("SELECT {COLUMNS} FROM events WHERE id = $1");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(database.pool()).await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &AnyRow) -> Result<FeedEntry, WebhookError> {
    let contract: &str = row.try_get("contract")?;
    let deadline: Option<&str> = row.try_get("deadline")?;
    let event: &str = row.try_get("event")?;
    Ok(FeedEntry {
        position: row.try_get("position")?,
        event: CaseEvent {
            id: row.try_get("id")?,
            kind: type_of(event),
            at: read_instant("at", row.try_get("at")?)?,
            case: row.try_get("case_id")?,
            contract: Id::new(contract).map_err(|_| damaged("contract", contract))?,
            sequence: row.try_get("case_sequence")?,
            rule: row.try_get("rule")?,
            deadline: deadline.map(|deadline| read_instant("deadline", deadline)).transpose()?,
        },
    })
}

fn read_instant(field: &'static str, text: &str) -> Result<Timestamp, WebhookError> {
    text.parse().map_err(|_| damaged(field, text))
}
