//! The orders of money that are not done yet: a workflow cannot see its own retries, but the server can (L9).

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use recourse_domain::{
    ids::{CaseKind, Id},
    money::{Amount, Currency},
    party::Role,
    posting::{Movement, PostingKind},
    stage::Stage,
};
use recourse_programs::temporal::codec;
use recourse_workflows::effects::{BonusOrder, DepositOrder, FeeOrder, ReturnOrder, Settlement};
use serde::de::DeserializeOwned;
use temporalio_client::tonic::IntoRequest as _;
use temporalio_common::protos::temporal::api::{
    common::v1::Payload,
    failure::v1::Failure,
    history::v1::{ActivityTaskScheduledEventAttributes, history_event::Attributes},
    workflow::v1::PendingActivityInfo,
    workflowservice::v1::{DescribeWorkflowExecutionResponse, GetWorkflowExecutionHistoryReverseRequest},
};

use super::{CaseRow, Client, ClientError, Filters, plain::no_keys};

/// The effects that move money. Other effects hold money, or send notices about it.
const MOVE_MONEY: [&str; 5] =
    ["Escrow.deposit", "Escrow.settle", "Escrow.charge_fee", "Escrow.pay_bonus", "Escrow.return_payment"];

/// How many events of a history to read at once, from its end. Most orders that are under way are recent.
const EVENTS: i32 = 100;

/// How many cases to read at the same time.
const AT_ONCE: usize = 8;

/// How many open cases of a contract to read. A contract has a handful.
const OF_A_CONTRACT_MAX: u32 = 100;

/// An effect that moves money and is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The case that ordered it.
    pub case: String,
    /// The ordered movements. Some may have happened already: the ledger knows.
    pub movements: Vec<Ordered>,
    /// Which try it is in, or waits for, counted from 1.
    pub attempt: u32,
    /// When it was ordered, in the case's time.
    pub since: Timestamp,
    /// When the next try is, if it waits for one.
    pub next_at: Option<Timestamp>,
    /// Why the last try failed.
    pub failure: Option<String>,
}

/// One movement of an [`Order`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// The id that its posting will have. For a return, the ids of its parts begin with it.
    pub posting: String,
    /// What it is for.
    pub kind: PostingKind,
    /// How much.
    pub amount: Amount,
    /// The currency of `amount`.
    pub currency: Currency,
    /// Whose share of the arbitration fee it is, if it is one.
    pub party: Option<Role>,
    /// When it should arrive, if it goes back to where it was charged (R8).
    pub expected_by: Option<Timestamp>,
}

impl Order {
    /// Whether it has failed, and will be tried again.
    pub const fn is_retried(&self) -> bool {
        self.attempt >= 2
    }
}

impl Client {
    /// The orders of money of this case that are not done yet.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] if there is no such case; [`ClientError::Configuration`] if the key that encrypted its orders
    /// is not here.
    pub async fn orders(&self, case: &str) -> Result<Vec<Order>, ClientError> {
        let mut described = self.describe(case).await?;
        described.pending_activities.retain(moves_money);
        if described.pending_activities.is_empty() {
            return Ok(Vec::new());
        }
        self.failures_in_plain(&mut described).await;
        self.orders_in(case, described).await
    }

    /// The orders of money of a contract's open cases that are not done yet, also of its deposits.
    ///
    /// # Errors
    /// As [`Client::orders`].
    pub async fn orders_of_contract(&self, contract: &Id) -> Result<Vec<Order>, ClientError> {
        let filters = Filters {
            contract: Some(contract.clone()),
            open: Some(true),
            limit: Some(OF_A_CONTRACT_MAX),
            ..Filters::default()
        };
        let cases = self.list(&filters, None).await?.cases.into_iter().map(|row| row.case).collect();
        let mut orders = Vec::new();
        for found in self.orders_of_each(cases).await {
            match found {
                Ok(found) => orders.extend(found),
                // A list is slightly out of date.
                Err(ClientError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(orders)
    }

    /// The orders of money of these cases that a worker tries again. Leaves out a case that cannot be read, so that the list
    /// can still be shown.
    pub async fn retried(&self, rows: &[CaseRow]) -> Vec<Order> {
        let moving = rows.iter().filter(|row| may_move_money(row)).map(|row| row.case.clone()).collect();
        self.orders_of_each(moving).await.into_iter().flatten().flatten().filter(Order::is_retried).collect()
    }

    /// The orders of each of these cases. It asks for some of them at the same time.
    async fn orders_of_each(&self, cases: Vec<String>) -> Vec<Result<Vec<Order>, ClientError>> {
        let asked = cases.into_iter().map(|case| {
            let client = self.clone();
            async move { client.orders(&case).await }
        });
        stream::iter(asked).buffered(AT_ONCE).collect().await
    }

    async fn orders_in(
        &self,
        case: &str,
        described: DescribeWorkflowExecutionResponse,
    ) -> Result<Vec<Order>, ClientError> {
        let info = described.workflow_execution_info;
        let execution = info.and_then(|info| info.execution).unwrap_or_default();
        let mut pending: BTreeMap<String, PendingActivityInfo> =
            described.pending_activities.into_iter().map(|activity| (activity.activity_id.clone(), activity)).collect();
        let mut orders = Vec::new();
        let mut page = Vec::new();
        loop {
            let request = GetWorkflowExecutionHistoryReverseRequest {
                namespace: self.namespace().to_owned(),
                execution: Some(execution.clone()),
                maximum_page_size: EVENTS,
                next_page_token: page,
            };
            let answer = self.service().get_workflow_execution_history_reverse(request.into_request()).await;
            let answer = answer.map_err(|status| self.rpc_error(case, &status))?.into_inner();
            for event in answer.history.unwrap_or_default().events {
                let Some(Attributes::ActivityTaskScheduledEventAttributes(ordered)) = event.attributes else {
                    continue;
                };
                if let Some(activity) = pending.remove(&ordered.activity_id) {
                    let since = event.event_time.as_ref().and_then(|at| Timestamp::new(at.seconds, at.nanos).ok());
                    orders.push(self.order(case, ordered, &activity, since).await?);
                }
            }
            page = answer.next_page_token;
            if pending.is_empty() || page.is_empty() {
                // Oldest first.
                orders.reverse();
                return Ok(orders);
            }
        }
    }

    async fn order(
        &self,
        case: &str,
        ordered: ActivityTaskScheduledEventAttributes,
        activity: &PendingActivityInfo,
        since: Option<Timestamp>,
    ) -> Result<Order, ClientError> {
        let effect = ordered.activity_type.map(|kind| kind.name).unwrap_or_default();
        let input = ordered.input.unwrap_or_default().payloads.into_iter().next().unwrap_or_default();
        let input = self.plain(input).await?;
        let next_at = activity.next_attempt_schedule_time.as_ref();
        Ok(Order {
            case: case.to_owned(),
            movements: movements(case, &effect, &input)?,
            attempt: u32::try_from(activity.attempt).unwrap_or(1),
            since: since.unwrap_or_else(Timestamp::now),
            next_at: next_at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok()),
            failure: activity.last_failure.as_ref().map(words),
        })
    }
}

fn moves_money(activity: &PendingActivityInfo) -> bool {
    activity.activity_type.as_ref().is_some_and(|kind| MOVE_MONEY.contains(&kind.name.as_str()))
}

/// Whether a case in this stage may have money under way: after the decision, for the payment at a contract's end, and for
/// shares of the arbitration fee.
fn may_move_money(row: &CaseRow) -> bool {
    let is_paying = row.kind == Some(CaseKind::RefundRequest);
    row.open && (is_paying || matches!(row.stage, Some(Stage::Settling | Stage::AwaitingArbitrationDemand)))
}

/// A failure and its causes, on one line.
fn words(failure: &Failure) -> String {
    let mut said = failure.message.clone();
    let mut cause = failure.cause.as_deref();
    while let Some(failure) = cause {
        if !failure.message.is_empty() && !said.contains(&failure.message) {
            said = format!("{said}: {}", failure.message);
        }
        cause = failure.cause.as_deref();
    }
    said
}

/// The movements of an effect, as the case ordered it.
fn movements(case: &str, effect: &str, input: &Payload) -> Result<Vec<Ordered>, ClientError> {
    let one = |posting: String, kind, amount, currency| Ordered {
        posting,
        kind,
        amount,
        currency,
        party: None,
        expected_by: None,
    };
    let movements = match effect {
        "Escrow.deposit" => {
            let DepositOrder { case, contract, amount, .. } = read(case, input)?;
            vec![one(format!("{case}/deposit"), PostingKind::Deposit, amount, contract.currency)]
        }
        "Escrow.charge_fee" => {
            let FeeOrder { case_ref, contract, party, step, amount, .. } = read(case, input)?;
            let fee = one(format!("{case_ref}/{step}"), PostingKind::Fee, amount, contract.currency);
            vec![Ordered { party: Some(party), ..fee }]
        }
        "Escrow.pay_bonus" => {
            let BonusOrder { case_ref, contract, amount, .. } = read(case, input)?;
            vec![one(format!("{case_ref}/bonus"), PostingKind::Bonus, amount, contract.currency)]
        }
        "Escrow.return_payment" => {
            let ReturnOrder { case_ref, contract, step, amount, expected_by, .. } = read(case, input)?;
            let back = one(format!("{case_ref}/{step}"), PostingKind::Return, amount, contract.currency);
            vec![Ordered { expected_by: Some(expected_by), ..back }]
        }
        _ => {
            let Settlement { case_ref, contract, movements, .. } = read(case, input)?;
            movements.iter().map(|movement| settled(&case_ref, contract.currency, movement)).collect()
        }
    };
    // A movement of 0 never happens.
    Ok(movements.into_iter().filter(|movement| !movement.amount.is_zero()).collect())
}

fn settled(case_ref: &str, currency: Currency, movement: &Movement) -> Ordered {
    let (step, amount, kind, expected_by) = match movement {
        Movement::Release { step, amount, .. } => (step, *amount, PostingKind::Release, None),
        Movement::Refund { step, amount, expected_by, .. } => (step, *amount, PostingKind::Refund, Some(*expected_by)),
        Movement::FeeReturn { step, amount, expected_by, .. } => {
            (step, *amount, PostingKind::FeeReturn, Some(*expected_by))
        }
    };
    let posting = format!("{case_ref}/{step}");
    let party = share_of(&posting);
    Ordered { posting, kind, amount, currency, party, expected_by }
}

fn read<T: DeserializeOwned>(case: &str, input: &Payload) -> Result<T, ClientError> {
    if codec::is_encrypted(input) {
        return Err(no_keys(case));
    }
    serde_json::from_slice(&input.data).map_err(|error| ClientError::Unexpected {
        message: format!("{case} has ordered something else than this version of recourse understands: {error}"),
    })
}

/// Whose share of the arbitration fee a posting moves, by its id: `…/fee:client:1`, `…/fee_return:client`.
pub(super) fn share_of(posting: &str) -> Option<Role> {
    let (_, step) = posting.rsplit_once('/')?;
    let role = step.strip_prefix("fee:").or_else(|| step.strip_prefix("fee_return:"))?.split(':').next()?;
    Role::PARTIES.into_iter().find(|party| party.name() == role)
}

#[cfg(test)]
mod tests {
    use recourse_workflows::effects::{ChargeFeeDef, DepositDef, PayBonusDef, ReturnPaymentDef, SettleDef};
    use serde_json::{Value, json};
    use temporalio_common::ActivityDefinition as _;

    use super::*;

    /// L9: this list has exactly the declared effects that move money.
    #[test]
    fn every_effect_that_moves_money_is_known() {
        let declared =
            [DepositDef.name(), SettleDef.name(), ChargeFeeDef.name(), PayBonusDef.name(), ReturnPaymentDef.name()];
        assert_eq!(declared.map(str::to_owned), MOVE_MONEY);
    }

    fn ordered(effect: &str, more: Value) -> Vec<(String, &'static str, i64)> {
        let mut input = json!({
            "case": "dispute:c-1", "case_ref": "dispute:c-1#2", "at": "2026-12-01T10:00:00Z",
            "contract": {"id": "c-1", "kind": "fixed_price", "currency": "USD", "client": {"id": "cl-1"}, "freelancer": {"id": "fl-1"}},
        });
        let (Value::Object(fields), Value::Object(more)) = (&mut input, more) else { panic!() };
        fields.extend(more);
        let payload = Payload { data: serde_json::to_vec(&input).unwrap(), ..Payload::default() };
        let read = movements("dispute:c-1", effect, &payload).unwrap();
        read.into_iter().map(|one| (one.posting, one.kind.name(), one.amount.minor())).collect()
    }

    /// L9: the ids of the later postings identify an effect's movements; a movement of 0 does not count.
    #[test]
    fn an_order_lists_its_movements() {
        let time = "2026-12-08T10:00:00Z";
        let refund = |step: &str, amount: i64| {
            json!({"movement": "refund", "step": step, "amount": amount, "rule": "R4", "deposit": "d-1", "source": "card-1",
                   "charge": "x", "expected_by": time})
        };
        let settle = json!({"close": null, "movements": [
            {"movement": "release", "step": "release", "amount": 0, "rule": "M5", "available_at": time},
            refund("refund:d-1", 5_000),
            {"movement": "fee_return", "step": "fee_return:client", "amount": 700, "rule": "A3", "source": "card-1", "charge": "x",
             "expected_by": time},
        ]});
        let id = |step: &str| format!("dispute:c-1#2/{step}");
        assert_eq!(
            ordered("Escrow.settle", settle),
            [(id("refund:d-1"), "refund", 5_000), (id("fee_return:client"), "fee_return", 700)]
        );
        let fee = json!({"party": "client", "source": "card-1", "step": "fee:client:1", "amount": 700});
        assert_eq!(ordered("Escrow.charge_fee", fee), [(id("fee:client:1"), "fee", 700)]);
        let bonus = json!({"source": "card-1", "amount": 900, "available_at": time});
        assert_eq!(ordered("Escrow.pay_bonus", bonus), [(id("bonus"), "bonus", 900)]);
        let back = json!({"payment": "dispute:c-1/release", "step": "return", "amount": 800, "expected_by": time});
        assert_eq!(ordered("Escrow.return_payment", back), [(id("return"), "return", 800)]);
        let deposit = json!({"deposit": "d-1", "milestone": null, "amount": 300, "source": "card-1"});
        assert_eq!(ordered("Escrow.deposit", deposit), [("dispute:c-1/deposit".to_owned(), "deposit", 300)]);
    }

    /// L9: an error's causes say what to repair.
    #[test]
    fn a_failure_shows_each_cause_once() {
        let cause = Failure { message: "the sandbox bank broke off".to_owned(), ..Failure::default() };
        let failure = |message: &str| {
            words(&Failure { message: message.to_owned(), cause: Some(Box::new(cause.clone())), ..Failure::default() })
        };
        assert_eq!(failure("no answer"), "no answer: the sandbox bank broke off");
        assert_eq!(failure("no answer: the sandbox bank broke off"), "no answer: the sandbox bank broke off");
    }
}
