//! A state of the model: a story on paper, and what of it decides how the story can go on.

use std::hash::{Hash, Hasher};

use jiff::Timestamp;
use recourse_workflows::domain::command::Message;
use serde_json::{Value, json};

use crate::paper::{Ask, Paper, To, on_case};

/// Where a story stands.
#[derive(Clone)]
pub struct State {
    /// The story.
    pub paper: Paper,
    /// Whether commands are being handed over: an activation has begun and `run` has not gone on yet.
    pub handing: bool,
    /// What was taken so far, with its key. One of the ways that lead here: it is not part of the footprint.
    pub taken: Vec<(To, Message)>,
    /// Laws that were broken by the step that led here.
    pub faults: Vec<String>,
    /// All that decides how the story can go on, with times relative to the clock.
    pub footprint: Value,
}

impl State {
    /// The state of this story.
    pub fn of(mut paper: Paper, handing: bool) -> Self {
        paper.forget_notices();
        let footprint = footprint(&paper, handing);
        Self { paper, handing, taken: Vec::new(), faults: Vec::new(), footprint }
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.footprint.to_string().hash(state);
        self.faults.hash(state);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.footprint == other.footprint && self.faults == other.faults
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stage = |to| self.paper.status(to).map(|status| status.stage).unwrap_or_default();
        write!(f, "{} {}", stage(To::Main), stage(To::Dispute))?;
        write!(f, " [{}]", self.paper.books.shown())?;
        if let Some(outcome) = self.paper.outcome() {
            write!(f, " {}", crate::harness::shown(outcome))?;
        }
        for fault in self.faults.iter().chain(&self.paper.books.faults) {
            write!(f, " BROKEN: {fault}")?;
        }
        Ok(())
    }
}

/// What only grows and decides nothing, or never changes within a run.
const LEFT_OUT: [&str; 9] =
    ["id", "contract", "timeline", "refusals_omitted", "answered", "notices", "notices_given", "version", "evidence"];

fn footprint(paper: &Paper, handing: bool) -> Value {
    let main = on_case!(&paper.main, case => serde_json::to_value(case)).unwrap();
    let main = reduced(main, paper.now);
    let dispute = paper.dispute.as_ref().map(|child| reduced(serde_json::to_value(&child.case).unwrap(), child.now));
    let books = &paper.books;
    let left: Vec<i64> = books.deposits().iter().map(|deposit| deposit.left.minor()).collect();
    let money = [books.escrow, books.to_freelancer, books.to_client, books.bonus, books.returned, books.fees];
    let asked: Vec<String> = paper
        .asked
        .iter()
        .map(|ask| match ask {
            Ask::Fee(fee) => format!("fee of the {}", fee.party),
            Ask::Bonus(_) => "bonus".to_owned(),
            Ask::Return(amount) => format!("return {}", amount.minor()),
        })
        .collect();
    json!([main, dispute, money, left, books.holds, books.faults, asked, handing])
}

/// A case without what does not decide, and with its times relative to its clock.
fn reduced(mut case: Value, now: Timestamp) -> Value {
    let is_dispute = case.get("grounds").is_some();
    let file = case["file"].as_object_mut().unwrap();
    for name in LEFT_OUT {
        file.remove(name);
    }
    let policy = &file["policy"];
    let policy = json!([policy["client_silence"], policy["no_arbitration"], policy["arbitration_fee_share"]]);
    file.insert("policy".into(), policy);
    // Mediation's limit counts from the filing (M2), until it is set.
    if !is_dispute || case["stage"] != "AwaitingClient" {
        case["file"].as_object_mut().unwrap().remove("opened_at");
    }
    // A stamp from before the stage opened counts as no stamp (T2): that matters while there is a deadline.
    if case["file"]["deadline"].is_null() {
        case["file"].as_object_mut().unwrap().remove("stage_opened_at");
    }
    // How often the milestone was submitted, and what the latest one says, decides nothing.
    if let Some(review) = case.get_mut("review").and_then(Value::as_object_mut) {
        review.remove("submissions");
        review.remove("latest");
        review.remove("changes");
    }
    // Which attempt pays the fee, and under which key, only names it.
    if let Some(demands) = case.get_mut("demands").and_then(Value::as_object_mut) {
        for demand in demands.values_mut() {
            let kind = demand.as_object().and_then(|demand| demand.keys().next()).cloned();
            *demand = json!(kind);
        }
    }
    relative(&mut case, now);
    case
}

fn relative(value: &mut Value, now: Timestamp) {
    match value {
        Value::String(text) if text.ends_with('Z') && text.starts_with(|first: char| first.is_ascii_digit()) => {
            if let Ok(at) = text.parse::<Timestamp>() {
                *value = json!(at.duration_since(now).as_secs());
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| relative(value, now)),
        Value::Object(fields) => fields.values_mut().for_each(|value| relative(value, now)),
        _ => {}
    }
}
