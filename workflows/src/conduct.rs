//! How a case is conducted in Temporal: the part that all case workflows share.
//!
//! A workflow holds its case on a [`CaseState`](crate::case_state::CaseState). Handlers put commands before the case; the workflow's `run`
//! drives it with a [`Conduct`]: shows every stage, races commands against the deadline, orders effects, and closes when the
//! last one is done. What is decided, and by which rule, is none of this module's business.
//!
//! Three rules of the SDK shape it. All handlers are asynchronous, because within one activation those are polled in the
//! order of arrival and before `run`: so the first of two commands wins, and a timely command is seen before the timer
//! that it raced (T2). Nothing here obeys a cancellation: money in escrow moves by rule or not at all (E10). And an
//! effect is ordered once and awaited for as long as it takes: its retries have no limit (L5, N3).

use std::{future::Future, pin::Pin, time::Duration};

use futures_util::{
    FutureExt as _,
    future::{Fuse, FusedFuture},
};
use jiff::Timestamp;
use recourse_domain::{
    case::Case,
    ids::case_number,
    messages::Status,
    milestone::NotReviewable,
    money::Amount,
    opening::StartRequest,
    outcome::Outcome,
    party::Contract,
    posting::{Close, Movement},
    rule::Rule,
};
use temporalio_common::data_converters::RawValue;
use temporalio_workflow::{
    TimerOptions, TimerResult, WaitConditionOptions, WorkflowCancellationToken, WorkflowContext, WorkflowTermination,
};

use crate::{
    attributes,
    case_state::Conducts,
    continuing::HandedOn,
    describe,
    effects::{Escrow, HoldRequest, Notices, OpenCase, OpenReceipt, OpenedCase, RunningReview, Settlement, Tell},
    ordering::order,
};

pub(crate) fn detached_wait() -> WaitConditionOptions {
    WaitConditionOptions::builder().cancellation_token(WorkflowCancellationToken::new()).build()
}

/// The workflow's time: that of the events being handled, the same in every replay.
pub(crate) fn now<W>(ctx: &WorkflowContext<W>) -> Timestamp {
    ctx.workflow_time().and_then(|at| at.try_into().ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// How many notices one effect stores. After an outage many may be due at once, and what an effect is given has a limit.
const NOTICES_MAX: usize = 10;

type Pending<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Why a case took no escrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotOpened {
    /// Reviews of the contract's milestones are running, and have not been told that it ends (E11).
    ReviewsRunning {
        /// Which.
        reviews: Vec<RunningReview>,
        /// What the contract's end would hold, once they have let go.
        could_hold: Amount,
        /// What other cases hold, in words.
        elsewhere: Option<String>,
    },
    /// The milestone cannot be reviewed (E3, E13).
    NotReviewable(NotReviewable),
    /// The contract has no such payment (P1).
    NoSuchPayment,
}

/// A running timer, kept while the instant it is for stays the next one.
struct Alarm<'a> {
    at: Timestamp,
    token: WorkflowCancellationToken,
    timer: Pin<Box<dyn FusedFuture<Output = TimerResult> + 'a>>,
}

/// The conduct of one case, from its opening to its closing.
pub struct Conduct<'a, W: Conducts> {
    ctx: &'a WorkflowContext<W>,
    contract: Contract,
    alarm: Option<Alarm<'a>>,
    paying: Option<Pending<'a>>,
    telling: Vec<Pending<'a>>,
    seen: Option<u64>,
}

impl<'a, W: Conducts> Conduct<'a, W> {
    /// Takes up the case.
    ///
    /// # Errors
    /// The refused outcome, if a rule forbids the start.
    pub fn take_up(ctx: &'a WorkflowContext<W>) -> Result<Self, Outcome> {
        let contract = ctx.state(|state| match &state.case_state().case {
            Ok(case) => Ok(case.file().contract.clone()),
            Err(outcome) => Err(outcome.clone()),
        })?;
        let conduct = Self { ctx, contract, alarm: None, paying: None, telling: Vec::new(), seen: None };
        // A case that an earlier run handed on may have been decided by a command in this run's first task, and is not refused.
        match conduct.read(|case| case.outcome().cloned()).filter(|_| !conduct.is_open()) {
            Some(refused) => {
                conduct.show();
                Err(refused)
            }
            None => Ok(conduct),
        }
    }

    /// Reads the case.
    pub fn read<R>(&self, read: impl FnOnce(&W::Case) -> R) -> R {
        self.ctx.state(|state| match &state.case_state().case {
            Ok(case) => read(case),
            Err(_) => unreachable!("a refused start is never taken up"),
        })
    }

    /// Changes the case, with the workflow's time.
    pub fn change<R>(&self, change: impl FnOnce(&mut W::Case, Timestamp) -> R) -> R {
        let now = now(self.ctx);
        self.ctx.state_mut(|state| match &mut state.case_state_mut().case {
            Ok(case) => change(case, now),
            Err(_) => unreachable!("a refused start is never taken up"),
        })
    }

    /// Takes the escrow that this case is about, and opens the case to commands with what `opened` makes of it.
    ///
    /// # Errors
    /// Why the escrow was not taken, where the case itself has to say what that means. It is then still closed to commands.
    pub async fn open(
        &mut self,
        take: HoldRequest,
        asked: StartRequest,
        opened: impl FnOnce(&mut W::Case, OpenedCase, Option<String>, Timestamp),
    ) -> Result<(), NotOpened> {
        let (case, first_run) = (self.case_id(), self.ctx.info().first_execution_run_id().to_owned());
        let summary = describe::take(&take, &self.contract);
        let order_open = OpenCase { case, first_run, contract: self.contract.clone(), take, asked, at: now(self.ctx) };
        self.show();
        match order(self.ctx, || Escrow::open, order_open, summary).await {
            OpenReceipt::Opened(answer) => {
                self.ctx.state_mut(|state| state.case_state_mut().case_ref.clone_from(&answer.case_ref));
                let elsewhere = describe::held_elsewhere(&answer.others, self.contract.currency);
                self.change(|case, now| {
                    let file = case.file_mut();
                    file.rules = answer.rules;
                    file.number = case_number(&file.id, &answer.case_ref);
                    opened(case, answer, elsewhere, now);
                });
            }
            OpenReceipt::Refused { rule, reason, held } => {
                self.change(|case, now| case.refuse_holding(held, rule, reason, now));
            }
            OpenReceipt::Conflict { reason } => self.change(|case, now| case.refuse(Rule::E1, reason, now)),
            OpenReceipt::ReviewsRunning { reviews, could_hold, others } => {
                let elsewhere = describe::held_elsewhere(&others, self.contract.currency);
                return Err(NotOpened::ReviewsRunning { reviews, could_hold, elsewhere });
            }
            OpenReceipt::NotReviewable(why) => return Err(NotOpened::NotReviewable(why)),
            OpenReceipt::NoSuchPayment => return Err(NotOpened::NoSuchPayment),
        }
        self.open_to_commands();
        Ok(())
    }

    /// Whether it is known what the case is about. A run that goes on for another begins with such a case.
    pub fn is_open(&self) -> bool {
        self.ctx.state(|state| state.case_state().open)
    }

    /// Lets the commands in that came before the case knew what it is about.
    pub fn open_to_commands(&self) {
        self.ctx.state_mut(|state| state.case_state_mut().open = true);
    }

    /// Shows and tells what is new, then waits until a command, silence or an alarm changes the case.
    ///
    /// # Errors
    /// The end of this run, which the workflow must return: the case goes on in the next one.
    pub async fn next_change(&mut self) -> Result<(), WorkflowTermination> {
        self.publish();
        let seen = self.read(|case| case.file().version());
        while self.read(|case| case.file().version()) == seen {
            let wake_at = self.read(Case::wake_at);
            if wake_at.is_some_and(|at| at <= now(self.ctx)) {
                self.change(Case::tick);
                return Ok(());
            }
            let ctx = self.ctx;
            // First of all: a case that is sent one command after the other would otherwise never get to it.
            if can_go_on(ctx, &mut self.paying, &mut self.telling).now_or_never().is_some() {
                return Err(self.go_on());
            }
            match wake_at {
                Some(at) => self.set_alarm(at),
                None => self.alarm = None,
            }
            let fired = {
                let changed = |state: &W| state.case_state().version() != Some(seen);
                let mut changed = std::pin::pin!(ctx.wait_condition_with_options(changed, detached_wait()));
                let mut can_go_on = std::pin::pin!(can_go_on(ctx, &mut self.paying, &mut self.telling).fuse());
                let mut alarm = self.alarm.as_mut().map_or_else(Fuse::terminated, |alarm| (&mut alarm.timer).fuse());
                temporalio_workflow::select! {
                    _ = changed => return Ok(()),
                    () = can_go_on => false,
                    _ = alarm => true,
                }
            };
            // A timer that fired is believed: what fires it and what dates the task may be two servers with two clocks.
            if let Some(Alarm { at, .. }) = self.alarm.take_if(|_| fired) {
                self.change(|case, now| case.tick(now.max(at)));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Ends this run; the next one begins with the case as it stands.
    fn go_on(&self) -> WorkflowTermination {
        let handed_on = HandedOn { case: self.read(Clone::clone), case_ref: self.case_ref() };
        W::go_on(self.ctx, RawValue::from_value(&handed_on, self.ctx.payload_converter()))
    }

    /// Runs the timer for `at`, unless it runs already; one for another instant is stopped.
    fn set_alarm(&mut self, at: Timestamp) {
        if self.alarm.as_ref().is_some_and(|alarm| alarm.at == at) {
            return;
        }
        self.stop_alarm();
        let length = Duration::try_from(at.duration_since(now(self.ctx))).unwrap_or_default();
        let token = WorkflowCancellationToken::new();
        let summary = self.read(|case| describe::timer(&Status::of(case), at));
        let options = TimerOptions::builder(length).summary(summary).cancellation_token(token.clone()).build();
        let timer: Pin<Box<dyn FusedFuture<Output = TimerResult> + 'a>> = Box::pin(self.ctx.timer(options));
        self.alarm = Some(Alarm { at, token, timer });
    }

    fn stop_alarm(&mut self) {
        if let Some(alarm) = self.alarm.take() {
            alarm.token.cancel();
        }
    }

    /// Shows the decision, moves the money and lets go of what is held. If there is nothing to do, it is shown with the case's
    /// closing, which follows at once.
    pub async fn settle(&mut self, movements: Vec<Movement>, close: Option<Close>) {
        if movements.is_empty() && close.is_none() {
            return;
        }
        self.publish();
        self.paid().await;
        self.order_settlement(movements, close).await;
    }

    /// The order is given at once; the future is done when the money is where it should be.
    pub fn order_settlement(
        &self,
        movements: Vec<Movement>,
        close: Option<Close>,
    ) -> impl Future<Output = ()> + use<'a, W> {
        let summary = describe::movements(&movements, self.contract.currency);
        let settlement = Settlement {
            case: self.case_id(),
            case_ref: self.case_ref(),
            contract: self.contract.clone(),
            movements,
            close,
            at: now(self.ctx),
        };
        let settled = order(self.ctx, || Escrow::settle, settlement, summary);
        async move {
            settled.await;
        }
    }

    /// Moves money while the case goes on waiting.
    pub fn pay_beside(&mut self, payment: Movement) {
        let paid = self.order_settlement(vec![payment], None);
        self.paying = Some(Box::pin(paid));
    }

    /// Waits until what was paid beside the wait has moved.
    pub async fn paid(&mut self) {
        if let Some(paid) = self.paying.take() {
            paid.await;
        }
    }

    /// Shows the last stage, and waits until everybody is told and every command is answered.
    pub async fn finish(mut self) -> Outcome {
        self.publish();
        for told in std::mem::take(&mut self.telling) {
            told.await;
        }
        let ctx = self.ctx;
        let _ = ctx.wait_condition_with_options(|_| ctx.all_handlers_finished(), detached_wait()).await;
        self.read(|case| case.outcome().cloned()).unwrap_or_else(|| unreachable!("a closed case has an outcome"))
    }

    /// Shows the case's stage and orders the notices that are due.
    pub fn publish(&mut self) {
        let version = self.read(|case| case.file().version());
        if self.seen != Some(version) {
            self.seen = Some(version);
            if self.read(Case::is_decided) {
                self.stop_alarm();
            }
            self.show();
        }
        let notices = self.change(|case, _| case.file_mut().take_notices());
        for notices in notices.chunks(NOTICES_MAX) {
            let tell = Tell {
                case: self.case_ref(),
                case_ref: self.case_ref(),
                contract: self.contract.clone(),
                notices: notices.to_vec(),
                at: now(self.ctx),
            };
            let told = order(self.ctx, || Notices::tell, tell, describe::notices(notices));
            self.telling.push(Box::pin(async move {
                told.await;
            }));
        }
    }

    fn show(&self) {
        let (status, updates) = self.read(|case| {
            let status = Status::of(case);
            let updates = attributes::of_case(case, &status, &self.ctx.search_attributes());
            (status, updates)
        });
        if !updates.is_empty() {
            self.ctx.upsert_search_attributes(updates);
        }
        self.ctx.set_current_details(describe::details(&status));
    }

    fn case_id(&self) -> String {
        self.ctx.workflow_id().to_owned()
    }

    /// What this case's postings, charges and notices are named by.
    pub fn case_ref(&self) -> String {
        self.ctx.state(|state| state.case_state().case_ref.clone())
    }

    /// The contract.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }
}

/// Done when the case should go on in a new run, and can: the server suggests it, what was ordered is done, and every command
/// is answered.
async fn can_go_on<'a, W: Conducts>(
    ctx: &'a WorkflowContext<W>,
    paying: &mut Option<Pending<'a>>,
    telling: &mut Vec<Pending<'a>>,
) {
    let _ = ctx.wait_condition_with_options(|_| ctx.continue_as_new_suggested(), detached_wait()).await;
    // This may be dropped at any await: what is not done yet stays where it is.
    if let Some(paid) = paying {
        paid.await;
    }
    *paying = None;
    while let Some(told) = telling.last_mut() {
        told.await;
        telling.pop();
    }
    let _ = ctx.wait_condition_with_options(|_| ctx.all_handlers_finished(), detached_wait()).await;
}
