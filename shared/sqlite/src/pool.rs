//! The pool of connections that read.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use switchyard_ambient::Ambient;
use switchyard_database::retry::Backoff;
use switchyard_database::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fault::Fault;

/// Connections that each serve one caller at a time, in the order in which the callers arrived.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Last in, first out: the most recently used connection has its pages in its cache.
    idle: Mutex<Vec<Connection>>,
    /// One permit for each idle connection.
    permits: Arc<Semaphore>,
}

impl Pool {
    pub(crate) fn new(connections: Vec<Connection>) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(connections.len()));
        Arc::new(Self { idle: Mutex::new(connections), permits })
    }

    /// Waits for a connection.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let connection = self.idle().pop();
        match (permit, connection) {
            (Ok(permit), Some(connection)) => {
                Ok(Lease { pool: Arc::clone(self), connection: Some(connection), _permit: permit })
            }
            _ => Err(Error::Internal("the connection pool is inconsistent".to_owned())),
        }
    }

    /// Reads a few rows on the calling thread.
    ///
    /// A read by key takes about six microseconds, less than waking another thread and being woken by it. With
    /// tokio's blocking threads, only a quarter as many reads per second were possible on two cores. The thread is
    /// blocked while pages are read from the disk. Waiting for a connection makes a caller that reads in a loop
    /// yield to other tasks now and then.
    pub(crate) async fn read_here<T>(
        self: &Arc<Self>,
        ambient: &Ambient,
        read: impl Fn(&Connection) -> Result<T, Fault>,
    ) -> Result<T> {
        let mut attempt = 1;
        loop {
            let outcome = read(&*self.lease().await?);
            match outcome {
                Err(fault) if fault.is_busy() && Backoff::UNAVAILABLE.pause(attempt, ambient).await => {
                    attempt += 1;
                }
                outcome => return outcome.map_err(Error::from),
            }
        }
    }

    /// Reads any number of rows on a thread that may block.
    pub(crate) async fn read_apart<T: Send + 'static>(
        self: &Arc<Self>,
        ambient: &Ambient,
        read: impl Fn(&Connection) -> Result<T, Fault> + Send + Sync + 'static,
    ) -> Result<T> {
        let read = Arc::new(read);
        let mut attempt = 1;
        loop {
            let lease = self.lease().await?;
            let task = Arc::clone(&read);
            let outcome = tokio::task::spawn_blocking(move || task(&lease))
                .await
                .map_err(|fault| Error::Internal(format!("a read did not finish: {fault}")))?;
            match outcome {
                Err(fault) if fault.is_busy() && Backoff::UNAVAILABLE.pause(attempt, ambient).await => {
                    attempt += 1;
                }
                outcome => return outcome.map_err(Error::from),
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection borrowed from the pool.
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<Pool>,
    connection: Option<Connection>,
    _permit: OwnedSemaphorePermit,
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a lease has its connection until it is dropped")
    }
}

impl Drop for Lease {
    /// Returns the connection to the pool before the permit, which is a field and is therefore dropped afterwards.
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            if !connection.is_autocommit() {
                // The caller panicked during a transaction.
                let _ = connection.execute_batch("ROLLBACK");
            }
            self.pool.idle().push(connection);
        }
    }
}
