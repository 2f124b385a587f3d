//! Retries requests that are safe to repeat: how often, and with which pauses.

use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use switchyard_ambient::Ambient;
use switchyard_database::retry::Backoff;
use switchyard_database::{Error, Result};

use crate::DynamoDb;
use crate::failure::Failure;
use crate::write::Write;

/// The backoff for reads.
const READ: Backoff = Backoff::UNAVAILABLE;
/// The backoff for writes. It is shorter because callers that commit a transaction also retry it.
const WRITE: Backoff =
    Backoff { attempts: 4, base: Duration::from_millis(25), ceiling: Duration::from_millis(500) };

/// Counts the attempts of one call.
pub(crate) struct Patience<'a> {
    ambient: &'a Ambient,
    trouble: Backoff,
    troubles: u32,
    contentions: u32,
}

impl<'a> Patience<'a> {
    /// For a write.
    pub(crate) fn of_write(ambient: &'a Ambient) -> Self {
        Self { ambient, trouble: WRITE, troubles: 0, contentions: 0 }
    }

    /// For a read.
    pub(crate) fn of_read(ambient: &'a Ambient) -> Self {
        Self { trouble: READ, ..Self::of_write(ambient) }
    }

    /// Waits before the next attempt. Returns `false` if there are no attempts left.
    pub(crate) async fn lasts(&mut self, failure: &Failure) -> bool {
        match failure {
            Failure::Contended => {
                self.contentions += 1;
                Backoff::CONTENTION.pause(self.contentions, self.ambient).await
            }
            Failure::Throttled | Failure::Unreachable(_) | Failure::Lost(_) => {
                self.troubles += 1;
                self.trouble.pause(self.troubles, self.ambient).await
            }
            Failure::Condition(_) | Failure::Cancelled(_) | Failure::Missing(_) | Failure::Final(_) => false,
        }
    }
}

impl DynamoDb {
    /// Sends a read, and sends it again after transient failures.
    pub(crate) async fn read<T, E, F>(&self, request: impl Fn() -> F) -> Result<T>
    where
        E: Into<aws_sdk_dynamodb::Error> + StdError + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        let mut patience = Patience::of_read(&self.ambient);
        loop {
            let failure = match request().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => Failure::from(failure),
            };
            if !patience.lasts(&failure).await {
                return Err(self.error_of(failure));
            }
        }
    }

    /// Sends a write, and sends it again after transient failures. Returns whether its condition holds. Applying
    /// the write twice must have the same effect as applying it once.
    pub(crate) async fn write(&self, write: Write) -> Result<bool> {
        let mut patience = Patience::of_write(&self.ambient);
        loop {
            match write.clone().send(&self.client).await {
                Ok(()) => return Ok(true),
                Err(Failure::Condition(_)) => return Ok(false),
                Err(failure) if patience.lasts(&failure).await => {}
                Err(failure) => return Err(self.error_of(failure)),
            }
        }
    }

    /// Converts a failure to the error to report to the caller.
    pub(crate) fn error_of(&self, failure: Failure) -> Error {
        match failure {
            Failure::Missing(message) => {
                let region = self.client.config().region().map_or("?", |region| region.as_ref());
                Error::Internal(format!(
                    "a table or an index under the prefix `{}` is missing in the region {region}: check both, or run \
                     the migration ({message})",
                    self.prefix
                ))
            }
            failure => failure.into_error(),
        }
    }
}
