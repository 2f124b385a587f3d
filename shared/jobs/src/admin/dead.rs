//! Retrying or discarding all dead jobs. There may be many of them, so a job does it.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Db, Entity as _, Error, Filter, Query, Stored};
use switchyard_kernel::{Action, AuditEvent, Context};
use tokio::time::Instant;

use super::{JOBS_WRITE, Jobs, JobsError, KEEPING, accepted_before, actions};
use crate::announce::Announcement;
use crate::outbox::JobTemplate;
use crate::record::JobRecord;
use crate::worker::{Change, Written, write};
use crate::{Done, Enqueued, Handler, Job, JobError, JobState, Outbox, Registry, Run};

/// The jobs that are changed in one commit.
const BATCH: usize = 25;
/// An attempt stops this long before its end.
const MARGIN: Duration = Duration::from_secs(20);

/// Which dead jobs: those that died before a time, of one kind or of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadJobs {
    /// Of this kind.
    pub kind: Option<String>,
    /// That died before this time. Jobs that are retried and die again are therefore not found again.
    pub before: Timestamp,
}

/// Queues dead jobs again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RetryDead(DeadJobs);

/// Gives dead jobs up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DiscardDead(DeadJobs);

impl Job for RetryDead {
    const KIND: &'static str = "jobs.retry_dead";
}

impl Job for DiscardDead {
    const KIND: &'static str = "jobs.discard_dead";
}

/// Adds the handlers of this crate's own jobs.
pub fn register(registry: &mut Registry, db: &Db, outbox: &Outbox) {
    registry.register(Retrier { db: db.clone(), outbox: outbox.clone() });
    registry.register(Discarder { db: db.clone() });
}

impl Jobs {
    /// Queues all dead jobs of a kind again, or all dead jobs. Requires `jobs:write`.
    pub async fn retry_dead(&self, context: &Context, dead: &DeadJobs) -> Result<Enqueued, JobsError> {
        self.with_dead(context, dead, actions::DEAD_JOBS_RETRIED, &RetryDead(dead.clone())).await
    }

    /// Gives up all dead jobs of a kind, or all dead jobs. Requires `jobs:write`.
    pub async fn discard_dead(&self, context: &Context, dead: &DeadJobs) -> Result<Enqueued, JobsError> {
        self.with_dead(context, dead, actions::DEAD_JOBS_DISCARDED, &DiscardDead(dead.clone())).await
    }

    async fn with_dead<J: Job>(
        &self,
        context: &Context,
        dead: &DeadJobs,
        action: Action,
        job: &J,
    ) -> Result<Enqueued, JobsError> {
        let context = &self.kernel.require_current(context, JOBS_WRITE, "jobs").await?;
        if let Some(before) = accepted_before(context) {
            return Ok(before);
        }
        let kind = dead.kind.as_deref().unwrap_or("all");
        let event = AuditEvent::new(action).detail("kind", kind).detail("before", dead.before);
        self.accept(context, &JobTemplate::of(job), &event).await
    }
}

struct Retrier {
    db: Db,
    outbox: Outbox,
}

struct Discarder {
    db: Db,
}

#[async_trait]
impl Handler for Retrier {
    type Job = RetryDead;

    async fn run(&self, RetryDead(dead): RetryDead, run: &Run) -> Result<Done, JobError> {
        change_dead(&self.db, &dead, run, |job, now| job.requeued(now), Some(&self.outbox)).await
    }
}

#[async_trait]
impl Handler for Discarder {
    type Job = DiscardDead;

    async fn run(&self, DiscardDead(dead): DiscardDead, run: &Run) -> Result<Done, JobError> {
        change_dead(&self.db, &dead, run, |job, now| job.cancelled(now, &KEEPING), None).await
    }
}

/// Changes dead jobs until there are no more. Those that are changed leave their lane, so each page is the first one; those that
/// somebody else changes meanwhile are no longer dead.
async fn change_dead(
    db: &Db,
    dead: &DeadJobs,
    run: &Run,
    change: impl Fn(JobRecord, Timestamp) -> Result<JobRecord, Error> + Send + Sync,
    outbox: Option<&Outbox>,
) -> Result<Done, JobError> {
    let mut changed: u64 = run.memo()?.unwrap_or_default();
    let mut cursor = None;
    loop {
        if Instant::now() + MARGIN >= run.deadline() {
            run.keep(&changed)?;
            return Ok(Done::part());
        }
        let lane = JobState::Dead.lanes();
        let query = Query::new(JobRecord::COLLECTION, JobRecord::BY_PLACE)
            .at_least([*lane.start()])
            .below([*lane.start(), dead.before.as_micros()])
            .limit(100)
            .after(cursor);
        let query = match &dead.kind {
            Some(kind) => query.filter(Filter::equals("kind", kind.as_str())),
            None => query,
        };
        let page = db.collection::<JobRecord>().query(&query).await?;
        cursor = page.next;
        let now = db.ambient().now();
        let mut changes = Vec::new();
        for job in page.items {
            let after = change((*job).clone(), now)?;
            changes.push(Change::to(job, after));
        }
        let mut announcements = Vec::new();
        for written in write(db, &changes, BATCH).await {
            match written {
                Written::Applied(job) => {
                    changed += 1;
                    announcements.extend(job.as_deref().map(announcement));
                }
                Written::Refused => {}
                Written::Failed(fault) => {
                    run.keep(&changed)?;
                    return Err(fault.into());
                }
            }
        }
        if let Some(outbox) = outbox {
            outbox.announce(&announcements).await;
        }
        run.progress(changed, changed);
        if cursor.is_none() {
            return Done::with(serde_json::json!({ "changed": changed }));
        }
    }
}

fn announcement(job: &Stored<JobRecord>) -> Announcement {
    Announcement { id: job.id.clone(), due: job.at }
}
