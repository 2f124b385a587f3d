//! How a job gets from one state to the next. Everything that changes a job's state goes through [`JobRecord::transition`].

use std::time::Duration;

use switchyard_ambient::Timestamp;
use switchyard_database::Error;

use super::{DedupeScope, Failure, JobRecord, JobState};
use crate::Keep;

/// What a worker does with a job that is due.
#[derive(Debug)]
pub(crate) enum Next {
    /// It runs the job.
    Run(JobRecord),
    /// It writes this, and does not run the job.
    Write(JobRecord),
}

/// What becomes of a job that a worker has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// It is done. The result is JSON text.
    Succeeded { result: Option<String> },
    /// It is to run again at once, and this does not count as an attempt.
    Again,
    /// It is to run again later, and this does not count as an attempt.
    Later { failure: Failure, after: Duration },
    /// The attempt failed. It is to run again after `pause`, if attempts are left.
    Failed { failure: Failure, pause: Duration },
    /// It failed, and cannot succeed.
    Dead { failure: Failure },
    /// Somebody cancelled it.
    Cancelled,
}

/// How long jobs are kept after their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keeping {
    pub(crate) succeeded: Duration,
    pub(crate) cancelled: Duration,
    pub(crate) dead: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a job of a kind that no worker knows waits for a worker that does: a deployment may be under way.
const UNKNOWN_FOR: Duration = DAY;
const UNKNOWN_PAUSE: Duration = Duration::from_secs(60);

impl Keeping {
    pub(crate) const fn new(succeeded: Duration) -> Self {
        Self { succeeded, cancelled: DAY.saturating_mul(30), dead: DAY.saturating_mul(90) }
    }

    const fn of(&self, state: JobState) -> Duration {
        match state {
            JobState::Cancelled => self.cancelled,
            JobState::Dead => self.dead,
            _ => self.succeeded,
        }
    }
}

impl JobRecord {
    /// This job in another state, in the place that belongs to it.
    ///
    /// # Errors
    ///
    /// If a job cannot get from its state into that one, which is a fault of the program.
    pub(crate) fn transition(self, state: JobState, at: Timestamp) -> Result<Self, Error> {
        if !self.state.may_become(state) {
            let (id, from, to) = (&self.id, self.state.as_str(), state.as_str());
            return Err(Error::Internal(format!("the job {id} is {from} and cannot become {to}")));
        }
        Ok(Self { state, lane: state.lane(self.priority), at, ..self })
    }

    /// This job at its end.
    fn ended(self, state: JobState, now: Timestamp, keeping: &Keeping) -> Result<Self, Error> {
        let ended = self.transition(state, now)?;
        let forgotten_at = Some(now + keeping.of(state));
        Ok(Self { dedupe_key: None, finished_at: Some(now), forgotten_at, ..ended })
    }

    /// This job, claimed by a worker, or what the worker writes because it must not be run.
    pub(crate) fn claimed(
        mut self,
        worker: &str,
        lease: Duration,
        now: Timestamp,
        keeping: &Keeping,
    ) -> Result<Next, Error> {
        if self.state == JobState::Running {
            // Whatever it was that ended the worker must not end all others, one after another.
            let worker = self.worker.as_deref().unwrap_or("unknown");
            let failure =
                Failure::new("WORKER_DIED", format!("the worker {worker} did not finish the attempt"));
            self.note(&failure, now);
            if self.cancel_requested {
                return Ok(Next::Write(self.ended(JobState::Cancelled, now, keeping)?));
            }
            if !self.may_be_tried_again(now) {
                return Ok(Next::Write(self.ended(JobState::Dead, now, keeping)?));
            }
        } else if (self.attempt > 0 || self.parked > 0) && self.give_up_at.is_some_and(|end| end < now) {
            self.note(&Failure::new("GIVEN_UP", "the time for attempts is over"), now);
            return Ok(Next::Write(self.ended(JobState::Dead, now, keeping)?));
        }
        let mut claimed = self.transition(JobState::Running, now + lease)?;
        claimed.attempt += 1;
        claimed.worker = Some(worker.to_owned());
        claimed.started_at = Some(now);
        claimed.unknown_since = None;
        if claimed.dedupe == Some(DedupeScope::Claim) {
            claimed.dedupe_key = None;
        }
        Ok(Next::Run(claimed))
    }

    /// This job, put off because its provider is down.
    pub(crate) fn parked(self, pause: Duration, now: Timestamp) -> Result<Self, Error> {
        let mut parked = self.transition(JobState::Retrying, now + pause)?;
        parked.parked = parked.parked.saturating_add(1);
        Ok(parked)
    }

    /// This job, put off because this worker does not know its kind or the version of its payload. After a day it is dead.
    pub(crate) fn put_off_as_unknown(mut self, now: Timestamp, keeping: &Keeping) -> Result<Self, Error> {
        let since = *self.unknown_since.get_or_insert(now);
        if since + UNKNOWN_FOR <= now {
            let message = format!("no worker knows version {} of {}", self.version, self.kind);
            self.note(&Failure::new("UNKNOWN_KIND", message), now);
            return self.ended(JobState::Dead, now, keeping);
        }
        self.transition(JobState::Retrying, now + UNKNOWN_PAUSE)
    }

    /// This job after an attempt; `None` if nothing is to be left of it.
    pub(crate) fn settled(
        mut self,
        settlement: Settlement,
        keep: Keep,
        now: Timestamp,
        keeping: &Keeping,
    ) -> Result<Option<Self>, Error> {
        // An attempt has asked the provider.
        self.parked = 0;
        let settled = match settlement {
            Settlement::Again | Settlement::Later { .. } | Settlement::Failed { .. }
                if self.cancel_requested =>
            {
                self.ended(JobState::Cancelled, now, keeping)?
            }
            Settlement::Succeeded { .. } if keep == Keep::Nothing => return Ok(None),
            Settlement::Succeeded { result } => {
                let mut done = self.ended(JobState::Succeeded, now, keeping)?;
                if done.is_sealed {
                    done.payload = None;
                }
                Self { memo: None, result, cancel_requested: false, ..done }
            }
            Settlement::Again => {
                self.uncounted += 1;
                self.transition(JobState::Queued, now)?
            }
            Settlement::Later { failure, after } => {
                self.uncounted += 1;
                self.retrying_or_dead(&failure, after, now, keeping)?
            }
            Settlement::Failed { failure, pause } => self.retrying_or_dead(&failure, pause, now, keeping)?,
            Settlement::Dead { failure } => {
                self.note(&failure, now);
                self.ended(JobState::Dead, now, keeping)?
            }
            Settlement::Cancelled => self.ended(JobState::Cancelled, now, keeping)?,
        };
        Ok(Some(settled))
    }

    /// This job, to be tried again after a pause. It is dead if no attempts are left, or no time for them.
    fn retrying_or_dead(
        mut self,
        failure: &Failure,
        pause: Duration,
        now: Timestamp,
        keeping: &Keeping,
    ) -> Result<Self, Error> {
        self.note(failure, now);
        let at = now + pause;
        if self.may_be_tried_again(at) {
            self.transition(JobState::Retrying, at)
        } else {
            self.ended(JobState::Dead, now, keeping)
        }
    }

    /// This job, cancelled before it ran.
    pub(crate) fn cancelled(self, now: Timestamp, keeping: &Keeping) -> Result<Self, Error> {
        self.ended(JobState::Cancelled, now, keeping)
    }

    /// This job, to be run again now by hand. Its attempts and its time begin again.
    pub(crate) fn requeued(self, now: Timestamp) -> Result<Self, Error> {
        let queued = self.transition(JobState::Queued, now)?;
        let give_up_after = queued.give_up_at.map(|end| end.since(queued.created_at));
        Ok(Self {
            uncounted: queued.attempt,
            parked: 0,
            give_up_at: give_up_after.map(|time| now + time),
            unknown_since: None,
            cancel_requested: false,
            finished_at: None,
            forgotten_at: None,
            ..queued
        })
    }
}
