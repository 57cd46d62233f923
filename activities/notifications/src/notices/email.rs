//! The outbox: emails with their states. A row leaves `queued` once, and never comes back from a state in which the
//! email may have been delivered (N2).
//!
//! | from | to | when |
//! |---|---|---|
//! | `queued` | `not_sent` | no server is configured; it is written to the log |
//! | | `sending` | a postman claims it, in a transaction of its own, before it talks to the server |
//! | `sending` | `sent` | the server took it |
//! | | `queued` | the server certainly did not take it, and may later |
//! | | `failed` | the server will never take it |
//! | | `unknown` | the connection broke when the server may have taken it, or the postman died |

use jiff::Timestamp;
use recourse_database::{Database, Write, batches, rows_of};
use recourse_domain::party::Role;
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, any::AnyRow};

use super::{NoticeError, ToStore, read_role, words::name_of};

/// The state of an email.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmailState {
    /// To be sent.
    Queued,
    /// A postman is sending it.
    Sending,
    /// The mail server took it.
    Sent,
    /// Written to the log, because no mail server is configured.
    NotSent,
    /// The mail server will never take it.
    Failed,
    /// The mail server may have taken it. It is not sent again.
    Unknown,
}

impl EmailState {
    const ALL: [Self; 6] = [Self::Queued, Self::Sending, Self::Sent, Self::NotSent, Self::Failed, Self::Unknown];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::NotSent => "not_sent",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// An email and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEmail {
    /// Its place among all emails.
    pub sequence: i64,
    /// What tells its case from an earlier one with the same id.
    pub case_ref: String,
    /// Its notice's place in its case.
    pub number: i64,
    /// What happened, by its name on the wire.
    pub event: String,
    /// The recipient's role.
    pub recipient: Role,
    /// The recipient's name.
    pub name: String,
    /// The recipient's address.
    pub address: String,
    /// The subject.
    pub subject: String,
    /// In plain text.
    pub text: String,
    /// As an HTML page.
    pub html: String,
    /// Its state.
    pub state: EmailState,
    /// Why, where the state alone does not say it.
    pub reason: Option<String>,
    /// How often it was tried.
    pub attempts: i64,
}

impl OutboxEmail {
    /// The part of the `Message-ID` left of the `@`, different for every email.
    pub fn key(&self) -> String {
        let key: String = self
            .case_ref
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
                other => format!("={other:02X}"),
            })
            .collect();
        format!("{key}.{}.{}.{}", self.number, self.event, self.recipient)
    }
}

const COLUMNS: &str = "sequence, case_ref, number, event, recipient, name, address, subject, body_text, body_html, \
                       state, reason, attempts";

/// Queues the emails of those notices that go by email and whose recipient has an address.
pub(super) async fn queue(write: &mut Write, notices: &[ToStore<'_>]) -> Result<(), NoticeError> {
    let emails: Vec<_> = notices
        .iter()
        .filter(|(_, notice, _)| notice.email)
        .filter_map(|to_store| {
            let (told, notice, _) = to_store;
            Some((to_store, told.contract.party(notice.to)?.email.as_ref()?))
        })
        .collect();
    for emails in batches(&emails) {
        let sql = format!(
            "INSERT INTO emails (case_ref, number, event, recipient, name, address, subject, body_text, body_html, due_at)
             VALUES {} ON CONFLICT (case_ref, number, event, recipient) DO NOTHING",
            rows_of(10, emails.len())
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for ((told, notice, rendered), address) in emails {
            query = query
                .bind(&told.case_ref)
                .bind(i64::from(notice.number))
                .bind(notice.event.name())
                .bind(notice.to.name())
                .bind(name_of(notice.to, &told.contract))
                .bind(address.as_str())
                .bind(&rendered.subject)
                .bind(&rendered.text)
                .bind(&rendered.html)
                .bind(Timestamp::now().as_millisecond());
        }
        query.execute(&mut **write).await?;
    }
    Ok(())
}

pub(super) async fn list(database: &Database) -> Result<Vec<OutboxEmail>, NoticeError> {
    let sql = format!("SELECT {COLUMNS} FROM emails ORDER BY sequence");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(database.pool()).await?;
    rows.iter().map(read).collect()
}

/// Up to `count_max` emails that are due, oldest first.
pub(super) async fn due(database: &Database, now: Timestamp, count_max: u32) -> Result<Vec<OutboxEmail>, NoticeError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM emails WHERE state = 'queued' AND due_at <= $1 ORDER BY due_at, sequence LIMIT $2"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(now.as_millisecond())
        .bind(i64::from(count_max))
        .fetch_all(database.pool())
        .await?;
    rows.iter().map(read).collect()
}

/// Up to `count_max` due emails, oldest first, that can only go to the log. Each goes to one caller.
pub(super) async fn not_sent(
    database: &Database,
    now: Timestamp,
    count_max: u32,
) -> Result<Vec<OutboxEmail>, NoticeError> {
    let sql = format!(
        "UPDATE emails SET state = 'not_sent', attempts = attempts + 1
         WHERE state = 'queued' AND sequence IN (
             SELECT sequence FROM emails WHERE state = 'queued' AND due_at <= $1 ORDER BY due_at, sequence LIMIT $2)
         RETURNING {COLUMNS}"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(now.as_millisecond())
        .bind(i64::from(count_max))
        .fetch_all(database.writers())
        .await?;
    let mut emails: Vec<OutboxEmail> = rows.iter().map(read).collect::<Result<_, _>>()?;
    emails.sort_by_key(|email| email.sequence);
    Ok(emails)
}

/// Claims a queued email, so that no other postman takes it. False if another was faster.
pub(super) async fn claim(database: &Database, sequence: i64, now: Timestamp) -> Result<bool, NoticeError> {
    let claimed = sqlx::query(
        "UPDATE emails SET state = 'sending', claimed_at = $1, attempts = attempts + 1
         WHERE sequence = $2 AND state = 'queued'",
    )
    .bind(now.as_millisecond())
    .bind(sequence)
    .execute(database.writers())
    .await?;
    Ok(claimed.rows_affected() == 1)
}

/// Stores the state of an email that is being sent.
pub(super) async fn mark(
    database: &Database,
    sequence: i64,
    state: EmailState,
    reason: Option<&str>,
    due_at: Timestamp,
) -> Result<(), NoticeError> {
    sqlx::query("UPDATE emails SET state = $1, reason = $2, due_at = $3 WHERE sequence = $4 AND state = 'sending'")
        .bind(state.name())
        .bind(reason.map(ToOwned::to_owned))
        .bind(due_at.as_millisecond())
        .bind(sequence)
        .execute(database.writers())
        .await?;
    Ok(())
}

/// Gives up emails that a postman claimed before `claimed_before` and did not finish. They may have been delivered, so
/// they are not sent again.
pub(super) async fn give_up(database: &Database, claimed_before: Timestamp) -> Result<Vec<OutboxEmail>, NoticeError> {
    let sql = format!("SELECT {COLUMNS} FROM emails WHERE state = 'sending' AND claimed_at < $1 ORDER BY sequence");
    let rows =
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(claimed_before.as_millisecond()).fetch_all(database.pool()).await?;
    let mut lost = Vec::new();
    for row in &rows {
        let email = read(row)?;
        let given_up = sqlx::query(
            "UPDATE emails SET state = 'unknown', reason = 'its postman stopped while sending it'
             WHERE sequence = $1 AND state = 'sending' AND claimed_at < $2",
        )
        .bind(email.sequence)
        .bind(claimed_before.as_millisecond())
        .execute(database.writers())
        .await?;
        if given_up.rows_affected() == 1 {
            lost.push(email);
        }
    }
    Ok(lost)
}

fn read(row: &AnyRow) -> Result<OutboxEmail, NoticeError> {
    let state: &str = row.try_get("state")?;
    Ok(OutboxEmail {
        sequence: row.try_get("sequence")?,
        case_ref: row.try_get("case_ref")?,
        number: row.try_get("number")?,
        event: row.try_get("event")?,
        recipient: read_role(row.try_get("recipient")?)?,
        name: row.try_get("name")?,
        address: row.try_get("address")?,
        subject: row.try_get("subject")?,
        text: row.try_get("body_text")?,
        html: row.try_get("body_html")?,
        state: EmailState::ALL
            .into_iter()
            .find(|known| known.name() == state)
            .ok_or_else(|| NoticeError::Damaged { field: "state", value: state.to_owned() })?,
        reason: row.try_get("reason")?,
        attempts: row.try_get("attempts")?,
    })
}
