//! Runs jobs. A schedule runs it every minute; it answers no requests.

use std::time::Duration;

use anyhow::bail;
use switchyard_database::Db;
use switchyard_jobs::{Outbox, Registry, Worker, WorkerSettings};
use switchyard_program::Task;
use switchyard_runtime::Access::{Add, List, Read, Replace};
use switchyard_runtime::{Function, Metrics, Schedule};
use tokio::time::Instant;

/// What the function declares.
pub const FUNCTION: Function = Function::new("worker", "Jobs")
    .schedules(&[Schedule { name: TICK, rate: "rate(1 minute)" }])
    .uses(&[("secret_checks", &[Read]), ("jobs", &[List("by_place"), Replace]), ("job_counts", &[Add])])
    .secrets(&["AUDIT_KEY"])
    .timeout(TIMEOUT);

const TICK: &str = "tick";

/// How long an invocation may run.
const TIMEOUT: Duration = Duration::from_secs(300);
/// What is left of that for jobs to be given back.
const MARGIN: Duration = Duration::from_secs(20);

/// The number of jobs that run at once.
const CONCURRENCY: usize = 10;

/// The handlers of all domains, for this function and for the worker of a server.
pub fn registry(db: &Db, outbox: &Outbox) -> Registry {
    let mut registry = Registry::new();
    switchyard_jobs::register(&mut registry, db, outbox);
    registry
}

/// Runs what is due, each time that the schedule says so, until Lambda ends the process.
pub async fn serve(task: Task) -> anyhow::Result<()> {
    let (db, outbox) = (task.kernel.db().clone(), task.outbox());
    let registry = registry(&db, &outbox);
    // Each commit of one document: on DynamoDB a batch is a transaction, which costs twice as much.
    let settings = WorkerSettings { concurrency: CONCURRENCY, batch: 1, ..WorkerSettings::default() };
    let Task { runtime, kernel, secrets, .. } = task;
    let worker = Worker::new(db, outbox, registry, settings, FUNCTION.name, runtime.metrics().job_observer());
    let metrics = runtime.metrics().clone();
    let run = move |name: String| {
        let (kernel, secrets, worker, metrics) =
            (kernel.clone(), secrets.clone(), worker.clone(), metrics.clone());
        async move {
            secrets.keep_fresh(kernel.db(), kernel.settings().secrets()).await;
            run(&worker, &metrics, &name).await.map_err(Into::into)
        }
    };
    Ok(runtime.serve_schedules(run).await?)
}

async fn run(worker: &Worker, metrics: &Metrics, name: &str) -> anyhow::Result<()> {
    if name != TICK {
        bail!("there is no schedule `{name}`");
    }
    let worked = worker.work_until(Instant::now() + TIMEOUT - MARGIN).await?;
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    metrics.count(&[("JobsRun", count(worked.ran)), ("JobsDead", count(worked.dead))]);
    Ok(())
}
