//! A contract in the bench, and the acts of its parties: with the calls of a backend, and no others.

use jiff::Timestamp;
use recourse_domain::{
    command::CommandKind,
    messages::{MilestoneReviewStart, RefundRequestStart},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::parts::{Parts, unique};

/// A contract with money in escrow.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Contract(Value);

impl Contract {
    /// A new one that no program knows yet.
    pub fn new() -> Self {
        Self(json!({
            "id": unique("bench"), "title": "Logo", "kind": "fixed_price", "currency": "USD",
            "client": {"id": "cl-1", "name": "Ada", "email": "ada@example.com"},
            "freelancer": {"id": "fl-1", "name": "Ben", "email": "ben@example.com"},
        }))
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.0["id"].as_str().unwrap_or_default()
    }

    /// A new one with a deposit for all of it, or for its milestone: in the ledger, without a deposit case.
    pub async fn paid_for(parts: &Parts, for_milestone: bool) -> anyhow::Result<Self> {
        let contract = Self::new();
        let order = json!({
            "case": format!("escrow-deposit:{}:d-1", contract.id()), "contract": contract.0, "deposit": "d-1",
            "milestone": for_milestone.then_some("m-1"), "amount": 20_000, "source": "card-1", "at": Timestamp::now(),
        });
        parts.deposit(&serde_json::from_value(order)?).await?;
        Ok(contract)
    }

    /// Ends it, and waits until the freelancer must answer; the case.
    pub async fn end(&self, parts: &Parts) -> anyhow::Result<String> {
        let case = self.begin_end(parts).await?;
        parts.waits(&case, 1).await?;
        Ok(case)
    }

    /// Ends it; the case, which is not open yet.
    pub async fn begin_end(&self, parts: &Parts) -> anyhow::Result<String> {
        let start = json!({"contract": self.0, "pay_now": 0});
        Ok(parts.client.start(serde_json::from_value::<RefundRequestStart>(start)?).await?)
    }

    /// Submits its milestone, and waits until the client must answer; the case.
    pub async fn submit(&self, parts: &Parts) -> anyhow::Result<String> {
        let milestone = json!({"id": "m-1", "ordinal": 1, "name": "The logo", "amount": 20_000});
        let start = json!({"contract": self.0, "milestone": milestone, "note": "It is done.", "files": []});
        let case = parts.client.start(serde_json::from_value::<MilestoneReviewStart>(start)?).await?;
        parts.waits(&case, 1).await?;
        Ok(case)
    }

    /// Disputes the requested refund, up to a resolution that can be accepted; the dispute.
    pub async fn dispute(&self, parts: &Parts, request: &str) -> anyhow::Result<String> {
        let claim = json!({
            "amount": 15_000, "reason": "work_delivered", "details": "It is done.", "contacted_client": true,
        });
        self.say(parts, request, "freelancer", CommandKind::Dispute, claim).await?;
        let dispute = format!("dispute:{}", self.id());
        parts.waits(&dispute, 1).await?;
        let rejection = json!({"of": "claim", "reason": "not_as_agreed", "details": "Not what we agreed."});
        let resolution = json!({"to_freelancer": 9_000, "rationale": "Half was delivered."});
        self.say(parts, &dispute, "client", CommandKind::Reject, rejection).await?;
        self.say(parts, &dispute, "mediator", CommandKind::Propose, resolution).await?;
        Ok(dispute)
    }

    /// Sends a command of this party to a case, and waits for the answer.
    pub async fn say(
        &self,
        parts: &Parts,
        case: &str,
        who: &str,
        command_kind: CommandKind,
        fields: Value,
    ) -> anyhow::Result<()> {
        let mut body: Map<String, Value> = serde_json::from_value(fields)?;
        let id = self.0[who]["id"].as_str().unwrap_or("me-1");
        body.insert("by".to_owned(), json!({"party": who, "id": id}));
        parts.client.command(case, command_kind, body).await?;
        Ok(())
    }
}
