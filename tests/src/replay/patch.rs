//! The example of docs/contributing.md: changing a workflow that has open cases, step by step.

use std::{fs, sync::Arc};

use recourse_activities::{EscrowActivities, NoticeActivities};
use recourse_database::Database;
use recourse_ledger::Ledger;
use recourse_notifications::NoticeBook;
use recourse_payments::{PaymentGateway, SandboxBank};
use recourse_workflows::TASK_QUEUE;
use temporalio_client::{UntypedWorkflow, WorkflowFetchHistoryOptions};
use temporalio_common::WorkflowDefinition;
use temporalio_sdk::{Runtime, Worker, WorkerOptions, runtime::RuntimeOptions};
use temporalio_workflow::workflows::WorkflowImplementation;

use super::{
    commands::commands_of,
    files::history_of,
    replay::{Fault, replay},
    variants::{
        DEPOSIT_APART, DEPOSIT_AS_IT_IS, DEPOSIT_DEPRECATED, DEPOSIT_PATCHED, DepositApart, DepositDeprecated,
        DepositPatched,
    },
};
use crate::harness::{Story, World, run, shown};

/// The history of a deposit that a worker with this workflow, in this process, conducts on the real server.
async fn recorded_by<W>(world: &World, name: &str) -> Vec<u8>
where
    W: WorkflowImplementation,
    <W::Run as WorkflowDefinition>::Input: Send,
{
    let database = Database::connect(&world.database_url).await.unwrap();
    let bank: Arc<dyn PaymentGateway> = Arc::new(SandboxBank::new(database.clone()));
    let options = WorkerOptions::new(TASK_QUEUE)
        .register_workflow::<W>()
        .unwrap()
        .register_activities(EscrowActivities::new(Ledger::new(database.clone()), bank))
        .register_activities(NoticeActivities::new(NoticeBook::new(database)))
        .build();
    let runtime = Runtime::from_current_tokio(RuntimeOptions::default()).unwrap();
    let mut worker = Worker::new(&runtime, world.client.temporal().clone(), options).unwrap();
    let stop = worker.shutdown_handle();
    let story = Story::named(world, name);
    let played = async {
        let outcome = story.deposit("d-1", 30_000, &story.card()).await;
        assert_eq!(shown(&outcome), "deposited rule E2 0/0/0");
        let case = format!("escrow-deposit:{}:d-1", story.id());
        let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
        let history = handle.fetch_history(WorkflowFetchHistoryOptions::default()).to_json().await.unwrap();
        stop();
        history
    };
    let (history, ran) = futures_util::join!(played, worker.run());
    ran.unwrap();
    history
}

/// From the code that began open cases to the changed code alone, every step replays the recordings of the step before it. The
/// change without its patch does not, nor does the sequence without one of its steps.
#[test]
fn a_changed_workflow_replays_the_cases_that_are_open() {
    run(async {
        let world = World::apart("patch", &[]).await;
        world.stop_worker().await;
        let before = fs::read(history_of("escrow_deposit", "deposited")).unwrap();
        let patched = recorded_by::<DepositPatched>(&world, "patched").await;
        let deprecated = recorded_by::<DepositDeprecated>(&world, "deprecated").await;
        let after = recorded_by::<DepositApart>(&world, "apart").await;
        let told = |history: &[u8]| commands_of(history).matches("Notices.tell").count();
        assert_eq!([&before, &patched, &deprecated, &after].map(|history| told(history)), [1, 2, 2, 2]);

        let replays = |code, histories: [&[u8]; 4]| {
            histories.map(|history| match replay(history, code) {
                Ok(()) => true,
                Err(Fault::Nondeterminism(_)) => false,
                Err(other) => panic!("{other:?}"),
            })
        };
        let histories: [&[u8]; 4] = [&before, &patched, &deprecated, &after];
        for (step, code, replayed) in [
            ("as it was", DEPOSIT_AS_IT_IS, [true, false, false, false]),
            ("1. patched", DEPOSIT_PATCHED, [true, true, true, false]),
            ("2. deprecated", DEPOSIT_DEPRECATED, [false, true, true, true]),
            ("3. the change alone", DEPOSIT_APART, [false, false, true, true]),
        ] {
            assert_eq!(replays(code, histories), replayed, "{step}");
        }
    });
}
