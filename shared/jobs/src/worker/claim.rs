//! Claiming jobs: each by a conditional write of the version that was read, so that of many workers one has it.

use std::sync::atomic::Ordering;

use switchyard_database::{Error, Stored};
use tokio::time::Instant;

use super::Core;
use super::attempt::Claimed;
use super::breaker::pause;
use super::due::{Due, due, from_somewhere};
use super::write::{Change, Written, write};
use crate::record::{JobRecord, JobState, Next};

/// The result of claiming jobs.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// The jobs that this worker has now.
    pub(crate) claimed: Vec<Claimed>,
    /// Whether a job was claimed, put off or ended. If none was, the list of jobs that are due lags behind.
    pub(crate) changed_something: bool,
}

impl Core {
    /// Finds jobs for `free` places.
    pub(crate) async fn find_due(&self, free: usize) -> Result<Due, Error> {
        let ambient = self.db.ambient();
        let mut found = due(&self.db, free, ambient.now()).await?;
        if self.has_company.load(Ordering::Relaxed) {
            found.jobs = from_somewhere(found.jobs, free, u32::from_be_bytes(ambient.bytes()));
        }
        Ok(found)
    }

    /// Claims jobs. Those that must not be run are put off or ended.
    pub(crate) async fn claim(&self, jobs: Vec<Stored<JobRecord>>) -> Claims {
        let (mut changes, mut runs) = (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
        for job in jobs {
            match self.next(&job) {
                Ok(Next::Run(claimed)) => {
                    runs.push(Some(job.at));
                    changes.push(Change::to(job, claimed));
                }
                Ok(Next::Write(other)) => {
                    runs.push(None);
                    changes.push(Change::to(job, other));
                }
                Err(fault) => tracing::error!(id = job.id, %fault, "the job cannot be claimed"),
            }
        }
        let since = Instant::now();
        let mut claims = Claims::default();
        for (written, due) in write(&self.db, &changes, self.settings.batch).await.into_iter().zip(runs) {
            claims.changed_something |= matches!(written, Written::Applied(_));
            match (written, due) {
                (Written::Applied(Some(job)), Some(due)) => {
                    claims.claimed.push(Claimed { job: *job, due, since });
                }
                (Written::Applied(Some(job)), None) if job.state == JobState::Dead => {
                    tracing::error!(id = job.id, kind = job.kind, "the job is dead");
                    self.counts.add(&job.kind, job.state, self.db.ambient().now());
                }
                (Written::Applied(_) | Written::Refused, _) => {}
                (Written::Failed(fault), _) => tracing::warn!(%fault, "jobs could not be claimed"),
            }
        }
        claims
    }

    /// What to do with a job that is due.
    fn next(&self, job: &JobRecord) -> Result<Next, Error> {
        let now = self.db.ambient().now();
        let Some(known) = self.registry.get(&job.kind).filter(|known| job.version <= known.version) else {
            return Ok(Next::Write(job.clone().put_off_as_unknown(now, &self.keeping)?));
        };
        let options = known.options;
        let next = job.clone().claimed(&self.id, options.lease, now, &self.keeping)?;
        let is_waiting = job.state.is_waiting() && options.retry.needs_provider;
        if matches!(next, Next::Run(_)) && is_waiting && !self.breakers.permits(&job.kind, now) {
            let pause = pause(job.parked, job.priority, self.db.ambient());
            return Ok(Next::Write(job.clone().parked(pause, now)?));
        }
        Ok(next)
    }
}
