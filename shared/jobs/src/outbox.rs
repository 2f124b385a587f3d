//! Storing jobs in the transaction of what causes them.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchyard_ambient::{Ambient, Timestamp};
use switchyard_database::{Error, Transaction};
use switchyard_kernel::{AuditedTransaction, Cause};

use crate::announce::{Announcement, Announcer};
use crate::payload::{MAX_PAYLOAD_BYTES, Part, Payloads, json};
use crate::record::{DedupeScope, JobRecord, Tick};
use crate::{Job, JobOptions, JobState, Priority};

/// Stores jobs for workers. Cheap to clone.
///
/// A job is stored in the transaction of what causes it: both are there, or neither is.
#[derive(Clone, Debug)]
pub struct Outbox {
    ambient: Ambient,
    payloads: Payloads,
    announcer: Arc<dyn Announcer>,
}

/// Keeps a second job with the same key from being stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dedupe {
    /// While one waits to be run. A job that is stored while one runs is run after it, so what has changed since is not missed.
    WhileWaiting(String),
    /// Until one has ended, for what must not run twice at once.
    UntilDone(String),
}

/// A job that was stored, or that was there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enqueued {
    /// The id of the job.
    pub id: String,
    /// Whether it was stored now.
    pub is_new: bool,
}

impl Outbox {
    /// An outbox that announces jobs with `announcer`.
    pub fn new(ambient: Ambient, payloads: Payloads, announcer: Arc<dyn Announcer>) -> Self {
        Self { ambient, payloads, announcer }
    }

    pub(crate) fn payloads(&self) -> &Payloads {
        &self.payloads
    }

    /// Stores a job in a transaction, once what this returns is awaited. The transaction's request is its cause.
    pub fn enqueue<'a, J: Job>(&'a self, tx: &'a AuditedTransaction, job: &J) -> Enqueue<'a> {
        self.enqueue_because(tx, tx.cause().clone(), job)
    }

    /// Stores a job in a transaction that belongs to no request.
    pub fn enqueue_because<'a, J: Job>(&'a self, tx: &'a Transaction, cause: Cause, job: &J) -> Enqueue<'a> {
        self.enqueue_template(tx, cause, JobTemplate::of(job))
    }

    /// Stores the job of a template, once what this returns is awaited.
    pub(crate) fn enqueue_template<'a>(
        &'a self,
        tx: &'a Transaction,
        cause: Cause,
        template: Result<JobTemplate, Error>,
    ) -> Enqueue<'a> {
        Enqueue { outbox: self, tx, cause, template, due: None, id: None, dedupe: None, tick: None }
    }

    /// Announces a job once the transaction has committed.
    pub(crate) fn announce_after(&self, tx: &Transaction, id: &str, due: Timestamp) {
        let (announcer, announcement) = (self.announcer.clone(), Announcement { id: id.to_owned(), due });
        tx.after_commit(async move { announcer.announce(&[announcement]).await });
    }

    /// Announces jobs that are due and that no worker has taken.
    pub(crate) async fn announce(&self, jobs: &[Announcement]) {
        self.announcer.announce(jobs).await;
    }
}

/// A job that is stored once this is awaited.
#[must_use = "the job is stored once this is awaited"]
#[derive(Debug)]
pub struct Enqueue<'a> {
    outbox: &'a Outbox,
    tx: &'a Transaction,
    cause: Cause,
    template: Result<JobTemplate, Error>,
    due: Option<Timestamp>,
    id: Option<String>,
    dedupe: Option<Dedupe>,
    tick: Option<Tick>,
}

/// What is known of a job before it is stored. A schedule keeps one for the jobs that it makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobTemplate {
    kind: String,
    version: u16,
    priority: Priority,
    is_sealed: bool,
    max_attempts: u32,
    give_up_after_seconds: Option<u64>,
    /// The value, as JSON text.
    payload: String,
}

impl JobTemplate {
    pub(crate) fn of<J: Job>(job: &J) -> Result<Self, Error> {
        let JobOptions { priority, retry, is_sealed, .. } = J::OPTIONS;
        Ok(Self {
            kind: J::KIND.to_owned(),
            version: J::VERSION,
            priority,
            is_sealed,
            max_attempts: retry.attempts,
            give_up_after_seconds: retry.give_up_after.map(|time| time.as_secs()),
            payload: json(job, MAX_PAYLOAD_BYTES, "the value of a job")?,
        })
    }
}

impl Enqueue<'_> {
    /// Runs the job at `time`, and not at once.
    pub fn at(mut self, time: Timestamp) -> Self {
        self.due = Some(time);
        self
    }

    /// Runs the job after `pause`, and not at once.
    pub fn after(mut self, pause: Duration) -> Self {
        self.due = Some(self.outbox.ambient.now() + pause);
        self
    }

    /// Gives the job this id. If there is a job with this id, whatever its state, nothing is stored: it is run once, for as long
    /// as jobs are kept after their end.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Stores nothing if there is a job with the same key.
    pub fn dedupe(mut self, dedupe: Dedupe) -> Self {
        self.dedupe = Some(dedupe);
        self
    }

    /// The job is that of a tick of a schedule.
    pub(crate) fn of_tick(mut self, tick: Tick) -> Self {
        self.tick = Some(tick);
        self
    }

    async fn store(self) -> Result<Enqueued, Error> {
        let Self { outbox, tx, cause, template, due, id, dedupe, tick } = self;
        let template = template?;
        if let Some(id) = &id
            && tx.get::<JobRecord>(id).await?.is_some()
        {
            return Ok(Enqueued { id: id.clone(), is_new: false });
        }
        let (scope, key) = match dedupe {
            Some(Dedupe::WhileWaiting(key)) => (Some(DedupeScope::Claim), Some(key)),
            Some(Dedupe::UntilDone(key)) => (Some(DedupeScope::End), Some(key)),
            None => (None, None),
        };
        if let Some(key) = &key
            && let Some(other) = tx.lookup::<JobRecord>(JobRecord::DEDUPE, key.as_str()).await?
        {
            return Ok(Enqueued { id: other.id.clone(), is_new: false });
        }
        let now = outbox.ambient.now();
        let due = due.unwrap_or(now);
        let id = id.unwrap_or_else(|| outbox.ambient.uuid_v7().to_string());
        let JobTemplate { kind, version, priority, is_sealed, max_attempts, .. } = template;
        let give_up_after = template.give_up_after_seconds.map(Duration::from_secs);
        let record = JobRecord {
            payload: Some(outbox.payloads.seal(&id, Part::Payload, is_sealed, template.payload)?),
            is_sealed,
            id,
            kind,
            version,
            state: JobState::Queued,
            lane: JobState::Queued.lane(priority),
            at: due,
            priority,
            attempt: 0,
            uncounted: 0,
            max_attempts,
            parked: 0,
            give_up_at: give_up_after.map(|time| due + time),
            unknown_since: None,
            worker: None,
            dedupe_key: key,
            dedupe: scope,
            memo: None,
            progress: None,
            result: None,
            errors: Vec::new(),
            cancel_requested: false,
            cause,
            tick,
            created_at: now,
            started_at: None,
            finished_at: None,
            forgotten_at: None,
        };
        tx.insert(&record)?;
        outbox.announce_after(tx, &record.id, due);
        Ok(Enqueued { id: record.id, is_new: true })
    }
}

impl<'a> IntoFuture for Enqueue<'a> {
    type Output = Result<Enqueued, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.store())
    }
}
