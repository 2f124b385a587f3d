//! One attempt at a job: the handler, the lease, and the end.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use switchyard_ambient::Timestamp;
use switchyard_database::{Stored, retry};
use switchyard_kernel::Context;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::Core;
use super::write::{Change, Written, write};
use crate::handler::{Outcome, Registered};
use crate::payload::Part;
use crate::record::{Failure, JobRecord, JobState, Settlement};
use crate::run::{News, Run};

/// The pause before a write that failed is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// A job that this worker has.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) job: Stored<JobRecord>,
    /// When the job was due.
    pub(crate) due: Timestamp,
    /// Before the claim was sent: the lease is counted from here, on a clock that nobody sets.
    pub(crate) since: Instant,
}

/// The lease of a job. The stored job is the one that this worker wrote last.
struct Lease {
    job: Mutex<Stored<JobRecord>>,
    duration: Duration,
    confirmed: Mutex<Instant>,
}

/// Why a lease is no longer kept.
#[derive(Debug)]
enum LeaseEnd {
    /// Another worker has the job, or it is gone.
    Lost,
    /// The database could not be reached for so long that another worker may have the job soon.
    Unconfirmed,
    /// Somebody wants the job to be cancelled.
    Cancelled,
}

impl Lease {
    fn job(&self) -> Stored<JobRecord> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, job: Stored<JobRecord>) {
        *self.job.lock().unwrap_or_else(PoisonError::into_inner) = job;
    }

    fn confirmed(&self) -> Instant {
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the lease ends.
    fn end(&self) -> Instant {
        self.confirmed() + self.duration
    }

    /// When a worker that could not extend the lease stops: a sixth of it before the end.
    fn last_moment(&self) -> Instant {
        self.end() - self.duration / 6
    }

    fn confirm(&self, since: Instant, job: Stored<JobRecord>) {
        self.set(job);
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// How an attempt ended.
enum End {
    Outcome(Outcome),
    Lease(LeaseEnd),
    TimedOut,
    /// The program ends.
    GivenBack,
}

impl Core {
    /// Makes an attempt at a job that was claimed, and stores its end. When `ending` becomes `true`, the handler is dropped and
    /// the job is given back.
    pub(crate) async fn attempt(&self, claimed: Claimed, mut ending: watch::Receiver<bool>) {
        let Claimed { job, due, since } = claimed;
        let Some(registered) = self.registry.get(&job.kind) else { return };
        let options = registered.options;
        let now = self.db.ambient().now();
        self.observer.began(job.priority.as_str(), now.since(due));
        let context = Context::system(job.cause.request_id.clone(), now);
        let run = Run {
            claimed: (*job).clone(),
            ambient: self.db.ambient().clone(),
            context,
            deadline: since + options.timeout,
            payloads: self.outbox.payloads().clone(),
            keep: options.keep,
            keeping: self.keeping,
            news: News::default(),
            is_completed: false.into(),
        };
        let lease = Lease { job: Mutex::new(job), duration: options.lease, confirmed: Mutex::new(since) };
        let end = tokio::select! {
            biased;
            outcome = handle(registered, &run) => End::Outcome(outcome),
            end = self.keep_lease(&lease, &run.news) => End::Lease(end),
            () = sleep_until(run.deadline) => End::TimedOut,
            _ = ending.wait_for(|ends| *ends) => End::GivenBack,
        };
        self.finish(registered, &run, &lease, end, since).await;
    }

    async fn finish(&self, registered: &Registered, run: &Run, lease: &Lease, end: End, since: Instant) {
        let retry = registered.options.retry;
        let ambient = self.db.ambient();
        let pause =
            |asked: Option<Duration>| retry.pause(run.attempt(), ambient).max(asked.unwrap_or_default());
        // Whether the provider has answered, if the end says so.
        let (settlement, has_answered) = match end {
            End::Outcome(Outcome::Settle(settlement)) => {
                let has_answered = !matches!(settlement, Settlement::Later { .. });
                (Some(settlement), Some(has_answered))
            }
            End::Outcome(Outcome::Completed) if run.is_completed.load(Ordering::Relaxed) => {
                (None, Some(true))
            }
            End::Outcome(Outcome::Completed) => {
                let (id, kind) = (run.id(), &run.claimed.kind);
                tracing::error!(id, kind, "the handler reports that it has completed the job, and has not");
                (Some(Settlement::Succeeded { result: None }), None)
            }
            End::Outcome(Outcome::Failed(failure, asked)) => {
                (Some(Settlement::Failed { failure, pause: pause(asked) }), Some(false))
            }
            End::Outcome(Outcome::Panicked(failure)) => {
                (Some(Settlement::Failed { failure, pause: pause(None) }), None)
            }
            End::TimedOut => {
                let seconds = registered.options.timeout.as_secs();
                let failure = Failure::new("TIMEOUT", format!("the attempt took longer than {seconds} s"));
                (Some(Settlement::Failed { failure, pause: pause(None) }), Some(false))
            }
            End::GivenBack => (Some(Settlement::Again), None),
            End::Lease(LeaseEnd::Cancelled) => (Some(Settlement::Cancelled), None),
            End::Lease(end) => {
                let (id, kind) = (run.id(), &run.claimed.kind);
                tracing::warn!(id, kind, ?end, "the attempt was abandoned");
                return;
            }
        };
        if let Some(has_answered) = has_answered.filter(|_| retry.needs_provider) {
            self.breakers.note(&run.claimed.kind, has_answered, ambient.now());
        }
        let state = match settlement {
            Some(settlement) => self.settle(run, lease, settlement).await,
            None => Some(JobState::Succeeded),
        };
        self.report(run, state, since.elapsed());
    }

    /// Stores the end of an attempt. Returns the state that the job has then; `None` if the attempt no longer had the job, or
    /// the database could not be reached until the lease ended: then the job is run again.
    async fn settle(&self, run: &Run, lease: &Lease, settlement: Settlement) -> Option<JobState> {
        loop {
            let before = lease.job();
            let now = self.db.ambient().now();
            let mut job = (*before).clone();
            run.news.add_to(&mut job);
            let after = match job.settled(settlement.clone(), run.keep, now, &self.keeping) {
                Ok(after) => after,
                Err(fault) => {
                    tracing::error!(id = run.id(), %fault, "the end of a job cannot be stored");
                    return None;
                }
            };
            let state = after.as_ref().map_or(JobState::Succeeded, |after| after.state);
            match self.settler.store(Change { before, after }).await {
                Written::Applied(_) => return Some(state),
                Written::Refused => match self.read_again(lease).await {
                    Ok(Still::Ours) => {}
                    Ok(Still::Ended(state)) => return Some(state),
                    Ok(Still::Lost) => return None,
                    Err(()) if Instant::now() >= lease.end() => return None,
                    Err(()) => sleep(TRY_AGAIN).await,
                },
                Written::Failed(fault) if Instant::now() >= lease.end() => {
                    tracing::warn!(id = run.id(), %fault, "the end of a job could not be stored, and it will be run again");
                    return None;
                }
                Written::Failed(_) => sleep(TRY_AGAIN).await,
            }
        }
    }

    /// Extends the lease every third of it, until it is lost.
    async fn keep_lease(&self, lease: &Lease, news: &News) -> LeaseEnd {
        let mut next = lease.confirmed() + lease.duration / 3;
        loop {
            sleep_until(next).await;
            let since = Instant::now();
            if since >= lease.last_moment() {
                return LeaseEnd::Unconfirmed;
            }
            let before = lease.job();
            let mut after = (*before).clone();
            after.at = self.db.ambient().now() + lease.duration;
            news.add_to(&mut after);
            let until = lease.last_moment();
            let changes = [Change::to(before, after)];
            let written = tokio::time::timeout_at(until, write(&self.db, &changes, 1)).await;
            next = Instant::now() + TRY_AGAIN;
            match written.map(|mut written| written.pop()) {
                Ok(Some(Written::Applied(Some(job)))) => {
                    lease.confirm(since, *job);
                    next = since + lease.duration / 3;
                }
                Ok(Some(Written::Refused)) => match self.read_again(lease).await {
                    Ok(Still::Ours) if lease.job().cancel_requested => return LeaseEnd::Cancelled,
                    // Its version is known now, so the next write can succeed.
                    Ok(Still::Ours) => next = Instant::now(),
                    // The handler has completed the job, and is about to return.
                    Ok(Still::Ended(JobState::Succeeded)) => std::future::pending().await,
                    Ok(Still::Ended(_) | Still::Lost) => return LeaseEnd::Lost,
                    Err(()) => {}
                },
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Reads the job again after a write was refused.
    async fn read_again(&self, lease: &Lease) -> Result<Still, ()> {
        let ours = lease.job();
        match self.db.collection::<JobRecord>().get(&ours.id).await {
            Ok(None) => Ok(Still::Ended(JobState::Succeeded)),
            Ok(Some(present)) if !present.is_attempt_of(&ours) => Ok(Still::Lost),
            Ok(Some(present)) if present.state == JobState::Running => {
                lease.set(present);
                Ok(Still::Ours)
            }
            Ok(Some(present)) => Ok(Still::Ended(present.state)),
            Err(_) => Err(()),
        }
    }
}

/// What a job is that somebody else has written.
enum Still {
    /// This attempt still has it.
    Ours,
    /// It has ended with this attempt.
    Ended(JobState),
    /// Another attempt has it.
    Lost,
}

/// Runs the handler. What it asks of the database is not repeated after the deadline.
async fn handle(registered: &Registered, run: &Run) -> Outcome {
    let Some(stored) = &run.claimed.payload else {
        let failure = Failure::new("PAYLOAD", "the payload was removed after an earlier success");
        return Outcome::Settle(Settlement::Dead { failure });
    };
    match run.payloads.open(run.id(), Part::Payload, run.claimed.is_sealed, stored) {
        Ok(payload) => {
            let running = registered.run(run.claimed.version, &payload, run);
            retry::within(run.deadline, running).await
        }
        Err(fault) => Outcome::Settle(Settlement::Dead { failure: Failure::new("PAYLOAD", fault) }),
    }
}
