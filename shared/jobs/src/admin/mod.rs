//! What admins see of jobs and do with them.

pub mod actions;
pub mod codes;
mod crons;
mod dead;
mod error;
mod permissions;
mod stats;
mod view;

use switchyard_ambient::Timestamp;
use switchyard_database::{Entity as _, Error, Filter, Query, Stored};
use switchyard_kernel::{
    Action, AuditEvent, AuditedTransaction, Context, EntityTag, Kernel, Page, PageRequest, Precondition,
    Refused, Versioned,
};

use crate::outbox::JobTemplate;
use crate::record::{JobRecord, Keeping};
use crate::{Enqueued, JobState, Outbox};

pub use crons::{Cron, CronFields, Crons};
pub use dead::{DeadJobs, DiscardDead, RetryDead, register};
pub use error::JobsError;
pub use permissions::{JOBS_READ, JOBS_WRITE};
pub use stats::{JobStats, KindStats, StateStats, WorkerStats};
pub use view::{AcceptedJob, JobDetails, JobFailure, JobStatus};

/// Jobs, for those who have caused them and for admins. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Jobs {
    pub(crate) kernel: Kernel,
    pub(crate) outbox: Outbox,
    kinds: Vec<String>,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Jobs in this state. Those that wait come in the order in which they are due, those that have ended the latest first.
    pub state: Option<JobState>,
    /// Jobs of this kind.
    pub kind: Option<String>,
}

/// Whether a job is cancelled already.
#[derive(Clone, Debug, PartialEq)]
pub enum Cancellation {
    /// It is.
    Done(JobDetails),
    /// Its worker was told to stop.
    Requested(JobDetails),
}

/// How long cancelled jobs are kept: these times do not depend on settings.
const KEEPING: Keeping = Keeping::new(std::time::Duration::ZERO);

impl Jobs {
    /// Jobs on the database of `kernel`. `kinds` are those that statistics are made of.
    pub fn new(kernel: Kernel, outbox: Outbox, kinds: impl IntoIterator<Item = &'static str>) -> Self {
        Self { kernel, outbox, kinds: kinds.into_iter().map(str::to_owned).collect() }
    }

    /// The state of a job. Requires the user who has caused it, or `jobs:read`.
    pub async fn status(&self, context: &Context, id: &str) -> Result<JobStatus, JobsError> {
        let job = self.kernel.db().collection::<JobRecord>().get(id).await?;
        let is_own = match &job {
            Some(job) => context.principal().is_ok_and(|principal| job.cause.is_user(principal.user_id)),
            None => false,
        };
        if !is_own {
            let verdict = match context.require(JOBS_READ) {
                // A stranger may not learn whether the job exists.
                Err(Refused::Forbidden) => Err(Refused::NotFound),
                verdict => verdict,
            };
            self.kernel.check(context, verdict, &resource(id)).await?;
        }
        Ok(JobStatus::of(&*job.ok_or(Refused::NotFound)?))
    }

    /// Lists jobs. Requires `jobs:read`.
    pub async fn list(
        &self,
        context: &Context,
        filter: &JobFilter,
        page: &PageRequest,
    ) -> Result<Page<JobDetails>, JobsError> {
        self.kernel.require(context, JOBS_READ, "jobs").await?;
        let mut query = Query::new(JobRecord::COLLECTION, JobRecord::BY_PLACE);
        if let Some(state) = filter.state {
            query = query.at_least([*state.lanes().start()]).at_most([*state.lanes().end()]);
            if state.is_final() {
                query = query.descending();
            }
        }
        if let Some(kind) = &filter.kind {
            query = query.filter(Filter::equals("kind", kind.as_str()));
        }
        let query = query.limit(page.limit).after(page.cursor.clone());
        let found = self.kernel.db().collection::<JobRecord>().query(&query).await?;
        Ok(Page::of(found, page, JobDetails::of))
    }

    /// A job. Requires `jobs:read`.
    pub async fn get(&self, context: &Context, id: &str) -> Result<Versioned<JobDetails>, JobsError> {
        self.kernel.require(context, JOBS_READ, &resource(id)).await?;
        let job = self.kernel.db().collection::<JobRecord>().get(id).await?;
        let job = job.ok_or(Refused::NotFound)?;
        Ok(Versioned { tag: EntityTag::new(job.version()), value: JobDetails::of(&job) })
    }

    /// What there is to do, and who does it. Requires `jobs:read`.
    pub async fn stats(&self, context: &Context) -> Result<JobStats, JobsError> {
        self.kernel.require(context, JOBS_READ, "jobs").await?;
        Ok(stats::stats(self.kernel.db(), &self.kinds).await?)
    }

    /// Queues a job again that is dead, cancelled, or waits for another attempt. Its attempts begin again. Requires
    /// `jobs:write`.
    pub async fn retry(
        &self,
        context: &Context,
        id: &str,
        precondition: &Precondition,
    ) -> Result<JobDetails, JobsError> {
        let retryable = |job: &JobRecord| {
            matches!(job.state, JobState::Dead | JobState::Cancelled | JobState::Retrying)
                && job.payload.is_some()
        };
        let change = |tx: &AuditedTransaction, job: &Stored<JobRecord>, now: Timestamp| {
            if !retryable(job) {
                return Err(JobsError::NotRetryable);
            }
            let queued = (**job).clone().requeued(now)?;
            self.outbox.announce_after(tx, id, now);
            Ok((queued, actions::JOB_RETRIED))
        };
        self.change(context, id, precondition, change).await
    }

    /// Gives a dead job up. Requires `jobs:write`.
    pub async fn discard(
        &self,
        context: &Context,
        id: &str,
        precondition: &Precondition,
    ) -> Result<JobDetails, JobsError> {
        let change = |_: &AuditedTransaction, job: &Stored<JobRecord>, now: Timestamp| {
            if job.state != JobState::Dead {
                return Err(JobsError::NotDiscardable);
            }
            Ok(((**job).clone().cancelled(now, &KEEPING)?, actions::JOB_DISCARDED))
        };
        self.change(context, id, precondition, change).await
    }

    /// Cancels a job that waits, or tells its worker to stop: it does so within a third of the job's lease. Requires
    /// `jobs:write`.
    pub async fn cancel(
        &self,
        context: &Context,
        id: &str,
        precondition: &Precondition,
    ) -> Result<Cancellation, JobsError> {
        let change = |_: &AuditedTransaction, job: &Stored<JobRecord>, now: Timestamp| {
            let changed = match job.state {
                state if state.is_waiting() => (**job).clone().cancelled(now, &KEEPING)?,
                JobState::Running => JobRecord { cancel_requested: true, ..(**job).clone() },
                _ => return Err(JobsError::Finished),
            };
            Ok((changed, actions::JOB_CANCELLED))
        };
        let job = self.change(context, id, precondition, change).await?;
        Ok(match job.state {
            JobState::Cancelled => Cancellation::Done(job),
            _ => Cancellation::Requested(job),
        })
    }

    async fn change(
        &self,
        context: &Context,
        id: &str,
        precondition: &Precondition,
        change: impl Fn(
            &AuditedTransaction,
            &Stored<JobRecord>,
            Timestamp,
        ) -> Result<(JobRecord, Action), JobsError>
        + Send
        + Sync,
    ) -> Result<JobDetails, JobsError> {
        let context = &self.kernel.require_current(context, JOBS_WRITE, &resource(id)).await?;
        if context.earlier_effect().is_some() {
            let job = self.kernel.db().collection::<JobRecord>().get(id).await?;
            return Ok(JobDetails::of(&*job.ok_or(Refused::NotFound)?));
        }
        let change = &change;
        let job = self
            .transact(context, |tx| async move {
                let stored = tx.get::<JobRecord>(id).await?.ok_or(Refused::NotFound)?;
                precondition.check(&EntityTag::new(stored.version()))?;
                let (changed, action) = change(&tx, &stored, context.now)?;
                tx.record(AuditEvent::new(action).resource(resource(id)).detail("kind", &changed.kind));
                Ok::<_, JobsError>(tx.replace(&stored, &changed)?)
            })
            .await?;
        Ok(JobDetails::of(&job))
    }

    /// Stores a job that a caller has asked for, and records `event` about it.
    async fn accept(
        &self,
        context: &Context,
        template: &Result<JobTemplate, Error>,
        event: &AuditEvent,
    ) -> Result<Enqueued, JobsError> {
        self.transact(context, |tx| async move {
            let enqueue = self.outbox.enqueue_template(&tx, tx.cause().clone(), template.clone());
            let enqueued = enqueue.await?;
            tx.record(event.clone().resource(resource(&enqueued.id)));
            Ok(enqueued)
        })
        .await
    }

    /// Runs `closure` as a transaction. A user must have a session that has not ended.
    async fn transact<T, F, C>(&self, context: &Context, closure: C) -> Result<T, JobsError>
    where
        F: Future<Output = Result<T, JobsError>>,
        C: Fn(AuditedTransaction) -> F,
    {
        let closure = &closure;
        self.kernel
            .transact(context, |tx| async move {
                if context.principal().is_ok() {
                    self.kernel.require_live_session(&tx, context).await?;
                }
                closure(tx).await
            })
            .await
    }
}

/// What an earlier run of the same request has stored.
fn accepted_before(context: &Context) -> Option<Enqueued> {
    let id = context.earlier_effect()?.resource_id()?;
    Some(Enqueued { id, is_new: false })
}

fn resource(id: &str) -> String {
    format!("jobs/{id}")
}
