//! Where a workflow keeps its case, and what its status says before there is a case.

use jiff::Timestamp;
use recourse_domain::{
    case::Case,
    command::{Refusal, RefusalKind},
    ids::case_number,
    messages::Status,
    outcome::Outcome,
};
use temporalio_common::data_converters::RawValue;
use temporalio_workflow::{WorkflowContext, WorkflowContextView, WorkflowTermination};

use crate::continuing::{self, HandedOn};

/// Where a workflow keeps its case.
pub struct CaseState<C> {
    pub(crate) case: Result<C, Outcome>,
    id: String,
    run_id: String,
    pub(crate) case_ref: String,
    pub(crate) open: bool,
}

/// A workflow that conducts a case.
pub trait Conducts: Sized + 'static {
    /// The case's kind.
    type Case: Case;
    /// The state that holds its case.
    fn case_state(&self) -> &CaseState<Self::Case>;
    /// The same, to change.
    fn case_state_mut(&mut self) -> &mut CaseState<Self::Case>;
    /// Ends this run, and begins the next one with `input`.
    fn go_on(ctx: &WorkflowContext<Self>, input: RawValue) -> WorkflowTermination;
}

impl<C: Case> CaseState<C> {
    /// The state with the case that a start begins, with the outcome that refuses an unreadable start, or with the case that
    /// an earlier run of the workflow handed on.
    pub fn new(
        ctx: &WorkflowContextView,
        start: &RawValue,
        begin: impl FnOnce(String, &RawValue, Timestamp) -> Result<C, Outcome>,
    ) -> Self {
        let id = ctx.workflow_id().to_owned();
        let run_id = ctx.run_id().to_owned();
        if let Some(HandedOn { mut case, case_ref }) = continuing::handed_on::<C>(ctx, start) {
            case.file_mut().number = case_number(&id, &case_ref);
            return Self { case: Ok(case), case_ref, id, run_id, open: true };
        }
        let now = ctx.start_time().and_then(|at| at.try_into().ok()).unwrap_or(Timestamp::UNIX_EPOCH);
        Self { case: begin(id.clone(), start, now), case_ref: id.clone(), id, run_id, open: false }
    }

    /// The answer to the `status` query.
    ///
    /// # Errors
    /// If the start could not be read, there is no case. The message is then that of the refused outcome.
    pub fn status(&self) -> Result<Status, Refusal> {
        match &self.case {
            Ok(case) => Ok(Status { run_id: Some(self.run_id.clone()), ..Status::of(case) }),
            Err(outcome) => Err(self.refused(outcome)),
        }
    }

    /// Whether the case can judge commands: it is open, or its start was refused.
    pub(crate) fn is_ready(&self) -> bool {
        self.open || self.case.as_ref().map_or(true, Case::is_decided)
    }

    /// A number that grows with every change of the case.
    pub(crate) fn version(&self) -> Option<u64> {
        self.case.as_ref().ok().map(|case| case.file().version())
    }

    fn refused(&self, outcome: &Outcome) -> Refusal {
        let why = outcome.message.as_deref().unwrap_or_default();
        let reason = format!("{} was refused at its start: {why}", self.id);
        Refusal { kind: RefusalKind::NotAllowed, rule: Some(outcome.rule), reason, can: None }
    }
}
