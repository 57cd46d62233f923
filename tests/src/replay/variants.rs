//! Workflows for testing the replay: copies of the real ones' commands, with a change.
//!
//! Each has the name of a real workflow, so that a recorded history is replayed against it. One copies the real one exactly:
//! its replay shows that the others fail only because of their change.

use std::time::Duration;

use jiff::Timestamp;
use recourse_domain::{
    command::CommandKind,
    deposit,
    messages::{EscrowDepositStart, RefundRequestStart, Status},
    notice::Notice,
    outcome::Outcome,
    refund_request::RefundRequestCase,
    rule::Rule,
};
use recourse_workflows::messages::read;
use recourse_workflows::{
    attributes::{CASE_OUTCOME, CASE_STAGE},
    case_state::{CaseState, Conducts},
    conduct::Conduct,
    effects::{DepositOrder, DepositReceipt, Escrow, HoldRequest, Notices, Tell},
    handlers::{admit, receive},
};
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::workflow_replayer::WorkflowReplayerOptions;
use temporalio_workflow::{
    ActivityOptions, ContinueAsNewOptions, WorkflowContext, WorkflowContextView, WorkflowResult, WorkflowTermination,
};

use super::replay::Code;

/// How a variant differs from the real workflow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Nothing,
    /// Two commands come in another order.
    Reordered,
    /// An activity is missing.
    Missing,
    /// Each recipient gets the notice by an effect of its own: the change without regard to open cases.
    Apart,
    /// The same change behind a patch: the first step.
    ApartPatched,
    /// The same change when no case from before the patch is open any more: the second step.
    ApartDeprecated,
}

/// The patch of [`Change::ApartPatched`].
const PATCH: &str = "deposit-told-apart";

fn effect() -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(Duration::from_secs(10)).build()
}

fn now<W>(ctx: &WorkflowContext<W>) -> Timestamp {
    ctx.workflow_time().and_then(|at| at.try_into().ok()).unwrap_or_default()
}

/// A deposit that is taken.
async fn deposit<W: 'static>(ctx: &WorkflowContext<W>, start: &RawValue, change: Change) -> Outcome {
    let EscrowDepositStart { contract, deposit: id, amount, milestone, source } = read(start).unwrap();
    let case = ctx.workflow_id().to_owned();
    let show = |stage: &str| ctx.upsert_search_attributes([CASE_STAGE.value_set(stage.to_owned())]);
    if change == Change::Reordered {
        show("closed");
    }
    let order = DepositOrder {
        case: case.clone(),
        contract: contract.clone(),
        deposit: id,
        milestone,
        amount,
        source: source.id,
        at: now(ctx),
    };
    let receipt = ctx.execute_activity(Escrow::deposit, order, effect()).await.unwrap();
    let DepositReceipt::Deposited { charged, from_held, held } = receipt else { unreachable!("it is taken") };
    let (outcome, notices): (Outcome, Vec<Notice>) = deposit::made(charged, from_held, held);
    if change != Change::Reordered {
        ctx.upsert_search_attributes([
            CASE_STAGE.value_set("closed".to_owned()),
            CASE_OUTCOME.value_set(outcome.result.name().to_owned()),
        ]);
    }
    let apart = match change {
        Change::Apart => true,
        Change::ApartPatched => ctx.patched(PATCH),
        Change::ApartDeprecated => {
            ctx.deprecate_patch(PATCH);
            true
        }
        Change::Nothing | Change::Reordered | Change::Missing => false,
    };
    let at_once = if apart { 1 } else { notices.len() };
    for notices in notices.chunks(at_once).filter(|_| change != Change::Missing) {
        let (case, contract, notices) = (case.clone(), contract.clone(), notices.to_vec());
        let tell = Tell { case_ref: case.clone(), case, contract, notices, at: now(ctx) };
        ctx.execute_activity(Notices::tell, tell, effect()).await.unwrap();
    }
    outcome
}

macro_rules! deposit_variant {
    ($(#[$doc:meta])* $name:ident, $code:ident, $change:expr) => {
        $(#[$doc])*
        #[workflow]
        #[derive(Default)]
        pub struct $name;

        #[workflow_methods]
        impl $name {
            #[run(name = "EscrowDeposit")]
            pub async fn run(ctx: &mut WorkflowContext<Self>, start: RawValue) -> WorkflowResult<Outcome> {
                Ok(deposit(ctx, &start, $change).await)
            }
        }

        $(#[$doc])*
        pub const $code: Code = Code {
            types: &["EscrowDeposit"],
            workflows: || WorkflowReplayerOptions::new().register_workflow::<$name>().unwrap().build(),
        };
    };
}

deposit_variant!(
    /// A deposit like the real one.
    DepositAsItIs, DEPOSIT_AS_IT_IS, Change::Nothing
);
deposit_variant!(
    /// The stage is shown before the money is taken.
    DepositReordered, DEPOSIT_REORDERED, Change::Reordered
);
deposit_variant!(
    /// Nobody gets a notice.
    DepositUntold, DEPOSIT_UNTOLD, Change::Missing
);
deposit_variant!(
    /// The change without a patch, which is also the final code.
    DepositApart, DEPOSIT_APART, Change::Apart
);
deposit_variant!(
    /// The change with its patch.
    DepositPatched, DEPOSIT_PATCHED, Change::ApartPatched
);
deposit_variant!(
    /// The change with its patch deprecated.
    DepositDeprecated, DEPOSIT_DEPRECATED, Change::ApartDeprecated
);

fn begin(id: String, start: &RawValue, now: Timestamp) -> Result<RefundRequestCase, Outcome> {
    let start: RefundRequestStart = read(start).map_err(|unreadable| Outcome::refused(Rule::R1, unreadable.reason))?;
    Ok(RefundRequestCase::begin(id, start, now))
}

/// A contract's end without reviews: the client pays a part, and the freelancer gives up the rest.
async fn end<W: Conducts<Case = RefundRequestCase>>(
    ctx: &WorkflowContext<W>,
    change: Change,
) -> WorkflowResult<Outcome> {
    let mut case = Conduct::take_up(ctx).unwrap_or_else(|refused| panic!("{refused:?}"));
    let take = HoldRequest::AtContractEnd { told: Vec::new(), gone: Vec::new() };
    let opened = case
        .open(take, case.read(RefundRequestCase::asked), |case, opened, _, now| {
            case.opened(opened.held, opened.deposits, None, now);
        })
        .await;
    assert!(opened.is_ok(), "no review runs");
    let payment = case.change(|case, now| case.payment_now(now)).expect("the client pays a part");
    case.publish();
    case.pay_beside(payment);
    while case.read(RefundRequestCase::is_waiting) {
        case.next_change().await?;
    }
    let movements = case.change(|case, now| case.settlement(now)).unwrap();
    let close = case.read(RefundRequestCase::close_hold);
    if change == Change::Reordered {
        let settled = case.order_settlement(movements, close);
        case.publish();
        settled.await;
    } else {
        case.publish();
        case.paid().await;
        if change != Change::Missing {
            case.settle(movements, close).await;
        }
    }
    case.change(RefundRequestCase::close);
    Ok(case.finish().await)
}

macro_rules! end_variant {
    ($(#[$doc:meta])* $name:ident, $code:ident, $change:expr) => {
        $(#[$doc])*
        #[workflow]
        pub struct $name {
            case_state: CaseState<RefundRequestCase>,
        }

        impl Conducts for $name {
            type Case = RefundRequestCase;

            fn case_state(&self) -> &CaseState<RefundRequestCase> {
                &self.case_state
            }

            fn case_state_mut(&mut self) -> &mut CaseState<RefundRequestCase> {
                &mut self.case_state
            }

            fn go_on(ctx: &WorkflowContext<Self>, input: RawValue) -> WorkflowTermination {
                let Err(ended) = ctx.continue_as_new(input, ContinueAsNewOptions::default());
                ended
            }
        }

        #[workflow_methods]
        impl $name {
            #[init]
            pub fn new(ctx: &WorkflowContextView, start: RawValue) -> Self {
                Self { case_state: CaseState::new(ctx, &start, begin) }
            }

            #[run(name = "RefundRequest")]
            pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Outcome> {
                end(ctx, $change).await
            }

            #[update(name = "approve")]
            pub async fn approve(
                ctx: &mut WorkflowContext<Self>,
                raw: RawValue,
            ) -> Result<Status, Box<dyn std::error::Error + Send + Sync>> {
                receive(ctx.clone(), CommandKind::Approve, raw).await.map_err(Into::into)
            }

            #[update_validator(approve)]
            fn approve_readable(
                &self,
                _ctx: &WorkflowContextView,
                raw: &RawValue,
            ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
                admit(&self.case_state, CommandKind::Approve, raw)
            }
        }

        $(#[$doc])*
        pub const $code: Code = Code {
            types: &["RefundRequest"],
            workflows: || WorkflowReplayerOptions::new().register_workflow::<$name>().unwrap().build(),
        };
    };
}

end_variant!(
    /// A contract's end like the real one.
    EndAsItIs, END_AS_IT_IS, Change::Nothing
);
end_variant!(
    /// The money moves before the notices go out.
    EndReordered, END_REORDERED, Change::Reordered
);
end_variant!(
    /// The refund is missing.
    EndUnsettled, END_UNSETTLED, Change::Missing
);
