//! The worker: it finds jobs that are due, claims them, runs their handlers, and stores how they ended.

mod attempt;
mod breaker;
mod claim;
mod due;
mod serve;
mod settler;
mod work;
mod write;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use switchyard_database::{Db, Error};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::counts::Counts;
use crate::record::{JobRecord, JobState, Keeping};
use crate::run::Run;
use crate::schedule::ticking::{NextTicks, look};
use crate::{EndedAttempt, JobObserver, Outbox, Registry};

use breaker::Breakers;
use settler::Settler;
use work::Work;

pub(crate) use write::{Change, Written, write};

/// How a worker works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// The number of jobs that run at once.
    pub concurrency: usize,
    /// How often the worker looks for jobs that were not announced.
    pub poll: Duration,
    /// The number of jobs that are claimed, or stored at their end, in one commit. On DynamoDB a batch costs twice what single
    /// writes cost.
    pub batch: usize,
    /// How long jobs that succeeded are kept.
    pub keep: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            concurrency: 16,
            poll: Duration::from_secs(1),
            batch: 25,
            keep: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// Runs jobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Worker(Arc<Core>);

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) db: Db,
    pub(crate) outbox: Outbox,
    pub(crate) registry: Registry,
    pub(crate) settings: WorkerSettings,
    pub(crate) keeping: Keeping,
    pub(crate) id: String,
    breakers: Breakers,
    settler: Settler,
    pub(crate) counts: Counts,
    /// Whether other workers have been seen.
    pub(crate) has_company: AtomicBool,
    observer: Arc<dyn JobObserver>,
    next_ticks: NextTicks,
}

/// What a pass of a worker has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worked {
    /// The jobs that were run.
    pub ran: usize,
    /// Whether more jobs may be due.
    pub has_more: bool,
    /// The jobs that are dead since then.
    pub dead: usize,
}

impl Worker {
    /// A worker on a database, with the handlers of `registry`. `host` names the machine or the function for people. Needs an
    /// async runtime.
    pub fn new(
        db: Db,
        outbox: Outbox,
        registry: Registry,
        settings: WorkerSettings,
        host: &str,
        observer: Arc<dyn JobObserver>,
    ) -> Self {
        // Two workers of a machine must differ, and so must one and its successor.
        let random: [u8; 4] = db.ambient().bytes();
        let id = format!("{host}:{}:{:08x}", std::process::id(), u32::from_be_bytes(random));
        let settler = Settler::start(db.clone(), settings.batch);
        let keeping = Keeping::new(settings.keep);
        Self(Arc::new(Core {
            db,
            outbox,
            registry,
            settings,
            keeping,
            id,
            breakers: Breakers::default(),
            settler,
            counts: Counts::default(),
            has_company: AtomicBool::new(false),
            observer,
            next_ticks: NextTicks::default(),
        }))
    }

    /// The id of the worker.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Runs jobs that are due until there are none, or until `deadline`. Jobs that still run then are given back.
    ///
    /// # Errors
    ///
    /// If the jobs cannot be listed.
    pub async fn work_until(&self, deadline: Instant) -> Result<Worked, Error> {
        let core = &self.0;
        core.tick().await;
        let (mut work, dead_before) = (Work::new(core.clone()), core.counts.dead());
        let mut failure = None;
        while Instant::now() < deadline {
            if work.can_take() {
                if let Err(fault) = work.take().await {
                    // Those that run are given back below.
                    failure = Some(fault);
                    break;
                }
            } else if work.running.is_empty() {
                break;
            } else if tokio::time::timeout_at(deadline, work.running.join_next()).await.is_ok() {
                // What has ended may have made another job due.
                work.has_more = true;
            }
        }
        let has_more = work.has_more || !work.waiting.is_empty() || !work.running.is_empty();
        work.give_back().await;
        let dead = core.counts.dead() - dead_before;
        core.flush().await;
        failure.map_or(Ok(Worked { ran: work.ran, has_more, dead }), Err)
    }

    /// Runs one job, if it is due.
    ///
    /// # Errors
    ///
    /// If the job could not be read. Another attempt decides what becomes of it.
    pub async fn work_on(&self, id: &str, deadline: Instant) -> Result<(), Error> {
        let core = &self.0;
        let Some(job) = core.db.collection::<JobRecord>().get(id).await? else { return Ok(()) };
        if !job.is_due(core.db.ambient().now()) {
            return Ok(());
        }
        let (end, ending) = watch::channel(false);
        for claimed in core.claim(vec![job]).await.claimed {
            let attempt = core.attempt(claimed, ending.clone());
            tokio::pin!(attempt);
            tokio::select! {
                () = &mut attempt => {}
                () = tokio::time::sleep_until(deadline) => {
                    end.send_replace(true);
                    attempt.await;
                }
            }
        }
        core.flush().await;
        Ok(())
    }
}

impl Core {
    /// Notes how an attempt ended, for logs and statistics.
    fn report(&self, run: &Run, state: Option<JobState>, took: Duration) {
        let (id, kind, attempt) = (run.id(), run.claimed.kind.as_str(), run.claimed.attempt);
        let state_name = state.map_or("lost", JobState::as_str);
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let request_id = run.context.request_id.as_str();
        match state {
            Some(JobState::Dead) => {
                tracing::error!(id, kind, attempt, request_id, milliseconds, "the job is dead");
            }
            _ => tracing::debug!(
                id,
                kind,
                attempt,
                request_id,
                state = state_name,
                milliseconds,
                "the attempt ended"
            ),
        }
        self.observer.ended(&EndedAttempt { kind, outcome: state_name, took });
        if let Some(state) = state {
            self.counts.add(kind, state, self.db.ambient().now());
        }
    }

    /// Stores the jobs of the schedules' ticks until now.
    pub(crate) async fn tick(&self) {
        look(&self.db, &self.outbox, self.registry.schedules(), &self.next_ticks).await;
    }

    /// Stores the statistics.
    pub(crate) async fn flush(&self) {
        self.counts.store(&self.db).await;
    }
}
