use std::collections::VecDeque;
use std::sync::Arc;

use switchyard_database::{Error, Stored};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Core;
use crate::record::JobRecord;

/// What a worker has in hand: jobs that run, and jobs that were found and are taken next.
pub(super) struct Work {
    core: Arc<Core>,
    pub(super) running: JoinSet<()>,
    /// Jobs that were found, in the order in which they are to be taken.
    pub(super) waiting: VecDeque<Stored<JobRecord>>,
    /// Whether a look may find more jobs.
    pub(super) has_more: bool,
    /// The number of jobs that were taken.
    pub(super) ran: usize,
    end: watch::Sender<bool>,
}

impl Work {
    pub(super) fn new(core: Arc<Core>) -> Self {
        let (running, waiting, end) = (JoinSet::new(), VecDeque::new(), watch::Sender::new(false));
        Self { core, running, waiting, has_more: true, ran: 0, end }
    }

    /// The number of jobs that could begin now.
    pub(super) fn free(&self) -> usize {
        self.core.settings.concurrency - self.running.len()
    }

    /// Whether there may be jobs to take, and a place for them.
    pub(super) fn can_take(&self) -> bool {
        self.free() > 0 && (self.has_more || !self.waiting.is_empty())
    }

    /// Looks for jobs, and forgets those that were found before.
    pub(super) async fn look(&mut self) -> Result<(), Error> {
        self.has_more = false;
        // For more than one round: each look costs a query of each lane.
        let due = self.core.find_due(self.free().max(self.core.settings.batch)).await?;
        self.has_more = due.has_more && !due.jobs.is_empty();
        self.waiting = due.jobs.into();
        Ok(())
    }

    /// Takes as many jobs as there are places, after a look if none was found before.
    pub(super) async fn take(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() {
            self.look().await?;
        }
        let count = self.free().min(self.waiting.len());
        let claims = self.core.claim(self.waiting.drain(..count).collect()).await;
        if !claims.changed_something {
            // Others have taken these jobs. What the list shows next is no newer.
            self.has_more = false;
            self.waiting.clear();
        }
        self.ran += claims.claimed.len();
        for claimed in claims.claimed {
            let (core, ending) = (self.core.clone(), self.end.subscribe());
            self.running.spawn(async move { core.attempt(claimed, ending).await });
        }
        Ok(())
    }

    /// Waits until all jobs that run have ended.
    pub(super) async fn finish(&mut self) {
        while self.running.join_next().await.is_some() {}
    }

    /// Gives back the jobs that run.
    pub(super) async fn give_back(&mut self) {
        self.end.send_replace(true);
        self.finish().await;
    }
}
