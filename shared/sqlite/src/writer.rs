//! The one thread that writes.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use switchyard_ambient::Ambient;
use switchyard_database::{Batch, Error, Result, Version};
use tokio::sync::{mpsc, oneshot};

use crate::commit::{self, Work};
use crate::fault::Fault;
use crate::pool::Pool;
use crate::statements::Tables;

/// Jobs that may wait; who comes later waits to be let in.
const QUEUE: usize = 1024;
/// Batches in one transaction, so that nobody waits long for others.
const GROUP: usize = 256;
/// How long a group is kept open at the most.
const LONGEST_PATIENCE: Duration = Duration::from_millis(1);

/// Hands jobs to the thread that writes. Dropping it ends the thread, once the accepted jobs are done.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

enum Job {
    Commit(Waiting),
    /// Something that opens its own transactions.
    Task(Box<dyn FnOnce(&Connection) + Send>),
}

struct Waiting {
    work: Work,
    /// The work goes back too: freeing it is left to the caller.
    reply: oneshot::Sender<(Result<Vec<Version>>, Work)>,
}

/// What the writer writes through.
pub(crate) enum Source {
    /// A connection of its own.
    Own(Connection),
    /// The only connection there is, shared with the readers: a database in memory.
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
            .map_err(|fault| Error::Unavailable(format!("no thread can be started: {fault}")))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(crate) async fn commit(&self, batch: &Batch) -> Result<Vec<Version>> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Commit(Waiting { work: Work::new(batch)?, reply })).await?;
        match answer.await {
            Ok((outcome, _work)) => outcome,
            Err(_) => Err(Error::OutcomeUnknown("the thread that writes has ended".to_owned())),
        }
    }

    /// Runs `task` on the thread that writes, between transactions. For tasks that can be repeated.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let task = move |connection: &Connection| {
            // Who does not wait any more has no use for the answer.
            let _ = reply.send(task(connection).map_err(Error::from));
        };
        self.send(Job::Task(Box::new(task))).await?;
        answer.await.map_err(|_| ended())?
    }

    /// Whether the thread still runs.
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
    /// Waits for the thread, so that what was accepted is on the disk, and the file is closed, when this returns.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes to SQLite had panicked");
        }
    }
}

fn ended() -> Error {
    Error::Unavailable("the thread that writes has ended".to_owned())
}

fn run(source: &Source, mut queue: Queue, ambient: &Ambient) {
    let mut tables = Tables::default();
    while let Some(job) = queue.next() {
        match job {
            Job::Task(task) => {
                // Where there is no connection, the task is dropped, and with it the sender of its answer.
                let _ = source.with(task);
            }
            Job::Commit(first) => {
                let group = queue.group(first);
                let start = Instant::now();
                let outcomes = source
                    .with(|connection| commit_group(connection, &mut tables, &group, ambient))
                    .flatten();
                queue.pace(group.len(), start.elapsed());
                answer(group, outcomes);
            }
        }
    }
}

/// The jobs that wait.
struct Queue {
    jobs: mpsc::Receiver<Job>,
    /// Taken out while looking for something else.
    next: Option<Job>,
    /// Batches in the last group.
    expected: usize,
    /// How long it is worth while to wait for as many again.
    patience: Duration,
}

impl Queue {
    fn new(jobs: mpsc::Receiver<Job>) -> Self {
        Self { jobs, next: None, expected: 1, patience: Duration::ZERO }
    }

    /// Waits for a job; `None` when there will be none.
    fn next(&mut self) -> Option<Job> {
        self.next.take().or_else(|| self.jobs.blocking_recv())
    }

    /// Who was answered a moment ago is likely about to come again: without waiting for them, one of them would go
    /// ahead alone, and all the others wait for its transaction.
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

    /// Sets the pace by the last transaction.
    fn pace(&mut self, batches: usize, duration: Duration) {
        self.expected = batches;
        self.patience = (duration / 2).min(LONGEST_PATIENCE);
    }
}

fn answer(group: Vec<Waiting>, outcomes: Result<Vec<Result<Vec<Version>>>>) {
    match outcomes {
        Ok(outcomes) => {
            for (waiting, outcome) in group.into_iter().zip(outcomes) {
                let _ = waiting.reply.send((outcome, waiting.work));
            }
        }
        Err(error) => {
            for waiting in group {
                let _ = waiting.reply.send((Err(error.clone()), waiting.work));
            }
        }
    }
}

/// Applies the batches in one transaction. Nothing is known of any of them, not even that it does not fit, before that
/// has ended: later ones have seen what earlier ones wrote.
fn commit_group(
    connection: &Connection,
    tables: &mut Tables,
    group: &[Waiting],
    ambient: &Ambient,
) -> Result<Vec<Result<Vec<Version>>>> {
    roll_back(connection); // where the rollback of a failed transaction had failed too
    execute(connection, "BEGIN IMMEDIATE").map_err(Fault::from)?;
    let applied = apply_each(connection, tables, group, ambient);
    let ended = applied.and_then(|outcomes| match execute(connection, "COMMIT").map_err(Fault::from) {
        Ok(()) => Ok(outcomes),
        // The transaction's last page may have reached the disk, and would then be found there after a crash.
        Err(fault) if fault.is_io() => {
            let error = Error::from(fault);
            Err(Error::OutcomeUnknown(error.to_string()).into())
        }
        Err(fault) => Err(fault),
    });
    if ended.is_err() {
        roll_back(connection);
    }
    ended.map_err(Error::from)
}

fn apply_each(
    connection: &Connection,
    tables: &mut Tables,
    group: &[Waiting],
    ambient: &Ambient,
) -> Result<Vec<Result<Vec<Version>>>, Fault> {
    tables.refresh(connection)?;
    let mut outcomes = Vec::with_capacity(group.len());
    for waiting in group {
        execute(connection, "SAVEPOINT batch")?;
        let outcome = commit::commit(connection, tables, &waiting.work, ambient.now());
        match outcome {
            // On a full disk and the like SQLite ends the whole transaction.
            Err(fault) if connection.is_autocommit() => return Err(fault),
            Err(fault) => {
                execute(connection, "ROLLBACK TO batch")?;
                outcomes.push(Err(fault.into()));
            }
            Ok(versions) => outcomes.push(Ok(versions)),
        }
        execute(connection, "RELEASE batch")?;
    }
    Ok(outcomes)
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// Ends a transaction that was left open.
fn roll_back(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(fault) = execute(connection, "ROLLBACK")
    {
        tracing::error!(%fault, "a transaction could not be rolled back");
    }
}
