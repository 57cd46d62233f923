//! Where a workflow keeps its case, and what it says of itself before there is one.

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
    /// Where its case is.
    fn case_state(&self) -> &CaseState<Self::Case>;
    /// The same, to change.
    fn case_state_mut(&mut self) -> &mut CaseState<Self::Case>;
    /// Ends this run, and begins the next one with `input`.
    fn go_on(ctx: &WorkflowContext<Self>, input: RawValue) -> WorkflowTermination;
}

impl<C: Case> CaseState<C> {
    /// With the case that a start begins, or with the outcome that refuses a start that cannot be read; or with the
    /// case that an earlier run of the workflow has handed on.
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
    /// If the start could not be read there is no case: the message is the refused outcome's.
    pub fn status(&self) -> Result<Status, Refusal> {
        match &self.case {
            Ok(case) => Ok(Status { run_id: Some(self.run_id.clone()), ..Status::of(case) }),
            Err(outcome) => Err(self.refused(outcome)),
        }
    }

    /// Whether commands can be put before the case: it is open, or was refused at its start.
    pub(crate) fn is_ready(&self) -> bool {
        self.open || self.case.as_ref().map_or(true, Case::is_decided)
    }

    /// Grows with every change of the case.
    pub(crate) fn version(&self) -> Option<u64> {
        self.case.as_ref().ok().map(|case| case.file().version())
    }

    fn refused(&self, outcome: &Outcome) -> Refusal {
        let why = outcome.message.as_deref().unwrap_or_default();
        let reason = format!("{} was refused at its start: {why}", self.id);
        Refusal { kind: RefusalKind::NotAllowed, rule: Some(outcome.rule), reason, can: None }
    }
}
