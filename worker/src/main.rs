//! `recourse-worker`: only wiring. It connects the database and the server, registers workflows and activities, runs
//! them with the postman, the courier and the refund desk beside them, and stops in order.

mod config;
mod evict;
mod watch;

use std::{num::NonZeroU64, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use recourse_activities::{EscrowActivities, NoticeActivities, WebhookActivities, gauges::Gauges};
use recourse_ledger::Ledger;
use recourse_notifications::{NoticeBook, WebhookBook, notices::MailConfig, webhooks::Deliverer};
use recourse_programs::telemetry::Telemetry;
use recourse_refunds::RefundDesk;
use recourse_workflows::{
    Dispute, EscrowDeposit, MilestoneReview, PaymentRefund, RefundRequest, TASK_QUEUE, WebhookDelivery,
};
use temporalio_client::{Client, NamespacedClient as _};
use temporalio_common::worker::WorkerDeploymentOptions;
use temporalio_sdk::{Worker, WorkerOptions};
use temporalio_sdk_core::{CoreRuntime, RuntimeOptions, init_worker};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch::{Receiver, channel},
};

use config::{Config, Size, Unreachable};
use evict::EvictAfterQuery;
use watch::Watch;

#[tokio::main]
async fn main() -> ExitCode {
    // Only the owner may read what the worker writes, such as a ledger's files.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let config = Config::parse();
    match told(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            match error.downcast_ref::<Unreachable>() {
                Some(unreachable) => {
                    eprintln!("hint: {}", unreachable.hint);
                    ExitCode::from(3)
                }
                None => ExitCode::FAILURE,
            }
        }
    }
}

/// Runs with the log and the traces on.
async fn told(config: Config) -> anyhow::Result<()> {
    let telemetry = Telemetry::start("recourse-worker")?;
    let ended = run(config).await;
    telemetry.stop().await;
    ended
}

async fn run(config: Config) -> anyhow::Result<()> {
    let database = config::database(&config.database).await?;
    let (telemetry, metrics_at) = watch::sdk_metrics()?;
    let options = RuntimeOptions::builder().telemetry_options(telemetry).build().map_err(anyhow::Error::msg)?;
    let runtime = CoreRuntime::new_assume_tokio(options)?;
    let client = config::connect(runtime.telemetry().get_temporal_metric_meter()).await?;
    let payments = config::payments()?;
    let mail = MailConfig { url: config.smtp_url, from: config.mail_from, sandbox: payments.is_sandbox() };
    let book = NoticeBook::new(database.clone());
    let postman = book.postman(&mail)?;
    let webhooks = WebhookBook::new(database.clone()).allow_local(config.webhook_allow_local);
    let courier = book.courier(webhooks.clone(), client.clone());
    let ledger = Ledger::new(database.clone());
    let bank = payments.gateway(&database)?;
    let desk = RefundDesk::new(ledger.clone(), bank.clone(), book.clone());
    let effects = EscrowActivities::new(ledger, bank);
    let watch = Watch::new(Gauges::new(client.clone(), database.clone()), effects.retries(), metrics_at)?;
    let webhooks = WebhookActivities::new(Deliverer::new(webhooks)?);
    let work = Work { effects, book, webhooks };
    let mut worker = worker(&runtime, &client, work, &config.size, config.version.deployment())?;

    let stop = worker.shutdown_handle();
    // This end is dropped when the worker has stopped. The tasks beside it wait for that.
    let (stop_beside, stopped) = channel(());
    let postman = tokio::spawn(postman.run(dropped(stopped.clone())));
    let courier = tokio::spawn(courier.run(dropped(stopped.clone())));
    let desk = tokio::spawn(desk.run(dropped(stopped)));
    let (shown, grace, told) = (watch.clone(), config.size.grace(), told_to_stop());
    tokio::spawn(async move {
        told.await;
        shown.stopping();
        tracing::info!("stopping: no new work is taken, what runs has {} s", grace.as_secs());
        stop();
    });
    if let Some(address) = config.listen {
        let address = watch.serve(address).await?;
        tracing::info!("serving /metrics, /healthz and /readyz at http://{address}");
        let every = |seconds: NonZeroU64| Duration::from_secs(seconds.get());
        watch.keep_reading(every(config.gauges_every), every(config.check_every));
    }
    println!("recourse-worker ready on task queue {TASK_QUEUE}");
    let result = worker.run().await;
    drop(stop_beside);
    postman.await?;
    courier.await?;
    desk.await?;
    database.close().await;
    result?;
    tracing::info!("stopped");
    Ok(())
}

/// What the activities work with.
struct Work {
    effects: EscrowActivities,
    book: NoticeBook,
    webhooks: WebhookActivities,
}

fn worker(
    runtime: &CoreRuntime,
    client: &Client,
    work: Work,
    size: &Size,
    deployment: Option<WorkerDeploymentOptions>,
) -> anyhow::Result<Worker> {
    let (workflow_pollers, activity_pollers) = size.pollers();
    let mut options = WorkerOptions::new(TASK_QUEUE)
        .register_workflow::<EscrowDeposit>()?
        .register_workflow::<MilestoneReview>()?
        .register_workflow::<RefundRequest>()?
        .register_workflow::<Dispute>()?
        .register_workflow::<PaymentRefund>()?
        .register_workflow::<WebhookDelivery>()?
        .register_activities(work.effects)
        .register_activities(NoticeActivities::new(work.book))
        .register_activities(work.webhooks)
        .maybe_deployment_options(deployment)
        .max_cached_workflows(size.max_cached_workflows)
        .tuner(size.tuner())
        .workflow_task_poller_behavior(workflow_pollers)
        .activity_task_poller_behavior(activity_pollers)
        .graceful_shutdown_period(size.grace())
        .build();
    let core = options.to_core_options(client.namespace(), client.identity()).map_err(anyhow::Error::msg)?;
    let core = Arc::new(init_worker(runtime, core, client.connection().clone())?);
    options.worker_interceptor(EvictAfterQuery::new(core.clone()));
    Ok(Worker::new_from_core_options(core, client.options().clone(), options)?)
}

/// Ends when the other end of the channel is dropped. Nothing is ever sent.
async fn dropped(mut stopped: Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}

fn told_to_stop() -> impl Future<Output = ()> + Send {
    let signals =
        signal(SignalKind::terminate()).and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
    async {
        let Ok((mut terminate, mut interrupt)) = signals else { return std::future::pending().await };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
