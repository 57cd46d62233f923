//! One posting: what it says, and how it is made once (L2, L4).

use jiff::Timestamp;
use recourse_workflows::domain::{
    ids::{Id, PaymentId},
    money::{Amount, Currency},
    posting::{Account, PostingKind},
    rule::Rule,
};
use serde_json::{Map, Value, json};
use sqlx::Row as _;

use super::{LedgerError, chain};
use crate::database::Write;

/// A movement of money between two accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Posting {
    /// `{case}/{step}`: the same however often it is posted.
    pub id: String,
    /// When, in the case's time.
    pub at: Timestamp,
    pub kind: PostingKind,
    /// Where the money leaves.
    pub debit: Account,
    /// Where it arrives.
    pub credit: Account,
    pub currency: Currency,
    pub amount: Amount,
    /// Whose money it is.
    pub contract: Id,
    /// The workflow id.
    pub case: String,
    pub rule: Rule,
    /// The deposit that a refund or a return belongs to.
    pub deposit: Option<Id>,
    /// The payment that a return takes back.
    pub payment: Option<PaymentId>,
    /// When a release is available to the freelancer (E9).
    pub available_at: Option<Timestamp>,
}

/// What must be the same when a posting's id comes again, and must still be so when the ledger is checked. Not the
/// times: a case that was reset decides the same at another instant.
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

    /// Whether this posting was made before.
    ///
    /// # Errors
    /// [`LedgerError::PostingConflict`] if its id was, with other content. Nothing has moved; an operator must look.
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
        let made: Option<i64> = sqlx::query_scalar(
            "INSERT INTO journal (id, at, recorded_at, kind, debit, credit, currency, amount, contract, case_id, rule,
                                  deposit, available_at, content, payment)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
             ON CONFLICT (id) DO NOTHING RETURNING sequence",
        )
        .bind(&self.id)
        .bind(self.at.to_string())
        .bind(Timestamp::now().to_string())
        .bind(self.kind.name())
        .bind(self.debit.to_string())
        .bind(self.credit.to_string())
        .bind(self.currency.code())
        .bind(self.amount.minor())
        .bind(self.contract.as_str())
        .bind(&self.case)
        .bind(self.rule.id())
        .bind(self.deposit.as_ref().map(|deposit| deposit.as_str().to_owned()))
        .bind(self.available_at.map(|at| at.to_string()))
        .bind(self.content().to_string())
        .bind(self.payment.as_ref().map(|payment| payment.as_str().to_owned()))
        .fetch_optional(&mut **write)
        .await?;
        match made {
            Some(sequence) => Ok(chain::link_posting(write, sequence).await?),
            None => self.is_made(write).await.map(drop),
        }
    }
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
