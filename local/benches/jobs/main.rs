//! How many jobs a worker does per second, and how soon it begins with one, on each database.
//!
//! Run `cargo bench -p switchyard-local --bench jobs` after `eval "$(local/servers env)"`. Optional arguments after `--` are the
//! name of one database (sqlite, postgres, dynamodb) and the number of jobs of a round instead of 20,000. On PostgreSQL, rounds
//! of graphile-worker alternate with ours: the same server, the same number of jobs at once, its commits as durable as ours. It
//! needs Node.js 20.

#[path = "../support/arguments.rs"]
mod arguments;
mod peer;
#[path = "../support/statistics.rs"]
mod statistics;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use async_trait::async_trait;
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use statistics::percentile;
use switchyard_ambient::Ambient;
use switchyard_database::{Db, Error};
use switchyard_harness::store::{Backend, Store};
use switchyard_jobs::{
    Announcements, Announcer, Done, Handler, Job, JobError, JobOptions, NoAnnouncer, NoJobObserver, Outbox,
    Payloads, Registry, Run, Worker, WorkerSettings, local_announcements,
};
use switchyard_kernel::Cause;
use tokio::sync::{mpsc, oneshot};

/// The number of jobs that run at once, ours and those of the peer.
const CONCURRENCY: usize = 16;
const ROUNDS: usize = 3;
/// The jobs of the measurement of the time until a job begins.
const PICKED_UP: usize = 300;
/// The jobs behind which an urgent one is stored.
const BACKLOG: usize = 100_000;

fn main() -> anyhow::Result<()> {
    let (backends, number) = arguments::read(&Backend::ALL)?;
    let number = usize::try_from(number.unwrap_or(20_000))?;
    let runtime = tokio::runtime::Runtime::new()?;
    for backend in backends {
        // DynamoDB Local does one write after the other.
        let number = if backend == Backend::DynamoDb { number.min(1_000) } else { number };
        runtime.block_on(measure(backend, number))?;
    }
    Ok(())
}

/// A job that does nothing.
#[derive(Debug, Serialize, Deserialize)]
struct Nothing {
    number: usize,
}

impl Job for Nothing {
    const KIND: &'static str = "bench.nothing";
}

/// A job of much work.
#[derive(Debug, Serialize, Deserialize)]
struct Part {}

impl Job for Part {
    const KIND: &'static str = "bench.part";
    const OPTIONS: JobOptions = JobOptions::new().bulk();
}

/// A job that somebody waits for.
#[derive(Debug, Serialize, Deserialize)]
struct Urgent {}

impl Job for Urgent {
    const KIND: &'static str = "bench.urgent";
    const OPTIONS: JobOptions = JobOptions::new().urgent();
}

/// Reports when a job begins.
#[derive(Clone)]
struct Begin(mpsc::UnboundedSender<(usize, Instant)>);

macro_rules! handler {
    ($name:ident, $job:ident, $number:expr) => {
        struct $name(Begin);

        #[async_trait]
        impl Handler for $name {
            type Job = $job;

            async fn run(&self, job: $job, _: &Run) -> Result<Done, JobError> {
                let number: fn(&$job) -> usize = $number;
                let _ = self.0.0.send((number(&job), Instant::now()));
                Ok(Done::new())
            }
        }
    };
}

handler!(DoNothing, Nothing, |job| job.number);
handler!(DoPart, Part, |_| 0);
handler!(DoUrgent, Urgent, |_| 1);

struct Side {
    db: Db,
    outbox: Outbox,
    announcements: Option<Announcements>,
    settings: WorkerSettings,
    _store: Store,
}

impl Side {
    async fn start(backend: Backend, announces: bool) -> anyhow::Result<Self> {
        let (ambient, store) = (Ambient::system(), Store::migrated(backend).await?);
        let db = Db::new(store.open(ambient.clone()).await?, ambient.clone());
        let (local, announcements) = local_announcements();
        let announcer: Arc<dyn Announcer> = if announces { Arc::new(local) } else { Arc::new(NoAnnouncer) };
        let outbox = Outbox::new(ambient, Payloads::unsealed(), announcer);
        let batch = if backend == Backend::DynamoDb { 1 } else { 25 };
        let settings = WorkerSettings { concurrency: CONCURRENCY, batch, ..WorkerSettings::default() };
        let announcements = announces.then_some(announcements);
        Ok(Self { db, outbox, announcements, settings, _store: store })
    }

    async fn enqueue<J: Job>(&self, jobs: &[J]) -> Result<(), Error> {
        let outbox = &self.outbox;
        self.db
            .transact(|tx| async move {
                for job in jobs {
                    outbox.enqueue_because(&tx, Cause::system("bench"), job).await?;
                }
                Ok(())
            })
            .await
    }

    /// Stores jobs one by one, from as many callers as run jobs. Returns the number per second.
    async fn fill(&self, number: usize) -> anyhow::Result<f64> {
        let (next, start) = (&AtomicUsize::new(0), Instant::now());
        let callers = (0..CONCURRENCY).map(|_| async move {
            loop {
                let number_of_job = next.fetch_add(1, Ordering::Relaxed);
                if number_of_job >= number {
                    return Ok::<_, Error>(());
                }
                self.enqueue(&[Nothing { number: number_of_job }]).await?;
            }
        });
        try_join_all(callers).await?;
        Ok(rate(number, start.elapsed()))
    }

    /// A worker that runs until the sender is dropped, and the beginnings of its jobs.
    fn work(
        &mut self,
    ) -> (mpsc::UnboundedReceiver<(usize, Instant)>, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let (begin, begun) = mpsc::unbounded_channel();
        let begin = Begin(begin);
        let mut registry = Registry::new();
        registry.register(DoNothing(begin.clone()));
        registry.register(DoPart(begin.clone()));
        registry.register(DoUrgent(begin));
        let worker = Worker::new(
            self.db.clone(),
            self.outbox.clone(),
            registry,
            self.settings.clone(),
            "bench",
            Arc::new(NoJobObserver),
        );
        let (stop, stopped) = oneshot::channel::<()>();
        let announcements = self.announcements.take().unwrap_or(Announcements::none());
        let serving =
            worker.serve(announcements, async move { drop(stopped.await) }, Duration::from_secs(60));
        (begun, stop, tokio::spawn(serving))
    }

    /// Does the jobs that are stored. Returns the number per second, until the end of the last one is stored.
    async fn burn_down(&mut self, number: usize) -> anyhow::Result<f64> {
        let start = Instant::now();
        let (mut begun, stop, worker) = self.work();
        for _ in 0..number {
            ensure!(begun.recv().await.is_some(), "the worker has ended");
        }
        drop(stop);
        worker.await?;
        let took = start.elapsed();
        ensure!(begun.try_recv().is_err(), "a job ran twice");
        Ok(rate(number, took))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rate(number: usize, took: Duration) -> f64 {
    number as f64 / took.as_secs_f64()
}

fn milliseconds(durations: &[Duration], share: f64) -> f64 {
    percentile(durations.to_vec(), share).as_secs_f64() * 1e3
}

async fn measure(backend: Backend, number: usize) -> anyhow::Result<()> {
    println!("{backend:?}, {number} jobs, {CONCURRENCY} at once");
    let (mut stored, mut done) = (Vec::new(), Vec::new());
    let (mut stored_by_peer, mut done_by_peer) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut side = Side::start(backend, false).await?;
        stored.push(side.fill(number).await?);
        done.push(side.burn_down(number).await?);
        if backend == Backend::Postgres {
            let (fill, burn) = peer::graphile(number, CONCURRENCY).await?;
            stored_by_peer.push(fill);
            done_by_peer.push(burn);
        }
    }
    println!("  stored one by one: {:.0}/s", percentile(stored.clone(), 0.5));
    println!("  done: {:.0}/s", percentile(done.clone(), 0.5));
    if backend == Backend::Postgres {
        let median = |rates: &[f64]| percentile(rates.to_vec(), 0.5);
        println!("  graphile-worker, stored one by one: {:.0}/s", median(&stored_by_peer));
        println!("  graphile-worker, done: {:.0}/s", median(&done_by_peer));
        println!("  ratio, done: {:.2}", median(&done) / median(&done_by_peer));
    }
    pick_up(backend).await?;
    if backend != Backend::DynamoDb {
        overtake(backend).await?;
    }
    Ok(())
}

/// The time from the call that stores a job until the job begins, in a process that has nothing else to do.
async fn pick_up(backend: Backend) -> anyhow::Result<()> {
    let mut side = Side::start(backend, true).await?;
    let (mut begun, stop, worker) = side.work();
    let mut waits = Vec::new();
    for number in 0..PICKED_UP {
        let start = Instant::now();
        side.enqueue(&[Nothing { number }]).await?;
        let (_, at) = begun.recv().await.ok_or_else(|| anyhow::anyhow!("the worker has ended"))?;
        waits.push(at.duration_since(start));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(stop);
    worker.await?;
    let (half, most) = (milliseconds(&waits, 0.5), milliseconds(&waits, 0.99));
    println!("  from the call that stores a job to its start, idle: p50 {half:.1} ms, p99 {most:.1} ms");
    Ok(())
}

/// The time until an urgent job begins that is stored behind many others.
async fn overtake(backend: Backend) -> anyhow::Result<()> {
    let mut side = Side::start(backend, true).await?;
    let part: Vec<Part> = (0..50).map(|_| Part {}).collect();
    for _ in 0..BACKLOG / part.len() {
        side.enqueue(&part).await?;
    }
    let (mut begun, stop, worker) = side.work();
    let mut waits = Vec::new();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let start = Instant::now();
        // As another process does it: nothing announces the job to this worker.
        let outbox = Outbox::new(side.db.ambient().clone(), Payloads::unsealed(), Arc::new(NoAnnouncer));
        let outbox = &outbox;
        side.db
            .transact(|tx| async move {
                outbox.enqueue_because(&tx, Cause::system("bench"), &Urgent {}).await.map(drop)
            })
            .await?;
        while let Some((number, at)) = begun.recv().await {
            if number == 1 {
                waits.push(at.duration_since(start));
                break;
            }
        }
    }
    drop(stop);
    worker.await?;
    println!(
        "  an urgent job behind {BACKLOG} others: starts after {:.0} ms at most",
        milliseconds(&waits, 1.0)
    );
    Ok(())
}
