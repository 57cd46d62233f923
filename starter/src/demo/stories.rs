//! The stories: what the parties do, and how each must end.

use std::fmt;

use jiff::Timestamp;
use recourse_client::Client;
use recourse_domain::{
    case::{TimelineEntry, What},
    command::CommandKind,
    messages::Status,
    outcome::{DecidedBy, Outcome, ResultKind},
    party::Role,
    rule::Rule,
    stage::Stage as At,
};
use recourse_ledger::{Balances, Ledger};
use serde_json::{Value, json};

use super::{
    super::{
        answer::{Answer, Failure},
        view,
    },
    milestones,
    stage::Stage,
};

/// Where money goes, in minor units of USD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts {
    freelancer: i64,
    client: i64,
    escrow: i64,
}

/// How a story must end.
pub struct Story {
    /// Its subject.
    pub title: &'static str,
    /// How many days pass in it.
    pub days: u32,
    plot: Plot,
    result: ResultKind,
    decided_by: DecidedBy,
    rule: Rule,
    /// The money that its last case has moved, and left in escrow.
    moved: Parts,
    /// Where all deposited money is.
    money: Parts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plot {
    SilentFreelancer,
    ApprovedRefund,
    SilentClient,
    AcceptedResolution,
    SoleDemand,
    Award,
    SilentReview,
    PartialRelease,
    ReturnedPayment,
}

/// A contract's end divides what is held, and leaves nothing in escrow.
const fn divided(freelancer: i64, client: i64) -> Parts {
    Parts { freelancer, client, escrow: 0 }
}

/// All stories.
pub const STORIES: [Story; 9] = [
    Story {
        title: "The freelancer says nothing for 7 days: the rest is refunded",
        days: 7,
        plot: Plot::SilentFreelancer,
        result: ResultKind::Settled,
        decided_by: DecidedBy::FreelancerSilence,
        rule: Rule::R4,
        moved: divided(10_000, 20_000),
        money: divided(10_000, 20_000),
    },
    Story {
        title: "The freelancer approves: everything is refunded",
        days: 2,
        plot: Plot::ApprovedRefund,
        result: ResultKind::Refunded,
        decided_by: DecidedBy::FreelancerApproval,
        rule: Rule::R4,
        moved: divided(0, 30_000),
        money: divided(0, 30_000),
    },
    Story {
        title: "The freelancer disputes and the client says nothing for 5 days: the claim is released",
        days: 8,
        plot: Plot::SilentClient,
        result: ResultKind::Settled,
        decided_by: DecidedBy::ClientSilence,
        rule: Rule::D3,
        moved: divided(25_000, 5_000),
        money: divided(25_000, 5_000),
    },
    Story {
        title: "The client rejects the claim, the mediator proposes a split, both accept",
        days: 4,
        plot: Plot::AcceptedResolution,
        result: ResultKind::Settled,
        decided_by: DecidedBy::ResolutionAccepted,
        rule: Rule::M5,
        moved: divided(19_000, 11_000),
        money: divided(19_000, 11_000),
    },
    Story {
        title: "The client rejects the resolution, only the freelancer demands arbitration",
        days: 8,
        plot: Plot::SoleDemand,
        result: ResultKind::Released,
        decided_by: DecidedBy::ArbitrationSoleDemand,
        rule: Rule::A3,
        moved: divided(30_000, 0),
        money: divided(30_000, 0),
    },
    Story {
        title: "Both demand arbitration, and the award splits what is held",
        days: 62,
        plot: Plot::Award,
        result: ResultKind::Settled,
        decided_by: DecidedBy::ArbitrationAward,
        rule: Rule::A5,
        moved: divided(22_500, 7_500),
        money: divided(22_500, 7_500),
    },
    Story {
        title: "The client says nothing for 14 days: the milestone is released",
        days: 14,
        plot: Plot::SilentReview,
        result: ResultKind::Released,
        decided_by: DecidedBy::ClientSilence,
        rule: Rule::E4,
        moved: divided(30_000, 0),
        money: divided(30_000, 0),
    },
    Story {
        title: "The client releases a part of a milestone, the freelancer disputes the rest, both accept a split",
        days: 2,
        plot: Plot::PartialRelease,
        result: ResultKind::Settled,
        decided_by: DecidedBy::ResolutionAccepted,
        rule: Rule::M5,
        moved: Parts { freelancer: 6_000, client: 0, escrow: 4_000 },
        money: Parts { freelancer: 26_000, client: 0, escrow: 4_000 },
    },
    Story {
        title: "The client asks for a payment back, and the freelancer returns a part of it",
        days: 2,
        plot: Plot::ReturnedPayment,
        result: ResultKind::Refunded,
        decided_by: DecidedBy::FreelancerApproval,
        rule: Rule::P2,
        moved: Parts { freelancer: 0, client: 6_000, escrow: 0 },
        money: Parts { freelancer: 24_000, client: 6_000, escrow: 0 },
    },
];

/// Plays a story and tells it.
///
/// # Errors
/// If it does not end as it must.
pub async fn play(number: usize, story: &Story, client: &Client, ledger: &Ledger) -> Result<Answer, Failure> {
    let mut stage = Stage::new(number, "Logo", client)?;
    let decided_in = perform(story.plot, &mut stage, ledger).await?;
    let outcome = stage.outcome(&decided_in).await?;
    story.check_outcome(&outcome)?;
    let mut statuses = Vec::new();
    for case in stage.cases() {
        statuses.push(stage.ended(case).await?);
    }
    let ended_at = statuses.iter().flat_map(|status| &status.timeline).map(|entry| entry.at).max();
    let history = stage.history(ledger, ended_at.unwrap_or_else(Timestamp::now)).await?;
    story.check_money(&history.balances)?;
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

/// The cases' timelines, one after the other. A refund request's own clock stands still during its dispute, so from there on
/// the dispute's timeline counts.
fn one_timeline(statuses: &[Status]) -> Vec<TimelineEntry> {
    let mut entries = Vec::new();
    for (index, status) in statuses.iter().enumerate() {
        let is_last = index + 1 == statuses.len();
        let opened = status.timeline.iter().position(|entry| entry.what == What::DisputeOpened);
        let until = opened.filter(|_| !is_last).map_or(status.timeline.len(), |opened| opened + 1);
        entries.extend_from_slice(&status.timeline[..until]);
    }
    entries
}

impl Story {
    fn check_outcome(&self, outcome: &Outcome) -> Result<(), Failure> {
        let is = (outcome.result, outcome.decided_by, outcome.rule);
        let moved = Parts {
            freelancer: outcome.to_freelancer.minor(),
            client: outcome.to_client.minor(),
            escrow: outcome.kept_in_escrow.minor(),
        };
        if is == (self.result, self.decided_by, self.rule) && moved == self.moved {
            return Ok(());
        }
        let expected = format!("{} by {}", self.result.name(), self.rule);
        let message = format!("\"{}\" must end {expected}, with {}", self.title, self.moved);
        Err(Failure::new("demo", 1, message).details("outcome", outcome))
    }

    fn check_money(&self, balances: &Balances) -> Result<(), Failure> {
        let is = Parts {
            freelancer: balances.freelancer_pending + balances.freelancer_available,
            client: balances.client,
            escrow: balances.escrow,
        };
        if is == self.money {
            return Ok(());
        }
        let message = format!("\"{}\" must end with {}, not with {is}", self.title, self.money);
        Err(Failure::new("demo", 1, message).details("balances", balances))
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { freelancer, client, escrow } = self;
        write!(f, "{freelancer} for the freelancer, {client} for the client and {escrow} in escrow")
    }
}

/// Plays the plot. Returns the workflow id of its last case.
async fn perform(plot: Plot, stage: &mut Stage<'_>, ledger: &Ledger) -> Result<String, Failure> {
    match plot {
        Plot::SilentReview => milestones::silent_review(stage).await,
        Plot::PartialRelease => milestones::partial_release(stage).await,
        Plot::ReturnedPayment => milestones::returned_payment(stage, ledger).await,
        end => contract_end(end, stage).await,
    }
}

async fn contract_end(plot: Plot, stage: &mut Stage<'_>) -> Result<String, Failure> {
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
            stage.act(&case, Role::Freelancer, CommandKind::Approve, Value::Null, told).await
        }
        disputed => dispute(disputed, stage).await,
    }?;
    Ok(case)
}

async fn dispute(plot: Plot, stage: &mut Stage<'_>) -> Result<(), Failure> {
    let (case, dispute) = (stage.refund_request(), stage.dispute());
    if plot == Plot::SilentClient {
        stage.pass(&case, 3, "Ben takes his time").await?;
    }
    let claim = json!({"amount": 15_000, "reason": "work_delivered", "details": "Two of three drafts were delivered"});
    let told = ("R5", "Ben disputes and claims 150.00 USD");
    stage.act(&case, Role::Freelancer, CommandKind::Dispute, claim, told).await?;
    stage.until(&case, At::Disputed).await?;
    wait_for_dispute(stage, &dispute).await?;
    stage.went_on_in(dispute.clone());
    if plot == Plot::SilentClient {
        return stage.pass(&dispute, 5, "Ada says nothing, so Ben gets what he claimed (D3)").await;
    }
    let rejection = json!({"of": "claim", "reason": "not_as_agreed", "details": "The drafts show another brand"});
    let told = ("D4", "Ada rejects the claim");
    stage.act(&dispute, Role::Client, CommandKind::Reject, rejection, told).await?;
    stage.pass(&dispute, 1, "the mediator reads what both sent").await?;
    propose(plot, stage, &dispute).await
}

/// A refund request starts its dispute shortly after the claim.
async fn wait_for_dispute(stage: &Stage<'_>, dispute: &str) -> Result<(), Failure> {
    let mut tries_left = 100;
    loop {
        match stage.until(dispute, At::AwaitingClient).await {
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
    stage.act(dispute, Role::Mediator, CommandKind::Propose, resolution, told).await?;
    let accept = json!({"of": "resolution"});
    let told = ("M4", "Ben accepts the resolution");
    stage.act(dispute, Role::Freelancer, CommandKind::Accept, accept.clone(), told).await?;
    if plot == Plot::AcceptedResolution {
        stage.pass(dispute, 1, "Ada thinks about it").await?;
        let told = ("M5", "Ada accepts it too, and the money moves as proposed");
        return stage.act(dispute, Role::Client, CommandKind::Accept, accept, told).await;
    }
    let told = ("M6", "Ada rejects it: Notice of Non-Resolution");
    stage.act(dispute, Role::Client, CommandKind::Reject, accept, told).await?;
    arbitrate(plot, stage, dispute).await
}

async fn arbitrate(plot: Plot, stage: &mut Stage<'_>, dispute: &str) -> Result<(), Failure> {
    let told = ("A1", "Ben demands arbitration and pays his 337.50 USD share of the fee");
    stage.act(dispute, Role::Freelancer, CommandKind::DemandArbitration, Value::Null, told).await?;
    if plot == Plot::SoleDemand {
        return stage.pass(dispute, 7, "Ada does not, so Ben gets what is held and his fee back (A3)").await;
    }
    let told = ("A1", "Ada demands it too, and pays her share");
    stage.act(dispute, Role::Client, CommandKind::DemandArbitration, Value::Null, told).await?;
    stage.until(dispute, At::InArbitration).await?;
    stage.pass(dispute, 61, "the arbitrator hears both (A4)").await?;
    let award = json!({"to_freelancer": 22_500, "reference": "AAA-2026-117"});
    let told = ("A5", "the arbitrator awards 225.00 USD to Ben and 75.00 USD to Ada");
    stage.act(dispute, Role::Arbitrator, CommandKind::Award, award, told).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plots() -> impl Iterator<Item = Plot> {
        STORIES.iter().map(|story| story.plot)
    }

    #[test]
    fn every_story_accounts_for_its_deposit_and_is_told_once() {
        for story in &STORIES {
            let Parts { freelancer, client, escrow } = story.money;
            assert_eq!(freelancer + client + escrow, 30_000, "{}", story.title);
            assert_eq!(plots().filter(|plot| *plot == story.plot).count(), 1, "{}", story.title);
        }
    }

    /// E4: a story that ends differently, or with a cent elsewhere, fails and says how it must end.
    #[test]
    fn a_story_with_a_wrong_end_fails() {
        let story = STORIES.iter().find(|story| story.plot == Plot::PartialRelease).unwrap();
        let outcome = |kept: i64| -> Outcome {
            let outcome = json!({"result": "settled", "decided_by": "resolution_accepted", "rule": "M5",
                                 "to_freelancer": 6_000, "to_client": 0, "kept_in_escrow": kept});
            serde_json::from_value(outcome).unwrap()
        };
        assert!(story.check_outcome(&outcome(4_000)).is_ok());
        for wrong in [outcome(3_999), Outcome { rule: Rule::M7, ..outcome(4_000) }] {
            let failure = story.check_outcome(&wrong).unwrap_err();
            assert!(failure.message.contains("settled by M5") && failure.message.contains("4000 in escrow"));
            assert_eq!(failure.exit, 1);
        }
        let balances = |escrow| Balances {
            escrow,
            freelancer_pending: 6_000,
            freelancer_available: 20_000,
            ..Balances::default()
        };
        assert!(story.check_money(&balances(4_000)).is_ok());
        assert!(story.check_money(&balances(3_999)).unwrap_err().message.contains("not with 26000"));
    }
}
