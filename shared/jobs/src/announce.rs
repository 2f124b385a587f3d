//! Telling workers about jobs that have just been stored. It only saves them time: they also look for jobs by themselves.

use std::fmt::Debug;

use async_trait::async_trait;
use switchyard_ambient::Timestamp;
use tokio::sync::mpsc;

/// A job that has just been stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The job.
    pub id: String,
    /// When it is due.
    pub due: Timestamp,
}

/// Tells workers about jobs. Every announcement may be lost, and none may fail the transaction that stored the job.
#[async_trait]
pub trait Announcer: Debug + Send + Sync + 'static {
    /// Announces jobs that are stored, or may be. Logs what goes wrong.
    async fn announce(&self, jobs: &[Announcement]);
}

/// Announces nothing: workers find jobs when they look for them.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAnnouncer;

#[async_trait]
impl Announcer for NoAnnouncer {
    async fn announce(&self, _: &[Announcement]) {}
}

/// The number of announcements that wait for the worker of the process. Those beyond are dropped: a worker that has so much
/// to do finds the jobs when it looks for more.
const WAITING: usize = 1_024;

/// Announces jobs to the worker of the same process.
#[derive(Clone, Debug)]
pub struct LocalAnnouncer(mpsc::Sender<Announcement>);

/// What a [`LocalAnnouncer`] has announced.
#[derive(Debug)]
pub struct Announcements(Option<mpsc::Receiver<Announcement>>);

/// An announcer, and what the worker of the process gets from it.
pub fn local_announcements() -> (LocalAnnouncer, Announcements) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (LocalAnnouncer(sender), Announcements(Some(receiver)))
}

#[async_trait]
impl Announcer for LocalAnnouncer {
    async fn announce(&self, jobs: &[Announcement]) {
        for job in jobs {
            let _ = self.0.try_send(job.clone());
        }
    }
}

impl Announcements {
    /// No announcements ever come.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Waits for announcements, and returns up to `at_most` of them.
    pub(crate) async fn next(&mut self, at_most: usize) -> Vec<Announcement> {
        let mut announced = Vec::new();
        let received = match &mut self.0 {
            Some(receiver) => receiver.recv_many(&mut announced, at_most).await,
            None => 0,
        };
        if received == 0 {
            self.0 = None; // every announcer is gone
            std::future::pending::<()>().await;
        }
        announced
    }
}
