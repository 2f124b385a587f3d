//! The only thread that writes. A panic fails the current job, and the thread continues, because it serves all callers.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use switchyard_ambient::Ambient;
use switchyard_database::{Batch, Error, Result, Version};
use tokio::sync::{mpsc, oneshot};

use crate::commit::Work;
use crate::fault::Fault;
use crate::group;
use crate::pool::Pool;
use crate::statements::Tables;

/// The number of jobs in the queue. Further callers wait for a free place.
const QUEUE: usize = 1024;
/// The maximum number of batches in one transaction, which limits how long a caller waits for others.
const GROUP: usize = 256;
/// The longest time that a group is kept open for more batches.
const LONGEST_PATIENCE: Duration = Duration::from_millis(1);

/// Sends jobs to the writer thread. Dropping it ends the thread once all accepted jobs are done.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

enum Job {
    Commit(Waiting),
    /// A task that opens its own transactions.
    Task(Box<dyn FnOnce(&Connection) + Send>),
}

struct Waiting {
    work: Work,
    reply: oneshot::Sender<Result<Vec<Version>>>,
}

/// The connection that the writer uses.
pub(crate) enum Source {
    /// The writer's own connection.
    Own(Connection),
    /// The only connection of a database in memory, shared with the readers.
    Shared(Arc<Pool>),
}

impl Source {
    fn with<T>(&self, act: impl FnOnce(&Connection) -> T) -> Result<T> {
        match self {
            Self::Own(connection) => Ok(act(connection)),
            Self::Shared(pool) => Ok(act(&*futures::executor::block_on(pool.lease())?)),
        }
    }
}

impl Writer {
    pub(crate) fn start(source: Source, ambient: Ambient) -> Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || run(&source, Queue::new(queue), &ambient))
            .map_err(|fault| Error::Unavailable(format!("the writer thread cannot be started: {fault}")))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(crate) async fn commit(&self, batch: &Batch) -> Result<Vec<Version>> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Commit(Waiting { work: Work::new(batch)?, reply })).await?;
        match answer.await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::OutcomeUnknown("the writer thread has ended".to_owned())),
        }
    }

    /// Runs `task` on the writer thread, between transactions. The task must be safe to repeat.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let task = move |connection: &Connection| {
            let outcome = group::caught(|| task(connection));
            group::roll_back(connection); // what a task that panicked has left open
            // A caller that was cancelled does not receive the answer.
            let _ = reply.send(outcome.map_err(Error::from));
        };
        self.send(Job::Task(Box::new(task))).await?;
        answer.await.map_err(|_| ended())?
    }

    /// Fails if the writer thread has ended.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.jobs {
            Some(jobs) if !jobs.is_closed() => Ok(()),
            _ => Err(ended()),
        }
    }

    async fn send(&self, job: Job) -> Result<()> {
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        jobs.send(job).await.map_err(|_| ended())
    }
}

impl Drop for Writer {
    /// Waits for the thread, so that all accepted writes are on the disk and the file is closed when this returns.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the SQLite writer thread panicked");
        }
    }
}

fn ended() -> Error {
    Error::Unavailable("the writer thread has ended".to_owned())
}

fn run(source: &Source, mut queue: Queue, ambient: &Ambient) {
    let mut tables = Tables::default();
    while let Some(job) = queue.next() {
        match job {
            Job::Task(task) => {
                // Without a connection the task is dropped, together with the sender of its answer.
                let _ = source.with(task);
            }
            Job::Commit(first) => {
                let group = queue.group(first);
                let start = Instant::now();
                let works = group.iter().map(|waiting| &waiting.work);
                let committing =
                    || source.with(|connection| group::commit(connection, &mut tables, works, ambient));
                let outcomes = panic::catch_unwind(AssertUnwindSafe(committing)).unwrap_or_else(|_| {
                    // The panic may have come after the commit.
                    tables = Tables::default();
                    source.with(group::roll_back)?;
                    Err(Error::OutcomeUnknown(
                        "a bug: the writer panicked; the log has the message".to_owned(),
                    ))
                });
                let outcomes = outcomes.flatten();
                queue.pace(group.len(), start.elapsed());
                answer(group, outcomes);
            }
        }
    }
}

/// The waiting jobs.
struct Queue {
    jobs: mpsc::Receiver<Job>,
    /// A job that was taken from the channel while the queue was looking for commits.
    next: Option<Job>,
    /// The number of batches in the last group.
    expected: usize,
    /// How long to wait for as many batches as in the last group.
    patience: Duration,
}

impl Queue {
    fn new(jobs: mpsc::Receiver<Job>) -> Self {
        Self { jobs, next: None, expected: 1, patience: Duration::ZERO }
    }

    /// Waits for a job. Returns `None` after the last one.
    fn next(&mut self) -> Option<Job> {
        self.next.take().or_else(|| self.jobs.blocking_recv())
    }

    /// Collects the batches of the next transaction. Callers that were answered a moment ago are likely to commit
    /// again soon. Without waiting for them, the first one would be committed alone, and all others would wait for
    /// its transaction.
    fn group(&mut self, first: Waiting) -> Vec<Waiting> {
        let mut group = vec![first];
        let start = Instant::now();
        while group.len() < GROUP {
            match self.jobs.try_recv() {
                Ok(Job::Commit(waiting)) => group.push(waiting),
                Ok(task) => {
                    self.next = Some(task);
                    break;
                }
                Err(_) if group.len() < self.expected && start.elapsed() < self.patience => {
                    thread::yield_now();
                }
                Err(_) => break,
            }
        }
        group
    }

    /// Sets the expectations for the next group from the last transaction.
    fn pace(&mut self, batches: usize, duration: Duration) {
        self.expected = batches;
        self.patience = (duration / 2).min(LONGEST_PATIENCE);
    }
}

fn answer(group: Vec<Waiting>, outcomes: Result<Vec<Result<Vec<Version>>>>) {
    match outcomes {
        Ok(outcomes) => {
            for (waiting, outcome) in group.into_iter().zip(outcomes) {
                let _ = waiting.reply.send(outcome);
            }
        }
        Err(error) => {
            for waiting in group {
                let _ = waiting.reply.send(Err(error.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde_json::json;
    use switchyard_ambient::{Clock, SystemRandomness, Timestamp};
    use switchyard_database::{Collection, Key, Operation};

    use super::*;
    use crate::{migrate, open};

    const NOTES: &Collection = &Collection::new("notes");

    fn note(id: &str) -> Batch {
        let key = Key::new(NOTES, id).unwrap();
        let create =
            Operation::Create { key, body: json!({}).as_object().unwrap().clone(), expires_at: None };
        Batch::new(vec![create], &Ambient::system()).unwrap()
    }

    #[tokio::test]
    async fn after_a_task_that_panics_the_writer_continues_and_nothing_of_the_task_is_stored() {
        let pool = Pool::new(vec![open::in_memory().unwrap()]);
        let folder = tempfile::tempdir().unwrap();
        let file = open::writer(&folder.path().join("store.db")).unwrap();
        for source in [Source::Shared(Arc::clone(&pool)), Source::Own(file)] {
            let writer = Writer::start(source, Ambient::system()).unwrap();
            let outcome = writer
                .run(|connection| -> Result<(), Fault> {
                    connection.execute_batch("BEGIN; CREATE TABLE half_done (id)")?;
                    panic!("a task that panics");
                })
                .await;
            assert!(
                matches!(&outcome, Err(Error::Internal(text)) if text.starts_with("a bug:")),
                "{outcome:?}"
            );
            assert_eq!(writer.check(), Ok(()));
            writer.run(|connection| migrate::lay_out(connection, &[NOTES])).await.unwrap();
            assert_eq!(writer.commit(&note("n")).await.map(|versions| versions.len()), Ok(1));
            let half_done = writer.run(|connection| Ok(connection.table_exists(None, "half_done")?)).await;
            assert_eq!(half_done, Ok(false));
        }
    }

    /// The writer asks for the time once for each batch.
    #[derive(Clone, Debug)]
    struct PanickingClock(Arc<AtomicU32>);

    impl Clock for PanickingClock {
        fn now(&self) -> Timestamp {
            let call = self.0.fetch_sub(1, Ordering::SeqCst);
            assert_ne!(call, 1, "a clock that panics");
            Timestamp::from_seconds(0)
        }
    }

    #[tokio::test]
    async fn a_batch_that_panics_fails_alone() {
        let left = Arc::new(AtomicU32::new(u32::MAX));
        let ambient = Ambient::new(PanickingClock(Arc::clone(&left)), SystemRandomness);
        let pool = Pool::new(vec![open::in_memory().unwrap()]);
        let writer = Writer::start(Source::Shared(Arc::clone(&pool)), ambient).unwrap();
        writer.run(|connection| migrate::lay_out(connection, &[NOTES])).await.unwrap();
        // The writer cannot begin before all three batches wait.
        let lease = pool.lease().await.unwrap();
        left.store(2, Ordering::SeqCst);
        let [a, b, c] = ["a", "b", "c"].map(note);
        let committed = futures::future::join3(writer.commit(&a), writer.commit(&b), writer.commit(&c));
        let (outcomes, ()) = futures::future::join(committed, async { drop(lease) }).await;
        assert_eq!((outcomes.0.is_ok(), outcomes.2.is_ok()), (true, true));
        assert!(
            matches!(&outcomes.1, Err(Error::Internal(text)) if text.starts_with("a bug:")),
            "{outcomes:?}"
        );
        let connection = pool.lease().await.unwrap();
        let mut statement = connection.prepare("SELECT id FROM notes ORDER BY id").unwrap();
        let ids: Vec<String> =
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(ids, ["a", "c"]);
    }
}
