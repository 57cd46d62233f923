//! One posting: its content, and how it is made once (L2, L4).

use std::collections::HashMap;

use jiff::Timestamp;
use recourse_database::{Write, batches, rows_of};
use recourse_domain::{
    ids::{Id, PaymentId},
    money::{Amount, Currency},
    posting::{Account, PostingKind},
    rule::Rule,
};
use serde_json::{Map, Value, json};
use sqlx::{Row as _, any::AnyRow};

use super::{
    LedgerError,
    chain::{self, Line},
};

/// A movement of money between two accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// `{case}/{step}`: the same however often it is posted.
    pub id: String,
    /// When, in the case's time.
    pub at: Timestamp,
    /// What it is for.
    pub kind: PostingKind,
    /// Where the money leaves.
    pub debit: Account,
    /// Where it arrives.
    pub credit: Account,
    /// The currency of `amount`.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// Whose money it is.
    pub contract: Id,
    /// The workflow id.
    pub case: String,
    /// The rule that it follows.
    pub rule: Rule,
    /// The deposit that a refund or a return belongs to.
    pub deposit: Option<Id>,
    /// The payment that a return takes back.
    pub payment: Option<PaymentId>,
    /// When a release is available to the freelancer (E9).
    pub available_at: Option<Timestamp>,
}

/// The fields that must be the same when a posting's id comes again, and when the ledger is checked. Times are not
/// among them: after a reset, a case decides the same at another instant.
pub(super) fn content<'a>(
    fields: impl IntoIterator<Item = (&'static str, &'a str)>,
    amount: i64,
    (deposit, payment): (Option<&str>, Option<&str>),
) -> Value {
    let mut content: Map<_, _> = fields.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    content.insert("amount".into(), json!(amount));
    for (name, value) in [("deposit", deposit), ("payment", payment)] {
        if let Some(value) = value {
            content.insert(name.into(), json!(value));
        }
    }
    Value::Object(content)
}

impl Posting {
    fn content(&self) -> Value {
        content(
            [
                ("kind", self.kind.name()),
                ("debit", self.debit.to_string().as_str()),
                ("credit", self.credit.to_string().as_str()),
                ("currency", self.currency.code()),
                ("contract", self.contract.as_str()),
                ("case", self.case.as_str()),
                ("rule", self.rule.id()),
            ],
            self.amount.minor(),
            (self.deposit.as_ref().map(Id::as_str), self.payment.as_ref().map(PaymentId::as_str)),
        )
    }

    /// Whether this posting exists already.
    ///
    /// # Errors
    /// [`LedgerError::PostingConflict`] if its id exists with other content. Nothing has moved; an operator must look.
    pub async fn is_made(&self, write: &mut Write) -> Result<bool, LedgerError> {
        let found = sqlx::query("SELECT content FROM journal WHERE id = $1")
            .bind(&self.id)
            .fetch_optional(&mut **write)
            .await?;
        let Some(found) = found else { return Ok(false) };
        let found: String = found.try_get("content")?;
        let there: Value = serde_json::from_str(&found)
            .map_err(|_| LedgerError::Damaged { what: format!("posting {}", self.id), field: "content" })?;
        let here = self.content();
        if there == here {
            return Ok(true);
        }
        let differs = differences(&there, &here);
        tracing::error!(posting = %self.id, %differs, rule = "L2", "a posting came again with other content");
        Err(LedgerError::PostingConflict { id: self.id.clone(), differs })
    }

    /// Makes this posting and its link in the chain, once.
    ///
    /// # Errors
    /// As [`Posting::is_made`], and whatever the database's constraints refuse. Nothing has moved.
    pub async fn make(&self, write: &mut Write) -> Result<(), LedgerError> {
        let newest = chain::newest(write).await?;
        if make_all(write, newest, &[self]).await? { Ok(()) } else { self.is_made(write).await.map(drop) }
    }

    /// Its line in the journal if it is posted now.
    fn line(&self) -> Line<'_> {
        Line {
            id: self.id.as_str().into(),
            at: self.at.to_string().into(),
            recorded_at: Timestamp::now().to_string().into(),
            kind: self.kind.name().into(),
            debit: self.debit.to_string().into(),
            credit: self.credit.to_string().into(),
            currency: self.currency.code().into(),
            amount: self.amount.minor(),
            contract: self.contract.as_str().into(),
            case_id: self.case.as_str().into(),
            rule: self.rule.id().into(),
            deposit: self.deposit.as_ref().map(|deposit| deposit.as_str().into()),
            available_at: self.available_at.map(|at| at.to_string().into()),
            content: self.content().to_string().into(),
            payment: self.payment.as_ref().map(|payment| payment.as_str().into()),
        }
    }
}

/// Makes all of `postings` and their links after `newest`, in their order. Returns false if one of them existed: then,
/// if there were several, the caller must not commit the transaction.
///
/// # Errors
/// Whatever the database's constraints refuse. Nothing has moved.
pub(super) async fn make_all(
    write: &mut Write,
    newest: Option<String>,
    postings: &[&Posting],
) -> Result<bool, LedgerError> {
    let lines: Vec<Line<'_>> = postings.iter().map(|posting| posting.line()).collect();
    let mut places = HashMap::with_capacity(lines.len());
    for lines in batches(&lines) {
        for row in insert(write, lines).await? {
            places.insert(row.try_get::<String, _>("id")?, row.try_get::<i64, _>("sequence")?);
        }
    }
    let made: Option<Vec<(i64, &Line<'_>)>> =
        lines.iter().map(|line| Some((*places.get(line.id.as_ref())?, line))).collect();
    let Some(mut made) = made.filter(|made| made.len() == places.len()) else { return Ok(false) };
    // The chain follows the order of the journal, whatever order the database returns the rows in.
    made.sort_by_key(|(place, _)| *place);
    chain::append(write, newest, &made).await?;
    Ok(true)
}

async fn insert(write: &mut Write, lines: &[Line<'_>]) -> Result<Vec<AnyRow>, sqlx::Error> {
    let sql = format!(
        "INSERT INTO journal (id, at, recorded_at, kind, debit, credit, currency, amount, contract, case_id, rule,
                              deposit, available_at, content, payment)
         VALUES {} ON CONFLICT (id) DO NOTHING RETURNING id, sequence",
        rows_of(15, lines.len())
    );
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    for line in lines {
        query = query
            .bind(line.id.as_ref())
            .bind(line.at.as_ref())
            .bind(line.recorded_at.as_ref())
            .bind(line.kind.as_ref())
            .bind(line.debit.as_ref())
            .bind(line.credit.as_ref())
            .bind(line.currency.as_ref())
            .bind(line.amount)
            .bind(line.contract.as_ref())
            .bind(line.case_id.as_ref())
            .bind(line.rule.as_ref())
            .bind(line.deposit.as_deref())
            .bind(line.available_at.as_deref())
            .bind(line.content.as_ref())
            .bind(line.payment.as_deref());
    }
    query.fetch_all(&mut **write).await
}

/// Which fields differ, in words.
pub(super) fn differences(there: &Value, here: &Value) -> String {
    let empty = Map::new();
    let (there, here) = (there.as_object().unwrap_or(&empty), here.as_object().unwrap_or(&empty));
    let mut names: Vec<_> = there.keys().chain(here.keys()).collect();
    names.sort();
    names.dedup();
    let shown = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
    names
        .into_iter()
        .filter(|name| there.get(*name) != here.get(*name))
        .map(|name| format!("{name} was {} and is now {}", shown(there.get(name)), shown(here.get(name))))
        .collect::<Vec<_>>()
        .join(", ")
}
