//! Plays one contract from its first deposit to the bank's last report, and decides which case starts when.
//! [`case`](super::case) plays a started case; [`starts`](super::starts) starts cases.

use jiff::Timestamp;
use recourse_client::Start;
use recourse_domain::{ids::CaseKind, outcome::ResultKind, stage::Stage};
use recourse_ledger::History;

use super::{
    bank,
    case::{Ended, Played},
    dice::Dice,
    money,
    plan::{Ending, Mix, Plan},
    player::{Open, Player},
    record::{Details, Record, Trouble},
    starts,
    world::World,
};

/// One contract of a run.
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    /// The run's seed.
    pub seed: u64,
    /// The contract's number in the run.
    pub number: u64,
    /// Which rules the run's contracts use.
    pub mix: Mix,
    /// Whether to record everything.
    pub in_detail: bool,
}

/// Plays a contract. The record has every problem.
pub async fn play(world: &World, ticket: Ticket) -> Record {
    let Ticket { seed, number, mix, in_detail } = ticket;
    let mut dice = Dice::new(seed, number);
    let plan = Plan::draw(&mut dice, seed, number, mix);
    let mut record = Record::new(number, format!("sim-{seed}-{number}"));
    record.details = in_detail.then(Details::default);
    let plan = plan.and_then(|plan| Ok((starts::card(&plan, 1)?, plan)));
    let (card, plan) = match plan {
        Ok(planned) => planned,
        Err(reason) => {
            record.trouble = Some(Trouble::new(reason));
            return record;
        }
    };
    record.currency = plan.contract.currency.code();
    record.counts_working_days = plan.counts_working_days();
    let moves_left = if let Ending::During { moves } = plan.ending { Some(moves) } else { None };
    let mut player = Player { world, plan, dice, record, card, deposits: 0, moves_left, open: None };
    if let Err(trouble) = player.live().await {
        player.record.trouble = Some(trouble);
    }
    player.record
}

impl Player<'_> {
    async fn live(&mut self) -> Result<(), Trouble> {
        for amount in self.plan.deposits.clone() {
            self.deposit(amount, None).await?;
        }
        for index in 0..self.plan.milestones.len() {
            if !self.work(index).await? || self.open.is_some() || self.moves_left == Some(0) {
                break;
            }
        }
        // From here on the parties play every case to its end.
        self.moves_left = None;
        if self.plan.ending != Ending::Never || self.open.is_some() {
            let ended = self.end(self.open.is_some()).await?;
            if let Some(Open { case, dispute }) = self.open.take() {
                self.finish(&case, dispute.as_deref()).await?;
                if ended == ResultKind::Refused {
                    self.end(false).await?;
                }
            }
        }
        self.ask_back().await?;
        if self.plan.reports {
            bank::report(&mut self.dice, self.world, &self.plan.contract.id).await?;
        }
        self.check().await
    }

    /// Starts a case and plays it until it ends or the contract does.
    pub(super) async fn start(&mut self, start: impl Into<Start>) -> Result<Option<Ended>, Trouble> {
        let start = start.into();
        let kind = start.kind();
        let case = self.world.client().start(start).await?;
        match self.play(&case).await? {
            Played::Ended(ended) => {
                self.count(kind, &ended);
                Ok(Some(*ended))
            }
            Played::Open { dispute } => {
                self.open = Some(Open { case, dispute });
                Ok(None)
            }
        }
    }

    /// Starts a case that a rule forbids. Recourse must refuse it.
    pub(super) async fn start_wrong(&mut self, start: impl Into<Start>, why: &str) -> Result<(), Trouble> {
        let start = start.into();
        let (kind, case) = (start.kind(), start.case());
        let outcome = self.world.done(start).await?;
        self.record.note(|| format!("{case}: {why}: {}", outcome.message.as_deref().unwrap_or("not refused")));
        self.record.end(kind, &outcome);
        self.record.told.add(kind, &outcome);
        if outcome.result == ResultKind::Refused {
            return Ok(());
        }
        Err(Trouble { case: Some(case), ..Trouble::new(format!("{why} was not refused: {outcome:?}")) })
    }

    /// Plays a case to its end that was open when the contract ended: the dispute first, because it decides by itself.
    async fn finish(&mut self, case: &str, dispute: Option<&str>) -> Result<(), Trouble> {
        let (mut disputes, mut quarter_days) = (Vec::new(), 0);
        if let Some(dispute) = dispute {
            let ended = self.play_out(dispute).await?;
            quarter_days += ended.quarter_days;
            disputes.push(ended.outcome);
            self.world.wait(case, |status| status.stage != Stage::Disputed).await?;
        }
        let mut ended = self.play_out(case).await?;
        ended.quarter_days += quarter_days;
        ended.disputes.extend(disputes);
        self.count(ended.status.kind, &ended);
        Ok(())
    }

    async fn play_out(&mut self, case: &str) -> Result<Ended, Trouble> {
        match self.play(case).await? {
            Played::Ended(ended) => Ok(*ended),
            Played::Open { .. } => {
                let status = self.world.settled(case).await?;
                Err(Trouble::of(&status, "the contract has ended and the case goes on without a deadline"))
            }
        }
    }

    /// Counts a case that is not part of another one.
    fn count(&mut self, kind: CaseKind, ended: &Ended) {
        let Ended { outcome, disputes, quarter_days, .. } = ended;
        self.record.tell(kind, outcome, disputes);
        let waited = !matches!(outcome.result, ResultKind::Refused | ResultKind::NothingHeld | ResultKind::PaidInFull);
        if waited {
            self.record.quarter_days.push(*quarter_days);
        }
    }

    pub(super) async fn history(&self) -> Result<History, Trouble> {
        // Pending money does not matter here, so the time does not either.
        let history = self.world.ledger().history(&self.plan.contract.id, Timestamp::UNIX_EPOCH).await?;
        history.ok_or_else(|| Trouble::new("no money of the contract ever moved"))
    }

    /// Checks that the contract's money adds up, and that no case holds any of it for ever.
    async fn check(&mut self) -> Result<(), Trouble> {
        let history = self.history().await?;
        let checked = money::settle(&history, self.record.told);
        if let Some(details) = &mut self.record.details {
            details.history = Some(history);
        }
        self.record.money = Some(checked.map_err(Trouble::new)?);
        let holds = self.world.ledger().holds(&self.plan.contract.id).await?;
        let held = holds.iter().find(|hold| !hold.amount.is_zero() && !self.record.is_on_hold(&hold.case));
        held.map_or(Ok(()), |hold| {
            let problem = format!("{} is over and still holds {}", hold.case, hold.amount.minor());
            Err(Trouble { case: Some(hold.case.clone()), ..Trouble::new(problem) })
        })
    }
}
