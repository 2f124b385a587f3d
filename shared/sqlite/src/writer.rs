//! The one thread that writes.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use switchyard_ambient::Ambient;
use switchyard_database::{Batch, Error, Result, Version};
use tokio::sync::{mpsc, oneshot};

use crate::commit::{self, Tables, Work};
use crate::fault::Fault;
use crate::pool::Pool;

/// Jobs that may wait; who comes later waits to be let in.
const QUEUE: usize = 1024;
/// Batches in one transaction, so that nobody waits long for others.
const GROUP: usize = 256;

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
    reply: oneshot::Sender<Result<Vec<Version>>>,
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
            .spawn(move || run(&source, queue, &ambient))
            .map_err(|fault| Error::Unavailable(format!("no thread can be started: {fault}")))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(crate) async fn commit(&self, batch: &Batch) -> Result<Vec<Version>> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Commit(Waiting { work: Work::new(batch)?, reply })).await?;
        answer.await.map_err(|_| Error::OutcomeUnknown("the thread that writes has ended".to_owned()))?
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

fn run(source: &Source, mut queue: mpsc::Receiver<Job>, ambient: &Ambient) {
    let mut tables = Tables::default();
    let mut next = None;
    while let Some(job) = next.take().or_else(|| queue.blocking_recv()) {
        match job {
            Job::Task(task) => {
                // Where there is no connection, the task is dropped, and with it the sender of its answer.
                let _ = source.with(task);
            }
            Job::Commit(first) => {
                let mut group = vec![first];
                while group.len() < GROUP {
                    match queue.try_recv() {
                        Ok(Job::Commit(waiting)) => group.push(waiting),
                        Ok(task) => {
                            next = Some(task);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                let outcomes = source
                    .with(|connection| commit_group(connection, &mut tables, &group, ambient))
                    .flatten();
                answer(group, outcomes);
            }
        }
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
