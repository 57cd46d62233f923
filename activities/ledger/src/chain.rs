//! The chain over the journal (L4): each posting has a link, a hash of it and of the previous link. The database's
//! triggers keep programs from changing the journal. If somebody removes the triggers and changes it, the chain shows
//! that.
//!
//! Who can rewrite the journal can also rewrite all later links. So keep a head elsewhere now and then (an auditor's
//! mail, a log that only grows), and give it to [`Ledger::verify`].
//!
//! A link is made in the transaction that posts. Only a database without a chain gets its links later.

use std::{borrow::Cow, fmt::Write as _};

use recourse_database::{Write, batches, rows_of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::{Row as _, any::AnyRow};

use super::{Finding, Ledger, LedgerError};

/// How many rows are in memory at a time.
const BATCH: i64 = 2_000;

/// How many findings a report has at most: one change can affect thousands of links.
const FINDINGS_MAX: usize = 100;

const COLUMNS: &str = "j.sequence, j.id, j.at, j.recorded_at, j.kind, j.debit, j.credit, j.currency, j.amount, j.contract, \
     j.case_id, j.rule, j.deposit, j.available_at, j.content, j.payment";

/// The newest link of a journal, or an earlier one that somebody kept: `120:9f86d0…`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// The posting's place in the journal.
    pub sequence: i64,
    /// 64 hexadecimal digits in lower case.
    pub hash: String,
}

impl std::fmt::Display for Head {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.sequence, self.hash)
    }
}

impl std::str::FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is no head of a journal, such as 120:9f86d0… with 64 hexadecimal digits");
        let (sequence, hash) = text.split_once(':').ok_or_else(wrong)?;
        let sequence = sequence.parse().map_err(|_| wrong())?;
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_hash { Ok(Self { sequence, hash: hash.to_owned() }) } else { Err(wrong()) }
    }
}

/// The result of a check of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainReport {
    /// How many postings there are.
    pub postings: u64,
    /// The newest link. Keep it elsewhere, and give it to a later verification.
    pub head: Option<Head>,
    /// What is wrong, at most the first hundred. Empty if the journal is what was posted.
    pub findings: Vec<Finding>,
}

impl ChainReport {
    /// Whether nothing is wrong.
    pub const fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, culprit: impl Into<String>, problem: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { law: "L4".into(), culprit: culprit.into(), problem: problem.into() });
        }
    }
}

/// A posting as it is in the journal, column by column.
#[derive(Debug, Clone)]
pub(super) struct Line<'a> {
    pub id: Cow<'a, str>,
    pub at: Cow<'a, str>,
    pub recorded_at: Cow<'a, str>,
    pub kind: Cow<'a, str>,
    pub debit: Cow<'a, str>,
    pub credit: Cow<'a, str>,
    pub currency: Cow<'a, str>,
    pub amount: i64,
    pub contract: Cow<'a, str>,
    pub case_id: Cow<'a, str>,
    pub rule: Cow<'a, str>,
    pub deposit: Option<Cow<'a, str>>,
    pub available_at: Option<Cow<'a, str>>,
    pub content: Cow<'a, str>,
    pub payment: Option<Cow<'a, str>>,
}

impl<'a> Line<'a> {
    fn of(row: &'a AnyRow) -> Result<Self, sqlx::Error> {
        let text = |name: &str| row.try_get::<&str, _>(name).map(Cow::Borrowed);
        let maybe = |name: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<&str>, _>(name)?.map(Cow::Borrowed));
        Ok(Self {
            id: text("id")?,
            at: text("at")?,
            recorded_at: text("recorded_at")?,
            kind: text("kind")?,
            debit: text("debit")?,
            credit: text("credit")?,
            currency: text("currency")?,
            amount: row.try_get("amount")?,
            contract: text("contract")?,
            case_id: text("case_id")?,
            rule: text("rule")?,
            deposit: maybe("deposit")?,
            available_at: maybe("available_at")?,
            content: text("content")?,
            payment: maybe("payment")?,
        })
    }

    /// The link of this posting at its place in the journal, after the link `before`.
    fn link(&self, sequence: i64, before: &str) -> String {
        // An array, so that content cannot move from one field into the next.
        let posting = (
            sequence,
            &self.id,
            &self.at,
            &self.recorded_at,
            &self.kind,
            &self.debit,
            &self.credit,
            &self.currency,
            self.amount,
            &self.contract,
            &self.case_id,
            &self.rule,
            &self.deposit,
            &self.available_at,
            &self.content,
            &self.payment,
        );
        let mut text = format!("{before}\n").into_bytes();
        serde_json::to_writer(&mut text, &posting).expect("texts and numbers can be written to memory");
        let digest = Sha256::digest(&text);
        digest.iter().fold(String::with_capacity(64), |mut hash, byte| {
            let _ = write!(hash, "{byte:02x}");
            hash
        })
    }
}

/// The newest link; none if there is no chain yet.
pub(super) async fn newest(write: &mut Write) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT hash FROM journal_chain ORDER BY sequence DESC LIMIT 1")
        .fetch_optional(&mut **write)
        .await
}

/// Links the new postings to the newest link. A posting that somebody inserted from outside gets no link.
pub(super) async fn append(
    write: &mut Write,
    newest: Option<String>,
    made: &[(i64, &Line<'_>)],
) -> Result<(), sqlx::Error> {
    let Some(mut before) = newest else { return begin(write).await };
    let mut links = Vec::with_capacity(made.len());
    for (sequence, line) in made {
        before = line.link(*sequence, &before);
        links.push((*sequence, before.clone()));
    }
    insert(write, &links).await
}

/// Begins the chain, with every posting from before it. Does nothing if the chain has begun.
pub async fn begin(write: &mut Write) -> Result<(), sqlx::Error> {
    let links: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM (SELECT 1 FROM journal_chain LIMIT 1) AS any_link")
        .fetch_one(&mut **write)
        .await?;
    if links > 0 {
        return Ok(());
    }
    let sql = format!("SELECT {COLUMNS} FROM journal j WHERE j.sequence > $1 ORDER BY j.sequence LIMIT $2");
    let (mut sequence, mut hash) = (i64::MIN, String::new());
    loop {
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(sql.as_str())).bind(sequence).bind(BATCH).fetch_all(&mut **write).await?;
        let mut links = Vec::with_capacity(rows.len());
        for row in &rows {
            sequence = row.try_get("sequence")?;
            hash = Line::of(row)?.link(sequence, &hash);
            links.push((sequence, hash.clone()));
        }
        insert(write, &links).await?;
        if is_last(&rows) {
            return Ok(());
        }
    }
}

async fn insert(write: &mut Write, links: &[(i64, String)]) -> Result<(), sqlx::Error> {
    for links in batches(links) {
        let sql = format!("INSERT INTO journal_chain (sequence, hash) VALUES {}", rows_of(2, links.len()));
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for (sequence, hash) in links {
            query = query.bind(sequence).bind(hash);
        }
        query.execute(&mut **write).await?;
    }
    Ok(())
}

fn is_last(batch: &[AnyRow]) -> bool {
    i64::try_from(batch.len()).is_ok_and(|rows| rows < BATCH)
}

impl Ledger {
    /// Checks, along the chain, whether the journal is what was posted (L4) and has the heads that were kept.
    ///
    /// # Errors
    /// Only if the database cannot be read. The report says what is wrong in it.
    pub async fn verify(&self, kept: &[Head]) -> Result<ChainReport, LedgerError> {
        let mut read = self.database.read().await?;
        let mut report = ChainReport { postings: 0, head: None, findings: Vec::new() };
        // The links with their postings; postings without a link come after them.
        let sql = format!(
            "SELECT c.sequence AS place, c.hash, {COLUMNS} FROM journal_chain c
             LEFT JOIN journal j ON j.sequence = c.sequence WHERE c.sequence > $1 ORDER BY c.sequence LIMIT $2"
        );
        let (mut place, mut before) = (i64::MIN, String::new());
        loop {
            let rows =
                sqlx::query(sqlx::AssertSqlSafe(sql.as_str())).bind(place).bind(BATCH).fetch_all(&mut *read).await?;
            for row in &rows {
                place = row.try_get("place")?;
                let hash: String = row.try_get("hash")?;
                match row.try_get::<Option<String>, _>("id")? {
                    None => report.find(format!("place {place}"), "had a posting, which was removed"),
                    Some(id) => {
                        report.postings += 1;
                        if Line::of(row)?.link(place, &before) != hash {
                            report.find(
                                id,
                                "is not what was posted there, or what was posted right before it was removed",
                            );
                        }
                    }
                }
                before = hash;
            }
            if is_last(&rows) {
                break;
            }
        }
        if !before.is_empty() {
            report.head = Some(Head { sequence: place, hash: before });
        }
        let unlinked = sqlx::query(
            "SELECT j.id FROM journal j LEFT JOIN journal_chain c ON c.sequence = j.sequence
             WHERE c.sequence IS NULL ORDER BY j.sequence LIMIT 101",
        )
        .fetch_all(&mut *read)
        .await?;
        for row in &unlinked {
            report.postings += 1;
            report.find(row.try_get::<String, _>("id")?, "has no link: the ledger did not post it");
        }
        for kept in kept {
            let hash: Option<String> = sqlx::query_scalar("SELECT hash FROM journal_chain WHERE sequence = $1")
                .bind(kept.sequence)
                .fetch_optional(&mut *read)
                .await?;
            let problem = match hash {
                Some(hash) if hash == kept.hash => continue,
                Some(hash) => format!("has the link {hash}: what was posted up to there is not what it was"),
                None => "has no link any more: what was posted up to there was removed".to_owned(),
            };
            report.find(format!("kept head {kept}"), problem);
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests;
