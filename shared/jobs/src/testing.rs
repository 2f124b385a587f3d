//! Jobs in any state, for the tests of other crates.

use serde::{Deserialize, Serialize};
use switchyard_database::Error;
use switchyard_kernel::Context;

use crate::record::{Failure, JobRecord};
use crate::schedule::Schedule;
use crate::schedule::ticking::{NextTicks, look};
use crate::{Job, JobState, Jobs};

/// A kind of job that no worker knows.
#[derive(Debug, Serialize, Deserialize)]
struct Sample {}

impl Job for Sample {
    const KIND: &'static str = "samples.sample";
}

/// Stores a job that waits for a worker, caused by `owner`. Returns its id.
///
/// # Panics
///
/// If the database fails.
pub async fn store_waiting(jobs: &Jobs, owner: &Context) -> String {
    store(jobs, owner, None).await
}

/// Stores a dead job.
///
/// # Panics
///
/// If the database fails.
pub async fn store_dead(jobs: &Jobs, owner: &Context) -> String {
    store(jobs, owner, Some(JobState::Dead)).await
}

/// Stores a cancelled job.
///
/// # Panics
///
/// If the database fails.
pub async fn store_cancelled(jobs: &Jobs, owner: &Context) -> String {
    store(jobs, owner, Some(JobState::Cancelled)).await
}

/// Stores a schedule, as a worker does that declares it. Returns its name.
///
/// # Panics
///
/// If the database fails.
pub async fn store_cron(jobs: &Jobs) -> String {
    const NAME: &str = "samples.nightly";
    let schedule = Schedule::cron(NAME, "30 2 * * *", "Africa/Lagos", &Sample {});
    let schedules = [schedule.expect("the expression is valid")];
    look(jobs.kernel.db(), &jobs.outbox, &schedules, &NextTicks::default()).await;
    NAME.to_owned()
}

async fn store(jobs: &Jobs, owner: &Context, state: Option<JobState>) -> String {
    let stored = jobs.kernel.transact(owner, |tx| async move {
        let id = jobs.outbox.enqueue(&tx, &Sample {}).await?.id;
        if let Some(state) = state {
            let stored = tx.get::<JobRecord>(&id).await?.ok_or(Error::Contended)?;
            let mut ended = (*stored).clone().transition(state, owner.now)?;
            ended.note(&Failure::new("SAMPLE", "it is a sample"), owner.now);
            ended.finished_at = Some(owner.now);
            tx.replace(&stored, &ended)?;
        }
        Ok::<_, Error>(id)
    });
    stored.await.expect("the job can be stored")
}
