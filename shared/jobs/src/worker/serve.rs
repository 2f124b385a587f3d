//! The worker of a server: it runs until it is told to stop.

use std::future::Future;
use std::time::Duration;

use switchyard_ambient::Timestamp;
use switchyard_database::{Consistency, Error};
use tokio::time::{Instant, sleep_until, timeout};

use super::work::Work;
use super::{Core, Worker};
use crate::announce::{Announcement, Announcements};
use crate::presence::{BEAT, Presence};
use crate::record::JobRecord;
use crate::schedule::ticking::LOOK;

/// How long jobs have to be given back once their time to end is over.
const GIVING_BACK: Duration = Duration::from_secs(5);

/// The pause after the jobs could not be listed.
const AFTER_FAULT: Duration = Duration::from_secs(2);

impl Worker {
    /// Runs jobs until `stop` is ready. Then it takes no more jobs, and those that run have `grace` to end. What is left then is
    /// given back for other workers, and this counts as no attempt.
    pub async fn serve(
        self,
        mut announcements: Announcements,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) {
        let core = self.0;
        let presence = Presence::of(&core);
        let mut work = Work::new(core.clone());
        let mut next_poll = Instant::now();
        let (mut next_beat, mut next_tick) = (Instant::now(), Instant::now());
        tokio::pin!(stop);
        loop {
            let free = work.free();
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = work.running.join_next(), if !work.running.is_empty() => {}
                () = sleep_until(next_beat) => {
                    next_beat = Instant::now() + BEAT;
                    presence.beat(&core, work.running.len()).await;
                    core.flush().await;
                }
                () = sleep_until(next_tick) => {
                    next_tick = Instant::now() + LOOK;
                    core.tick().await;
                }
                announced = announcements.next(core.settings.batch.max(free)), if free > 0 => {
                    next_poll = next_poll.min(work.note_announced(&core, announced).await);
                }
                () = sleep_until(next_poll), if free > 0 => {
                    next_poll = Instant::now() + pause_after(&core, work.look().await);
                }
                () = std::future::ready(()), if work.can_take() => {
                    if let Err(fault) = work.take().await {
                        next_poll = Instant::now() + pause_after(&core, Err(fault));
                    }
                }
            }
        }
        if timeout(grace, work.finish()).await.is_err() {
            let _ = timeout(GIVING_BACK, work.give_back()).await;
        }
        core.flush().await;
        presence.end(&core).await;
    }
}

/// The pause before the worker looks for jobs again. Workers that started together do not all look at the same time.
fn pause_after(core: &Core, look: Result<(), Error>) -> Duration {
    if let Err(fault) = look {
        tracing::warn!(%fault, "the jobs cannot be listed");
        return AFTER_FAULT;
    }
    let poll = core.settings.poll;
    poll - poll / 4 + core.db.ambient().jitter(poll / 4)
}

impl Work {
    /// Puts announced jobs that are due before the others. Returns when to look for jobs because of those that are due later.
    async fn note_announced(&mut self, core: &Core, announced: Vec<Announcement>) -> Instant {
        let now = core.db.ambient().now();
        let (due, later): (Vec<_>, Vec<_>) = announced.into_iter().partition(|job| job.due <= now);
        let ids: Vec<String> = due.into_iter().map(|job| job.id).collect();
        // Beyond the free places they wait like those that were found by a look.
        match core.db.collection::<JobRecord>().get_many(ids, Consistency::Linearizable).await {
            Ok(jobs) => {
                let jobs = jobs.into_iter().flatten().filter(|job| job.is_due(now));
                let mut jobs: Vec<_> = jobs.collect();
                jobs.sort_by_key(|job| job.priority);
                for job in jobs.into_iter().rev() {
                    self.waiting.push_front(job);
                }
            }
            Err(fault) => tracing::debug!(%fault, "announced jobs are found later"),
        }
        let next_due = later.iter().map(|job| job.due).min();
        next_due.map_or_else(far, |due: Timestamp| Instant::now() + due.since(now))
    }
}

/// A time that the worker does not wait for.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(24 * 60 * 60)
}
