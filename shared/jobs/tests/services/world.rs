//! The environment of a test: a new store, a clock that stands still, and workers whose jobs do what the test says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchyard_ambient::Timestamp;
use switchyard_database::Db;
use switchyard_harness::store::Backend;
use switchyard_harness::world::World as Store;
use switchyard_jobs::schedule::Schedule;
use switchyard_jobs::{
    Done, Enqueue, Enqueued, Handler, Job, JobDetails, JobError, JobOptions, JobState, Jobs, Keep,
    NoJobObserver, Registry, Retry, Run, Worked, Worker, WorkerSettings,
};
use switchyard_kernel::{AuditedTransaction, Context};
use tokio::time::Instant;

/// A job of the tests.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) name: String,
}

/// A job that depends on a provider.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) name: String,
}

/// A job of which nothing is left, with a short lease.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Fleeting {
    pub(crate) name: String,
}

impl Job for Task {
    const KIND: &'static str = "tests.task";
    const VERSION: u16 = 2;
    const OPTIONS: JobOptions = JobOptions::new().retry(Retry::growing(60, 60, 3));

    fn upgrade(version: u16, payload: Value) -> Option<Value> {
        (version == 1).then(|| serde_json::json!({ "name": payload["title"] }))
    }
}

impl Job for Call {
    const KIND: &'static str = "tests.call";
    const OPTIONS: JobOptions = JobOptions::new().urgent().retry(Retry::PROVIDER);
}

impl Job for Fleeting {
    const KIND: &'static str = "tests.fleeting";
    const OPTIONS: JobOptions =
        JobOptions { lease: Duration::from_secs(3), keep: Keep::Nothing, ..JobOptions::new().bulk() };
}

/// What a job of the tests does.
pub(crate) type Act =
    Arc<dyn for<'a> Fn(String, &'a Run) -> BoxFuture<'a, Result<Done, JobError>> + Send + Sync>;

/// Makes an [`Act`] of a closure.
pub(crate) fn act(
    act: impl for<'a> Fn(String, &'a Run) -> BoxFuture<'a, Result<Done, JobError>> + Send + Sync + 'static,
) -> Act {
    Arc::new(act)
}

/// An [`Act`] that does its jobs at once, and counts them.
pub(crate) fn counting(count: &Arc<AtomicUsize>) -> Act {
    let count = count.clone();
    act(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(Done::new()) })
    })
}

/// An [`Act`] that fails.
pub(crate) fn failing(error: JobError) -> Act {
    act(move |_, _| {
        let error = error.clone();
        Box::pin(async move { Err(error) })
    })
}

struct Acting(Act);

macro_rules! handlers {
    ($($handler:ident $job:ident),+) => {
        $(
            struct $handler(Acting);

            #[async_trait]
            impl Handler for $handler {
                type Job = $job;

                async fn run(&self, job: $job, run: &Run) -> Result<Done, JobError> {
                    (self.0.0)(job.name, run).await
                }
            }
        )+

        fn registry(act: &Act) -> Registry {
            let mut registry = Registry::new();
            $(registry.register($handler(Acting(act.clone())));)+
            registry
        }
    };
}

handlers!(OfTask Task, OfCall Call, OfFleeting Fleeting);

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) db: Db,
    pub(crate) jobs: Jobs,
}

impl World {
    pub(crate) async fn on(backend: Backend) -> Self {
        let store = Store::on(backend).await;
        let db = store.identity.kernel().db().clone();
        let kinds = [Task::KIND, Call::KIND, Fleeting::KIND];
        let jobs = Jobs::new(store.identity.kernel().clone(), store.identity.outbox().clone(), kinds);
        Self { store, db, jobs }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.db.ambient().now()
    }

    pub(crate) fn wait(&self, seconds: u64) {
        self.store.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn system(&self) -> Context {
        self.store.system()
    }

    /// A worker whose jobs do `act`.
    pub(crate) fn worker(&self, act: &Act) -> Worker {
        self.worker_with(act, WorkerSettings::default())
    }

    pub(crate) fn worker_with(&self, act: &Act, settings: WorkerSettings) -> Worker {
        let outbox = self.store.identity.outbox().clone();
        Worker::new(self.db.clone(), outbox, registry(act), settings, "test", Arc::new(NoJobObserver))
    }

    /// A worker with a schedule.
    pub(crate) fn scheduled(&self, act: &Act, schedule: Schedule) -> Worker {
        let (outbox, mut registry) = (self.store.identity.outbox().clone(), registry(act));
        registry.schedule(schedule);
        let settings = WorkerSettings::default();
        Worker::new(self.db.clone(), outbox, registry, settings, "test", Arc::new(NoJobObserver))
    }

    /// A worker that knows no kind of job but those of the crate.
    pub(crate) fn administrator(&self) -> Worker {
        let outbox = self.store.identity.outbox().clone();
        let mut registry = Registry::new();
        switchyard_jobs::register(&mut registry, &self.db, &outbox);
        Worker::new(
            self.db.clone(),
            outbox,
            registry,
            WorkerSettings::default(),
            "test",
            Arc::new(NoJobObserver),
        )
    }

    /// Runs everything that is due with a worker whose jobs do `act`.
    pub(crate) async fn work(&self, act: &Act) -> usize {
        work(&self.worker(act)).await.ran
    }

    pub(crate) async fn enqueue<J: Job>(&self, job: J) -> Enqueued {
        self.enqueue_with(job, |job| job).await
    }

    /// Stores a job, with what `with` adds.
    pub(crate) async fn enqueue_with<J: Job>(
        &self,
        job: J,
        with: impl for<'a> Fn(Enqueue<'a>) -> Enqueue<'a>,
    ) -> Enqueued {
        let (job, with, identity) = (&job, &with, &self.store.identity);
        let store = |tx: AuditedTransaction| async move {
            let enqueue = identity.outbox().enqueue(&tx, job);
            with(enqueue).await
        };
        identity.kernel().transact(&self.system(), store).await.unwrap()
    }

    pub(crate) async fn job(&self, id: &str) -> JobDetails {
        self.jobs.get(&self.system(), id).await.unwrap().value
    }

    /// The state of a job and how often it was claimed.
    pub(crate) async fn state(&self, id: &str) -> (JobState, u32) {
        let job = self.job(id).await;
        (job.state, job.attempt)
    }
}

/// Runs everything that is due.
pub(crate) async fn work(worker: &Worker) -> Worked {
    worker.work_until(Instant::now() + Duration::from_secs(60)).await.unwrap()
}

/// A list to which jobs write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}
