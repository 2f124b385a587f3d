//! The connections that read.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use switchyard_ambient::Ambient;
use switchyard_database::retry::Backoff;
use switchyard_database::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fault::Fault;

/// Connections that are lent out one caller at a time, in the order in which the callers came.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Last in, first out: the connection used last has its pages in its cache.
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
            _ => Err(Error::Internal("the pool of connections is out of step".to_owned())),
        }
    }

    /// Reads a few rows on the calling thread.
    ///
    /// A read by key takes some six microseconds, less than it takes to wake another thread and be woken by it: through
    /// tokio's blocking threads a quarter as many reads a second were possible, on two cores. What has to come from the
    /// disk holds the thread up for that long. Waiting for a connection makes a caller that reads in a loop give way to
    /// others now and then.
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

    /// Reads as much as it takes on a thread that may block.
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
                .map_err(|fault| Error::Internal(format!("a read did not end: {fault}")))?;
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

/// A connection on loan.
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
    /// Gives the connection back before the permit, which is a field and goes afterwards.
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            if !connection.is_autocommit() {
                // Somebody panicked in mid-transaction.
                let _ = connection.execute_batch("ROLLBACK");
            }
            self.pool.idle().push(connection);
        }
    }
}
