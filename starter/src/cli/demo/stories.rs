//! The stories: what the parties do, and how it must end.

use jiff::Timestamp;
use recourse_activities::Ledger;
use recourse_workflows::{
    domain::{
        case::{TimelineEntry, What},
        command::Verb,
        outcome::{DecidedBy, Outcome, ResultKind},
        party::Role,
        rule::Rule,
    },
    messages::Status,
};
use serde_json::{Value, json};

use super::{
    super::{
        answer::{Answer, Failure},
        view,
    },
    stage::Stage,
};
use crate::client::Client;

/// How a story must end. Amounts are in minor units of USD.
pub struct Story {
    /// What it is about.
    pub title: &'static str,
    /// How many days pass in it.
    pub days: u32,
    plot: Plot,
    result: ResultKind,
    decided_by: DecidedBy,
    rule: Rule,
    to_freelancer: i64,
    to_client: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plot {
    SilentFreelancer,
    ApprovedRefund,
    SilentClient,
    AcceptedResolution,
    SoleDemand,
    Award,
}

/// All of them.
pub const STORIES: [Story; 6] = [
    Story {
        title: "The freelancer says nothing for 7 days: the rest is refunded",
        days: 7,
        plot: Plot::SilentFreelancer,
        result: ResultKind::Settled,
        decided_by: DecidedBy::FreelancerSilence,
        rule: Rule::R4,
        to_freelancer: 10_000,
        to_client: 20_000,
    },
    Story {
        title: "The freelancer approves: everything is refunded",
        days: 2,
        plot: Plot::ApprovedRefund,
        result: ResultKind::Refunded,
        decided_by: DecidedBy::FreelancerApproval,
        rule: Rule::R4,
        to_freelancer: 0,
        to_client: 30_000,
    },
    Story {
        title: "The freelancer disputes and the client says nothing for 5 days: the claim is released",
        days: 8,
        plot: Plot::SilentClient,
        result: ResultKind::Settled,
        decided_by: DecidedBy::ClientSilence,
        rule: Rule::D3,
        to_freelancer: 25_000,
        to_client: 5_000,
    },
    Story {
        title: "The client rejects the claim, the mediator proposes a split, both accept",
        days: 4,
        plot: Plot::AcceptedResolution,
        result: ResultKind::Settled,
        decided_by: DecidedBy::ResolutionAccepted,
        rule: Rule::M5,
        to_freelancer: 19_000,
        to_client: 11_000,
    },
    Story {
        title: "The client rejects the resolution, only the freelancer demands arbitration",
        days: 8,
        plot: Plot::SoleDemand,
        result: ResultKind::Released,
        decided_by: DecidedBy::ArbitrationSoleDemand,
        rule: Rule::A3,
        to_freelancer: 30_000,
        to_client: 0,
    },
    Story {
        title: "Both demand arbitration, and the award splits what is held",
        days: 62,
        plot: Plot::Award,
        result: ResultKind::Settled,
        decided_by: DecidedBy::ArbitrationAward,
        rule: Rule::A5,
        to_freelancer: 22_500,
        to_client: 7_500,
    },
];

/// Plays a story and tells it.
///
/// # Errors
/// If it does not end as it must.
pub async fn play(number: usize, story: &Story, client: &Client, ledger: &Ledger) -> Result<Answer, Failure> {
    let mut stage = Stage::new(number, "Logo", client)?;
    perform(story.plot, &mut stage).await?;
    let outcome = stage.outcome().await?;
    story.check(&outcome)?;
    let (refund_request, dispute) = (stage.refund_request(), stage.dispute());
    let mut statuses = vec![stage.ended(&refund_request).await?];
    if statuses[0].dispute.is_some() {
        statuses.push(stage.ended(&dispute).await?);
    }
    let ended_at = statuses.iter().flat_map(|status| &status.timeline).map(|entry| entry.at).max();
    let history = stage.history(ledger, ended_at.unwrap_or_else(Timestamp::now)).await?;
    let mut text = view::heading(&format!("{number}. {}", story.title));
    text.push_str(stage.told());
    text.push('\n');
    text.push_str(&view::timeline(&one_timeline(&statuses)));
    text.push('\n');
    text.push_str(&view::outcome(&outcome, stage.currency()));
    text.push('\n');
    text.push_str(&view::history(&history, &[]));
    let timelines: Vec<Value> =
        statuses.iter().map(|status: &Status| json!({"case": status.case, "timeline": status.timeline})).collect();
    let document = json!({"title": story.title, "cases": timelines, "outcome": outcome, "ledger": history});
    Answer::new(&document, text)
}

/// A refund request's own clock stands still while its dispute goes on, so from there on the dispute's timeline counts.
fn one_timeline(statuses: &[Status]) -> Vec<TimelineEntry> {
    let [refund_request, rest @ ..] = statuses else { return Vec::new() };
    let opened = refund_request.timeline.iter().position(|entry| entry.what == What::DisputeOpened);
    let until = opened.map_or(refund_request.timeline.len(), |opened| opened + 1);
    let dispute = rest.iter().flat_map(|status| &status.timeline);
    refund_request.timeline[..until].iter().chain(dispute).cloned().collect()
}

impl Story {
    fn check(&self, outcome: &Outcome) -> Result<(), Failure> {
        let is = (outcome.result, outcome.decided_by, outcome.rule);
        let money = (outcome.to_freelancer.minor(), outcome.to_client.minor());
        if is == (self.result, self.decided_by, self.rule) && money == (self.to_freelancer, self.to_client) {
            return Ok(());
        }
        let expected = format!("{} by {}", self.result.name(), self.rule);
        let message =
            format!("\"{}\" must end {expected}, with {} and {}", self.title, self.to_freelancer, self.to_client);
        Err(Failure::new("demo", 1, message).details("outcome", outcome))
    }
}

async fn perform(plot: Plot, stage: &mut Stage<'_>) -> Result<(), Failure> {
    let pay = match plot {
        Plot::ApprovedRefund | Plot::SoleDemand | Plot::Award => 0,
        _ => 10_000,
    };
    stage.deposit_and_end(pay).await?;
    let case = stage.refund_request();
    match plot {
        Plot::SilentFreelancer => stage.pass(&case, 7, "Ben says nothing, so Ada gets the rest back (R4)").await,
        Plot::ApprovedRefund => {
            stage.pass(&case, 2, "Ben thinks about it").await?;
            let told = ("R4", "Ben approves the refund");
            stage.act(&case, Role::Freelancer, Verb::Approve, Value::Null, told).await
        }
        disputed => dispute(disputed, stage).await,
    }
}

async fn dispute(plot: Plot, stage: &mut Stage<'_>) -> Result<(), Failure> {
    let (case, dispute) = (stage.refund_request(), stage.dispute());
    if plot == Plot::SilentClient {
        stage.pass(&case, 3, "Ben takes his time").await?;
    }
    let claim = json!({"amount": 15_000, "reason": "work_delivered", "details": "Two of three drafts were delivered"});
    let told = ("R5", "Ben disputes and claims 150.00 USD");
    stage.act(&case, Role::Freelancer, Verb::Dispute, claim, told).await?;
    stage.until(&case, "disputed").await?;
    wait_for_dispute(stage, &dispute).await?;
    if plot == Plot::SilentClient {
        return stage.pass(&dispute, 5, "Ada says nothing, so Ben gets what he claimed (D3)").await;
    }
    let rejection = json!({"of": "claim", "reason": "not_as_agreed", "details": "The drafts show another brand"});
    let told = ("D4", "Ada rejects the claim");
    stage.act(&dispute, Role::Client, Verb::Reject, rejection, told).await?;
    stage.pass(&dispute, 1, "the mediator reads what both sent").await?;
    propose(plot, stage, &dispute).await
}

/// A dispute is started by its refund request a moment after the claim.
async fn wait_for_dispute(stage: &Stage<'_>, dispute: &str) -> Result<(), Failure> {
    let mut tries_left = 100;
    loop {
        match stage.until(dispute, "awaiting_client").await {
            Err(failure) if failure.kind == "not_found" && tries_left > 0 => {
                tries_left -= 1;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            waited => return waited,
        }
    }
}

async fn propose(plot: Plot, stage: &mut Stage<'_>, dispute: &str) -> Result<(), Failure> {
    let resolution = json!({"to_freelancer": 9_000, "rationale": "One draft can be used as it is"});
    let told = ("M3", "Max, the mediator, proposes 90.00 USD for Ben and the rest for Ada");
    stage.act(dispute, Role::Mediator, Verb::Propose, resolution, told).await?;
    let accept = json!({"of": "resolution"});
    let told = ("M4", "Ben accepts the resolution");
    stage.act(dispute, Role::Freelancer, Verb::Accept, accept.clone(), told).await?;
    if plot == Plot::AcceptedResolution {
        stage.pass(dispute, 1, "Ada thinks about it").await?;
        let told = ("M5", "Ada accepts it too, and the money moves as proposed");
        return stage.act(dispute, Role::Client, Verb::Accept, accept, told).await;
    }
    let told = ("M6", "Ada rejects it: Notice of Non-Resolution");
    stage.act(dispute, Role::Client, Verb::Reject, accept, told).await?;
    arbitrate(plot, stage, dispute).await
}

async fn arbitrate(plot: Plot, stage: &mut Stage<'_>, dispute: &str) -> Result<(), Failure> {
    let told = ("A1", "Ben demands arbitration and pays his 337.50 USD share of the fee");
    stage.act(dispute, Role::Freelancer, Verb::DemandArbitration, Value::Null, told).await?;
    if plot == Plot::SoleDemand {
        return stage.pass(dispute, 7, "Ada does not, so Ben gets what is held and his fee back (A3)").await;
    }
    let told = ("A1", "Ada demands it too, and pays her share");
    stage.act(dispute, Role::Client, Verb::DemandArbitration, Value::Null, told).await?;
    stage.until(dispute, "in_arbitration").await?;
    stage.pass(dispute, 61, "the arbitrator hears both (A4)").await?;
    let award = json!({"to_freelancer": 22_500, "reference": "AAA-2026-117"});
    let told = ("A5", "the arbitrator awards 225.00 USD to Ben and 75.00 USD to Ada");
    stage.act(dispute, Role::Arbitrator, Verb::Award, award, told).await
}
