//! The only thread that writes.

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
            // A caller that was cancelled does not receive the answer.
            let _ = reply.send(task(connection).map_err(Error::from));
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
                let outcomes = source
                    .with(|connection| {
                        group::commit(
                            connection,
                            &mut tables,
                            group.iter().map(|waiting| &waiting.work),
                            ambient,
                        )
                    })
                    .flatten();
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
    use serde_json::json;
    use switchyard_database::{Collection, Key, Operation};

    use super::*;
    use crate::open;

    #[tokio::test]
    async fn after_the_writer_thread_has_died_the_database_is_unavailable() {
        let pool = Pool::new(vec![open::in_memory().unwrap()]);
        let writer = Writer::start(Source::Shared(Arc::clone(&pool)), Ambient::system()).unwrap();
        let outcome = writer
            .run(|connection| -> Result<(), Fault> {
                connection.execute_batch("BEGIN; CREATE TABLE half_done (id)")?;
                panic!("a task that panics");
            })
            .await;
        let ended = Error::Unavailable("the writer thread has ended".to_owned());
        assert_eq!(outcome, Err(ended.clone()));
        // Until the queue is closed too, a sent job is lost with an unknown outcome.
        while writer.check().is_ok() {
            tokio::task::yield_now().await;
        }

        const NOTES: &Collection = &Collection::new("notes");
        let key = Key::new(NOTES, "n").unwrap();
        let create =
            Operation::Create { key, body: json!({}).as_object().unwrap().clone(), expires_at: None };
        let batch = Batch::new(vec![create], &Ambient::system()).unwrap();
        assert_eq!(writer.commit(&batch).await, Err(ended));
        // Readers of a database in memory continue, and do not see uncommitted changes.
        let lease = pool.lease().await.unwrap();
        assert!(!lease.table_exists(None, "half_done").unwrap());
    }
}
