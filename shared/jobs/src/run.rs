//! What a handler gets to know about its attempt, and what it can do in it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use switchyard_ambient::Ambient;
use switchyard_database::{Error, Transaction};
use switchyard_kernel::Context;
use tokio::time::Instant;

use crate::Keep;
use crate::payload::{MAX_RESULT_BYTES, Part, Payloads, json};
use crate::record::{JobRecord, JobState, Keeping, Progress, Settlement, Tick};

/// An attempt at a job.
#[derive(Debug)]
pub struct Run {
    /// The job as it was claimed.
    pub(crate) claimed: JobRecord,
    pub(crate) ambient: Ambient,
    pub(crate) context: Context,
    pub(crate) deadline: Instant,
    pub(crate) payloads: Payloads,
    pub(crate) keep: Keep,
    pub(crate) keeping: Keeping,
    /// What is stored with the next extension of the lease, and at the end.
    pub(crate) news: News,
    /// Whether the handler has completed the job, or tried to.
    pub(crate) is_completed: AtomicBool,
}

/// What a handler has reported and the database does not have yet.
#[derive(Debug, Default)]
pub(crate) struct News(Mutex<(Option<Progress>, Option<String>)>);

impl News {
    fn lock(&self) -> MutexGuard<'_, (Option<Progress>, Option<String>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what is new to the job. Nothing is forgotten: the write may fail.
    pub(crate) fn add_to(&self, job: &mut JobRecord) {
        let (progress, memo) = &*self.lock();
        job.progress = progress.or(job.progress);
        job.memo = memo.clone().or(job.memo.take());
    }
}

impl Run {
    /// The id of the job.
    pub fn id(&self) -> &str {
        &self.claimed.id
    }

    /// The number of the attempt, from 1. Attempts that were not counted are left out.
    pub fn attempt(&self) -> u32 {
        self.claimed.counted_attempts()
    }

    /// A text that is the same in every attempt, for those who have the effect of the job and recognise a repetition.
    pub fn idempotency_key(&self) -> String {
        format!("switchyard/{}", self.claimed.id)
    }

    /// The program itself, on behalf of the request that caused the job.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The tick of a schedule that the job belongs to.
    pub fn tick(&self) -> Option<&Tick> {
        self.claimed.tick.as_ref()
    }

    /// When the attempt has to end. Long work ends earlier by itself, with [`Done::part`](crate::Done::part).
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Reports how far the job has come. It is stored the next time the lease is extended, and at the end.
    pub fn progress(&self, done: u64, total: u64) {
        self.news.lock().0 = Some(Progress { done, total });
    }

    /// What an earlier attempt has kept.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if it is something else.
    pub fn memo<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        let kept = self.news.lock().1.clone();
        let Some(stored) = kept.or_else(|| self.claimed.memo.clone()) else { return Ok(None) };
        let text = self.payloads.open(self.id(), Part::Memo, self.claimed.is_sealed, &stored);
        let memo = text.and_then(|text| serde_json::from_str(&text).map_err(|fault| fault.to_string()));
        memo.map(Some).map_err(|fault| Error::Corrupt(format!("the memo of the job {}: {fault}", self.id())))
    }

    /// Keeps something for later attempts, such as where to continue. At most [`MAX_RESULT_BYTES`] of JSON. It is stored the
    /// next time the lease is extended, and at the end of the attempt. An attempt that dies before that begins where the last
    /// stored memo says.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] if it is longer.
    pub fn keep(&self, memo: &impl Serialize) -> Result<(), Error> {
        let text = json(memo, MAX_RESULT_BYTES, "the memo of a job")?;
        let stored = self.payloads.seal(self.id(), Part::Memo, self.claimed.is_sealed, text)?;
        self.news.lock().1 = Some(stored);
        Ok(())
    }

    /// Completes the job in a transaction of the handler: its writes and the end of the job are one commit. Then the handler
    /// returns [`Done::completed`](crate::Done::completed).
    ///
    /// # Errors
    ///
    /// [`Error::Contended`] if this attempt no longer has the job, so that nothing is committed.
    pub async fn complete(
        &self,
        tx: &Transaction,
        result: Option<&(impl Serialize + Sync)>,
    ) -> Result<(), Error> {
        let result =
            result.map(|result| json(result, MAX_RESULT_BYTES, "the result of a job")).transpose()?;
        let Some(stored) = tx.get::<JobRecord>(self.id()).await? else { return Err(Error::Contended) };
        if stored.state != JobState::Running || !stored.is_attempt_of(&self.claimed) {
            return Err(Error::Contended);
        }
        let mut job = (*stored).clone();
        self.news.add_to(&mut job);
        let settlement = Settlement::Succeeded { result };
        match job.settled(settlement, self.keep, self.ambient.now(), &self.keeping)? {
            Some(done) => drop(tx.replace(&stored, &done)?),
            None => tx.delete(&stored)?,
        }
        self.is_completed.store(true, Ordering::Relaxed);
        Ok(())
    }
}
