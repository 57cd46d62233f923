//! Plays one case to its end: reads its status, does what somebody decides, and lets time pass if nobody acts.

use std::time::Duration;

use recourse_client::ClientError;
use recourse_domain::{
    command::CommandKind,
    ids::{Id, dispute_id},
    messages::Status,
    outcome::{Outcome, ResultKind},
    party::Role,
    stage::Stage,
};
use serde_json::json;

use super::{
    decide::decide,
    moves::{Move, Wait},
    player::Player,
    record::Trouble,
};

/// How many actions one case may have. No case comes near it. A case that reaches it makes no progress.
const STEPS_MAX: usize = 150;

/// A quarter of a day. People act at quarters of days, so that the seconds that this machine needs never change the counts.
const QUARTER: Duration = Duration::from_hours(6);

/// The result of playing a case.
#[derive(Debug)]
pub enum Played {
    /// It is over.
    Ended(Box<Ended>),
    /// The contract is about to end before the case does, or nobody will act in it any more.
    Open {
        /// Its open dispute.
        dispute: Option<String>,
    },
}

/// How a case ended.
#[derive(Debug)]
pub struct Ended {
    /// Its last status.
    pub status: Status,
    /// Its result.
    pub outcome: Outcome,
    /// The results of its disputes. Its own result includes them.
    pub disputes: Vec<Outcome>,
    /// How long it took, including its disputes, in quarters of a virtual day.
    pub quarter_days: u32,
}

impl Player<'_> {
    /// Plays the case until it is over, or until the contract ends before it.
    pub async fn play(&mut self, case: &str) -> Result<Played, Trouble> {
        let (mut disputes, mut quarter_days) = (Vec::new(), 0);
        for _ in 0..STEPS_MAX {
            let status = self.world.settled(case).await?;
            match status.stage {
                Stage::Closed | Stage::OnHold => {
                    let outcome = self.world.result(case).await?;
                    // It may have added something to its status as it ended.
                    let status = self.world.settled(case).await?;
                    quarter_days += length(&status);
                    self.ended(&status, &outcome);
                    return Ok(Played::Ended(Box::new(Ended { status, outcome, disputes, quarter_days })));
                }
                Stage::Disputed => {
                    let dispute = dispute_of(&status);
                    match Box::pin(self.play(&dispute)).await? {
                        Played::Open { .. } => return Ok(Played::Open { dispute: Some(dispute) }),
                        Played::Ended(ended) => {
                            quarter_days += ended.quarter_days;
                            disputes.push(ended.outcome);
                        }
                    }
                    self.world.wait(case, |status| status.stage != Stage::Disputed).await?;
                }
                _ if self.is_about_to_end(status.kind) => return Ok(Played::Open { dispute: None }),
                _ => match (decide(&mut self.dice, &status), status.deadline) {
                    (Some(next), _) => self.make(&status, next).await?,
                    (None, Some(deadline)) => {
                        self.record.note(|| format!("{case}: silence"));
                        let left = self.world.time_to(case, deadline).await?;
                        self.world.pass(case, left + Duration::from_secs(1)).await?;
                    }
                    (None, None) => return Ok(Played::Open { dispute: None }),
                },
            }
        }
        let status = self.world.settled(case).await?;
        Err(Trouble::of(&status, format!("the case has not ended after {STEPS_MAX} steps")))
    }

    /// Makes a move. The case must take a right one and refuse a wrong one.
    async fn make(&mut self, status: &Status, next: Move) -> Result<(), Trouble> {
        let case = &status.case;
        self.wait(status, next.wait).await?;
        // Nobody can decline what nobody charges. The bank would keep the fault for another charge.
        let declined =
            next.declined.filter(|_| next.command_kind != CommandKind::DemandArbitration || self.fees_are_charged());
        if let Some(source) = declined.map(|role| self.source_of(role)) {
            self.world.decline_next(&source).await?;
        }
        let said = said(&next);
        let mut body = next.fields;
        body.insert("by".to_owned(), json!({"party": next.by, "id": self.id_of(next.by, next.stranger)}));
        self.record.given += 1;
        body.insert("key".to_owned(), json!(format!("move-{}", self.record.given)));
        let answer = self.world.answered(|| self.world.client().command(case, next.command_kind, body.clone())).await;
        let refusal = match answer {
            Ok(_) => None,
            Err(error @ ClientError::Refused { .. }) => Some(error.to_string()),
            Err(error) => return Err(Trouble::of(status, error.to_string())),
        };
        self.record.refused += u64::from(refusal.is_some());
        self.record.note(|| format!("{case}: {said}: {}", refusal.as_deref().unwrap_or("taken")));
        match (next.right, refusal) {
            (true, None) | (false, Some(_)) => Ok(()),
            (true, Some(refusal)) => Err(Trouble::of(status, format!("{said} was refused: {refusal}"))),
            (false, None) => Err(Trouble::of(status, format!("{said} was taken, and is wrong"))),
        }
    }

    async fn wait(&mut self, status: &Status, wait: Wait) -> Result<(), Trouble> {
        let case = &status.case;
        let by = match (wait, status.deadline) {
            (Wait::Sixteenths(sixteenths), Some(deadline)) => {
                // Rounded up first: the short time since the window opened must not cost a quarter.
                let left = self.world.time_to(case, deadline).await?.as_secs().div_ceil(QUARTER.as_secs());
                QUARTER * u32::try_from(left * u64::from(sixteenths) / 16).unwrap_or(0)
            }
            (Wait::Days(days), None) => QUARTER * 4 * u32::from(days),
            _ => return Ok(()),
        };
        if by.is_zero() {
            return Ok(());
        }
        self.record.note(|| format!("{case}: {} days pass", by.as_secs_f64() / 86_400.0));
        self.world.pass(case, by).await
    }

    fn ended(&mut self, status: &Status, outcome: &Outcome) {
        self.record.end(status.kind, outcome);
        if outcome.result == ResultKind::OnHold {
            self.record.left_on_hold(&status.case);
        }
        self.record.show(status);
    }

    fn id_of(&self, role: Role, stranger: bool) -> String {
        let contract = &self.plan.contract;
        match (role, stranger) {
            (_, true) => "nobody".to_owned(),
            (Role::Client, false) => contract.client.id.to_string(),
            (Role::Freelancer, false) => contract.freelancer.id.to_string(),
            (role, false) => format!("{role}-1"),
        }
    }

    fn fees_are_charged(&self) -> bool {
        let share = self.plan.policy.clone().unwrap_or_default().arbitration_fee_share;
        !share.of(self.plan.contract.currency).is_zero()
    }

    /// The billing method of a party (A1).
    fn source_of(&self, role: Role) -> Id {
        let freelancer = &self.plan.contract.freelancer;
        match role {
            Role::Freelancer => freelancer.agency.as_ref().map_or(&freelancer.id, |agency| &agency.id).clone(),
            _ => self.card.clone(),
        }
    }
}

/// The dispute in which it continued: a milestone's, or the one of the contract's end.
fn dispute_of(status: &Status) -> String {
    let milestone = status.review.as_ref().map(|review| &review.milestone.id);
    status.dispute.clone().unwrap_or_else(|| dispute_id(&status.contract, milestone))
}

/// How long a case took by its own clock, in whole quarters of a day. That clock stood still during its dispute.
fn length(status: &Status) -> u32 {
    let times = status.timeline.iter().map(|entry| entry.at);
    let Some((first, last)) = times.clone().min().zip(times.max()) else { return 0 };
    let quarters = last.duration_since(first).unsigned_abs().as_secs() / QUARTER.as_secs();
    u32::try_from(quarters).unwrap_or(u32::MAX)
}

fn said(next: &Move) -> String {
    let who = if next.stranger { format!("somebody who is not the {}", next.by) } else { next.by.to_string() };
    let declined = if next.declined.is_some() { ", which the bank declines to charge" } else { "" };
    let fields = ["of", "number", "amount", "to_freelancer", "hours"];
    let fields = fields.iter().filter_map(|name| next.fields.get(*name).map(|value| format!(" {name} {value}")));
    let command_kind: CommandKind = next.command_kind;
    format!("{who}: {command_kind}{}{declined}", fields.collect::<String>())
}
