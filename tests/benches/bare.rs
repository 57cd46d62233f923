//! Workflows without rules, money and people: the yardstick for the cost of a case.
//!
//! A bare workflow has the timers and commands of a case's path, and one activity, which does nothing, where the case moves its
//! money. The difference is what Recourse adds to Temporal. This program is its worker, started with [`ROLE`] in its
//! environment, with the SDK's worker as in `recourse-worker`.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use recourse_programs::temporal::{self, ConnectOptions};
use serde::{Deserialize, Serialize};
use temporalio_client::NamespacedClient as _;
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    Worker, WorkerOptions,
    activities::{ActivityContext, ActivityError},
    runtime::{
        PollerBehavior,
        worker_tuner::{FixedSizeSlotSupplier, TunerHolder, WorkerTuner},
    },
};
use temporalio_sdk_core::{CoreRuntime, RuntimeOptions, init_worker};
use temporalio_workflow::{
    ActivityOptions, ChildWorkflowOptions, SyncWorkflowContext, TimerOptions, WorkflowCancellationToken,
    WorkflowContext, WorkflowContextView, WorkflowResult,
};

/// With this variable this program becomes a bare worker.
pub const ROLE: &str = "RECOURSE_BENCH_BARE_WORKER";

/// How many workflows a worker keeps in memory: the same variable for both kinds of worker.
pub const CACHED: &str = "RECOURSE_MAX_CACHED_WORKFLOWS";

/// The task queue of bare workflows.
pub const QUEUE: &str = "bare";

/// The shape of a path.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Shape {
    /// How many timers expire, one after the other.
    pub silences: u32,
    /// How many commands it waits for, each beside a timer that the command stops.
    pub commands: u32,
    /// The number of commands of a child workflow, which then continues instead of this one.
    pub child: Option<u32>,
    /// How many empty activities follow; a case has one at least.
    pub activities: u32,
}

/// A window's length, by which clocks are advanced.
pub const WINDOW: Duration = Duration::from_hours(24);

/// A workflow with a shape.
#[workflow]
pub struct Bare {
    shape: Shape,
    commands: u32,
}

#[allow(clippy::needless_pass_by_value, clippy::unused_self, reason = "the SDK's macro wants these forms")]
#[workflow_methods]
impl Bare {
    /// Begins.
    #[init]
    pub fn new(_ctx: &WorkflowContextView, shape: Shape) -> Self {
        Self { shape, commands: 0 }
    }

    /// Waits, and acts.
    #[run]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        let shape = ctx.state(|state| state.shape);
        for _ in 0..shape.silences {
            ctx.timer(TimerOptions::builder(WINDOW).build()).await;
        }
        for seen in 0..shape.commands {
            if ctx.state(|state| state.commands > seen) {
                continue;
            }
            let token = WorkflowCancellationToken::new();
            let mut timer = ctx.timer(TimerOptions::builder(WINDOW).cancellation_token(token.clone()).build());
            let mut heard = std::pin::pin!(ctx.wait_condition(move |state: &Self| state.commands > seen).fuse());
            temporalio_workflow::select! {
                _ = heard => token.cancel(),
                _ = timer => {}
            }
        }
        if let Some(commands) = shape.child {
            let options = ChildWorkflowOptions::builder().workflow_id(child_of(ctx.workflow_id())).build();
            let inner = Shape { commands, child: None, silences: 0, activities: shape.activities };
            let _ = ctx.start_child_workflow(Self::run, inner, options).await?.result().await;
            return Ok(());
        }
        for _ in 0..shape.activities.max(1) {
            let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(10)).build();
            let _ = ctx.execute_activity(BareActivities::nothing, (), options).await;
        }
        Ok(())
    }

    /// How many commands it was given.
    #[query(name = "status")]
    pub fn status(&self, _ctx: &WorkflowContextView) -> u32 {
        self.commands
    }

    /// A command, which has an answer and only ends a wait.
    #[update(name = "act")]
    pub fn act(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _raw: RawValue) {
        self.commands += 1;
    }
}

/// The id of the child of this bare workflow.
pub fn child_of(id: &str) -> String {
    format!("{id}:child")
}

/// The activities of bare workflows.
pub struct BareActivities;

#[activities]
impl BareActivities {
    /// Does nothing.
    #[activity]
    #[allow(clippy::unused_async, reason = "the SDK's macro wants this form")]
    pub async fn nothing(self: Arc<Self>, _ctx: ActivityContext) -> Result<(), ActivityError> {
        Ok(())
    }
}

/// Runs the bare worker until it is killed. It has the sizes of a `recourse-worker` in the same environment.
pub async fn work() -> anyhow::Result<()> {
    let (client, _) = temporal::connect(ConnectOptions::patient(Duration::from_secs(10))).await?;
    let runtime = CoreRuntime::new_assume_tokio(RuntimeOptions::default())?;
    let slots = || FixedSizeSlotSupplier::new(100);
    let tuner = TunerHolder::builder()
        .workflow_task_slot_supplier(slots())
        .activity_task_slot_supplier(slots())
        .local_activity_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .nexus_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .build();
    let options = WorkerOptions::new(QUEUE)
        .register_workflow::<Bare>()?
        .register_activities(BareActivities)
        .max_cached_workflows(std::env::var(CACHED).map_or(Ok(1000), |count| count.parse())?)
        .tuner(WorkerTuner::from(tuner))
        .workflow_task_poller_behavior(PollerBehavior::SimpleMaximum(5))
        .activity_task_poller_behavior(PollerBehavior::SimpleMaximum(5))
        .build();
    let core = options.to_core_options(client.namespace(), client.identity()).map_err(anyhow::Error::msg)?;
    let core = Arc::new(init_worker(&runtime, core, client.connection().clone())?);
    let mut worker = Worker::new_from_core_options(core, client.options().clone(), options)?;
    println!("the bare worker is ready");
    worker.run().await?;
    Ok(())
}
