//! Two builds of the worker side by side: a case stays with the build that began it.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;
use temporalio_client::{UntypedWorkflow, WorkflowFetchHistoryOptions, tonic::IntoRequest as _};
use temporalio_common::protos::temporal::api::{
    history::v1::history_event::Attributes, workflowservice::v1::SetWorkerDeploymentCurrentVersionRequest,
};

use crate::harness::{Story, World, run, unique};

/// Directs new cases to this build, once the server knows it.
async fn make_current(world: &World, deployment: &str, build: &str) {
    let mut patience = 100;
    loop {
        let request = SetWorkerDeploymentCurrentVersionRequest {
            namespace: world.client.namespace().to_owned(),
            deployment_name: deployment.to_owned(),
            build_id: build.to_owned(),
            ..SetWorkerDeploymentCurrentVersionRequest::default()
        };
        let mut service = world.client.temporal().connection().workflow_service();
        let Err(status) = service.set_worker_deployment_current_version(request.into_request()).await else { return };
        patience -= 1;
        assert!(patience > 0, "{build}: {status}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The builds that conducted the case.
async fn builds(world: &World, case: &str) -> BTreeSet<String> {
    let handle = world.client.temporal().get_workflow_handle::<UntypedWorkflow>(case);
    let events = handle.fetch_history(WorkflowFetchHistoryOptions::default()).into_events().await.unwrap();
    let tasks = events.into_iter().filter_map(|event| match event.attributes {
        Some(Attributes::WorkflowTaskCompletedEventAttributes(task)) => task.deployment_version,
        _ => None,
    });
    tasks.map(|version| version.build_id).collect()
}

/// A case that is open when a second build takes over ends on the first, with its dispute; later cases begin on the second.
/// Without a worker of its build an old case waits, and nothing is lost.
#[test]
fn an_open_case_stays_with_the_build_that_began_it() {
    run(async {
        let deployment = unique("deployment");
        let build = |id: &'static str| [("RECOURSE_DEPLOYMENT", &*deployment), ("RECOURSE_BUILD_ID", id)];
        let world = World::apart("versions", &build("one")).await;
        make_current(&world, &deployment, "one").await;
        let mut old = Story::new(&world, "old");
        old.deposit("d-1", 20_000, "card-1").await;
        old.end(0, Value::Null).await;

        let second = world.another_worker(&build("two")).await;
        make_current(&world, &deployment, "two").await;
        let mut new = Story::new(&world, "new");
        new.deposit("d-1", 10_000, "card-1").await;
        new.end(0, Value::Null).await;

        // The new build continues while the old one's worker is down; the old case does not move to it.
        world.stop_worker().await;
        new.play("1 freelancer approve").await;
        new.outcome().await;
        let asked = world.client.status(&old.refund_request).await;
        assert!(asked.is_err(), "another build answers for {}: {asked:?}", old.refund_request);

        world.start_worker().await;
        old.play("1 freelancer claim 15000; 2 client accept claim").await;
        old.outcome().await;
        for (case, build) in [(&old.refund_request, "one"), (&old.dispute, "one"), (&new.refund_request, "two")] {
            assert_eq!(builds(&world, case).await, BTreeSet::from([build.to_owned()]), "{case}");
        }
        world.check_money().await;
        second.stop().await.unwrap();
    });
}
