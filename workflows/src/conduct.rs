//! How a case is conducted in Temporal: the part that all case workflows share.
//!
//! A workflow keeps its case in a [`CaseState`](crate::case_state::CaseState). Handlers give commands to the case. The
//! workflow's `run` drives the case with a [`Conduct`]: it shows every stage, waits for commands until the deadline, orders
//! effects, and closes the case when the last effect is done. The rules decide; this module decides nothing.
//!
//! Three choices shape this module:
//! - All handlers are asynchronous. Within one activation the SDK polls asynchronous handlers in the order of arrival and
//!   before `run`. So the first of two commands wins, and the case gets a timely command before the timer fires (T2).
//! - Nothing here obeys a cancellation: money in escrow moves by rule or not at all (E10).
//! - The case orders an effect once and waits for as long as it takes: the retries have no limit (L5, N3).

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

/// The workflow's time: the time of the events that it handles now. It is the same in every replay.
pub(crate) fn now<W>(ctx: &WorkflowContext<W>) -> Timestamp {
    ctx.workflow_time().and_then(|at| at.try_into().ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// How many notices one effect stores. After an outage many may be due at once, and an effect's input has a size limit.
const NOTICES_MAX: usize = 10;

type Pending<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Why a case took no escrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotOpened {
    /// Reviews of the contract's milestones are running, and have not received the command that the contract ends (E11).
    ReviewsRunning {
        /// The reviews.
        reviews: Vec<RunningReview>,
        /// What the contract's end would hold after the reviews give up their holds.
        could_hold: Amount,
        /// What other cases hold, in words.
        elsewhere: Option<String>,
    },
    /// The milestone cannot be reviewed (E3, E13).
    NotReviewable(NotReviewable),
    /// The contract has no such payment (P1).
    NoSuchPayment,
}

/// A running timer. The case keeps it while its instant stays the next one.
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
        // A command in this run's first task may have decided a case that an earlier run handed on. That case is not refused.
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

    /// Takes the escrow that this case is about, calls `opened` with the result, and opens the case to commands.
    ///
    /// # Errors
    /// Why no escrow was taken, if the case itself must decide what follows. The case then stays closed to commands.
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

    /// Whether the case is open: it knows what it holds. A run that continues another begins with an open case.
    pub fn is_open(&self) -> bool {
        self.ctx.state(|state| state.case_state().open)
    }

    /// Opens the case, so that it judges the commands that came before it knew what it holds.
    pub fn open_to_commands(&self) {
        self.ctx.state_mut(|state| state.case_state_mut().open = true);
    }

    /// Shows the stage and sends new notices, then waits until a command, silence or an alarm changes the case.
    ///
    /// # Errors
    /// The end of this run. The workflow must return it: the case continues in the next run.
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
            // This comes first: a case that gets one command after the other would otherwise never continue in a new run.
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
            // The case trusts a timer that fired: the server that fires it and the server that dates the task may have
            // different clocks.
            if let Some(Alarm { at, .. }) = self.alarm.take_if(|_| fired) {
                self.change(|case, now| case.tick(now.max(at)));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Ends this run. The next run begins with the case in its present state.
    fn go_on(&self) -> WorkflowTermination {
        let handed_on = HandedOn { case: self.read(Clone::clone), case_ref: self.case_ref() };
        W::go_on(self.ctx, RawValue::from_value(&handed_on, self.ctx.payload_converter()))
    }

    /// Starts the timer for `at`, unless it runs already. Stops a timer for another instant.
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

    /// Shows the decision, moves the money and gives up the case's hold. If there is nothing to do, the case closes at once and
    /// shows the decision then.
    pub async fn settle(&mut self, movements: Vec<Movement>, close: Option<Close>) {
        if movements.is_empty() && close.is_none() {
            return;
        }
        self.publish();
        self.paid().await;
        self.order_settlement(movements, close).await;
    }

    /// Orders the settlement at once. The future is done when the money has moved.
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

    /// Moves money while the case waits for commands.
    pub fn pay_beside(&mut self, payment: Movement) {
        let paid = self.order_settlement(vec![payment], None);
        self.paying = Some(Box::pin(paid));
    }

    /// Waits until the money of [`pay_beside`](Self::pay_beside) has moved.
    pub async fn paid(&mut self) {
        if let Some(paid) = self.paying.take() {
            paid.await;
        }
    }

    /// Shows the last stage, and waits until all notices are stored and all commands have answers.
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

    /// The name that begins the ids of this case's postings, charges and notices.
    pub fn case_ref(&self) -> String {
        self.ctx.state(|state| state.case_state().case_ref.clone())
    }

    /// The contract.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }
}

/// Done when the case should and can continue in a new run: the server suggests it, all orders are done, and all commands
/// have answers.
async fn can_go_on<'a, W: Conducts>(
    ctx: &'a WorkflowContext<W>,
    paying: &mut Option<Pending<'a>>,
    telling: &mut Vec<Pending<'a>>,
) {
    let _ = ctx.wait_condition_with_options(|_| ctx.continue_as_new_suggested(), detached_wait()).await;
    // The caller may drop this future at any await: unfinished effects stay in `paying` and `telling`.
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
