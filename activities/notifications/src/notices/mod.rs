//! Notices, in the app and by email (N1–N3).
//!
//! A notice in the app and its email are stored as rows in one transaction, and every retry stores the same rows once
//! (N2). A [`Postman`] in the background sends the emails when the mail server is up (N3), so that no deadline and no
//! money ever waits for it. The same transaction stores the events for programs ([`crate::webhooks`]).

mod email;
mod postman;
mod smtp;
mod words;

use std::sync::Arc;

use jiff::Timestamp;
use recourse_domain::{
    ids::Id,
    notice::Notice,
    party::{Contract, Role},
};
use recourse_workflows::effects::{NoticesStored, Tell};
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, any::AnyRow};
use temporalio_client::Client;
use tokio::sync::Notify;

pub use email::{EmailState, OutboxEmail};
pub use postman::{MailConfig, MailConfigError, Pace, Postman};

use recourse_database::{Database, Together, Write, WriteQueue, batches, rows_of};

use crate::webhooks::{self, Courier, WebhookBook};
use words::{Rendered, Words};

/// Why notices could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// The database failed.
    #[error("the database of notices did not do its work")]
    Database(#[from] sqlx::Error),
    /// A template has an error.
    #[error("a notice cannot be put in words")]
    Words(#[from] minijinja::Error),
    /// A row has content that this program never writes.
    #[error("a notice is damaged: {field} is \"{value}\"")]
    Damaged {
        /// Which field.
        field: &'static str,
        /// Its content.
        value: String,
    },
}

impl NoticeError {
    /// The kind of error, as a name in a workflow's history.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Database(_) => "NoticesUnavailable",
            Self::Words(_) => "NoticeWords",
            Self::Damaged { .. } => "NoticeDamaged",
        }
    }
}

/// A notice in the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredNotice {
    /// Its place among all notices; later ones are larger.
    pub sequence: i64,
    /// What tells this case from an earlier one with the same id.
    pub case_ref: String,
    /// The notice's place in its case.
    pub number: i64,
    /// The recipient's role.
    pub recipient: Role,
    /// Which party, if it is a party of the contract.
    pub party: Option<String>,
    /// The contract.
    pub contract: String,
    /// The workflow id.
    pub case: String,
    /// What happened, by its name on the wire.
    pub event: String,
    /// The rule behind it.
    pub rule: String,
    /// When, in the case's time; RFC 3339, UTC.
    pub at: String,
    /// By when the recipient can act; RFC 3339, UTC.
    pub deadline: Option<String>,
    /// The headline and the contract's title.
    pub subject: String,
    /// In plain text.
    pub text: String,
    /// As an HTML page.
    pub html: String,
}

/// Which notices to read; an absent field means any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NoticeFilter {
    /// Of this contract.
    pub contract: Option<Id>,
    /// To this role.
    pub recipient: Option<Role>,
    /// To this party.
    pub party: Option<Id>,
}

/// The notices in a database. Clones share it.
#[derive(Debug, Clone)]
pub struct NoticeBook {
    database: Database,
    queue: WriteQueue<Telling>,
    words: Arc<Words>,
    waker: Arc<Notify>,
    /// Wakes the couriers that hand events over.
    events: Arc<Notify>,
}

impl NoticeBook {
    /// The notices in `database`. [`Database::migrate`] has made its tables.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            queue: WriteQueue::default(),
            words: Arc::new(Words::new()),
            waker: Arc::new(Notify::new()),
            events: Arc::new(Notify::new()),
        }
    }

    /// The postman for this book's emails. It wakes whenever this book, or a clone of it, stores some.
    ///
    /// # Errors
    /// [`MailConfigError`] if the mail server's URL or the sender's address cannot be read.
    pub fn postman(&self, config: &MailConfig) -> Result<Postman, MailConfigError> {
        Postman::new(self.database.clone(), self.waker.clone(), config)
    }

    /// The courier for this book's events. It delivers them to `webhooks`' endpoints, by workflows on the server of
    /// `client`. It wakes whenever this book, or a clone of it, stores some.
    pub fn courier(&self, webhooks: WebhookBook, client: Client) -> Courier {
        Courier::to_server(webhooks, self.events_stored(), client)
    }

    /// Notified when events are stored.
    pub(crate) fn events_stored(&self) -> Arc<Notify> {
        self.events.clone()
    }

    /// Stores notices, each once per channel (N2), and their events, each once.
    ///
    /// # Errors
    /// Only if the database cannot be written. Then nothing is stored.
    pub async fn tell(&self, told: &Tell) -> Result<NoticesStored, NoticeError> {
        let rendered = told.notices.iter().map(|notice| self.words.render(told, notice));
        let telling = Arc::new(Telling { rendered: rendered.collect::<Result<_, _>>()?, told: told.clone() });
        if self.queue.written(&self.database, &telling).await.is_none() {
            let mut write = self.database.write().await?;
            Telling::write_all(&mut write, &[&telling]).await?;
            write.commit().await?;
        }
        self.waker.notify_one();
        self.events.notify_one();
        Ok(NoticesStored { stored: u32::try_from(told.notices.len()).unwrap_or(u32::MAX) })
    }

    /// The notices that fit `filter`, oldest first.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn list(&self, filter: &NoticeFilter) -> Result<Vec<StoredNotice>, NoticeError> {
        let mut notices = self.latest(filter, None, u32::MAX).await?;
        notices.reverse();
        Ok(notices)
    }

    /// The newest notices that fit `filter`, newest first: at most `limit`, and only those before this sequence.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn latest(
        &self,
        filter: &NoticeFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<StoredNotice>, NoticeError> {
        let rows = sqlx::query(
            "SELECT sequence, case_ref, number, recipient, party, contract, case_id, event, rule, at, deadline, subject,
                    body_text, body_html
             FROM notices
             WHERE (CAST($1 AS TEXT) IS NULL OR contract = $1)
               AND (CAST($2 AS TEXT) IS NULL OR recipient = $2)
               AND (CAST($3 AS TEXT) IS NULL OR party = $3)
               AND sequence < $4
             ORDER BY sequence DESC LIMIT $5",
        )
        .bind(filter.contract.as_ref().map(ToString::to_string))
        .bind(filter.recipient.map(|role| role.name().to_owned()))
        .bind(filter.party.as_ref().map(ToString::to_string))
        .bind(before.unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(self.database.pool())
        .await?;
        rows.iter().map(read).collect()
    }

    /// Every email with its state, oldest first.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn emails(&self) -> Result<Vec<OutboxEmail>, NoticeError> {
        email::list(&self.database).await
    }
}

/// Notices with their texts.
#[derive(Debug)]
struct Telling {
    told: Tell,
    /// The texts of each notice.
    rendered: Vec<Rendered>,
}

/// A notice to store, with its order and its texts.
type ToStore<'a> = (&'a Tell, &'a Notice, &'a Rendered);

impl Telling {
    fn notices(&self) -> impl Iterator<Item = ToStore<'_>> {
        self.told.notices.iter().zip(&self.rendered).map(|(notice, rendered)| (&self.told, notice, rendered))
    }
}

impl Together for Telling {
    type Done = ();
    type Error = NoticeError;

    /// In notices; an event has one or two.
    const MAX: usize = 64;

    fn weight(&self) -> usize {
        self.rendered.len()
    }

    async fn write_all(write: &mut Write, all: &[&Self]) -> Result<Option<Vec<()>>, NoticeError> {
        let notices: Vec<ToStore<'_>> = all.iter().flat_map(|telling| telling.notices()).collect();
        store(write, &notices).await?;
        email::queue(write, &notices).await?;
        for telling in all {
            webhooks::record(write, &telling.told).await?;
        }
        Ok(Some(vec![(); all.len()]))
    }
}

async fn store(write: &mut Write, notices: &[ToStore<'_>]) -> Result<(), NoticeError> {
    for notices in batches(notices) {
        let sql = format!(
            "INSERT INTO notices (case_ref, number, recipient, party, contract, case_id, event, rule, at, recorded_at,
                                  deadline, subject, body_text, body_html)
             VALUES {} ON CONFLICT (case_ref, number, event, recipient) DO NOTHING",
            rows_of(14, notices.len())
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for (told, notice, rendered) in notices {
            query = query
                .bind(&told.case_ref)
                .bind(i64::from(notice.number))
                .bind(notice.to.name())
                .bind(party_id(&told.contract, notice.to))
                .bind(told.contract.id.as_str())
                .bind(&told.case)
                .bind(notice.event.name())
                .bind(notice.rule.id())
                .bind(told.at.to_string())
                .bind(Timestamp::now().to_string())
                .bind(notice.deadline.map(|deadline| deadline.to_string()))
                .bind(&rendered.subject)
                .bind(&rendered.text)
                .bind(&rendered.html);
        }
        query.execute(&mut **write).await?;
    }
    Ok(())
}

fn party_id(contract: &Contract, role: Role) -> Option<String> {
    contract.party(role).map(|party| party.id.to_string())
}

fn read(row: &AnyRow) -> Result<StoredNotice, NoticeError> {
    Ok(StoredNotice {
        sequence: row.try_get("sequence")?,
        case_ref: row.try_get("case_ref")?,
        number: row.try_get("number")?,
        recipient: read_role(row.try_get("recipient")?)?,
        party: row.try_get("party")?,
        contract: row.try_get("contract")?,
        case: row.try_get("case_id")?,
        event: row.try_get("event")?,
        rule: row.try_get("rule")?,
        at: row.try_get("at")?,
        deadline: row.try_get("deadline")?,
        subject: row.try_get("subject")?,
        text: row.try_get("body_text")?,
        html: row.try_get("body_html")?,
    })
}

fn read_role(name: &str) -> Result<Role, NoticeError> {
    Role::ALL
        .into_iter()
        .find(|role| role.name() == name)
        .ok_or_else(|| NoticeError::Damaged { field: "recipient", value: name.to_owned() })
}

#[cfg(test)]
mod tests;
