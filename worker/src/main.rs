//! `recourse-worker`: wiring and nothing else. It connects the database and the server, registers workflows and
//! activities, runs them with the postman, the courier and the refund desk beside them, and stops in good order when told to.

mod config;
mod forgets;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use config::{Config, Unreachable};
use forgets::ForgetsTheAsked;
use recourse_activities::{
    EscrowActivities, Ledger, RefundDesk, WebhookActivities, WebhookBook,
    notices::{MailConfig, NoticeActivities, NoticeBook},
};
use recourse_workflows::{
    Dispute, EscrowDeposit, MilestoneReview, PaymentRefund, RefundRequest, TASK_QUEUE, WebhookDelivery,
};
use temporalio_client::{Client, NamespacedClient as _};
use temporalio_sdk::{Worker, WorkerOptions};
use temporalio_sdk_core::{CoreRuntime, RuntimeOptions, init_worker};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// How long activities may take to finish after the worker was told to stop. What is cut off is tried again elsewhere.
const GRACE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("RECOURSE_LOG").unwrap_or_else(|_| "info,temporalio=warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(config).await {
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

async fn run(config: Config) -> anyhow::Result<()> {
    let database = config::database(&config.database).await?;
    let client = config::connect().await?;
    let mail = MailConfig { url: config.smtp_url, from: config.mail_from };
    let book = NoticeBook::new(database.clone());
    let postman = book.postman(&mail)?;
    let webhooks = WebhookBook::new(database.clone()).allow_local(config.webhook_allow_local);
    let courier = book.courier(webhooks.clone(), client.clone());
    let ledger = Ledger::new(database.clone());
    let bank = config::payments()?.gateway(&database)?;
    let desk = RefundDesk::new(ledger.clone(), bank.clone(), book.clone());
    let effects = EscrowActivities::new(ledger, bank);
    let webhooks = WebhookActivities::new(webhooks)?;
    let mut worker = worker(&client, effects, book, webhooks, config.max_cached_workflows)?;

    let stop = worker.shutdown_handle();
    // Dropped when the worker has stopped, which is what those beside it wait for.
    let (stop_beside, stopped) = watch::channel(());
    let postman = tokio::spawn(postman.run(dropped(stopped.clone())));
    let courier = tokio::spawn(courier.run(dropped(stopped.clone())));
    let desk = tokio::spawn(desk.run(dropped(stopped)));
    tokio::spawn(async move {
        told_to_stop().await;
        tracing::info!("stopping: no new work is taken, what runs has {} s", GRACE.as_secs());
        stop();
    });
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

fn worker(
    client: &Client,
    effects: EscrowActivities,
    book: NoticeBook,
    webhooks: WebhookActivities,
    max_cached_workflows: usize,
) -> anyhow::Result<Worker> {
    let mut options = WorkerOptions::new(TASK_QUEUE)
        .register_workflow::<EscrowDeposit>()?
        .register_workflow::<MilestoneReview>()?
        .register_workflow::<RefundRequest>()?
        .register_workflow::<Dispute>()?
        .register_workflow::<PaymentRefund>()?
        .register_workflow::<WebhookDelivery>()?
        .register_activities(effects)
        .register_activities(NoticeActivities::new(book))
        .register_activities(webhooks)
        .max_cached_workflows(max_cached_workflows)
        .graceful_shutdown_period(GRACE)
        .build();
    let runtime = CoreRuntime::new_assume_tokio(RuntimeOptions::builder().build().map_err(anyhow::Error::msg)?)?;
    let core = options.to_core_options(client.namespace(), client.identity()).map_err(anyhow::Error::msg)?;
    let core = Arc::new(init_worker(&runtime, core, client.connection().clone())?);
    options.worker_interceptor(ForgetsTheAsked(core.clone()));
    Ok(Worker::new_from_core_options(core, client.options().clone(), options)?)
}

/// Done when the other end of the channel is gone. Nothing is ever sent.
async fn dropped(mut stopped: watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}

async fn told_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
