//! The worker of a server: it runs until it is told to stop.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use switchyard_ambient::Timestamp;
use switchyard_database::{Consistency, Stored};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

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
        let (end, ending) = watch::channel(false);
        let mut work = Work { running: JoinSet::new(), waiting: VecDeque::new(), has_more: true, ending };
        let mut next_poll = Instant::now();
        let (mut next_beat, mut next_tick) = (Instant::now(), Instant::now());
        tokio::pin!(stop);
        loop {
            let free = core.settings.concurrency - work.running.len();
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
                    next_poll = next_poll.min(work.take_announced(&core, announced).await);
                }
                () = sleep_until(next_poll), if free > 0 => {
                    next_poll = match work.look_for_more(&core, free).await {
                        Ok(()) => Instant::now() + pause_until_poll(&core),
                        Err(()) => Instant::now() + AFTER_FAULT,
                    };
                }
                () = std::future::ready(()), if free > 0 && work.has_something() => {
                    work.take_waiting(&core, free).await;
                }
            }
        }
        let drained = timeout(grace, async { while work.running.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            end.send_replace(true);
            let given_back =
                timeout(GIVING_BACK, async { while work.running.join_next().await.is_some() {} });
            let _ = given_back.await;
        }
        core.flush().await;
        presence.end(&core).await;
    }
}

/// The pause before the worker looks for jobs again. Workers that started together do not all look at the same time.
fn pause_until_poll(core: &Core) -> Duration {
    let poll = core.settings.poll;
    poll - poll / 4 + core.db.ambient().jitter(poll / 4)
}

/// What the worker of a server has in hand.
struct Work {
    running: JoinSet<()>,
    /// Jobs that were found, in the order in which they are to be taken.
    waiting: VecDeque<Stored<JobRecord>>,
    /// Whether the last look left jobs behind.
    has_more: bool,
    ending: watch::Receiver<bool>,
}

impl Work {
    fn has_something(&self) -> bool {
        self.has_more || !self.waiting.is_empty()
    }

    async fn look_for_more(&mut self, core: &std::sync::Arc<Core>, free: usize) -> Result<(), ()> {
        // More than one round: each look costs a query of each lane.
        match core.find_due(free.max(core.settings.batch)).await {
            Ok(due) => {
                self.has_more = due.has_more;
                self.waiting = due.jobs.into();
                Ok(())
            }
            Err(fault) => {
                tracing::warn!(%fault, "the jobs cannot be listed");
                self.has_more = false;
                Err(())
            }
        }
    }

    async fn take_waiting(&mut self, core: &std::sync::Arc<Core>, free: usize) {
        if self.waiting.is_empty() && self.look_for_more(core, free).await.is_err() {
            return;
        }
        if self.waiting.is_empty() {
            self.has_more = false;
        }
        let taken: Vec<_> = self.waiting.drain(..free.min(self.waiting.len())).collect();
        self.start(core, taken).await;
    }

    /// Runs announced jobs that are due. Returns when to look for jobs because of the others.
    async fn take_announced(&mut self, core: &std::sync::Arc<Core>, announced: Vec<Announcement>) -> Instant {
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

    async fn start(&mut self, core: &std::sync::Arc<Core>, jobs: Vec<Stored<JobRecord>>) {
        let claims = core.claim(jobs).await;
        if !claims.changed_something {
            // Others have taken these jobs. What the list shows next is no newer.
            self.has_more = false;
            self.waiting.clear();
        }
        for claimed in claims.claimed {
            let (core, ending) = (core.clone(), self.ending.clone());
            self.running.spawn(async move { core.attempt(claimed, ending).await });
        }
    }
}

/// A time that the worker does not wait for.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(24 * 60 * 60)
}
